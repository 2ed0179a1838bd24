"""The table of mapping.py, line by line, and both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.broker import records
from bridgehead.core import errors
from bridgehead.core.message import NEVER, NO_PROPERTIES, Message, MessageProperties, Origin
from bridgehead.core.policy import Context
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Publish, Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.mapping import (
    REASON_CODES,
    form,
    message_from_publish,
    publish_properties,
    will_from_packet,
)

ORIGIN = Origin("sensor", "mqtt", True, "sensor-1")
NOW = 1_763_835_600.25


def received(packet: Publish, version: int) -> Publish:
    """The packet as the hub's decoder gives it, with the octets that came."""
    decoder = Decoder(1 << 20)
    decoder.protocol_version = version
    (decoded,) = decoder.feed(encode(packet, version))
    assert isinstance(decoded, Publish)
    return decoded


def sent(
    message: Message,
    version: int,
    qos: int = 0,
    retain: bool = False,
    identifiers: tuple[int, ...] = (),
    alias: int = 0,
    now: float = NOW,
) -> Publish:
    """The packet as a client's decoder understands it."""
    made = form(message, version == 5, qos, retain, identifiers, alias, now)
    octets = made.packet(7) if qos else made.head + made.tail
    decoder = Decoder(1 << 20, None, True)
    decoder.protocol_version = version
    (decoded,) = decoder.feed(octets)
    assert isinstance(decoded, Publish)
    return decoded


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
topics = text.filter(bool).map(lambda name: name.replace("+", "p").replace("#", "h"))


@st.composite
def properties(draw: st.DrawFn) -> Properties:
    return Properties(
        payload_format_indicator=draw(st.sampled_from([None, 0, 1])),
        message_expiry_interval=draw(st.none() | st.integers(0, 0xFFFFFFFF)),
        content_type=draw(st.none() | text),
        response_topic=draw(st.none() | topics),
        correlation_data=draw(st.none() | st.binary(max_size=8)),
        user_properties=draw(st.lists(st.tuples(text, text), max_size=4)),
    )


@st.composite
def publishes(draw: st.DrawFn) -> Publish:
    qos = draw(st.integers(0, 2))
    return Publish(
        draw(topics),
        draw(st.binary(max_size=20)),
        qos,
        draw(st.booleans()),
        draw(st.booleans()) if qos else False,
        draw(st.integers(1, 65535)) if qos else 0,
        draw(properties()),
    )


def without_format_0(held: Properties) -> Properties:
    """Section 3.3.2.3.2: 0 is equivalent to none."""
    return Properties(
        payload_format_indicator=held.payload_format_indicator or None,
        message_expiry_interval=held.message_expiry_interval,
        content_type=held.content_type,
        response_topic=held.response_topic,
        correlation_data=held.correlation_data,
        user_properties=held.user_properties,
    )


# In. ------------------------------------------------------------------------------------------------


@given(publishes(), st.sampled_from([3, 4, 5]))
def test_what_of_a_packet_is_in_the_message(packet: Publish, version: int) -> None:
    message = message_from_publish(received(packet, version), packet.topic, ORIGIN, NOW)
    assert (message.topic, message.payload, message.qos, message.retain) == (
        packet.topic, packet.payload, packet.qos, packet.retain,
    )  # fmt: skip
    assert message.payload_length == len(packet.payload)
    assert message.origin is ORIGIN
    carried = packet.properties
    if version < 5:
        assert message.properties is NO_PROPERTIES
        assert message.expires_at == NEVER
        return
    assert message.properties.is_text is (carried.payload_format_indicator == 1)
    assert message.properties.content_type == carried.content_type
    assert message.properties.response_topic == carried.response_topic
    assert message.properties.correlation_data == carried.correlation_data
    assert message.properties.user_properties == tuple(carried.user_properties)
    interval = carried.message_expiry_interval
    assert message.expires_at == (NEVER if interval is None else NOW + interval)


def test_the_topic_of_an_alias_is_given_apart() -> None:
    packet = received(Publish("", b"x", properties=Properties(topic_alias=3)), 5)
    message = message_from_publish(packet, "resolved", ORIGIN, NOW)
    assert message.topic == "resolved"
    out = sent(message, 5)
    assert (out.topic, out.properties.topic_alias) == ("resolved", None)


