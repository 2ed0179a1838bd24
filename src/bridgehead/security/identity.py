"""Whole acts on identities: enrol a device with its credentials, take all of them back, keep the certificates in force.

Joins the registry and the authority, so that a record never exists without what it says, nor a certificate that
counts without its record.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security import pki as authority
from bridgehead.security.credentials import CertificateRecord, PasswordRecord
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.machine import MachineNames, machine_names
from bridgehead.security.passwords import PasswordHasher
from bridgehead.security.pki import IssuedCertificate, Pki
from bridgehead.security.records import (
    Device,
    PermissionRecord,
    Requirement,
    Role,
    check_client_id,
    check_name,
    check_permissions,
)
from bridgehead.security.registry import DEVICE, Registry


class Wanted:
    """A device to enrol: what its record shall say, and with which credentials."""

    def __init__(
        self,
        name: str,
        permissions: Sequence[PermissionRecord] = (),
        roles: Sequence[str] = (),
        client_ids: Sequence[str] = (),
        require: Requirement = "any",
        password: bytes | None = None,
        certificate: bool = False,
    ) -> None:
        self.name: Final = name
        self.permissions: Final = permissions
        self.roles: Final = roles
        self.client_ids: Final = client_ids
        self.require: Final = require
        self.password: Final = password
        self.certificate: Final = certificate

    def __repr__(self) -> str:
        return f"Wanted({self.name!r})"

    def check(self) -> None:
        """What can be said without looking at other records. Errors: NotAcceptable."""
        check_name(self.name, DEVICE)
        check_permissions(self.permissions)
        for pattern in self.client_ids:
            check_client_id(pattern)
        if self.password is None and not self.certificate:
            raise NotAcceptable(f"the device {self.name!r} needs a credential: a password, a certificate, or both")


class Enrolled:
    """What came of it: the record, all permissions that hold for it, and what the device itself needs."""

    def __init__(
        self,
        device: Device,
        permissions: list[PermissionRecord],
        certificate: IssuedCertificate | None,
        password: bytes | None,
        authority_pem: bytes,
    ) -> None:
        self.device: Final = device
        self.permissions: Final = permissions
        self.certificate: Final = certificate
        self.password: Final = password
        self.authority_pem: Final = authority_pem

    def __repr__(self) -> str:
        return f"Enrolled({self.device.name!r})"


class Identity:
    """The identities of one data folder, whether the hub runs on it or not. Errors of every method: SecurityError,
    NotAcceptable for what cannot be done as asked."""

    def __init__(self, data: Path, clock: Callable[[], float] = time.time) -> None:
        """Makes the folder, the database and the authority at need."""
        self.data: Final = data
        self._clock: Final = clock
        self.registry: Final = Registry(data)
        try:
            self.pki: Final[Pki] = authority.open_authority(data, clock())
        except BaseException:
            self.registry.close()
            raise

    def close(self) -> None:
        self.registry.close()

    @contextlib.contextmanager
    def enrolling(self, wanted: Wanted) -> Iterator[Enrolled]:
        """The device exists when the `with` block has been left in order, and not at all when it raised.

        So whoever hands over the credentials does it inside, and undoes it when leaving the block raises.
        """
        wanted.check()
        now = self._clock()
        # Signing and hashing take a while: other writers need not wait for them.
        issued = self.pki.issue_device(wanted.name, now) if wanted.certificate else None
        device = Device(
            name=wanted.name,
            created=now,
            roles=tuple(dict.fromkeys(wanted.roles)),
            password=None if wanted.password is None else PasswordRecord(_hash(wanted.password), now),
            certificates=() if issued is None else (_record(issued),),
            require=wanted.require,
            client_ids=tuple(dict.fromkeys(wanted.client_ids)),
            permissions=tuple(wanted.permissions),
        )
        with self.registry.transaction():
            self.registry.add_device(device)
            permissions = self.registry.permissions_of(device)
            yield Enrolled(device, permissions, issued, wanted.password, files.read(self.pki.authority_file))

    def remove_device(self, name: str) -> Device:
        """The device and all its credentials, at once: its certificates are revoked. Returns what it was."""
        now = self._clock()
        device = self.registry.remove_device(name, now)
        try:
            self.publish_revocations()
        except SecurityError as fault:
            raise SecurityError(
                f"{name!r} is removed and its credentials are void, "
                f"but the revocation list could not be written: {fault}"
            ) from None
        return device

    def add_role(self, name: str, permissions: Sequence[PermissionRecord]) -> Role:
        role = Role(name=name, created=self._clock(), permissions=tuple(permissions))
        self.registry.add_role(role)
        return role

    def publish_revocations(self) -> bool:
        """Bring the revocation list up to the records. False when it was."""
        now = self._clock()
        return self.pki.publish_revocations(lambda: self.registry.revoked(now), now)

    def maintain(
        self, hosts: Sequence[str], names: Callable[[], MachineNames] = machine_names
    ) -> tuple[tuple[int, int], ...]:
        """What the hub does at its start, at a reload and once an hour: its own certificate stands for `hosts` and
        the machine and lasts, the revocation list is whole and fresh. Returns `Pki.stamp()`."""
        authority.ensure(self.data, hosts, self._clock(), names)
        self.publish_revocations()
        return self.pki.stamp()


def _hash(password: bytes) -> str:
    return PasswordHasher().hash(password)


def _record(issued: IssuedCertificate) -> CertificateRecord:
    return CertificateRecord(
        fingerprint=issued.fingerprint,
        serial=format(issued.serial, "x"),
        not_before=issued.not_before,
        not_after=issued.not_after,
    )
