"""Every property: where it may stand, what it may say, and that all else is refused (MQTT 5.0 2.2.2)."""

from __future__ import annotations

from typing import Any, cast

import pytest

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.mqtt.codec.fields import FieldReader
from bridgehead.protocols.mqtt.codec.properties import (
    BINARY_DATA,
    BYTE,
    FOUR_BYTE_INTEGER,
    NO_PROPERTIES,
    PROPERTIES,
    TWO_BYTE_INTEGER,
    UTF8_STRING,
    UTF8_STRING_PAIR,
    VARIABLE_BYTE_INTEGER,
    WILL,
    Properties,
)
from bridgehead.protocols.mqtt.codec.property_codec import decode_properties, encode_properties
from bridgehead.wire.errors import PeerError

# Table 2-4 of the standard, written down here once more: identifier, name, data type, packet types (0: Will).
CONNECT, CONNACK, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH = 1, 2, 3, 8, 10, 14, 15
ACKS = {4, 5, 6, 7, 9, 11}
TABLE = [
    (0x01, "payload_format_indicator", "byte", {PUBLISH, WILL}),
    (0x02, "message_expiry_interval", "four", {PUBLISH, WILL}),
    (0x03, "content_type", "text", {PUBLISH, WILL}),
    (0x08, "response_topic", "text", {PUBLISH, WILL}),
    (0x09, "correlation_data", "binary", {PUBLISH, WILL}),
    (0x0B, "subscription_identifiers", "variable", {PUBLISH, SUBSCRIBE}),
    (0x11, "session_expiry_interval", "four", {CONNECT, CONNACK, DISCONNECT}),
    (0x12, "assigned_client_identifier", "text", {CONNACK}),
    (0x13, "server_keep_alive", "two", {CONNACK}),
    (0x15, "authentication_method", "text", {CONNECT, CONNACK, AUTH}),
    (0x16, "authentication_data", "binary", {CONNECT, CONNACK, AUTH}),
    (0x17, "request_problem_information", "byte", {CONNECT}),
    (0x18, "will_delay_interval", "four", {WILL}),
    (0x19, "request_response_information", "byte", {CONNECT}),
    (0x1A, "response_information", "text", {CONNACK}),
    (0x1C, "server_reference", "text", {CONNACK, DISCONNECT}),
    (0x1F, "reason_string", "text", {CONNACK, DISCONNECT, AUTH} | ACKS),
    (0x21, "receive_maximum", "two", {CONNECT, CONNACK}),
    (0x22, "topic_alias_maximum", "two", {CONNECT, CONNACK}),
    (0x23, "topic_alias", "two", {PUBLISH}),
    (0x24, "maximum_qos", "byte", {CONNACK}),
    (0x25, "retain_available", "byte", {CONNACK}),
    (
        0x26,
        "user_properties",
        "pair",
        {CONNECT, CONNACK, PUBLISH, WILL, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH} | ACKS,
    ),
    (0x27, "maximum_packet_size", "four", {CONNECT, CONNACK}),
    (0x28, "wildcard_subscription_available", "byte", {CONNACK}),
    (0x29, "subscription_identifier_available", "byte", {CONNACK}),
    (0x2A, "shared_subscription_available", "byte", {CONNACK}),
]
TYPES = {
    "byte": BYTE,
    "two": TWO_BYTE_INTEGER,
    "four": FOUR_BYTE_INTEGER,
    "variable": VARIABLE_BYTE_INTEGER,
    "text": UTF8_STRING,
    "binary": BINARY_DATA,
    "pair": UTF8_STRING_PAIR,
}
# One value of each data type, as octets and as what they mean.
VALUES: dict[str, tuple[bytes, object]] = {
    "byte": (b"\x01", 1),
    "two": (b"\x01\x02", 0x0102),
    "four": (b"\x01\x02\x03\x04", 0x01020304),
    "variable": (b"\x80\x01", [128]),
    "text": (b"\x00\x02\xc3\xa9", "\u00e9"),
    "binary": (b"\x00\x02\x00\xff", b"\x00\xff"),
    "pair": (b"\x00\x01k\x00\x00", [("k", "")]),
}
PACKETS_WITH_PROPERTIES = [WILL, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15]
METHOD = b"\x15\x00\x01K"


