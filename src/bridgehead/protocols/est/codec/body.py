"""Base64 bodies of EST (RFC 7030 section 4, RFC 8951 section 3.1): no header says so, and lines may be cut."""

from __future__ import annotations

import binascii
from typing import Final

from bridgehead.wire.errors import Malformed

_LINE: Final = 48  # octets that give a line of 64 characters
_WHITE: Final = b" \t\r\n"


def decode(body: bytes) -> bytes:
    """The DER inside. White space anywhere is skipped. Errors: Malformed."""
    text = body.translate(None, _WHITE)
    if not text:
        raise Malformed("the body is empty: send a PKCS #10 request in base64")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise Malformed("the body is not base64: send the DER of a PKCS #10 request in base64") from None


def encode(der: bytes) -> bytes:
    """In lines, as mail has them: some clients cannot read a long one."""
    lines: list[bytes] = []
    for at in range(0, len(der), _LINE):
        lines.append(binascii.b2a_base64(der[at : at + _LINE], newline=False))
    return b"\r\n".join(lines) + b"\r\n"
