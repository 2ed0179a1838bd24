"""Any sequence of batches, waited for or not, with reopenings between: the store holds what the model holds."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from bridgehead.broker.ports import Batch, Store
from bridgehead.store.memory import MemoryStore
from bridgehead.store.sqlite import SqliteStore
from tests.store.harness import Model, Outcomes, Turns, state

BUCKETS = ["b", "c", ""]
KEYS = st.tuples(st.sampled_from(BUCKETS), st.sampled_from(["", "k", "l", "ü"]))
LOGS = st.sampled_from(["a", "b", "c/ö", ""])
GAPS = st.one_of(st.integers(1, 3), st.sampled_from([2**31, 2**32 - 1, 2**32, 2**33]))
OCTETS = st.binary(max_size=40)


class StoreMachine(RuleBasedStateMachine):
    """Numbers of a log only grow, as the broker's do."""

    numbers: Bundle[tuple[str, int]] = Bundle("numbers")

    def __init__(self) -> None:
        super().__init__()
        self.turns = Turns()
        self.model = Model()
        self.outcomes = Outcomes()
        self.submitted = 0
        self.last: dict[str, int] = {}
        self.coming = Batch()

    def open(self) -> Store:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.store = self.open()

    @rule(where=KEYS, value=OCTETS)
    def put(self, where: tuple[str, str], value: bytes) -> None:
        self.coming.deletes.discard(where)
        self.coming.puts[where] = value

    @rule(where=KEYS)
    def delete(self, where: tuple[str, str]) -> None:
        self.coming.puts.pop(where, None)
        self.coming.deletes.add(where)

    @rule(target=numbers, log=LOGS, gap=GAPS, record=OCTETS)
    def append(self, log: str, gap: int, record: bytes) -> tuple[str, int]:
        number = self.last.get(log, -1) + gap
        self.last[log] = number
        self.coming.appends.append((log, number, record))
        return log, number

    @rule(log=LOGS, count=st.integers(1, 40), record=OCTETS)
    def append_many(self, log: str, count: int, record: bytes) -> None:
        first = self.last.get(log, -1) + 1
        self.last[log] = first + count - 1
        self.coming.appends.extend([(log, first + place, record) for place in range(count)])

    @rule(entry=numbers, offset=st.integers(-2, 2))
    def remove(self, entry: tuple[str, int], offset: int) -> None:
        log, number = entry
        self.coming.removes.append((log, number + offset))

    @rule(entry=numbers, offset=st.integers(-2, 2))
    def trim(self, entry: tuple[str, int], offset: int) -> None:
        log, number = entry
        self.coming.trims[log] = number + offset

    @rule(log=LOGS)
    def drop(self, log: str) -> None:
        self.coming.drops.add(log)

    @rule()
    def submit(self) -> None:
        self.store.submit(self.coming, self.outcomes.of(self.submitted))
        self.model.apply(self.coming)
        self.coming = Batch()
        self.submitted += 1

    @rule()
    def wait(self) -> None:
        self.turns.until(lambda: len(self.outcomes.order) == self.submitted)
        assert self.outcomes.order == list(range(self.submitted))
        assert set(self.outcomes.errors.values()) <= {None}

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if len(self.outcomes.order) == self.submitted:
            assert state(self.store, BUCKETS) == self.model.state()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.wait()


class SqliteMachine(StoreMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()

    def open(self) -> Store:
        return SqliteStore(Path(self.folder.name), self.turns.schedule)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.wait()
        self.store = self.open()

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class MemoryMachine(StoreMachine):
    def open(self) -> Store:
        return MemoryStore(self.turns.schedule)


TestSqlite = SqliteMachine.TestCase
TestSqlite.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
