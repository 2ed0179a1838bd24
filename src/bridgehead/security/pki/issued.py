"""A certificate that was just issued, and the only copy of its private key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509

from bridgehead.security.pki import certificates


class IssuedCertificate:
    """`certificate_pem`: the certificate, then the authorities between it and the root. `key_pem`: its private key,
    empty when the holder made the key. `issuer`: the fingerprint of the authority that signed it."""

    def __init__(self, certificate: x509.Certificate, chain: Sequence[x509.Certificate], key_pem: bytes) -> None:
        self.certificate: Final = certificate
        self.chain: Final = tuple(chain)
        self.certificate_pem: Final = certificates.certificate_pem(certificate, *chain)
        self.key_pem: Final = key_pem
        self.fingerprint: Final = certificates.fingerprint(certificates.certificate_der(certificate))
        self.serial: Final = certificate.serial_number
        self.not_before: Final = certificates.not_before(certificate)
        self.not_after: Final = certificates.not_after(certificate)
        self.issuer = ""

    def __repr__(self) -> str:
        return f"IssuedCertificate(fingerprint={self.fingerprint!r})"
