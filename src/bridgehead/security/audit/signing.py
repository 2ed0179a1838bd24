"""The audit log's own Ed25519 key (RFC 8032): the private half signs checkpoints, the public half verifies them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bridgehead.security import files
from bridgehead.security.errors import SecurityError

PRIVATE: Final = "signing.key"
PUBLIC: Final = "signing.pub"


class Signer:
    """Signs; whoever holds the key could make another chain, so it stays in the audit folder, for its owner only."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key: Final = key
        self.public: Final = Verifier(key.public_key())

    def __repr__(self) -> str:
        return "Signer()"

    def sign(self, message: str) -> str:
        """The signature, 128 hexadecimal digits."""
        return self._key.sign(message.encode()).hex()


class Verifier:
    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key: Final = key

    def holds(self, message: str, signature: str) -> bool:
        try:
            self._key.verify(bytes.fromhex(signature), message.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


def open_signer(folder: Path) -> tuple[Signer, bool]:
    """The key of an audit folder, and whether it was made just now. The folder's lock must be held.

    Errors: SecurityError.
    """
    path = folder / PRIVATE
    if path.exists():
        files.check_private(path)
        signer, made = Signer(_read_private(path)), False
    else:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.write_whole(path, pem)
        signer, made = Signer(key), True
    if not (folder / PUBLIC).exists():
        public = signer.public._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        files.write_whole(folder / PUBLIC, public)
    return signer, made


def open_verifier(path: Path) -> Verifier:
    """The public key in PEM. Errors: SecurityError."""
    try:
        key = serialization.load_pem_public_key(files.read(path))
    except (ValueError, UnsupportedAlgorithm):
        raise SecurityError(f"{path} holds no readable public key: name the audit log's {PUBLIC}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SecurityError(f"{path} holds a key of another kind than Ed25519: name the audit log's {PUBLIC}")
    return Verifier(key)


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(files.read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SecurityError(f"{path} holds no readable Ed25519 key: restore it from a backup")
    return key
