"""What is due at a time: the message layer's own, and the handlers'."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.message import NEVER


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


class Alarms:
    """Things that are due at times that differ from one another."""

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
