"""The HTTP machine by dialogue: requests, bounds, time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.wire.http import ANSWERING, CLOSED, STREAMING, WAITING, HttpConnection, HttpLimits


def small() -> HttpLimits:
    config = HttpLimits()
    config.body_octets = 100
    config.requests_per_connection = 3
    return config


def connection() -> HttpConnection:
    return HttpConnection(small(), 0.0)


GET = b"GET /ocsp HTTP/1.1\r\nHost: hub\r\n\r\n"


def post(octets: bytes, more: bytes = b"") -> bytes:
    return b"POST /x HTTP/1.1\r\nHost: hub\r\n%sContent-Length: %d\r\n\r\n%s" % (more, len(octets), octets)


def test_a_request_and_its_answer() -> None:
    http = connection()
    http.receive(post(b"abc", b"Authorization: Basic x\r\n"), 1.0)
    assert http.state == ANSWERING
    assert http.request is not None
    assert (http.request.method, http.request.target, http.request.body) == (b"POST", b"/x", b"abc")
    assert http.request.headers[b"authorization"] == b"Basic x"
    http.respond(200, [(b"content-type", b"text/plain")], b"fine", 1.0)
    sent = http.to_send()
    assert sent.startswith(b"HTTP/1.1 200 \r\n")
    assert sent.endswith(b"\r\n\r\nfine")
    assert b"content-length: 4" in sent.lower()
    assert (http.state, http.close) == (WAITING, False)


def test_octet_by_octet() -> None:
    http = connection()
    for octet in post(b"abc"):
        assert http.state == WAITING
        http.receive(bytes([octet]), 1.0)
    assert http.state == ANSWERING


def test_requests_that_come_together_are_answered_one_after_the_other() -> None:
    http = connection()
    http.receive(GET + post(b"a"), 0.0)
    assert http.request is not None
    assert http.request.method == b"GET"
    http.respond(200, [], b"", 0.0)
    assert http.state == ANSWERING
    assert http.request.body == b"a"


def test_a_head_is_answered_without_the_body() -> None:
    http = connection()
    http.receive(b"HEAD /crl/ca.crl HTTP/1.1\r\nHost: hub\r\n\r\n", 0.0)
    http.respond(200, [], b"body", 0.0)
    assert http.to_send().endswith(b"content-length: 4\r\n\r\n")
    assert http.state == WAITING


def test_rfc_9110_10_1_1_whoever_asks_first_is_told_to_go_on() -> None:
    http = connection()
    http.receive(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", 0.0)
    assert http.to_send() == b"HTTP/1.1 100 \r\n\r\n"
    http.receive(b"abc", 0.0)
    assert http.state == ANSWERING


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (post(b"a" * 101), 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"20\r\n" + b"a" * 32 + b"\r\n", 0),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"a" * 101 + b"\r\n", 413),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # without Host: RFC 9112 3.2
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 3000, 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_what_is_too_much_or_no_http_is_answered_and_ends(octets: bytes, status: int) -> None:
    http = connection()
    http.receive(octets, 0.0)
    if not status:
        assert http.state == WAITING
        return
    assert http.to_send().startswith(b"HTTP/1.1 %d " % status)
    assert http.close
    http.receive(GET, 0.0)
    assert http.to_send() == b""


def test_a_slow_request_is_ended_by_408() -> None:
    http = connection()
    http.receive(post(b"abc")[:-1], 1.0)
    assert http.next_timeout() == 11.0
    http.handle_timeout(10.9)
    assert http.to_send() == b""
    http.handle_timeout(11.0)
    assert http.to_send().startswith(b"HTTP/1.1 408 ")
    assert (http.state, http.close) == (CLOSED, True)


def test_an_idle_connection_ends_without_a_word_and_dribbling_does_not_keep_it() -> None:
    http = connection()
    http.receive(GET, 0.0)
    http.respond(200, [], b"", 0.0)
    http.to_send()
    assert http.next_timeout() == 15.0
    for second in range(14):
        http.receive(b"G" if second == 0 else b"E", float(second))
    assert http.next_timeout() <= 15.0
    http.handle_timeout(15.0)
    assert http.to_send().startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_ends_in_silence() -> None:
    http = connection()
    http.receive(GET, 0.0)
    http.respond(200, [], b"", 0.0)
    http.to_send()
    http.handle_timeout(15.0)
    assert http.to_send() == b""
    assert http.close


def test_no_time_runs_while_the_hub_works() -> None:
    http = connection()
    http.receive(GET, 0.0)
    assert http.next_timeout() == float("inf")


def test_after_so_many_requests_a_connection_is_made_anew() -> None:
    http = connection()
    for number in range(3):
        http.receive(GET, 0.0)
        http.respond(200, [], b"", 0.0)
        assert (b"connection: close" in http.to_send().lower()) is (number == 2)
    assert http.close


def test_the_peers_end_is_the_end() -> None:
    http = connection()
    http.receive(b"", 0.0)
    assert http.close


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_octets_leave_a_state(octets: bytes, cut: int) -> None:
    http = connection()
    for at in range(0, len(octets), cut):
        http.receive(octets[at : at + cut], 0.0)
        if http.state == ANSWERING:
            http.respond(404, [], b"no", 0.0)
    assert http.state in (WAITING, CLOSED)


def test_a_body_in_parts() -> None:
    http = connection()
    http.receive(GET, 0.0)
    http.begin(200, [(b"content-type", b"text/event-stream")], 0.0)
    assert http.state == STREAMING
    assert b"transfer-encoding: chunked" in http.to_send().lower()
    http.part(b"data: 21.5\n\n")
    assert http.to_send() == b"c\r\ndata: 21.5\n\n\r\n"
    assert http.next_timeout() == float("inf")
    http.end(1.0)
    assert http.to_send() == b"0\r\n\r\n"
    assert http.state == WAITING


def test_who_listens_no_more_ends_the_parts() -> None:
    http = connection()
    http.receive(GET, 0.0)
    http.begin(200, [], 0.0)
    http.receive(b"", 0.0)
    assert (http.state, http.close) == (CLOSED, True)
    http.part(b"more")
    http.end(1.0)
    assert b"more" not in http.to_send()


def test_what_comes_while_parts_go_out_is_bounded() -> None:
    http = connection()
    http.receive(GET, 0.0)
    http.begin(200, [], 0.0)
    for _ in range(small().head_octets // 1024):
        http.receive(b"x" * 1024, 0.5)
        assert http.state == STREAMING
    http.receive(b"x", 0.5)
    assert (http.state, http.close) == (CLOSED, True)


def test_a_request_that_comes_while_parts_go_out_waits() -> None:
    http = connection()
    http.receive(GET, 0.0)
    http.begin(200, [], 0.0)
    http.receive(post(b"next"), 0.5)
    assert http.state == STREAMING
    http.end(1.0)
    assert http.state == ANSWERING
    assert http.request is not None
    assert http.request.body == b"next"
