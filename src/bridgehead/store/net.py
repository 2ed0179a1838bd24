"""What a group of batches, applied one after the other, changes in all: what comes and goes inside the group is never
written."""

from __future__ import annotations

from bridgehead.broker.ports import CONFLICT, Batch, StoreError


class Net:
    """The difference that a group makes. Written as: first everything that goes, then everything that comes."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], bytes | None] = {}  # None: the key goes
        self.appends: dict[str, dict[int, bytes]] = {}
        self.removes: dict[str, list[int]] = {}
        self.trims: dict[str, int] = {}
        self.drops: set[str] = set()
        self.octets = 0  # of all records and values that were added
        self._came = 0
        self._left = 0

    def add(self, batch: Batch, octets: int) -> None:
        """Apply `batch` on top, in the order that Batch promises. `octets` is what its records and values hold."""
        self.octets += octets
        if batch.puts:
            self.values.update(batch.puts)
        if batch.deletes:
            self.values.update(dict.fromkeys(batch.deletes))
        appends = self.appends
        for log, number, record in batch.appends:
            try:
                appends[log][number] = record
            except KeyError:
                appends[log] = {number: record}
        self._came += len(batch.appends)
        if batch.removes:
            self._remove(batch.removes)
        for log, upto in batch.trims.items():
            coming = appends.get(log)
            if coming:
                kept = {number: record for number, record in coming.items() if number > upto}
                self._left += len(coming) - len(kept)
                appends[log] = kept
            if upto > self.trims.get(log, -1):
                self.trims[log] = upto
        for log in batch.drops:
            self._left += len(appends.pop(log, ()))
            self.removes.pop(log, None)
            self.trims.pop(log, None)
            self.drops.add(log)

    def _remove(self, entries: list[tuple[str, int]]) -> None:
        appends, removes = self.appends, self.removes
        for log, number in entries:
            coming = appends.get(log)
            if coming is not None and number in coming:
                del coming[number]
                self._left += 1
                continue
            try:
                removes[log].append(number)
            except KeyError:
                removes[log] = [number]

    def check(self) -> None:
        """Raise StoreError (CONFLICT) when a number was appended twice in the group."""
        if sum([len(coming) for coming in self.appends.values()]) + self._left != self._came:
            raise StoreError("a number was appended twice to the same log", CONFLICT)
