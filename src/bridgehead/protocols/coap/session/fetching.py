"""A confirmable notification whose rest the client fetches: it has landed when the last block was fetched.

The next one would take its place where the client fetches from (RFC 7959 section 2.6), so it waits: an observer to whom
every message matters gets each of them whole.
"""

from __future__ import annotations

from typing import Final

from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.session.alarms import Alarms
from bridgehead.protocols.coap.session.contract import Watcher
from bridgehead.protocols.coap.session.layer import Timed


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

    def fetched(self, last: bool) -> None:
        """A block went out, or was asked for."""
        if last:
            self.finish()
        else:
            self.until = self._clock.now + self._patience

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
        if now < self.until:
            self._alarms.at(self.until, _Patience(self))
        else:
            self.finish()

    def landed(self) -> None:
        self._watcher.acknowledged(self._number)


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
