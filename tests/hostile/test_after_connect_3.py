"""3.1.1 clients that were let in and break the rules: closed without a word, as they know none; one line in the log."""

from __future__ import annotations

import pytest

from tests.hostile import faults
from tests.hostile.field import Witness
from tests.peers.town import Town

MORE = faults.MORE


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_fault_is_closed_and_logged_once(town: Town, witness: Witness, name: str) -> None:
    raw = faults.attacker(town, list(faults.FAULTS).index(name), 4)
    faults.judge(town, witness, raw, faults.FAULTS[name])
