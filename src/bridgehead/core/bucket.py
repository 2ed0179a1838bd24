"""A token bucket: so much a second, and one second's worth at once. Time is its caller's."""

from __future__ import annotations

from typing import Final


class Bucket:
    """`rate` is in units per second. What costs more than the bucket holds passes when the bucket is full, and is paid
    for by those that follow."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate: Final = rate
        self.size: Final[float] = max(rate, 1.0)
        self._left: float = self.size
        self._at = now

    def has(self, cost: float, now: float) -> bool:
        """Whether `cost` may be taken. `now` is in seconds since the epoch; a step back passes no time."""
        if now > self._at:
            self._left = min(self.size, self._left + (now - self._at) * self.rate)
        self._at = now
        return self._left >= min(cost, self.size)

    def take(self, cost: float) -> None:
        self._left -= cost
