"""Bounds how many lines an event may fill, so that hostile peers cannot fill the disk. Time is an argument."""

from __future__ import annotations

from typing import Final

_SOURCES: Final = 256  # per event and window; further sources share the event's quota only
_EVENTS: Final = 1024


class _Window:
    def __init__(self, until: float) -> None:
        self.until: Final = until
        self.lines = 0
        self.suppressed = 0
        self.by_source: dict[str, int] = {}


class Throttle:
    """Counts lines per event in windows of `length` seconds.

    One source (an address, an identity) may use a quarter of an event's quota, so that one flood does not hide
    what others do.
    """

    def __init__(self, length: float) -> None:
        self._length: Final = length
        self._windows: dict[str, _Window] = {}

    def admit(self, event: str, source: str, quota: int, now: float) -> bool:
        """True when the line may be written; else it is counted. `due` must be asked first in each turn."""
        window = self._windows.get(event)
        if window is None:
            if len(self._windows) >= _EVENTS:
                return False
            window = self._windows[event] = _Window(now + self._length)
        used = window.by_source.get(source, 0)
        if window.lines >= quota or (source and used >= max(1, quota // 4)):
            window.suppressed += 1
            return False
        window.lines += 1
        if source and (used or len(window.by_source) < _SOURCES):
            window.by_source[source] = used + 1
        return True

    def due(self, now: float) -> list[tuple[str, int]]:
        """(event, how many lines were left out) for every window that is over by `now`; the windows are closed."""
        over = [(event, window) for event, window in self._windows.items() if window.until <= now]
        for event, _ in over:
            del self._windows[event]
        return [(event, window.suppressed) for event, window in over if window.suppressed]
