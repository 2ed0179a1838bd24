"""application/missing-blocks+cbor-seq: the numbers of blocks that did not come (RFC 9177 section 5).

A CBOR sequence (RFC 8742) of unsigned integers, ascending, none twice.
"""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.block import MOST_BLOCKS
from bridgehead.wire.errors import Malformed

CONTENT_FORMAT: Final = 272
_CLAUSE: Final = "RFC9177-5"


def write_missing(numbers: list[int], room: int) -> bytes:
    """As many of `numbers`, from the first on, as go into `room` octets."""
    parts: list[bytes] = []
    size = 0
    for number in numbers:
        part = _item(number)
        size += len(part)
        if size > room:
            break
        parts.append(part)
    return b"".join(parts)


def read_missing(sequence: bytes, most: int = MOST_BLOCKS) -> list[int]:
    """At most `most` numbers. Errors: Malformed with 4.00."""
    numbers: list[int] = []
    at = 0
    end = len(sequence)
    before = -1
    while at < end and len(numbers) < most:
        first = sequence[at]
        octets = 0 if first < 24 else 1 << (first - 24)
        if first > 26 or at + 1 + octets > end:
            raise Malformed("no unsigned integer that could be a block's number", codes.BAD_REQUEST, at, _CLAUSE)
        number = first if octets == 0 else int.from_bytes(sequence[at + 1 : at + 1 + octets], "big")
        if number >= MOST_BLOCKS:
            raise Malformed(f"no block has the number {number}", codes.BAD_REQUEST, at, _CLAUSE)
        if number > before:  # section 5: whoever receives a number twice ignores the second
            numbers.append(number)
            before = number
        at += 1 + octets
    return numbers


def _item(number: int) -> bytes:
    if number < 24:
        return number.to_bytes(1, "big")
    if number < 0x100:
        return b"\x18" + number.to_bytes(1, "big")
    if number < 0x10000:
        return b"\x19" + number.to_bytes(2, "big")
    return b"\x1a" + number.to_bytes(4, "big")
