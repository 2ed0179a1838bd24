"""Retained messages of an identity whose credentials were taken back: hidden while that is so, or purged."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.events import RETAINED_HIDDEN, RETAINED_PURGED, RETAINED_SHOWN, EventSink
from bridgehead.broker.journal import HIDDEN, Journal
from bridgehead.core.retained import Retained

_AT_A_TIME: Final = 10_000


class _Purge:
    def __init__(self, since: int) -> None:
        self.since: Final = since  # what was set after this revision of the retained messages is another identity's
        self.count = 0


class Written:
    """By the name of the identity. What is hidden stays so over a restart. A purge that a restart interrupts leaves
    hidden what is left, and begins anew when it is asked for again."""

    def __init__(self, retained: Retained, journal: Journal, event: EventSink) -> None:
        self._retained: Final = retained
        self._journal: Final = journal
        self._event: Final = event
        self._purging: dict[str, _Purge] = {}
        self._topics: list[str] = []

    @property
    def is_over(self) -> bool:
        """No purge is under way."""
        return not self._purging

    def names(self) -> list[str]:
        """Who has written a retained message, or is hidden."""
        return list(dict.fromkeys([*self._retained.written, *self._retained.hidden]))

    def hide(self, name: str, created: float) -> None:
        """`created` tells the identity from a later one of the name, in seconds since the epoch; 0: not known."""
        if name in self._retained.hidden:
            return
        self._mark(name, created)
        self._event(RETAINED_HIDDEN, {"principal": name, "messages": self._retained.written.get(name, 0)})

    def show(self, name: str, created: float) -> None:
        known = self._retained.hidden.get(name)
        if known is None or name in self._purging:
            return
        if known != created:
            self.purge(name)  # who wrote them will not come back
            return
        self._unmark(name)
        self._event(RETAINED_SHOWN, {"principal": name, "messages": self._retained.written.get(name, 0)})

    def purge(self, name: str) -> None:
        """Nobody sees them from now on; they are deleted in portions."""
        if name in self._purging:
            return
        if name not in self._retained.written:
            if name in self._retained.hidden:
                self._unmark(name)
            return
        if name not in self._retained.hidden:
            self._mark(name, 0.0)
        self._purging[name] = _Purge(self._retained.revision)
        self._topics = self._retained.topics()
        self.go_on()

    def _mark(self, name: str, created: float) -> None:
        self._retained.hidden[name] = created
        self._journal.put_hidden(name, created)

    def _unmark(self, name: str) -> None:
        del self._retained.hidden[name]
        self._journal.delete(HIDDEN, name)

    def go_on(self) -> None:
        portion = self._topics[-_AT_A_TIME:]
        del self._topics[-_AT_A_TIME:]
        for topic in portion:
            message = self._retained.get(topic)
            purge = None if message is None else self._purging.get(message.origin.principal)
            if purge is not None and self._retained.revision_of(topic) <= purge.since:
                purge.count += 1
                self._retained.discard(topic)
                self._journal.delete_retained(topic)
        if self._topics:
            return
        for name, purge in self._purging.items():
            self._unmark(name)
            self._event(RETAINED_PURGED, {"principal": name, "messages": purge.count})
        self._purging.clear()
