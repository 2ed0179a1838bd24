"""A network between CoAP clients and a hub in memory, on the hub's clock: it may lose, double, delay and reorder."""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush

from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER

TO_HUB = "to hub"
TO_CLIENT = "to client"
Fate = Callable[[str, bytes], list[float]]  # (direction, datagram) -> the delay of each copy; none: lost


def at_once(direction: str, data: bytes) -> list[float]:
    """A network without faults."""
    return [0.0]


class Weather:
    """A network that loses and doubles by chance, and delays each copy by up to `delay` seconds, so reorders."""

    def __init__(self, seed: int, loss: float = 0.2, double: float = 0.1, delay: float = 0.5) -> None:
        self._chance = random.Random(seed)
        self.loss = loss
        self.double = double
        self.delay = delay
        self.lost = 0

    def __call__(self, direction: str, data: bytes) -> list[float]:
        if self._chance.random() < self.loss:
            self.lost += 1
            return []
        copies = 2 if self._chance.random() < self.double else 1
        return [self._chance.random() * self.delay for _ in range(copies)]


class Network:
    """Datagrams under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._serial = 0
        self._under_way: list[tuple[float, int, Callable[[bytes], None], bytes]] = []
        self.fate: Fate = at_once
        self.octets = {TO_HUB: 0, TO_CLIENT: 0}

    def carry(self, direction: str, data: bytes, arrive: Callable[[bytes], None]) -> None:
        self.octets[direction] += len(data)
        for delay in self.fate(direction, data):
            self._serial += 1
            heappush(self._under_way, (self._clock.now + delay, self._serial, arrive, data))

    def next_timeout(self) -> float:
        return self._under_way[0][0] if self._under_way else NEVER

    def arrive(self) -> bool:
        """Deliver one datagram that is due; False when there is none."""
        if self.next_timeout() > self._clock.now:
            return False
        _, _, arrive, data = heappop(self._under_way)
        arrive(data)
        return True
