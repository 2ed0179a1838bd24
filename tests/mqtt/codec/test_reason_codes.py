"""Which packet may carry which Reason Code, against the lists of the standard's sections."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Auth,
    Connack,
    Disconnect,
    Packet,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Unsuback,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.protocols.mqtt.codec.reason_codes import connect_return_code, is_allowed, reason_name
from bridgehead.wire.errors import PeerError

ACK = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
# MQTT 5.0 3.2.2.2, 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1, 3.9.3, 3.11.3, 3.14.2.1, 3.15.2.1.
# DISCONNECT's 0x8C stands in Table 2-6 alone.
LISTS: dict[int, list[int]] = {
    2: [0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F],
    4: ACK,
    5: ACK,
    6: [0x00, 0x92],
    7: [0x00, 0x92],
    9: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2],
    11: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91],
    14: [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, *range(0x93, 0xA3)],
    15: [0x00, 0x18, 0x19],
}


def packet_with(packet_type: int, reason_code: int) -> Packet:
    if packet_type == 2:
        return Connack(False, reason_code)
    if packet_type == 9:
        return Suback(1, [0, reason_code])
    if packet_type == 11:
        return Unsuback(1, [0, reason_code])
    if packet_type == 14:
        return Disconnect(reason_code)
    if packet_type == 15:
        return Auth(reason_code)
    return {4: Puback, 5: Pubrec, 6: Pubrel, 7: Pubcomp}[packet_type](1, reason_code, NO_PROPERTIES)


@pytest.mark.clause(
    "MQTT-3.2.2-8",
    "MQTT-3.4.2-1",
    "MQTT-3.5.2-1",
    "MQTT-3.6.2-1",
    "MQTT-3.7.2-1",
    "MQTT-3.9.3-2",
    "MQTT-3.11.3-2",
    "MQTT-3.14.2-1",
    "MQTT-3.15.2-1",
)
@pytest.mark.parametrize("packet_type", LISTS)
def test_each_packet_carries_its_listed_reason_codes_only(packet_type: int) -> None:
    for reason_code in range(256):
        listed = reason_code in LISTS[packet_type]
        assert is_allowed(reason_code, packet_type) == listed
        packet = packet_with(packet_type, reason_code)
        decoder = Decoder(1000, {}, True)
        decoder.protocol_version = 5
        octets = encode(packet, 5)
        if listed:
            assert decoder.feed(octets) == [packet]
            assert reason_name(reason_code, packet_type) != "unknown"
        else:
            with pytest.raises(PeerError) as caught:
                decoder.feed(octets)
            assert caught.value.code == 0x82
            assert f"0x{reason_code:02X}" in caught.value.text


def test_names_that_depend_on_the_packet() -> None:
    assert reason_name(0) == "Success"
    assert reason_name(0, 14) == "Normal disconnection"
    assert reason_name(0, 9) == "Granted QoS 0"
    assert reason_name(0x8E, 14) == "Session taken over"
    assert reason_name(0xFE) == "unknown"


@pytest.mark.parametrize(
    ("reason_code", "return_code"),
    [(0, 0), (1, 1), (5, 5), (0x84, 1), (0x85, 2), (0x88, 3), (0x89, 3), (0x86, 4), (0x8C, 4), (0x87, 5), (0x8A, 5)],
)
def test_return_codes_of_mqtt_3(reason_code: int, return_code: int) -> None:
    assert connect_return_code(reason_code) == return_code
    assert encode(Connack(False, reason_code), 4) == bytes([0x20, 2, 0, return_code])


def test_every_refusal_has_a_return_code() -> None:
    for reason_code in LISTS[2]:
        assert (connect_return_code(reason_code) == 0) == (reason_code == 0)
        assert 0 <= connect_return_code(reason_code) <= 5


@pytest.mark.clause("MQTT3-3.9.3-2")
def test_suback_of_mqtt_3_has_its_four_codes_only() -> None:
    assert encode(Suback(1, [0, 1, 2, 0x80, 0x87, 0x97]), 4) == b"\x90\x08\x00\x01\x00\x01\x02\x80\x80\x80"
