"""Writes the net change of a group into hub.db's tables, in few and large statements."""

from __future__ import annotations

import sqlite3
from typing import Final

from bridgehead.broker.ports import CONFLICT, StoreError
from bridgehead.store.net import Net
from bridgehead.store.statement import ROWS_PER_STATEMENT, Statement

_LAST_EXTENT: Final = 2**31 - 1
_LOW: Final = 0xFFFF_FFFF
# Fewer rows for each statement where the group is large: SQLite holds a copy of all that one statement is given.
_LARGE_GROUP: Final = 16 * 1024 * 1024
_LARGE_ROWS_PER_STATEMENT: Final = 16
_LARGE_FILLER: Final = 1024
_REMEMBERED_LOGS: Final = 65_536


# Deleting many runs or keys in one statement: a trigger's program runs once for each row "inserted" into a view.
# Joining the table with the list of them looks each row up twice.
_TEMPORARY: Final = """
    CREATE TEMP VIEW going_record AS SELECT 0 AS first, 0 AS last;
    CREATE TEMP TRIGGER remove_record INSTEAD OF INSERT ON going_record BEGIN
        DELETE FROM record WHERE id BETWEEN new.first AND new.last;
    END;
    CREATE TEMP VIEW going_key AS SELECT '' AS bucket, '' AS key;
    CREATE TEMP TRIGGER remove_key INSTEAD OF INSERT ON going_key BEGIN
        DELETE FROM bucket WHERE bucket = new.bucket AND key = new.key;
    END;
    CREATE TEMP VIEW going_log AS SELECT '' AS log;
    CREATE TEMP TRIGGER remove_log INSTEAD OF INSERT ON going_log BEGIN
        DELETE FROM extent WHERE log = new.log;
    END;
"""
_DELETE_RUNS: Final = Statement("INSERT INTO going_record", 2)
_DELETE_RECORDS: Final = Statement("DELETE FROM record WHERE id IN (", 1, ")")
_DELETE_KEYS: Final = Statement("INSERT INTO going_key", 2)
_DELETE_LOGS: Final = Statement("INSERT INTO going_log", 1)
# OR IGNORE: a number that is there already shows in the count of rows. With the default, OR ABORT, SQLite keeps a
# journal of each statement, which takes it a tenth longer.
_INSERT_RECORDS: Final = Statement("INSERT OR IGNORE INTO record (id, record)", 2)
_PUT_KEYS: Final = Statement(
    "INSERT OR ROLLBACK INTO bucket (bucket, key, value)",
    3,
    " ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value",
)


class _Going:
    """The ids of the records that go."""

    def __init__(self) -> None:
        self.runs: list[object] = []  # first and last of each run, one after the other
        self.alone: list[object] = []

    def add(self, numbers: list[int], offset: int) -> None:
        """`numbers` ascend; an id is its number and `offset`."""
        if not numbers:
            return
        first = last = numbers[0]
        for number in numbers:
            if number > last + 1:
                self._add_run(first + offset, last + offset)
                first = number
            last = number
        self._add_run(first + offset, last + offset)

    def _add_run(self, first: int, last: int) -> None:
        if first == last:
            self.alone.append(first)
        else:
            self.runs += (first, last)


