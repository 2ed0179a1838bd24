"""A process whose files may not grow (RLIMIT_FSIZE), as on a full disk: exits with 0 when its store behaves.

python -m tests.store.full_disk_child FOLDER
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from bridgehead.broker.ports import DISK_FULL, StoreError
from bridgehead.store.sqlite import SqliteStore
from tests.store.harness import Turns, batch, keep, records, write

HELD = 200


def files_end_at(octets: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def main() -> None:
    folder = Path(sys.argv[1])
    turns = Turns()
    store = SqliteStore(folder, turns.schedule)
    for number in range(HELD):
        keep(store, turns, batch(appends=[("l", number, b"x" * 300)]))
    held = dict.fromkeys(range(HELD), b"x" * 300)

    # No file may grow any more: the write-ahead log, which has not started again from its top yet, is at its end.
    full = (folder / "hub.db-wal").stat().st_size
    assert full > (folder / "hub.db").stat().st_size
    files_end_at(full)
    refused = batch(appends=[("l", HELD + number, b"y" * 500) for number in range(full // 400)])
    small = batch(appends=[("m", 1, b"small")])
    error, nothing = write(store, turns, refused, small)
    assert isinstance(error, StoreError), "the large batch cannot be written"
    assert error.reason == DISK_FULL, error
    assert "limit on the size" in str(error), error
    assert nothing is None, "the small one waited with it, and fits"
    assert records(store) == {"l": held, "m": {1: b"small"}}

    # What goes needs no new space.
    keep(store, turns, *[batch(removes=[("l", number)]) for number in range(0, HELD, 2)])
    assert records(store)["l"] == {number: record for number, record in held.items() if number % 2}

    # Room again: the same store goes on.
    files_end_at(resource.RLIM_INFINITY)
    keep(store, turns, refused)
    assert len(records(store)["l"]) == HELD // 2 + len(refused.appends)
    store.close()
    store = SqliteStore(folder, turns.schedule)
    assert len(records(store)["l"]) == HELD // 2 + len(refused.appends)
    store.close()


if __name__ == "__main__":
    main()
