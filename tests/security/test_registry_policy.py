"""Groups and the policy in the registry, and all of it replaced in one step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import Device, Group, PermissionRecord, Policy, Quota, Role
from bridgehead.security.registry.registry import DEVICE, GROUP, POLICY, ROLE, Registry
from tests.security.support import publish, subscribe

NOW = 1_800_000_000.0


@pytest.fixture
def registry(data: Path) -> Iterator[Registry]:
    found = Registry(data)
    yield found
    found.close()


def told(registry: Registry, after: int) -> list[tuple[str, str]]:
    _, changes = registry.changes(after)
    assert changes is not None
    return [(each.kind, each.name) for each in changes]


def test_groups_are_kept_and_give_their_permissions(registry: Registry) -> None:
    group = Group("lobby", NOW, (subscribe("Office/${group}/#"),), Quota(messages=5.0))
    registry.add_group(group)
    registry.add_device(Device("sensor-7", NOW, groups=("lobby", "lobby"), permissions=(publish("a"),)))
    assert registry.group("lobby") == group
    assert registry.groups() == [group]
    assert registry.devices_in_group("lobby") == ["sensor-7"]
    registry.put_policy(Policy((subscribe("notice"),)))
    assert registry.permissions_of(registry.existing_device("sensor-7")) == [
        publish("a"),
        subscribe("Office/${group}/#"),
        subscribe("notice"),
    ]
    registry.update_group(replace(group, permissions=()))
    assert registry.existing_group("lobby").permissions == ()
    with pytest.raises(NotAcceptable, match="there is a group 'lobby' already"):
        registry.add_group(group)
    with pytest.raises(NotAcceptable, match=r"sensor-7 belong\(s\) to the group 'lobby' still: take them out first"):
        registry.remove_group("lobby")
    registry.remove_device("sensor-7", NOW)
    assert registry.remove_group("lobby").name == "lobby"
    assert registry.groups() == []


def test_a_wrong_group_is_refused(registry: Registry) -> None:
    registry.add_group(Group("lobby", NOW))
    with pytest.raises(NotAcceptable, match=r"there is no group 'loby': did you mean 'lobby'\?"):
        registry.add_device(Device("sensor-7", NOW, groups=("loby",)))
    with pytest.raises(NotAcceptable, match="cannot be a group's name"):
        registry.add_group(Group("a/b", NOW))
    with pytest.raises(NotAcceptable, match="there is no group 'x': `bridgehead group list` shows them"):
        registry.update_group(Group("x", NOW))


def test_the_policy_is_one_record(data: Path, registry: Registry) -> None:
    assert registry.policy() == Policy()
    written = Policy((subscribe("notice"),), Quota(octets=1000.0), "hide", 3, NOW)
    start = registry.change_number()
    registry.put_policy(written)
    registry.put_policy(written)
    assert told(registry, start) == [(POLICY, "")]
    other = Registry(data)
    assert other.policy() == written
    other.close()
    with pytest.raises(NotAcceptable):
        registry.put_policy(Policy((publish("a/#/b"),)))


def test_everything_is_replaced_in_one_step_and_only_what_differs_is_a_change(registry: Registry) -> None:
    registry.add_role(Role("reader", NOW, (subscribe("r"),)))
    registry.add_role(Role("writer", NOW, (publish("w"),)))
    registry.add_role(Role("unused", NOW))
    registry.add_group(Group("lobby", NOW))
    registry.add_group(Group("empty", NOW))
    for name in ("sensor-7", "sensor-8"):
        registry.add_device(
            Device(name, NOW, roles=("reader", "writer"), groups=("lobby",), permissions=(publish("x"),))
        )
    start = registry.change_number()
    applied = registry.replace_policy(
        Policy((subscribe("all"),)),
        [Role("reader", 0.0, (subscribe("r"),)), Role("writer", 0.0, (publish("w2"),)), Role("fresh", 0.0)],
        [Group("lobby", 0.0, (publish("l"),))],
        {"sensor-7": [publish("y")], "sensor-8": [publish("x")]},
        NOW + 9,
    )
    assert applied == registry.policy() == Policy((subscribe("all"),), revision=1, applied_at=NOW + 9)
    assert registry.roles() == [
        Role("fresh", NOW + 9),
        Role("reader", NOW, (subscribe("r"),)),
        Role("writer", NOW, (publish("w2"),)),
    ]
    assert registry.groups() == [Group("lobby", NOW, (publish("l"),))]
    assert registry.existing_device("sensor-7").permissions == (publish("y"),)
    assert set(told(registry, start)) == {
        (POLICY, ""),
        (ROLE, "writer"),
        (ROLE, "fresh"),
        (ROLE, "unused"),
        (GROUP, "lobby"),
        (GROUP, "empty"),
        (DEVICE, "sensor-7"),
    }
    assert registry.replace_policy(registry.policy(), registry.roles(), registry.groups(), {}, NOW + 10).revision == 2


@pytest.mark.parametrize(
    ("roles", "groups", "own", "because"),
    [
        ([], ["lobby"], {}, "the role 'reader' is still held by sensor-7"),
        (["reader"], [], {}, "the group 'lobby' still"),
        (["reader"], ["lobby"], {"sensr-7": []}, r"there is no device 'sensr-7': did you mean 'sensor-7'\?"),
        (["reader"], ["lobby"], {"sensor-7": [publish("a#")]}, "is not a Topic Filter"),
    ],
)
def test_what_cannot_be_put_in_force_changes_nothing(
    registry: Registry, roles: list[str], groups: list[str], own: dict[str, list[PermissionRecord]], because: str
) -> None:
    registry.add_role(Role("reader", NOW, (subscribe("r"),)))
    registry.add_group(Group("lobby", NOW))
    registry.add_device(Device("sensor-7", NOW, roles=("reader",), groups=("lobby",)))
    before = registry.devices(), registry.roles(), registry.groups(), registry.policy(), registry.change_number()
    with pytest.raises(NotAcceptable, match=because):
        registry.replace_policy(
            Policy((subscribe("all"),)),
            [Role(each, NOW, (publish("new"),)) for each in roles],
            [Group(each, NOW) for each in groups],
            own,
            NOW,
        )
    assert before == (
        registry.devices(),
        registry.roles(),
        registry.groups(),
        registry.policy(),
        registry.change_number(),
    )
