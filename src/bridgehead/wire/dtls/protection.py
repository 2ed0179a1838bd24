"""Seals and opens records with an AEAD (RFC 5246 section 6.2.3.3, RFC 6655, RFC 7905, RFC 9146 section 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from mypy_extensions import mypyc_attr

from bridgehead.wire.dtls.numbers import DTLS_1_2, TLS12_CID

_VERSION_TYPE: Final = {kind: bytes([kind]) + DTLS_1_2 for kind in range(256)}
# RFC 9146 section 5.3: seq_num_placeholder, then the content type.
_PLACEHOLDER: Final = b"\xff" * 8 + bytes([TLS12_CID])
_CID_TYPE: Final = bytes([TLS12_CID]) + DTLS_1_2


def _cid_start(cid: bytes) -> bytes:
    """What stands in the additional data before the sequence number."""
    return _PLACEHOLDER + bytes([len(cid)]) + _CID_TYPE


class Aead(Protocol):
    """What `cryptography`'s AESCCM, AESGCM and ChaCha20Poly1305 do."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...


@mypyc_attr(acyclic=True)
class Protection:
    """One direction's key. `make` gives the AEAD of it, when it is needed: some take 2 KB each, which is too much for
    a peer that is silent (see `rest`).

    `fixed`: the 4 octets of implicit nonce that come before 8 explicit ones (CCM, GCM), or the whole 12 of
    ChaCha20-Poly1305, with which the sequence number is XORed (RFC 7905 section 2). `tag`: octets of the tag.
    `forged`: what its decrypt() raises. `cid`: the Connection ID that records of this direction carry, b"" for none.
    """

    def __init__(
        self,
        make: Callable[[bytes], Aead],
        key: bytes,
        fixed: bytes,
        tag: int,
        forged: type[Exception],
        cid: bytes = b"",
    ) -> None:
        self._make: Final = make
        self._key: Final = key
        self._aead: Aead | None = None
        self._fixed: Final = fixed
        self._tag: Final = tag
        self._forged: Final = forged
        self.cid: Final = cid
        self._explicit: Final = len(fixed) == 4
        self._mask: Final = 0 if len(fixed) == 4 else int.from_bytes(fixed, "big")

    def rest(self) -> None:
        """It is not needed for a while."""
        self._aead = None

    def _awake(self) -> Aead:
        aead = self._aead
        if aead is None:
            aead = self._make(self._key)
            self._aead = aead
        return aead

    @property
    def overhead(self) -> int:
        """Octets that a record is longer than what it carries."""
        octets = 13 + self._tag + (8 if self._explicit else 0)
        return octets + len(self.cid) + 1 if self.cid else octets

    def seal(self, kind: int, number: int, plain: bytes) -> bytes:
        """A whole record of content type `kind`. `number`: epoch and sequence number, 16 and 48 bits, never twice."""
        sequence = number.to_bytes(8, "big")
        cid = self.cid
        if cid:
            plain += bytes([kind])  # DTLSInnerPlaintext, without padding
            additional = _cid_start(cid) + sequence + cid + len(plain).to_bytes(2, "big")
            start = _CID_TYPE + sequence + cid
        else:
            start = _VERSION_TYPE[kind] + sequence
            additional = sequence + _VERSION_TYPE[kind] + len(plain).to_bytes(2, "big")
        if self._explicit:
            sealed = self._awake().encrypt(self._fixed + sequence, plain, additional)
            return start + (len(sealed) + 8).to_bytes(2, "big") + sequence + sealed
        sealed = self._awake().encrypt((self._mask ^ number).to_bytes(12, "big"), plain, additional)
        return start + len(sealed).to_bytes(2, "big") + sealed

    def open(self, kind: int, sequence: bytes, fragment: bytes) -> bytes | None:
        """What the record carries, with a Connection ID the DTLSInnerPlaintext; None: forged, or for another key.

        `sequence`: the 8 octets of epoch and sequence number as they stand in the header.
        """
        length = len(fragment) - self._tag
        if self._explicit:
            length -= 8
        if length < 0:
            return None
        if self.cid:
            additional = _cid_start(self.cid) + sequence + self.cid + length.to_bytes(2, "big")
        else:
            additional = sequence + _VERSION_TYPE[kind] + length.to_bytes(2, "big")
        try:
            if self._explicit:
                return self._awake().decrypt(self._fixed + fragment[:8], fragment[8:], additional)
            number = int.from_bytes(sequence, "big")
            return self._awake().decrypt((self._mask ^ number).to_bytes(12, "big"), fragment, additional)
        except self._forged:
            return None
