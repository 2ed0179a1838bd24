"""Roles, groups and the policy in the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import (
    Device,
    Group,
    PermissionRecord,
    Policy,
    Role,
    check_name,
    check_permissions,
    check_quota,
)
from bridgehead.security.registry.base import DEVICE, GROUP, POLICY, ROLE, RegistryBase

_SHOWN = 5  # holders that a sentence names


class RegistryPolicy(RegistryBase):
    """Errors of every method: SecurityError; NotAcceptable for what cannot be put in or is not there."""

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
            raise NotAcceptable(f"there is no role {name!r}{self.nearest(ROLE, name)}")
        return found

    def devices_with_role(self, role: str) -> list[str]:
        rows = self._database.rows("SELECT device FROM device_roles WHERE role = ? ORDER BY device", role)
        return [str(name) for (name,) in rows]

    def add_role(self, role: Role) -> None:
        with self.transaction():
            _check(role, ROLE)
            if self._database.rows("SELECT 1 FROM roles WHERE name = ?", role.name):
                raise NotAcceptable(f"there is a role {role.name!r} already: remove it first, or take another name")
            self._database.write("INSERT INTO roles VALUES (?, ?)", role.name, msgspec.json.encode(role))
            self._changed(ROLE, role.name)

    def update_role(self, role: Role) -> None:
        with self.transaction():
            _check(role, ROLE)
            self.existing_role(role.name)
            self._database.write("UPDATE roles SET record = ? WHERE name = ?", msgspec.json.encode(role), role.name)
            self._changed(ROLE, role.name)

    def remove_role(self, name: str) -> Role:
        with self.transaction():
            role = self.existing_role(name)
            holders = self.devices_with_role(name)
            if holders:
                raise NotAcceptable(f"the role {name!r} is still held by {_some(holders)}: take it from them first")
            self._database.write("DELETE FROM roles WHERE name = ?", name)
            self._changed(ROLE, name)
            return role

    # Groups. ----------------------------------------------------------------------------------------

    def group(self, name: str) -> Group | None:
        for (record,) in self._database.rows("SELECT record FROM groups WHERE name = ?", name):
            return self._decode(record, Group, name)
        return None

    def groups(self) -> list[Group]:
        """All, by name."""
        rows = self._database.rows("SELECT name, record FROM groups ORDER BY name")
        return [self._decode(record, Group, str(name)) for name, record in rows]

    def existing_group(self, name: str) -> Group:
        """As `group`. Errors: NotAcceptable, naming what is nearest."""
        found = self.group(name)
        if found is None:
            raise NotAcceptable(f"there is no group {name!r}{self.nearest(GROUP, name)}")
        return found

    def devices_in_group(self, group: str) -> list[str]:
        rows = self._database.rows("SELECT device FROM device_groups WHERE member_of = ? ORDER BY device", group)
        return [str(name) for (name,) in rows]

    def add_group(self, group: Group) -> None:
        with self.transaction():
            _check(group, GROUP)
            if self._database.rows("SELECT 1 FROM groups WHERE name = ?", group.name):
                raise NotAcceptable(f"there is a group {group.name!r} already: remove it first, or take another name")
            self._database.write("INSERT INTO groups VALUES (?, ?)", group.name, msgspec.json.encode(group))
            self._changed(GROUP, group.name)

    def update_group(self, group: Group) -> None:
        with self.transaction():
            _check(group, GROUP)
            self.existing_group(group.name)
            self._database.write("UPDATE groups SET record = ? WHERE name = ?", msgspec.json.encode(group), group.name)
            self._changed(GROUP, group.name)

    def remove_group(self, name: str) -> Group:
        with self.transaction():
            group = self.existing_group(name)
            members = self.devices_in_group(name)
            if members:
                raise NotAcceptable(f"{_some(members)} belong(s) to the group {name!r} still: take them out first")
            self._database.write("DELETE FROM groups WHERE name = ?", name)
            self._changed(GROUP, name)
            return group

    # The policy. ------------------------------------------------------------------------------------

    def policy(self) -> Policy:
        """What holds for everyone; nothing at first."""
        for (record,) in self._database.rows("SELECT record FROM policy"):
            return self._decode(record, Policy, "")
        return Policy()

    def put_policy(self, policy: Policy) -> None:
        with self.transaction():
            check_permissions(policy.permissions)
            check_quota(policy.quota)
            if policy != self.policy():
                self._database.write("INSERT OR REPLACE INTO policy VALUES (1, ?)", msgspec.json.encode(policy))
                self._changed(POLICY, "")

    def replace_policy(
        self,
        policy: Policy,
        roles: Sequence[Role],
        groups: Sequence[Group],
        own: Mapping[str, Sequence[PermissionRecord]],
        now: float,
    ) -> Policy:
        """Put all of it in force in one transaction; returns the policy with its new revision, and `now` as the time.

        `roles` and `groups` are all that there shall be: others are removed, which is refused while a device has
        them; those that exist keep when they were made. `own`: device -> its own permissions; devices that are not
        named keep theirs. Only what differs counts as a change.
        """
        with self.transaction():
            applied = replace(policy, revision=self.policy().revision + 1, applied_at=now)
            self.put_policy(applied)
            present_roles = {each.name: each for each in self.roles()}
            for role in roles:
                old_role = present_roles.pop(role.name, None)
                if old_role is None:
                    self.add_role(replace(role, created=now))
                elif replace(role, created=old_role.created) != old_role:
                    self.update_role(replace(role, created=old_role.created))
            present_groups = {each.name: each for each in self.groups()}
            for group in groups:
                old_group = present_groups.pop(group.name, None)
                if old_group is None:
                    self.add_group(replace(group, created=now))
                elif replace(group, created=old_group.created) != old_group:
                    self.update_group(replace(group, created=old_group.created))
            for name in present_roles:
                self.remove_role(name)
            for name in present_groups:
                self.remove_group(name)
            for name, permissions in own.items():
                self._put_own_permissions(name, tuple(permissions))
            return applied

    def _put_own_permissions(self, name: str, permissions: tuple[PermissionRecord, ...]) -> None:
        rows = self._database.rows("SELECT record FROM devices WHERE name = ?", name)
        if not rows:
            raise NotAcceptable(f"there is no device {name!r}{self.nearest(DEVICE, name)}")
        device = self._decode(rows[0][0], Device, name)
        if device.permissions == permissions:
            return
        check_permissions(permissions)
        changed = msgspec.json.encode(replace(device, permissions=permissions))
        self._database.write("UPDATE devices SET record = ? WHERE name = ?", changed, name)
        self._changed(DEVICE, name)


def _check(record: Role | Group, kind: str) -> None:
    check_name(record.name, kind)
    check_permissions(record.permissions)
    check_quota(record.quota)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