class Tables:
    """The tables behind one writing connection, which begins transactions by itself (isolation_level IMMEDIATE).

    Remembers the extents of the logs in use.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: Final = connection
        # (high, id) of each extent of a log, ascending by high.
        self._extents: dict[str, list[tuple[int, int]]] = {}
        connection.executescript(_TEMPORARY)

    def write(self, net: Net) -> None:
        """Commit all of `net`. When it raises (sqlite3.Error, StoreError), nothing of it was kept."""
        connection = self._connection
        if connection.in_transaction:  # an earlier rollback failed
            connection.rollback()
        if len(self._extents) > _REMEMBERED_LOGS:
            self._extents.clear()
        try:
            self._write(net)
            connection.commit()
        except BaseException:
            self._extents.clear()
            if connection.in_transaction:
                connection.rollback()
            raise

    def _write(self, net: Net) -> None:
        connection = self._connection
        if net.values:
            self._write_keys(net.values, _limit(net))
        if net.removes or net.trims or net.drops:
            going = self._going(net)
            _DELETE_RUNS.execute(connection, going.runs, going.runs[-2:])
            _DELETE_RECORDS.execute(connection, going.alone, going.alone[-1:])
            if net.drops:
                logs: list[object] = list(net.drops)
                _DELETE_LOGS.execute(connection, logs, logs[-1:])
                for log in net.drops:
                    self._extents.pop(log, None)
        coming = self._coming(net.appends)
        if coming:
            # The filler's id is there by then, so it is ignored.
            inserted = _INSERT_RECORDS.execute(connection, coming, [coming[-2], b""], _limit(net))
            if inserted != len(coming) // 2:
                raise StoreError("a number was appended to a log that holds it already", CONFLICT)

    def _write_keys(self, values: dict[tuple[str, str], bytes | None], limit: int) -> None:
        puts: list[object] = []
        deletes: list[object] = []
        last = b""
        for where, value in values.items():
            if value is None:
                deletes += where
            else:
                puts += (*where, value)
                last = value
        _DELETE_KEYS.execute(self._connection, deletes, deletes[-2:])
        _PUT_KEYS.execute(self._connection, puts, puts[-3:] if len(last) <= _LARGE_FILLER else None, limit)

    def _going(self, net: Net) -> _Going:
        going = _Going()
        for log, numbers in net.removes.items():
            numbers.sort()
            for high, extent in self._extents_of(log):
                going.add(_part(numbers, high), (extent - high) << 32)
        for log, upto in net.trims.items():
            for high, extent in self._extents_of(log):
                if high << 32 <= upto:
                    first = extent << 32
                    going.runs += (first, first + min(upto - (high << 32), _LOW))
        for log in net.drops:
            for _, extent in self._extents_of(log):
                going.runs += (extent << 32, (extent << 32) + _LOW)
        return going

    def _coming(self, appends: dict[str, dict[int, bytes]]) -> list[object]:
        """Id and record of each row that comes, in the order of the table: pages fill one after the other."""
        parts: list[tuple[int, int, dict[int, bytes]]] = []
        for log, records in appends.items():
            if not records:
                continue
            low, high = min(records) >> 32, max(records) >> 32
            if low == high:
                extent = self._extent_for(log, high)
                parts.append((extent, (extent - high) << 32, records))
                continue
            for high in sorted({number >> 32 for number in records}):
                extent = self._extent_for(log, high)
                part = {number: record for number, record in records.items() if number >> 32 == high}
                parts.append((extent, (extent - high) << 32, part))
        parts.sort(key=_by_extent)
        rows: list[object] = []
        for _, offset, records in parts:
            part_rows: list[object] = [None] * (2 * len(records))
            part_rows[::2] = [offset + number for number in records]
            part_rows[1::2] = records.values()
            rows += part_rows
        return rows

    def _extents_of(self, log: str) -> list[tuple[int, int]]:
        extents = self._extents.get(log)
        if extents is None:
            select = "SELECT high, id FROM extent WHERE log = ? ORDER BY high"
            extents = self._connection.execute(select, (log,)).fetchall()
            self._extents[log] = extents
        return extents

    def _extent_for(self, log: str, high: int) -> int:
        """The extent of the numbers with `high`, made when there is none."""
        extents = self._extents_of(log)
        for known, extent in extents:
            if known == high:
                return extent
        extent = self._new_extent(log, high)
        extents.append((high, extent))
        extents.sort()
        return extent

    def _new_extent(self, log: str, high: int) -> int:
        insert = "INSERT INTO extent (log, high) VALUES (?, ?)"
        extent = self._connection.execute(insert, (log, high)).lastrowid
        assert extent is not None
        if extent <= _LAST_EXTENT:
            return extent
        # Two thousand million logs later: the first id that a dropped log has left.
        (free,) = self._connection.execute(
            "SELECT min(id) FROM (SELECT 1 AS id UNION ALL SELECT id + 1 FROM extent) AS candidate"
            " WHERE NOT EXISTS (SELECT 1 FROM extent WHERE extent.id = candidate.id)"
        ).fetchone()
        assert isinstance(free, int)
        self._connection.execute("UPDATE extent SET id = ? WHERE id = ?", (free, extent))
        return free


def _limit(net: Net) -> int:
    """Rows per statement."""
    return ROWS_PER_STATEMENT if net.octets <= _LARGE_GROUP else _LARGE_ROWS_PER_STATEMENT


def _by_extent(part: tuple[int, int, dict[int, bytes]]) -> int:
    return part[0]


def _part(numbers: list[int], high: int) -> list[int]:
    """Of the ascending `numbers` those of one extent: in nearly every case all."""
    if numbers[0] >> 32 == high and numbers[-1] >> 32 == high:
        return numbers
    return [number for number in numbers if number >> 32 == high]
