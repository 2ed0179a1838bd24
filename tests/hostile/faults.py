"""What a client that was let in can do wrong, and how the real hub is seen to answer it."""

from __future__ import annotations

from collections.abc import Callable

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connect, Disconnect, Publish
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    MALFORMED_PACKET,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    RECEIVE_MAXIMUM_EXCEEDED,
    TOPIC_ALIAS_INVALID,
    TOPIC_NAME_INVALID,
)
from tests.hostile.conftest import IMPATIENT
from tests.hostile.field import Witness, bounded, name_of, the_one_line
from tests.peers.raw import Raw
from tests.peers.town import Town, may_both

# The hub that these faults are made for.
MORE = IMPATIENT.replace("[limits]", "[limits]\npacket_size = 100000\ninflight = 20")

Fault = Callable[[Raw], bytes]


def octets(data: bytes) -> Fault:
    return lambda raw: data


def publish(topic: str, payload: bytes = b"x", qos: int = 0, properties: Properties = NO_PROPERTIES) -> Fault:
    return lambda raw: encode(
        Publish(topic, payload, qos, False, False, 1 if qos else 0, properties if raw.version == 5 else NO_PROPERTIES),
        raw.version,
    )


def second_connect(raw: Raw) -> bytes:
    return encode(Connect(raw.version, True, 0, "again", None, None, None, NO_PROPERTIES), raw.version)


def too_many_in_flight(raw: Raw) -> bytes:
    """QoS 2 messages that are never released, more than the hub's Receive Maximum."""
    return b"".join(
        encode(Publish("hostile/a", b"x", 2, False, False, number, NO_PROPERTIES), raw.version)
        for number in range(1, 30)
    )


def with_topic(topic: bytes) -> Fault:
    """A PUBLISH whose Topic Name is these octets."""

    def made(raw: Raw) -> bytes:
        body = len(topic).to_bytes(2, "big") + topic + (b"\x00" if raw.version == 5 else b"")
        return bytes([0x30, len(body)]) + body

    return made


def no_topic_filter(raw: Raw) -> bytes:
    return b"\x82\x03\x00\x01\x00" if raw.version == 5 else b"\x82\x02\x00\x01"


def subscription(topic_filter: bytes, flags: int = 0x82, options: int = 0) -> Fault:
    def made(raw: Raw) -> bytes:
        body = b"\x00\x01" + (b"\x00" if raw.version == 5 else b"")
        body += len(topic_filter).to_bytes(2, "big") + topic_filter + bytes([options])
        return bytes([flags, len(body)]) + body

    return made


# name -> how, 5.0's reason code
FAULTS: dict[str, tuple[Fault, int]] = {
    "a second CONNECT": (second_connect, PROTOCOL_ERROR),
    "a packet above Maximum Packet Size": (publish("hostile/a", bytes(100_001)), PACKET_TOO_LARGE),
    "a Remaining Length of 256 MiB": (octets(b"\x30\xff\xff\xff\x7f"), PACKET_TOO_LARGE),
    "a Remaining Length that does not end": (octets(b"\x30\xff\xff\xff\xff\x01"), MALFORMED_PACKET),
    "garbage": (octets(b"\xf7\x1b" + bytes(range(256))), MALFORMED_PACKET),
    "a topic that is not UTF-8": (with_topic(b"hostile/\xff"), MALFORMED_PACKET),
    "a null character": (with_topic(b"hostile/\x00"), MALFORMED_PACKET),
    "a wildcard in a Topic Name": (with_topic(b"hostile/+/a"), TOPIC_NAME_INVALID),
    "a Topic Name that is all wildcard": (with_topic(b"#"), TOPIC_NAME_INVALID),
    "QoS 3": (octets(b"\x36\x06\x00\x01a\x00\x01\x00"), MALFORMED_PACKET),
    "wrong flags of SUBSCRIBE": (subscription(b"hostile/a", flags=0x80), MALFORMED_PACKET),
    "no Topic Filter": (no_topic_filter, PROTOCOL_ERROR),
    "a server's packet": (octets(b"\xd0\x00"), PROTOCOL_ERROR),
}
FAULTS_5: dict[str, tuple[Fault, int]] = {
    "more than the Receive Maximum": (too_many_in_flight, RECEIVE_MAXIMUM_EXCEEDED),
    "an alias that was never set": (publish("", properties=Properties(topic_alias=1)), PROTOCOL_ERROR),
    "an alias above the maximum": (publish("a", properties=Properties(topic_alias=65535)), TOPIC_ALIAS_INVALID),
}


def attacker(town: Town, number: int, version: int) -> Raw:
    """The log takes five lines a minute of one identity: each group of cases has its own."""
    name = f"attacker-{number // 4}"
    if not town.knows(name):
        town.add(name, may_both("hostile/#"))
    return town.client(name, f"{name}-{number}", version)


def judge(town: Town, witness: Witness, raw: Raw, fault: tuple[Fault, int]) -> None:
    """Told (5.0), closed, one line, no memory kept, nobody disturbed."""
    how, code = fault
    with bounded(town):
        raw.send_octets(how(raw))
        answers = [packet for packet in raw.rest() if not hasattr(packet, "packet_id")]
        line = the_one_line(town, witness, name_of(raw))
    assert line["event"] == "connection.peer-error"
    assert line["code"] == f"0x{code:02X}"
    assert str(line["principal"]).startswith("attacker")
    if raw.version == 5:
        (farewell,) = answers
        assert isinstance(farewell, Disconnect)
        assert farewell.reason_code == code
        assert farewell.properties.reason_string == line["because"]
    else:
        assert answers == []
