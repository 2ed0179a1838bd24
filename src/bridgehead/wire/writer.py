"""Writes big-endian integers of one, two and four octets."""

from __future__ import annotations


def u8(value: int) -> bytes:
    """Raises OverflowError outside 0 to 255, as do the others outside their ranges."""
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")
