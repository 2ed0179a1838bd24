"""Guessing at the real hub, from several addresses of loopback: who pays for it, and who does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.protocols.mqtt.codec.packets import Connack
from bridgehead.protocols.mqtt.codec.reason_codes import (
    BAD_USER_NAME_OR_PASSWORD,
    SERVER_BUSY,
    SUCCESS,
)
from tests.cli.hub import wait_until
from tests.peers.raw import Raw
from tests.peers.town import SECRET, Town, may_both

HOME, ELSEWHERE, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"


def attempt(town: Town, name: str, password: str, source: str) -> int:
    raw = Raw(town.sock("mqtt", source))
    answer = raw.connect(name, name, password)
    assert isinstance(answer, Connack)
    raw.close()
    return answer.reason_code


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    more = "[login]\ntries_per_identity = 1000\ntries_per_address = 1000\nlock_after = 4\nlock_seconds = 3600\n"
    with Town(tmp_path_factory.mktemp("town"), more) as running:
        for name in ("sensor", "pump", "valve"):
            running.add(name, may_both("a/#"))
        yield running


def test_a_lock_out_is_of_one_identity_at_one_address(town: Town) -> None:
    """Nobody locks a device out by its name alone from elsewhere; a command lifts it."""
    before = town.client("sensor", "sensor-before")
    codes = {attempt(town, "sensor", "wrong", ELSEWHERE) for _ in range(4)}
    assert codes == {BAD_USER_NAME_OR_PASSWORD}
    line = town.hub.await_event("authentication.locked-out")
    assert "sensor" in str(line)
    assert attempt(town, "sensor", SECRET, ELSEWHERE) != SUCCESS
    assert attempt(town, "sensor", SECRET, HOME) == SUCCESS
    assert attempt(town, "sensor", SECRET, THIRD) == SUCCESS
    assert attempt(town, "pump", SECRET, ELSEWHERE) == SUCCESS
    before.ping()
    town.command("device", "unlock", "sensor")
    wait_until("let in", lambda: attempt(town, "sensor", SECRET, ELSEWHERE) == SUCCESS)


def test_a_name_that_does_not_exist_is_answered_as_a_wrong_password(town: Town) -> None:
    assert attempt(town, "nobody", SECRET, THIRD) == attempt(town, "valve", "wrong", THIRD)


def test_tries_of_one_address_have_a_rate(tmp_path: Path) -> None:
    """Right or wrong; other addresses, and who is connected, are not concerned."""
    with Town(tmp_path, "[login]\ntries_rate = 0.001\ntries_burst = 3\n") as town:
        town.add("sensor", may_both("a/#"))
        there = town.client("sensor", "sensor-there")
        codes = [attempt(town, "sensor", "wrong", ELSEWHERE) for _ in range(5)]
        assert codes[:3] == [BAD_USER_NAME_OR_PASSWORD] * 3
        assert set(codes[3:]) == {SERVER_BUSY}
        assert attempt(town, "sensor", SECRET, HOME) == SUCCESS
        there.ping()
