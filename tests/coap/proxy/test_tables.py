"""Codes, header fields and targets of the cross-proxy, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, in_order, uint_value
from bridgehead.protocols.coap.proxy.codes import code_of, status_of
from bridgehead.protocols.coap.proxy.gateway import event_of
from bridgehead.protocols.coap.proxy.headers import (
    Unmappable,
    accept_of,
    etag_of,
    format_of,
    http_headers,
    max_age_of,
    request_options,
    response_headers,
    response_options,
)
from bridgehead.protocols.coap.proxy.location import NoTarget
from bridgehead.protocols.coap.proxy.location import target_of as coap_target_of
from bridgehead.protocols.coap.proxy.reach import is_near, names_host, topic_of
from bridgehead.protocols.coap.proxy.to_http import Unproxied
from bridgehead.protocols.coap.proxy.to_http import target_of as http_target_of


@pytest.mark.clause("RFC8075-7")
@pytest.mark.parametrize(
    ("code", "payload", "status"),
    [
        (codes.CREATED, False, 201),
        (codes.DELETED, False, 204),
        (codes.DELETED, True, 200),
        (codes.VALID, False, 304),
        (codes.CHANGED, False, 204),
        (codes.CHANGED, True, 200),
        (codes.CONTENT, True, 200),
        (codes.UNAUTHORIZED, True, 403),
        (codes.METHOD_NOT_ALLOWED, False, 400),
        (codes.NOT_FOUND, False, 404),
        (codes.TOO_MANY_REQUESTS, False, 429),
        (codes.PROXYING_NOT_SUPPORTED, False, 502),
        (codes.HOP_LIMIT_REACHED, False, 502),
        (0x9B, False, 400),  # 4.27, which nobody has defined: as the first of its class
        (0xBE, False, 500),
        (0x5E, True, 200),
    ],
)
def test_response_codes_become_statuses(code: int, payload: bool, status: int) -> None:
    assert status_of(code, payload) == status


@pytest.mark.clause("RFC7252-10.1")
@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        (codes.GET, 200, codes.CONTENT),
        (codes.PUT, 200, codes.CHANGED),
        (codes.POST, 204, codes.CHANGED),
        (codes.POST, 201, codes.CREATED),
        (codes.DELETE, 204, codes.DELETED),
        (codes.GET, 304, codes.VALID),
        (codes.GET, 404, codes.NOT_FOUND),
        (codes.GET, 410, codes.NOT_FOUND),
        (codes.GET, 418, codes.BAD_REQUEST),
        (codes.GET, 302, codes.BAD_GATEWAY),
        (codes.GET, 599, codes.BAD_GATEWAY),
        (codes.GET, 503, codes.SERVICE_UNAVAILABLE),
    ],
)
def test_statuses_become_response_codes(method: int, status: int, code: int) -> None:
    assert code_of(method, status) == code


@pytest.mark.clause("RFC8075-6.1")
@pytest.mark.parametrize(
    ("media", "number"),
    [
        ("text/plain", 0),
        ("text/plain; charset=UTF-8", 0),
        ("text/html", 0),  # loosely: it is UTF-8 text
        ("application/json", 50),
        ("application/vnd.api+json", 50),
        ("application/atom+xml", 41),
        ("application/senml+json", 110),
        ("application/coap-payload;cf=12345", 12345),
        ("video/mp4", 42),
        ("image/png", 23),
    ],
)
def test_media_types_become_content_formats(media: str, number: int) -> None:
    assert format_of(media) == number


@pytest.mark.parametrize("media", ["text/plain; charset=latin-1", "nothing", "application/coap-payload;cf=99999", ""])
def test_what_no_content_format_is_true_of(media: str) -> None:
    with pytest.raises(Unmappable) as caught:
        format_of(media)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("accept", "number"),
    [
        (b"", -1),
        (b"*/*", -1),
        (b"application/json", 50),
        (b"text/html;q=0.9, application/json;q=0.8", 50),
        (b"application/json;q=0.2, application/cbor;q=0.9", 60),
        (b"application/coap-payload;cf=65000", 65000),
        (b"application/json;q=broken", -1),
    ],
)
def test_accept_names_one_content_format(accept: bytes, number: int) -> None:
    assert accept_of(accept) == number


def test_a_foreign_entity_tag_never_turns_into_any() -> None:
    """An empty If-Match would be met by whatever is there (RFC 7252 5.10.8.1)."""
    with pytest.raises(Unmappable) as caught:
        request_options({b"if-match": b'"somebody-elses-long-tag"'}, True)
    assert caught.value.status == 412
    assert request_options({b"if-match": b"*"}, True) == [(numbers.IF_MATCH, b"")]
    assert request_options({b"if-match": b'"xyz", "0a0b"'}, True) == [(numbers.IF_MATCH, b"\x0a\x0b")]


def test_conditions_and_validators() -> None:
    assert request_options({b"if-none-match": b"*"}, True) == [(numbers.IF_NONE_MATCH, b"")]
    assert request_options({b"if-none-match": b'W/"ff01"'}, False) == [(numbers.ETAG, b"\xff\x01")]
    assert request_options({b"if-none-match": b'"not ours"'}, False) == []


@pytest.mark.parametrize("headers", [{b"content-encoding": b"gzip"}, {b"content-range": b"bytes 0-1/2"}])
def test_what_must_not_be_ignored_is_refused(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Unmappable):
        request_options(headers, True)


@given(st.binary(min_size=1, max_size=8))
def test_an_etag_comes_back_as_it_went(tag: bytes) -> None:
    _, headers = response_headers(Message(codes.CONTENT, ((numbers.ETAG, tag),), b"x"))
    shown = dict(headers)[b"etag"]
    assert request_options({b"if-none-match": shown}, False) == [(numbers.ETAG, tag)]


@given(
    st.dictionaries(
        st.sampled_from([b"accept", b"content-type", b"if-match", b"if-none-match"]), st.binary(max_size=60)
    )
)
def test_whatever_the_header_fields_hold(headers: dict[bytes, bytes]) -> None:
    try:
        found = request_options(headers, True)
    except Unmappable:
        return
    assert all(number >= 0 and len(value) <= 8 for number, value in found)


@pytest.mark.clause("RFC8075-8.3")
def test_freshness_both_ways() -> None:
    assert dict(response_headers(Message(codes.CONTENT, (), b"x"))[1])[b"cache-control"] == b"private, max-age=60"
    busy = Message(codes.SERVICE_UNAVAILABLE, ((numbers.MAX_AGE, uint_value(7)),))
    assert dict(response_headers(busy)[1]) == {b"retry-after": b"7"}
    assert max_age_of({"cache-control": "public, max-age=30"}) == 30
    assert max_age_of({"cache-control": "no-store"}) == 0
    assert max_age_of({"retry-after": "120"}) == 120
    assert max_age_of({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}) == -1


def test_a_response_of_an_http_server() -> None:
    options = in_order(response_options({"content-type": "application/json", "etag": '"abc"'}, True))
    assert options == ((numbers.ETAG, etag_of('"abc"')), (numbers.CONTENT_FORMAT, b"\x32"))
    request = Message(codes.PUT, ((numbers.CONTENT_FORMAT, b"\x32"), (numbers.ACCEPT, b"")), b"{}")
    fields = http_headers(request)
    assert (fields["content-type"], fields["accept"]) == ("application/json", "text/plain; charset=utf-8")


@pytest.mark.clause("RFC8075-5.3")
@pytest.mark.parametrize(
    ("target", "uri"),
    [
        (b"/hc?target_uri=coap%3A%2F%2Fhub%2Ft%2FOffice", "coap://hub/t/Office"),
        (b"/hc/coaps://hub/t/a%20b?f=%2B", "coaps://hub/t/a%20b?f=+"),
        (b"/hc/coap+tcp://hub:99/t/x", "coap+tcp://hub:99/t/x"),
    ],
)
def test_the_target_in_its_two_forms(target: bytes, uri: str) -> None:
    assert str(coap_target_of(target)) == uri


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/", 404),
        (b"/hc", 400),
        (b"/hc?target_uri=http://x/", 400),
        (b"/hc/nothing", 400),
        (b"/hc/" + b"x" * 5000, 414),
    ],
)
def test_requests_that_name_no_target(target: bytes, status: int) -> None:
    with pytest.raises(NoTarget) as caught:
        coap_target_of(target)
    assert caught.value.status == status


def test_http_targets_by_uri_and_by_scheme() -> None:
    by_uri = http_target_of(Message(codes.GET, ((numbers.PROXY_URI, b"http://API.example:8080/v1/a%2Fb?q=1"),)))
    assert (by_uri.scheme, by_uri.host, by_uri.port, by_uri.path) == ("http", "api.example", 8080, ["v1", "a/b"])
    assert by_uri.raw == "/v1/a%2Fb?q=1"
    options = (
        (numbers.URI_HOST, b"api.example"),
        (numbers.URI_PATH, b"v1"),
        (numbers.URI_PATH, b"a/b"),
        (numbers.URI_QUERY, b"q=1"),
        (numbers.PROXY_SCHEME, b"https"),
    )
    by_scheme = http_target_of(Message(codes.GET, options))
    assert (by_scheme.scheme, by_scheme.port, by_scheme.raw) == ("https", 443, "/v1/a%2Fb?q=1")


@pytest.mark.clause("RFC7252-5.7.2")
@pytest.mark.parametrize(
    ("options", "code"),
    [
        (((numbers.PROXY_URI, b"coap://else/"),), codes.PROXYING_NOT_SUPPORTED),
        (((numbers.PROXY_URI, b"http://user:secret@host/"),), codes.BAD_OPTION),
        (((numbers.PROXY_URI, b"http://host/a/%2e%2e/b"),), codes.BAD_OPTION),
        (((numbers.PROXY_URI, b"http://[broken/"),), codes.BAD_OPTION),
        (((numbers.PROXY_SCHEME, b"gopher"),), codes.PROXYING_NOT_SUPPORTED),
        (((numbers.PROXY_SCHEME, b"http"),), codes.BAD_REQUEST),
    ],
)
def test_http_targets_that_are_none(options: tuple[tuple[int, bytes], ...], code: int) -> None:
    with pytest.raises(Unproxied) as caught:
        http_target_of(Message(codes.GET, options))
    assert caught.value.code == code


@pytest.mark.clause("RFC8075-10")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.1.187",
        "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "not an address",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_link(address: str) -> None:
    assert is_near(address)


def test_other_addresses() -> None:
    assert not is_near("8.8.8.8")
    assert not is_near("10.1.2.3")
    assert not is_near("2001:4860::8888")


def test_a_permission_names_a_host_or_a_wildcard() -> None:
    topic = topic_of("http", "LOCALHOST.", 8080, ["a/b", "+", "#"])
    assert topic == "$PROXY/http/localhost/8080/a%2Fb/%2B/%23"
    assert names_host("$PROXY/http/localhost/8080/#")
    for topic_filter in ("$PROXY/#", "$PROXY/http/+/80/#", "$PROXY/http/#", "#", "Office/http/localhost"):
        assert not names_host(topic_filter)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (Message(codes.CONTENT, ((numbers.OBSERVE, b"\x07"),), b"21.5"), b"id: 7\ndata: 21.5\n\n"),
        (Message(codes.CONTENT, ((numbers.OBSERVE, b""),), b"a\r\nb\nc"), b"id: 0\ndata: a\ndata: b\ndata: c\n\n"),
        (Message(codes.CONTENT, (), b"\xff\x00"), b"event: octets\ndata: /wA=\n\n"),
        (Message(codes.FORBIDDEN, (), b"withdrawn"), b"event: error\ndata: 4.03 withdrawn\n\n"),
        (
            Message(codes.CONTENT, ((numbers.LOCATION_PATH, b"t"), (numbers.LOCATION_PATH, b"a b")), b"1"),
            b'data: {"path": "/t/a%20b", "text": "1"}\n\n',
        ),
    ],
)
def test_notifications_become_events(message: Message, event: bytes) -> None:
    assert event_of(message) == event
