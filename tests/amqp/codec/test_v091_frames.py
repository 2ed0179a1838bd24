"""Frames of AMQP 0-9-1, however the stream is cut; the hot methods by hand against pamqp, which is not ours."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp import frame as foreign
from pamqp.header import ContentHeader

from bridgehead.protocols.amqp.codec.v091.errors import (
    FRAME_ERROR,
    SYNTAX_ERROR,
    ConnectionFault,
    reply_text,
)
from bridgehead.protocols.amqp.codec.v091.frames import BODY, HEADER, HEARTBEAT, METHOD, Decoder, frame
from bridgehead.protocols.amqp.codec.v091.hot import (
    decode_ack,
    decode_publish,
    encode_ack,
    encode_content,
    encode_deliver,
    encode_nack,
    is_basic,
    short_string,
)

clause = pytest.mark.clause
names = st.text(max_size=40).filter(lambda text: len(text.encode()) <= 127)
frames = st.lists(
    st.tuples(st.sampled_from([METHOD, HEADER, BODY, HEARTBEAT]), st.integers(0, 65_535), st.binary(max_size=60)),
    max_size=6,
)


def unframed(octets: bytes) -> bytes:
    """The payload of the one frame."""
    (found,) = Decoder(131_072).feed(octets)
    return found.payload


@clause("AMQP091-4.2.3")
@given(frames, st.lists(st.integers(0, 500), max_size=6))
def test_frames_come_back_however_the_stream_is_cut(wanted: list[tuple[int, int, bytes]], places: list[int]) -> None:
    octets = b"".join(frame(kind, channel, payload) for kind, channel, payload in wanted)
    bounds = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    decoder = Decoder(4096)
    found = [each for start, end in pairwise(bounds) for each in decoder.feed(octets[start:end])]
    assert [(each.kind, each.channel, each.payload) for each in found] == wanted


@clause("AMQP091-4.2.3")
@pytest.mark.parametrize(
    ("octets", "because"),
    [
        (b"\x01\x00\x01\x00\x00\x0f\xf9", "frame-max"),
        (b"\x01\x00\x01\xff\xff\xff\xff", "frame-max"),
        (b"\x04\x00\x00\x00\x00\x00\x00\xce", "type of a frame"),
        (b"\x00\x00\x00\x00\x00\x00\x00\xce", "type of a frame"),
        (b"\x01\x00\x00\x00\x00\x00\x01aX", "frame-end"),
    ],
)
def test_what_is_no_frame_is_a_fault_for_ever(octets: bytes, because: str) -> None:
    """A frame above the ceiling is one before a single octet of its payload is there."""
    decoder = Decoder(4096)
    good = frame(METHOD, 7, b"good")
    for _ in range(2):
        with pytest.raises(ConnectionFault, match=because) as fault:
            decoder.feed(good + octets)
        assert fault.value.code == FRAME_ERROR
    decoder = Decoder(4096)
    with pytest.raises(ConnectionFault):
        decoder.feed(good + octets)
    assert [each.payload for each in decoder.frames] == [b"good"]


@clause("AMQP091-4.2.3")
def test_a_frame_of_just_frame_max_is_one() -> None:
    payload = bytes(4096 - 8)
    assert len(Decoder(4096).feed(frame(BODY, 1, payload))) == 1
    with pytest.raises(ConnectionFault):
        Decoder(4096).feed(frame(BODY, 1, payload + b"x"))


# The hot methods. -----------------------------------------------------------------------------------


@clause("AMQP091-basic.publish")
@given(st.from_regex(r"[a-zA-Z0-9\-_.:@#,/ +]{0,60}", fullmatch=True), names, st.booleans(), st.booleans())
def test_publish_is_read_as_pamqp_writes_it(exchange: str, key: str, mandatory: bool, immediate: bool) -> None:
    payload = unframed(foreign.marshal(commands.Basic.Publish(0, exchange, key, mandatory, immediate), 3))
    assert is_basic(payload, 40)
    got = decode_publish(payload)
    assert (got.exchange, got.routing_key, got.mandatory, got.immediate) == (exchange, key, mandatory, immediate)
    for end in range(4, len(payload)):
        with pytest.raises(ConnectionFault) as fault:
            decode_publish(payload[:end])
        assert fault.value.code == SYNTAX_ERROR
    with pytest.raises(ConnectionFault):
        decode_publish(payload + b"x")


@clause("AMQP091-basic.publish")
def test_a_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ConnectionFault, match="UTF-8"):
        decode_publish(b"\x00\x3c\x00\x28\x00\x00\x01\xff\x00\x00")


@clause("AMQP091-basic.ack", "AMQP091-basic.nack")
@given(st.integers(0, 65_535), st.integers(0, 2**63 - 1), st.booleans())
def test_acknowledgements(channel: int, tag: int, multiple: bool) -> None:
    octets = encode_ack(channel, tag, multiple)
    _, number, method = foreign.unmarshal(octets)
    assert isinstance(method, commands.Basic.Ack)
    assert (number, method.delivery_tag, method.multiple) == (channel, tag, multiple)
    assert decode_ack(unframed(octets)) == (tag, multiple)
    _, number, refusal = foreign.unmarshal(encode_nack(channel, tag))
    assert isinstance(refusal, commands.Basic.Nack)
    assert (number, refusal.delivery_tag, refusal.multiple, refusal.requeue) == (channel, tag, False, False)
    with pytest.raises(ConnectionFault):
        decode_ack(unframed(octets)[:-1])


@clause("AMQP091-basic.deliver")
@given(names, names, names, st.integers(1, 65_535), st.integers(1, 2**63 - 1), st.booleans())
def test_deliver_is_what_pamqp_reads(
    tag: str, exchange: str, key: str, channel: int, delivery_tag: int, again: bool
) -> None:
    octets = encode_deliver(short_string(tag), channel, delivery_tag, again, short_string(exchange) + short_string(key))
    consumed, number, method = foreign.unmarshal(octets)
    assert isinstance(method, commands.Basic.Deliver)
    assert (consumed, number) == (len(octets), channel)
    assert (method.consumer_tag, method.delivery_tag, method.redelivered) == (tag, delivery_tag, again)
    assert (method.exchange, method.routing_key) == (exchange, key)


@clause("AMQP091-4.2.6")
@given(st.integers(0, 12_000), st.integers(1, 9))
def test_content_is_cut_to_frame_max(size: int, channel: int) -> None:
    body = bytes(i % 251 for i in range(size))
    properties = commands.Basic.Properties(content_type="a/b", delivery_mode=2, headers={"n": 1}).marshal()
    octets = encode_content(channel, properties, body, 4096)
    consumed, number, head = foreign.unmarshal(octets)
    assert isinstance(head, ContentHeader)
    assert (number, head.body_size, head.properties.headers) == (channel, size, {"n": 1})
    parts = Decoder(4096).feed(octets[consumed:])  # none is larger
    assert b"".join(part.payload for part in parts) == body
    assert {(part.kind, part.channel) for part in parts} <= {(BODY, channel)}
    assert len(parts) == -(-size // 4088)


@clause("AMQP091-4.2.5.3")
def test_short_strings_and_reply_texts_never_grow_too_long() -> None:
    longest = short_string("x" * 300)
    assert (longest[0], len(longest)) == (255, 256)
    several = short_string("ü" * 200)
    assert several[0] == len(several) - 1 <= 255
    text = reply_text(406, "ü" * 200)
    assert text.startswith("PRECONDITION_FAILED - ")
    assert len(text.encode()) <= 255
