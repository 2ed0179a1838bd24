"""Brings a policy into force: all of it in one transaction of the registry, or nothing.

A file speaks of everyone, of all roles and all groups: those that it does not name are removed, which is refused while
a device has them. Of devices it speaks only where it names them, unless it shall speak of all. Who has which roles and
groups is in the devices' records and stays as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.compare import Difference, compare
from bridgehead.security.policy.document import (
    NOTHING,
    Document,
    Fault,
    PolicyFaults,
    Section,
    document_of,
)
from bridgehead.security.records import Device, Group, Policy, Role
from bridgehead.security.registry import Registry


class Applied:
    """What came of it: the revision before and now, and what has changed."""

    def __init__(self, before: int, revision: int, difference: Difference) -> None:
        self.before: Final = before
        self.revision: Final = revision
        self.difference: Final = difference


class _TakenBack(Exception):
    """Ends a transaction that was only tried."""


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


def apply(
    registry: Registry,
    document: Document,
    name: str,
    now: float,
    *,
    if_revision: int | None = None,
    all_devices: bool = False,
) -> Applied:
    """Put the document in force. `name` is the file's, for what is wrong; `if_revision`: only when no other policy
    has been applied since that one.

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
        _check_devices(document, devices, name)
        current = document_of(before, registry.roles(), registry.groups(), list(devices.values()))
        wanted = completed(document, current, all_devices)
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


@contextlib.contextmanager
def as_if(registry: Registry, document: Document, name: str, now: float, all_devices: bool = False) -> Iterator[None]:
    """Within the block the registry reads as if the document were applied; nothing of it stays. Others who want to
    write wait for the block's end. Errors: as `apply`."""
    with contextlib.suppress(_TakenBack), registry.transaction():
        apply(registry, document, name, now, all_devices=all_devices)
        yield
        raise _TakenBack


def _check_devices(document: Document, devices: dict[str, Device], name: str) -> None:
    faults = [
        Fault(_line(section), f"there is no device {device!r}: enrol it first, or leave its block out")
        for device, section in document.devices.items()
        if device not in devices
    ]
    if faults:
        raise PolicyFaults(name, faults)


def _line(section: Section) -> int:
    return section.line
