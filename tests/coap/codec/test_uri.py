"""URIs and the options that stand for them: RFC 7252 sections 6.4 and 6.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.uri import (
    PORTS,
    Uri,
    is_address,
    location_of,
    parse_uri,
    path_text,
    query_text,
    uri_of,
)
from bridgehead.wire.errors import Malformed


@pytest.mark.clause("RFC7252-6.4")
@pytest.mark.parametrize(
    "text",
    [
        # RFC 7252 section 6.3: the three are the same.
        "coap://example.com:5683/~sensors/temp.xml",
        "coap://EXAMPLE.com/%7Esensors/temp.xml",
        "coap://EXAMPLE.com:/%7esensors/temp.xml",
    ],
)
def test_equivalent_uris(text: str) -> None:
    uri = parse_uri(text)
    assert (uri.scheme, uri.host, uri.port) == ("coap", "example.com", 5683)
    assert uri.path == (b"~sensors", b"temp.xml")
    assert str(uri) == "coap://example.com/~sensors/temp.xml"


@pytest.mark.clause("RFC7252-6.4")
@pytest.mark.parametrize(
    ("text", "to", "options"),
    [
        # RFC 7252 appendix B.
        ("coap://[2001:db8::2:1]/", ("2001:db8::2:1", 5683), ()),
        ("coap://example.net/", ("2001:db8::2:1", 5683), ((3, b"example.net"),)),
        (
            "coap://example.net/.well-known/core",
            ("2001:db8::2:1", 5683),
            ((3, b"example.net"), (11, b".well-known"), (11, b"core")),
        ),
        (
            "coap://xn--18j4d.example/%E3%81%93%E3%82%93%E3%81%AB%E3%81%A1%E3%81%AF",
            ("2001:db8::2:1", 5683),
            ((3, b"xn--18j4d.example"), (11, "こんにちは".encode())),
        ),
        (
            "coap://198.51.100.1:61616//%2F//?%2F%2F&?%26",
            ("198.51.100.1", 61616),
            ((11, b""), (11, b"/"), (11, b""), (11, b""), (15, b"//"), (15, b"?&")),
        ),
        # Sent to a proxy, the URI's own host and port go along.
        ("coap://198.51.100.1:61616/t", ("192.0.2.1", 5683), ((3, b"198.51.100.1"), (7, b"\xf0\xb0"), (11, b"t"))),
        ("coap://[2001:db8::1]/t", ("192.0.2.1", 5683), ((3, b"[2001:db8::1]"), (11, b"t"))),
    ],
)
def test_a_uri_becomes_options(text: str, to: tuple[str, int], options: tuple[tuple[int, bytes], ...]) -> None:
    assert parse_uri(text).options(*to) == options


@pytest.mark.clause("RFC7252-6.5")
@pytest.mark.parametrize(
    "text",
    [
        "coap://[2001:db8::2:1]/",
        "coap://example.net/.well-known/core",
        "coaps://198.51.100.1:61616//%2F//?//&?%26",
        "coap+tcp://hub.example/t/Office//Temperature%20%25?f=a/+/b&c=d",
    ],
)
def test_options_become_the_uri_again(text: str) -> None:
    uri = parse_uri(text)
    request = Message(codes.GET, uri.options("192.0.2.1", 5683))
    assert str(uri_of(request, uri.scheme, "192.0.2.1", 5683)) == text
    assert uri.secured is text.startswith("coaps")


@pytest.mark.clause("RFC7252-6.4")
@pytest.mark.clause("RFC7252-6.5")
@given(
    st.sampled_from(sorted(PORTS)),
    st.lists(st.text(max_size=20).filter(lambda text: text not in (".", "..")), max_size=5),
    st.lists(st.text(max_size=20), max_size=3),
    st.integers(1, 65_535),
)
def test_any_names_come_back(scheme: str, path: list[str], query: list[str], port: int) -> None:
    if path == [""]:
        path = []  # RFC 7252 section 6.4: "/" has no Uri-Path
    uri = Uri(
        scheme, "hub.example", port, tuple(each.encode() for each in path), tuple(each.encode() for each in query)
    )
    back = parse_uri(str(uri))
    assert (back.scheme, back.host, back.port) == (scheme, "hub.example", port)
    assert (back.path, back.query) == (uri.path, uri.query)


@pytest.mark.clause("RFC7252-6.4")
@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("", ()),
        ("/", ()),
        ("//", (b"", b"")),
        ("/a/", (b"a", b"")),
        ("/a/./b", (b"a", b"b")),
        ("/a/../b", (b"b",)),
        ("/../b/..", ()),
        ("/a/b/.", (b"a", b"b", b"")),
    ],
)
def test_dot_segments_are_resolved(path: str, segments: tuple[bytes, ...]) -> None:
    assert parse_uri(f"coap://h{path}").path == segments


@pytest.mark.clause("RFC7252-6.4")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("http://h/", "begins with coap://"),
        ("coap:/h", "begins with coap://"),
        ("coap://h/#x", "has no fragment"),
        ("coap://user@h/", "names no user"),
        ("coap:///t", "there is no host"),
        ("coap://h:0/", "the port in"),
        ("coap://h:65536/", "the port in"),
        ("coap://h:x/", "the port in"),
        ("coap://[::1/", "IPv6 address"),
        ("coap://[h]/", "IPv6 address"),
        ("coap://h/%4", "not followed by two hexadecimal digits"),
        ("coap://h/%zz", "not followed by two hexadecimal digits"),
        ("coap://h/%FF", "the path is not UTF-8"),
        ("coap://h/?%C3", "the query is not UTF-8"),
        ("coap://h/%2e%2E", "no path segment is . or .."),
        ("coap://h/" + "a" * 256, "at most 255 fit"),
    ],
)
def test_what_is_no_coap_uri(text: str, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        parse_uri(text)


@pytest.mark.clause("RFC7252-5.10.7")
def test_a_location_is_a_relative_reference() -> None:
    response = Message(codes.CREATED, ((option.LOCATION_PATH, b"rd"), (8, b"4/5"), (option.LOCATION_QUERY, b"a=b&c")))
    assert location_of(response) == "/rd/4%2F5?a=b%26c"
    assert location_of(Message(codes.CREATED)) == ""
    assert (path_text([b"a b", b""]), path_text([]), query_text([b"x", b"&"])) == ("/a%20b/", "/", "x&%26")


def test_an_interface_stays_on_this_machine() -> None:
    uri = parse_uri("coap://[fe80::1%25eth0]/t")
    assert (uri.host, str(uri)) == ("fe80::1%eth0", "coap://[fe80::1%25eth0]/t")
    assert uri.options("fe80::1%eth0", 5683) == ((11, b"t"),)
    assert uri.options("192.0.2.1", 5683) == ((3, b"[fe80::1]"), (11, b"t"))


def test_addresses_and_names() -> None:
    assert [is_address(host) for host in ("::1", "192.0.2.1", "192.0.2.256", "a.b.c.d", "host", "1.2.3")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
