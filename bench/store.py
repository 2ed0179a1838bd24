"""Measures the store: rows appended and taken away again through `submit`, beside a raw SQLite insert, in one run.

PYTHONPATH=src python bench/store.py [--rows N] [--folder DIR] [--busy] [--json]

Raw: a table (id INTEGER PRIMARY KEY, record BLOB), executemany of 1,000 rows and a commit, WAL, synchronous=FULL. The
store does more: each row is appended to one of the logs and taken away a few batches later, by number or by a trim.
Each measurement of the store has its own of raw before it: disks and neighbours change from minute to minute.
Rates are rows appended per second, of the wall clock and of this process's CPU (both threads). `--busy`: the loop's
thread works too, as it does in a hub.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from bridgehead.broker.ports import Batch, StoreError
from bridgehead.store.sqlite import SqliteStore

RECORD = os.urandom(150)
RAW_ROWS = 1000
LAG = 3  # a record goes with the batch this many after its own
SCATTERED, IN_ORDER, TRIM = "scattered", "in order", "trim"


class Rate:
    """Rows per second, of the wall clock and of the CPU."""

    def __init__(self, rows: int, wall: float, cpu: float) -> None:
        self.wall = rows / wall
        self.cpu = rows / cpu


def measure(rows: int, work: Callable[[], None]) -> Rate:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Rate(rows, time.perf_counter() - wall, time.process_time() - cpu)


def raw(folder: Path, rows: int) -> Rate:
    folder.mkdir()
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE raw (id INTEGER PRIMARY KEY, record BLOB)")
    batches = [[(RECORD,)] * RAW_ROWS for _ in range(rows // RAW_ROWS)]

    def work() -> None:
        for batch in batches:
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO raw (record) VALUES (?)", batch)
            connection.execute("COMMIT")

    rate = measure(rows, work)
    connection.close()
    return rate


def batches_of(rows: int, size: int, logs: int, going: str) -> list[Batch]:
    """The records of a batch go to the logs in turn; they leave LAG batches later."""
    batches: list[Batch] = []
    numbers = [0] * logs
    turn = 0
    for start in range(0, rows, size):
        batch = Batch()
        for _ in range(size):
            numbers[turn] += 1
            batch.appends.append((f"l{turn}", numbers[turn], RECORD))
            turn = (turn + 1) % logs
        place = start // size - LAG
        if place >= 0:
            old = batches[place].appends
            if going == TRIM:
                batch.trims = {log: number for log, number, _ in old}
            elif going == IN_ORDER:
                batch.removes = [(log, number) for log, number, _ in old]
            else:
                # Every second record of a log stays for LAG batches more: no two neighbours go together.
                batch.removes = [(log, number) for log, number, _ in old if number % 2]
                if place >= LAG:
                    batch.removes += [
                        (log, number) for log, number, _ in batches[place - LAG].appends if not number % 2
                    ]
        batches.append(batch)
    return batches


class Load:
    """Submits the batches with `window` of them under way, as the hub does between two turns of its loop."""

    def __init__(self, store: SqliteStore, batches: list[Batch], window: int) -> None:
        self.store = store
        self.waiting = deque(batches)
        self.left = len(batches)
        self.window = window
        self.ended = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        for _ in range(min(self.window, self.left)):
            self.store.submit(self.waiting.popleft(), self.done)
        await self.ended

    def done(self, error: StoreError | None) -> None:
        if error is not None:
            raise SystemExit(f"the store refused a batch: {error}")
        self.left -= 1
        if self.waiting:
            self.store.submit(self.waiting.popleft(), self.done)
        elif not self.left:
            self.ended.set_result(None)


async def busy(loop: asyncio.AbstractEventLoop, spent: list[float]) -> None:
    """Work of the loop's thread, in turns of about a millisecond."""
    while True:
        begin = time.thread_time()
        sum([number * number for number in range(15_000)])
        spent[0] += time.thread_time() - begin
        await asyncio.sleep(0)


def through_store(folder: Path, batches: list[Batch], rows: int, window: int, is_busy: bool) -> Rate:
    async def work() -> Rate:
        loop = asyncio.get_running_loop()
        store = SqliteStore(folder, loop.call_soon_threadsafe)
        spent = [0.0]
        other = loop.create_task(busy(loop, spent)) if is_busy else None
        load = Load(store, batches, window)
        wall, cpu = time.perf_counter(), time.process_time()
        await load.run()
        rate = Rate(rows, time.perf_counter() - wall, time.process_time() - cpu - spent[0])
        if other is not None:
            other.cancel()
        store.close()
        return rate

    return asyncio.run(work())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="rows of each measurement")
    parser.add_argument("--folder", type=Path, help="where the files lie: on the disk to be measured")
    parser.add_argument("--busy", action="store_true", help="the loop's thread works too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.json:
        print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}; {len(RECORD)}-octet records, rows/s")
        print(f"{'':52}{'store: wall':>12}{'CPU':>12}{'raw: wall':>12}{'CPU':>12}   store/raw: wall   CPU")
    results = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for place, (size, logs, going, window) in enumerate(CASES):
            base = raw(Path(name, f"raw{place}"), options.rows)
            batches = batches_of(options.rows, size, logs, going)
            rate = through_store(Path(name, f"store{place}"), batches, options.rows, window, options.busy)
            results.append(
                {
                    "logs": logs,
                    "batch": size,
                    "going": going,
                    "under_way": window,
                    "store": {"wall": round(rate.wall), "cpu": round(rate.cpu)},
                    "raw": {"wall": round(base.wall), "cpu": round(base.cpu)},
                }
            )
            if not options.json:
                what = f"{logs} logs, batches of {size}, {going}, {window} under way"
                rates = f"{rate.wall:12,.0f}{rate.cpu:12,.0f}{base.wall:12,.0f}{base.cpu:12,.0f}"
                print(f"{what:52}{rates}{rate.wall / base.wall:18.2f}{rate.cpu / base.cpu:6.2f}", flush=True)
    if options.json:
        print(json.dumps(results, indent=1))


CASES = [
    (1000, 1, TRIM, 1),
    (1000, 10, TRIM, 1),
    (1000, 100, TRIM, 1),
    (1000, 10, IN_ORDER, 1),
    (1000, 100, IN_ORDER, 1),
    (1000, 10, SCATTERED, 1),
    (1000, 100, SCATTERED, 1),
    (100, 10, IN_ORDER, 1),
    (100, 10, IN_ORDER, 10),
    (100, 100, SCATTERED, 10),
]

if __name__ == "__main__":
    main()
