"""Who waits for a turn: networks alternate, and within one it is first come, first served."""

from __future__ import annotations

import pytest

from bridgehead.transport.turns import Turns


def test_networks_take_turns() -> None:
    turns: Turns[str] = Turns()
    for network, item in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("c", "c2")]:
        turns.add(network, item)
    assert len(turns) == 6
    assert [turns.take() for _ in range(4)] == ["a1", "b1", "c1", "a2"]
    turns.add("b", "b2")
    assert [turns.take() for _ in range(3)] == ["c2", "a3", "b2"]
    assert len(turns) == 0
    with pytest.raises(KeyError):
        turns.take()


def test_who_gives_up_is_forgotten() -> None:
    turns: Turns[str] = Turns()
    turns.add("a", "a1")
    turns.add("a", "a2")
    turns.discard("a", "a1")
    turns.discard("a", "a1")
    turns.discard("b", "never")
    assert len(turns) == 1
    assert turns.take() == "a2"
    turns.discard("a", "a2")
    assert len(turns) == 0
