"""A full disk: the reason is told, what holds is kept, deletions get through, and with room again the store goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bridgehead.broker.ports import DISK_FULL, StoreError
from bridgehead.store.sqlite import SqliteStore
from tests.store.faulty import Watched
from tests.store.harness import PATIENCE, Turns, batch, keep, records, write

ROOT = Path(__file__).parents[2]


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """In a process of its own: the limit holds for all of its files."""
    command = [sys.executable, "-m", "tests.store.full_disk_child", str(tmp_path)]
    child = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=PATIENCE
    )
    assert child.returncode == 0, child.stdout


def test_a_database_that_may_have_no_more_pages(tmp_path: Path) -> None:
    turns = Turns()
    store = SqliteStore(tmp_path, turns.schedule, factory=Watched)
    keep(store, turns, batch(appends=[("l", number, b"x" * 1000) for number in range(100)]))
    (pages,) = Watched.newest.execute("PRAGMA page_count").fetchone()
    Watched.newest.execute(f"PRAGMA max_page_count = {pages + 4}")
    before = records(store)
    large = batch(appends=[("l", 1000 + number, b"y" * 1000) for number in range(100)], puts={("b", "k"): b""})
    first, error, last = write(
        store, turns, batch(appends=[("l", 100, b"1")]), large, batch(appends=[("l", 101, b"2")])
    )
    assert (first, last) == (None, None)
    assert isinstance(error, StoreError)
    assert error.reason == DISK_FULL
    assert "go" in str(error)
    before["l"] |= {100: b"1", 101: b"2"}
    assert records(store) == before
    assert store.get("b", "k") is None

    # Pages that deletions free serve again.
    keep(store, turns, batch(trims={"l": 101}))
    keep(store, turns, large)
    assert len(store.read("l", 0, 200)) == 100

    Watched.newest.execute(f"PRAGMA max_page_count = {pages * 10}")
    keep(store, turns, batch(appends=[("l", 2000 + number, b"z" * 1000) for number in range(100)]))
    store.close()
    store = SqliteStore(tmp_path, turns.schedule)
    assert len(store.read("l", 0, 300)) == 200
    store.close()
