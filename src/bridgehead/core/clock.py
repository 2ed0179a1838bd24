"""The time, as the rim tells it. Pure rooms read it and never ask the machine."""

from __future__ import annotations


class Clock:
    """`now` is in seconds since the epoch and never goes back within a run. Whoever calls into a pure room
    sets it first; a test sets what it likes."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
