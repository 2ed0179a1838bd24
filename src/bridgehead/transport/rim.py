"""The rim of a protocol over streams: joins streams and pure machines in one event loop.

A machine takes octets, and says by its attributes what it cannot do alone (docs/adr/0002). What is the same for every
protocol stands here: one write per connection and turn, deadlines, room in the outbox, the end. Who a client is, and
what else a machine asks for, is for the protocol's own server to know.
"""

from __future__ import annotations

import asyncio
import heapq
from abc import abstractmethod
from time import monotonic
from typing import Any, Final, Generic, Protocol, TypeVar

from bridgehead.broker.counters import Counters
from bridgehead.core.clock import Clock
from bridgehead.core.errors import UNAVAILABLE
from bridgehead.core.message import NEVER
from bridgehead.transport.stream import Stream
from bridgehead.wire.outbox import Outbox, Turn

_TICK: Final = 0.25  # seconds between two looks at the deadlines
_SPARE: Final = 1000  # deadlines of the past that may be held beside those of the present


class Machine(Protocol):
    """A connection as its protocol sees it. `attention`: it needs its link to look at it; `closed`: it says nothing
    more than what stands in its outbox."""

    attention: bool

    @property
    def outbox(self) -> Outbox: ...

    @property
    def closed(self) -> bool: ...

    def receive(self, data: bytes) -> None:
        """Octets as they came. Whatever they are, nothing is raised."""

    def next_timeout(self) -> float:
        """Seconds since the epoch, NEVER for none."""

    def handle_timeout(self) -> None: ...

    def has_waiting(self) -> bool:
        """Whether messages wait for room in the outbox."""

    def drained(self) -> None:
        """There is room in the outbox again."""

    def dismiss(self, meaning: str, because: str) -> None:
        """The hub ends it, for a meaning of core.errors: tell the peer."""

    def lost(self, because: str) -> None:
        """Its stream has ended."""


M = TypeVar("M", bound=Machine)


class Link(Generic[M]):
    """One client: its stream, and the machine that has its turn. `task` finds out who it is."""

    __slots__ = ("deadline", "machine", "paused", "rim", "stream", "task")

    def __init__(self, rim: Rim[Any], stream: Stream, machine: M) -> None:
        self.rim = rim
        self.stream = stream
        self.machine = machine
        self.deadline = NEVER
        self.paused = False
        self.task: asyncio.Task[None] | None = None

    @abstractmethod
    def look(self) -> None:
        """The machine needs more than reading on."""

    def over(self) -> None:
        """The link has ended: nobody waits any more for what was begun for it."""

    def pause(self) -> None:
        if not self.paused:
            self.paused = True
            self.stream.pause()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self.stream.resume()

    def on_end(self, because: str) -> None:
        rim = self.rim
        rim.clock.now = rim.time()
        self.machine.lost(because)
        rim.forget(self)

    def on_drain(self) -> None:
        rim = self.rim
        rim.clock.now = rim.time()
        self.machine.outbox.backlog = self.stream.pending
        self.machine.drained()
        if self.paused:
            self.look()


L = TypeVar("L", bound=Link[Any])


class Rim(Generic[L]):
    """Serves one protocol on whatever streams it is given. `offset` is what the epoch's seconds are ahead of the
    monotonic clock's."""

    def __init__(self, clock: Clock, counters: Counters, offset: float) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self.clock: Final = clock
        self._counters: Final = counters
        self.offset: Final = offset
        self._turn: Final = Turn(self._schedule_flush)
        self._links: set[L] = set()
        self._deadlines: list[tuple[float, int, L]] = []
        self._serial = 0
        self._emptied: asyncio.Event | None = None  # there while the server stops
        self._tick: asyncio.TimerHandle | None = self._loop.call_later(_TICK, self._on_tick)

    def time(self) -> float:
        """Seconds since the epoch; never goes back within a run."""
        return monotonic() + self.offset

    def __len__(self) -> int:
        return len(self._links)

    def begin(self, link: L) -> None:
        """Serve it from now on."""
        link.machine.outbox.owner = link
        self._links.add(link)
        self.watch(link)
        # Straight into the machine: what it cannot do alone it says by `attention`, and the turn's flush sees it. The
        # clock is as exact as the ticks that set it.
        link.stream.start(link.machine.receive, link.on_end, link.on_drain)

    def forget(self, link: L) -> None:
        self._links.discard(link)
        if link.task is not None:
            link.task.cancel()
        link.over()
        if self._emptied is not None and not self._links:
            self._emptied.set()

    # Time. ------------------------------------------------------------------------------------------

    def watch(self, link: L) -> None:
        """Look at the link again when its machine's next deadline has come, or sooner: one that has moved on is found
        when the time comes."""
        deadline = link.machine.next_timeout()
        if deadline < link.deadline:
            link.deadline = deadline
            self._serial += 1
            heapq.heappush(self._deadlines, (deadline, self._serial, link))
            if len(self._deadlines) > 2 * len(self._links) + _SPARE:
                self._drop_deadlines()

    def _drop_deadlines(self) -> None:
        """Clients that come and go leave theirs behind, which may lie hours ahead and hold all that the link held."""
        self._deadlines[:] = [
            entry for entry in self._deadlines if entry[2].deadline == entry[0] and entry[2] in self._links
        ]
        heapq.heapify(self._deadlines)

    def _on_tick(self) -> None:
        self._tick = self._loop.call_later(_TICK, self._on_tick)
        self.clock.now = now = self.time()
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            deadline, _, link = heapq.heappop(deadlines)
            if link.deadline != deadline or link not in self._links:
                continue
            link.deadline = NEVER
            link.machine.handle_timeout()
            if link.paused:
                link.look()
            self.watch(link)

    # Sending. ---------------------------------------------------------------------------------------

    def _schedule_flush(self) -> None:
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """One write per connection and turn."""
        counters = self._counters
        for outbox in self._turn.take():
            link = outbox.owner
            assert isinstance(link, Link)
            data = outbox.take()
            stream = link.stream
            if data:
                counters.octets_sent += len(data)
                counters.packets_sent += outbox.packets
                stream.send(data)
                outbox.backlog = stream.pending
            machine = link.machine
            if machine.attention:
                if machine.closed:
                    stream.close()  # only here: what it had to say is sent
                else:
                    link.look()
            if not outbox.backlog and link.machine.has_waiting():
                # The outbox was full within the turn, and the kernel took it all: no drain will be told.
                link.machine.drained()

    async def stop(self, seconds: float) -> None:
        """Tell every client that the hub stops, and wait at most so long until it is told."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self.clock.now = self.time()
        for link in list(self._links):
            if link.task is not None:
                link.task.cancel()
                link.task = None
            link.machine.dismiss(UNAVAILABLE, "the hub is stopping")
            if not link.machine.closed:
                link.machine.lost("the hub is stopping")
        if self._links:
            self._emptied = asyncio.Event()
            try:
                await asyncio.wait_for(self._emptied.wait(), seconds)
            except TimeoutError:
                for link in list(self._links):
                    link.stream.abort()
