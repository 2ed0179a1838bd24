"""The hub's own public key infrastructure in DATA/pki: authority, server certificate, revocation list.

    ca.key       the authority's private key; read only while something is signed
    ca.pem       the authority's certificate: what clients trust
    server.pem   the hub's own private key and certificate, one file, so that they change together
    ca.crl       the revocation list

All files are 0600, the folder is 0700. Processes take turns by the file `.lock`. Errors: SecurityError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bridgehead.security import certificates, files
from bridgehead.security.certificates import Revoked
from bridgehead.security.errors import SecurityError
from bridgehead.security.machine import Address, MachineNames, machine_names, parse_host

FOLDER: Final = "pki"
_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")


class IssuedCertificate:
    """A device's new certificate. `key_pem` is the only copy of its private key."""

    def __init__(self, certificate: x509.Certificate, key_pem: bytes) -> None:
        der = certificate.public_bytes(serialization.Encoding.DER)
        self.certificate_pem: Final = certificates.certificate_pem(certificate)
        self.key_pem: Final = key_pem
        self.fingerprint: Final = certificates.fingerprint(der)
        self.serial: Final = certificate.serial_number
        self.not_before: Final = certificates.not_before(certificate)
        self.not_after: Final = certificates.not_after(certificate)

    def __repr__(self) -> str:
        return f"IssuedCertificate(fingerprint={self.fingerprint!r})"


