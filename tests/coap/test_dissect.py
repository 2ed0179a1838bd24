"""Messages field by field: every octet is named once, faults by their clause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.options import OPTIONS
from bridgehead.protocols.coap.codec.stream import encode_stream, encode_websocket
from bridgehead.protocols.coap.dissect import DATAGRAM, STREAM, WEBSOCKET, DissectedMessage, code_name, dissect
from tests.coap.codec.messages import messages


def rows(message: DissectedMessage) -> list[tuple[str, str]]:
    return [(field.name, field.value) for field in message.fields]


def covered(message: DissectedMessage) -> list[int]:
    """The octets that fields name, each once however many share it."""
    found: set[int] = set()
    for field in message.fields:
        found |= set(range(field.offset, field.offset + field.length))
    return sorted(found)


def test_a_request_field_by_field() -> None:
    request = Message(codes.GET, ((6, b""), (11, b"t"), (11, "Büro".encode()), (23, b"\x02")), b"", b"\xaa", 0, 0x1234)
    [found] = dissect(encode(request))
    assert (found.name, found.framing, found.fault, found.code) == ("GET", DATAGRAM, None, codes.GET)
    assert rows(found) == [
        ("Version", "1"),
        ("Type", "0 (Confirmable)"),
        ("Token Length", "1"),
        ("Code", "0.01 (GET)"),
        ("Message ID", "4660"),
        ("Token", "aa"),
        ("Observe", "0 (register)"),
        ("Uri-Path", "'t'"),
        ("Uri-Path", "'Büro'"),
        ("Block2", "0/0/64 (the last)"),
    ]
    path = found.fields[7]
    assert (path.offset, path.length, path.clause) == (6, 2, "RFC 7252 5.10.1")
    assert path.note == "option 11, critical, unsafe, string"


def test_a_response_field_by_field() -> None:
    options = ((4, b"\x01\x02"), (6, b"\x05"), (12, b""), (14, b"\x3c"), (65_000, b"x"))
    [found] = dissect(encode(Message(codes.CONTENT, options, b"21.5", b"", 2, 1)))
    assert rows(found)[5:] == [
        ("ETag", "01 02"),
        ("Observe", "5"),
        ("Content-Format", "0 (text/plain; charset=utf-8)"),
        ("Max-Age", "60 s"),
        ("Option 65000", "'x'"),
        ("Payload Marker", "0xff"),
        ("Payload", "'21.5'"),
    ]
    assert found.fault is None


def test_ciphertext_is_called_so() -> None:
    [found] = dissect(encode(Message(codes.POST, ((9, b"\x09\x14"),), b"secret")))
    assert rows(found)[-1] == ("Ciphertext", "73 65 63 72 65 74")


@given(messages())
def test_every_octet_of_a_datagram_has_its_field(message: Message) -> None:
    octets = encode(message)
    [found] = dissect(octets)
    assert covered(found) == list(range(len(octets)))
    assert found.length == len(octets)
    assert found.fields[4].value == str(message.message_id)


@given(st.lists(messages(stream=True), min_size=1, max_size=3))
def test_every_octet_of_a_stream_has_its_field(sent: list[Message]) -> None:
    octets = [encode_stream(message) for message in sent]
    found = dissect(b"".join(octets), STREAM)
    assert [message.code for message in found] == [message.code for message in sent]
    for message, each in zip(found, octets, strict=True):
        assert covered(message) == list(range(len(each)))
    for each_sent in sent:
        [alone] = dissect(encode_websocket(each_sent), WEBSOCKET)
        assert alone.code == each_sent.code


@given(st.binary(max_size=60), st.sampled_from([DATAGRAM, STREAM, WEBSOCKET]))
def test_nothing_is_raised_and_no_octet_is_left_out(octets: bytes, framing: str) -> None:
    found = dissect(octets, framing)
    assert sum(message.length for message in found) == len(octets)
    for message in found:
        if message.length and message.fault is None:
            assert covered(message) == list(range(message.length))


@pytest.mark.parametrize(
    ("octets", "fault", "clause", "code"),
    [
        ("40", "a datagram of 1 octets is shorter than CoAP's header", "RFC 7252 3", 0x80),
        ("49010001", "a token length of 9 is reserved", "RFC 7252 3", 0x80),
        ("40010001ff", "nothing follows the payload marker", "RFC 7252 3", 0x80),
        ("40010001b5", "option 11 is cut short", "RFC 7252 3.1", 0x80),
        ("40010001b0d2" + "0101" + "00", "Accept stands there more than once", "RFC 7252 5.4.5", 0x82),
        ("400100013161" + "0162", "Uri-Host stands there more than once", "RFC 7252 5.4.5", 0x82),
        ("4001000130", "Uri-Host has 0 octets, and may have 1 to 255", "RFC 7252 5.4.3", 0x82),
    ],
)
def test_a_fault_has_its_clause(octets: str, fault: str, clause: str, code: int) -> None:
    if fault.startswith("Accept"):
        octets = encode(Message(codes.GET, ((17, b"\x01"), (17, b"\x02")))).hex()
    [found] = dissect(bytes.fromhex(octets))
    assert (found.fault, found.fault_clause, found.fault_code) == (fault, clause, code)


def test_an_option_that_is_to_be_ignored_is_noted() -> None:
    [found] = dissect(encode(Message(codes.GET, ((12, b"\x01\x02\x03"), (60, b"\x01"), (60, b"\x02")))))
    assert found.fault is None
    assert found.fields[5].note.endswith("uint, has 3 octets and may have 0 to 2")
    assert found.fields[7].note == "option 60, elective, no cache key, uint, may not be repeated"


def test_a_message_on_a_stream_that_is_cut_short() -> None:
    whole = encode_stream(Message(codes.CONTENT, ((4, b"tag"),), b"payload"))
    first, second = dissect(whole + whole[:-1], STREAM)
    assert first.fault is None
    assert (second.fault, second.fault_clause) == ("the message is incomplete", "RFC 8323 3.2")


def test_signalling_has_its_own_options() -> None:
    [found] = dissect(encode_stream(Message(codes.CSM, ((2, b"\x04\x80"), (4, b"")))), STREAM)
    assert found.name == "CSM"
    assert rows(found)[3:] == [("Max-Message-Size", "1152"), ("Block-Wise-Transfer", "0")]
    [found] = dissect(encode_stream(Message(codes.RELEASE, ((2, b"other.example"),), b"bye")), STREAM)
    assert rows(found)[4] == ("Alternative-Address", "'other.example'")


def test_every_code_has_a_name() -> None:
    named = [value for name, value in vars(codes).items() if name.isupper() and isinstance(value, int)]
    assert all(not code_name(code)[0].isdigit() for code in named)
    assert code_name(0x9F) == "4.31"


def test_every_option_is_shown_by_its_name() -> None:
    for number, row in OPTIONS.items():
        [found] = dissect(encode(Message(codes.GET, ((number, b"a" * row.minimum),))))
        assert found.fields[5].name == row.name
