"""What all streams of one event loop share: settings, and deadlines that cost one timer for all connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

Item = TypeVar("Item")

# How many expired items one turn of the loop deals with: ending 10,000 connections at once would hold up the rest.
_PER_TURN: Final = 256
# The sweep is this coarse (seconds), so that a thousand deadlines within one instant cost one wake-up.
_COARSE: Final = 0.25


class Deadlines(Generic[Item]):
    """Items that must be discarded within `seconds`, else `expired(item)` is called, up to 0.25 s late.

    All have the same length, so the order of insertion is the order of expiry: adding and discarding cost one
    dictionary operation, and one timer serves all.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, expired: Callable[[Item], None]) -> None:
        self.seconds: Final = seconds
        self._loop = loop
        self._expired = expired
        self._due: dict[Item, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, item: Item) -> bool:
        return item in self._due

    def add(self, item: Item) -> None:
        """Begin `item`'s time; an item that is there already keeps its deadline."""
        self._due.setdefault(item, self._loop.time() + self.seconds)
        if self._timer is None:
            self._timer = self._loop.call_later(self.seconds, self._sweep)

    def spent(self, item: Item) -> float:
        """Seconds of `item`'s time that are over."""
        return self._loop.time() + self.seconds - self._due[item]

    def discard(self, item: Item) -> None:
        self._due.pop(item, None)

    def items(self) -> list[Item]:
        return list(self._due)

    def _sweep(self) -> None:
        self._timer = None
        now = self._loop.time()
        late: list[Item] = []
        next_due = now
        for item, next_due in self._due.items():
            if next_due > now or len(late) == _PER_TURN:
                break
            late.append(item)
        for item in late:
            del self._due[item]
        if self._due:
            pause = max(next_due - now, _COARSE) if next_due > now else 0.0
            self._timer = self._loop.call_later(pause, self._sweep)
        for item in late:
            self._expired(item)


class Closing(Protocol):
    """What waits for its peer while it closes in order."""

    def linger_expired(self) -> None: ...


class Shared:
    """The event loop (uvloop's or asyncio's selector loop), and the settings that its streams have in common.

    `read_size`: octets asked of the kernel at once. `max_reads`: full reads of one connection per wake-up, and
    `max_records`: records of one TLS connection, after which the others have their turn. `linger_seconds`: how long
    close() waits for the peer to take what is pending and to end its side. `linger_octets`: what is read and thrown
    away meanwhile.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        read_size: int = 65536,
        max_reads: int = 4,
        max_records: int = 32,
        linger_seconds: float = 5.0,
        linger_octets: int = 1024 * 1024,
    ) -> None:
        self.loop: Final = loop or asyncio.get_running_loop()
        # One size, not an adaptive one: recv(65536) costs what recv(4096) costs (the kernel fills what is there, the
        # allocator gives the rest back in place), nothing stays allocated, and above 128 KiB malloc turns to mmap,
        # which costs ten times as much per read.
        self.read_size: Final = read_size
        self.max_reads: Final = max_reads
        self.max_records: Final = max_records
        # RFC 8446 5.1: a record carries at most 2^14 octets. A TLS read of this many may not have been all there is.
        self.full_record: Final = min(read_size, 16384)
        self.linger_octets: Final = linger_octets
        self.closing: Final[Deadlines[Closing]] = Deadlines(self.loop, linger_seconds, _linger_expired)


def _linger_expired(item: Closing) -> None:
    item.linger_expired()