class Pki:
    """What lies in DATA/pki. Made by `ensure` (the hub) or `open_authority` (whoever only issues)."""

    def __init__(self, folder: Path, authority: x509.Certificate) -> None:
        self.folder: Final = folder
        self.authority: Final = authority
        self.authority_file: Final = folder / "ca.pem"
        self.authority_key_file: Final = folder / "ca.key"
        self.server_file: Final = folder / "server.pem"
        self.revocation_file: Final = folder / "ca.crl"

    # Devices. ---------------------------------------------------------------------------------------

    def issue_device(self, name: str, now: float | None = None) -> IssuedCertificate:
        """A new key and certificate for the device. Nothing is written; who calls keeps the record of it."""
        moment = time.time() if now is None else now
        _check_validity(self.authority, moment, self.authority_file)
        key = certificates.new_key()
        certificate = certificates.make_device(self.authority, self._authority_key(), key.public_key(), name, moment)
        return IssuedCertificate(certificate, certificates.key_pem(key))

    # Revocation. ------------------------------------------------------------------------------------

    def publish_revocations(self, revoked: Callable[[], Iterable[Revoked]], now: float | None = None) -> bool:
        """Make the revocation list say what `revoked` says. False when it did already and is not old.

        `revoked` is asked under the lock, so the list that is written last is the newest.
        """
        moment = time.time() if now is None else now
        with files.locked(self.folder / ".lock"):
            return self._publish(list(revoked()), moment)

    def revoked_serials(self) -> set[int]:
        """The serial numbers on the list as it lies in the file."""
        return {entry.serial_number for entry in self._revocation_list()}

    def _revocation_list(self) -> x509.CertificateRevocationList:
        pem = files.read(self.revocation_file)
        return certificates.read_revocation_list(pem, str(self.revocation_file))

    def _publish(self, revoked: list[Revoked], now: float) -> bool:
        number = int(now)
        if self.revocation_file.exists():
            current = self._revocation_list()
            until = current.next_update_utc
            fresh = until is not None and until.timestamp() - now > certificates.REVOCATION_LIST_LIFE / 2
            if fresh and {entry.serial_number for entry in current} == {each.serial for each in revoked}:
                return False
            number = max(number, current.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1)
        made = certificates.make_revocation_list(self.authority, self._authority_key(), revoked, number, now)
        files.write_whole(self.revocation_file, made.public_bytes(serialization.Encoding.PEM))
        return True

    def _keep_revocations(self, now: float) -> None:
        """A list there is always, and it is never about to expire: TLS would refuse every certificate then."""
        kept: list[Revoked] = []
        if self.revocation_file.exists():
            current = self._revocation_list()
            until = current.next_update_utc
            if not self.authority_key_file.exists() and until is not None and until.timestamp() > now:
                return  # the key is kept elsewhere, and this one is still in force
            kept = [Revoked(each.serial_number, each.revocation_date_utc.timestamp()) for each in current]
        self._publish(kept, now)

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

    def _renew_server(self, hosts: Sequence[str], names: MachineNames, now: float) -> bool:
        current = self.server_certificate()
        present = [] if current is None else _hosts_of(current)
        wanted = wanted_hosts(hosts, names, present)
        if current is not None and set(present) == set(wanted) and self._lasts(current, now, 1 / 3):
            return False
        # With the key kept elsewhere: make do with a certificate that has every name that somebody asked for.
        makes_do = not self.authority_key_file.exists() and {parse_host(host) for host in hosts} <= set(present)
        if current is not None and makes_do and self._lasts(current, now, 0):
            return False
        _check_validity(self.authority, now, self.authority_file)
        key = certificates.new_key()
        made = certificates.make_server(self.authority, self._authority_key(), key.public_key(), wanted, now)
        files.write_whole(self.server_file, certificates.key_pem(key) + certificates.certificate_pem(made))
        return True

    def _lasts(self, certificate: x509.Certificate, now: float, left: float) -> bool:
        """Ours, in force, and with at least this part of its life before it."""
        try:
            certificate.verify_directly_issued_by(self.authority)
        except (ValueError, TypeError, InvalidSignature):
            return False
        begin, end = certificates.not_before(certificate), certificates.not_after(certificate)
        return begin <= now and end - now >= (end - begin) * left

    # Changes. ---------------------------------------------------------------------------------------

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Differs when a file was replaced, by whichever process: then build the TLS contexts anew."""
        found: list[tuple[int, int]] = []
        for path in (self.authority_file, self.server_file, self.revocation_file):
            try:
                status = path.stat()
            except FileNotFoundError:
                found.append((0, 0))
            else:
                found.append((status.st_mtime_ns, status.st_ino))
        return tuple(found)

    def _authority_key(self) -> ec.EllipticCurvePrivateKey:
        path = self.authority_key_file
        if not path.exists():
            raise SecurityError(f"{path}, the key of the hub's authority, is not there: put it back to sign anything")
        files.check_private(path)
        key = certificates.read_key(files.read(path), str(path))
        if key.public_key() != self.authority.public_key():
            raise SecurityError(f"{path} is not the key of {self.authority_file}: restore both from one backup")
        return key


def open_authority(data: Path, now: float | None = None) -> Pki:
    """The authority of the data folder with its revocation list; both are made when there is none."""
    moment = time.time() if now is None else now
    folder = _folder(data)
    with files.locked(folder / ".lock"):
        return _open(folder, moment)


def ensure(
    data: Path,
    hosts: Sequence[str],
    now: float | None = None,
    names: Callable[[], MachineNames] = machine_names,
) -> Pki:
    """As `open_authority`, and the hub's own certificate is there, lasts, and stands for the machine's names and
    addresses and for `hosts`. Call it at the start, at every reload, and once an hour while the hub runs.

    Errors: SecurityError; NotAcceptable when one of `hosts` is no host.
    """
    moment = time.time() if now is None else now
    folder = _folder(data)
    machine = names()
    with files.locked(folder / ".lock"):
        pki = _open(folder, moment)
        _check_validity(pki.authority, moment, pki.authority_file)
        pki._renew_server(hosts, machine, moment)
        return pki


def _folder(data: Path) -> Path:
    files.private_folder(data)
    folder = data / FOLDER
    files.private_folder(folder)
    return folder


def _open(folder: Path, now: float) -> Pki:
    certificate_file, key_file = folder / "ca.pem", folder / "ca.key"
    for path in (key_file, folder / "server.pem"):
        if path.exists():
            files.check_private(path)
    if not certificate_file.exists():
        # The key comes first. A certificate that is missing beside it is one that nobody has been given.
        if not key_file.exists():
            files.write_whole(key_file, certificates.key_pem(certificates.new_key()))
        key = certificates.read_key(files.read(key_file), str(key_file))
        files.write_whole(certificate_file, certificates.certificate_pem(certificates.make_authority(key, now)))
    pki = Pki(folder, certificates.read_certificate(files.read(certificate_file), str(certificate_file)))
    pki._keep_revocations(now)
    return pki


def _check_validity(authority: x509.Certificate, now: float, path: Path) -> None:
    begin, end = certificates.not_before(authority), certificates.not_after(authority)
    if now < begin:
        raise SecurityError(
            f"the hub's authority ({path}) is valid from {_date(begin)} on and this machine's clock says {_date(now)}: "
            "set the clock"
        )
    if now >= end:
        raise SecurityError(
            f"the hub's authority ({path}) has expired on {_date(end)}: move the folder {path.parent} away, "
            "start again, and give every device and client the new ca.pem"
        )


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


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
