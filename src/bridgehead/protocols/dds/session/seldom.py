"""Events that a peer could repeat without end: told once, then counted for a while."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.events import EventSink
from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER

INTERVAL: Final = 10.0  # seconds
_MOST: Final = 256  # keys that are told apart


class _Told:
    def __init__(self, name: str, until: float) -> None:
        self.name: Final = name
        self.until = until
        self.more = 0
        self.fields: dict[str, object] = {}


class Seldom:
    """The first event of a name and key is told at once. Those of the next ten seconds are told together at their end,
    with the fields of the last and `times`, how many they were."""

    def __init__(self, event: EventSink, clock: Clock) -> None:
        self._event: Final = event
        self._clock: Final = clock
        self._told: dict[tuple[str, str], _Told] = {}

    def tell(self, name: str, key: str, fields: dict[str, object]) -> None:
        """`key` says what is one and the same thing: a device, a writer."""
        now = self._clock.now
        held = self._told.get((name, key))
        if held is None and len(self._told) >= _MOST:
            key = ""  # too many to tell them apart
            held = self._told.get((name, key))
        if held is None:
            self._told[(name, key)] = _Told(name, now + INTERVAL)
            self._event(name, fields)
            return
        if held.until <= now:
            self._finish(held)
            held.until = now + INTERVAL
            self._event(name, fields)
            return
        held.more += 1
        held.fields = fields

    def _finish(self, held: _Told) -> bool:
        """Tell what was counted. Whether there was any."""
        if not held.more:
            return False
        self._event(held.name, {**held.fields, "times": held.more})
        held.more = 0
        return True

    def next_timeout(self) -> float:
        first = NEVER
        for held in self._told.values():
            first = min(first, held.until)
        return first

    def handle_timeout(self) -> None:
        now = self._clock.now
        for key, held in list(self._told.items()):
            if held.until <= now:
                if self._finish(held):
                    held.until = now + INTERVAL
                else:
                    del self._told[key]

    def finish(self) -> None:
        """Tell all that was counted, now."""
        for held in self._told.values():
            self._finish(held)
        self._told.clear()