def decode(octets: bytes, packet_type: int) -> Properties:
    """`octets` without the Property Length."""
    reader = FieldReader(bytes([len(octets)]) + octets, 0, 0, len(octets) + 1)
    properties = decode_properties(reader, packet_type)
    assert reader.remaining == 0
    return properties


def refusal(octets: bytes, packet_type: int) -> PeerError:
    with pytest.raises(PeerError) as caught:
        decode(octets, packet_type)
    return caught.value


def test_the_table_is_the_standards() -> None:
    assert sorted(PROPERTIES) == [row[0] for row in TABLE]
    for identifier, name, data_type, packets in TABLE:
        info = PROPERTIES[identifier]
        assert info.name.lower().replace(" ", "_") in (name, name.replace("ties", "ty"), name.removesuffix("s"))
        assert info.data_type == TYPES[data_type]
        assert set(info.clauses) == packets
        assert [packet for packet in range(16) if info.packets >> packet & 1] == sorted(packets)


@pytest.mark.parametrize("packet_type", PACKETS_WITH_PROPERTIES)
@pytest.mark.parametrize(("identifier", "name", "data_type", "packets"), TABLE, ids=[row[1] for row in TABLE])
def test_where_a_property_may_stand(
    identifier: int, name: str, data_type: str, packets: set[int], packet_type: int
) -> None:
    octets, value = VALUES[data_type]
    coded = bytes([identifier]) + octets
    if packet_type not in packets:
        error = refusal(coded, packet_type)
        assert (error.code, error.clause) == (0x81, "MQTT 5.0 2.2.2.2")
        made = Properties(**cast(Any, {name: value}))
        with pytest.raises(LocalMisuse):
            encode_properties(made, packet_type)
        return
    if name == "authentication_data":
        coded = METHOD + coded
    properties = decode(coded, packet_type)
    assert properties.present()[name] == value
    assert len(properties.present()) == (2 if name == "authentication_data" else 1)
    assert encode_properties(properties, packet_type) == bytes([len(coded)]) + coded


@pytest.mark.parametrize(("identifier", "name", "data_type", "packets"), TABLE, ids=[row[1] for row in TABLE])
def test_a_property_stands_once(identifier: int, name: str, data_type: str, packets: set[int]) -> None:
    coded = bytes([identifier]) + VALUES[data_type][0]
    for packet_type in packets:
        if name == "user_properties" or (name == "subscription_identifiers" and packet_type == PUBLISH):
            assert len(cast(list[object], decode(coded * 2, packet_type).present()[name])) == 2
            continue
        error = refusal(coded * 2, packet_type)
        assert (error.code, error.clause) == (0x82, PROPERTIES[identifier].clause(packet_type))


@pytest.mark.parametrize(("identifier", "name", "data_type", "packets"), TABLE, ids=[row[1] for row in TABLE])
def test_a_property_cut_short(identifier: int, name: str, data_type: str, packets: set[int]) -> None:
    coded = bytes([identifier]) + VALUES[data_type][0]
    for packet_type in packets:
        for length in range(1, len(coded)):
            assert refusal(coded[:length], packet_type).code == 0x81


@pytest.mark.parametrize("identifier", [row[0] for row in TABLE if row[2] == "byte"])
def test_an_octet_that_is_neither_0_nor_1(identifier: int) -> None:
    [packets] = [row[3] for row in TABLE if row[0] == identifier]
    for packet_type in packets:
        assert decode(bytes([identifier, 0]), packet_type).present()
        for value in (2, 0xFF):
            assert refusal(bytes([identifier, value]), packet_type).code == 0x82


