"""docs/export.md: its table is what the command writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridgehead.cli.device_export import NAMES
from bridgehead.security.export.targets import TARGETS
from tests.export.conftest import Home
from tests.security.support import publish, subscribe

PAGE = (Path(__file__).parent.parent.parent / "docs" / "export.md").read_text()
TABLE = PAGE.split("## Which credential")[0]
ROWS = {row[1]: row[2] for row in re.finditer(r"^\| `([a-z][a-z0-9-]+)` \| (.*?) \|", TABLE, re.MULTILINE)}


def test_every_target_has_its_row() -> None:
    assert set(ROWS) == set(NAMES)


@pytest.mark.parametrize("target", NAMES)
def test_the_files_are_those_of_the_table(home: Home, target: str) -> None:
    home.add("sensor-7", publish("Office/${device}"), subscribe("Office/#"))
    usual = TARGETS[target].usual
    bundle = home.export("sensor-7", target, *([usual] if usual else []))
    written = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    named = set(re.findall(r"`([^`/ ]+\.[a-z0-9]+|coap-psk)`", ROWS[target])) - {"README.txt"}
    assert named == {path for path in written if not path.startswith("keystore/")} - {"README.txt"}
    assert ("README.txt" in written) is (target != "wot-td")
    keystore = {path.split("/")[1] for path in written if path.startswith("keystore/")}
    assert keystore == ({"enclaves", "public"} if target == "ros2" else set())


def test_what_new_makes_is_as_the_second_table_says() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| `new` for (.*?) \|$", PAGE, re.MULTILINE)
    told = {name: kind for kind, names in rows for name in re.findall(r"`([a-z0-9-]+)`", names)}
    assert told == {each.name: each.usual for each in TARGETS.values() if each.usual}
