"""Password hashes as Mosquitto keeps them: `$6$SALT$HASH`, SHA-512 of password and salt, and `$7$ROUNDS$SALT$HASH`,
PBKDF2 with HMAC-SHA-512 (RFC 8018 section 5.2); salt and hash in Base64. Taken over so that devices log in as before,
once: then the password is hashed anew."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

MOST_ROUNDS: Final = 1_000_000
_LENGTH: Final = 64


def is_mosquittos(encoded: str) -> bool:
    return encoded.startswith(("$6$", "$7$"))


def encode(rounds: int, salt: str, digest: str) -> str:
    """Of PBKDF2, from its parts in Base64."""
    return f"$7${rounds}${salt}${digest}"


def verify(encoded: str, password: bytes) -> bool:
    """False also for a hash that cannot be read."""
    parts = _parts(encoded)
    if parts is None:
        return False
    rounds, salt, digest = parts
    if rounds == 0:
        made = hashlib.sha512(password + salt).digest()
    else:
        made = hashlib.pbkdf2_hmac("sha512", password, salt, rounds, _LENGTH)
    return hmac.compare_digest(made, digest)


def is_readable(encoded: str) -> bool:
    return _parts(encoded) is not None


def _parts(encoded: str) -> tuple[int, bytes, bytes] | None:
    """(rounds, 0 for SHA-512; salt; hash)."""
    fields = encoded.split("$")
    if len(fields) < 2 or fields[0] or len(fields) != {"6": 4, "7": 5}.get(fields[1], -1):
        return None
    rounds = 0
    if fields[1] == "7":
        if not (fields[2].isascii() and fields[2].isdigit() and len(fields[2]) <= 7):
            return None
        rounds = int(fields[2])
        if not 1 <= rounds <= MOST_ROUNDS:
            return None
    try:
        salt, digest = (base64.b64decode(field, validate=True) for field in fields[-2:])
    except (binascii.Error, ValueError):
        return None
    return (rounds, salt, digest) if salt and len(digest) == _LENGTH else None
