"""A process that loads a store until it is killed: prints the number of each batch whose `done` was called.

python -m tests.store.crash_child FOLDER LAST (the number of the last batch; then it waits for its end)
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bridgehead.broker.ports import Batch, StoreError
from bridgehead.store.sqlite import SqliteStore
from tests.store.harness import Turns, batch

BUCKETS = ["count", "state"]
WINDOW = 4  # batches under way: so some are written together


def load(number: int) -> Batch:
    """The batch with this number, from 1: every kind of change, and a count by which its last commit is known."""
    first = 3 * number
    return batch(
        puts={("count", "batches"): b"%d" % number, ("state", f"key{number % 5}"): os.fsencode(f"of {number}")},
        deletes=[("state", f"key{(number + 1) % 5}")],
        appends=[(f"l{number % 3}", first + place, b"%d|" % number + b"x" * 150) for place in range(3)],
        removes=[(f"l{(number - 4) % 3}", 3 * (number - 4) + 1)] if number > 4 else [],
        trims={f"l{number % 3}": first - 60},
        drops=["l1"] if number % 50 == 0 else [],
    )


def main() -> None:
    turns = Turns()
    store = SqliteStore(Path(sys.argv[1]), turns.schedule)
    last = int(sys.argv[2])
    done = 0

    def submit(number: int) -> None:
        def finished(error: StoreError | None) -> None:
            nonlocal done
            assert error is None, error
            done = number
            os.write(1, b"%d\n" % number)
            if number + WINDOW <= last:
                submit(number + WINDOW)

        store.submit(load(number), finished)

    for number in range(1, WINDOW + 1):
        submit(number)
    turns.until(lambda: done > last)


if __name__ == "__main__":
    main()
