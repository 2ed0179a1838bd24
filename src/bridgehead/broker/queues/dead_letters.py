"""Where messages go that die in a queue, what is noted about it, and the end of those that go round in circles."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.broker.counters import Counters
from bridgehead.broker.door import Door
from bridgehead.broker.events import DEAD_LETTER_LOST, EventSink
from bridgehead.broker.journal import Journal
from bridgehead.broker.queues.feeds import Feeds
from bridgehead.broker.queues.ports import DeadLetters
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.stock import MOST_DEATHS, Office, Stock, goes_round
from bridgehead.core.clock import Clock
from bridgehead.core.entry import Death, Entry
from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER, Message


class _Died:
    def __init__(self, stock: Stock, entry: Entry, reason: str) -> None:
        self.stock: Final = stock
        self.entry: Final = entry
        self.reason: Final = reason


class DeadLetterOffice(Office):
    """A dead letter leaves its queue and comes to the next in one batch, and both are tried again until they last. It
    goes with the rights of who declared the queue."""

    def __init__(self, journal: Journal, clock: Clock, counters: Counters, event: EventSink) -> None:
        super().__init__()
        self._journal: Final = journal
        self._clock: Final = clock
        self._counters: Final = counters
        self._event: Final = event
        self._work: deque[_Died] = deque()
        self._busy = False
        self.queues: dict[str, Queue] = {}
        self.door: Door | None = None
        self.feeds: Feeds | None = None
        self.exchanges = DeadLetters()

    def bury(self, stock: Stock, entry: Entry, reason: str) -> None:
        if stock.settings.dead_letter is None:
            return
        self._work.append(_Died(stock, entry, reason))
        if self._busy:
            return  # one dies of another's death: not deeper, but next
        self._busy = True
        before = self._journal.keeping
        self._journal.keeping = True
        try:
            while self._work:
                died = self._work.popleft()
                try:
                    self._send(died)
                except Refusal as refusal:
                    self._lost(died, refusal.because)
        finally:
            self._journal.keeping = before
            self._busy = False

    def _send(self, died: _Died) -> None:
        letter = died.stock.settings.dead_letter
        feeds = self.feeds
        door = self.door
        assert letter is not None
        assert feeds is not None
        assert door is not None
        principal = feeds.principal_of(died.stock.author)
        if principal is None:
            self._lost(died, f"the identity {died.stock.author.name!r} that declared the queue does not exist any more")
            return
        entry = died.entry
        old = entry.message
        # It does not expire a second time.
        topic = letter.topic or old.topic
        message = Message(topic, old.payload, old.qos, False, old.origin, old.properties, NEVER)
        deaths = self._noted(died)
        if letter.topic:
            self.carried = deaths
            try:
                door.publish(principal, message, None)
            finally:
                self.carried = ()
            return
        key = entry.routing_key if letter.routing_key is None else letter.routing_key
        if letter.queue:
            target = self.queues.get(letter.queue)
            if target is None:
                self._lost(died, f"there is no queue {letter.queue!r}")
                return
            door.permit_message(principal, target.topic, message)
            targets = [target]
        else:
            self.carried = deaths  # an exchange may know topics, too
            try:
                targets = self.exchanges.route(principal, letter.exchange, key, message, entry)
            finally:
                self.carried = ()
            if not targets:
                self._lost(died, f"the exchange {letter.exchange!r} knows no queue for it")
        for target in targets:
            if goes_round(deaths, target.name):
                self._lost(died, f"it has been in the queue {target.name!r} before, and nobody rejected it since")
                continue
            try:
                target.put(message, None, letter.exchange, key, deaths)
            except Refusal as refusal:
                self._lost(died, refusal.because)

    def _noted(self, died: _Died) -> tuple[Death, ...]:
        """The deaths of the message, the latest first. As RabbitMQ's x-death: one for each queue and reason."""
        entry = died.entry
        name = died.stock.name
        count = 1
        others: list[Death] = []
        for death in entry.deaths:
            if death.queue == name and death.reason == died.reason:
                count = death.count + 1
            else:
                others.append(death)
        newest = Death(name, died.reason, count, self._clock.now, entry.exchange, (entry.routing_key,))
        return (newest, *others[: MOST_DEATHS - 1])

    def _lost(self, died: _Died, because: str) -> None:
        self._counters.dead_letters_lost += 1
        self._event(DEAD_LETTER_LOST, {"queue": died.stock.name, "reason": died.reason, "because": because})
