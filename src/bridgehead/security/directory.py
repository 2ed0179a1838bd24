"""The records as the running hub sees them: in memory as far as they are used, never older than the last commit."""

from __future__ import annotations

from typing import Final

from bridgehead.core.policy import Permission
from bridgehead.security.records import Device, PermissionRecord, permission_of
from bridgehead.security.registry import DEVICE, Registry

CACHED: Final = 65_536  # device records in memory


class Directory:
    """A cache over the registry. `sync` says which records may have changed since it was last called."""

    def __init__(self, registry: Registry, cached: int = CACHED) -> None:
        self.registry: Final = registry
        self._most: Final = cached
        self._version = registry.version()
        self._number = registry.change_number()
        self._devices: dict[str, Device] = {}
        self._name_by_fingerprint: dict[str, str] = {}
        self._roles: dict[str, tuple[PermissionRecord, ...]] = {}

    def sync(self) -> list[str] | None:
        """Names of devices whose record or roles changed; None: any may have. Costs microseconds without changes."""
        version = self.registry.version()
        if version == self._version:
            return []
        number, changes = self.registry.changes(self._number)
        names: dict[str, None] = {}
        for change in changes or ():
            if change.kind == DEVICE:
                names[change.name] = None
                self._forget(change.name)
            else:
                self._roles.pop(change.name, None)
                names.update(dict.fromkeys(self.registry.devices_with_role(change.name)))
        if changes is None:
            self._forget_all()
        self._version, self._number = version, number
        return None if changes is None else list(names)

    def device(self, name: str) -> Device | None:
        found = self._devices.get(name)
        if found is None:
            found = self.registry.device(name)
            if found is not None:
                self._keep(found)
        return found

    def device_by_fingerprint(self, fingerprint: str) -> Device | None:
        name = self._name_by_fingerprint.get(fingerprint)
        if name is not None:
            return self.device(name)
        found = self.registry.device_by_fingerprint(fingerprint)
        if found is not None:
            self._keep(found)
        return found

    def permissions(self, device: Device) -> list[Permission]:
        """What the core enforces for the device: its own permissions, then its roles'. None while it is disabled."""
        if not device.enabled:
            return []
        records = list(device.permissions)
        for name in device.roles:
            records += self._role(name)
        return [permission_of(each, device.name) for each in records]

    def _role(self, name: str) -> tuple[PermissionRecord, ...]:
        found = self._roles.get(name)
        if found is None:
            role = self.registry.role(name)
            found = () if role is None else role.permissions
            self._roles[name] = found
        return found

    def _keep(self, device: Device) -> None:
        if len(self._devices) >= self._most:
            self._forget_all()
        self._devices[device.name] = device
        for certificate in device.certificates:
            self._name_by_fingerprint[certificate.fingerprint] = device.name

    def _forget(self, name: str) -> None:
        device = self._devices.pop(name, None)
        if device is not None:
            for certificate in device.certificates:
                self._name_by_fingerprint.pop(certificate.fingerprint, None)

    def _forget_all(self) -> None:
        self._devices.clear()
        self._roles.clear()
        self._name_by_fingerprint.clear()