@pytest.mark.parametrize(
    ("coded", "packet_type", "code"),
    [
        (b"\x21\x00\x00", CONNECT, 0x82),
        (b"\x21\x00\x00", CONNACK, 0x82),
        (b"\x27\x00\x00\x00\x00", CONNECT, 0x82),
        (b"\x27\x00\x00\x00\x00", CONNACK, 0x82),
        (b"\x23\x00\x00", PUBLISH, 0x94),
        (b"\x0b\x00", PUBLISH, 0x82),
        (b"\x0b\x00", SUBSCRIBE, 0x82),
        (b"\x16\x00\x01d", CONNECT, 0x82),
        (b"\x16\x00\x01d", CONNACK, 0x82),
        (b"\x16\x00\x01d", AUTH, 0x82),
        (b"\x08\x00\x01+", PUBLISH, 0x82),
        (b"\x08\x00\x03a/#", WILL, 0x82),
    ],
)
def test_values_that_are_forbidden(coded: bytes, packet_type: int, code: int) -> None:
    assert refusal(coded, packet_type).code == code


def test_zero_that_is_allowed() -> None:
    connack = decode(b"\x22\x00\x00\x13\x00\x00\x11\x00\x00\x00\x00", CONNACK)
    assert (connack.topic_alias_maximum, connack.server_keep_alive, connack.session_expiry_interval) == (0, 0, 0)
    assert decode(b"\x02\x00\x00\x00\x00", PUBLISH).message_expiry_interval == 0
    assert decode(b"\x18\x00\x00\x00\x00", WILL).will_delay_interval == 0


@pytest.mark.clause("MQTT-3.1.3-10", "MQTT-3.3.2-18")
@pytest.mark.parametrize("packet_type", [PUBLISH, WILL])
def test_user_properties_keep_order_and_repetition(packet_type: int) -> None:
    pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", "")]
    coded = encode_properties(Properties(user_properties=pairs), packet_type)
    assert decode(coded[1:], packet_type).user_properties == pairs


@pytest.mark.parametrize("identifier", [i for i in range(128) if i not in PROPERTIES])
def test_unknown_properties(identifier: int) -> None:
    for packet_type in PACKETS_WITH_PROPERTIES:
        error = refusal(bytes([identifier]) + b"\x00\x00\x00\x00", packet_type)
        assert (error.code, error.clause) == (0x81, "MQTT 5.0 2.2.2.2")


@pytest.mark.clause("MQTT-1.5.5-1")
def test_a_property_identifier_in_its_shortest_form() -> None:
    assert refusal(b"\x81\x00\x01", PUBLISH).clause == "MQTT-1.5.5-1"


def test_no_properties_are_the_shared_ones() -> None:
    assert decode(b"", PUBLISH) is NO_PROPERTIES
    assert encode_properties(NO_PROPERTIES, PUBLISH) == b"\x00"
    assert encode_properties(Properties(), PUBLISH) == b"\x00"


def test_authentication_data_is_not_shown() -> None:
    properties = Properties(authentication_method="K", authentication_data=b"hunter2")
    assert "hunter2" not in repr(properties)
    assert "7 octets" in repr(properties)


@pytest.mark.parametrize(
    "properties",
    [
        Properties(topic_alias=65_536),
        Properties(topic_alias=-1),
        Properties(message_expiry_interval=1 << 32),
        Properties(payload_format_indicator=256),
        Properties(subscription_identifiers=[268_435_456]),
        Properties(content_type="a\x00"),
        Properties(content_type="\ud800"),
        Properties(content_type="x" * 65_536),
        Properties(correlation_data=bytes(65_536)),
    ],
)
def test_values_that_the_wire_cannot_hold(properties: Properties) -> None:
    with pytest.raises(LocalMisuse):
        encode_properties(properties, PUBLISH)
