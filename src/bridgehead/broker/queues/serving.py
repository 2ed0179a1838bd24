"""Who takes from a queue: competing consumers in turn, those that choose, and those that are away."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.broker.queues.stock import Account, Author, Stock, Surroundings
from bridgehead.core.entry import ACQUIRED, EXPIRED, GONE, READY, Consumer, Entry

_STEPS: Final = 10_000  # entries that one pump looks at; it goes on when others have had their turn
_ASKING: Final = 5  # steps that it takes to ask a consumer whether it wants an entry
_AT_ONCE: Final = 64


class Serving(Stock):
    """A consumer that is not ready is put aside until it calls `wake`, so that those that are cost nothing to find."""

    def __init__(
        self, name: str, settings: QueueSettings, author: Author, account: Account, around: Surroundings
    ) -> None:
        super().__init__(name, settings, author, account, around)
        self.consumers: list[Consumer] = []  # those attached, in that order
        self.alone: Consumer | None = None  # the one that wants no other beside it
        self.active: deque[Consumer] = deque()  # those that were ready when asked last, whose turn it is first
        self.plain = True  # every consumer takes everything, and none comes before another
        self.pumping = False
        self.any_draining = False
        self._again = False
        self._steps = 0
        self._pumped_at: float = -1.0

    def renew(self) -> None:
        """Others have had their turn."""
        self._pumped_at = -1.0

    @property
    def consumer_count(self) -> int:
        return len(self.consumers)

    # Consumers. -------------------------------------------------------------------------------------

    def add(self, consumer: Consumer) -> None:
        self.consumers.append(consumer)
        consumer.attached = True
        consumer.seen = [0] * len(self.lines)
        consumer.missed.clear()
        self._look()
        self.activate(consumer)

    def drop(self, consumer: Consumer) -> None:
        """It takes no more. What it has acquired stays with it."""
        if not consumer.attached:
            return
        consumer.attached = False
        consumer.draining = False
        consumer.missed.clear()
        self.consumers.remove(consumer)
        if self.alone is consumer:
            self.alone = None
        if consumer in self.active:
            self.active.remove(consumer)
        self._look()
        if self.settings.single_active and self.consumers:
            self.activate(self.consumers[0])

    def _look(self) -> None:
        consumers = self.consumers
        self.plain = True
        for consumer in consumers:
            if consumer.chooses or consumer.holder or consumer.priority != consumers[0].priority:
                self.plain = False

    def activate(self, consumer: Consumer) -> None:
        """It may be ready."""
        if consumer in self.active or (self.settings.single_active and consumer is not self.consumers[0]):
            return
        consumer.parked = False
        self.active.append(consumer)

    def _park(self, consumer: Consumer) -> None:
        consumer.parked = True
        self.active.remove(consumer)

    def choosing_anew(self, consumer: Consumer) -> None:
        """It does not take everything any more."""
        self._look()

    # Giving. ----------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Give what waits to those that are ready."""
        if self.pumping:
            self._again = True
            return
        if self.plain or self.clock.now != self._pumped_at:
            self._pumped_at = self.clock.now
            self._steps = _STEPS
        elif self._steps <= 0:
            # Whoever attaches a thousand times with one read does not have a thousand times its steps.
            self.around.alarms.set(self, self.clock.now)
            return
        self.pumping = True
        try:
            while True:
                self._again = False
                self._serve()
                if not self._again or self._steps <= 0:
                    break
        finally:
            self.pumping = False
        if self._steps <= 0:
            self.around.alarms.set(self, self.clock.now)
        elif self.any_draining:
            self._drained()

    def look_after(self) -> None:
        """Something has come, or come back: whoever is ready gets it, and what is too much goes."""
        if self.active or self.any_draining:
            self.pump()
        if self.trim() and self.active:
            self.pump()

    def may_serve(self) -> bool:
        """Whether anything may be given now."""
        return True

    def _serve(self) -> None:
        if not self.may_serve():
            return
        now = self.clock.now
        active = self.active
        while active:
            self._steps -= 1
            if self._steps <= 0:
                return
            entry = self.first()
            if entry is None:
                break
            if entry.expires_at < now:
                self.around.counters.dropped_expired += 1
                self.die(entry, EXPIRED)
                continue
            consumer = self._next_plain() if self.plain else self._next_for(entry)
            if consumer is None:
                break
            self.give(entry, consumer)
        if not self.plain:
            self._search()

    def _next_plain(self) -> Consumer | None:
        active = self.active
        while active:
            consumer = active[0]
            if consumer.ready():
                if len(active) > 1:
                    active.rotate(-1)
                return consumer
            active.popleft()
            consumer.parked = True
        return None

    def _next_for(self, entry: Entry) -> Consumer | None:
        """Whose turn it is among those of the highest priority that would take it."""
        best: Consumer | None = None
        place = self.place_of(entry)
        for consumer in list(self.active):
            if not consumer.ready():
                self._park(consumer)
                continue
            if best is not None and consumer.priority <= best.priority:
                continue
            if not consumer.chooses:
                best = consumer
            elif entry.sequence > consumer.seen[place] or entry in consumer.missed:
                self._steps -= _ASKING
                # It is the first of its line, so nothing before it is left to ask about.
                consumer.seen[place] = max(consumer.seen[place], entry.sequence)
                consumer.missed.pop(entry, None)
                if consumer.suits(entry):
                    best = consumer
        if best is not None and len(self.active) > 1:
            self.active.remove(best)
            self.active.append(best)
        return best

    def _search(self) -> None:
        """For those that did not want what comes first."""
        for consumer in list(self.active):
            if not consumer.chooses:
                continue
            while self._steps > 0:
                if not consumer.attached:
                    break
                if not consumer.ready():
                    if consumer in self.active:
                        self._park(consumer)
                    break
                entry = self._next_wanted(consumer)
                if entry is None:
                    break
                self.give(entry, consumer)

    def _next_wanted(self, consumer: Consumer) -> Entry | None:
        if not consumer.missed_sorted:
            consumer.missed = dict(sorted(consumer.missed.items(), key=_by_place))
            consumer.missed_sorted = True
        for i in range(len(self.lines)):
            blocked = False
            while consumer.missed and self._steps > 0:
                entry = next(iter(consumer.missed))
                if consumer.missed[entry] != i:
                    break
                if entry.state == READY and entry.ticket:
                    blocked = True
                    break
                del consumer.missed[entry]
                self._steps -= _ASKING
                if entry.state == READY and entry.expires_at >= self.clock.now and consumer.suits(entry):
                    return entry
            if blocked:
                continue
            while self._steps > 0:
                places = self.lines[i].after(consumer.seen[i], _AT_ONCE)
                if not places:
                    break
                for entry in places:
                    self._steps -= _ASKING
                    if entry.state == READY:
                        if entry.ticket:
                            break
                        consumer.seen[i] = entry.sequence
                        if entry.expires_at >= self.clock.now and consumer.suits(entry):
                            return entry
                    else:
                        consumer.seen[i] = entry.sequence
                else:
                    continue
                break
        return None

    def give(self, entry: Entry, consumer: Consumer) -> None:
        if consumer.settled:
            entry.state = GONE
            self.leave(entry)
            self.forget(entry)
            consumer.deliver(entry)
            return
        entry.state = ACQUIRED
        self.leave(entry)
        self.unsettled += 1
        consumer.takes(entry)
        if consumer.holder and self.reserve(entry, consumer):
            return
        consumer.deliver(entry)

    def reserve(self, entry: Entry, consumer: Consumer) -> bool:
        """Note durably whose the entry is, before it is delivered. False: there is nothing to note."""
        raise NotImplementedError

    def offer_again(self, entry: Entry) -> None:
        """It has come back: those that were asked about its place before are asked about it."""
        if self.plain:
            return
        place = self.place_of(entry)
        for consumer in self.consumers:
            if consumer.chooses and consumer.seen[place] >= entry.sequence:
                consumer.missed[entry] = place
                consumer.missed_sorted = False

    def drain(self, consumer: Consumer) -> None:
        consumer.draining = True
        self.any_draining = True
        self.activate(consumer)
        self.pump()

    def _drained(self) -> None:
        """Those that asked for all there is are told that there is no more."""
        self.any_draining = False
        for consumer in list(self.consumers):
            if consumer.draining:
                if consumer.coming:
                    self.any_draining = True
                else:
                    consumer.draining = False
                    consumer.no_more()


def _by_place(missed: tuple[Entry, int]) -> tuple[int, int]:
    return (missed[1], missed[0].sequence)
