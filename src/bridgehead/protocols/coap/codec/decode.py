"""A datagram's octets to a message (RFC 7252 section 3)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.protocols.coap.codec.errors import MessageFormatError
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message, Option

MOST_OPTIONS: Final = 512  # a stream's message of megabytes could be nothing but options, each an object here
_LARGEST_NUMBER: Final = 65_535
_RESERVED_CLASSES: Final = 0b1100_0010  # RFC 7252 section 4.2: 1, 6 and 7


def decode(datagram: bytes) -> Message:
    """One datagram. Errors: MessageFormatError and nothing else."""
    size: i64 = len(datagram)
    if size < 4:
        raise MessageFormatError(f"a datagram of {size} octets is shorter than CoAP's header", 0)
    first: i64 = datagram[0]
    code: i64 = datagram[1]
    high: i64 = datagram[2]
    low: i64 = datagram[3]
    message_id = high << 8 | low
    kind = first >> 4 & 3
    if first >> 6 != 1:
        raise MessageFormatError(
            f"version {first >> 6} of CoAP is not known", 0, "RFC7252-3", kind, message_id, first >> 6, code
        )
    length = first & 15
    if code == 0:
        # RFC 7252 section 4.1: an Empty message is its header.
        if size > 4:
            raise MessageFormatError("an Empty message goes on behind its header", 4, "RFC7252-4.1", kind, message_id)
        return Message(0, NO_OPTIONS, b"", b"", kind, message_id)
    if length > 8:
        raise MessageFormatError(f"a token length of {length} is reserved", 0, "RFC7252-3", kind, message_id, 1, code)
    if is_reserved_class(code):
        raise MessageFormatError(
            f"codes of class {code >> 5} are reserved here", 1, "RFC7252-4.2", kind, message_id, 1, code
        )
    pos = 4 + length
    if pos > size:
        raise MessageFormatError("the token is cut short", 4, "RFC7252-3", kind, message_id, 1, code)
    token = datagram[4:pos] if length else b""
    if pos == size:
        return Message(code, NO_OPTIONS, b"", token, kind, message_id)
    found: list[Option] = []
    pos = read_options(datagram, pos, size, found, kind, message_id)
    return Message(code, tuple(found), datagram[pos:] if pos < size else b"", token, kind, message_id)


def is_reserved_class(code: i64) -> bool:
    """A class that no message over UDP or DTLS has: signalling (7) is of RFC 8323 alone."""
    return (_RESERVED_CLASSES >> (code >> 5)) & 1 == 1


def read_options(
    data: bytes, pos: i64, size: i64, found: list[Option], kind: i64 = -1, message_id: i64 = -1, base: i64 = 0
) -> i64:
    """Append the options that begin at `pos` to `found`; where the payload begins, `size` if there is none.

    `kind`, `message_id`, and `base`, where the message begins in `data`, are for the error. Errors: MessageFormatError.
    """
    number: i64 = 0
    count: i64 = 0
    while pos < size:
        head: i64 = data[pos]
        pos += 1
        if head == 0xFF:
            if pos == size:
                raise MessageFormatError(
                    "nothing follows the payload marker", pos - 1 - base, "RFC7252-3", kind, message_id
                )
            return pos
        delta = head >> 4
        length = head & 15
        if delta >= 13:
            if delta == 15:
                raise MessageFormatError(
                    "an option delta of 15 is reserved", pos - 1 - base, "RFC7252-3.1", kind, message_id
                )
            delta, pos = _extended(data, pos, size, delta, "delta", kind, message_id, base)
        if length >= 13:
            if length == 15:
                raise MessageFormatError(
                    "an option length of 15 is reserved", pos - 1 - base, "RFC7252-3.1", kind, message_id
                )
            length, pos = _extended(data, pos, size, length, "length", kind, message_id, base)
        number += delta
        if number > _LARGEST_NUMBER:
            raise MessageFormatError(
                f"an option number of {number} is beyond {_LARGEST_NUMBER}", pos - base, "RFC7252-3.1", kind, message_id
            )
        end = pos + length
        if end > size:
            raise MessageFormatError(f"option {number} is cut short", pos - base, "RFC7252-3.1", kind, message_id)
        if count == MOST_OPTIONS:
            text = f"a message has more than {MOST_OPTIONS} options"
            raise MessageFormatError(text, pos - base, "RFC7252-3.1", kind, message_id)
        count += 1
        found.append((number, data[pos:end] if length else b""))
        pos = end
    return size


def _extended(
    data: bytes, pos: i64, size: i64, nibble: i64, what: str, kind: i64, message_id: i64, base: i64
) -> tuple[i64, i64]:
    """An option delta or length in its 8-bit (13) or 16-bit (14) form, and where the octets behind it begin."""
    if pos + nibble - 12 > size:
        raise MessageFormatError(f"an extended option {what} is cut short", pos - base, "RFC7252-3.1", kind, message_id)
    high: i64 = data[pos]
    if nibble == 13:
        return high + 13, pos + 1
    low: i64 = data[pos + 1]
    return (high << 8 | low) + 269, pos + 2
