"""How often each of many may do something: a token bucket by key. Time is its caller's."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final


class _Level:
    """What is left in one bucket, and when that was so."""

    def __init__(self, left: float, at: float) -> None:
        self.left = left
        self.at = at


class Rates:
    """`rate` a second in the long run, `burst` at once, for each key; a rate of 0 is no limit. Both may be changed at
    any time. At most `entries` keys are remembered, those used last: a forgotten one starts with a full bucket."""

    def __init__(self, rate: float, burst: float, entries: int = 65_536) -> None:
        self.rate = rate
        self.burst = burst
        self._entries: Final = entries
        self._levels: OrderedDict[str, _Level] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str, now: float) -> bool:
        """Whether `key` may once more, at `now` seconds of a clock; then it is counted. A step back passes no time."""
        if self.rate <= 0:
            return True
        level = self._levels.get(key)
        if level is None:
            level = _Level(self.burst, now)
            self._levels[key] = level
            if len(self._levels) > self._entries:
                self._levels.popitem(last=False)
        else:
            self._levels.move_to_end(key)
            if now > level.at:
                level.left = min(self.burst, level.left + (now - level.at) * self.rate)
            level.at = now
        if level.left < 1.0:
            return False
        level.left -= 1.0
        return True

    def wait(self, key: str) -> float:
        """Seconds until `key` may again, as of its last try."""
        level = self._levels.get(key)
        if level is None or self.rate <= 0:
            return 0.0
        return max(0.0, (1.0 - level.left) / self.rate)
