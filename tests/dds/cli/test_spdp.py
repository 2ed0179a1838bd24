"""SPDP announcements: read strictly, and written so that others answer."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridgehead.protocols.dds.spdp import Introduction, SpdpError, announcements

PREFIX = bytes(range(12))


def parameter(number: int, value: bytes, order: str = "<") -> bytes:
    value += bytes(-len(value) % 4)
    return struct.pack(order + "HH", number, len(value)) + value


def message(*parameters: bytes, order: str = "<", writer: bytes = b"\0\1\0\xc2", flags: int = 4) -> bytes:
    end = b"" if flags & 0x80 else struct.pack(order + "HH", 1, 0)
    payload = (b"\0\3" if order == "<" else b"\0\2") + b"\0\0" + b"".join(parameters) + end
    body = struct.pack(order + "HH", 0, 16) + bytes(4) + writer + bytes(8) + payload
    flags = flags & 0x7F | (order == "<")
    return b"RTPS\2\1\1\x10" + PREFIX + struct.pack("BB", 0x15, flags) + struct.pack(order + "H", len(body)) + body


def guid(prefix: bytes = PREFIX) -> bytes:
    return prefix + b"\0\0\1\xc1"


@pytest.mark.clause("RTPS-8.5.3.2")
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_announcement_is_read_in_both_byte_orders(order: str) -> None:
    name = b"robot\0"
    locator = struct.pack(order + "iI12x", 1, 7411) + bytes([192, 0, 2, 7])
    (found,) = announcements(
        message(
            parameter(0x50, guid(), order),
            parameter(0x16, b"\x01\x10", order),
            parameter(0x62, struct.pack(order + "I", len(name)) + name, order),
            parameter(0x02, struct.pack(order + "iI", 20, 1 << 31), order),
            parameter(0x32, locator, order),
            parameter(0x31, locator, order),
            parameter(0x7FFF, b"unknown", order),
            order=order,
        )
    )
    assert found.prefix == PREFIX
    assert (found.name, found.vendor, found.addresses) == ("robot", "Eclipse Cyclone DDS", ("192.0.2.7:7411",))
    assert (found.lease, found.secured) == (20.5, False)


def test_who_shows_an_identity_token_is_secured() -> None:
    token = struct.pack("<I", 21) + b"DDS:Auth:PKI-DH:1.0\0\0\0"
    (found,) = announcements(message(parameter(0x50, guid()), parameter(0x1001, token)))
    assert found.secured


def test_an_introduction_is_an_announcement_and_a_farewell_is_none() -> None:
    said = Introduction(PREFIX, "127.0.0.1", 40_000, 10)
    (found,) = announcements(said.announcement())
    assert (found.prefix, found.addresses, found.lease, found.secured) == (PREFIX, ("127.0.0.1:40000",), 10.0, False)
    assert announcements(said.farewell()) == []


def test_other_writers_and_other_submessages_are_let_be() -> None:
    assert announcements(message(parameter(0x50, guid()), writer=b"\0\0\3\xc2")) == []
    timestamp = b"\x09\1\x08\0" + bytes(8)
    whole = message(parameter(0x50, guid()))
    assert len(announcements(whole[:20] + timestamp + whole[20:])) == 1


@pytest.mark.parametrize(
    ("datagram", "because"),
    [
        (b"", "no RTPS"),
        (b"RTPX" + bytes(40), "no RTPS"),
        (b"RTPS\1" + bytes(40), "no RTPS"),
        (b"RTPS\2\1\1\x10" + PREFIX + b"\x15\5\xff\0", "longer than the message"),
        (b"RTPS\2\1\1\x10" + PREFIX + b"\x15\5\4\0" + bytes(4), "too short"),
        (message(parameter(0x50, guid()), flags=0x84), "no end"),
        (message(struct.pack("<HH", 0x50, 9999)), "longer than its list"),
        (message(parameter(0x62, bytes(8))), "no GUID"),
        (message(parameter(0x50, guid())).replace(b"\0\3\0\0\x50", b"\0\1\0\0\x50"), "no parameter list"),
    ],
)
def test_what_is_no_announcement_is_refused(datagram: bytes, because: str) -> None:
    with pytest.raises(SpdpError, match=because):
        announcements(datagram)


WHOLE = message(parameter(0x50, guid()), parameter(0x62, b"\xff\xff\xff\xffname"), parameter(0x32, bytes(24)))


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=120).map(lambda tail: WHOLE[:44] + tail)))
@example(WHOLE)
def test_any_octets_are_read_or_refused(datagram: bytes) -> None:
    try:
        found = announcements(datagram)
    except SpdpError:
        return
    assert all(len(each.prefix) == 12 and len(each.name) <= 256 for each in found)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_changed_octet_is_read_or_refused(at: int, octet: int) -> None:
    with contextlib.suppress(SpdpError):
        found = announcements(WHOLE[:at] + bytes([octet]) + WHOLE[at + 1 :])
        assert all(len(each.prefix) == 12 for each in found)
