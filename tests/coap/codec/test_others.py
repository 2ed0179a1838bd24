"""Our octets read by aiocoap, and its octets read by us: datagrams, streams, links, URIs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.content_formats import MEDIA_TYPES
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.link_format import Link, parse_links, write_links
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.options import OPTIONS
from bridgehead.protocols.coap.codec.stream import StreamDecoder, encode_stream
from bridgehead.protocols.coap.codec.uri import parse_uri
from tests.coap.codec.messages import as_tuple, messages

aiocoap: Any = import_module("aiocoap")  # which has no types
theirs: Any = import_module("aiocoap.numbers")
theirs_message: Any = import_module("aiocoap.message")
tcp: Any = import_module("aiocoap.transports.tcp")
link_header: Any = import_module("aiocoap.util.linkformat")

_KNOWN_CODES = {int(code) for code in theirs.codes.Code}
# aiocoap reads an option's value by its format; unknown numbers are opaque there as here.
_OPAQUE = list(range(2050, 65_000, 1000))
_NAMED = [option.IF_MATCH, option.ETAG, option.URI_PATH, option.URI_QUERY, option.LOCATION_PATH, option.ECHO]


def sent() -> st.SearchStrategy[Message]:
    """Messages with options that both take as octets or text."""
    text = st.text(max_size=30).map(str.encode)
    opaque = st.binary(min_size=1, max_size=8)
    strings = (option.URI_PATH, option.URI_QUERY, option.LOCATION_PATH)
    choices = [st.tuples(st.just(number), text if number in strings else opaque) for number in _NAMED]
    choices += [st.tuples(st.just(number), st.binary(max_size=300)) for number in _OPAQUE]
    options = st.lists(st.one_of(choices), max_size=6).map(lambda found: tuple(sorted(found, key=lambda each: each[0])))
    return st.builds(
        Message,
        st.sampled_from(sorted(_KNOWN_CODES - {0, *range(0xE0, 0x100)})),
        options,
        st.binary(max_size=100),
        st.binary(max_size=8),
        st.integers(0, 3),
        st.integers(0, 65_535),
    )


def as_theirs(message: Any) -> tuple[object, ...]:
    options = tuple((int(each.number), bytes(each.encode())) for each in message.opt.option_list())
    return int(message.code), options, bytes(message.payload), bytes(message.token), int(message.mtype), message.mid


@pytest.mark.clause("RFC7252-3")
@pytest.mark.clause("RFC7252-3.1")
@given(sent())
def test_aiocoap_reads_what_we_write_and_we_what_it_writes(message: Message) -> None:
    octets = encode(message)
    read = aiocoap.Message.decode(octets)
    assert as_theirs(read) == as_tuple(message)
    read.direction = theirs_message.Direction.OUTGOING
    assert bytes(read.encode()) == octets
    assert as_tuple(decode(bytes(read.encode()))) == as_tuple(message)


@pytest.mark.clause("RFC8323-3.2")
@given(messages(stream=True).filter(lambda message: message.code in _KNOWN_CODES))
def test_aiocoap_reads_our_stream(message: Message) -> None:
    octets = encode_stream(message)
    offset, token, length = tcp._extract_message_size(octets)
    assert (token, offset + token + length) == (len(message.token), len(octets))


@pytest.mark.clause("RFC8323-3.2")
@given(st.integers(0, 70_000), st.binary(max_size=8))
def test_we_read_its_stream(size: int, token: bytes) -> None:
    made = aiocoap.Message(code=aiocoap.CONTENT, payload=bytes(size), _token=token)
    [message] = StreamDecoder(100_000).feed(tcp._serialize(made))
    assert (message.code, len(message.payload), message.token) == (codes.CONTENT, size, token)


def test_the_registries_agree() -> None:
    known = [number for number in MEDIA_TYPES if theirs.ContentFormat(number).is_known()]
    assert len(known) > 50
    for number in known:
        media_type = theirs.ContentFormat(number).media_type
        assert MEDIA_TYPES[number].replace(" ", "").replace('"', "") == media_type.replace(" ", "").replace('"', "")
    for each in theirs.optionnumbers.OptionNumber:
        if int(each) in OPTIONS:
            assert option.is_critical(int(each)) is each.is_critical()
            assert option.is_unsafe(int(each)) is each.is_unsafe()


@pytest.mark.clause("RFC6690-2")
@given(st.lists(st.tuples(st.text("abc/%20~", min_size=1, max_size=9), st.text("ab c,;<>=1", max_size=9)), max_size=4))
def test_our_links_are_read_alike(parts: list[tuple[str, str]]) -> None:
    links = [Link(f"/{target}", (("rt", value), ("ct", "40"))) for target, value in parts]
    document = write_links(links)
    read = link_header.parse(document)
    assert [each.href for each in read.links] == [link.target for link in links]
    assert [each.rt for each in read.links] == [[value] for _, value in parts]
    assert [link.target for link in parse_links(str(read).encode())] == [link.target for link in links]


@pytest.mark.clause("RFC7252-6.4")
@pytest.mark.parametrize(
    "text",
    [
        "coap://example.com/~sensors/temp.xml",
        "coap://example.com/%E3%81%93/a%2Fb//c?x=%26&y",
        "coap://example.com",
        "coap://example.com:61616/a/",
    ],
)
def test_a_uri_is_the_same_options(text: str) -> None:
    ours = parse_uri(text)
    made = aiocoap.Message(code=aiocoap.GET, uri=text)
    assert [segment.decode() for segment in ours.path] == list(made.opt.uri_path)
    assert [argument.decode() for argument in ours.query] == list(made.opt.uri_query)
