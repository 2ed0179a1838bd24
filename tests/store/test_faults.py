"""Faults of SQLite and of the disk: the reason is told, nothing half is kept, and the store goes on by itself."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.broker.ports import CONFLICT, DAMAGED, DISK_FULL, FAILED, IN_USE, IO_ERROR, READ_ONLY, StoreError
from bridgehead.store.faults import translate
from bridgehead.store.sqlite import SqliteStore
from tests.store.faulty import Faulty, Watched, sqlite_fault
from tests.store.harness import Model, Outcomes, Turns, batch, keep, state, write
from tests.store.syscalls import FailingDisk, failing_disk

EIO_WRITE = sqlite_fault(sqlite3.SQLITE_IOERR | (3 << 8), "SQLITE_IOERR_WRITE")
EIO_FSYNC = sqlite_fault(sqlite3.SQLITE_IOERR | (4 << 8), "SQLITE_IOERR_FSYNC")
FULL = sqlite_fault(sqlite3.SQLITE_FULL, "SQLITE_FULL")
BUSY = sqlite_fault(sqlite3.SQLITE_BUSY, "SQLITE_BUSY")

FIRST = batch(
    puts={("b", "k"): b"1", ("b", "old"): b"1"},
    appends=[("l", 1, b"1"), ("l", 2, b"2"), ("m", 1, b"1"), ("o", 1, b"1")],
)
SECOND = batch(
    puts={("b", "k"): b"2", ("b", "new"): b"2"},
    deletes=[("b", "old")],
    appends=[("l", 3, b"3"), ("new", 1, b"1")],
    removes=[("l", 1)],
    trims={"m": 1},
    drops=["o"],
)
THIRD = batch(appends=[("new", 2, b"2"), ("newer", 1, b"1")], puts={("b", "third"): b""})


def model(*changes: object) -> Model:
    made = Model()
    for change in (FIRST, SECOND, THIRD):
        if change in changes:
            made.apply(change)
    return made


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    with failing_disk() as failing:
        yield failing


def steps_of_a_write(folder: Path) -> int:
    """How many statements the writing of SECOND takes."""
    turns = Turns()
    store = SqliteStore(folder, turns.schedule, factory=Faulty)
    Faulty.arm(FULL)
    keep(store, turns, FIRST)
    before = len(Faulty.seen)
    keep(store, turns, SECOND)
    steps = len(Faulty.seen) - before
    store.close()
    return steps


@pytest.mark.parametrize(
    ("fault", "reason"), [(EIO_WRITE, IO_ERROR), (EIO_FSYNC, IO_ERROR), (FULL, DISK_FULL), (BUSY, IN_USE)]
)
@pytest.mark.parametrize("rollback_fails", [False, True])
def test_a_fault_at_any_statement_keeps_nothing_of_the_batch(
    tmp_path: Path, turns: Turns, fault: sqlite3.Error, reason: str, rollback_fails: bool
) -> None:
    steps = steps_of_a_write(tmp_path / "count")
    assert steps >= 6
    for step in range(steps):
        folder = tmp_path / str(step)
        store = SqliteStore(folder, turns.schedule, factory=Faulty)
        Faulty.arm(fault)
        keep(store, turns, FIRST)
        # On a full disk the checkpoint and the second try fail as well.
        again = range(step + 1, step + 20) if fault is FULL else range(step + 1, step + 2)
        Faulty.arm(fault, step, *(again if rollback_fails or fault is FULL else ()))
        (error,) = write(store, turns, SECOND)
        assert isinstance(error, StoreError)
        assert error.reason == reason
        assert state(store, ["b"]) == model(FIRST).state()
        Faulty.arm(fault)
        keep(store, turns, THIRD)
        assert state(store, ["b"]) == model(FIRST, THIRD).state()
        store.close()
        store = SqliteStore(folder, turns.schedule)
        assert state(store, ["b"]) == model(FIRST, THIRD).state()
        keep(store, turns, SECOND)
        assert state(store, ["b"]) == model(FIRST, SECOND, THIRD).state()
        store.close()


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, DISK_FULL), (errno.EIO, IO_ERROR), (errno.EDQUOT, IO_ERROR), (errno.EROFS, IO_ERROR)],
)
@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_a_disk_that_refuses_to_write(
    tmp_path: Path, turns: Turns, disk: FailingDisk, number: int, reason: str, after: int
) -> None:
    """EDQUOT is an I/O error here, for the disk of the test has no quota that a trial write could meet."""
    store = SqliteStore(tmp_path, turns.schedule)
    keep(store, turns, FIRST)
    disk.fail(number, after)
    (error,) = write(store, turns, SECOND)
    assert disk.failed
    assert isinstance(error, StoreError)
    assert error.reason == reason
    assert str(tmp_path / "hub.db") in str(error)
    assert state(store, ["b"]) == model(FIRST).state()
    disk.heal()
    keep(store, turns, SECOND)
    keep(store, turns, THIRD)
    store.close()
    store = SqliteStore(tmp_path, turns.schedule)
    assert state(store, ["b"]) == model(FIRST, SECOND, THIRD).state()
    store.close()


def test_while_the_disk_refuses_every_batch_fails_in_order(tmp_path: Path, turns: Turns, disk: FailingDisk) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    keep(store, turns, FIRST)
    disk.fail(errno.ENOSPC)
    outcomes = Outcomes()
    for number in range(20):
        store.submit(batch(appends=[("l", 10 + number, b"x")]), outcomes.of(number))
    turns.until(lambda: len(outcomes.order) == 20)
    assert outcomes.order == list(range(20))
    assert {error.reason for error in outcomes.errors.values() if error is not None} == {DISK_FULL}
    assert None not in outcomes.errors.values()
    assert state(store, ["b"]) == model(FIRST).state()
    disk.heal()
    keep(store, turns, SECOND)
    assert state(store, ["b"]) == model(FIRST, SECOND).state()
    store.close()


def test_a_disk_that_fills_up_during_the_checkpoint_loses_nothing(
    tmp_path: Path, turns: Turns, disk: FailingDisk
) -> None:
    store = SqliteStore(tmp_path, turns.schedule, factory=Watched)
    keep(store, turns, FIRST)
    keep(store, turns, batch(appends=[("big", number, b"x" * 1000) for number in range(500)]))
    disk.fail(errno.ENOSPC)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        Watched.newest.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    disk.heal()
    keep(store, turns, batch(drops=["big"]))
    store.close()
    store = SqliteStore(tmp_path, turns.schedule)
    assert state(store, ["b"]) == model(FIRST).state()
    store.close()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_FULL, DISK_FULL),
        (sqlite3.SQLITE_IOERR | (1 << 8), IO_ERROR),
        (sqlite3.SQLITE_READONLY | (4 << 8), READ_ONLY),
        (sqlite3.SQLITE_PERM, READ_ONLY),
        (sqlite3.SQLITE_CANTOPEN, IO_ERROR),
        (sqlite3.SQLITE_CORRUPT | (1 << 8), DAMAGED),
        (sqlite3.SQLITE_NOTADB, DAMAGED),
        (sqlite3.SQLITE_BUSY | (2 << 8), IN_USE),
        (sqlite3.SQLITE_LOCKED, IN_USE),
        (sqlite3.SQLITE_CONSTRAINT | (6 << 8), CONFLICT),
        (sqlite3.SQLITE_NOMEM, FAILED),
    ],
)
def test_each_code_has_its_reason(tmp_path: Path, code: int, reason: str) -> None:
    error = translate(sqlite_fault(code, "SQLITE_NAME"), tmp_path / "hub.db")
    assert error.reason == reason
    assert str(error).startswith(f"{tmp_path / 'hub.db'}: ")
    assert "SQLITE_NAME" in str(error)


@pytest.mark.parametrize(
    ("number", "reason", "sentence"),
    [
        (errno.EDQUOT, DISK_FULL, "quota"),
        (errno.EFBIG, DISK_FULL, "limit on the size"),
        (errno.ENOSPC, DISK_FULL, "no space"),
        (errno.EIO, IO_ERROR, "refused"),
    ],
)
def test_behind_an_io_error_a_trial_write_finds_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str, sentence: str
) -> None:
    """SQLite knows ENOSPC alone."""
    (tmp_path / "hub.db").write_bytes(b"x" * 4096)

    def refuse(descriptor: int, octets: bytes, offset: int) -> int:
        assert offset == 4096
        raise OSError(number, "refused")

    monkeypatch.setattr("os.pwrite", refuse)
    error = translate(EIO_WRITE, tmp_path / "hub.db")
    assert (error.reason, sentence in str(error)) == (reason, True)
    assert [path.name for path in tmp_path.iterdir()] == ["hub.db"]


def test_a_file_that_may_not_be_written(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule, factory=Watched)
    keep(store, turns, FIRST)
    Watched.newest.execute("PRAGMA query_only = ON")
    (error,) = write(store, turns, SECOND)
    assert isinstance(error, StoreError)
    assert error.reason == READ_ONLY
    Watched.newest.execute("PRAGMA query_only = OFF")
    keep(store, turns, SECOND)
    assert state(store, ["b"]) == model(FIRST, SECOND).state()
    store.close()


def test_a_file_that_somebody_else_holds_locked(tmp_path: Path, turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridgehead.store.database._BUSY_SECONDS", 0.0)
    store = SqliteStore(tmp_path, turns.schedule)
    keep(store, turns, FIRST)
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    errors = write(store, turns, SECOND, THIRD)
    assert [error.reason for error in errors if error is not None] == [IN_USE, IN_USE]
    assert state(store, ["b"]) == model(FIRST).state()
    other.execute("ROLLBACK")
    other.close()
    keep(store, turns, SECOND, THIRD)
    assert state(store, ["b"]) == model(FIRST, SECOND, THIRD).state()
    store.close()
