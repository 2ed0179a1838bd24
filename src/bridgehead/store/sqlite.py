"""The durable store: SQLite in one file of the data folder, committed in groups by a thread of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from bridgehead.broker.ports import IO_ERROR, Batch, StoreError
from bridgehead.core.errors import LocalMisuse
from bridgehead.store.batch import Done, Schedule
from bridgehead.store.database import open_reader, open_writer
from bridgehead.store.faults import translate
from bridgehead.store.lock import StoreLock
from bridgehead.store.schema import MIGRATIONS, Migration
from bridgehead.store.writer import Writer

FILE: Final = "hub.db"
LOCK: Final = "hub.db-lock"

# What may wait for the disk, in octets of records and values.
WAITING_OCTETS: Final = 256 * 1024 * 1024
# A page of `scan` ends with the row that reaches either.
_PAGE_ROWS: Final = 1000
_PAGE_OCTETS: Final = 4 * 1024 * 1024

_LOGS: Final = (
    "SELECT DISTINCT log FROM extent"
    " WHERE EXISTS (SELECT 1 FROM record WHERE record.id BETWEEN extent.id << 32 AND (extent.id << 32) + 4294967295)"
    " ORDER BY log"
)
# CROSS JOIN: extents first, in the order of their numbers, then their records in the order of the table.
_READ: Final = (
    "SELECT (extent.high << 32) + (record.id & 4294967295), record.record"
    " FROM extent CROSS JOIN record"
    " WHERE extent.log = :log AND extent.high >= :high"
    " AND record.id > (extent.id << 32) + CASE WHEN extent.high = :high THEN :low ELSE -1 END"
    " AND record.id <= (extent.id << 32) + 4294967295"
    " ORDER BY extent.high, record.id LIMIT :limit"
)


class SqliteStore:
    """A Store in `folder`/hub.db (0600), which it makes and brings to the newest schema at need.

    `schedule` brings a call to the hub's thread, on a later turn: `loop.call_soon_threadsafe`. The constructor raises
    StoreError when the file cannot be used; the sentence names it and says what to do.
    """

    def __init__(
        self,
        folder: Path,
        schedule: Schedule,
        *,
        waiting_octets: int = WAITING_OCTETS,
        migrations: Sequence[Migration] = MIGRATIONS,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self._file: Final = folder.absolute() / FILE
        self._closed = False
        with ExitStack() as opened:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = StoreLock(self._file.with_name(LOCK))
                opened.callback(lock.release)
                writing = open_writer(self._file, factory, migrations)
                opened.callback(writing.close)
                self._reading: Final = open_reader(self._file)
                opened.callback(self._reading.close)
                self._writer: Final = Writer(writing, self._file, schedule, waiting_octets)
            except OSError as fault:
                raise StoreError(f"{fault.filename or self._file}: {fault.strerror}", IO_ERROR) from fault
            except sqlite3.Error as fault:
                raise translate(fault, self._file) from fault
            self._opened: Final = opened.pop_all()

    @property
    def waiting_octets(self) -> int:
        """Records and values submitted whose `done` is still due."""
        return self._writer.waiting_octets

    @property
    def commits(self) -> int:
        """Transactions that reached the disk since the store was opened."""
        return self._writer.commits

    def submit(self, batch: Batch, done: Done) -> None:
        if self._closed:
            raise LocalMisuse("a batch was submitted to a closed store")
        self._writer.submit(batch, done)

    def scan(self, bucket: str) -> Iterator[tuple[str, bytes]]:
        """Page by page: what is committed while the caller walks on may or may not be seen."""
        sql = "SELECT key, value FROM bucket WHERE bucket = ? ORDER BY key"
        arguments: tuple[object, ...] = (bucket,)
        while page := self._page(sql, arguments):
            yield from page
            sql = "SELECT key, value FROM bucket WHERE bucket = ? AND key > ? ORDER BY key"
            arguments = (bucket, page[-1][0])

    def get(self, bucket: str, key: str) -> bytes | None:
        rows = self._rows("SELECT value FROM bucket WHERE bucket = ? AND key = ?", (bucket, key))
        return rows[0][0] if rows else None

    def logs(self) -> list[str]:
        return [log for (log,) in self._rows(_LOGS, ())]

    def read(self, log: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        place = {"log": log, "high": after >> 32, "low": after & 0xFFFF_FFFF, "limit": max(limit, 0)}
        return self._rows(_READ, place)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._writer.close()
            self._opened.close()

    def _rows(self, sql: str, arguments: tuple[object, ...] | dict[str, object]) -> list[Any]:
        try:
            return self._reading.execute(sql, arguments).fetchall()
        except sqlite3.Error as fault:
            raise translate(fault, self._file) from fault

    def _page(self, sql: str, arguments: tuple[object, ...]) -> list[tuple[str, bytes]]:
        """The first rows of the answer. No read transaction is left open: it would hold up the checkpoints."""
        page: list[tuple[str, bytes]] = []
        octets = 0
        try:
            with closing(self._reading.execute(sql, arguments)) as cursor:
                for key, value in cursor:
                    page.append((key, value))
                    octets += len(value)
                    if len(page) == _PAGE_ROWS or octets >= _PAGE_OCTETS:
                        break
        except sqlite3.Error as fault:
            raise translate(fault, self._file) from fault
        return page
