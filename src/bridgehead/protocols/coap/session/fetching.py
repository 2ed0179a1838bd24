"""A confirmable notification whose rest the client fetches: it has landed when the last block has arrived.

The next one would take its place where the client fetches from, and in the client's memory (RFC 7959 section 2.6), so
it waits: an observer to whom every message matters gets each of them whole. Over datagrams the last block goes out as
a separate, Confirmable response (RFC 7252 section 5.2.2), for only so is known that it has arrived.
"""

from __future__ import annotations

from typing import Final

from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.alarms import Alarms, Timed
from bridgehead.protocols.coap.session.contract import Exchange, Watcher


class Fetching(Watcher):
    """In the place of `watcher`. A client that fetches nothing for `patience` seconds wants no more of it."""

    def __init__(self, watcher: Watcher, number: int, clock: Clock, alarms: Alarms, patience: float) -> None:
        self._watcher: Final = watcher
        self._number: Final = number
        self._clock: Final = clock
        self._alarms: Final = alarms
        self._patience: Final = patience
        self._acknowledged = False
        self.until: float = 0.0
        self.over: bool = False
        self._closing = False  # the last block is under way

    def acknowledged(self, number: int) -> None:
        self._acknowledged = True
        if self.over:
            self._watcher.acknowledged(number)
        else:
            self._wait(self._patience)

    def rejected(self, number: int) -> None:
        self.over = True
        self._watcher.rejected(number)

    def timed_out(self, number: int) -> None:
        self.over = True
        self._watcher.timed_out(number)

    def answer(self, way: Exchange, block: Message, last: bool) -> None:
        """The answer to a request for `block`."""
        if last and not self.over and not way.peer.reliable:
            # Some clients acknowledge the notification only when they have all of it: NSTART would hold back for ever
            # what they wait for. Over plain UDP anybody may ask in their name.
            if not self._acknowledged and way.peer.secured:
                way.peer.arrived(self, self._number)
            if way.notify(block, True, _LastBlock(self), 0):
                self._closing = True
                way.silence()
                return
            last = False  # no room: who does not get it asks again, if it asks
        way.respond(block)
        if last:
            self.finish()
        else:
            self.until = self._clock.now + self._patience

    def lost(self) -> None:
        """The last block did not arrive."""
        if not self.over:
            self.timed_out(self._number)

    def finish(self) -> None:
        """Nothing more of it is fetched. The watcher is told later, as it may send the next one at once."""
        if not self.over:
            self.over = True
            if self._acknowledged:
                self._alarms.at(self._clock.now, _Landed(self))

    def _wait(self, seconds: float) -> None:
        self.until = self._clock.now + seconds
        self._alarms.at(self.until, _Patience(self))

    def look(self, now: float) -> None:
        """Is the client still at it?"""
        if self.over:
            return
        if self._closing:
            return
        if now < self.until:
            self._alarms.at(self.until, _Patience(self))
        else:
            self.finish()

    def landed(self) -> None:
        self._watcher.acknowledged(self._number)


class _LastBlock(Watcher):
    """Whether it arrived. A client that rejects it has no use for it any more."""

    def __init__(self, fetching: Fetching) -> None:
        self._fetching: Final = fetching

    def acknowledged(self, number: int) -> None:
        self._fetching.finish()

    def rejected(self, number: int) -> None:
        self._fetching.finish()

    def timed_out(self, number: int) -> None:
        self._fetching.lost()


class _Patience(Timed):
    def __init__(self, fetching: Fetching) -> None:
        super().__init__()
        self._fetching: Final = fetching

    def due(self, now: float) -> None:
        self._fetching.look(now)


class _Landed(Timed):
    def __init__(self, fetching: Fetching) -> None:
        super().__init__()
        self._fetching: Final = fetching

    def due(self, now: float) -> None:
        self._fetching.landed()
