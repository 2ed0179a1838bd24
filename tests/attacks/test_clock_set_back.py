"""A clock that is set back opens no hours that are over: those of a permission, or those between a denial's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bridgehead.core.permission import Context
from bridgehead.security.records import Device, PermissionRecord, Policy
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.principals import Principals

HOURS = ("09:00-17:00",)
CONTEXT = Context("mqtt", ("password",))


def at(hour: int) -> float:
    return datetime(2026, 11, 20, hour, 30, tzinfo=UTC).timestamp()


def test_hours_hold_by_the_clock_as_it_is_now(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "data")
    own = (PermissionRecord("own", True, False, hours=HOURS), PermissionRecord("shared", True, False))
    registry.add_device(Device("d", 1.0, permissions=own))
    registry.put_policy(Policy((PermissionRecord("shared", True, False, allow=False, hours=HOURS),)))
    clock = [at(16)]
    principals = Principals(Directory(registry), lambda name, fields: None, lambda: clock[0])
    principal = principals.get("d")
    assert principal is not None
    view = principal.under(CONTEXT)

    def may() -> tuple[bool, bool]:
        principals.follow()
        return view.may_publish("own", 0, False), view.may_publish("shared", 0, False)

    assert may() == (True, False)
    clock[0] = at(8)
    assert may() == (False, True)
    assert principals.take_amended() == ["d"]
    clock[0] = at(18)
    assert may() == (False, True)
    clock[0] = at(16)
    assert may() == (True, False)
    clock[0] -= 1.0
    assert may() == (True, False)
    registry.close()
