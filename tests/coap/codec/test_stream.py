"""Messages on a byte stream and in WebSocket messages: RFC 8323 sections 3.2 and 4.2."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.errors import MessageFormatError, MessageTooLarge
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.stream import (
    StreamDecoder,
    decode_websocket,
    encode_stream,
    encode_websocket,
)
from bridgehead.wire.errors import PeerError
from tests.coap.codec.messages import as_tuple, messages


@pytest.mark.clause("RFC8323-3.2")
@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, "0145aa"),
        (12, "c145aa"),
        (13, "d10045aa"),
        (268, "d1ff45aa"),
        (269, "e1000045aa"),
        (65_804, "e1ffff45aa"),
        (65_805, "f10000000045aa"),
        (100_000, "f10000859345aa"),
    ],
)
def test_the_length_has_four_forms(length: int, head: str) -> None:
    payload = bytes(length - 1) if length else b""
    message = Message(codes.CONTENT, (), payload, b"\xaa")
    octets = encode_stream(message)
    assert octets[: len(head) // 2].hex() == head
    assert len(octets) == len(head) // 2 + length
    [back] = StreamDecoder(200_000).feed(octets)
    assert as_tuple(back) == as_tuple(message)


@pytest.mark.clause("RFC8323-3.2")
@given(st.lists(messages(stream=True), max_size=5), st.lists(st.integers(0, 2000), max_size=8))
def test_any_cut_of_the_stream_gives_the_same(sent: list[Message], cuts: list[int]) -> None:
    octets = b"".join(encode_stream(message) for message in sent)
    decoder = StreamDecoder(10_000)
    places = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    got: list[Message] = []
    for begin, end in pairwise(places):
        got += decoder.feed(octets[begin:end])
    assert [as_tuple(message) for message in got] == [as_tuple(message) for message in sent]
    assert decoder.held == 0


@pytest.mark.clause("RFC8323-3.2")
def test_a_long_message_in_many_pieces() -> None:
    message = Message(codes.PUT, (), bytes(range(256)) * 1000, b"t")
    octets = encode_stream(message) * 2
    decoder = StreamDecoder(300_000)
    got: list[Message] = []
    for at in range(0, len(octets), 1000):
        got += decoder.feed(octets[at : at + 1000])
        assert decoder.held <= 257_000
    assert [as_tuple(each) for each in got] == [as_tuple(message)] * 2


@pytest.mark.clause("RFC8323-5.3")
def test_a_message_beyond_the_maximum_is_refused_by_its_header() -> None:
    decoder = StreamDecoder(1152)
    with pytest.raises(MessageTooLarge) as caught:
        decoder.feed(bytes.fromhex("f0ffffffff45"))
    assert caught.value.size == 0xFFFFFFFF + 65_805 + 6
    assert decoder.held == 0
    exactly = encode_stream(Message(codes.CONTENT, (), bytes(1147)))
    assert len(exactly) == 1152
    assert len(StreamDecoder(1152).feed(exactly)) == 1
    with pytest.raises(MessageTooLarge):
        StreamDecoder(1151).feed(exactly)


@pytest.mark.clause("RFC8323-3.2")
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_octets_give_messages_or_a_peer_error(parts: list[bytes]) -> None:
    decoder = StreamDecoder(64)
    for part in parts:
        try:
            for message in decoder.feed(part):
                [back] = StreamDecoder(100_000).feed(encode_stream(message))
                assert as_tuple(back) == as_tuple(message)
        except PeerError:
            return
        assert decoder.held <= 64


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("0901", "a token length of 9 is reserved"),
        ("0021", "codes of class 1 are reserved"),
        ("00c0", "codes of class 6 are reserved"),
        ("1001ff", "nothing follows the payload marker"),
        ("2001b461", "option 11 is cut short"),
    ],
)
@pytest.mark.clause("RFC8323-3.2")
def test_a_fault_on_the_stream(octets: str, text: str) -> None:
    with pytest.raises(MessageFormatError, match=text):
        StreamDecoder(1152).feed(bytes.fromhex(octets))


@pytest.mark.clause("RFC8323-4.2")
@given(messages(stream=True))
def test_a_websocket_message_is_one_message(message: Message) -> None:
    octets = encode_websocket(message)
    assert octets[0] >> 4 == 0
    assert as_tuple(decode_websocket(octets)) == as_tuple(message)


@pytest.mark.clause("RFC8323-4.2")
@pytest.mark.parametrize("octets", ["", "00", "1001", "0901", "020100", "0001ff", "0021"])
def test_a_fault_within_websocket(octets: str) -> None:
    with pytest.raises(MessageFormatError):
        decode_websocket(bytes.fromhex(octets))


def test_messages_before_a_fault_are_kept() -> None:
    decoder = StreamDecoder(1152)
    with pytest.raises(MessageFormatError):
        decoder.feed(bytes.fromhex("0001" + "0002" + "0fff"))
    assert [message.code for message in decoder.messages] == [codes.GET, codes.POST]


def test_a_token_too_long_is_our_own_fault() -> None:
    with pytest.raises(LocalMisuse):
        encode_stream(Message(codes.GET, token=bytes(9)))
