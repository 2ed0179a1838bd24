"""The rights of roles, groups, everyone and single devices: one compiled object each, made anew when its record or the
hour changes, whoever has it."""

from __future__ import annotations

from typing import Final

from bridgehead.core.policy import Rights
from bridgehead.security.errors import SecurityError
from bridgehead.security.records import PermissionRecord, Quota
from bridgehead.security.registry.base import GROUP, POLICY, ROLE, Change
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.enforced import NEVER, in_force, quota_from


class Standing:
    """One Rights with what it was made of. `until`: when the hours of a permission begin or end."""

    def __init__(
        self, name: str, records: tuple[PermissionRecord, ...], quota: Quota | None, group: str, now: float
    ) -> None:
        permissions, self.until = in_force(records, now)
        self._since = now
        messages, octets = quota_from(quota)
        self.rights: Final = Rights(name, permissions, {"group": (group,)} if group else None, messages, octets)
        self._records = records
        self._quota = quota

    def put(self, records: tuple[PermissionRecord, ...], quota: Quota | None, now: float) -> bool:
        """Take over a record. Whether that changes anything now."""
        if records == self._records and quota == self._quota:
            return self.renew(now)
        self._records = records
        self._quota = quota
        permissions, self.until = in_force(records, now)
        self._since = now
        self.rights.amend(permissions, *quota_from(quota))
        return True

    def renew(self, now: float) -> bool:
        """Whether another hour changes anything. The clock may have been set back, too."""
        if self.until == NEVER or self._since <= now < self.until:
            return False
        permissions, self.until = in_force(self._records, now)
        self._since = now
        self.rights.amend(permissions, *quota_from(self._quota))
        return True


class SharedRights:
    """Of everyone, of roles and of groups, as far as somebody has asked for them."""

    def __init__(self, registry: Registry) -> None:
        self._registry: Final = registry
        self._standings: dict[tuple[str, str], Standing] = {}
        self._next = NEVER

    def of(self, kind: str, name: str, now: float) -> Rights:
        """`kind` is ROLE, GROUP or POLICY. One that does not exist permits nothing, until it does.

        Errors: SecurityError."""
        known = self._standings.get((kind, name))
        if known is None:
            records, quota = self._read(kind, name)
            shown = "everyone" if kind == POLICY else f"{kind} {name}"
            known = Standing(shown, records, quota, name if kind == GROUP else "", now)
            self._standings[kind, name] = known
            self._next = min(self._next, known.until)
        return known.rights

    def _read(self, kind: str, name: str) -> tuple[tuple[PermissionRecord, ...], Quota | None]:
        if kind == POLICY:
            policy = self._registry.policy()
            return policy.permissions, policy.quota
        found = self._registry.role(name) if kind == ROLE else self._registry.group(name)
        return ((), None) if found is None else (found.permissions, found.quota)

    def follow(self, changes: list[Change] | None, now: float) -> tuple[set[Rights], set[Rights]]:
        """The rights that are others now, and those whose record cannot be read: they permit nothing, and as their
        denials are not known, neither may who has them. None: any record may have changed."""
        if changes is None:
            wanted = list(self._standings)
        else:
            wanted = list(dict.fromkeys((c.kind, "" if c.kind == POLICY else c.name) for c in changes))
        amended: set[Rights] = set()
        broken: set[Rights] = set()
        for key in wanted:
            standing = self._standings.get(key)
            if standing is None:
                continue
            try:
                records, quota = self._read(*key)
            except SecurityError:
                del self._standings[key]  # it is read again when somebody asks for it
                standing.put((), None, now)
                broken.add(standing.rights)
                continue
            if standing.put(records, quota, now):
                amended.add(standing.rights)
            self._next = min(self._next, standing.until)
        return amended, broken

    def renew(self, now: float) -> set[Rights]:
        """Those that another hour makes others."""
        amended = {standing.rights for standing in self._standings.values() if standing.renew(now)}
        self._next = min((standing.until for standing in self._standings.values()), default=NEVER)
        return amended

    def next_change(self) -> float:
        """When the hours of a permission begin or end next, in seconds since the epoch."""
        return self._next
