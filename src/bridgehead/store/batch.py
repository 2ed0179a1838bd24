"""What every store is called with, and asks of a batch before it takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker.ports import Batch, StoreError
from bridgehead.core.errors import LocalMisuse

Done = Callable[[StoreError | None], None]
# Brings a call to the hub's thread, on a later turn of its loop.
Schedule = Callable[[Callable[[], None]], object]

LAST_NUMBER: Final = 2**63 - 1  # SQLite's largest integer


def check(batch: Batch) -> int:
    """The octets of all values and records of `batch`. Raises LocalMisuse where it breaks the rules of Batch."""
    if batch.puts and not batch.deletes.isdisjoint(batch.puts):
        bucket, key = next(where for where in batch.deletes if where in batch.puts)
        raise LocalMisuse(f"a batch both puts and deletes the key {key!r} of bucket {bucket!r}")
    octets = 0
    for log, number, record in batch.appends:
        if not 0 <= number <= LAST_NUMBER:
            raise LocalMisuse(f"the number {number} cannot stand in log {log!r}: from 0 to 2**63 - 1")
        octets += len(record)
    for value in batch.puts.values():
        octets += len(value)
    return octets
