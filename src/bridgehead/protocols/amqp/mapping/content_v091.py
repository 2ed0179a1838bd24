"""The properties of a 0-9-1 content header (section 4.2.6.1), changed as octets: what is not changed stays as it came,
also where no library could write it again."""

from __future__ import annotations

from typing import Any, Final

from pamqp import encode

from bridgehead.protocols.amqp.codec.v091.tables import fields_of, skip_short

_HEADERS: Final = 13  # bits of the property flags
_EXPIRATION: Final = 8
_FIXED: Final[dict[int, int]] = {12: 1, 11: 1, 6: 8}  # delivery-mode, priority, timestamp
_FIRST: Final = 15  # content-type
_LAST: Final = 2  # cluster-id


def with_headers(content: bytes, added: dict[str, Any]) -> bytes:
    """The same with these headers laid over its own, and without an expiration. `content` was found sound when it came
    in."""
    flags = int.from_bytes(content[:2], "big")
    at = 2
    parts: list[bytes] = []
    for bit in range(_FIRST, _LAST - 1, -1):
        piece = b""
        if flags >> bit & 1:
            end = _end_of(content, at, bit)
            piece = content[at:end]
            at = end
        if bit == _HEADERS:
            piece = _merged(piece, added)
        elif bit == _EXPIRATION:
            piece = b""
        parts.append(piece)
    flags = (flags | 1 << _HEADERS) & ~(1 << _EXPIRATION)
    return flags.to_bytes(2, "big") + b"".join(parts)


def without_headers(content: bytes) -> bytes:
    """The same without its headers."""
    flags = int.from_bytes(content[:2], "big")
    at = 2
    for bit in range(_FIRST, _HEADERS, -1):
        if flags >> bit & 1:
            at = _end_of(content, at, bit)
    end = _end_of(content, at, _HEADERS) if flags >> _HEADERS & 1 else at
    return (flags & ~(1 << _HEADERS)).to_bytes(2, "big") + content[2:at] + content[end:]


def _end_of(content: bytes, at: int, bit: int) -> int:
    if bit == _HEADERS:
        return at + 4 + int.from_bytes(content[at : at + 4], "big")
    fixed = _FIXED.get(bit)
    return int(skip_short(content, at, len(content))) if fixed is None else at + fixed


def _merged(table: bytes, added: dict[str, Any]) -> bytes:
    replaced = {name.encode("utf-8") for name in added}
    kept = [field for name, field in fields_of(table) if name not in replaced] if table else []
    octets = b"".join(kept) + encode.field_table(added)[4:]
    return len(octets).to_bytes(4, "big") + octets
