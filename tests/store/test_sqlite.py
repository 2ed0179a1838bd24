"""What the SQLite store promises beyond the contract: the file, its modes, its lock, its size."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridgehead.broker.ports import IN_USE, IO_ERROR, Batch, StoreError
from bridgehead.store import database, sqlite, tables
from bridgehead.store.net import Net
from bridgehead.store.sqlite import SqliteStore
from bridgehead.store.statement import Statement
from bridgehead.store.tables import Tables
from tests.store.faulty import Watched
from tests.store.harness import Turns, batch, keep, records, state, write

ROOT = Path(__file__).parents[2]


class NoSharedMemory(Watched):
    """A file system that cannot have a write-ahead log: SQLite then keeps the mode it has."""

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        return super().execute("PRAGMA journal_mode" if "journal_mode" in sql else sql, parameters)


@pytest.fixture
def turns() -> Turns:
    return Turns()


def test_everything_is_there_after_reopening(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    keep(store, turns, batch(puts={("b", "k"): b"v"}, appends=[("l", 5, b"five"), ("m", 2**33, b"far")]))
    store.close()
    store = SqliteStore(tmp_path, turns.schedule)
    assert state(store, ["b"]) == ({("b", "k"): b"v"}, {"l": {5: b"five"}, "m": {2**33: b"far"}})
    keep(store, turns, batch(appends=[("l", 6, b"six"), ("n", 1, b"one")], removes=[("l", 5)], drops=["m"]))
    store.close()
    store = SqliteStore(tmp_path, turns.schedule)
    assert records(store) == {"l": {6: b"six"}, "n": {1: b"one"}}
    store.close()


def test_commits_are_synced_to_a_write_ahead_log(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule, factory=Watched)
    keep(store, turns, batch(puts={("b", "k"): b"v"}))
    assert Watched.newest.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert Watched.newest.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    store.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_their_owners_only(tmp_path: Path, turns: Turns, umask: int) -> None:
    folder = tmp_path / "new" / "data"
    before = os.umask(umask)
    try:
        store = SqliteStore(folder, turns.schedule)
        keep(store, turns, batch(puts={("b", "k"): b"v"}))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(before)
        store.close()
    assert modes == {"hub.db": 0o600, "hub.db-wal": 0o600, "hub.db-shm": 0o600, "hub.db-lock": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path, turns: Turns) -> None:
    SqliteStore(tmp_path, turns.schedule).close()
    (tmp_path / "hub.db").chmod(0o644)
    store = SqliteStore(tmp_path, turns.schedule)
    assert stat.S_IMODE((tmp_path / "hub.db").stat().st_mode) == 0o600
    store.close()


def test_an_orderly_close_leaves_one_file(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    keep(store, turns, batch(puts={("b", "k"): b"v"}))
    store.close()
    assert {path.name for path in tmp_path.iterdir()} == {"hub.db", "hub.db-lock"}


def test_two_stores_never_share_a_folder(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    with pytest.raises(StoreError, match=rf"process {os.getpid()}\).*{re.escape(str(tmp_path))}.*stop it") as raised:
        SqliteStore(tmp_path, turns.schedule)
    assert raised.value.reason == IN_USE
    keep(store, turns, batch(puts={("b", "k"): b"v"}))
    store.close()
    SqliteStore(tmp_path, turns.schedule).close()


def test_another_process_is_told_who_has_the_store(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    other = subprocess.run(
        [sys.executable, "-m", "tests.store.crash_child", str(tmp_path), "1"],
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        check=False,
    )
    store.close()
    assert other.returncode != 0
    assert f"another hub (process {os.getpid()})" in other.stderr


def test_the_lock_ends_when_opening_fails(tmp_path: Path, turns: Turns) -> None:
    (tmp_path / "hub.db").write_bytes(b"this is not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreError):
        SqliteStore(tmp_path, turns.schedule)
    (tmp_path / "hub.db").unlink()
    SqliteStore(tmp_path, turns.schedule).close()


def test_a_folder_that_cannot_be(tmp_path: Path, turns: Turns) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=re.escape(str(tmp_path / "file"))):
        SqliteStore(tmp_path / "file", turns.schedule)


def test_a_file_system_without_a_write_ahead_log(tmp_path: Path, turns: Turns) -> None:
    with pytest.raises(StoreError, match=r"journal mode delete.*Name a data folder on a local disk") as raised:
        SqliteStore(tmp_path, turns.schedule, factory=NoSharedMemory)
    assert raised.value.reason == IO_ERROR


def test_the_write_ahead_log_stays_small_however_much_passes(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    largest = 0
    for number in range(300):
        keep(store, turns, batch(appends=[("l", number * 100 + place, b"x" * 1000) for place in range(100)]))
        keep(store, turns, batch(trims={"l": number * 100 - 200}))
        largest = max(largest, (tmp_path / "hub.db-wal").stat().st_size)
    # 30 MB passed. 1000 pages, and what one commit adds to them.
    assert largest < 6_000_000
    assert (tmp_path / "hub.db").stat().st_size < 4_000_000
    store.close()


def test_a_write_ahead_log_that_grew_is_cut_again(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    keep(store, turns, batch(appends=[("l", number, b"x" * 100_000) for number in range(200)]))
    assert (tmp_path / "hub.db-wal").stat().st_size > 2 * database._WAL_KEPT
    keep(store, turns, batch(puts={("b", "k"): b""}))
    keep(store, turns, batch(puts={("b", "k"): b""}))
    assert (tmp_path / "hub.db-wal").stat().st_size <= database._WAL_KEPT
    assert len(records(store)["l"]) == 200
    store.close()


def test_scan_holds_no_read_transaction_open(tmp_path: Path, turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stays open would keep the write-ahead log from ever starting again."""
    monkeypatch.setattr(sqlite, "_PAGE_ROWS", 2)
    monkeypatch.setattr(sqlite, "_PAGE_OCTETS", 10)
    store = SqliteStore(tmp_path, turns.schedule, factory=Watched)
    keep(store, turns, batch(puts={("b", str(number)): b"x" * number for number in range(9)}))
    walk = iter(store.scan("b"))
    assert [next(walk)[0] for _ in range(3)] == ["0", "1", "2"]
    keep(store, turns, batch(puts={("b", "new"): b""}))
    busy, _, _ = Watched.newest.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
    assert [key for key, _ in walk] == ["3", "4", "5", "6", "7", "8", "new"]
    store.close()


