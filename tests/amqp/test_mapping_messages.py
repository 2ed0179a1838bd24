"""Messages of 1.0 and 0-9-1 on their way through the hub: the same to their own kind, the same meaning to others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.broker import records
from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
from bridgehead.core.message import NEVER, NOT_DURABLE, Message, Origin
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_SEQUENCE,
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    Header,
    Properties,
    Sections,
    put_data,
    put_header,
    put_properties,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.types import Symbol, ULong, Uuid
from bridgehead.protocols.amqp.codec.v1.writer import encode_value
from bridgehead.protocols.amqp.mapping.message_v091 import (
    read_properties,
    v091_content,
)
from bridgehead.protocols.amqp.mapping.message_v1 import (
    FORM,
    HEAD_FORM,
    message_from_v1,
    to_of,
    v1_delivery,
    v1_payload,
)
from tests.amqp.codec import strategies
from tests.amqp.codec.test_sections import headers, identifiers, times

clause = pytest.mark.clause
SENDER = Origin("sender", "amqp", True)
NOW = 1_700_000_000.0
BARE = [HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS]
annotation_maps = st.dictionaries(
    strategies.symbols.map(lambda name: Symbol("x-opt-my-" + name)), strategies.simple, max_size=3
)
application = st.dictionaries(strategies.short_texts, strategies.simple, max_size=4)
bodies = st.one_of(
    st.binary(max_size=400).map(put_data),
    st.lists(st.binary(max_size=20).map(put_data), min_size=2, max_size=3).map(b"".join),
    st.lists(strategies.values, max_size=3).map(lambda items: put_section(AMQP_SEQUENCE, items)),
    strategies.values.map(lambda value: put_section(AMQP_VALUE, value)),
)
properties = st.builds(
    Properties,
    identifiers,
    st.none() | st.just(b"sender"),
    strategies.names,
    strategies.names,
    strategies.names,
    identifiers,
    st.none() | strategies.short_symbols,
    st.none() | strategies.short_symbols,
    times,
    times,
    strategies.names,
    strategies.optional_uints,
    strategies.names,
)


def maybe(section: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.just(b"") | section


messages = st.tuples(
    maybe(headers.map(put_header)),
    maybe(annotation_maps.map(lambda found: put_section(DELIVERY_ANNOTATIONS, found))),
    maybe(annotation_maps.map(lambda found: put_section(MESSAGE_ANNOTATIONS, found))),
    maybe(properties.map(put_properties)),
    maybe(application.map(lambda found: put_section(APPLICATION_PROPERTIES, found))),
    bodies,
    maybe(annotation_maps.map(lambda found: put_section(FOOTER, found))),
).map(b"".join)


def taken(payload: bytes, qos: int = 1, topic: str = "Office/x") -> Message:
    return message_from_v1(topic, payload, qos, SENDER, NOW)


def recovered(message: Message) -> Message:
    """As it is after a restart of the hub."""
    return records.read_message(records.write_message(message))


# 1.0 to 1.0. ------------------------------------------------------------------------------------------


@clause("AMQP-3.2", "AMQP-3.2.1", "AMQP-3.2.2", "AMQP-3.2.3", "AMQP-3.2.5", "AMQP-3.2.9")
@given(messages, st.integers(0, 2))
def test_a_receiver_of_1_0_gets_the_bare_message_octet_for_octet(payload: bytes, qos: int) -> None:
    sent = Sections(payload)
    for message in (taken(payload, qos), recovered(taken(payload, qos))):
        got = Sections(v1_payload(message, NOW))
        assert got.without(BARE) == sent.without(BARE)
        assert got.header().priority == sent.header().priority
        assert got.header().durable is (qos > 0 and sent.header().durable)
        assert not got.has(DELIVERY_ANNOTATIONS)  # 3.2.2: they are for the next hop
        theirs = got.annotations(MESSAGE_ANNOTATIONS)
        assert theirs.pop(Symbol("x-opt-topic")) == "Office/x"
        assert theirs == (sent.annotations(MESSAGE_ANNOTATIONS) if sent.has(MESSAGE_ANNOTATIONS) else {})


@given(messages)
def test_a_message_means_the_same_after_a_restart(payload: bytes) -> None:
    message = taken(payload)
    again = recovered(message)
    assert again.payload == message.payload
    assert (again.topic, again.qos, again.retain, again.expires_at) == (
        message.topic,
        message.qos,
        message.retain,
        message.expires_at,
    )
    one, other = message.properties, again.properties
    assert one.transient == other.transient
    for name in ("content_type", "is_text", "response_topic", "correlation_data", "user_properties", "priority"):
        assert getattr(one, name) == getattr(other, name), name


@given(messages)
def test_a_head_is_understood_the_second_time_as_the_first(payload: bytes) -> None:
    first, second = taken(payload), taken(payload)
    assert v1_payload(first, NOW) == v1_payload(second, NOW)
    assert first.expires_at == second.expires_at
    assert first.properties.user_properties == second.properties.user_properties


@clause("AMQP-3.2.6")
@given(st.binary(max_size=600))
def test_a_data_section_alone_needs_no_properties(body: bytes) -> None:
    message = taken(put_data(body))
    assert message.properties is NOT_DURABLE
    assert recovered(message).properties is NOT_DURABLE
    assert message.payload == body
    assert Sections(v1_payload(message, NOW)).data() == body


@clause("AMQP-3.2.1")
@pytest.mark.parametrize("durable", [None, False, True])
@pytest.mark.parametrize("more", [b"", put_properties(Properties(subject="s"))])
def test_durable_is_what_the_sender_says(durable: bool | None, more: bytes) -> None:
    """It is kept whatever that is when it is acknowledged; receivers of either version are told."""
    header = b"" if durable is None else put_header(Header(durable))
    message = recovered(taken(header + more + put_data(b"x")))
    assert message.qos == 1
    assert Sections(v1_payload(message, NOW)).header().durable is bool(durable)
    assert read_properties(v091_content(message, NOW)).delivery_mode == (2 if durable else 1)


def test_durable_of_what_comes_by_other_protocols_is_its_quality_of_service() -> None:
    for qos in (0, 1, 2):
        message = Message("t", b"x", qos, False, SENDER)
        assert Sections(v1_payload(message, NOW)).header().durable is (qos > 0)


def test_the_head_of_many_messages_is_read_once_and_kept_apart_from_the_body() -> None:
    front = put_header(Header(True)) + put_properties(Properties(content_type="text/plain"))
    one, other = taken(front + put_data(b"1")), taken(front + put_data(b"2" * 300))
    assert one.properties is other.properties
    assert one.properties.native is not None
    assert one.properties.native.form == HEAD_FORM
    assert one.properties.native.octets == put_properties(Properties(content_type="text/plain"))
    assert (one.payload, other.payload) == (b"1", b"2" * 300)


@given(properties, properties, annotation_maps, st.binary(max_size=20))
def test_what_numbers_a_message_changes_nothing_else(
    one: Properties, other: Properties, notes: dict[Symbol, object], body: bytes
) -> None:
    """The same by the way that decodes little and by the one that decodes all: a second data section takes that."""
    for each in (one, other):
        front = put_section(MESSAGE_ANNOTATIONS, notes) + put_properties(each)
        quick = taken(front + put_data(body))
        whole = taken(front + put_data(body) + put_data(b""))
        assert quick.payload == whole.payload == body
        assert (quick.expires_at, quick.retain) == (whole.expires_at, whole.retain)
        for name in ("content_type", "is_text", "response_topic", "correlation_data", "user_properties", "priority"):
            assert getattr(quick.properties, name) == getattr(whole.properties, name), name
        assert v1_payload(quick, NOW) + put_data(b"") == v1_payload(whole, NOW)


@pytest.mark.parametrize("content_type", [None, "a/b", "c/d"])
def test_a_numbered_message_keeps_its_own_number(content_type: str | None) -> None:
    identifiers: list[object] = ["m-1", ULong(7), ULong(700), Uuid(bytes(16)), b"x", None]
    for identifier in identifiers:
        for subject in ("s", "t" * 300, "ü"):
            sent = Properties(message_id=identifier, to="/topics/a", subject=subject, content_type=content_type)
            message = taken(put_header(Header(ttl=5000)) + put_properties(sent) + put_data(b"x"))
            found = Sections(v1_payload(message, NOW)).properties()
            assert (found.message_id, found.subject) == (identifier, subject)
            assert message.properties.content_type == content_type
            assert message.expires_at == NOW + 5


@pytest.mark.parametrize(
    "fields",
    [
        b"\xc0\x03\x01\xa1\x05",  # a text that runs past the end
        b"\xc0\x04\x01\xa1\x01x\x40",  # more octets than fields
        b"\xc0\x02\x02\x40",  # fewer
        b"\xc0\x05\x03\x40\x40\xa1\x01\xff",  # no UTF-8
        b"\xc0\x04\x04\x40\x40\x40\x41",  # a boolean for a subject
        b"\xc0\x09\x07\x40\x40\x40\x40\x40\x40\xa1\x00",  # a string for a content type
        b"\xd0\x00\x00\x00\x04\x00\x00\x00\x0e",
        b"\xd0\x00\x00\x00\x02\x00\x00",
    ],
)
def test_properties_that_are_none_are_refused_after_good_ones(fields: bytes) -> None:
    assert taken(put_properties(Properties(message_id="m")) + put_data(b"x")).payload == b"x"
    for _ in range(2):
        with pytest.raises(AmqpError):
            taken(b"\x00\x53\x73" + fields + put_data(b"x"))


def test_a_body_that_would_be_written_otherwise_is_kept_whole() -> None:
    long_way = b"\x00\x53\x75\xb0\x00\x00\x00\x01x"  # vbin32 of one octet
    message = taken(put_properties(Properties(subject="s")) + long_way)
    assert message.properties.native is not None
    assert message.properties.native.form == FORM
    assert v1_payload(message, NOW).endswith(long_way)
    assert message.payload == b"x"


@pytest.mark.parametrize(
    "payload",
    [
        put_section(AMQP_VALUE, 1) + put_data(b"x"),
        put_section(FOOTER, {}) + put_data(b"x"),
        put_properties(Properties()) + put_header(Header()) + put_data(b"x"),
        put_header(Header())[:-1] + put_data(b"x"),
        b"\x00\x53\x70\xc0",
        b"\x00\x53\x73\xd0\x00\x00\x00",
        b"\x00\x53\x75\xb0\x00\x00\x01\x00x",
        b"\x00\x53\x99\x45",
        b"x",
    ],
)
@clause("AMQP-3.2")
def test_what_is_no_message_is_refused_each_time(payload: bytes) -> None:
    for _ in range(2):
        with pytest.raises(AmqpError) as raised:
            taken(payload)
        assert raised.value.condition == "amqp:decode-error"


@given(st.binary(max_size=60))
def test_hostile_octets_are_a_message_or_an_error_of_amqp(payload: bytes) -> None:
    try:
        message = taken(payload)
    except (AmqpError, Refusal):
        return
    v1_payload(message, NOW)
    v091_content(message, NOW)


# Fields of 1.0. ---------------------------------------------------------------------------------------


@clause("AMQP-3.2.4")
def test_a_user_id_is_the_senders_own() -> None:
    payload = put_properties(Properties(user_id=b"sender")) + put_data(b"x")
    assert taken(payload).payload == b"x"
    foreign = put_properties(Properties(user_id=b"somebody")) + put_data(b"x")
    for _ in range(2):
        with pytest.raises(Refusal) as raised:
            taken(foreign)
        assert raised.value.meaning == NOT_AUTHORIZED
    # What was remembered for one sender is asked again of another.
    with pytest.raises(Refusal):
        message_from_v1("Office/x", payload, 1, Origin("other", "amqp", True), NOW)


@clause("AMQP-3.2.1")
@pytest.mark.parametrize(
    ("ttl", "until", "expires_at"),
    [(1500, None, NOW + 1.5), (-1, 1_700_000_003_000, NOW + 3), (5000, 1_700_000_003_000, NOW + 3), (-1, None, NEVER)],
)
def test_a_message_expires_when_its_sender_says(ttl: int, until: int | None, expires_at: float) -> None:
    payload = put_header(Header(ttl=ttl)) + put_properties(Properties(absolute_expiry_time=until)) + put_data(b"x")
    for now in (NOW, NOW):
        assert message_from_v1("Office/x", payload, 0, SENDER, now).expires_at == expires_at


def test_the_time_to_live_is_counted_down() -> None:
    message = taken(put_header(Header(ttl=5000)) + put_data(b"x"))
    assert Sections(v1_payload(message, NOW + 2)).header().ttl == 3000
    assert Sections(v1_payload(message, NOW + 60)).header().ttl == 0


def test_a_remembered_head_counts_from_the_new_message() -> None:
    payload = put_header(Header(ttl=5000)) + put_data(b"x")
    assert message_from_v1("t", payload, 0, SENDER, NOW).expires_at == NOW + 5
    assert message_from_v1("t", payload, 0, SENDER, NOW + 100).expires_at == NOW + 105


@clause("AMQP-3.2.10")
def test_retain_is_an_annotation_and_does_not_go_on() -> None:
    payload = put_section(MESSAGE_ANNOTATIONS, {Symbol("x-opt-retain"): True}) + put_data(b"x")
    message = taken(payload)
    assert message.retain
    live = Sections(v1_payload(message, NOW)).annotations(MESSAGE_ANNOTATIONS)
    assert live == {Symbol("x-opt-topic"): "Office/x"}
    kept = Sections(v1_delivery(message, NOW, True, 0, False, None)).annotations(MESSAGE_ANNOTATIONS)
    assert kept == {Symbol("x-opt-topic"): "Office/x", Symbol("x-opt-retain"): True}
    with pytest.raises(AmqpError) as raised:
        taken(put_section(MESSAGE_ANNOTATIONS, {Symbol("x-opt-retain"): 1}) + put_data(b"x"))
    assert raised.value.condition == "amqp:invalid-field"


def test_a_sender_cannot_name_another_topic() -> None:
    payload = put_section(MESSAGE_ANNOTATIONS, {Symbol("x-opt-topic"): "secret"}) + put_data(b"x")
    assert Sections(v1_payload(taken(payload), NOW)).annotations(MESSAGE_ANNOTATIONS) == {
        Symbol("x-opt-topic"): "Office/x"
    }


@clause("AMQP-3.2.1", "AMQP-3.4.5")
def test_a_delivery_that_is_not_the_first() -> None:
    message = taken(put_section(MESSAGE_ANNOTATIONS, {Symbol("x-opt-a"): 1}) + put_data(b"x"))
    added = encode_value({Symbol("x-opt-b"): 2, Symbol("x-opt-topic"): "lie"})
    got = Sections(v1_delivery(message, NOW, False, 3, True, added))
    assert (got.header().delivery_count, got.header().first_acquirer) == (3, True)
    assert got.annotations(MESSAGE_ANNOTATIONS) == {
        Symbol("x-opt-a"): 1,
        Symbol("x-opt-b"): 2,
        Symbol("x-opt-topic"): "Office/x",
    }
    assert got.data() == b"x"


def test_one_form_is_made_for_many_receivers() -> None:
    message = taken(put_data(b"x"))
    assert v1_payload(message, NOW) is v1_payload(message, NOW)


@pytest.mark.parametrize(
    ("body", "payload", "content_type", "is_text"),
    [
        (put_section(AMQP_VALUE, "grüße"), "grüße".encode(), "text/plain;charset=utf-8", True),
        (put_section(AMQP_VALUE, b"\x00\x01"), b"\x00\x01", None, False),
        (put_section(AMQP_VALUE, None), b"", None, False),
        (put_section(AMQP_VALUE, 21.5), b"21.5", "application/json", True),
        (put_section(AMQP_VALUE, {"t": 21.5, "ok": True}), b'{"t":21.5,"ok":true}', "application/json", True),
        (
            put_section(AMQP_SEQUENCE, [1, "a"]) + put_section(AMQP_SEQUENCE, [None]),
            b'[1,"a",null]',
            "application/json",
            True,
        ),
        (put_data(b"ab") + put_data(b"cd"), b"abcd", None, False),
    ],
)
@clause("AMQP-3.2.7", "AMQP-3.2.8")
def test_bodies_for_everybody_else(body: bytes, payload: bytes, content_type: str | None, is_text: bool) -> None:
    message = taken(body)
    assert (message.payload, message.properties.content_type, message.properties.is_text) == (
        payload,
        content_type,
        is_text,
    )
    assert taken(put_properties(Properties(content_type="x/y")) + body).properties.content_type == "x/y"


def test_what_properties_mean_to_mqtt() -> None:
    payload = (
        put_header(Header(priority=7))
        + put_properties(
            Properties(
                message_id="m",
                subject="s",
                reply_to="/topics/Office%2Freplies",
                correlation_id=ULong(7),
                content_type="a/b",
            )
        )
        + put_section(APPLICATION_PROPERTIES, {"unit": "C", "n": 7})
        + put_data(b"x")
    )
    properties = taken(payload).properties
    assert properties.content_type == "a/b"
    assert properties.response_topic == "Office/replies"
    assert properties.correlation_data == b"AMQP_ULONG:7"
    assert properties.user_properties == (("unit", "C"), ("n", "7"))
    assert properties.priority == 7


@pytest.mark.parametrize("reply_to", ["/queues/answers", "answers", "/topics/a%2F%23", "/topics/%", "/topics/a%00"])
def test_a_reply_to_that_is_no_topic_is_no_response_topic(reply_to: str) -> None:
    assert taken(put_properties(Properties(reply_to=reply_to)) + put_data(b"x")).properties.response_topic is None


@clause("AMQPANON-2", "AMQP-3.2.15")
def test_to_is_read_without_the_rest() -> None:
    assert to_of(put_properties(Properties(to="/topics/a")) + put_data(b"x")) == "/topics/a"
    assert to_of(put_data(b"x")) is None
    with pytest.raises(AmqpError):
        to_of(put_properties(Properties(to=b"a")) + put_data(b"x"))


def test_data_is_what_it_says() -> None:
    assert Sections(v1_payload(taken(put_data(b"x")), NOW)).body == DATA
    assert not Sections(v1_payload(taken(put_data(b"x"), 0), NOW)).has(HEADER)
    assert not Sections(v1_payload(taken(put_data(b"x"), 0), NOW)).has(PROPERTIES)
