"""A small office: devices with roles and groups, and the commands on their data folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridgehead.cli.main import run
from bridgehead.security.credentials import PasswordRecord
from bridgehead.security.records import Device, Group, Role
from bridgehead.security.registry.registry import Registry


class Told:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def value(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Told]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    registry = Registry(folder)
    registry.add_role(Role("sensor", 1.0))
    registry.add_group(Group("lobby", 2.0))
    for name, floor in (("d1", "1"), ("d2", "2")):
        password = PasswordRecord("$argon2id$", 1.0)
        registry.add_device(
            Device(name, 1.0, roles=("sensor",), groups=("lobby",), password=password, attributes={"floor": floor})
        )
    registry.close()
    return folder


@pytest.fixture
def bridgehead(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: str | Path) -> Told:
        code = run([*map(str, words)])
        return Told(code, *capsys.readouterr())

    return call


def acts(data: Path) -> list[dict[str, Any]]:
    """The lines of the audit log."""
    found = []
    for file in sorted((data / "audit").glob("*.jsonl")):
        found += [json.loads(line) for line in file.read_text().splitlines()]
    return found
