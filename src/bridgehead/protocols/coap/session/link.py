"""What a message layer writes to: one peer's way out, and the datagrams of one turn of the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Link:
    """The way to one remote endpoint: plain, or through a DTLS association."""

    def send(self, data: bytes) -> None:
        """One datagram. It may be lost; nothing is raised."""
        raise NotImplementedError

    def full(self) -> bool:
        """So much waits to be sent that what may be dropped should be."""
        return False

    def close(self, because: str) -> None:
        """End what is below: a DTLS association. The peer is gone already; `lost` is not called again."""


class DatagramOutbox:
    """Datagrams to be sent until the loop's turn ends. `schedule` is called when the first of a turn comes in: the rim
    then calls `take` before it waits for events again. `backlog`: datagrams that the rim took and the kernel has not
    yet; the rim keeps it up to date. `limit`: so many datagrams may wait before `full` says so."""

    def __init__(self, schedule: Callable[[], None], limit: int = 16_384) -> None:
        self._schedule: Final = schedule
        self._limit: Final = limit
        self._waiting: list[tuple[bytes, bytes]] = []
        self.backlog = 0

    def write(self, path: bytes, data: bytes) -> None:
        waiting = self._waiting
        if not waiting:
            self._schedule()
        waiting.append((path, data))

    def full(self) -> bool:
        return len(self._waiting) + self.backlog >= self._limit

    def take(self) -> list[tuple[bytes, bytes]]:
        """What is to be sent now, in order, as (path, data)."""
        waiting = self._waiting
        self._waiting = []
        return waiting


class PlainLink(Link):
    """UDP as it is (NoSec)."""

    def __init__(self, path: bytes, outbox: DatagramOutbox) -> None:
        self.path: Final = path
        self._outbox: Final = outbox

    def send(self, data: bytes) -> None:
        self._outbox.write(self.path, data)

    def full(self) -> bool:
        return self._outbox.full()


class StreamTurn:
    """The stream outboxes that have something to send in this turn of the loop. `schedule` as in DatagramOutbox."""

    def __init__(self, schedule: Callable[[], None]) -> None:
        self._schedule: Final = schedule
        self._outboxes: list[StreamOutbox] = []

    def add(self, outbox: StreamOutbox) -> None:
        if not self._outboxes:
            self._schedule()
        self._outboxes.append(outbox)

    def take(self) -> list[StreamOutbox]:
        outboxes = self._outboxes
        self._outboxes = []
        return outboxes


class StreamOutbox:
    """What one stream has to send. `backlog`: octets that the rim took and the kernel has not yet; the rim keeps it up
    to date. `owner` is the rim's own object for the connection. `closing`: close the stream once all is sent."""

    def __init__(self, turn: StreamTurn, limit: int) -> None:
        self._turn: Final = turn
        self._limit: Final = limit
        self.parts: list[bytes] = []
        self.octets = 0
        self.backlog = 0
        self.owner: object | None = None
        self.closing = False
        self._listed = False

    def write(self, data: bytes) -> None:
        """One message. On a WebSocket each is a frame of its own: see `take_parts`."""
        self.parts.append(data)
        self.octets += len(data)
        self.touch()

    def touch(self) -> None:
        """Let the rim look at the connection at the end of the turn."""
        if not self._listed:
            self._listed = True
            self._turn.add(self)

    def full(self) -> bool:
        return self.octets + self.backlog >= self._limit

    def take(self) -> bytes:
        """What is to be sent now, b"" for nothing."""
        parts = self.take_parts()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def take_parts(self) -> list[bytes]:
        """As `take`, message by message."""
        parts = self.parts
        self.parts = []
        self.octets = 0
        self._listed = False
        return parts
