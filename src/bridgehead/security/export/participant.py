"""A DDS participant's files: identity, governance, signed permissions. `dds` and `ros2` lay them out."""

from __future__ import annotations

from typing import Final

from bridgehead.security.dds import documents
from bridgehead.security.dds.authority import DdsAuthority
from bridgehead.security.dds.grants import Grants
from bridgehead.security.dds.revocations import revocation_list, revoked_by
from bridgehead.security.dds.routes import Routing
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.export.terms import Terms
from bridgehead.security.identity.identity import Identity
from bridgehead.security.pki import certificates
from bridgehead.security.pki.authority import Authority, date
from bridgehead.security.pki.certificates import REVOCATION_LIST_LIFE
from bridgehead.security.records import Device

IDENTITY: Final = "cert.pem"
PRIVATE: Final = "key.pem"
GOVERNANCE: Final = "governance.p7s"
PERMISSIONS: Final = "permissions.p7s"
IDENTITY_CA: Final = "identity_ca.cert.pem"
PERMISSIONS_CA: Final = "permissions_ca.cert.pem"
REVOKED: Final = "crl.pem"


LIFE: Final = REVOCATION_LIST_LIFE  # of permissions and revocation list together


class Participant:
    """The contents of the files of those names, and the permissions before they were signed."""

    def __init__(self, files: dict[str, bytes], permissions: bytes, not_after: float) -> None:
        self.files: Final = files
        self.permissions: Final = permissions
        self.not_after: Final = not_after

    def __repr__(self) -> str:
        return "Participant(...)"


def participant(
    terms: Terms, granted: Grants, identity: Identity, routing: Routing, now: float, life: float = LIFE
) -> Participant:
    """`terms.dds` is a new identity. Errors: SecurityError."""
    issued = terms.dds
    assert issued is not None
    authority, pki = DdsAuthority(identity.data, now), identity.pki
    issuer = next((each for each in pki.authorities if each.fingerprint == issued.issuer), None)
    if issuer is None:
        raise SecurityError("the authority of the new DDS identity was replaced meanwhile: export again")
    made = _documents(terms.name, granted, authority, identity, issuer, routing, now, min(now + life, issued.not_after))
    # One certificate, without a chain: what verifies it stands in IDENTITY_CA.
    made.files[IDENTITY] = certificates.certificate_pem(issued.certificate)
    made.files[PRIVATE] = issued.key_pem
    made.files[IDENTITY_CA] = authority.identity_ca(issuer)
    made.files[PERMISSIONS_CA] = authority.permissions_ca_pem
    return made


def documents_of(
    device: Device, granted: Grants, identity: Identity, routing: Routing, now: float, life: float
) -> Participant:
    """What is signed anew for a device that has its identity. They end with that at the latest, or after `life`
    seconds. Errors: NotAcceptable, SecurityError."""
    if device.revoked_at is not None:
        raise NotAcceptable(f"the device {device.name!r} was revoked: nothing is signed for it")
    record = device.dds_identity
    if record is None or record.not_after <= now:
        state = "no DDS identity" if record is None else "a DDS identity that has expired"
        raise NotAcceptable(f"{device.name!r} has {state}: make one with `device export --for dds --credential new`")
    entry = identity.pki.ledger.find(int(record.serial, 16))
    issuer = next((each for each in identity.pki.authorities if entry and each.fingerprint == entry.issuer), None)
    if issuer is None:
        raise NotAcceptable(
            f"the authority of {device.name!r}'s DDS identity is not in use any more: make a new one with "
            "`device export --for dds --credential new`"
        )
    authority = DdsAuthority(identity.data, now)
    end = min(now + life, record.not_after)
    return _documents(device.name, granted, authority, identity, issuer, routing, now, end)


def _documents(
    name: str,
    granted: Grants,
    authority: DdsAuthority,
    identity: Identity,
    issuer: Authority,
    routing: Routing,
    now: float,
    end: float,
) -> Participant:
    permissions = documents.permissions(name, granted.rules, now - certificates.BACKDATED, end)
    revoked = revoked_by(identity.pki, issuer, identity.registry.revoked(now), now)
    files = {
        GOVERNANCE: authority.sign(documents.governance(routing.metadata)),
        PERMISSIONS: authority.sign(permissions),
        REVOKED: revocation_list(identity.pki, issuer, revoked, now, end),
    }
    return Participant(files, permissions, end)


def lasting(made: Participant, name: str) -> str:
    """For README.txt."""
    return (
        f"{PERMISSIONS} and {REVOKED} are good until {date(made.not_after)}: before that, bring new ones by\n"
        f"  bridgehead dds permissions {name} --data DATA --out THIS-FOLDER\n"
        "and start what uses them again."
    )


def left_out(granted: Grants) -> list[str]:
    """For README.txt: what the device may do elsewhere and not here."""
    if not granted.left_out:
        return []
    lines = [f"  {topic_filter}: {because}" for topic_filter, because in granted.left_out]
    return [
        "Not in the permissions by its name (what the hub's routes give is in permissions.xml):\n" + "\n".join(lines)
    ]
