"""Device and role records in DATA/identity.db. Any process may write; the hub sees it by `version` and `changes`."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from bridgehead.security.certificates import REVOCATION_LIST_LIFE, Revoked
from bridgehead.security.credentials import CertificateRecord
from bridgehead.security.database import BUSY_SECONDS, Database
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.records import (
    Device,
    PermissionRecord,
    Role,
    check_client_id,
    check_name,
    check_permissions,
)

DEVICE: Final = "device"
ROLE: Final = "role"
_CHANGES_KEPT: Final = 10_000
_FINGERPRINT: Final = frozenset("0123456789abcdef")

_Record = TypeVar("_Record", Device, Role)


class Change:
    """`kind` is DEVICE or ROLE: the record `name` was added, changed or removed."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind: Final = kind
        self.name: Final = name


class Registry:
    """The records. Errors of every method: SecurityError; NotAcceptable for what cannot be put in or is not there."""

    def __init__(self, data: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        """Opens, and makes or migrates the database at need; makes the data folder too."""
        self._database: Final = Database(data, busy_seconds)
        self.path: Final = self._database.path

    def close(self) -> None:
        self._database.close()

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Reads and writes inside of it are one step: all or nothing, and no other writer between them."""
        return self._database.transaction()

    # What has changed. ------------------------------------------------------------------------------

    def version(self) -> tuple[int, int]:
        """Differs after every commit of whichever process. Costs microseconds: it may be asked at any time."""
        return self._database.version()

    def change_number(self) -> int:
        """The number of the last change, for `changes`."""
        return _integer(self._database.rows("SELECT coalesce(max(number), 0) FROM changes")[0][0])

    def changes(self, after: int) -> tuple[int, list[Change] | None]:
        """(number of the last change, changes after number `after` in order). None: too many to tell, read all."""
        oldest, newest = self._database.rows("SELECT coalesce(min(number), 1), coalesce(max(number), 0) FROM changes")[
            0
        ]
        if after < _integer(oldest) - 1 or after > _integer(newest):
            return _integer(newest), None
        rows = self._database.rows("SELECT number, kind, name FROM changes WHERE number > ? ORDER BY number", after)
        last = _integer(rows[-1][0]) if rows else after
        return last, [Change(str(kind), str(name)) for _, kind, name in rows]

    # Devices. ---------------------------------------------------------------------------------------

    def device(self, name: str) -> Device | None:
        for (record,) in self._database.rows("SELECT record FROM devices WHERE name = ?", name):
            return self._decode(record, Device, name)
        return None

    def devices(self) -> list[Device]:
        """All, by name."""
        rows = self._database.rows("SELECT name, record FROM devices ORDER BY name")
        return [self._decode(record, Device, str(name)) for name, record in rows]

    def device_by_fingerprint(self, fingerprint: str) -> Device | None:
        rows = self._database.rows("SELECT device FROM certificates WHERE fingerprint = ?", fingerprint)
        return self.device(str(rows[0][0])) if rows else None

    def devices_with_role(self, role: str) -> list[str]:
        rows = self._database.rows("SELECT device FROM device_roles WHERE role = ? ORDER BY device", role)
        return [str(name) for (name,) in rows]

    def existing_device(self, name: str) -> Device:
        """As `device`. Errors: NotAcceptable, naming what is nearest."""
        found = self.device(name)
        if found is None:
            raise NotAcceptable(f"there is no device {name!r}{self._nearest('devices', name)}")
        return found

    def add_device(self, device: Device) -> None:
        with self.transaction():
            self._check_device(device)
            if self._database.rows("SELECT 1 FROM devices WHERE name = ?", device.name):
                raise NotAcceptable(f"there is a device {device.name!r} already: remove it first, or take another name")
            self._database.write("INSERT INTO devices VALUES (?, ?)", device.name, msgspec.json.encode(device))
            self._index(device)
            self._changed(DEVICE, device.name)

    def update_device(self, device: Device, now: float) -> None:
        """Put the record in place of the one of that name. Certificates that it lost are revoked."""
        with self.transaction():
            self._check_device(device)
            old = self.existing_device(device.name)
            self._unindex(device.name)
            self._database.write(
                "UPDATE devices SET record = ? WHERE name = ?", msgspec.json.encode(device), device.name
            )
            self._index(device)
            kept = {certificate.fingerprint for certificate in device.certificates}
            self._revoke(device.name, [c for c in old.certificates if c.fingerprint not in kept], now)
            self._changed(DEVICE, device.name)

    def remove_device(self, name: str, now: float) -> Device:
        """Returns what it was. All its certificates are revoked."""
        with self.transaction():
            device = self.existing_device(name)
            self._unindex(name)
            self._database.write("DELETE FROM devices WHERE name = ?", name)
            self._revoke(name, device.certificates, now)
            self._changed(DEVICE, name)
            return device

    def renew_password_hash(self, name: str, old: str, new: str) -> bool:
        """Put another hash of the same password in place of `old`. False when it is no longer there."""
        with self.transaction():
            device = self.device(name)
            if device is None or device.password is None or device.password.encoded != old:
                return False
            changed = replace(device, password=replace(device.password, encoded=new))
            self._database.write("UPDATE devices SET record = ? WHERE name = ?", msgspec.json.encode(changed), name)
            self._changed(DEVICE, name)
            return True

    # Roles. -----------------------------------------------------------------------------------------

    def role(self, name: str) -> Role | None:
        for (record,) in self._database.rows("SELECT record FROM roles WHERE name = ?", name):
            return self._decode(record, Role, name)
        return None

    def roles(self) -> list[Role]:
        """All, by name."""
        rows = self._database.rows("SELECT name, record FROM roles ORDER BY name")
        return [self._decode(record, Role, str(name)) for name, record in rows]

    def existing_role(self, name: str) -> Role:
        """As `role`. Errors: NotAcceptable, naming what is nearest."""
        found = self.role(name)
        if found is None:
            raise NotAcceptable(f"there is no role {name!r}{self._nearest('roles', name)}")
        return found

    def add_role(self, role: Role) -> None:
        with self.transaction():
            self._check_role(role)
            if self._database.rows("SELECT 1 FROM roles WHERE name = ?", role.name):
                raise NotAcceptable(f"there is a role {role.name!r} already: remove it first, or take another name")
            self._database.write("INSERT INTO roles VALUES (?, ?)", role.name, msgspec.json.encode(role))
            self._changed(ROLE, role.name)

    def update_role(self, role: Role) -> None:
        with self.transaction():
            self._check_role(role)
            self.existing_role(role.name)
            self._database.write("UPDATE roles SET record = ? WHERE name = ?", msgspec.json.encode(role), role.name)
            self._changed(ROLE, role.name)

    def remove_role(self, name: str) -> Role:
        with self.transaction():
            role = self.existing_role(name)
            holders = self.devices_with_role(name)
            if holders:
                shown = ", ".join(holders[:5]) + (f" and {len(holders) - 5} more" if len(holders) > 5 else "")
                raise NotAcceptable(f"the role {name!r} is still held by {shown}: take it from them first")
            self._database.write("DELETE FROM roles WHERE name = ?", name)
            self._changed(ROLE, name)
            return role

    def permissions_of(self, device: Device) -> list[PermissionRecord]:
        """Its own, then those of its roles."""
        found = list(device.permissions)
        for name in device.roles:
            role = self.role(name)
            if role is not None:
                found += role.permissions
        return found

    # Revoked certificates. --------------------------------------------------------------------------

    def revoked(self, now: float) -> list[Revoked]:
        """What a revocation list of today names: a certificate stays on it for a while after its own end."""
        rows = self._database.rows(
            "SELECT serial, revoked_at FROM revocations WHERE expires_at > ? ORDER BY revoked_at, serial",
            now - REVOCATION_LIST_LIFE,
        )
        return [Revoked(int(str(serial), 16), float(str(at))) for serial, at in rows]

    def revoked_from(self, fingerprint: str) -> str | None:
        """The name of the device that had this certificate before it was revoked. None: it was not."""
        rows = self._database.rows("SELECT device FROM revocations WHERE fingerprint = ?", fingerprint)
        return str(rows[0][0]) if rows else None

    def _revoke(self, device: str, certificates: Iterable[CertificateRecord], now: float) -> None:
        for each in certificates:
            self._database.write(
                "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?, ?)",
                each.serial,
                each.fingerprint,
                device,
                now,
                each.not_after,
            )

    # ------------------------------------------------------------------------------------------------

    def _check_device(self, device: Device) -> None:
        """A role's denial may void what the device or another role permits: that is meant, and no error."""
        check_name(device.name, DEVICE)
        check_permissions(device.permissions)
        for role in device.roles:
            self.existing_role(role)
        for pattern in device.client_ids:
            check_client_id(pattern)
        if device.require == "password+certificate" and (device.password is None or not device.certificates):
            raise NotAcceptable(
                f"the device {device.name!r} shall need password and certificate, and lacks one of them"
            )
        for certificate in device.certificates:
            if len(certificate.fingerprint) != 64 or not _FINGERPRINT.issuperset(certificate.fingerprint):
                raise NotAcceptable(f"{certificate.fingerprint!r} is no SHA-256 fingerprint: 64 digits of 0-9 a-f")
            if self.revoked_from(certificate.fingerprint) is not None:
                raise NotAcceptable(f"the certificate {certificate.fingerprint[:16]}... was revoked: issue another one")
            for (holder,) in self._database.rows(
                "SELECT device FROM certificates WHERE fingerprint = ?", certificate.fingerprint
            ):
                if holder != device.name:
                    raise NotAcceptable(f"a certificate of {device.name!r} belongs to the device {holder!r} already")

    def _check_role(self, role: Role) -> None:
        check_name(role.name, ROLE)
        check_permissions(role.permissions)

    def _index(self, device: Device) -> None:
        for certificate in device.certificates:
            self._database.write("INSERT INTO certificates VALUES (?, ?)", certificate.fingerprint, device.name)
        for role in dict.fromkeys(device.roles):
            self._database.write("INSERT INTO device_roles VALUES (?, ?)", role, device.name)

    def _unindex(self, name: str) -> None:
        self._database.write("DELETE FROM certificates WHERE device = ?", name)
        self._database.write("DELETE FROM device_roles WHERE device = ?", name)

    def _changed(self, kind: str, name: str) -> None:
        self._database.write("INSERT INTO changes (kind, name) VALUES (?, ?)", kind, name)
        self._database.write("DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - ?", _CHANGES_KEPT)

    def _nearest(self, table: str, name: str) -> str:
        statement = "SELECT name FROM devices" if table == "devices" else "SELECT name FROM roles"
        names = [str(row[0]) for row in self._database.rows(statement + " LIMIT 10000")]
        near = difflib.get_close_matches(name, names, n=1)
        return f": did you mean {near[0]!r}?" if near else f": `bridgehead {table[:-1]} list` shows them"

    def _decode(self, record: object, kind: type[_Record], name: str) -> _Record:
        assert isinstance(record, bytes)
        try:
            return msgspec.json.decode(record, type=kind)
        except msgspec.MsgspecError:  # its text may hold values of the record
            raise SecurityError(
                f"the record of {kind.__name__.lower()} {name!r} in {self.path} is damaged, or a newer Bridgehead's: "
                "restore the file from a backup, or update"
            ) from None


def _integer(value: object) -> int:
    assert isinstance(value, int)
    return value
