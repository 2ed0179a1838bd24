"""What the broker needs of the rooms above it, as narrow Protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

# Why a store failed: StoreError.reason is one of these words.
DISK_FULL: Final = "disk-full"  # no space, or a quota is used up: worth a retry once there is room
IO_ERROR: Final = "io-error"
READ_ONLY: Final = "read-only"
DAMAGED: Final = "damaged"  # the file's content is not what the store wrote
IN_USE: Final = "in-use"  # another process holds the data folder or its file
TOO_NEW: Final = "too-new"  # a later release wrote the file
OVERLOADED: Final = "overloaded"  # more waits to be written than memory may hold
CONFLICT: Final = "conflict"  # an append's number is in its log already
FAILED: Final = "failed"  # anything else; `because` has it


class StoreError(Exception):
    """The store could not do it. Of a batch nothing was kept; the store stays usable, a later batch may succeed.

    `because` is one sentence for people, without secrets; `reason` is one of this module's words.
    """

    def __init__(self, because: str, reason: str = FAILED) -> None:
        super().__init__(because)
        self.because = because
        self.reason = reason


class Batch:
    """Changes that become durable together or not at all.

    A store applies them in this order: `puts`, `deletes`, `appends`, `removes`, `trims`, `drops`.
    `puts` and `deletes` never name the same key: two sets have no last word, so that is LocalMisuse.
    Sequence numbers are the broker's (it is a log's only writer), from 0 to 2**63 - 1; they grow, with gaps
    allowed. Appending a number that the log still holds is a defect; a store that notices fails the batch.
    Whoever submits a batch does not touch it again.
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
        """Make `batch` durable. `done` is called on a later turn of the hub's thread, in the order of submission:
        with None after the commit reached the disk, or with the error when nothing of it was kept.
        Reads see the batch from then on at the latest. LocalMisuse: a batch against the rules, a closed store."""

    def scan(self, bucket: str) -> Iterable[tuple[str, bytes]]:
        """All (key, value) of a bucket, in key order."""

    def get(self, bucket: str, key: str) -> bytes | None:
        """The value, or None where there is none. A read that fails raises StoreError, in every method."""

    def logs(self) -> Iterable[str]:
        """The names of all logs that hold a record, ascending."""

    def read(self, log: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """At most `limit` (sequence number, record) with a number above `after`, ascending."""

    def close(self) -> None:
        """Wait for what was submitted, call every `done` that is still due, then release everything."""
