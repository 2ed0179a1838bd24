"""Seals and opens records with an AEAD (RFC 5246 section 6.2.3.3, RFC 6655, RFC 7905, RFC 9146 section 5)."""

from __future__ import annotations

from typing import Final, Protocol

from mypy_extensions import mypyc_attr

from bridgehead.wire.dtls.numbers import DTLS_1_2, TLS12_CID

_VERSION_TYPE: Final = {kind: bytes([kind]) + DTLS_1_2 for kind in range(256)}
# RFC 9146 section 5.3: seq_num_placeholder, then the content type.
_PLACEHOLDER: Final = b"\xff" * 8 + bytes([TLS12_CID])
_CID_TYPE: Final = bytes([TLS12_CID]) + DTLS_1_2


class Aead(Protocol):
    """What `cryptography`'s AESCCM, AESGCM and ChaCha20Poly1305 do."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...


@mypyc_attr(acyclic=True)
class Protection:
    """One direction's key.

    `fixed`: the 4 octets of implicit nonce that come before 8 explicit ones (CCM, GCM), or the whole 12 of
    ChaCha20-Poly1305, with which the sequence number is XORed (RFC 7905 section 2). `tag`: octets of the tag.
    `forged`: what `aead.decrypt` raises. `cid`: the Connection ID that records of this direction carry, b"" for none.
    """

    def __init__(self, aead: Aead, fixed: bytes, tag: int, forged: type[Exception], cid: bytes = b"") -> None:
        self._aead: Final = aead
        self._fixed: Final = fixed
        self._tag: Final = tag
        self._forged: Final = forged
        self.cid: Final = cid
        self._explicit: Final = len(fixed) == 4
        self._mask: Final = 0 if len(fixed) == 4 else int.from_bytes(fixed, "big")
        # What stands in the additional data between sequence number and length.
        self._cid_start: Final = _PLACEHOLDER + bytes([len(cid)]) + _CID_TYPE

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
            additional = self._cid_start + sequence + cid + len(plain).to_bytes(2, "big")
            start = _CID_TYPE + sequence + cid
        else:
            start = _VERSION_TYPE[kind] + sequence
            additional = sequence + _VERSION_TYPE[kind] + len(plain).to_bytes(2, "big")
        if self._explicit:
            sealed = self._aead.encrypt(self._fixed + sequence, plain, additional)
            return start + (len(sealed) + 8).to_bytes(2, "big") + sequence + sealed
        sealed = self._aead.encrypt((self._mask ^ number).to_bytes(12, "big"), plain, additional)
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
            additional = self._cid_start + sequence + self.cid + length.to_bytes(2, "big")
        else:
            additional = sequence + _VERSION_TYPE[kind] + length.to_bytes(2, "big")
        try:
            if self._explicit:
                return self._aead.decrypt(self._fixed + fragment[:8], fragment[8:], additional)
            number = int.from_bytes(sequence, "big")
            return self._aead.decrypt((self._mask ^ number).to_bytes(12, "big"), fragment, additional)
        except self._forged:
            return None
