"""docs/mechanisms.md names every mechanism that there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from bridgehead.security.sasl.offer import MECHANISMS

PAGE = Path(__file__).parents[2] / "docs" / "mechanisms.md"


def test_the_table_of_mechanisms_is_complete() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(MECHANISMS)
