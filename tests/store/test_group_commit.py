"""Group commit: what waits is written together, reported apart, and fails alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.broker.ports import CONFLICT, OVERLOADED, StoreError
from bridgehead.store import writer
from bridgehead.store.sqlite import SqliteStore
from tests.store.faulty import Gated, Watched
from tests.store.harness import PATIENCE, Outcomes, Turns, batch, keep, records


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def store(tmp_path: Path, turns: Turns) -> Iterator[SqliteStore]:
    Gated.gate.set()
    made = SqliteStore(tmp_path, turns.schedule, factory=Gated, waiting_octets=1000)
    yield made
    Gated.gate.set()
    made.close()


class Held:
    """While it lasts, one commit is under way: what is submitted meanwhile waits together."""

    def __init__(self, store: SqliteStore, outcomes: Outcomes, octets: int = 0) -> None:
        Gated.gate.clear()
        Gated.arrived.clear()
        store.submit(batch(puts={("b", "first"): b"x" * octets}), outcomes.of(0))
        assert Gated.arrived.wait(PATIENCE)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *raised: object) -> None:
        Gated.gate.set()


def test_what_waits_during_a_commit_is_committed_together(store: SqliteStore, turns: Turns) -> None:
    outcomes = Outcomes()
    with Held(store, outcomes):
        for number in range(1, 51):
            store.submit(batch(appends=[("l", number, b"%d" % number)]), outcomes.of(number))
        assert outcomes.order == []
        assert store.read("l", 0, 100) == []
    turns.until(lambda: len(outcomes.order) == 51)
    assert outcomes.order == list(range(51))
    assert set(outcomes.errors.values()) == {None}
    assert store.commits == 2
    assert len(store.read("l", 0, 100)) == 50


def test_a_record_that_comes_and_goes_while_waiting_is_never_written(store: SqliteStore, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("l", 1, b"")]))
    outcomes = Outcomes()
    with Held(store, outcomes):
        store.submit(batch(appends=[("l", 2, b""), ("m", 1, b"")]), outcomes.of(1))
        store.submit(batch(removes=[("l", 2)], trims={"m": 1}), outcomes.of(2))
    turns.until(lambda: len(outcomes.order) == 3)
    assert len([sql for sql in Gated.seen if "INTO record" in sql]) == 1
    assert records(store) == {"l": {1: b""}}


def test_only_the_culprit_of_a_group_fails(store: SqliteStore, turns: Turns) -> None:
    outcomes = Outcomes()
    with Held(store, outcomes):
        store.submit(batch(appends=[("l", 1, b"one")]), outcomes.of(1))
        store.submit(batch(appends=[("l", 1, b"again"), ("l", 2, b"")], puts={("b", "k"): b""}), outcomes.of(2))
        store.submit(batch(appends=[("l", 3, b"three")]), outcomes.of(3))
    turns.until(lambda: len(outcomes.order) == 4)
    assert outcomes.order == [0, 1, 2, 3]
    error = outcomes.errors.pop(2)
    assert isinstance(error, StoreError)
    assert error.reason == CONFLICT
    assert set(outcomes.errors.values()) == {None}
    assert records(store) == {"l": {1: b"one", 3: b"three"}}
    assert store.get("b", "k") is None


def test_what_python_cannot_give_to_sqlite_fails_alone(store: SqliteStore, turns: Turns) -> None:
    outcomes = Outcomes()
    with Held(store, outcomes):
        store.submit(batch(appends=[("l", 1, b"one")]), outcomes.of(1))
        store.submit(batch(puts={("b", "half a pair: \ud800"): b""}, appends=[("l", 2, b"")]), outcomes.of(2))
        store.submit(batch(appends=[("l", 3, b"three")]), outcomes.of(3))
    turns.until(lambda: len(outcomes.order) == 4)
    assert isinstance(outcomes.errors.pop(2), StoreError)
    assert set(outcomes.errors.values()) == {None}
    assert records(store) == {"l": {1: b"one", 3: b"three"}}


def test_more_than_may_wait_is_refused_in_its_turn(store: SqliteStore, turns: Turns) -> None:
    """`waiting_octets` is 1000 here."""
    outcomes = Outcomes()
    keep(store, turns, batch(appends=[("l", 1, b"")]))
    with Held(store, outcomes):
        store.submit(batch(appends=[("l", 2, b"x" * 900)]), outcomes.of(1))
        store.submit(batch(appends=[("l", 3, b"x" * 101)]), outcomes.of(2))
        store.submit(batch(removes=[("l", 1)]), outcomes.of(3))
        assert store.waiting_octets == 1001
    turns.until(lambda: len(outcomes.order) == 4)
    assert outcomes.order == [0, 1, 2, 3]
    error = outcomes.errors.pop(2)
    assert isinstance(error, StoreError)
    assert error.reason == OVERLOADED
    assert set(outcomes.errors.values()) == {None}
    assert store.waiting_octets == 0
    assert [number for number, _ in store.read("l", 0, 10)] == [2]


def test_what_is_refused_alone_commits_nothing(store: SqliteStore, turns: Turns) -> None:
    outcomes = Outcomes()
    with Held(store, outcomes, 900):
        store.submit(batch(appends=[("l", 1, b"x" * 101)]), outcomes.of(1))
    turns.until(lambda: len(outcomes.order) == 2)
    assert outcomes.errors[0] is None
    assert isinstance(outcomes.errors[1], StoreError)
    assert store.commits == 1


def test_a_single_batch_may_be_larger_than_what_may_wait(store: SqliteStore, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("l", 1, b"x" * 5000)]))
    assert store.read("l", 0, 1) == [(1, b"x" * 5000)]


@pytest.mark.parametrize(("limit", "value"), [("_GROUP_ENTRIES", 3), ("_GROUP_OCTETS", 30)])
def test_a_group_is_bounded(
    store: SqliteStore, turns: Turns, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(writer, limit, value)
    outcomes = Outcomes()
    with Held(store, outcomes):
        for number in range(1, 10):
            store.submit(batch(appends=[("l", number, b"x" * 10)]), outcomes.of(number))
    turns.until(lambda: len(outcomes.order) == 10)
    assert outcomes.order == list(range(10))
    assert store.commits == 4


def test_close_writes_what_waits(store: SqliteStore, turns: Turns, tmp_path: Path) -> None:
    outcomes = Outcomes()
    with Held(store, outcomes):
        for number in range(1, 10):
            store.submit(batch(appends=[("l", number, b"")]), outcomes.of(number))
        threading.Timer(0.05, Gated.gate.set).start()
        store.close()
    assert outcomes.order == list(range(10))
    again = SqliteStore(tmp_path, turns.schedule)
    assert [number for number, _ in again.read("l", 0, 20)] == list(range(1, 10))
    again.close()


def test_a_loop_that_is_closed_is_no_reason_to_lose_anything(tmp_path: Path) -> None:
    def closed(call: object) -> None:
        raise RuntimeError("Event loop is closed")

    store = SqliteStore(tmp_path, closed)
    outcomes = Outcomes()
    for number in range(10):
        store.submit(batch(appends=[("l", number, b"")]), outcomes.of(number))
    store.close()
    assert outcomes.order == list(range(10))
    assert set(outcomes.errors.values()) == {None}


def test_idle_the_write_ahead_log_is_copied_into_the_file(
    tmp_path: Path, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = threading.Event()

    class Noticing(Watched):
        def step(self, what: str) -> None:
            super().step(what)
            if "wal_checkpoint" in what:
                copied.set()

    monkeypatch.setattr(writer, "_IDLE_SECONDS", 0.01)
    store = SqliteStore(tmp_path, turns.schedule, factory=Noticing)
    assert not copied.is_set()
    keep(store, turns, batch(appends=[("l", 1, b"")]))
    assert copied.wait(PATIENCE)
    store.close()
    # Once: nothing more was written.
    assert len([sql for sql in Noticing.seen if "wal_checkpoint" in sql]) == 1