# Out, and both ways. --------------------------------------------------------------------------------


@given(publishes(), st.integers(0, 2), st.booleans())
def test_from_5_0_to_5_0_nothing_is_lost_but_what_belongs_to_a_delivery(
    packet: Publish, qos: int, retain: bool
) -> None:
    message = message_from_publish(received(packet, 5), packet.topic, ORIGIN, NOW)
    for _ in range(2):  # the second time from what is remembered
        out = sent(message, 5, qos, retain)
        assert (out.topic, out.payload, out.qos, out.retain, out.dup) == (
            packet.topic, packet.payload, qos, retain, False,
        )  # fmt: skip
        assert out.properties == without_format_0(packet.properties)


@given(publishes(), st.sampled_from([3, 4]), st.sampled_from([3, 4, 5]), st.integers(0, 2), st.booleans())
def test_to_an_older_receiver_the_properties_are_lost_and_the_rest_is_kept(
    packet: Publish, receiver: int, sender: int, qos: int, retain: bool
) -> None:
    message = message_from_publish(received(packet, sender), packet.topic, ORIGIN, NOW)
    out = sent(message, receiver, qos, retain, (1, 2), 0)
    assert (out.topic, out.payload, out.qos, out.retain, out.dup) == (
        packet.topic, packet.payload, qos, retain, False,
    )  # fmt: skip
    assert out.properties == Properties()


@given(publishes(), st.sampled_from([3, 4]))
def test_from_an_older_sender_to_5_0_there_are_none(packet: Publish, sender: int) -> None:
    message = message_from_publish(received(packet, sender), packet.topic, ORIGIN, NOW)
    out = sent(message, 5)
    assert out.properties == Properties()
    assert (out.topic, out.payload) == (packet.topic, packet.payload)


@given(publishes(), st.lists(st.integers(1, 268_435_455), max_size=4), st.sampled_from([0, 5, -5]))
def test_identifiers_and_alias_are_the_receivers_own(packet: Publish, identifiers: list[int], alias: int) -> None:
    message = message_from_publish(received(packet, 5), packet.topic, ORIGIN, NOW)
    out = sent(message, 5, 1, False, tuple(identifiers), alias)
    assert out.properties.subscription_identifiers == identifiers
    assert out.properties.topic_alias == (5 if alias else None)
    assert out.topic == ("" if alias < 0 else packet.topic)
    assert out.properties.user_properties == packet.properties.user_properties
    # And they are nobody else's.
    assert sent(message, 5, 1).properties == without_format_0(packet.properties)


@given(publishes(), st.integers(0, 2), st.booleans())
def test_a_frame_that_passes_unchanged_says_what_the_message_says(packet: Publish, qos: int, retain: bool) -> None:
    for version in (4, 5):
        message = message_from_publish(received(packet, version), packet.topic, ORIGIN, NOW)
        if message.passes == (5 if version == 5 else 3):
            decoder = Decoder(1 << 20, None, True)
            decoder.protocol_version = version
            (passed,) = decoder.feed(message.frame)
            assert isinstance(passed, Publish)
            made = sent(message, version)
            assert (passed.topic, passed.payload, passed.qos, passed.retain, passed.dup) == (
                made.topic, made.payload, 0, False, False,
            )  # fmt: skip
            assert without_format_0(passed.properties) == made.properties
        else:
            carried = packet.properties
            assert packet.qos or packet.retain or (version == 5 and carried.message_expiry_interval is not None)


@pytest.mark.clause("MQTT-3.3.2-6")
@given(st.floats(0, 5_000_000_000), st.integers(0, 0xFFFFFFFF), st.floats(0, 0xFFFFFFFF))
def test_the_interval_less_the_whole_seconds_waited(now: float, interval: int, waited: float) -> None:
    packet = received(Publish("a", b"", properties=Properties(message_expiry_interval=interval)), 5)
    message = message_from_publish(packet, "a", ORIGIN, now)
    assert sent(message, 5, now=now).properties.message_expiry_interval == interval
    left = sent(message, 5, now=now + waited).properties.message_expiry_interval
    assert left is not None
    assert max(0.0, interval - waited - 0.01) <= left <= max(0.0, interval - waited + 1.001)


