"""Retained messages of an identity whose credentials were taken back: hidden while that is so, or purged."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.events import RETAINED_HIDDEN, RETAINED_PURGED, RETAINED_SHOWN, EventSink
from bridgehead.broker.journal import HIDDEN, Journal
from bridgehead.core.retained import Retained

_AT_A_TIME: Final = 10_000


class Written:
    """By the name of the identity. What is hidden stays so over a restart; a purge that was interrupted leaves what is
    left hidden, and begins anew when it is asked for again."""

    def __init__(self, retained: Retained, journal: Journal, event: EventSink) -> None:
        self._retained: Final = retained
        self._journal: Final = journal
        self._event: Final = event
        self._purging: dict[str, int] = {}  # with how many are gone
        self._topics: list[str] = []

    @property
    def is_over(self) -> bool:
        """No purge is under way."""
        return not self._purging

    def names(self) -> list[str]:
        """Who has written a retained message, or is hidden."""
        return list(dict.fromkeys([*self._retained.written, *sorted(self._retained.hidden)]))

    def is_hidden(self, name: str) -> bool:
        return name in self._retained.hidden

    def restore(self, name: str) -> None:
        """It was hidden when the hub ended."""
        self._retained.hidden.add(name)

    def hide(self, name: str) -> None:
        if name in self._retained.hidden:
            return
        self._retained.hidden.add(name)
        self._journal.put_hidden(name)
        self._event(RETAINED_HIDDEN, {"principal": name, "messages": self._retained.written.get(name, 0)})

    def show(self, name: str) -> None:
        if name not in self._retained.hidden or name in self._purging:
            return
        self._retained.hidden.discard(name)
        self._journal.delete(HIDDEN, name)
        self._event(RETAINED_SHOWN, {"principal": name, "messages": self._retained.written.get(name, 0)})

    def purge(self, name: str) -> None:
        """Nobody sees them from now on; they are deleted in portions."""
        if name in self._purging or name not in self._retained.written:
            return
        if name not in self._retained.hidden:
            self._retained.hidden.add(name)
            self._journal.put_hidden(name)
        self._purging[name] = 0
        self._topics = self._retained.topics()
        self.go_on()

    def go_on(self) -> None:
        portion = self._topics[-_AT_A_TIME:]
        del self._topics[-_AT_A_TIME:]
        for topic in portion:
            message = self._retained.get(topic)
            if message is not None and message.origin.principal in self._purging:
                self._purging[message.origin.principal] += 1
                self._retained.discard(topic)
                self._journal.delete_retained(topic)
        if self._topics:
            return
        for name, count in self._purging.items():
            self._retained.hidden.discard(name)
            self._journal.delete(HIDDEN, name)
            self._event(RETAINED_PURGED, {"principal": name, "messages": count})
        self._purging.clear()
