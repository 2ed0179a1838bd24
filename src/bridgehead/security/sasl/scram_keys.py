"""SCRAM's arithmetic (RFC 5802 section 3) and the texts that its server and client share (section 7)."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from typing import Final

# RFC 7677 names SHA-256; SCRAM-SHA-512 is registered likewise (draft-melnikov-scram-sha-512).
HASHES: Final = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
PLUS: Final = "-PLUS"

# RFC 7677 section 4: at least 4096. What follows from generated passwords of 154 bits needs no more; for those that
# people choose each doubling costs an attacker as much as it costs a small device at each log-in.
ITERATIONS: Final = 4096
SALT_OCTETS: Final = 16


class NotScram(Exception):
    """A text that SCRAM's grammar does not know. The message says what, without a secret. `error` is its
    server-error-value (RFC 5802 section 7)."""

    def __init__(self, text: str, error: str = "other-error") -> None:
        super().__init__(text)
        self.error: Final = error


def salted_password(digest: str, password: str, salt: bytes, iterations: int) -> bytes:
    """Hi(); `password` is prepared already."""
    return hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)


def client_key(digest: str, salted: bytes) -> bytes:
    return hmac.digest(salted, b"Client Key", digest)


def server_key(digest: str, salted: bytes) -> bytes:
    return hmac.digest(salted, b"Server Key", digest)


def stored_key(digest: str, client: bytes) -> bytes:
    return hashlib.new(digest, client).digest()


def signature(digest: str, key: bytes, auth_message: str) -> bytes:
    """ClientSignature under StoredKey, ServerSignature under ServerKey."""
    return hmac.digest(key, auth_message.encode(), digest)


def xor(left: bytes, right: bytes) -> bytes:
    """Of equal lengths."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def proof_is_right(digest: str, stored: bytes, auth_message: str, proof: bytes) -> bool:
    """Whether `proof` shows the ClientKey whose hash is `stored`."""
    expected = signature(digest, stored, auth_message)
    if len(proof) != len(expected):
        return False
    return hmac.compare_digest(stored_key(digest, xor(proof, expected)), stored)


# Texts. ---------------------------------------------------------------------------------------------------------------


def text_of(octets: bytes) -> str:
    """Errors: NotScram."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise NotScram("a SCRAM message is not UTF-8", "invalid-encoding") from None


def encoded(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).decode()


def decoded(text: str) -> bytes:
    """Base64 as RFC 5802 section 7 has it: no other characters, right padding. Errors: NotScram."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise NotScram("a value is not base64", "invalid-encoding") from None


def escaped(name: str) -> str:
    """A saslname."""
    return name.replace("=", "=3D").replace(",", "=2C")


def unescaped(saslname: str) -> str:
    """RFC 5802 5.1: an '=' that is neither =2C nor =3D fails the authentication. Errors: NotScram."""
    if "=" in saslname.replace("=2C", "").replace("=3D", ""):
        raise NotScram("a name holds an '=' that is neither =2C nor =3D", "invalid-username-encoding")
    return saslname.replace("=2C", ",").replace("=3D", "=")


def checked_nonce(text: str) -> str:
    """Printable ASCII without a comma. Errors: NotScram."""
    if not text or not all("!" <= character <= "~" and character != "," for character in text):
        raise NotScram("a nonce is empty or holds other than printable characters")
    return text


def attribute(part: str, letter: str) -> str:
    """The value of `letter=value`: SCRAM's attributes come in a fixed order. Errors: NotScram."""
    if part[:2] != letter + "=":
        raise NotScram(f"the attribute {letter}= is not where it belongs")
    return part[2:]
