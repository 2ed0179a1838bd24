"""Brings a policy into force: all of it in one transaction of the registry, or nothing.

A file speaks of everyone, of all roles and all groups: those that it does not name are removed, which is refused while
a device has them. Of devices it speaks only where it names them, unless it shall speak of all. Who has which roles and
groups is in the devices' records and stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.compare import Difference, compare
from bridgehead.security.policy.document import (
    GROUP,
    NOTHING,
    ROLE,
    Document,
    Fault,
    PolicyFaults,
    document_of,
)
from bridgehead.security.records import Device, Group, Policy, Role
from bridgehead.security.registry.registry import Registry

_SHOWN: Final = 5  # devices that a sentence names


class Applied:
    """What came of it: the revision before and now, and what has changed."""

    def __init__(self, before: int, revision: int, difference: Difference) -> None:
        self.before: Final = before
        self.revision: Final = revision
        self.difference: Final = difference


def in_force(registry: Registry) -> Document:
    """The policy of the registry. Errors: SecurityError."""
    return document_of(registry.policy(), registry.roles(), registry.groups(), registry.devices())


def attribute_names(devices: Sequence[Device]) -> frozenset[str]:
    return frozenset(name for device in devices for name in device.attributes)


def completed(document: Document, current: Document, all_devices: bool) -> Document:
    """With what the file is silent about. `all_devices`: devices that it does not name lose what is their own."""
    if all_devices:
        return document
    return replace(document, devices={**current.devices, **document.devices})


class Prepared:
    """The difference that a document would make, and after which change of the registry."""

    def __init__(self, number: int, difference: Difference) -> None:
        self.number: Final = number
        self.difference: Final = difference


def prepare(registry: Registry, document: Document, now: float, all_devices: bool = False) -> Prepared:
    """What takes long with many devices, before `apply` keeps others from writing. Errors: SecurityError."""
    number = registry.change_number()
    devices = registry.devices()
    current = document_of(registry.policy(), registry.roles(), registry.groups(), devices)
    return Prepared(number, compare(current, completed(document, current, all_devices), now, devices))


def apply(
    registry: Registry,
    document: Document,
    name: str,
    now: float,
    *,
    if_revision: int | None = None,
    all_devices: bool = False,
    prepared: Prepared | None = None,
) -> Applied:
    """Put the document in force. `name` is the file's, for what is wrong; `if_revision`: only when no other policy
    has been applied since that one; `prepared`: of the same document, and counts if nothing has changed since.

    Errors: SecurityError; NotAcceptable for what cannot be applied. Nothing is changed then.
    """
    with registry.transaction():
        before = registry.policy()
        if if_revision is not None and before.revision != if_revision:
            raise NotAcceptable(
                f"the policy in force is revision {before.revision} and not {if_revision}: somebody has applied "
                "another one; look at the difference, and apply again"
            )
        devices = {device.name: device for device in registry.devices()}
        faults = misfits(document, devices.values())
        if faults:
            raise PolicyFaults(name, faults)
        current = document_of(before, registry.roles(), registry.groups(), list(devices.values()))
        wanted = completed(document, current, all_devices)
        if prepared is not None and prepared.number == registry.change_number():
            difference = prepared.difference
        else:
            difference = compare(current, wanted, now, devices.values())
        own = {
            holder: wanted.devices.get(holder, NOTHING)
            for holder in {**current.devices, **wanted.devices}
            if wanted.devices.get(holder, NOTHING) != current.devices.get(holder, NOTHING)
        }
        applied = registry.replace_policy(
            Policy(wanted.everyone.permissions, wanted.everyone.quota, wanted.retained_of_revoked),
            [Role(role, now, section.permissions, section.quota) for role, section in wanted.roles.items()],
            [Group(group, now, section.permissions, section.quota) for group, section in wanted.groups.items()],
            {holder: section.permissions for holder, section in own.items()},
            now,
        )
        for holder, section in own.items():
            if devices[holder].quota != section.quota:
                registry.update_device(replace(registry.existing_device(holder), quota=section.quota), now)
        return Applied(before.revision, applied.revision, difference)


def misfits(document: Document, devices: Iterable[Device]) -> list[Fault]:
    """What stands between the document and these devices: blocks of devices that do not exist, and roles and groups
    that the document does not name while a device has them."""
    names: set[str] = set()
    without: dict[tuple[str, str], list[str]] = {}
    for device in devices:
        names.add(device.name)
        for kind, held, named in ((ROLE, device.roles, document.roles), (GROUP, device.groups, document.groups)):
            for name in held:
                if name not in named:
                    without.setdefault((kind, name), []).append(device.name)
    faults = [
        Fault(section.line, f"there is no device {name!r}: enrol it first, or leave its block out")
        for name, section in document.devices.items()
        if name not in names
    ]
    for (kind, name), holders in sorted(without.items()):
        shown = ", ".join(holders[:_SHOWN]) + (f" and {len(holders) - _SHOWN} more" if len(holders) > _SHOWN else "")
        faults.append(
            Fault(
                0, f"the {kind} {name!r} is not named, and {shown} still has it: name it, or take it from there first"
            )
        )
    return faults
