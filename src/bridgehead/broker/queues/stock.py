"""What lies in a queue: its lines, what it weighs, when it expires, and the end of an entry."""

from __future__ import annotations

import heapq
from typing import Final

from bridgehead.broker.counters import Counters
from bridgehead.broker.events import QUEUE_OVERFLOWING, EventSink
from bridgehead.broker.journal import HELD, MARKED, Journal, Shelf
from bridgehead.broker.limits import Limits
from bridgehead.broker.queues.line import Line
from bridgehead.broker.queues.names import queue_topic
from bridgehead.broker.queues.settings import DROP_HEAD, HIGHEST_PRIORITY, QueueSettings
from bridgehead.core.clock import Clock
from bridgehead.core.entry import EXPIRED, GONE, PUSHED_OUT, READY, REJECTED, Death, Entry
from bridgehead.core.errors import QUEUE_FULL, QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Context, Principal

_SPARE: Final = 64  # times of the past that the heap may hold beside those of the present
MOST_DEATHS: Final = 32  # that are noted of one message: the oldest are forgotten
# What a message costs in memory beside its weight, in octets: else a million empty ones would be nothing.
_BESIDE: Final = 512


class Author:
    """Who declared a queue or bound it to a topic; "" is the hub itself. `created` tells it from a later identity of
    the same name; `context` is how its connection came."""

    def __init__(self, name: str, created: float = 0.0, context: Context | None = None) -> None:
        self.name: Final = name
        self.created: Final = created
        self.context: Final = context

    @classmethod
    def of(cls, principal: Principal) -> Author:
        return Author(principal.name, principal.created, principal.context)

    def is_same(self, other: Author) -> bool:
        return self.name == other.name and self.created == other.created


class Account:
    """What the queues of one identity hold, or all of them."""

    def __init__(self) -> None:
        self.queues = 0
        self.octets = 0
        self.entries = 0

    @property
    def cost(self) -> int:
        """Octets of memory, about."""
        return self.octets + _BESIDE * self.entries

    def take(self, weight: int) -> None:
        """One more entry."""
        self.octets += weight
        self.entries += 1

    def let_go(self, weight: int, entries: int = 1) -> None:
        self.octets -= weight
        self.entries -= entries


class Office:
    """Who takes care of what has died in a queue. `carried`: while a dead letter is published to a topic, its deaths,
    for the queues that this topic feeds."""

    def __init__(self) -> None:
        self.carried: tuple[Death, ...] = ()

    def bury(self, stock: Stock, entry: Entry, reason: str) -> None:
        raise NotImplementedError


def goes_round(deaths: tuple[Death, ...], queue: str) -> bool:
    """Whether it was in the queue before, or in more others than are remembered, and nobody has rejected it since: it
    would go on so for ever."""
    for death in deaths:
        if death.reason == REJECTED:
            return False
        if death.queue == queue:
            return True
    return len(deaths) >= MOST_DEATHS


class Alarms:
    """Who calls `handle_timeout` at a time."""

    def set(self, stock: Stock, when: float) -> None:
        raise NotImplementedError


