"""When what ends: every certificate and revocation list that the hub knows of, and when to warn of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import Pki, certificates, profiles, revocation
from bridgehead.security.pki.authority import Authority
from bridgehead.security.pki.certificates import DAY
from bridgehead.security.records import Device

WARNINGS: Final = (30, 14, 7, 1)  # days before the end
# What the hub renews by itself is warned of when that is overdue: when so much of the time for it is left.
_OVERDUE: Final = 0.8


class Ending:
    """`what`: "root", "issuing", "server", "ocsp", "list", "listener", "client-ca", "device", ... `name`: whose.
    `renewed_at`: seconds before the end at which the hub renews it by itself; 0.0: somebody has to."""

    def __init__(self, what: str, name: str, ends: float, renewed_at: float = 0.0) -> None:
        self.what: Final = what
        self.name: Final = name
        self.ends: Final = ends
        self.renewed_at: Final = renewed_at

    def __repr__(self) -> str:
        return f"Ending({self.what!r}, {self.name!r}, {self.ends!r})"

    def warning(self, now: float) -> int | None:
        """The nearest of the WARNINGS that is reached, in days; 0: it has ended. None: there is time."""
        left = self.ends - now
        if left <= 0:
            return 0
        if self.renewed_at and left > self.renewed_at * _OVERDUE:
            return None
        return min((days for days in WARNINGS if left <= days * DAY), default=None)


def calendar(pki: Pki, devices: Iterable[Device], listener_files: Sequence[Path], now: float) -> list[Ending]:
    """What ends first comes first. A file that cannot be read is told by whoever uses it. Errors: SecurityError."""
    found = _of_authorities(pki, now)
    for device in devices:
        found += _of_device(device)
    accepted = {each.fingerprint for each in pki.authorities}
    own = (profiles.DEVICE.name, profiles.SERVER.name, profiles.OCSP.name, profiles.DDS_IDENTITY.name)
    found += [
        Ending(each.profile, each.subject, each.not_after)
        for each in pki.ledger.living(now)
        if each.profile not in own and each.issuer in accepted
    ]
    for path in dict.fromkeys(listener_files):
        found += _of_file(path)
    return sorted(found, key=lambda each: (each.ends, each.what, each.name))


def _of_authorities(pki: Pki, now: float) -> list[Ending]:
    found: dict[str, Ending] = {}
    for authority in pki.authorities:
        for certificate in (authority.root, *authority.chain):
            what = "root" if certificate is authority.root else "issuing"
            ends = _until(authority, certificate, now)
            found[f"{what} {certificate.serial_number}"] = Ending(what, _subject(certificate), ends)
        if authority.responder_file.exists():
            signer = certificates.read_certificate(files.read(authority.responder_file), str(authority.responder_file))
            found[f"ocsp {authority.name}"] = Ending("ocsp", _subject(signer), *_renewed(signer, authority.can_sign))
    server = pki.server_certificate()
    if server is not None:
        found["server"] = Ending("server", _subject(server), *_renewed(server, pki.server_signer.can_sign))
    listed = revocation.read_lists(pki) if pki.revocation_file.exists() else []
    for each in listed:
        if each.next_update_utc is not None:
            renewed_at = certificates.REVOCATION_LIST_LIFE / 2 if pki.signer.can_sign else 0.0
            name = each.issuer.rfc4514_string()
            found[f"list {name}"] = Ending("list", name, each.next_update_utc.timestamp(), renewed_at)
    return list(found.values())


def _until(authority: Authority, certificate: x509.Certificate, now: float) -> float:
    """A former authority ends with its overlap."""
    ends = certificates.not_after(certificate)
    return ends if authority.until is None or authority.until <= now else min(ends, authority.until)


def _renewed(certificate: x509.Certificate, can_sign: bool) -> tuple[float, float]:
    ends = certificates.not_after(certificate)
    return ends, (ends - certificates.not_before(certificate)) / 3 if can_sign else 0.0


def _of_device(device: Device) -> list[Ending]:
    """Of several certificates the one that lasts longest: the others are what it has left behind."""
    found: list[Ending] = []
    if not device.enabled:
        return found
    if device.certificates:
        found.append(Ending("device", device.name, max(each.not_after for each in device.certificates)))
    if device.dds_identity is not None:
        found.append(Ending("dds-identity", device.name, device.dds_identity.not_after))
    return found


def _of_file(path: Path) -> list[Ending]:
    try:
        pem = files.read(path)
        named = [(_subject(each), certificates.not_after(each)) for each in x509.load_pem_x509_certificates(pem)]
    except (SecurityError, *certificates.UNREADABLE):
        named = []
        pem = b""
    found = [Ending("file", f"{path}: {name}", ends) for name, ends in named]
    if b"-----BEGIN X509 CRL-----" in pem:
        try:
            lists = certificates.read_revocation_lists(pem, str(path))
        except SecurityError:
            return found
        for each in lists:
            if each.next_update_utc is not None:
                name = f"{path}: {each.issuer.rfc4514_string()}"
                found.append(Ending("list", name, each.next_update_utc.timestamp()))
    return found


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string().removeprefix("CN=")
