"""The store's one writing thread: what waits while a commit runs goes into the next one together (group commit)."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections import deque
from pathlib import Path
from typing import Final

from bridgehead.broker.ports import DISK_FULL, IN_USE, OVERLOADED, Batch, StoreError
from bridgehead.store.batch import Done, Schedule, check
from bridgehead.store.faults import translate
from bridgehead.store.net import Net
from bridgehead.store.tables import Tables

# One transaction takes batches until it has this much: its pages must fit the cache and the write-ahead log.
_GROUP_ENTRIES: Final = 20_000
_GROUP_OCTETS: Final = 16 * 1024 * 1024
# Waiting for work this long, the write-ahead log is copied into the file: a start after a crash has less to read.
_IDLE_SECONDS: Final = 2.0

# What SQLite, or Python on the way to it, raises for a batch that cannot be written.
_FAULTS: Final = (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError, MemoryError)


class _Entry:
    """A batch on its way, and how it ended."""

    def __init__(self, batch: Batch, octets: int, done: Done) -> None:
        self.batch: Final = batch
        self.octets: Final = octets
        self.done: Final = done
        self.error: StoreError | None = None


class Writer:
    """Takes batches on the hub's thread, writes them on its own, reports on the hub's thread again.

    At most `waiting_octets` of records and values wait; what would be more is refused (OVERLOADED), but never what only
    deletes, nor a batch that is alone.
    """

    def __init__(self, connection: sqlite3.Connection, file: Path, schedule: Schedule, waiting_octets: int) -> None:
        self._connection: Final = connection
        self._file: Final = file
        self._tables: Final = Tables(connection)
        self._schedule: Final = schedule
        self._limit: Final = waiting_octets
        self._queue: Final[queue.SimpleQueue[_Entry | None]] = queue.SimpleQueue()
        self._finished: Final[deque[_Entry]] = deque()
        self.waiting_octets = 0  # the hub's thread's alone
        self.commits = 0
        # The writing thread's alone:
        self._ending = False
        self._written = False  # something may stand in the write-ahead log only
        self._thread: Final = threading.Thread(target=self._run, name="bridgehead-store", daemon=True)
        self._thread.start()

    # On the hub's thread. ---------------------------------------------------------------------------

    def submit(self, batch: Batch, done: Done) -> None:
        """As Store.submit. Raises LocalMisuse."""
        octets = check(batch)
        entry = _Entry(batch, octets, done)
        if octets and self.waiting_octets + octets > self._limit and self.waiting_octets:
            entry.error = StoreError(
                f"{self.waiting_octets} octets wait for the disk already: it is slower than what comes in", OVERLOADED
            )
        self.waiting_octets += octets
        self._queue.put(entry)

    def report(self) -> None:
        """Call the `done` of every batch that is finished."""
        finished = self._finished
        while finished:
            entry = finished.popleft()
            self.waiting_octets -= entry.octets
            try:
                entry.done(entry.error)
            except BaseException:
                if finished:  # one caller's defect must not keep the others waiting
                    self._schedule(self.report)
                raise

    def close(self) -> None:
        """Write what waits, report it, end the thread."""
        self._queue.put(None)
        self._thread.join()
        self.report()

    # On the writing thread. -------------------------------------------------------------------------

    def _run(self) -> None:
        while group := self._next_group():
            self._write_group([entry for entry in group if entry.error is None])
            self._finished.extend(group)
            try:
                self._schedule(self.report)
            except RuntimeError:
                # The loop is closed already: `close` reports.
                continue

    def _next_group(self) -> list[_Entry]:
        """What waits, up to the limits of a transaction; waits for the first. Empty at the end."""
        group: list[_Entry] = []
        if self._ending:
            return group
        entries = octets = 0
        entry = self._wait()
        while entry is not None:
            group.append(entry)
            batch = entry.batch
            entries += len(batch.puts) + len(batch.deletes) + len(batch.appends) + len(batch.removes)
            octets += entry.octets
            if entries >= _GROUP_ENTRIES or octets >= _GROUP_OCTETS or self._queue.empty():
                return group
            entry = self._queue.get()
        self._ending = True
        return group

    def _wait(self) -> _Entry | None:
        if self._written:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                self._written = False
                self._checkpoint()
        return self._queue.get()

    def _write_group(self, group: list[_Entry]) -> None:
        """Write all in one transaction; where that fails, each in its own, so that only the culprit fails."""
        if not group:
            return
        error = self._commit(group)
        if error is None:
            return
        if error.reason == DISK_FULL:
            # Copied into the file, the write-ahead log starts again from its top and needs no new space.
            self._checkpoint()
        elif len(group) == 1 or error.reason == IN_USE:
            for entry in group:
                entry.error = error
            return
        for entry in group:
            entry.error = self._commit([entry])

    def _commit(self, group: list[_Entry]) -> StoreError | None:
        try:
            net = Net()
            for entry in group:
                net.add(entry.batch, entry.octets)
            net.check()
            self._tables.write(net)
        except StoreError as error:
            return error
        except _FAULTS as fault:
            return translate(fault, self._file)
        self.commits += 1
        self._written = True
        return None

    def _checkpoint(self) -> None:
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error:
            # The log stays as it is, whole; whoever writes next is told what ails the disk.
            return
