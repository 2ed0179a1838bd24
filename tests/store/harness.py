"""What the tests of the store share: a hub's thread without an event loop, a model, states to compare."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable

from bridgehead.broker.ports import Batch, Store, StoreError

PATIENCE = 30.0  # seconds until a test gives up on a thread or a process
Records = dict[str, dict[int, bytes]]
State = tuple[dict[tuple[str, str], bytes], Records]


class Turns:
    """Calls that wait for their turn of the hub's thread, which is the test's."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def schedule(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def until(self, finished: Callable[[], bool]) -> None:
        while not finished():
            self._calls.get(timeout=PATIENCE)()

    def ready(self) -> int:
        return self._calls.qsize()


class Outcomes:
    """The `done` of several batches: what each was called with, in the order of the calls."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.errors: dict[int, StoreError | None] = {}

    def of(self, name: int) -> Callable[[StoreError | None], None]:
        def done(error: StoreError | None) -> None:
            assert name not in self.errors, f"done of batch {name} was called twice"
            self.order.append(name)
            self.errors[name] = error

        return done


def batch(
    puts: dict[tuple[str, str], bytes] | None = None,
    deletes: Iterable[tuple[str, str]] = (),
    appends: Iterable[tuple[str, int, bytes]] = (),
    removes: Iterable[tuple[str, int]] = (),
    trims: dict[str, int] | None = None,
    drops: Iterable[str] = (),
) -> Batch:
    made = Batch()
    made.puts.update(puts or {})
    made.deletes.update(deletes)
    made.appends.extend(appends)
    made.removes.extend(removes)
    made.trims.update(trims or {})
    made.drops.update(drops)
    return made


def write(store: Store, turns: Turns, *batches: Batch) -> list[StoreError | None]:
    """Submit all, one right after the other, and wait for them. How each ended, in the order of submission."""
    outcomes = Outcomes()
    for name, one in enumerate(batches):
        store.submit(one, outcomes.of(name))
    turns.until(lambda: len(outcomes.order) == len(batches))
    assert outcomes.order == list(range(len(batches)))
    return [outcomes.errors[name] for name in range(len(batches))]


def keep(store: Store, turns: Turns, *batches: Batch) -> None:
    """As `write`, and nothing may fail."""
    assert write(store, turns, *batches) == [None] * len(batches)


def records(store: Store) -> Records:
    """Every log with its records, read in pages."""
    found: Records = {}
    for log in store.logs():
        after = -1
        while page := store.read(log, after, 7):
            for number, record in page:
                assert number > after
                after = number
                found.setdefault(log, {})[number] = record
    return found


def state(store: Store, buckets: Iterable[str]) -> State:
    """Everything in the named buckets and in all logs."""
    keys: dict[tuple[str, str], bytes] = {}
    for bucket in buckets:
        rows = list(store.scan(bucket))
        assert [key for key, _ in rows] == sorted({key for key, _ in rows})
        for key, value in rows:
            keys[bucket, key] = value
    return keys, records(store)


class Model:
    """What a store must hold, said as plainly as can be."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], bytes] = {}
        self.logs: Records = {}

    def apply(self, change: Batch) -> None:
        self.keys.update(change.puts)
        for where in change.deletes:
            self.keys.pop(where, None)
        for log, number, record in change.appends:
            self.logs.setdefault(log, {})[number] = record
        for log, number in change.removes:
            self.logs.get(log, {}).pop(number, None)
        for log, upto in change.trims.items():
            self.logs[log] = {number: record for number, record in self.logs.get(log, {}).items() if number > upto}
        for log in change.drops:
            self.logs.pop(log, None)

    def state(self) -> State:
        return dict(self.keys), {log: dict(held) for log, held in self.logs.items() if held}
