"""The principals that live in the hub, one object per device, kept in step with the records."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.events import EventSink
from bridgehead.core.policy import Permission, Principal
from bridgehead.security.directory import Directory
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import RECORD_UNREADABLE
from bridgehead.security.records import Device


class _Live:
    """A principal and the record that it was made of."""

    def __init__(self, principal: Principal, device: Device) -> None:
        self.principal: Final = principal
        self.device = device
        self.unreadable = False  # its record could not be read when it changed


class Principals:
    """`generation` grows whenever a principal was amended: routes and remembered decisions are out of date then."""

    def __init__(self, directory: Directory, events: EventSink) -> None:
        self._directory: Final = directory
        self._events: Final = events
        self._live: dict[str, _Live] = {}
        self._ended: dict[str, None] = {}
        self.generation = 0

    def get(self, name: str) -> Principal | None:
        """The principal of the device, without any proof. None: there is no such device. A disabled one may nothing."""
        self.follow()
        live = self._live.get(name)
        if live is not None:
            return live.principal
        device = self._directory.device(name)
        return None if device is None else self.of(device)

    def of(self, device: Device) -> Principal:
        """`device` is as the directory has it now."""
        live = self._live.get(device.name)
        if live is not None and live.unreadable:
            self._amend(live)
            live = self._live.get(device.name)
        if live is None:
            permissions = self._directory.permissions(device)
            principal = Principal.of(device.name, permissions, list(device.client_ids), device.created)
            live = _Live(principal, device)
            self._live[device.name] = live
        return live.principal

    def follow(self) -> None:
        """Amend every principal whose record has changed."""
        names = self._directory.sync()
        for name in list(self._live) if names is None else names:
            live = self._live.get(name)
            if live is not None:
                self._amend(live)

    def take_ended(self) -> list[str]:
        """Names whose connections no longer rest on what proved them, each told once."""
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def _amend(self, live: _Live) -> None:
        old = live.device
        try:
            new = self._directory.device(old.name)
            permissions = [] if new is None else self._directory.permissions(new)
        except SecurityError as fault:
            # No rights, and others are read all the same; what is kept for it waits until the record can be read.
            self._events(RECORD_UNREADABLE, {"principal": old.name, "because": str(fault)})
            self._put(live.principal, [], [])
            self._ended[old.name] = None
            live.unreadable = True
            return
        live.unreadable = False
        if new is None or new.created != old.created:
            # Somebody else's from now on: nobody who still holds the old principal may do anything.
            del self._live[old.name]
            self._put(live.principal, [], [])
            self._ended[old.name] = None
            return
        self._put(live.principal, permissions, list(new.client_ids))
        live.device = new
        if _lost_ground(old, new):
            self._ended[old.name] = None

    def _put(self, principal: Principal, permissions: list[Permission], client_ids: list[str]) -> None:
        had = [permission for rights in principal.rights for permission in rights.permissions]
        if _signature(permissions) != _signature(had) or client_ids != principal.client_ids:
            principal.permit(permissions, client_ids)
            self.generation += 1


def _lost_ground(old: Device, new: Device) -> bool:
    """Whether a connection that was accepted under `old` must prove itself again under `new`.

    More credentials, more roles and other permissions are no reason: permissions are judged at each message.
    """
    if old.enabled and not new.enabled:
        return True
    if old.password is not None and (new.password is None or new.password.set_at != old.password.set_at):
        return True
    kept = {certificate.fingerprint for certificate in new.certificates}
    if any(certificate.fingerprint not in kept for certificate in old.certificates):
        return True
    if not set(new.roles).issuperset(old.roles):
        return True
    return (new.require != old.require and new.require != "any") or new.client_ids != old.client_ids


def _signature(permissions: list[Permission]) -> list[tuple[str, bool, bool, int, bool, bool]]:
    return [(p.topic_filter, p.publish, p.subscribe, p.max_qos, p.retain, p.allow) for p in permissions]