# Wills, records. ------------------------------------------------------------------------------------


@given(topics, st.binary(max_size=20), st.integers(0, 2), st.booleans(), properties(), st.none() | st.integers(0, 100))
def test_a_will_keeps_everything(
    topic: str, payload: bytes, qos: int, retain: bool, held: Properties, delay: int | None
) -> None:
    held.will_delay_interval = delay
    will = will_from_packet(Will(topic, payload, qos, retain, held))
    assert (will.topic, will.payload, will.qos, will.retain, will.delay) == (topic, payload, qos, retain, delay or 0)
    assert will.expiry_interval == held.message_expiry_interval
    origin, context = Origin("sensor", "mqtt", True), Context("mqtt", ("scram",))
    record = records.write_will(will, 3.5, origin, 12.5, context)
    restored, created, protocol, due, how, verified = records.read_will(record)
    assert (how, verified) == (context, True)
    assert (created, protocol, due) == (3.5, "mqtt", 12.5)
    message = Message("a", b"", 0, False, ORIGIN, restored.properties)
    held.will_delay_interval = held.message_expiry_interval = None
    assert publish_properties(message, NOW, (), 0) == without_format_0(held)


@given(publishes(), st.sampled_from([4, 5]))
def test_a_message_is_the_same_after_it_was_written_and_read(packet: Publish, version: int) -> None:
    message = message_from_publish(received(packet, version), packet.topic, ORIGIN, NOW)
    record = records.write_delivery(message, 1, True, (3, 4), "$share/g/a")
    restored, qos, retain, identifiers, share = records.read_delivery(record)
    assert (qos, retain, identifiers, share) == (1, True, (3, 4), "$share/g/a")
    assert (restored.topic, restored.payload, restored.qos, restored.retain) == (
        packet.topic, packet.payload, packet.qos, packet.retain,
    )  # fmt: skip
    assert restored.expires_at == message.expires_at
    assert restored.origin.is_from(ORIGIN)
    assert restored.origin.verified
    assert sent(restored, 5) == sent(message, 5)


def test_a_message_of_another_protocol_goes_out_as_any_other() -> None:
    pairs = (("k", "1"), ("k", "1"))
    carried = MessageProperties("text/plain", True, "answer", b"id", pairs)
    message = Message("a", b"21.5", 1, True, Origin("sensor", "coap", True), carried, NOW + 9.5)
    out = sent(message, 5, 1, True)
    assert out.properties == Properties(
        payload_format_indicator=1,
        message_expiry_interval=10,
        content_type="text/plain",
        response_topic="answer",
        correlation_data=b"id",
        user_properties=list(pairs),
    )
    assert sent(message, 4, 1, True).payload == b"21.5"


# Refusals. ------------------------------------------------------------------------------------------

MEANINGS = sorted(value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str))


@pytest.mark.clause("MQTT-3.2.2-8", "MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.9.3-2", "MQTT-3.14.2-1")
def test_every_meaning_has_its_reason_code() -> None:
    assert sorted(REASON_CODES) == MEANINGS
    for code in REASON_CODES.values():
        assert code >= 0x80
        assert code in codes.REASON_CODES
        # Where Table 2-6 does not let the packet carry it, Unspecified error goes out: it may stand in all of these.
        for packet_type in (codes.CONNACK, codes.PUBACK, codes.PUBREC, codes.SUBACK, codes.UNSUBACK, codes.DISCONNECT):
            assert codes.is_allowed(code, packet_type) or codes.is_allowed(codes.UNSPECIFIED_ERROR, packet_type)


@pytest.mark.clause("MQTT3-3.2.2-6")
def test_every_meaning_has_a_return_code_of_3_1_1() -> None:
    expected = {
        errors.NOT_AUTHORIZED: 5,
        errors.BAD_CREDENTIALS: 4,
        errors.CLIENT_ID_INVALID: 2,
    }
    for meaning, code in REASON_CODES.items():
        assert codes.connect_return_code(code) == expected.get(meaning, 3)
