"""The value of Block1, Block2, Q-Block1 and Q-Block2 (RFC 7959 section 2.2, RFC 8323 section 6, RFC 9177 section 4)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.wire.errors import Malformed

BERT: Final = 7  # over reliable transports: any number of blocks of 1,024 octets in one message
MOST_BLOCKS: Final = 1 << 20
LARGEST_EXPONENT: Final = 6

Block = tuple[int, bool, int]  # NUM, M and SZX


def read_block(value: bytes, reliable: bool = False) -> Block:
    """NUM, M and SZX. Errors: Malformed with 4.00 or 4.02, as an answer has it."""
    if len(value) > 3:
        raise Malformed(f"a Block option has at most 3 octets, not {len(value)}", codes.BAD_OPTION, -1, "RFC7959-2.1")
    number = int.from_bytes(value, "big")
    exponent = number & 7
    if exponent == BERT and not reliable:
        # RFC 7959 section 2.2: reserved, and the answer to it is 4.00.
        raise Malformed("the block size exponent 7 is reserved", codes.BAD_REQUEST, -1, "RFC7959-2.2")
    return number >> 4, number & 8 != 0, exponent


def write_block(number: int, more: bool, exponent: int) -> bytes:
    """The option's value. Errors: LocalMisuse."""
    if not 0 <= number < MOST_BLOCKS or not 0 <= exponent <= BERT:
        raise LocalMisuse(f"there is no block {number} of the size exponent {exponent}")
    value = number << 4 | (8 if more else 0) | exponent
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block_size(exponent: int) -> int:
    """In octets: 16 to 1,024; the unit of BERT is 1,024 too."""
    return 1024 if exponent >= LARGEST_EXPONENT else 16 << exponent


def exponent_for(size: int) -> int:
    """The largest block size exponent, 0 to 6, whose blocks have no more than `size` octets; 0 below 16."""
    exponent = LARGEST_EXPONENT
    while exponent > 0 and 16 << exponent > size:
        exponent -= 1
    return exponent