def test_reading_sorts_nothing(tmp_path: Path, turns: Turns) -> None:
    """The plans walk the tables in their own order: a page costs the same at the end of a long log."""
    store = SqliteStore(tmp_path, turns.schedule, factory=Watched)
    place = {"log": "l", "high": 0, "low": 0, "limit": 10}
    for sql, parameters in ((sqlite._READ, place), (sqlite._LOGS, {})):
        plan = [row[3] for row in Watched.newest.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        assert not [step for step in plan if "TEMP B-TREE" in step or "SCAN record" in step], plan
        assert any("SEARCH record USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in step for step in plan), plan
    store.close()


def test_names_of_logs_are_forgotten_when_too_many_are_remembered(
    tmp_path: Path, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_REMEMBERED_LOGS", 4)
    store = SqliteStore(tmp_path, turns.schedule)
    for number in range(30):
        keep(store, turns, batch(appends=[(f"l{number % 10}", number, b"%d" % number)]))
    assert records(store) == {f"l{log}": {n: b"%d" % n for n in range(log, 30, 10)} for log in range(10)}
    store.close()


def test_ids_of_dropped_logs_serve_again_when_the_last_is_used(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    keep(store, turns, batch(appends=[("a", 1, b"a"), ("b", 1, b"b"), ("c", 1, b"c")]))
    keep(store, turns, batch(drops=["b"]))
    store.close()
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        connection.execute("INSERT INTO extent (id, log, high) VALUES (?, 'last', 0)", (2**31 - 1,))
        connection.execute("INSERT INTO record (id, record) VALUES (?, x'00')", (((2**31 - 1) << 32) + 0xFFFF_FFFF,))
    connection.close()
    store = SqliteStore(tmp_path, turns.schedule)
    assert store.read("last", 0, 9) == [(2**32 - 1, b"\0")]
    keep(store, turns, batch(appends=[("d", 1, b"d"), ("e", 1, b"e"), ("last", 2**32, b"next")]))
    assert records(store) == {
        "a": {1: b"a"},
        "c": {1: b"c"},
        "d": {1: b"d"},
        "e": {1: b"e"},
        "last": {2**32 - 1: b"\0", 2**32: b"next"},
    }
    store.close()


@pytest.mark.parametrize("limit", [1024, 16])
@pytest.mark.parametrize("has_filler", [True, False])
def test_a_statement_for_any_number_of_rows(has_filler: bool, limit: int) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, value)")
    insert = Statement("INSERT OR IGNORE INTO t (id, value)", 2)
    for rows in [*range(70), 127, 128, 129, 500, 512, 900, 1000, 1023, 1024, 1025, 2048, 3000]:
        values: list[object] = [number for row in range(rows) for number in (row, -row)]
        filler: list[object] = [rows - 1, "filler"]
        assert insert.execute(connection, values, filler if has_filler else None, limit) == rows
        found = connection.execute("SELECT id, value FROM t ORDER BY id").fetchall()
        assert found == [(row, -row) for row in range(rows)]
        connection.execute("DELETE FROM t")
    connection.close()


def test_a_large_group_is_given_to_sqlite_in_small_parts(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule, factory=Watched)
    large = b"x" * 500_000
    appends = [("l", number, large) for number in range(40)]
    keep(store, turns, batch(appends=appends, puts={("b", str(number)): large for number in range(40)}))
    assert max(sql.count("(?,?)") for sql in Watched.seen if "INTO record" in sql) == 16
    assert max(sql.count("(?,?,?)") for sql in Watched.seen if "INTO bucket" in sql) == 16
    assert store.read("l", -1, 50) == [(number, record) for _, number, record in appends]
    assert [value == large for _, value in store.scan("b")] == [True] * 40
    store.close()


def test_a_rollback_that_fails_is_made_up_for(tmp_path: Path) -> None:
    connection = database.open_writer(tmp_path / "hub.db")
    written = Tables(connection)
    connection.execute("INSERT INTO bucket (bucket, key, value) VALUES ('b', 'left over', x'')")
    assert connection.in_transaction
    net = Net()
    net.add(batch(puts={("b", "k"): b"v"}), 1)
    written.write(net)
    assert connection.execute("SELECT key FROM bucket").fetchall() == [("k",)]
    connection.close()


def test_what_was_deleted_is_overwritten(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    secret = b"an open door at the back"
    for size in (1, 50, 2000):
        appends = [(log, number, secret * size) for log in ("a", "b", "c") for number in range(30)]
        keep(store, turns, batch(appends=appends, puts={("b", str(n)): secret * size for n in range(30)}))
        going = [("a", number) for number in range(30)]
        keep(
            store, turns, batch(removes=going, trims={"b": 30}, drops=["c"], deletes=[("b", str(n)) for n in range(30)])
        )
    store.close()
    assert secret not in (tmp_path / "hub.db").read_bytes()


def test_an_empty_batch_needs_no_commit_of_its_own(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule, factory=Watched)
    before = (tmp_path / "hub.db-wal").stat().st_size
    assert write(store, turns, Batch(), batch(removes=[("never", 1)], trims={"never": 5})) == [None, None]
    assert (tmp_path / "hub.db-wal").stat().st_size == before
    store.close()
