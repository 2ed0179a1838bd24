"""What lies in DATA/pki, as the rest of the hub uses it: issue, revoke, renew."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from bridgehead.security import files
from bridgehead.security.pki import certificates, profiles, revocation, state
from bridgehead.security.pki.authority import Authority
from bridgehead.security.pki.certificates import Revoked
from bridgehead.security.pki.issued import IssuedCertificate
from bridgehead.security.pki.ledger import Ledger
from bridgehead.security.pki.machine import Address, MachineNames, parse_host
from bridgehead.security.pki.profiles import Profile
from bridgehead.security.pki.settings import PkiSettings, read_settings

FOLDER: Final = "pki"
_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")


class Pki:
    """Made by `ensure` (the hub) or `open_authority` (whoever only issues). Follows what other processes change."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self.authority_file: Final = folder / "ca.pem"
        self.trust_file: Final = folder / "trusted.pem"
        self.server_file: Final = folder / "server.pem"
        self.revocation_file: Final = folder / "ca.crl"
        self.ledger: Final = Ledger(folder)
        self._authorities: list[Authority] = []
        self._read_at: tuple[tuple[int, int], ...] = ()

    # Authorities. -----------------------------------------------------------------------------------

    @property
    def authorities(self) -> list[Authority]:
        """All that are accepted: the one that signs devices first, then the newest of the former ones."""
        stamp = (_stamp_of(self.folder / state.FILE), _stamp_of(self.authority_file))
        if stamp != self._read_at or not self._authorities:
            self._authorities = state.read_authorities(self.folder)
            self._read_at = stamp
        return self._authorities

    @property
    def signer(self) -> Authority:
        return self.authorities[0]

    @property
    def server_signer(self) -> Authority:
        """The oldest that is accepted: clients may not trust a newer one yet."""
        return next((each for each in reversed(self.authorities) if each.can_sign), self.signer)

    @property
    def authority(self) -> x509.Certificate:
        """The certificate of the authority that signs devices."""
        return self.signer.certificate

    @property
    def authority_key_file(self) -> Path:
        return self.signer.key_file

    def settings(self) -> PkiSettings:
        return read_settings(self.folder)

    # Issuing. ---------------------------------------------------------------------------------------

    def issue(
        self,
        profile: Profile,
        subjects: Sequence[str | Address],
        public_key: CertificatePublicKeyTypes,
        now: float | None = None,
        key_pem: bytes = b"",
        signer: Authority | None = None,
    ) -> IssuedCertificate:
        """Sign a certificate and note it. `subjects`: one name; a server's hosts. `key_pem` is handed through.

        Errors: SecurityError; NotAcceptable for the name or key.
        """
        moment = time.time() if now is None else now
        by = self.signer if signer is None else signer
        by.check_validity(moment)
        settings = self.settings()
        made = profiles.make(
            profile, by.certificate, by.key(), public_key, subjects, moment, settings.life(profile), settings.url
        )
        issued = IssuedCertificate(made, by.chain, key_pem)
        issued.issuer = by.fingerprint
        self.ledger.add(issued, profile.name, str(subjects[0]))
        return issued

    def issue_device(self, name: str, now: float | None = None) -> IssuedCertificate:
        """A new key and certificate for the device. Who calls keeps the record of it."""
        key = certificates.new_key()
        return self.issue(profiles.DEVICE, [name], key.public_key(), now, certificates.key_pem(key))

    # Revocation. ------------------------------------------------------------------------------------

    def publish_revocations(self, revoked: Callable[[], Iterable[Revoked]], now: float | None = None) -> bool:
        """Make the revocation lists say what `revoked` (the devices') and the ledger say. False when they did already
        and are not old.

        `revoked` is asked under the lock, so the list that is written last is the newest.
        """
        moment = time.time() if now is None else now
        with files.locked(self.folder / ".lock"):
            return revocation.publish(self, [*revoked(), *self.ledger.revoked(moment)], moment)

    def revoked_serials(self) -> set[int]:
        """The serial numbers on the lists as they lie in the file."""
        return {entry.serial_number for each in revocation.read_lists(self) for entry in each}

    def revocation_list(self, key_identifier: str = "") -> bytes | None:
        """The list (DER) of the authority with this key identifier in hexadecimal; "": of the one that signs."""
        wanted = key_identifier or certificates.key_identifier(self.authority).hex()
        for each in revocation.read_lists(self):
            if revocation.issuer_key_identifier(each).hex() == wanted:
                return each.public_bytes(serialization.Encoding.DER)
        return None

    # The hub's own certificate. ---------------------------------------------------------------------

    def server_certificate(self) -> x509.Certificate | None:
        """As it lies in the file, None before the hub has started for the first time."""
        if not self.server_file.exists():
            return None
        files.check_private(self.server_file)
        return certificates.read_certificate(files.read(self.server_file), str(self.server_file))

    def server_hosts(self) -> list[str | Address]:
        """The names and addresses for which the hub's certificate stands."""
        certificate = self.server_certificate()
        return [] if certificate is None else _hosts_of(certificate)

    def renew_server(self, hosts: Sequence[str], names: MachineNames, now: float) -> bool:
        """Under the lock. False when the present one does."""
        current = self.server_certificate()
        present = [] if current is None else _hosts_of(current)
        wanted = wanted_hosts(hosts, names, present)
        by = self.server_signer
        life = self.settings().life(profiles.SERVER)
        if current is not None and set(present) == set(wanted) and self._lasts(current, by, now, life / 3):
            return False
        # With the key kept elsewhere: make do with a certificate that has every name that somebody asked for.
        makes_do = not by.can_sign and {parse_host(host) for host in hosts} <= set(present)
        if current is not None and makes_do and self._lasts(current, by, now, 0):
            return False
        key = certificates.new_key()
        issued = self.issue(profiles.SERVER, wanted, key.public_key(), now, certificates.key_pem(key), by)
        files.write_whole(self.server_file, issued.key_pem + issued.certificate_pem)
        return True

    def _lasts(self, certificate: x509.Certificate, by: Authority, now: float, left: float) -> bool:
        """By this authority, in force, and with so many seconds before it (or as many as the authority has)."""
        if not certificates.is_issued_by(certificate, by.certificate):
            return False
        begin, end = certificates.not_before(certificate), certificates.not_after(certificate)
        return begin <= now < end and (end - now >= left or end >= certificates.not_after(by.certificate))

    # Changes. ---------------------------------------------------------------------------------------

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Differs when a file was replaced, by whichever process: then build the TLS contexts anew."""
        return tuple(_stamp_of(path) for path in (self.trust_file, self.server_file, self.revocation_file))


def _stamp_of(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # gone, or out of reach: whoever reads it next says so
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)


def _hosts_of(certificate: x509.Certificate) -> list[str | Address]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    hosts: list[str | Address] = list(names.get_values_for_type(x509.DNSName))
    for address in names.get_values_for_type(x509.IPAddress):
        hosts.append(parse_host(str(address)))
    return hosts


def wanted_hosts(hosts: Sequence[str], names: MachineNames, present: Sequence[str | Address]) -> list[str | Address]:
    """For what the hub's certificate stands, the host name first. `present`: for what it stands until now; of these
    a domain name is kept that the resolver just does not tell."""
    domain_names = [names.domain_name] if names.domain_name is not None else []
    if not domain_names:
        domain_names = [name for name in present if isinstance(name, str) and name.startswith(names.host_name + ".")]
    wanted: list[str | Address] = [names.host_name, *domain_names]
    wanted += [parse_host(host) for host in (*hosts, *_ALWAYS)]
    wanted += names.addresses
    return list(dict.fromkeys(wanted))
