"""What the hub would like to see in a request (RFC 7030 4.5.2): an ECDSA key on P-256, signed with SHA-256."""

from __future__ import annotations

from typing import Final

# CsrAttrs ::= SEQUENCE OF AttrOrOID:
#   Attribute { id-ecPublicKey 1.2.840.10045.2.1, SET { secp256r1 1.2.840.10045.3.1.7 } }
#   OID ecdsa-with-SHA256 1.2.840.10045.4.3.2
_EC_PUBLIC_KEY: Final = bytes.fromhex("06072a8648ce3d0201")
_P_256: Final = bytes.fromhex("06082a8648ce3d030107")
_ECDSA_SHA256: Final = bytes.fromhex("06082a8648ce3d040302")


def _tagged(tag: int, contents: bytes) -> bytes:
    """DER with a short length."""
    assert len(contents) < 128
    return bytes([tag, len(contents)]) + contents


CSR_ATTRIBUTES: Final = _tagged(0x30, _tagged(0x30, _EC_PUBLIC_KEY + _tagged(0x31, _P_256)) + _ECDSA_SHA256)
