"""What is read from a ClientHello before anything is kept, and the cookie that answers it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.wire.dtls.cookie import Cookies
from bridgehead.wire.dtls.hello import is_client_hello, read_client_hello
from bridgehead.wire.errors import Malformed, PeerError, Violation
from tests.wire.dtls.parts import hello

PATH = b"192.0.2.1 5684"


def test_its_fields() -> None:
    read = read_client_hello(hello(cookie=b"c" * 20, session=b"s" * 32, number=7, sequence=1, extensions=[]))
    assert (read.number, read.sequence, read.cookie, read.random) == (7, 1, b"c" * 20, bytes(range(32)))
    assert (read.raw_keys, read.cid) == (False, None)


def test_the_bound_part_is_all_but_the_cookie() -> None:
    one = read_client_hello(hello(cookie=b"", extensions=[(10, b"\x00\x02\x00\x17")]))
    two = read_client_hello(hello(cookie=b"c" * 20, number=1, sequence=1, extensions=[(10, b"\x00\x02\x00\x17")]))
    assert one.bound == two.bound
    assert one.bound != read_client_hello(hello(extensions=[(10, b"\x00\x02\x00\x1d")])).bound
    assert one.bound != read_client_hello(hello(suites=b"\xc0\xae", extensions=[(10, b"\x00\x02\x00\x17")])).bound


@pytest.mark.clause("RFC7925-4.3")
@pytest.mark.parametrize(
    ("client", "server", "raw"),
    [
        (b"\x01\x02", b"\x02\x00\x02", True),  # libcoap
        (b"\x01\x02", b"\x01\x02", True),
        (b"\x02\x00\x02", b"\x02\x00\x02", False),  # it may mean a certificate
        (b"\x01\x02", b"\x01\x00", False),
        (b"\x01\x00", b"\x01\x02", False),
    ],
)
def test_who_has_a_raw_key_and_reads_one(client: bytes, server: bytes, raw: bool) -> None:
    assert read_client_hello(hello(extensions=[(19, client), (20, server)])).raw_keys is raw


@pytest.mark.clause("RFC9146-3")
def test_the_connection_id_that_a_client_asks_for() -> None:
    assert read_client_hello(hello(extensions=[(54, b"\x03abc")])).cid == b"abc"
    assert read_client_hello(hello(extensions=[(54, b"\x00")])).cid == b""
    for wrong in (b"", b"\x02abc", b"\x04abc"):
        with pytest.raises(Malformed, match="connection_id"):
            read_client_hello(hello(extensions=[(54, wrong)]))


def test_a_hello_in_fragments_is_not_taken() -> None:
    whole = hello()
    fragment = whole[:19] + b"\x00\x00\x05" + whole[22:]
    with pytest.raises(Violation, match="fragments"):
        read_client_hello(fragment)


def test_every_cut_is_malformed() -> None:
    whole = hello(session=b"s" * 8, extensions=[(54, b"\x03abc"), (19, b"\x01\x02")])
    for end in range(len(whole)):
        with pytest.raises(PeerError):
            read_client_hello(whole[:end])


@given(st.binary(max_size=120))
def test_no_octets_raise_anything_else(data: bytes) -> None:
    for octets in (data, hello()[:25] + data):
        try:
            read_client_hello(octets)
        except PeerError:
            continue
        assert is_client_hello(octets)


@pytest.mark.clause("RFC6347-4.2.1")
def test_a_cookie_comes_back() -> None:
    cookies = Cookies(b"k" * 32, 30.0)
    first = read_client_hello(hello(number=5))
    request = cookies.request(PATH, first, 1000.0)
    assert len(request) < len(hello())
    assert request[:11] == b"\x16\xfe\xff" + (5).to_bytes(8, "big")
    assert request[13] == 3
    cookie = request[28:]
    assert len(cookie) == request[27] == 20
    second = read_client_hello(hello(cookie=cookie, number=6, sequence=1))
    assert cookies.verify(PATH, second, 1000.0)
    assert cookies.verify(PATH, second, 1030.0)
    assert not cookies.verify(PATH, second, 1060.0 + 30.0)
    assert not cookies.verify(b"192.0.2.2 5684", second, 1000.0)
    assert not Cookies(b"l" * 32, 30.0).verify(PATH, second, 1000.0)
    for other in (
        hello(cookie=cookie, random=bytes(32)),
        hello(cookie=cookie, suites=b"\xc0\xae"),
        hello(cookie=cookie[:-1]),
        hello(cookie=cookie[:-1] + b"?"),
        hello(),
    ):
        assert not cookies.verify(PATH, read_client_hello(other), 1000.0)
