"""What breaks the standard is refused with MQTT 5.0's Reason Code for it and the name of the broken clause."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.decode_connect import UnsupportedProtocolVersion
from bridgehead.protocols.mqtt.codec.packets import Connect, Pingreq, Pingresp
from bridgehead.wire.errors import PeerError
from tests.mqtt.codec import faults
from tests.mqtt.codec.faults import Fault


def cases(table: list[Fault]) -> list[object]:
    return [
        pytest.param(fault, version, id=f"{fault.name}, version {version}", marks=pytest.mark.clause(*fault.proves))
        for fault in table
        for version in fault.versions
    ]


def refusal(fault: Fault, version: int, split: int = 0) -> PeerError:
    decoder = Decoder(1_000_000, {}, fault.from_server)
    if fault not in faults.CONNECT:
        decoder.protocol_version = version
    if split:
        assert decoder.feed(fault.octets[:split]) == []
    with pytest.raises(PeerError) as caught:
        decoder.feed(fault.octets[split:])
    return caught.value


def check(fault: Fault, version: int) -> None:
    error = refusal(fault, version)
    assert (hex(error.code), error.clause) == (hex(fault.code), fault.clause)
    assert error.text
    assert -1 <= error.at <= len(fault.octets)
    later = refusal(fault, version, split=1)
    assert (later.text, later.code, later.clause, later.at) == (error.text, error.code, error.clause, error.at)


@pytest.mark.parametrize(("fault", "version"), cases(faults.FIXED_HEADER))
def test_fixed_header(fault: Fault, version: int) -> None:
    check(fault, version)


@pytest.mark.parametrize(("fault", "version"), cases(faults.CONNECT))
def test_connect(fault: Fault, version: int) -> None:
    check(fault, version)


@pytest.mark.parametrize(("fault", "version"), cases(faults.CONNACK))
def test_connack(fault: Fault, version: int) -> None:
    check(fault, version)


@pytest.mark.parametrize(("fault", "version"), cases(faults.PUBLISH))
def test_publish(fault: Fault, version: int) -> None:
    check(fault, version)


@pytest.mark.parametrize(("fault", "version"), cases(faults.ACKNOWLEDGEMENTS))
def test_acknowledgements(fault: Fault, version: int) -> None:
    check(fault, version)


@pytest.mark.parametrize(("fault", "version"), cases(faults.SUBSCRIPTIONS))
def test_subscriptions(fault: Fault, version: int) -> None:
    check(fault, version)


@pytest.mark.parametrize(("fault", "version"), cases(faults.OTHERS))
def test_others(fault: Fault, version: int) -> None:
    check(fault, version)


@pytest.mark.parametrize(("fault", "version"), cases(faults.FAULTS))
def test_packets_before_the_fault_are_kept(fault: Fault, version: int) -> None:
    if fault in faults.CONNECT:
        return
    decoder = Decoder(1_000_000, {}, fault.from_server)
    decoder.protocol_version = version
    before = b"\xd0\x00" if fault.from_server else b"\xc0\x00"
    with pytest.raises(PeerError) as caught:
        decoder.feed(before * 2 + fault.octets)
    ping = Pingresp() if fault.from_server else Pingreq()
    assert decoder.packets == [ping, ping]
    with pytest.raises(PeerError) as again:
        decoder.feed(before)
    assert again.value is caught.value
    assert decoder.packets == []


@pytest.mark.parametrize(("fault", "version"), cases(faults.CONNECT))
def test_version_of_a_faulty_connect_is_known(fault: Fault, version: int) -> None:
    """So that the answer has the form that this client understands."""
    decoder = Decoder(1_000_000, {})
    with pytest.raises(PeerError) as caught:
        decoder.feed(fault.octets)
    if isinstance(caught.value, UnsupportedProtocolVersion):
        assert decoder.protocol_version == caught.value.answer_version
    else:
        assert decoder.protocol_version == (0 if fault.octets == b"\x10\x00" else version)


@pytest.mark.clause("MQTT-3.1.2-2", "MQTT3-3.1.2-2")
@pytest.mark.parametrize(
    ("octets", "version"),
    [
        (b"\x10\x0d\x00\x04MQTT\x03\x02\x00\x3c\x00\x01a", 4),
        (b"\x10\x0d\x00\x04MQTT\x84\x02\x00\x3c\x00\x01a", 4),
        (b"\x10\x0f\x00\x06MQIsdp\x04\x02\x00\x3c\x00\x01a", 4),
        (b"\x10\x0e\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x01a", 5),
        (b"\x10\x0e\x00\x04MQTX\x05\x02\x00\x3c\x00\x00\x01a", 0),
    ],
)
def test_version_in_which_an_unsupported_one_is_answered(octets: bytes, version: int) -> None:
    decoder = Decoder(1_000_000, {})
    with pytest.raises(UnsupportedProtocolVersion):
        decoder.feed(octets)
    assert decoder.protocol_version == version


@pytest.mark.clause("MQTT-3.1.0-1", "MQTT3-3.1.0-1")
@pytest.mark.parametrize("octets", [b"\x30\x05\x00\x03a/b", b"\xc0\x00", b"\xf0\x00", b"\x82\xff\xff\xff\x7f", b"GE"])
def test_nothing_is_read_before_connect(octets: bytes) -> None:
    decoder = Decoder(268_435_460, {}, maximum_connect_size=268_435_460)
    with pytest.raises(PeerError) as caught:
        decoder.feed(octets)
    assert (caught.value.code, caught.value.clause) == (faults.PROTOCOL_ERROR, "MQTT-3.1.0-1")


def test_second_connect_is_the_sessions_business() -> None:
    decoder = Decoder(1_000_000, {})
    first, second = (
        b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a",
        b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a",
    )
    assert decoder.feed(first + second) == [Connect(4, True, 60, "a"), Connect(5, True, 60, "a")]
    assert decoder.protocol_version == 4
