"""Whose a participant is, by the GUID that authentication has bound to its certificate.

DDS Security 1.1 section 9.3.3.3 (adjusted participant GUID): the first bit is one, the next 47 are the first bits of
SHA-256 of the certificate's subject, in DER. Cyclone DDS and Fast DDS refuse a peer whose GUID is another.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography import x509

from bridgehead.security.pki.certificates import common_name

OCTETS: Final = 6  # of the GUID's prefix, that follow from the subject


def bound_octets(subject: x509.Name) -> bytes:
    """The first six octets of the GUID of every participant that has a certificate of this subject."""
    first = int.from_bytes(hashlib.sha256(subject.public_bytes()).digest()[:OCTETS], "big")
    return (first >> 1 | 1 << 47).to_bytes(OCTETS, "big")


def of_device(name: str) -> bytes:
    """As `bound_octets`, for the DDS identity that the hub issues to the device."""
    return bound_octets(common_name(name))
