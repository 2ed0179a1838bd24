"""A message to a datagram's octets (RFC 7252 section 3)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec.message import Message, Option

MARKER: Final = b"\xff"
_OCTETS: Final = [bytes([octet]) for octet in range(256)]
_VERSION: Final = 0x40


def encode(message: Message) -> bytes:
    """One datagram. Errors: LocalMisuse for a message that cannot be said."""
    return header(message) + body(message.options, message.payload)


def header(message: Message) -> bytes:
    """What stands before the options: version, type, code, Message ID and token."""
    token = message.token
    length = len(token)
    if length > 8:
        raise LocalMisuse(f"a token has at most 8 octets, not {length}")
    first = _VERSION | message.type << 4 | length
    return (first << 24 | message.code << 16 | message.message_id).to_bytes(4, "big") + token


def body(options: tuple[Option, ...], payload: bytes) -> bytes:
    """Options and payload: what two messages that differ in their header and token alone have in common."""
    if not options:
        return MARKER + payload if payload else b""
    parts: list[bytes] = []
    append_options(parts, options)
    if payload:
        parts.append(MARKER)
        parts.append(payload)
    return b"".join(parts)


def append_options(parts: list[bytes], options: tuple[Option, ...], before: int = 0) -> None:
    """The octets of `options`, of which the first follows an option with the number `before`."""
    for number, value in options:
        delta = number - before
        if delta < 0:
            raise LocalMisuse(f"option {number} stands behind option {before}")
        before = number
        length = len(value)
        if delta < 13 and length < 13:
            parts.append(_OCTETS[delta << 4 | length])
        else:
            parts.append(_OCTETS[_nibble(delta) << 4 | _nibble(length)])
            if delta >= 13:
                parts.append(_extension(delta))
            if length >= 13:
                parts.append(_extension(length))
        if length:
            parts.append(value)


def _nibble(number: int) -> int:
    return number if number < 13 else 13 if number < 269 else 14


def _extension(number: int) -> bytes:
    """The octets behind a nibble of 13 or 14 (RFC 7252 section 3.1)."""
    if number < 269:
        return _OCTETS[number - 13]
    if number > 65_535 + 269:
        raise LocalMisuse(f"no option has a delta or a length of {number}")
    return (number - 269).to_bytes(2, "big")