class Surroundings:
    """What all queues of a hub share."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        counters: Counters,
        event: EventSink,
        office: Office,
        alarms: Alarms,
    ) -> None:
        self.journal: Final = journal
        self.clock: Final = clock
        self.limits: Final = limits
        self.counters: Final = counters
        self.event: Final = event
        self.office: Final = office
        self.alarms: Final = alarms
        self.all: Final = Account()


class Stock(Shelf):
    """`waiting` counts what is ready or waits for its commit, `unsettled` what is with consumers, `octets` both."""

    def __init__(
        self, name: str, settings: QueueSettings, author: Author, account: Account, around: Surroundings
    ) -> None:
        super().__init__()
        self.name: Final = name
        self.topic: Final = queue_topic(name)
        self.author: Final = author
        self.account: Final = account
        self.around: Final = around
        self.journal: Final = around.journal
        self.clock: Final = around.clock
        self.total: Final = around.all
        self.settings: QueueSettings = settings
        self.next_sequence = 1
        self.waiting = 0
        self.waiting_octets = 0
        self.unsettled = 0
        self.octets = 0
        self.alarm: float = NEVER  # when it is called next
        self.used_at: float = around.clock.now
        self.overflowing = False  # it was full, and that was told
        # Those of the highest priority first.
        self.lines: list[Line] = [Line() for _ in range(min(settings.max_priority, HIGHEST_PRIORITY) + 1)]
        self._due: list[tuple[float, int, Entry]] = []

    # Lines. -----------------------------------------------------------------------------------------

    def place_of(self, entry: Entry) -> int:
        """The index of its line."""
        highest = len(self.lines) - 1
        if highest == 0:
            return 0
        return highest - min(entry.message.properties.priority, highest)

    def first(self) -> Entry | None:
        """The next that may go to a consumer."""
        for line in self.lines:
            entry = line.head()
            if entry is not None and not entry.ticket:
                return entry
        return None

    def coming(self) -> int:
        """The commit that brings all that is on its way to the disk, 0 for none."""
        ticket = 0
        for line in self.lines:
            for entry in (line.head(), line.last()):
                if entry is not None:
                    ticket = max(ticket, entry.ticket)
        return ticket

    def enter(self, entry: Entry) -> None:
        """A new one, at the end of its line."""
        weight = entry.weight
        self.octets += weight
        self.account.take(weight)
        self.total.take(weight)
        self.waiting += 1
        self.waiting_octets += weight
        self.lines[self.place_of(entry)].push(entry)
        if entry.expires_at != NEVER:
            self.await_expiry(entry)

    def come_back(self, entry: Entry) -> None:
        """To its place."""
        entry.state = READY
        self.waiting += 1
        self.waiting_octets += entry.weight
        self.lines[self.place_of(entry)].back(entry)
        if entry.expires_at != NEVER:
            self.await_expiry(entry)

    def leave(self, entry: Entry) -> None:
        """It waits no longer; its state is ACQUIRED or GONE from now on."""
        self.waiting -= 1
        self.waiting_octets -= entry.weight
        line = self.lines[self.place_of(entry)]
        if entry.state == GONE:
            line.removed(entry)
        else:
            line.taken(entry)

    def forget(self, entry: Entry) -> None:
        """It is gone, also from the store."""
        if self.gone:
            return  # and all of it with it
        weight = entry.weight
        self.octets -= weight
        self.account.let_go(weight)
        self.total.let_go(weight)
        if entry.in_line:
            self.lines[self.place_of(entry)].removed(entry)
        if entry.lasts:
            self.erase(entry)

    def erase(self, entry: Entry) -> None:
        """Its records."""
        self.journal.remove_entry(self, entry)
        if entry.deliveries or entry.annotations is not None:
            self.journal.delete(MARKED, self.key_of(entry))
        if entry.holder:
            self.journal.delete(HELD, self.key_of(entry))

    def key_of(self, entry: Entry) -> str:
        return f"{self.log}/{entry.sequence}"

    def all_waiting(self) -> list[Entry]:
        found: list[Entry] = []
        for line in self.lines:
            found.extend(line.waiting())
        return found

    # Ceilings. --------------------------------------------------------------------------------------

    def check_room(self, weight: int, count: int = 1, beside: int = 0) -> None:
        """Raise Refusal when `count` messages of this weight together may not come in, while others of the weight
        `beside` come into other queues: QUEUE_FULL by the queue's own settings, QUOTA_EXCEEDED by the hub's."""
        settings = self.settings
        limits = self.around.limits
        if settings.overflow != DROP_HEAD and self._is_over(count, weight):
            self.expire()
            if self._is_over(count, weight):
                self._tell_full()
                raise Refusal(QUEUE_FULL, f"the queue {self.name!r} is full: it holds {self.waiting} messages")
        if (
            self.octets + weight > limits.named_queue_octets
            or self.waiting + self.unsettled + count > limits.named_queue_messages
        ):
            self._tell_full()
            raise Refusal(QUOTA_EXCEEDED, f"the queue {self.name!r} holds as much as a queue may")
        if self.account.cost + weight + beside > limits.named_queue_octets_per_identity and self.author.name:
            self._tell_full()
            raise Refusal(QUOTA_EXCEEDED, f"the queues of {self.author.name!r} hold as much as they may")
        if self.total.cost + weight + beside > limits.all_named_queue_octets:
            self._tell_full()
            raise Refusal(QUOTA_EXCEEDED, "the hub's queues hold as much as they may")

    def _is_over(self, more: int, weight: int) -> bool:
        settings = self.settings
        if settings.max_messages is not None and self.waiting + more > settings.max_messages:
            return True
        return settings.max_octets is not None and self.waiting_octets + weight > settings.max_octets

    def _tell_full(self) -> None:
        self.around.counters.dropped_queue_full += 1
        if not self.overflowing:
            self.overflowing = True
            self.around.event(
                QUEUE_OVERFLOWING, {"queue": self.name, "messages": self.waiting, "octets": self.waiting_octets}
            )

    def is_too_full(self) -> bool:
        return self.settings.overflow == DROP_HEAD and self._is_over(0, 0)

    def trim(self) -> bool:
        """What is too much goes, the oldest of the lowest priority first. Whether anything did."""
        trimmed = False
        while self.is_too_full():
            victim: Entry | None = None
            for i in range(len(self.lines) - 1, -1, -1):
                victim = self.lines[i].head()
                if victim is not None:
                    break
            if victim is None:
                break
            trimmed = True
            self.around.counters.dropped_queue_full += 1
            self.die(victim, PUSHED_OUT)
        return trimmed

    # The end of entries. ----------------------------------------------------------------------------

    def die(self, entry: Entry, reason: str) -> None:
        """One that waits or is acquired by nobody any more."""
        if entry.state == READY:
            entry.state = GONE
            self.leave(entry)
        entry.state = GONE
        self.forget(entry)
        self.around.office.bury(self, entry, reason)

    def await_expiry(self, entry: Entry) -> None:
        due = self._due
        if len(due) > 2 * self.waiting + _SPARE:
            due = [(each.expires_at, each.sequence, each) for each in self.all_waiting() if each.expires_at != NEVER]
            heapq.heapify(due)
            self._due = due
        heapq.heappush(due, (entry.expires_at, entry.sequence, entry))
        if entry.expires_at < self.alarm:
            self.around.alarms.set(self, entry.expires_at)

    def expire(self) -> None:
        """What waits and has expired dies. What is at a consumer does not."""
        due = self._due
        now = self.clock.now
        while due and due[0][0] <= now:
            entry = heapq.heappop(due)[2]
            # One that is being committed has its turn after that: `lasts` sees to it.
            if entry.state == READY and not entry.ticket:
                self.around.counters.dropped_expired += 1
                self.die(entry, EXPIRED)

    def next_expiry(self) -> float:
        due = self._due
        while due and due[0][2].state != READY:
            heapq.heappop(due)
        return due[0][0] if due else NEVER

    def handle_timeout(self) -> None:
        raise NotImplementedError
