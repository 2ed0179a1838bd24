"""The keys of an OSCORE security context, derived from what its record holds (RFC 8613 section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridgehead.security.errors import NotAcceptable

AES_CCM_16_64_128: Final = 10  # what every implementation has (section 3.2.1)
HKDF_SHA_256: Final = -10
HKDF_SHA_512: Final = -11
_HASHES: Final[dict[int, Callable[[], hashes.HashAlgorithm]]] = {
    HKDF_SHA_256: hashes.SHA256,
    HKDF_SHA_512: hashes.SHA512,
}


class Aead(Protocol):
    """An AEAD of `cryptography`, with its key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...


class Algorithm:
    """One of COSE's AEADs (RFC 9053 section 4). Lengths in octets."""

    def __init__(self, name: str, number: int, key: int, nonce: int, make: Callable[[bytes], Aead]) -> None:
        self.name: Final = name
        self.number: Final = number
        self.key: Final = key
        self.nonce: Final = nonce
        self.make: Final = make

    @property
    def longest_id(self) -> int:
        """Of a Sender ID (RFC 8613 section 3.3)."""
        return self.nonce - 6


def _ccm(name: str, number: int, key: int, nonce: int, tag: int) -> Algorithm:
    return Algorithm(name, number, key, nonce, lambda secret: AESCCM(secret, tag_length=tag))


ALGORITHMS: Final = {
    each.number: each
    for each in (
        Algorithm("A128GCM", 1, 16, 12, AESGCM),
        Algorithm("A192GCM", 2, 24, 12, AESGCM),
        Algorithm("A256GCM", 3, 32, 12, AESGCM),
        _ccm("AES-CCM-16-64-128", 10, 16, 13, 8),
        _ccm("AES-CCM-16-64-256", 11, 32, 13, 8),
        _ccm("AES-CCM-64-64-128", 12, 16, 7, 8),
        _ccm("AES-CCM-64-64-256", 13, 32, 7, 8),
        Algorithm("ChaCha20/Poly1305", 24, 32, 12, ChaCha20Poly1305),
        _ccm("AES-CCM-16-128-128", 30, 16, 13, 16),
        _ccm("AES-CCM-16-128-256", 31, 32, 13, 16),
        _ccm("AES-CCM-64-128-128", 32, 16, 7, 16),
        _ccm("AES-CCM-64-128-256", 33, 32, 7, 16),
    )
}


class Secret:
    """What both ends know (RFC 8613 section 3.2). `id_context` None: the context has none."""

    def __init__(
        self,
        master_secret: bytes,
        master_salt: bytes,
        id_context: bytes | None,
        algorithm: int = AES_CCM_16_64_128,
        hkdf: int = HKDF_SHA_256,
    ) -> None:
        """Errors: NotAcceptable."""
        if algorithm not in ALGORITHMS or hkdf not in _HASHES:
            raise NotAcceptable(f"OSCORE with AEAD {algorithm} and HKDF {hkdf} is not supported: take 10 and -10")
        self.algorithm: Final = ALGORITHMS[algorithm]
        self._hash: Final = _HASHES[hkdf]
        self._master_secret: Final = master_secret
        self._master_salt: Final = master_salt
        self._id_context: Final = id_context

    def __repr__(self) -> str:
        return f"Secret({self.algorithm.name})"

    def key(self, sender_id: bytes) -> bytes:
        """The Sender Key of the end with that Sender ID, the Recipient Key of the other. Errors: NotAcceptable."""
        if len(sender_id) > self.algorithm.longest_id:
            most = self.algorithm.longest_id
            raise NotAcceptable(f"an OSCORE Sender ID has at most {most} octets with {self.algorithm.name}")
        return self._derive(sender_id, "Key", self.algorithm.key)

    def cipher(self, sender_id: bytes) -> Aead:
        """With the key of the end that has this Sender ID."""
        return self.algorithm.make(self.key(sender_id))

    def common_iv(self) -> bytes:
        return self._derive(b"", "IV", self.algorithm.nonce)

    def _derive(self, identifier: bytes, kind: str, length: int) -> bytes:
        info = derivation_info(identifier, self._id_context, self.algorithm.number, kind, length)
        return HKDF(self._hash(), length, self._master_salt, info).derive(self._master_secret)


def derivation_info(identifier: bytes, id_context: bytes | None, algorithm: int, kind: str, length: int) -> bytes:
    """The CBOR array `info` (RFC 8613 section 3.2.1): [id, id_context / null, alg_aead, "Key" / "IV", L]. Identifiers
    of less than 256 octets; `algorithm` and `length` from 0 to 255."""
    context = b"\xf6" if id_context is None else _octets(id_context)
    return (
        b"\x85"
        + _octets(identifier)
        + context
        + _head(0, algorithm)
        + _head(3, len(kind))
        + kind.encode()
        + _head(0, length)
    )


def _octets(octets: bytes) -> bytes:
    return _head(2, len(octets)) + octets


def _head(major: int, size: int) -> bytes:
    """RFC 8949 section 3."""
    return bytes([major << 5 | size]) if size < 24 else bytes([major << 5 | 24, size])


def opened(aead: Aead, nonce: bytes, sealed: bytes, additional: bytes) -> bytes | None:
    """None: it is not what the holder of the key made for this nonce and this additional data."""
    try:
        return aead.decrypt(nonce, sealed, additional)
    except (InvalidTag, ValueError):  # ValueError: shorter than a tag
        return None
