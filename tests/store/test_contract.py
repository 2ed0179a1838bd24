"""The contract of broker/ports.py, for every store: whoever adds a store adds it here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.broker.ports import CONFLICT, Batch, Store, StoreError
from bridgehead.core.errors import LocalMisuse
from bridgehead.store.memory import MemoryStore
from bridgehead.store.sqlite import SqliteStore
from tests.store.harness import Outcomes, Turns, batch, keep, records, state, write

# Keys, buckets and logs are any text; these are not the ordinary ones.
NAMES = ["", " ", "a", "a\0b", "Ü/ünïcode/µ", "日本/\U0001f321", "'; DROP TABLE record; --", "%", "x" * 65_535]


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, turns: Turns) -> Iterator[Store]:
    made: Store = SqliteStore(tmp_path, turns.schedule) if request.param == "sqlite" else MemoryStore(turns.schedule)
    yield made
    made.close()


def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert list(store.scan("session")) == []
    assert store.get("session", "a") is None
    assert list(store.logs()) == []
    assert store.read("l1", -1, 10) == []


def test_what_was_put_is_there_after_done(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(puts={("session", "a"): b"1", ("session", "b"): b"", ("will", "a"): b"w"}))
    assert list(store.scan("session")) == [("a", b"1"), ("b", b"")]
    assert store.get("session", "a") == b"1"
    assert store.get("session", "b") == b""
    assert store.get("session", "c") is None
    assert store.get("will", "a") == b"w"


def test_done_is_called_on_a_later_turn(store: Store, turns: Turns) -> None:
    outcomes = Outcomes()
    store.submit(batch(puts={("b", "k"): b"v"}), outcomes.of(0))
    assert outcomes.order == []
    turns.until(lambda: outcomes.order == [0])
    assert outcomes.errors == {0: None}


def test_done_comes_in_the_order_of_submission(store: Store, turns: Turns) -> None:
    outcomes = Outcomes()
    for number in range(300):
        store.submit(batch(puts={("b", "k"): b"%d" % number}), outcomes.of(number))
    turns.until(lambda: len(outcomes.order) == 300)
    assert outcomes.order == list(range(300))
    assert store.get("b", "k") == b"299"


def test_an_empty_batch_is_done_too(store: Store, turns: Turns) -> None:
    keep(store, turns, Batch(), batch(puts={("b", "k"): b"v"}), Batch())


def test_a_put_replaces_and_a_delete_forgets(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(puts={("b", "k"): b"1", ("b", "l"): b"2"}))
    keep(store, turns, batch(puts={("b", "k"): b"3"}, deletes=[("b", "l"), ("b", "never put"), ("c", "k")]))
    assert list(store.scan("b")) == [("k", b"3")]
    keep(store, turns, batch(deletes=[("b", "k")]), batch(puts={("b", "k"): b"4"}), batch(deletes=[("b", "k")]))
    assert list(store.scan("b")) == []


def test_a_batch_may_not_put_and_delete_the_same_key(store: Store, turns: Turns) -> None:
    outcomes = Outcomes()
    with pytest.raises(LocalMisuse, match="both puts and deletes"):
        store.submit(batch(puts={("b", "k"): b"1"}, deletes=[("b", "k")]), outcomes.of(0))
    keep(store, turns, batch(puts={("b", "other"): b""}))
    assert outcomes.order == []
    assert store.get("b", "k") is None


@pytest.mark.parametrize("number", [-1, 2**63])
def test_a_number_outside_of_63_bits_is_refused(store: Store, number: int) -> None:
    with pytest.raises(LocalMisuse):
        store.submit(batch(appends=[("l", number, b"")]), Outcomes().of(0))


def test_scan_goes_by_key(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(puts={("b", name): name.encode() for name in reversed(NAMES)}))
    assert list(store.scan("b")) == [(name, name.encode()) for name in sorted(NAMES)]


def test_scan_of_more_than_a_page(store: Store, turns: Turns) -> None:
    rows = {("b", f"{number:05}"): b"%d" % number for number in range(2500)}
    keep(store, turns, batch(puts=rows))
    assert list(store.scan("b")) == [(key, value) for (_, key), value in rows.items()]


def test_unusual_names_of_buckets_keys_and_logs(store: Store, turns: Turns) -> None:
    puts = {(bucket, key): f"{bucket}|{key}".encode() for bucket in NAMES for key in NAMES}
    keep(store, turns, batch(puts=puts, appends=[(log, 1, log.encode()) for log in NAMES]))
    assert state(store, NAMES) == (puts, {log: {1: log.encode()} for log in NAMES})
    assert list(store.logs()) == sorted(NAMES)
    for name in NAMES:
        keep(store, turns, batch(deletes=[(name, key) for key in NAMES], removes=[(name, 1)], drops=[name]))
    assert state(store, NAMES) == ({}, {})


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 5000, 3_000_000])
def test_values_and_records_of_any_size(store: Store, turns: Turns, size: int) -> None:
    large = bytes([number & 0xFF for number in range(251)]) * (size // 251) + b"\0" * (size % 251)
    keep(store, turns, batch(puts={("b", "k"): large, ("b", "l"): b"small"}, appends=[("l", 1, large), ("l", 2, b"s")]))
    assert store.get("b", "k") == large
    assert list(store.scan("b")) == [("k", large), ("l", b"small")]
    assert store.read("l", 0, 10) == [(1, large), (2, b"s")]


def test_a_log_is_read_by_number_in_pages(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("l", number, b"%d" % number) for number in range(0, 30, 3)]))
    assert store.read("l", -1, 4) == [(0, b"0"), (3, b"3"), (6, b"6"), (9, b"9")]
    assert store.read("l", 9, 2) == [(12, b"12"), (15, b"15")]
    assert store.read("l", 10, 1) == [(12, b"12")]
    assert store.read("l", 0, 1) == [(3, b"3")]
    assert store.read("l", 27, 5) == []
    assert store.read("l", 0, 0) == []
    assert store.read("other", 0, 5) == []


def test_logs_are_apart(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(appends=[(f"l{n % 50}", n, b"%d" % n) for n in range(1000)]))
    keep(store, turns, batch(trims={"l7": 900}, drops=["l8"], removes=[("l9", 9), ("l9", 10)]))
    expected = {f"l{log}": {n: b"%d" % n for n in range(log, 1000, 50)} for log in range(50)}
    del expected["l8"], expected["l9"][9]
    expected["l7"] = {n: b"%d" % n for n in range(907, 1000, 50)}
    assert records(store) == expected
    assert list(store.logs()) == sorted(expected)


def test_removes_of_neighbours_and_of_scattered_numbers(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("l", n, b"") for n in range(1, 101)]))
    going = [*range(1, 20), 30, 32, 34, *range(50, 60), 100, 55, 55, 1000, -4, 2**70]
    keep(store, turns, batch(removes=[("l", n) for n in going] + [("never", 1)]))
    assert [n for n, _ in store.read("l", 0, 1000)] == sorted(set(range(1, 101)) - set(going))


@pytest.mark.parametrize(
    ("upto", "left"), [(-5, 5), (-1, 5), (0, 4), (3, 2), (5, 1), (6, 0), (2**63 - 1, 0), (2**70, 0)]
)
def test_a_trim_takes_what_is_not_above(store: Store, turns: Turns, upto: int, left: int) -> None:
    numbers = [0, 2, 3, 5, 6]
    keep(store, turns, batch(appends=[("l", n, b"") for n in numbers]))
    keep(store, turns, batch(trims={"l": upto, "never": upto}))
    assert [n for n, _ in store.read("l", -1, 10)] == numbers[len(numbers) - left :]


def test_a_log_without_records_is_not_named(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("a", 1, b""), ("b", 1, b""), ("c", 1, b""), ("d", 1, b"")]))
    keep(store, turns, batch(removes=[("a", 1)], trims={"b": 1}, drops=["c"]))
    assert list(store.logs()) == ["d"]


def test_a_log_goes_on_after_it_was_emptied_or_dropped(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("a", 1, b"1"), ("b", 1, b"1"), ("c", 1, b"1")]))
    keep(store, turns, batch(removes=[("a", 1)], trims={"b": 1}, drops=["c"]))
    keep(store, turns, batch(appends=[("a", 2, b"2"), ("b", 2, b"2"), ("c", 2, b"2")]))
    assert records(store) == {"a": {2: b"2"}, "b": {2: b"2"}, "c": {2: b"2"}}


def test_what_comes_and_goes_in_one_batch(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("l", 1, b"1"), ("m", 1, b"1"), ("o", 1, b"1")]))
    keep(
        store,
        turns,
        batch(
            appends=[("l", 2, b"2"), ("l", 3, b"3"), ("m", 2, b"2"), ("m", 3, b"3"), ("o", 2, b"2")],
            removes=[("l", 2), ("l", 1)],
            trims={"m": 2},
            drops=["o"],
        ),
    )
    assert records(store) == {"l": {3: b"3"}, "m": {3: b"3"}}


def test_what_comes_and_goes_in_batches_that_wait_together(store: Store, turns: Turns) -> None:
    """A store may write only what is left of them; the outcome is that of one after the other."""
    keep(store, turns, batch(appends=[("l", 1, b"1"), ("m", 1, b"1"), ("o", 1, b"1")], puts={("b", "k"): b"1"}))
    keep(
        store,
        turns,
        batch(appends=[("l", 2, b"2"), ("m", 2, b"2"), ("o", 2, b"2")], deletes=[("b", "k")]),
        batch(removes=[("l", 2)], trims={"m": 2**62}, drops=["o"], puts={("b", "k"): b"2", ("b", "l"): b"2"}),
        batch(appends=[("l", 3, b"3"), ("m", 3, b"3"), ("o", 3, b"3")], deletes=[("b", "l")]),
        batch(appends=[("m", 4, b"4")], removes=[("m", 3)], trims={"o": 2}),
    )
    assert records(store) == {"l": {1: b"1", 3: b"3"}, "m": {4: b"4"}, "o": {3: b"3"}}
    assert list(store.scan("b")) == [("k", b"2")]


def test_numbers_that_come_out_of_order_are_read_in_order(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("l", number, b"%d" % number) for number in (5, 1, 9, 3)]))
    keep(store, turns, batch(appends=[("l", number, b"%d" % number) for number in (7, 2)], removes=[("l", 9)]))
    assert store.read("l", 0, 10) == [(number, b"%d" % number) for number in (1, 2, 3, 5, 7)]
    keep(store, turns, batch(appends=[("l", 9, b"again")]))
    assert store.read("l", 5, 10) == [(7, b"7"), (9, b"again")]


def test_large_numbers_and_wide_gaps(store: Store, turns: Turns) -> None:
    numbers = [0, 2**32 - 1, 2**32, 2**32 + 1, 2**40, 2**62, 2**63 - 1]
    keep(store, turns, batch(appends=[("l", n, b"%d" % n) for n in numbers], puts={}))
    assert store.read("l", -1, 10) == [(n, b"%d" % n) for n in numbers]
    assert store.read("l", 2**32 - 1, 2) == [(2**32, b"%d" % 2**32), (2**32 + 1, b"%d" % (2**32 + 1))]
    assert store.read("l", 2**32, 1) == [(2**32 + 1, b"%d" % (2**32 + 1))]
    keep(store, turns, batch(removes=[("l", 2**32 - 1), ("l", 2**32), ("l", 2**62)]))
    assert [n for n, _ in store.read("l", -1, 10)] == [0, 2**32 + 1, 2**40, 2**63 - 1]
    keep(store, turns, batch(trims={"l": 2**32 + 1}))
    assert [n for n, _ in store.read("l", -1, 10)] == [2**40, 2**63 - 1]
    keep(store, turns, batch(appends=[("m", 2**32 - 1, b""), ("m", 2**32, b""), ("m", 2**32 + 5, b"")]))
    keep(store, turns, batch(trims={"m": 2**32}))
    assert [n for n, _ in store.read("m", -1, 10)] == [2**32 + 5]
    keep(store, turns, batch(appends=[("l", 2**40 + 1, b"")], drops=["never", "m"]))
    keep(store, turns, batch(drops=["l"]))
    assert records(store) == {}


def test_a_number_that_the_log_holds_fails_its_batch_whole(store: Store, turns: Turns) -> None:
    keep(store, turns, batch(appends=[("l", 1, b"first"), ("l", 2, b"first")]))
    culprit = batch(
        puts={("b", "new"): b"1"}, appends=[("l", 3, b"second"), ("l", 2, b"second")], removes=[("l", 1)], drops=["m"]
    )
    before, error, after = write(
        store, turns, batch(puts={("b", "before"): b""}), culprit, batch(puts={("b", "after"): b""})
    )
    assert before is None
    assert after is None
    assert isinstance(error, StoreError)
    assert error.reason == CONFLICT
    assert state(store, ["b"]) == ({("b", "after"): b"", ("b", "before"): b""}, {"l": {1: b"first", 2: b"first"}})


def test_the_same_number_twice_in_one_batch_fails_it(store: Store, turns: Turns) -> None:
    (error,) = write(store, turns, batch(appends=[("l", 1, b"a"), ("l", 1, b"b")]))
    assert isinstance(error, StoreError)
    assert error.reason == CONFLICT
    assert records(store) == {}


def test_many_rows_of_every_kind(store: Store, turns: Turns) -> None:
    rows = 2100
    keep(
        store,
        turns,
        batch(
            puts={("b", str(n)): b"%d" % n for n in range(rows)},
            appends=[(f"l{n % 3}", n, b"%d" % n) for n in range(rows)],
        ),
    )
    assert len(list(store.scan("b"))) == rows
    keep(
        store,
        turns,
        batch(
            puts={("b", str(n)): b"new" for n in range(0, rows, 2)},
            deletes=[("b", str(n)) for n in range(1, rows, 2)],
            removes=[(f"l{n % 3}", n) for n in range(0, rows, 2)],
            drops=["l2"],
        ),
    )
    assert dict(store.scan("b")) == {str(n): b"new" for n in range(0, rows, 2)}
    assert records(store) == {
        f"l{log}": {n: b"%d" % n for n in range(rows) if n % 2 and n % 3 == log} for log in (0, 1)
    }


def test_close_calls_every_done_that_is_due(store: Store, turns: Turns) -> None:
    outcomes = Outcomes()
    for number in range(20):
        store.submit(batch(appends=[("l", number, b"")]), outcomes.of(number))
    store.close()
    assert outcomes.order == list(range(20))
    assert set(outcomes.errors.values()) == {None}
    turns.until(lambda: turns.ready() == 0)  # what was scheduled comes late and finds nothing
    assert outcomes.order == list(range(20))
    store.close()
    with pytest.raises(LocalMisuse, match="closed"):
        store.submit(Batch(), outcomes.of(20))


def test_a_done_that_raises_keeps_nobody_else_waiting(store: Store, turns: Turns) -> None:
    outcomes = Outcomes()

    def bad(error: StoreError | None) -> None:
        raise RuntimeError("a caller's defect")

    store.submit(batch(puts={("b", "1"): b""}), bad)
    store.submit(batch(puts={("b", "2"): b""}), outcomes.of(1))
    with pytest.raises(RuntimeError, match="defect"):
        turns.until(lambda: bool(outcomes.order))
    turns.until(lambda: bool(outcomes.order))
    assert outcomes.errors == {1: None}
    store.submit(batch(puts={("b", "3"): b""}), bad)
    with pytest.raises(RuntimeError, match="defect"):
        turns.until(lambda: False)
    keep(store, turns, batch(puts={("b", "4"): b""}))
    assert [key for key, _ in store.scan("b")] == ["1", "2", "3", "4"]
