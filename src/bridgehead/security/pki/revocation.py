"""The revocation lists of all accepted authorities, in the one file DATA/pki/ca.crl. Called under the folder's lock."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridgehead.security import files
from bridgehead.security.pki import certificates
from bridgehead.security.pki.authority import Authority
from bridgehead.security.pki.certificates import Revoked
from bridgehead.security.pki.ledger import Ledger


class Keeper(Protocol):
    """What has such a file."""

    @property
    def authorities(self) -> list[Authority]: ...

    @property
    def revocation_file(self) -> Path: ...

    @property
    def ledger(self) -> Ledger: ...


def read_lists(pki: Keeper) -> list[x509.CertificateRevocationList]:
    """Errors: SecurityError."""
    return certificates.read_revocation_lists(files.read(pki.revocation_file), str(pki.revocation_file))


def issuer_key_identifier(listed: x509.CertificateRevocationList) -> bytes:
    """b"" when the list does not say by which key it was signed."""
    try:
        found = listed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return b""
    return found or b""


def publish(pki: Keeper, revoked: Iterable[Revoked], now: float) -> bool:
    """Write what has changed, or what has less than half of its life left. Errors: SecurityError."""
    by_serial = {each.serial: each for each in revoked}
    issuers = pki.ledger.issuers(set(by_serial))
    present = read_lists(pki) if pki.revocation_file.exists() else []
    lists: list[x509.CertificateRevocationList] = []
    changed = False
    for each in pki.authorities:
        # A serial number whose issuer nobody noted stands on every list: they are 160 random bits.
        own = [one for serial, one in by_serial.items() if issuers.get(serial, each.fingerprint) == each.fingerprint]
        current = _of(each, present)
        if current is None or not _says(current, own, now):
            current = _make(each, own, current, now)
            changed = True
        lists.append(current)
    if not changed and len(lists) == len(present):
        return False
    pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in lists)
    files.write_whole(pki.revocation_file, pem)
    return True


def keep(pki: Keeper, now: float) -> None:
    """A list of each authority there is always, and it is never about to expire: TLS would refuse every certificate
    then. With what stands on them already."""
    kept: dict[int, Revoked] = {}
    present = read_lists(pki) if pki.revocation_file.exists() else []
    for listed in present:
        for entry in listed:
            kept[entry.serial_number] = Revoked(entry.serial_number, entry.revocation_date_utc.timestamp())
    away = [each for each in pki.authorities if not each.can_sign]
    if away and all(_is_in_force(_of(each, present), now) for each in pki.authorities):
        return  # the key is kept elsewhere, and these are still in force
    publish(pki, kept.values(), now)


def _of(authority: Authority, lists: Iterable[x509.CertificateRevocationList]) -> x509.CertificateRevocationList | None:
    wanted = certificates.key_identifier(authority.certificate)
    for each in lists:
        if each.issuer == authority.certificate.subject and issuer_key_identifier(each) == wanted:
            return each
    return None


def _is_in_force(listed: x509.CertificateRevocationList | None, now: float) -> bool:
    until = None if listed is None else listed.next_update_utc
    return until is not None and until.timestamp() > now


def _says(listed: x509.CertificateRevocationList, revoked: list[Revoked], now: float) -> bool:
    until = listed.next_update_utc
    fresh = until is not None and until.timestamp() - now > certificates.REVOCATION_LIST_LIFE / 2
    return fresh and {entry.serial_number for entry in listed} == {each.serial for each in revoked}


def _make(
    authority: Authority, revoked: list[Revoked], before: x509.CertificateRevocationList | None, now: float
) -> x509.CertificateRevocationList:
    number = int(now)
    if before is not None:
        number = max(number, before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1)
    return certificates.make_revocation_list(authority.certificate, authority.key(), revoked, number, now)
