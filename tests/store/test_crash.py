"""kill -9 under load: whatever was done is there again, and nothing half."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridgehead.store.sqlite import SqliteStore
from tests.store.crash_child import BUCKETS, load
from tests.store.harness import Model, State, Turns, batch, keep, state

ROOT = Path(__file__).parents[2]
RANDOM = random.Random(20261122)
MOMENTS = sorted(RANDOM.sample(range(1, 600), 10))


def run_and_kill(folder: Path, after: int, last: int = 1_000_000) -> int:
    """Load a store in a process of its own, kill it when it has told of `after` batches. The last one it told of."""
    command = [sys.executable, "-m", "tests.store.crash_child", str(folder), str(last)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    with child, child.stdout:
        told = [child.stdout.readline() for _ in range(after)]
        child.kill()
        told += child.stdout.readlines()
    numbers = [int(line) for line in told if line.endswith(b"\n")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= after
    return numbers[-1]


def reopened(folder: Path) -> tuple[int, State]:
    """The number of batches that a store holds, and all it holds."""
    store = SqliteStore(folder, Turns().schedule)
    held = int(store.get("count", "batches") or b"0")
    found = state(store, BUCKETS)
    store.close()
    return held, found


def expected(batches: int) -> State:
    model = Model()
    for number in range(1, batches + 1):
        model.apply(load(number))
    return model.state()


@pytest.mark.parametrize("after", MOMENTS)
def test_after_kill_9_everything_done_is_there_and_nothing_half(tmp_path: Path, after: int) -> None:
    last = run_and_kill(tmp_path, after)
    held, found = reopened(tmp_path)
    assert held >= last
    assert found == expected(held)


def test_a_killed_store_goes_on(tmp_path: Path) -> None:
    run_and_kill(tmp_path, 20)
    turns = Turns()
    store = SqliteStore(tmp_path, turns.schedule)
    held = int(store.get("count", "batches") or b"0")
    keep(store, turns, *[load(number) for number in range(held + 1, held + 30)])
    store.close()
    assert reopened(tmp_path) == (held + 29, expected(held + 29))


def test_a_write_ahead_log_that_breaks_off_anywhere_leaves_whole_batches(tmp_path: Path) -> None:
    """As after a power cut in the middle of a write: the file ends anywhere, or its last octets are others."""
    whole = tmp_path / "whole"
    run_and_kill(whole, 40, last=40)
    log = (whole / "hub.db-wal").read_bytes()
    assert 50_000 < len(log) < 3_000_000, "long enough to cut, and not yet copied into hub.db"
    seen = set()
    for place in [0, 1, 31, 32, 33, *range(4000, len(log), len(log) // 16)]:
        for name, tail in (("cut", b""), ("torn", b"\xa5" * 5000)):
            folder = tmp_path / f"{name}{place}"
            shutil.copytree(whole, folder)
            (folder / "hub.db-shm").unlink()
            (folder / "hub.db-wal").write_bytes(log[:place] + tail)
            held, found = reopened(folder)
            assert found == expected(held)
            seen.add(held)
            shutil.rmtree(folder)
    assert len(seen) > 3


def test_what_was_done_needs_no_orderly_close(tmp_path: Path) -> None:
    """The files as they are on the disk right after `done`, with the store still open."""
    turns = Turns()
    store = SqliteStore(tmp_path / "hub", turns.schedule)
    keep(store, turns, batch(appends=[("l", 1, b"one")], puts={("state", "k"): b"v"}))
    # Not by this process: closing a file that SQLite has open here would take its locks away.
    subprocess.run(["cp", "-r", tmp_path / "hub", tmp_path / "copy"], check=True)
    store.close()
    copy = SqliteStore(tmp_path / "copy", turns.schedule)
    assert state(copy, BUCKETS) == ({("state", "k"): b"v"}, {"l": {1: b"one"}})
    copy.close()
