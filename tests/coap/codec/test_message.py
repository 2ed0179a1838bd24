"""Messages as octets: RFC 7252 section 3, byte by byte, and everything that is not one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.decode import MOST_OPTIONS, decode
from bridgehead.protocols.coap.codec.encode import body, encode, header
from bridgehead.protocols.coap.codec.errors import MessageFormatError
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message, in_order, uint_value
from bridgehead.wire.errors import PeerError
from tests.coap.codec.messages import as_tuple, messages

VECTORS = [
    # RFC 7252 appendix A, figure 16: GET /temperature and its piggybacked answer.
    (
        "40017d34bb74656d7065726174757265",
        Message(codes.GET, ((option.URI_PATH, b"temperature"),), b"", b"", CON, 0x7D34),
    ),
    ("60457d34ff32322e332043", Message(codes.CONTENT, (), b"22.3 C", b"", ACK, 0x7D34)),
    # figure 17: the same with a token.
    (
        "41017d3520bb74656d7065726174757265",
        Message(codes.GET, ((option.URI_PATH, b"temperature"),), b"", b"\x20", CON, 0x7D35),
    ),
    ("61457d3520ff32322e332043", Message(codes.CONTENT, (), b"22.3 C", b"\x20", ACK, 0x7D35)),
    # figure 20: an empty acknowledgement; a reset.
    ("60007d38", Message(codes.EMPTY, (), b"", b"", ACK, 0x7D38)),
    ("7000ffff", Message(codes.EMPTY, (), b"", b"", RST, 0xFFFF)),
    # An option without a value, a delta of 13 and of 269 and more, and a long value.
    ("50020001" + "50", Message(codes.POST, ((option.IF_NONE_MATCH, b""),), b"", b"", NON, 1)),
    ("50020001" + "d10132", Message(codes.POST, ((option.MAX_AGE, b"2"),), b"", b"", NON, 1)),
    ("50020001" + "e00017", Message(codes.POST, ((option.REQUEST_TAG, b""),), b"", b"", NON, 1)),
    ("50020001" + "e0fef2", Message(codes.POST, ((65535, b""),), b"", b"", NON, 1)),
    ("50020001" + "bd00" + "61" * 13, Message(codes.POST, ((option.URI_PATH, b"a" * 13),), b"", b"", NON, 1)),
    ("50020001" + "be0000" + "61" * 269, Message(codes.POST, ((option.URI_PATH, b"a" * 269),), b"", b"", NON, 1)),
    # A token of eight octets, and a repeated option.
    (
        "48030102" + "0102030405060708" + "b161" + "0162" + "ff00",
        Message(codes.PUT, ((11, b"a"), (11, b"b")), b"\0", bytes(range(1, 9)), CON, 0x0102),
    ),
]


@pytest.mark.clause("RFC7252-3")
@pytest.mark.parametrize(("octets", "message"), VECTORS)
def test_a_vector_both_ways(octets: str, message: Message) -> None:
    assert as_tuple(decode(bytes.fromhex(octets))) == as_tuple(message)
    assert encode(message) == bytes.fromhex(octets)


@pytest.mark.clause("RFC7252-3")
@pytest.mark.clause("RFC7252-3.1")
@given(messages())
def test_what_is_encoded_comes_back(message: Message) -> None:
    assert as_tuple(decode(encode(message))) == as_tuple(message)
    assert encode(message) == header(message) + body(message.options, message.payload)


@pytest.mark.clause("RFC7252-3")
@given(st.binary(max_size=80))
def test_any_octets_are_a_message_or_a_format_error(octets: bytes) -> None:
    fault: PeerError | None = None
    try:
        message = decode(octets)
        assert as_tuple(decode(encode(message))) == as_tuple(message)
    except PeerError as error:
        fault = error
    if fault is not None:
        assert isinstance(fault, MessageFormatError)
        assert len(octets) < 4 or fault.message_id == int.from_bytes(octets[2:4], "big")


FAULTS = [
    ("", "RFC7252-3", "a datagram of 0 octets is shorter than CoAP's header"),
    ("400112", "RFC7252-3", "a datagram of 3 octets is shorter than CoAP's header"),
    ("4901123400000000000000000000", "RFC7252-3", "a token length of 9 is reserved"),
    ("4f011234" + "00" * 15, "RFC7252-3", "a token length of 15 is reserved"),
    ("4401123400", "RFC7252-3", "the token is cut short"),
    ("40001234ff00", "RFC7252-4.1", "an Empty message goes on behind its header"),
    ("4100123400", "RFC7252-4.1", "an Empty message goes on behind its header"),
    ("40011234ff", "RFC7252-3", "nothing follows the payload marker"),
    ("40011234b161ff", "RFC7252-3", "nothing follows the payload marker"),
    ("40011234f0", "RFC7252-3.1", "an option delta of 15 is reserved"),
    ("400112340f", "RFC7252-3.1", "an option length of 15 is reserved"),
    ("40011234d0", "RFC7252-3.1", "an extended option delta is cut short"),
    ("40011234e000", "RFC7252-3.1", "an extended option delta is cut short"),
    ("400112340d", "RFC7252-3.1", "an extended option length is cut short"),
    ("400112340e00", "RFC7252-3.1", "an extended option length is cut short"),
    ("40011234dd00", "RFC7252-3.1", "an extended option length is cut short"),
    ("40011234b461", "RFC7252-3.1", "option 11 is cut short"),
    ("40011234e0ffff", "RFC7252-3.1", "an option number of 65804 is beyond 65535"),
    ("40011234e0fef210", "RFC7252-3.1", "an option number of 65536 is beyond 65535"),
    ("40211234", "RFC7252-4.2", "codes of class 1 are reserved here"),
    ("40c01234", "RFC7252-4.2", "codes of class 6 are reserved here"),
    ("40e11234", "RFC7252-4.2", "codes of class 7 are reserved here"),
]


@pytest.mark.clause("RFC7252-3")
@pytest.mark.clause("RFC7252-3.1")
@pytest.mark.clause("RFC7252-4.1")
@pytest.mark.parametrize(("octets", "clause", "text"), FAULTS)
def test_a_format_error_names_its_clause(octets: str, clause: str, text: str) -> None:
    with pytest.raises(MessageFormatError) as caught:
        decode(bytes.fromhex(octets))
    error = caught.value
    assert (error.text, error.clause) == (text, clause)
    expected = (0, 0x1234) if len(octets) >= 8 else (-1, -1)
    assert (error.type, error.message_id) == expected


@pytest.mark.clause("RFC7252-3")
@pytest.mark.parametrize("first", [0x00, 0x80, 0xC0])
def test_another_version_says_so(first: int) -> None:
    with pytest.raises(MessageFormatError) as caught:
        decode(bytes([first | 0x10, 1, 0xAB, 0xCD]))
    error = caught.value
    assert (error.version, error.type, error.message_id) == (first >> 6, NON, 0xABCD)


def test_the_number_of_options_has_a_ceiling() -> None:
    assert len(decode(b"\x40\x01\0\0" + b"\0" * MOST_OPTIONS).options) == MOST_OPTIONS
    with pytest.raises(MessageFormatError, match=f"more than {MOST_OPTIONS} options"):
        decode(b"\x40\x01\0\0" + b"\0" * (MOST_OPTIONS + 1))
    with pytest.raises(MessageFormatError, match=f"more than {MOST_OPTIONS} options"):
        decode(b"\x40\x01\0\0" + b"\0" * (MOST_OPTIONS + 1) + b"\xffx")


def test_what_cannot_be_said_is_our_own_fault() -> None:
    with pytest.raises(LocalMisuse, match="at most 8 octets"):
        encode(Message(codes.GET, token=bytes(9)))
    with pytest.raises(LocalMisuse, match="option 3 stands behind option 11"):
        encode(Message(codes.GET, ((11, b""), (3, b"h"))))
    with pytest.raises(LocalMisuse, match="a length of 65805"):
        encode(Message(codes.GET, ((11, bytes(65_805)),)))


@pytest.mark.clause("RFC7252-3.2")
def test_a_uint_accepts_leading_zeros_and_is_written_without() -> None:
    message = decode(bytes.fromhex("40010001" + "d401" + "0000003c"))
    assert message.uint(option.MAX_AGE) == 60
    assert message.uint(option.SIZE1, 7) == 7
    assert [uint_value(number) for number in (0, 1, 255, 256, 65_536)] == [
        b"",
        b"\x01",
        b"\xff",
        b"\x01\0",
        b"\x01\0\0",
    ]


def test_options_by_number() -> None:
    message = decode(bytes.fromhex("40010001" + "3168" + "8161" + "0162"))
    assert message.all(option.URI_PATH) == [b"a", b"b"]
    assert (message.first(option.URI_HOST), message.first(option.ACCEPT)) == (b"h", None)
    assert message.has(option.URI_PATH)
    assert not message.has(option.OBSERVE)
    assert in_order([(11, b"a"), (3, b"h"), (11, b"b")]) == ((3, b"h"), (11, b"a"), (11, b"b"))
    assert message.with_options(()).options == ()
