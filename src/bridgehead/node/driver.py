"""Drives the synchronous broker from the event loop: the time, its deadlines, and its commits."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.clock import Clock

_TICK: Final = 0.1  # seconds between two looks at the broker's deadlines


class Driver:
    """`clock` is the hub's one clock, `offset` what the epoch's seconds are ahead of the monotonic clock's.

    Give `schedule_commit` to the Broker, then call `start`.
    """

    def __init__(self) -> None:
        self._loop: Final = asyncio.get_running_loop()
        # The wall clock at the start, moved on by the monotonic one: it never goes back within a run.
        self.offset: Final = time.time() - time.monotonic()
        self.clock: Final = Clock(self.time())
        self._broker: Broker | None = None
        self._tick: asyncio.TimerHandle | None = None

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.monotonic() + self.offset

    def schedule_commit(self) -> None:
        self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        if self._broker is not None:
            self._broker.journal.flush()

    def start(self, broker: Broker) -> None:
        self._broker = broker
        broker.journal.flush()
        self._on_tick()

    def _on_tick(self) -> None:
        self._tick = self._loop.call_later(_TICK, self._on_tick)
        broker = self._broker
        assert broker is not None
        self.clock.now = now = self.time()
        if broker.next_timeout() <= now:
            broker.handle_timeout()

    async def stop(self) -> None:
        """Stop the clockwork once everything written is durable, or cannot be."""
        if self._tick is not None:
            self._tick.cancel()
        broker = self._broker
        if broker is None:
            return
        broker.journal.flush()
        # The journal is synchronous and calls nobody at its end; this is once in a run.
        while not broker.journal.idle and not broker.journal.failing:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
