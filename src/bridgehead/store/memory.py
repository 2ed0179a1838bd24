"""A store that keeps everything in memory and nothing beyond the process: for tests, and hubs that need no more."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from typing import Final

from bridgehead.broker.ports import CONFLICT, Batch, StoreError
from bridgehead.core.errors import LocalMisuse
from bridgehead.store.batch import Done, Schedule, check


class _Log:
    """Records by number. `order` holds the numbers ascending; removed ones go from it when they are the half."""

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        self._order: list[int] = []

    def append(self, number: int, record: bytes) -> None:
        if not self._order or number > self._order[-1]:
            self._order.append(number)
        elif self._order[bisect_right(self._order, number) - 1] != number:
            insort(self._order, number)
        self.records[number] = record

    def remove(self, number: int) -> None:
        if self.records.pop(number, None) is not None and len(self._order) > 2 * len(self.records) + 16:
            self._order = [known for known in self._order if known in self.records]

    def trim(self, upto: int) -> None:
        place = bisect_right(self._order, upto)
        for number in self._order[:place]:
            self.records.pop(number, None)
        del self._order[:place]

    def read(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        place = bisect_right(self._order, after)
        while place < len(self._order) and len(found) < limit:
            number = self._order[place]
            record = self.records.get(number)
            if record is not None:
                found.append((number, record))
            place += 1
        return found


class MemoryStore:
    """A Store without a disk. `schedule` as for SqliteStore; `loop.call_soon` will do.

    A test that sets `fault` makes every batch fail with it, until it is None again.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.fault: StoreError | None = None
        self._schedule: Final = schedule
        self._buckets: dict[str, dict[str, bytes]] = {}
        self._logs: dict[str, _Log] = {}
        self._waiting: deque[tuple[Batch, Done]] = deque()
        self._closed = False

    def submit(self, batch: Batch, done: Done) -> None:
        if self._closed:
            raise LocalMisuse("a batch was submitted to a closed store")
        check(batch)
        self._waiting.append((batch, done))
        self._schedule(self._turn)

    def scan(self, bucket: str) -> list[tuple[str, bytes]]:
        return sorted(self._buckets.get(bucket, {}).items())

    def get(self, bucket: str, key: str) -> bytes | None:
        return self._buckets.get(bucket, {}).get(key)

    def logs(self) -> list[str]:
        return sorted([name for name, log in self._logs.items() if log.records])

    def read(self, log: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        held = self._logs.get(log)
        return [] if held is None else held.read(after, limit)

    def close(self) -> None:
        self._closed = True
        while self._waiting:
            self._turn()

    def _turn(self) -> None:
        """One batch for each call that was scheduled."""
        if self._waiting:
            batch, done = self._waiting.popleft()
            done(self._apply(batch))

    def _apply(self, batch: Batch) -> StoreError | None:
        if self.fault is not None:
            return self.fault
        conflict = self._conflict(batch)
        if conflict is not None:
            return conflict
        for (bucket, key), value in batch.puts.items():
            self._buckets.setdefault(bucket, {})[key] = value
        for bucket, key in batch.deletes:
            held = self._buckets.get(bucket)
            if held is not None and held.pop(key, None) is not None and not held:
                del self._buckets[bucket]
        for name, number, record in batch.appends:
            self._logs.setdefault(name, _Log()).append(number, record)
        for name, number in batch.removes:
            if name in self._logs:
                self._logs[name].remove(number)
        for name, upto in batch.trims.items():
            if name in self._logs:
                self._logs[name].trim(upto)
        for name in batch.drops:
            self._logs.pop(name, None)
        return None

    def _conflict(self, batch: Batch) -> StoreError | None:
        seen: set[tuple[str, int]] = set()
        for name, number, _ in batch.appends:
            held = self._logs.get(name)
            if (name, number) in seen or (held is not None and number in held.records):
                return StoreError(f"log {name!r} holds the number {number} already", CONFLICT)
            seen.add((name, number))
        return None
