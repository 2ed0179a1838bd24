"""What the message layers of all peers share: the first handler, the times, the ceilings, chance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.broker.counters import Counters
from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.codec.encode import body
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.contract import Handler
from bridgehead.protocols.coap.session.settings import CoapSettings


@mypyc_attr(allow_interpreted_subclasses=True)
class Timed:
    """Something that is due at a time. `over`: it is due no more; what stands in a queue is passed by."""

    def __init__(self) -> None:
        self.over: bool = False

    def due(self, now: float) -> None:
        raise NotImplementedError


class Line:
    """Things that are due after one and the same delay, so in the order in which they came."""

    def __init__(self, delay: float) -> None:
        self._delay: Final = delay
        self._waiting: deque[tuple[float, Timed]] = deque()

    def add(self, timed: Timed, now: float) -> None:
        self._waiting.append((now + self._delay, timed))

    def next_timeout(self) -> float:
        waiting = self._waiting
        while waiting:
            when, timed = waiting[0]
            if not timed.over:
                return when
            waiting.popleft()
        return NEVER

    def handle_timeout(self, now: float) -> None:
        waiting = self._waiting
        while waiting:
            when, timed = waiting[0]
            if when > now:
                return
            waiting.popleft()
            if not timed.over:
                timed.due(now)


class MessageLayer:
    """One for a server, whatever transports it serves. `jitter` gives numbers from 0 up to, not including, 1 by chance.

    `handle_timeout(now)` is to be called at `next_timeout()`; both are about the message layers alone: the handlers
    have their own (Handler.next_timeout).
    """

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        settings: CoapSettings,
        jitter: Callable[[], float],
        counters: Counters,
    ) -> None:
        self.handler: Final = handler
        self.clock: Final = clock
        self.settings: Final = settings
        self.jitter: Final = jitter
        self.counters: Final = counters
        self.remembered = 0  # octets of answers that are kept for duplicates, of all peers
        self.group_answers = 0  # that wait for their leisure
        self.acknowledging: Final = Line(settings.separate_after)
        self.purging: Final = Line(settings.exchange_lifetime)
        self._heap: list[tuple[float, int, Timed]] = []
        self._serial = 0
        self._last: Message | None = None
        self._tail = b""

    def at(self, when: float, timed: Timed) -> None:
        """Let it be due then."""
        self._serial += 1
        heappush(self._heap, (when, self._serial, timed))

    def next_timeout(self) -> float:
        heap = self._heap
        while heap and heap[0][2].over:
            heappop(heap)
        when = heap[0][0] if heap else NEVER
        return min(when, self.acknowledging.next_timeout(), self.purging.next_timeout())

    def handle_timeout(self, now: float) -> None:
        self.acknowledging.handle_timeout(now)
        heap = self._heap
        while heap and heap[0][0] <= now:
            timed = heappop(heap)[2]
            if not timed.over:
                timed.due(now)
        self.purging.handle_timeout(now)

    def tail(self, message: Message) -> bytes:
        """Options and payload as octets. A message that goes to many is encoded once: the same object is known again
        as long as no other came between."""
        if message is not self._last:
            self._tail = body(message.options, message.payload)
            self._last = message
        return self._tail
