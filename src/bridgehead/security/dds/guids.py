"""Which device is behind a secured participant: its GUID says so.

Authentication binds the first six octets of a participant's GUID to its certificate: the first bit is 1, the next 47
are the first of the SHA-256 of the subject's DER (DDS Security 1.1 section 9.3.3, table 52). Cyclone DDS and Fast DDS
both compute it so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography import x509

from bridgehead.security.pki import certificates

OCTETS: Final = 6
_BITS: Final = 8 * OCTETS
_HIGHEST: Final = 1 << (_BITS - 1)


def guid_prefix(subject: bytes) -> bytes:
    """The six octets for a certificate whose subject's DER this is."""
    digest = int.from_bytes(hashlib.sha256(subject).digest()[:OCTETS])
    return (digest >> 1 | _HIGHEST).to_bytes(OCTETS)


def certificate_guid_prefix(certificate: x509.Certificate) -> bytes:
    return guid_prefix(certificate.subject.public_bytes())


def device_guid_prefix(name: str) -> bytes:
    """Of the device called `name`, whose identities all have the subject CN=`name`."""
    return guid_prefix(certificates.common_name(name).public_bytes())


def devices_by_guid(names: Iterable[str]) -> dict[bytes, str]:
    """GUID prefix -> device. Names that share a prefix, which nobody meets by chance, are all left out: who made one
    for the purpose shall not be taken for the other."""
    found: dict[bytes, str] = {}
    shared: set[bytes] = set()
    for name in names:
        prefix = device_guid_prefix(name)
        if found.setdefault(prefix, name) != name:
            shared.add(prefix)
    return {prefix: name for prefix, name in found.items() if prefix not in shared}


def low_name(stem: str, zero_bits: int) -> str:
    """`stem` with a number behind it, the first with which so many bits after the GUID's first one are 0.

    Of two participants the one with the lower GUID begins the handshake, and Fast DDS joins a domain secured by Cyclone
    DDS only where it has not to begin. 16 bits take some 65,000 hashes, a tenth of a second.
    """
    limit = _HIGHEST | (_HIGHEST - 1) >> zero_bits
    number = 0
    while True:
        name = f"{stem} {number:08x}"
        if int.from_bytes(device_guid_prefix(name)) <= limit:
            return name
        number += 1
