"""What the store in memory offers beyond the contract."""

from __future__ import annotations

from bridgehead.broker.ports import DISK_FULL, StoreError
from bridgehead.store.memory import MemoryStore
from tests.store.harness import Turns, batch, keep, records, write


def test_a_test_can_make_it_fail() -> None:
    turns = Turns()
    store = MemoryStore(turns.schedule)
    keep(store, turns, batch(appends=[("l", 1, b"1")]))
    store.fault = StoreError("no space is left", DISK_FULL)
    assert write(store, turns, batch(removes=[("l", 1)]), batch(puts={("b", "k"): b""})) == [store.fault, store.fault]
    store.fault = None
    keep(store, turns, batch(appends=[("l", 2, b"2")]))
    assert records(store) == {"l": {1: b"1", 2: b"2"}}
    assert store.get("b", "k") is None


def test_numbers_that_went_are_not_remembered_for_ever() -> None:
    turns = Turns()
    store = MemoryStore(turns.schedule)
    for number in range(1000):
        keep(store, turns, batch(appends=[("l", number, b"")], removes=[("l", number - 3)]))
    assert [number for number, _ in store.read("l", 0, 10)] == [997, 998, 999]
    assert len(store._logs["l"]._order) < 30
