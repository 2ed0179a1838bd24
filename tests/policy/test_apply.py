"""A policy comes into force as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security.credentials import PasswordRecord
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.apply import apply, in_force
from bridgehead.security.policy.document import Document, PolicyFaults
from bridgehead.security.policy.printer import print_policy
from bridgehead.security.policy.text import parse, without_lines
from bridgehead.security.records import Device, Group, Quota, Role
from bridgehead.security.registry.registry import Registry

NOW = 1_795_000_000.0
TEXT = """\
retained-of-revoked purge

everyone
  deny subscribe $SYS/#

role sensor
  quota 10 messages/s
  allow publish Office/${group}/${device}/# qos 1 rate 10/s

group lobby
  allow subscribe Office/${group}/#

device d1
  quota 5 messages/s
  allow publish x
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(tmp_path / "data")
    opened.add_role(Role("sensor", 1.0))
    opened.add_group(Group("lobby", 2.0))
    for name in ("d1", "d2"):
        password = PasswordRecord("$argon2id$", 1.0)
        opened.add_device(Device(name, 1.0, roles=("sensor",), groups=("lobby",), password=password))
    yield opened
    opened.close()


def read(text: str) -> Document:
    return parse(text, "office.policy")[0]


def test_what_is_applied_is_what_is_shown(registry: Registry) -> None:
    done = apply(registry, read(TEXT), "office.policy", NOW)
    assert (done.before, done.revision) == (0, 1)
    assert print_policy(in_force(registry)) == TEXT
    assert without_lines(in_force(registry)) == without_lines(read(TEXT))
    role = registry.existing_role("sensor")
    assert role.created == 1.0
    assert role.permissions[0].source == "office.policy:8"
    assert registry.existing_device("d1").quota == Quota(5.0)
    assert registry.existing_device("d1").roles == ("sensor",)
    assert [change.names for change in done.difference.devices or ()] == [["d1"], ["d2"]]


def test_applied_again_nothing_differs(registry: Registry) -> None:
    apply(registry, read(TEXT), "office.policy", NOW)
    number = registry.change_number()
    done = apply(registry, read(TEXT), "office.policy", NOW + 1)
    assert done.difference.is_none()
    assert done.revision == 2
    assert [change.kind for change in registry.changes(number)[1] or ()] == ["policy"]


def test_devices_that_are_not_named_keep_their_own(registry: Registry) -> None:
    apply(registry, read(TEXT), "office.policy", NOW)
    without = TEXT[: TEXT.index("device d1")]
    assert apply(registry, read(without), "office.policy", NOW).difference.is_none()
    assert registry.existing_device("d1").permissions
    apply(registry, read(without), "office.policy", NOW, all_devices=True)
    assert registry.existing_device("d1").permissions == ()
    assert registry.existing_device("d1").quota is None


def test_an_empty_block_of_a_device_takes_away_its_own(registry: Registry) -> None:
    apply(registry, read(TEXT), "office.policy", NOW)
    apply(registry, read(TEXT[: TEXT.index("device d1")] + "device d1\n"), "office.policy", NOW)
    assert registry.existing_device("d1").permissions == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TEXT.replace("role sensor", "role other"), "the role 'sensor' is not named, and d1, d2 still has it"),
        (TEXT.replace("group lobby", "group other"), "the group 'lobby' is not named, and d1, d2"),
        (TEXT.replace("device d1", "device d9"), "office.policy:13: there is no device 'd9'"),
    ],
)
def test_what_cannot_be_applied_changes_nothing(registry: Registry, text: str, sentence: str) -> None:
    before = print_policy(in_force(registry))
    number = registry.change_number()
    with pytest.raises(NotAcceptable) as raised:
        apply(registry, read(text), "office.policy", NOW)
    assert sentence in str(raised.value)
    assert print_policy(in_force(registry)) == before
    assert registry.policy().revision == 0
    assert registry.change_number() == number


def test_an_unknown_device_is_told_with_its_line(registry: Registry) -> None:
    with pytest.raises(PolicyFaults) as raised:
        apply(registry, read("role sensor\ngroup lobby\n\ndevice d9\n"), "office.policy", NOW)
    assert [fault.line for fault in raised.value.faults] == [4]


def test_another_revision_in_between_is_noticed(registry: Registry) -> None:
    apply(registry, read(TEXT), "office.policy", NOW, if_revision=0)
    with pytest.raises(NotAcceptable, match="is revision 1 and not 0"):
        apply(registry, read(TEXT), "office.policy", NOW, if_revision=0)
    assert registry.policy().revision == 1


def test_others_see_all_of_it_or_nothing(registry: Registry, tmp_path: Path) -> None:
    other = Registry(tmp_path / "data")
    try:
        with registry.transaction():
            apply(registry, read(TEXT), "office.policy", NOW)
            assert other.policy().revision == 0
            assert other.existing_role("sensor").permissions == ()
        assert other.policy().revision == 1
        assert other.existing_role("sensor").permissions
    finally:
        other.close()
