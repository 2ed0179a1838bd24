"""Records of devices, roles, groups and queues, and the policy, in DATA/identity.db. Any process may write; the hub
sees it by `version` and `changes`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from bridgehead.security.credentials import ScramRecord
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import Device, PermissionRecord, check_device
from bridgehead.security.registry.base import DEVICE, GROUP, POLICY, QUEUE, ROLE, Change
from bridgehead.security.registry.credentials import RegistryCredentials, issued_to
from bridgehead.security.registry.policy import RegistryPolicy
from bridgehead.security.registry.queues import RegistryQueues
from bridgehead.security.registry.tokens import RegistryTokens

__all__ = ["DEVICE", "GROUP", "POLICY", "QUEUE", "ROLE", "Change", "Registry"]


class Registry(RegistryPolicy, RegistryCredentials, RegistryTokens, RegistryQueues):
    """The records. Errors of every method: SecurityError; NotAcceptable for what cannot be put in or is not there."""

    def devices(self) -> list[Device]:
        """All, by name."""
        return list(self.each_device())

    def each_device(self) -> Iterator[Device]:
        """As `devices`, decoded one by one."""
        for name, record in self._database.rows("SELECT name, record FROM devices ORDER BY name"):
            yield self._decode(record, Device, str(name))

    def device_names(self) -> list[str]:
        return [str(name) for (name,) in self._database.rows("SELECT name FROM devices ORDER BY name")]

    def existing_device(self, name: str) -> Device:
        """As `device`. Errors: NotAcceptable, naming what is nearest."""
        found = self.device(name)
        if found is None:
            raise NotAcceptable(f"there is no device {name!r}{self.nearest(DEVICE, name)}")
        return found

    def check_free(self, name: str) -> None:
        """Errors: NotAcceptable when there is a device of that name."""
        present = self.device(name)
        if present is not None:
            was = " and was revoked" if present.revoked_at is not None else ""
            raise NotAcceptable(f"there is a device {name!r} already{was}: remove it first, or take another name")

    def add_device(self, device: Device) -> None:
        with self.transaction():
            self._check_device(device)
            self.check_free(device.name)
            self._database.write("INSERT INTO devices VALUES (?, ?)", device.name, msgspec.json.encode(device))
            self._index(device)
            self._changed(DEVICE, device.name)

    def update_device(self, device: Device, now: float, complete: bool = True) -> None:
        """Put the record in place of the one of that name. Certificates that it lost are revoked. `complete`: it has
        all credentials that it requires; a record may lack one of them after a time ran out, and lets nobody in."""
        with self.transaction():
            self._check_device(device, complete)
            old = self.existing_device(device.name)
            self._unindex(device.name)
            self._database.write(
                "UPDATE devices SET record = ? WHERE name = ?", msgspec.json.encode(device), device.name
            )
            self._index(device)
            kept = {certificate.fingerprint for certificate in issued_to(device)}
            self._revoke(device.name, [each for each in issued_to(old) if each.fingerprint not in kept], now)
            self._changed(DEVICE, device.name)

    def remove_device(self, name: str, now: float) -> Device:
        """Returns what it was. All its certificates are revoked."""
        with self.transaction():
            device = self.existing_device(name)
            self._unindex(name)
            self._database.write("DELETE FROM invites WHERE device = ?", name)
            self._database.write("DELETE FROM devices WHERE name = ?", name)
            self._revoke(name, issued_to(device), now)
            self._changed(DEVICE, name)
            return device

    def renew_password_hash(self, name: str, old: str, new: str, scram: tuple[ScramRecord, ...] = ()) -> bool:
        """Put another hash of the same password in place of `old`, and `scram` where it has no verifiers yet. False
        when it is no longer there."""
        with self.transaction():
            device = self.device(name)
            if device is None or device.password is None or device.password.encoded != old:
                return False
            password = replace(device.password, encoded=new, scram=device.password.scram or scram)
            changed = replace(device, password=password)
            self._database.write("UPDATE devices SET record = ? WHERE name = ?", msgspec.json.encode(changed), name)
            self._changed(DEVICE, name)
            return True

    def permissions_of(self, device: Device) -> list[PermissionRecord]:
        """Its own, then those of its roles, of its groups, and of everyone."""
        found = list(device.permissions)
        for name in dict.fromkeys(device.roles):
            role = self.role(name)
            if role is not None:
                found += role.permissions
        for name in dict.fromkeys(device.groups):
            group = self.group(name)
            if group is not None:
                found += group.permissions
        found += self.policy().permissions
        return found

    def _check_device(self, device: Device, complete: bool = True) -> None:
        """A role's denial may void what the device or another role permits: that is meant, and no error."""
        check_device(device, complete)
        for role in device.roles:
            self.existing_role(role)
        for group in device.groups:
            self.existing_group(group)
        self._check_identifiers(device)

    def _index(self, device: Device) -> None:
        self._index_credentials(device)
        for role in dict.fromkeys(device.roles):
            self._database.write("INSERT INTO device_roles VALUES (?, ?)", role, device.name)
        for group in dict.fromkeys(device.groups):
            self._database.write("INSERT INTO device_groups VALUES (?, ?)", group, device.name)

    def _unindex(self, name: str) -> None:
        self._unindex_credentials(name)
        self._database.write("DELETE FROM device_roles WHERE device = ?", name)
        self._database.write("DELETE FROM device_groups WHERE device = ?", name)
