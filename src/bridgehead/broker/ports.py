"""What the broker needs of the rooms above it, as narrow Protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol


class StoreError(Exception):
    """The store could not make a batch durable (disk full, I/O error). Nothing of the batch was kept."""


class Batch:
    """Changes that become durable together or not at all.

    A store applies them in this order: `puts`, `deletes`, `appends`, `removes`, `trims`, `drops`.
    Log names are never used again after a drop, so the order between the kinds does not matter to the broker.
    Sequence numbers are the broker's (it is a log's only writer); they grow, with gaps allowed.
    """

    def __init__(self) -> None:
        self.puts: dict[tuple[str, str], bytes] = {}
        self.deletes: set[tuple[str, str]] = set()
        self.appends: list[tuple[str, int, bytes]] = []
        self.removes: list[tuple[str, int]] = []
        self.trims: dict[str, int] = {}
        self.drops: set[str] = set()

    def is_empty(self) -> bool:
        return not (self.puts or self.deletes or self.appends or self.removes or self.trims or self.drops)


class Store(Protocol):
    """The narrow store port. One implementation serves one hub; all calls are made on the hub's thread.

    A bucket is a map from text keys to octets. A log is a list of records ordered by sequence number.
    """

    def submit(self, batch: Batch, done: Callable[[StoreError | None], None]) -> None:
        """Make `batch` durable. `done` is called later on the hub's thread, in the order of submission:
        with None after the commit reached the disk, or with the error when nothing of it was kept."""

    def scan(self, bucket: str) -> Iterable[tuple[str, bytes]]:
        """All (key, value) of a bucket, in key order."""

    def get(self, bucket: str, key: str) -> bytes | None: ...

    def logs(self) -> Iterable[str]:
        """The names of all logs that hold a record."""

    def read(self, log: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """At most `limit` (sequence number, record) with a number above `after`, ascending."""

    def close(self) -> None:
        """Wait for what was submitted, then release everything."""
