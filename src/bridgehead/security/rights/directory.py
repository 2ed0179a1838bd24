"""The records as the running hub sees them: in memory as far as they are used, never older than the last commit."""

from __future__ import annotations

from typing import Final, Literal

from bridgehead.security.records import Device
from bridgehead.security.registry.base import DEVICE, Change
from bridgehead.security.registry.registry import Registry

CACHED: Final = 65_536  # device records in memory
_NOBODIES: Final = 10_000  # names that were claimed and do not exist


class Directory:
    """A cache over the registry. `sync` says which records may have changed since it was last called."""

    def __init__(self, registry: Registry, cached: int = CACHED) -> None:
        self.registry: Final = registry
        self._most: Final = cached
        self._version = registry.version()
        self._number = registry.change_number()
        self._devices: dict[str, Device] = {}
        self._nobodies: set[str] = set()
        self._name_by_fingerprint: dict[str, str] = {}

    def sync(self) -> list[Change] | None:
        """The changes; None: anything may have changed. Costs microseconds without changes."""
        version = self.registry.version()
        if version == self._version:
            return []
        self._nobodies.clear()
        number, changes = self.registry.changes(self._number)
        for change in changes or ():
            if change.kind == DEVICE:
                self._forget(change.name)
        if changes is None:
            self._forget_all()
        self._version, self._number = version, number
        return changes

    @property
    def version(self) -> tuple[int, int]:
        """The registry's, as of the last `sync`."""
        return self._version

    def device(self, name: str) -> Device | None:
        found = self._devices.get(name)
        return found if found is not None else self._kept(self.registry.device(name))

    def claimed(self, name: str) -> Device | None:
        """As `device`, for a name that a peer claims: asked again it costs as much whether it exists or not, so that
        nobody can tell by taking the mean of many tries. As of the last `sync`."""
        if name in self._nobodies:
            return None
        found = self.device(name)
        if found is None:
            if len(self._nobodies) >= _NOBODIES:
                self._nobodies.clear()
            self._nobodies.add(name)
        return found

    def device_by_fingerprint(self, fingerprint: str) -> Device | None:
        name = self._name_by_fingerprint.get(fingerprint)
        return self.device(name) if name is not None else self._kept(self.registry.device_by_fingerprint(fingerprint))

    def device_by_psk_identity(self, identity: str) -> Device | None:
        return self._kept(self.registry.device_by_psk_identity(identity))

    def device_by_token_subject(self, issuer: str, subject: str) -> Device | None:
        return self._kept(self.registry.device_by_token_subject(issuer, subject))

    def device_by_kerberos(self, principal: str) -> Device | None:
        return self._kept(self.registry.device_by_kerberos(principal))

    def device_by_foreign(
        self, kind: Literal["fingerprint", "uri", "dns", "email", "subject"], value: str
    ) -> Device | None:
        return self._kept(self.registry.device_by_foreign(kind, value))

    def device_by_raw_key(self, fingerprint: str) -> Device | None:
        return self._kept(self.registry.device_by_raw_key(fingerprint))

    def _kept(self, device: Device | None) -> Device | None:
        if device is None:
            return None
        if len(self._devices) >= self._most:
            self._forget_all()
        self._devices[device.name] = device
        for certificate in device.certificates:
            self._name_by_fingerprint[certificate.fingerprint] = device.name
        return device

    def _forget(self, name: str) -> None:
        device = self._devices.pop(name, None)
        if device is not None:
            for certificate in device.certificates:
                self._name_by_fingerprint.pop(certificate.fingerprint, None)

    def _forget_all(self) -> None:
        self._devices.clear()
        self._name_by_fingerprint.clear()
