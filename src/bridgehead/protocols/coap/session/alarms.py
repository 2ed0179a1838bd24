"""What is due at times that differ from one another."""

from __future__ import annotations

from heapq import heappop, heappush

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.session.layer import Timed


class Alarms:
    """The handlers' own, beside those of the message layer."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._serial = 0

    def at(self, when: float, timed: Timed) -> None:
        self._serial += 1
        heappush(self._heap, (when, self._serial, timed))

    def next_timeout(self) -> float:
        heap = self._heap
        while heap and heap[0][2].over:
            heappop(heap)
        return heap[0][0] if heap else NEVER

    def handle_timeout(self, now: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= now:
            timed = heappop(heap)[2]
            if not timed.over:
                timed.due(now)
