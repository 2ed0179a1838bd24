"""Between CoAP's messages and the canonical message: every line of the tables in mapping.py, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core import errors
from bridgehead.core.errors import NAME_INVALID, Refusal
from bridgehead.core.message import NEVER, NO_PROPERTIES, Message, MessageProperties, Origin
from bridgehead.core.topic import check_topic_name
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.codec import codes, content_formats, numbers
from bridgehead.protocols.coap.codec.message import CON, uint_value
from bridgehead.protocols.coap.codec.message import Message as Request
from bridgehead.protocols.coap.codec.uri import parse_uri, path_text

ORIGIN = Origin("sensor", "coap", True)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=40)
TOPICS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0+#/"), max_size=20), max_size=6).map(
    "/".join
)


def request(*options: tuple[int, bytes], payload: bytes = b"21.5") -> Request:
    return Request(codes.PUT, tuple(options), payload, b"tk", CON, 77)


# Names. -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "uri"),
    [
        ("Office/Meetingroom/Temperature", "/t/Office/Meetingroom/Temperature"),
        ("/", "/t//"),
        ("a/", "/t/a/"),
        ("/a", "/t//a"),
        ("a//b", "/t/a//b"),
        ("a b/50%", "/t/a%20b/50%25"),
        ("Büro/Tür", "/t/B%C3%BCro/T%C3%BCr"),
        ("$SYS/broker/uptime", "/t/$SYS/broker/uptime"),
        ("?&=", "/t/%3F&="),
    ],
)
@pytest.mark.clause("RFC7252-5.10.1")
def test_a_topic_is_a_path(topic: str, uri: str) -> None:
    segments = mapping.path_of_topic(topic)
    assert path_text(segments) == uri
    assert mapping.topic_of_path(segments) == topic
    assert list(parse_uri("coap://hub" + uri).path) == segments


@given(TEXT)
def test_what_has_a_path_comes_back_from_it(topic: str) -> None:
    if not mapping.has_path(topic):
        with pytest.raises(Refusal):
            mapping.path_of_topic(topic)
        return
    check_topic_name(topic)
    segments = mapping.path_of_topic(topic)
    assert mapping.topic_of_path(segments) == topic
    assert all(len(segment) <= 255 and segment not in (b".", b"..") for segment in segments)


@given(TOPICS, TOPICS)
def test_two_topics_never_have_one_path(one: str, other: str) -> None:
    if one != other and one and other and mapping.has_path(one) and mapping.has_path(other):
        assert mapping.path_of_topic(one) != mapping.path_of_topic(other)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=5), st.lists(st.binary(max_size=8), min_size=1, max_size=5))
def test_two_paths_never_are_one_topic(one: list[bytes], other: list[bytes]) -> None:
    def topic(levels: list[bytes]) -> str | None:
        try:
            return mapping.topic_of_path([b"t", *levels])
        except Refusal:
            return None

    found = topic(one)
    if found is not None and one != other:
        assert found != topic(other)


@pytest.mark.parametrize("segment", [b"a/b", b"/", b".", b"..", b"\xff", b"\xed\xa0\x80"])
def test_segments_that_are_no_level_are_refused(segment: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        mapping.topic_of_path([b"t", segment])
    assert refusal.value.meaning == NAME_INVALID


@pytest.mark.parametrize("topic", ["a/" + "x" * 256, "ü" * 128, ".", "a/../b", "./a", "a/."])
def test_topics_without_a_path(topic: str) -> None:
    assert not mapping.has_path(topic)
    with pytest.raises(Refusal):
        mapping.path_of_topic(topic)


def test_the_longest_level_has_a_path() -> None:
    assert mapping.has_path("x" * 255 + "/" + "ü" * 127)
    assert mapping.has_path(".../a.b/.c")


# Content. -----------------------------------------------------------------------------------------


@given(st.integers(0, 65535))
def test_every_content_format_comes_back(number: int) -> None:
    assert mapping.content_format_of(mapping.properties_of(number)) == number


def test_media_types_and_numbers() -> None:
    assert mapping.properties_of(content_formats.JSON).content_type == "application/json"
    assert mapping.content_format_of(MessageProperties("application/cbor")) == content_formats.CBOR
    assert mapping.content_format_of(MessageProperties("text/plain")) == content_formats.TEXT
    assert mapping.properties_of(mapping.NO_FORMAT) is NO_PROPERTIES
    assert mapping.content_format_of(NO_PROPERTIES) == mapping.NO_FORMAT


def test_text_is_said_in_both_ways() -> None:
    text = mapping.properties_of(content_formats.TEXT)
    assert text.is_text
    assert text.content_type == "text/plain; charset=utf-8"
    assert mapping.content_format_of(MessageProperties(None, True)) == content_formats.TEXT


@pytest.mark.parametrize("text", ["application/x-unknown", "application/octet-stream; coap-content-format=65536", ""])
def test_a_media_type_without_a_number_is_lost(text: str) -> None:
    assert mapping.content_format_of(MessageProperties(text)) == mapping.NO_FORMAT


def test_what_of_a_request_is_in_the_message() -> None:
    made = mapping.message_of_request(
        request((numbers.CONTENT_FORMAT, uint_value(50)), (numbers.MAX_AGE, uint_value(300))),
        "a/b",
        1,
        True,
        ORIGIN,
        1000,
    )
    assert (made.topic, made.payload, made.qos, made.retain) == ("a/b", b"21.5", 1, True)
    assert made.origin is ORIGIN
    assert made.properties.content_type == "application/json"
    assert made.expires_at == 1300


def test_what_of_a_request_is_lost() -> None:
    plain = mapping.message_of_request(request(), "a", 0, False, ORIGIN, 1000)
    other = mapping.message_of_request(request((numbers.URI_HOST, b"hub"), (65000, b"x")), "a", 0, False, ORIGIN, 1000)
    assert plain.properties is NO_PROPERTIES
    assert other.properties is NO_PROPERTIES
    assert plain.expires_at == other.expires_at == NEVER


@pytest.mark.parametrize(
    ("expires_at", "now", "max_age"),
    [(NEVER, 1000.0, -1), (1010.0, 1000.0, 10), (1010.9, 1000.0, 10), (999.0, 1000.0, 0), (1e15, 0.0, 0xFFFFFFFF)],
)
@pytest.mark.clause("RFC7252-5.10.5")
def test_what_is_left_is_told_in_max_age(expires_at: float, now: float, max_age: int) -> None:
    message = Message("a", b"", 0, True, ORIGIN, NO_PROPERTIES, expires_at)
    assert mapping.max_age_of(message, now) == max_age


# Refusals. ----------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7252-5.9.2")
def test_every_meaning_of_a_refusal_has_a_code() -> None:
    meanings = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)}
    assert meanings == set(mapping.RESPONSE_CODES)
    for meaning in meanings:
        assert mapping.code_of(Refusal(meaning, "because")) >= codes.BAD_REQUEST
