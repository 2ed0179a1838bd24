"""5.0 clients that were let in and break the rules: DISCONNECT with the reason code, closed, one line in the log."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec.reason_codes import TOPIC_FILTER_INVALID
from tests.hostile import faults
from tests.hostile.field import Witness
from tests.peers.town import Town

MORE = faults.MORE
CASES = faults.FAULTS | faults.FAULTS_5


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_told_and_closed_and_logged_once(town: Town, witness: Witness, name: str) -> None:
    raw = faults.attacker(town, list(CASES).index(name), 5)
    faults.judge(town, witness, raw, CASES[name])


@pytest.mark.parametrize("topic_filter", ["hostile/a#", "hostile/#/a", "hostile/a+", "$share//a"])
def test_a_filter_that_is_none_is_refused_alone(town: Town, topic_filter: str) -> None:
    """That is no fault of the protocol: the connection stays."""
    raw = faults.attacker(town, 200, 5)
    assert raw.subscribe(topic_filter) == TOPIC_FILTER_INVALID
    raw.ping()
    raw.close()
