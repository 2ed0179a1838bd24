"""What a connection has to send, collected until the turn of the loop ends: one write per turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


class Turn:
    """The outboxes of one server that have something to send. `schedule` is called when the first of a turn
    comes in: the rim then calls `take` before it waits for events again."""

    def __init__(self, schedule: Callable[[], None]) -> None:
        self._schedule: Final = schedule
        self._outboxes: list[Outbox] = []

    def add(self, outbox: Outbox) -> None:
        if not self._outboxes:
            self._schedule()
        self._outboxes.append(outbox)

    def take(self) -> list[Outbox]:
        outboxes = self._outboxes
        self._outboxes = []
        return outboxes


class Outbox:
    """`backlog` is what the rim took and the kernel has not yet: the rim keeps it up to date. `owner` is the
    rim's own object for the connection."""

    def __init__(self, turn: Turn, limit: int) -> None:
        self._turn: Final = turn
        self.limit: Final = limit
        self.parts: list[bytes] = []
        self.octets = 0
        self.backlog = 0
        self.owner: object | None = None
        self._corked = False
        self._threefold = 0  # packets among `parts` that are three parts
        self.packets = 0  # how many packets `take` gave last

    def write(self, data: bytes) -> None:
        if not self.parts and not self._corked:
            self._turn.add(self)
        self.parts.append(data)
        self.octets += len(data)

    def write_parts(self, head: bytes, own: bytes, tail: bytes) -> None:
        """One packet in the parts that receivers share, and between them the one that is this receiver's own."""
        if not self.parts and not self._corked:
            self._turn.add(self)
        parts = self.parts
        parts.append(head)
        parts.append(own)
        parts.append(tail)
        self.octets += len(head) + len(own) + len(tail)
        self._threefold += 1

    def is_full(self) -> bool:
        return self.octets + self.backlog > self.limit

    def cork(self) -> None:
        """Keep what is written: something else must go out first."""
        self._corked = True

    def uncork(self, first: bytes) -> None:
        """Send `first`, then what was kept."""
        self._corked = False
        self.parts.insert(0, first)
        self.octets += len(first)
        self._turn.add(self)

    def touch(self) -> None:
        """Let the rim look at the connection at the end of the turn, also when there is nothing to send."""
        if not self.parts or self._corked:
            self._turn.add(self)

    def discard(self) -> None:
        """Forget what was not taken yet."""
        self.parts = []
        self.octets = 0
        self._threefold = 0

    def take(self) -> bytes:
        """What is to be sent now, b"" for nothing."""
        if self._corked:
            self.packets = 0
            return b""
        parts = self.parts
        self.packets = len(parts) - 2 * self._threefold
        self._threefold = 0
        if len(parts) == 1:
            data = parts[0]
        else:
            data = b"".join(parts)
        self.parts = []
        self.octets = 0
        return data
