"""The encoder's own forms, and what it refuses to write."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import ack, cut_form, encode, publish_form, with_dup
from bridgehead.protocols.mqtt.codec.fields import put_variable_byte_integer
from bridgehead.protocols.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBREC, PUBREL

RICH = Properties(message_expiry_interval=60, user_properties=[("a", "b")])


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("size", [0, 1, 100, 130, 20_000, 2_100_000])
@pytest.mark.parametrize("properties", [NO_PROPERTIES, RICH], ids=["plain", "rich"])
def test_publish_form(version: int, qos: int, retain: bool, size: int, properties: Properties) -> None:
    form = publish_form(version, "a/\u00e9", bytes(size), qos, retain, properties)
    made = Publish(
        "a/\u00e9", bytes(size), qos, retain, False, 258 if qos else 0, properties if version == 5 else NO_PROPERTIES
    )
    whole = form.packet(258) if qos else form.head
    assert whole == encode(made, version)
    if qos:
        assert form.head + b"\x01\x02" + form.tail == whole
    else:
        assert form.tail == b""
    decoder = Decoder(3_000_000, {})
    decoder.protocol_version = version
    assert decoder.feed(whole) == [made]


@pytest.mark.clause("MQTT-3.3.1-1", "MQTT3-3.3.1-1")
def test_a_form_sent_again_has_dup() -> None:
    form = publish_form(5, "a/b", b"!", 1, False, NO_PROPERTIES)
    assert form.packet(7, dup=True) == encode(Publish("a/b", b"!", 1, False, True, 7), 5)
    assert with_dup(form.packet(7)) == form.packet(7, dup=True)


@pytest.mark.clause("MQTT-3.3.1-3", "MQTT3-3.3.1-3")
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("dup", [False, True])
@pytest.mark.parametrize("payload", [b"", b"!", bytes(300)])
def test_a_cut_form_is_the_form_made_anew(version: int, dup: bool, payload: bytes) -> None:
    decoder = Decoder(100_000, {})
    decoder.protocol_version = version
    [packet] = decoder.feed(encode(Publish("a/b", payload, 2, True, dup, 7), version))
    assert isinstance(packet, Publish)
    cut = cut_form(packet.frame, packet.topic_end)
    made = publish_form(version, "a/b", payload, 2, True, NO_PROPERTIES)
    assert (cut.head, cut.tail) == (made.head, made.tail)


@pytest.mark.parametrize(
    ("packet_type", "kind"), [(PUBACK, Puback), (PUBREC, Pubrec), (PUBREL, Pubrel), (PUBCOMP, Pubcomp)]
)
def test_ack(packet_type: int, kind: type[Puback | Pubrec | Pubrel | Pubcomp]) -> None:
    for packet_id in (1, 255, 256, 65_535):
        for version in (3, 4, 5):
            assert ack(packet_type, packet_id) == encode(kind(packet_id), version)


@pytest.mark.clause("MQTT-1.5.5-1")
@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
        (2_097_151, b"\xff\xff\x7f"),
        (2_097_152, b"\x80\x80\x80\x01"),
        (268_435_455, b"\xff\xff\xff\x7f"),
    ],
)
def test_variable_byte_integers(value: int, octets: bytes) -> None:
    """The bounds of the standard's Table 1-1."""
    assert put_variable_byte_integer(value) == octets


@pytest.mark.parametrize("value", [-1, 268_435_456])
def test_variable_byte_integers_out_of_range(value: int) -> None:
    with pytest.raises(LocalMisuse):
        put_variable_byte_integer(value)


@pytest.mark.parametrize(
    "packet",
    [
        Publish("", b""),
        Publish("a/+", b""),
        Publish("#", b""),
        Publish("a\x00", b""),
        Publish("\ud800", b""),
        Publish("x" * 65_536, b""),
        Publish("a", b"", 1),
        Publish("a", b"", 2, False, False, 65_536),
        Publish("a", b"", 3, False, False, 1),
        Publish("a", b"", 0, False, True),
        Publish("a", b"", properties=Properties(will_delay_interval=1)),
        Puback(0),
        Pubrel(65_536),
        Puback(1, 256),
        Subscribe(1, []),
        Subscribe(0, [SubscriptionRequest("a")]),
        Unsubscribe(1, []),
        Unsubscribe(1, ["\ud800"]),
        Suback(0, [0]),
        Suback(1, []),
        Suback(1, [256]),
        Unsuback(1, []),
        Connack(False, -1),
        Connack(True, 0x87),
        Disconnect(300),
        Auth(-1),
        Connect(5, True, 65_536, "a"),
        Connect(5, True, -1, "a"),
        Connect(4, True, 0, "a"),
        Connect(5, True, 0, "x" * 65_536),
        Connect(5, True, 0, "a", Will("t", bytes(65_536))),
        Connect(5, True, 0, "a", Will("t", b"", 3)),
    ],
)
def test_what_cannot_be_expressed_is_our_own_fault(packet: Packet) -> None:
    with pytest.raises(LocalMisuse):
        encode(packet, 5)


@pytest.mark.clause("MQTT3-3.1.2-22")
def test_mqtt_3_has_no_password_without_user_name() -> None:
    with pytest.raises(LocalMisuse):
        encode(Connect(4, True, 0, "a", None, None, b"secret"), 4)


def test_what_is_no_packet_cannot_be_encoded() -> None:
    with pytest.raises(LocalMisuse):
        encode(Packet(0), 5)


def test_a_form_needs_a_topic_that_fits() -> None:
    with pytest.raises(LocalMisuse):
        publish_form(5, "x" * 65_536, b"", 0, False, NO_PROPERTIES)


@pytest.mark.parametrize("packet", [Puback(1, 0, Properties()), Disconnect(0, Properties()), Auth(0, Properties())])
def test_properties_that_are_empty_are_none(packet: Packet) -> None:
    short = {4: b"\x40\x02\x00\x01", 14: b"\xe0\x00", 15: b"\xf0\x00"}
    assert encode(packet, 5) == short[packet.packet_type]


def test_mqtt_3_has_no_auth() -> None:
    with pytest.raises(LocalMisuse):
        encode(Auth(), 4)


def test_mqtt_3_leaves_out_what_it_does_not_have() -> None:
    assert encode(Puback(1, 0x87, RICH), 4) == b"\x40\x02\x00\x01"
    assert encode(Disconnect(0x8E, Properties(reason_string="w")), 4) == b"\xe0\x00"
    assert encode(Unsuback(1, [0x11]), 4) == b"\xb0\x02\x00\x01"
    assert encode(Connack(True, 0), 3) == b"\x20\x02\x00\x00"
    assert encode(Publish("a", b"!", properties=RICH), 4) == b"\x30\x04\x00\x01a!"
    assert encode(Subscribe(1, [SubscriptionRequest("a", 1, True, True, 2)]), 4) == b"\x82\x06\x00\x01\x00\x01a\x01"


def test_passwords_and_payloads_are_not_shown() -> None:
    shown = repr(Connect(5, True, 0, "a", Will("t", b"hunter3"), "u", b"hunter2")) + repr(Publish("t", b"hunter4"))
    assert "hunter" not in shown
    assert "7 octets" in shown
