"""Messages of MQTT and AMQP 0-9-1 as those of 1.0 and back: the same to their own kind, the same meaning to others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands

from bridgehead.core.errors import NOT_AUTHORIZED, PAYLOAD_FORMAT_INVALID, Refusal
from bridgehead.core.message import NO_PROPERTIES, Message, MessageProperties
from bridgehead.protocols.amqp.codec.v1.sections import (
    APPLICATION_PROPERTIES,
    Properties,
    Sections,
    put_data,
    put_properties,
    put_section,
)
from bridgehead.protocols.amqp.mapping.message_v091 import (
    PERSISTENT,
    TRANSIENT,
    ContentFault,
    headers_of,
    message_from_v091,
    read_properties,
    v091_content,
)
from bridgehead.protocols.amqp.mapping.message_v1 import message_from_v1, v1_payload
from tests.amqp.codec import strategies
from tests.amqp.test_mapping_messages import NOW, SENDER, recovered, taken

clause = pytest.mark.clause


# Others to 1.0. ---------------------------------------------------------------------------------------

user_properties = st.lists(st.tuples(strategies.short_texts, strategies.short_texts), max_size=4).map(tuple)
canonical = st.builds(
    MessageProperties,
    st.none() | st.just("text/plain"),
    st.booleans(),
    st.none() | st.just("Office/replies"),
    st.none() | st.binary(max_size=40),
    user_properties,
    st.integers(0, 255),
)


@given(canonical, st.binary(max_size=300), st.integers(0, 2))
def test_a_message_of_mqtt_means_the_same_after_1_0(properties: MessageProperties, body: bytes, qos: int) -> None:
    sent = Message("Office/x", body, qos, False, SENDER, properties)
    back = message_from_v1("Office/x", v1_payload(sent, NOW), qos, SENDER, NOW)
    assert back.payload == body
    assert back.properties.content_type == (
        properties.content_type or ("text/plain;charset=utf-8" if properties.is_text else None)
    )
    assert back.properties.response_topic == properties.response_topic
    assert back.properties.correlation_data == properties.correlation_data
    assert back.properties.priority == properties.priority
    # A map has each key once.
    assert dict(back.properties.user_properties) == {
        name: value for name, value in properties.user_properties if "\0" not in name + value
    } or any("\0" in name + value for name, value in properties.user_properties)


@given(canonical, st.binary(max_size=300))
def test_a_message_of_mqtt_means_the_same_after_0_9_1(properties: MessageProperties, body: bytes) -> None:
    sent = Message("Office/x", body, 1, False, SENDER, properties)
    back = message_from_v091("Office/x", v091_content(sent, NOW), body, SENDER, NOW)
    assert (back.payload, back.qos) == (body, 1)
    assert back.properties.response_topic == properties.response_topic
    assert back.properties.correlation_data == (properties.correlation_data or None)
    assert back.properties.priority == properties.priority


# 0-9-1. -----------------------------------------------------------------------------------------------

short = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
contents = st.builds(
    lambda **given_: bytes(commands.Basic.Properties(**given_).marshal()),
    content_type=st.none() | st.just("text/plain"),
    headers=st.none()
    | st.dictionaries(
        short.filter(bool), st.one_of(short, st.integers(-(1 << 40), 1 << 40), st.booleans()), max_size=4
    ),
    delivery_mode=st.sampled_from([None, 1, 2]),
    priority=st.none() | st.integers(0, 255),
    correlation_id=st.none() | short,
    reply_to=st.none() | st.sampled_from(["amq.gen-1", "/topics/Office%2Freplies", "/topics/%"]),
    expiration=st.sampled_from([None, "5000"]),
    message_id=st.none() | short,
    message_type=st.none() | short,
    user_id=st.sampled_from([None, "sender"]),
    app_id=st.none() | short,
)


@clause("AMQP091-4.2.6")
@given(contents, st.binary(max_size=100))
def test_a_consumer_of_0_9_1_gets_the_properties_octet_for_octet(content: bytes, body: bytes) -> None:
    for message in (
        message_from_v091("t", content, body, SENDER, NOW),
        recovered(message_from_v091("t", content, body, SENDER, NOW)),
    ):
        assert message.payload == body
        assert _same(v091_content(message, NOW + 2), content)


def _same(one: bytes, other: bytes) -> bool:
    """A message that says its delivery mode alone is said in the usual way."""
    return one == other or (other == b"\0\0" and one == TRANSIENT)


@given(contents, st.binary(max_size=100))
def test_a_message_of_0_9_1_means_the_same_after_1_0(content: bytes, body: bytes) -> None:
    message = message_from_v091("t", content, body, SENDER, NOW)
    back = message_from_v1("t", v1_payload(message, NOW), message.qos, SENDER, NOW)
    one, other = message.properties, back.properties
    assert back.payload == body
    for name in ("content_type", "response_topic", "correlation_data", "priority"):
        assert getattr(one, name) == getattr(other, name), name
    assert dict(one.user_properties) == dict(other.user_properties)
    assert back.expires_at == message.expires_at


@clause("AMQP091-basic.publish")
def test_delivery_mode_is_the_guarantee() -> None:
    for content, qos in ((TRANSIENT, 0), (PERSISTENT, 1), (b"\0\0", 0)):
        message = message_from_v091("t", content, b"x", SENDER, NOW)
        assert (message.qos, message.properties) == (qos, NO_PROPERTIES)
        assert v091_content(message, NOW) == (PERSISTENT if qos else TRANSIENT)


def content_of(**given_: object) -> bytes:
    made = commands.Basic.Properties()
    for name, value in given_.items():
        setattr(made, name, value)
    return bytes(made.marshal())


def test_a_user_id_of_0_9_1_is_the_senders_own() -> None:
    with pytest.raises(Refusal) as raised:
        message_from_v091("t", content_of(user_id="somebody"), b"", SENDER, NOW)
    assert raised.value.meaning == NOT_AUTHORIZED


@pytest.mark.parametrize("expiration", ["soon", "-1", "1.5", "١", "9" * 16])
def test_an_expiration_is_a_number_of_milliseconds(expiration: str) -> None:
    with pytest.raises(Refusal) as raised:
        message_from_v091("t", content_of(expiration=expiration), b"", SENDER, NOW)
    assert raised.value.meaning == PAYLOAD_FORMAT_INVALID


def test_retain_is_a_header() -> None:
    message = message_from_v091("t", content_of(headers={"x-retain": True, "unit": "C"}), b"x", SENDER, NOW)
    assert message.retain
    assert message.properties.user_properties == (("unit", "C"),)
    assert headers_of(message)["unit"] == "C"


def test_headers_added_at_a_death_lie_over_its_own() -> None:
    message = message_from_v091("t", content_of(headers={"a": 1}, expiration="5000"), b"x", SENDER, NOW)
    found = read_properties(v091_content(message, NOW, {"x-death": "y"}))
    assert found.headers == {"a": 1, "x-death": "y"}
    assert found.expiration is None
    other = taken(put_section(APPLICATION_PROPERTIES, {"unit": "C"}) + put_data(b"x"))
    assert read_properties(v091_content(other, NOW, {"x-death": "y"})).headers == {"unit": "C", "x-death": "y"}


@given(st.binary(max_size=40))
def test_hostile_content_headers_are_a_message_or_a_fault(content: bytes) -> None:
    try:
        message = message_from_v091("t", content, b"x", SENDER, NOW)
    except (ContentFault, Refusal):
        return
    v1_payload(message, NOW)


# CloudEvents, through. --------------------------------------------------------------------------------


def test_an_event_of_1_0_is_one_for_0_9_1_and_back() -> None:
    event = {
        "cloudEvents:" + name: value
        for name, value in (("specversion", "1.0"), ("id", "7"), ("source", "/l"), ("type", "t"))
    }
    message = taken(
        put_properties(Properties(content_type="application/json"))
        + put_section(APPLICATION_PROPERTIES, event)
        + put_data(json.dumps({"t": 21.5}).encode())
    )
    assert dict(message.properties.user_properties) == {"specversion": "1.0", "id": "7", "source": "/l", "type": "t"}
    found = read_properties(v091_content(message, NOW))
    assert found.content_type == "application/json"
    assert found.headers == {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": "7",
        "cloudEvents_source": "/l",
        "cloudEvents_type": "t",
    }
    # A receiver of 1.0 gets it with the prefix that its sender wrote.
    assert Sections(v1_payload(message, NOW)).application_properties() == event
