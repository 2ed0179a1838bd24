"""The principals that live in the hub, one object per device, kept in step with the records."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from bridgehead.broker.events import EventSink
from bridgehead.core.policy import Bindings, Principal, Rights
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import RECORD_UNREADABLE
from bridgehead.security.records import Device
from bridgehead.security.registry.base import DEVICE, GROUP, POLICY, ROLE, Change
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.enforced import NEVER, bindings_of, credentials_in_force, is_barred, mark_of
from bridgehead.security.rights.shared import SharedRights, Standing


class Ended:
    """Connections of an identity that no longer rest on what proved them: those by the credentials of these `marks`
    (enforced.mark_of), None: all. `revoked`: all its credentials were taken back, and its sessions are to end too."""

    def __init__(self, name: str, marks: frozenset[str] | None, revoked: bool = False) -> None:
        self.name: Final = name
        self.marks: Final = marks
        self.revoked: Final = revoked

    def with_another(self, other: Ended | None) -> Ended:
        if other is None:
            return self
        revoked = self.revoked or other.revoked
        if self.marks is None or other.marks is None:
            return Ended(self.name, None, revoked)
        return Ended(self.name, self.marks | other.marks, revoked)


class _Live:
    """A principal and the record that it was made of."""

    def __init__(self, principal: Principal, device: Device, own: Standing, now: float) -> None:
        self.principal: Final = principal
        self.device = device
        self.own: Final = own
        self.credentials, self.until = credentials_in_force(device, now)
        self.unreadable = False  # its record could not be read when it changed


class Principals:
    """`generation` grows whenever the rights of a principal were amended: routes are out of date then. `clock` gives
    seconds since the epoch."""

    def __init__(self, directory: Directory, events: EventSink, clock: Callable[[], float] = time.time) -> None:
        self._directory: Final = directory
        self._events: Final = events
        self._clock: Final = clock
        self._shared: Final = SharedRights(directory.registry)
        self._live: dict[str, _Live] = {}
        self._ended: dict[str, Ended] = {}
        self._amended: dict[str, None] = {}
        self._touched: dict[str, None] | None = {}
        self._next = NEVER
        self._followed = 0.0
        self.generation = 0
        self.retained_of_revoked = directory.registry.policy().retained_of_revoked

    def get(self, name: str) -> Principal | None:
        """The principal of the device, without any proof. None: there is no such device. A disabled one may nothing."""
        self.follow()
        live = self._live.get(name)
        if live is not None:
            return live.principal
        device = self._directory.device(name)
        return None if device is None else self.of(device)

    def of(self, device: Device) -> Principal:
        """`device` is as the directory has it now. Errors: SecurityError."""
        live = self._live.get(device.name)
        if live is not None and live.unreadable:
            self._amend(live)
            live = self._live.get(device.name)
        if live is None:
            now = self._clock()
            own = Standing(f"device {device.name}", device.permissions, device.quota, "", now)
            rights = self._rights(device, own.rights, now)
            principal = Principal(device.name, rights, bindings_of(device), list(device.client_ids), device.created)
            live = _Live(principal, device, own, now)
            self._live[device.name] = live
            self._expect(live)
        return live.principal

    def _rights(self, device: Device, own: Rights, now: float) -> list[Rights]:
        """Its own, its roles', its groups', everyone's; none while it is disabled or revoked."""
        if is_barred(device):
            return []
        rights = [own]
        rights += [self._shared.of(ROLE, name, now) for name in device.roles]
        rights += [self._shared.of(GROUP, name, now) for name in device.groups]
        rights.append(self._shared.of(POLICY, "", now))
        return rights

    def follow(self) -> None:
        """Amend every principal whose record, role, group or hours have changed. A role's change costs one look at each
        living principal, not a new compilation for each."""
        changes = self._directory.sync()
        now = self._clock()
        if changes is None or changes:
            self._follow_policy(changes)
            amended, broken = self._shared.follow(changes, now)
            self._forget(amended)
            devices = list(self._live) if changes is None else [c.name for c in changes if c.kind == DEVICE]
            for name in dict.fromkeys([*devices, *self._having(broken)]):
                live = self._live.get(name)
                if live is not None:
                    self._amend(live)
            if changes is None:
                self._touched = None
            elif self._touched is not None:
                self._touched.update(dict.fromkeys(devices))
            self._next = min(self._next, self._shared.next_change())
        if now >= self._next or now < self._followed:
            self._time_passed(now)
        self._followed = now

    def _follow_policy(self, changes: list[Change] | None) -> None:
        if changes is None or any(change.kind == POLICY for change in changes):
            try:
                self.retained_of_revoked = self._directory.registry.policy().retained_of_revoked
            except SecurityError as fault:  # what was said last goes on
                self._events(RECORD_UNREADABLE, {"principal": "everyone", "because": str(fault)})

    def device(self, name: str) -> Device | None:
        """Its record. Errors: SecurityError."""
        return self._directory.device(name)

    def _having(self, some: set[Rights]) -> list[str]:
        if not some:
            return []
        return [name for name, live in self._live.items() if not some.isdisjoint(live.principal.rights)]

    def _forget(self, amended: set[Rights]) -> None:
        for name in self._having(amended):
            self._live[name].principal.forget()
            self._changed(name)

    def _changed(self, name: str) -> None:
        self._amended[name] = None
        self.generation += 1

    # Time. ------------------------------------------------------------------------------------------

    def next_change(self, now: float) -> float:
        """When `follow` is to be called though no record changes: hours begin or end, or a credential does that was
        left in force for a while. In seconds since the epoch."""
        return max(now, self._next)

    def _expect(self, live: _Live) -> None:
        self._next = min(self._next, live.until, live.own.until, self._shared.next_change())

    def _time_passed(self, now: float) -> None:
        self._forget(self._shared.renew(now))
        self._next = self._shared.next_change()
        for name, live in self._live.items():
            if live.own.renew(now):
                live.principal.forget()
                self._changed(name)
            if now >= live.until:
                self._compare_credentials(live, now)
            self._next = min(self._next, live.until, live.own.until)

    # What others have to know. ----------------------------------------------------------------------

    def take_endings(self) -> list[Ended]:
        """Whose connections no longer rest on what proved them, each told once."""
        ended = list(self._ended.values())
        self._ended.clear()
        return ended

    def take_ended(self) -> list[str]:
        """As `take_endings`, the names alone."""
        return [each.name for each in self.take_endings()]

    def take_amended(self) -> list[str]:
        """Principals whose rights are others than before, each told once."""
        names = list(self._amended)
        self._amended.clear()
        return names

    def take_touched(self) -> list[str] | None:
        """Devices whose record was added, changed or removed, living principals or not, each told once; None: any may
        have been."""
        touched = self._touched
        self._touched = {}
        return None if touched is None else list(touched)

    def _end(self, ended: Ended) -> None:
        self._ended[ended.name] = ended.with_another(self._ended.get(ended.name))

    # One device's change. ---------------------------------------------------------------------------

    def _amend(self, live: _Live) -> None:
        old = live.device
        now = self._clock()
        try:
            new = self._directory.device(old.name)
            rights = [] if new is None else self._rights(new, live.own.rights, now)
        except SecurityError as fault:
            # No rights, and others are read all the same; what is kept for it waits until the record can be read.
            self._events(RECORD_UNREADABLE, {"principal": old.name, "because": str(fault)})
            self._put(live, [], {}, [])
            self._end(Ended(old.name, None))
            live.unreadable = True
            return
        live.unreadable = False
        if new is None or new.created != old.created:
            # Somebody else's from now on: nobody who still holds the old principal may do anything.
            del self._live[old.name]
            self._put(live, [], {}, [])
            self._end(Ended(old.name, None))
            return
        other = live.own.put(new.permissions, new.quota, now)
        self._put(live, rights, bindings_of(new), list(new.client_ids), other)
        live.device = new
        if new.revoked_at is not None and new.revoked_at != old.revoked_at:
            self._end(Ended(old.name, None, True))
        elif _lost_ground(old, new):
            self._end(Ended(old.name, None))
        self._compare_credentials(live, now)
        self._expect(live)

    def _compare_credentials(self, live: _Live, now: float) -> None:
        """Connections that were proven by what is no credential any more must be proven again, and no others."""
        before = live.credentials
        live.credentials, live.until = credentials_in_force(live.device, now)
        lost = [
            mark_of(kind, text) for kind, held in before.items() for text in held - live.credentials.get(kind, set())
        ]
        if lost:
            self._end(Ended(live.device.name, frozenset(lost)))

    def _put(
        self, live: _Live, rights: list[Rights], bindings: Bindings, client_ids: list[str], other: bool = False
    ) -> None:
        principal = live.principal
        same = rights == principal.rights and bindings == principal.bindings and client_ids == principal.client_ids
        if other or not same:
            principal.amend(rights, bindings, client_ids)
            self._changed(principal.name)


def _lost_ground(old: Device, new: Device) -> bool:
    """Whether every connection that was accepted under `old` must prove itself again under `new`, whatever proved it.

    More credentials, other roles, groups, attributes and permissions are no reason: permissions are judged at each
    message, and subscriptions when they change.
    """
    if old.enabled and not new.enabled:
        return True
    return (new.require != old.require and new.require != "any") or new.client_ids != old.client_ids
