"""What a policy file says, as values: sections of permissions for everyone, roles, groups and single devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import Device, Group, PermissionRecord, Policy, Quota, Role

EVERYONE: Final = "everyone"
ROLE: Final = "role"
GROUP: Final = "group"
DEVICE: Final = "device"

OfRevoked = Literal["keep", "hide", "purge"]


class Section(Struct, frozen=True):
    """The block of one holder. `line`: where it begins in the file, 0 when it comes from the registry."""

    permissions: tuple[PermissionRecord, ...] = ()
    quota: Quota | None = None
    line: int = 0


NOTHING: Final = Section()


class Document(Struct, frozen=True):
    """A whole policy. What `roles`, `groups` and `devices` don't name, a file is silent about."""

    everyone: Section = NOTHING
    roles: Mapping[str, Section] = {}
    groups: Mapping[str, Section] = {}
    devices: Mapping[str, Section] = {}
    retained_of_revoked: OfRevoked = "keep"

    def sections(self) -> Iterator[tuple[str, str, Section]]:
        """(kind, name, section) of each holder, in the order of a file; the name of "everyone" is empty."""
        yield EVERYONE, "", self.everyone
        for kind, named in ((ROLE, self.roles), (GROUP, self.groups), (DEVICE, self.devices)):
            for name, section in named.items():
                yield kind, name, section


class Fault(Struct, frozen=True):
    """What is wrong with a policy, or (`warning`) probably not meant. `line` counts from 1; 0: no single line."""

    line: int
    text: str
    warning: bool = False


class PolicyFaults(NotAcceptable):
    """A policy that cannot be taken. `faults` are in the order of their lines, warnings among them."""

    def __init__(self, name: str, faults: list[Fault]) -> None:
        self.name: Final = name
        self.faults: Final = faults
        errors = [fault for fault in faults if not fault.warning]
        more = f" (and {len(errors) - 1} more: `bridgehead policy check` lists them)" if len(errors) > 1 else ""
        super().__init__(f"{place(name, errors[0])}: {errors[0].text}{more}")


def place(name: str, fault: Fault) -> str:
    return f"{name}:{fault.line}" if fault.line else name


def normal(permission: PermissionRecord) -> PermissionRecord:
    """In the one form that stands for all that mean the same: a denial has no bounds, and no line matters."""
    if permission.allow:
        return replace(
            permission,
            protocols=tuple(sorted(set(permission.protocols))),
            mechanisms=tuple(sorted(set(permission.mechanisms))),
            source="",
        )
    return PermissionRecord(
        permission.topic_filter,
        permission.publish,
        permission.subscribe,
        allow=False,
        protocols=tuple(sorted(set(permission.protocols))),
        mechanisms=tuple(sorted(set(permission.mechanisms))),
        hours=permission.hours,
    )


def document_of(policy: Policy, roles: list[Role], groups: list[Group], devices: list[Device]) -> Document:
    """What is in force. Devices without permissions and quota of their own are left out."""
    return Document(
        Section(policy.permissions, policy.quota),
        {role.name: Section(role.permissions, role.quota) for role in roles},
        {group.name: Section(group.permissions, group.quota) for group in groups},
        {
            device.name: Section(device.permissions, device.quota)
            for device in devices
            if device.permissions or device.quota is not None
        },
        policy.retained_of_revoked,
    )
