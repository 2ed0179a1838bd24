"""A DDS participant's files: identity, governance, signed permissions. `dds` and `ros2` lay them out."""

from __future__ import annotations

from typing import Final

from cryptography import x509

from bridgehead.security.dds import documents
from bridgehead.security.dds.authority import DdsAuthority
from bridgehead.security.dds.grants import Grants
from bridgehead.security.errors import SecurityError
from bridgehead.security.export.terms import Terms
from bridgehead.security.pki import certificates
from bridgehead.security.pki.hub import Pki

IDENTITY: Final = "cert.pem"
PRIVATE: Final = "key.pem"
GOVERNANCE: Final = "governance.p7s"
PERMISSIONS: Final = "permissions.p7s"
IDENTITY_CA: Final = "identity_ca.cert.pem"
PERMISSIONS_CA: Final = "permissions_ca.cert.pem"


class Participant:
    """The contents of the files of those names, and the permissions before they were signed."""

    def __init__(self, files: dict[str, bytes], permissions: bytes) -> None:
        self.files: Final = files
        self.permissions: Final = permissions

    def __repr__(self) -> str:
        return "Participant(...)"


def participant(terms: Terms, granted: Grants, authority: DdsAuthority, pki: Pki, now: float) -> Participant:
    """`terms.dds` is a new identity. The permissions last as long as it does. Errors: SecurityError."""
    issued = terms.dds
    assert issued is not None
    issuer = next((each for each in pki.authorities if each.fingerprint == issued.issuer), None)
    if issuer is None:
        raise SecurityError("the authority of the new DDS identity was replaced meanwhile: export again")
    permissions = documents.permissions(terms.name, granted.rules, issued.not_before, issued.not_after)
    # One certificate, without a chain: what verifies it stands in IDENTITY_CA.
    identity: x509.Certificate = issued.certificate
    files = {
        IDENTITY: certificates.certificate_pem(identity),
        PRIVATE: issued.key_pem,
        IDENTITY_CA: authority.identity_ca(issuer),
        PERMISSIONS_CA: authority.permissions_ca_pem,
        GOVERNANCE: authority.sign(documents.governance()),
        PERMISSIONS: authority.sign(permissions),
    }
    return Participant(files, permissions)


def left_out(granted: Grants) -> list[str]:
    """For README.txt: what the device may do elsewhere and not here."""
    if not granted.left_out:
        return []
    lines = [f"  {topic_filter}: {because}" for topic_filter, because in granted.left_out]
    return ["Not in the permissions:\n" + "\n".join(lines)]
