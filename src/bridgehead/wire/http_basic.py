"""HTTP Basic (RFC 7617): a name and a secret."""

from __future__ import annotations

import binascii
from typing import Final

_LONGEST: Final = 1024


def basic(header: bytes) -> tuple[str, str] | None:
    """User name and password; None for another scheme, or what is none."""
    scheme, _, text = header.strip().partition(b" ")
    if scheme.lower() != b"basic" or len(text) > _LONGEST:
        return None
    try:
        decoded = binascii.a2b_base64(text.strip(), strict_mode=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, colon, password = decoded.partition(":")
    return (name, password) if colon else None
