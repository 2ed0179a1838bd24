"""Serial number arithmetic (2.8.10, RFC 1982) with the 32 bits of AMQP's sequence numbers."""

from __future__ import annotations

from typing import Final

MASK: Final = 0xFFFF_FFFF
_HALF: Final = 0x8000_0000


def plus(number: int, count: int) -> int:
    """`count` further on; it may be negative."""
    return (number + count) & MASK


def distance(later: int, earlier: int) -> int:
    """How far `later` lies behind `earlier`, negative when it lies before it: -2**31 to 2**31 - 1."""
    found = (later - earlier) & MASK
    return found - MASK - 1 if found >= _HALF else found
