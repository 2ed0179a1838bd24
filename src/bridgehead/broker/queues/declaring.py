"""Queues by their names: who may make one and unmake it, whose it is, and when its time is over."""

from __future__ import annotations

import heapq
from typing import Final

from bridgehead.broker.counters import Counters
from bridgehead.broker.door import Door
from bridgehead.broker.events import QUEUE_DECLARED, QUEUE_DELETED, QUEUE_PURGED, EventSink, told
from bridgehead.broker.journal import Journal
from bridgehead.broker.limits import Limits
from bridgehead.broker.queues.dead_letters import DeadLetterOffice
from bridgehead.broker.queues.feeds import Feeds
from bridgehead.broker.queues.names import check_name, is_made_by_the_hub, queue_topic
from bridgehead.broker.queues.ports import DeadLetters
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.records import QueueRecord
from bridgehead.broker.queues.settings import QueueSettings, owner_of
from bridgehead.broker.queues.stock import Account, Alarms, Author, Stock, Surroundings
from bridgehead.core.clock import Clock
from bridgehead.core.entry import Consumer
from bridgehead.core.errors import (
    CONFLICT,
    DELETED,
    IN_USE,
    LOCKED,
    NOT_FOUND,
    QUOTA_EXCEEDED,
    Refusal,
)
from bridgehead.core.message import NEVER, Origin
from bridgehead.core.policy import Principal

_AT_A_TIME: Final = 1000  # queues whose time has come that one call looks after


class _Alarms(Alarms):
    """When which queue wants to be called. Each has at most one time that counts: `Stock.alarm`."""

    def __init__(self) -> None:
        self.times: list[tuple[float, int, Stock]] = []
        self._serial = 0

    def set(self, stock: Stock, when: float) -> None:
        if when >= stock.alarm:
            return
        stock.alarm = when
        self._serial += 1
        heapq.heappush(self.times, (when, self._serial, stock))

    def tidy(self, stocks: list[Stock]) -> None:
        """Times that do not count any more are dropped when they are the most."""
        if len(self.times) > 4 * len(stocks) + 1000:
            self.times = [(stock.alarm, i, stock) for i, stock in enumerate(stocks) if stock.alarm != NEVER]
            heapq.heapify(self.times)


class Declaring:
    """`principal` and `origin` are those of the connection that asks. What asks the door raises Refusal."""

    def __init__(
        self,
        door: Door,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        counters: Counters,
        event: EventSink,
    ) -> None:
        self._door: Final = door
        self._clock: Final = clock
        self._limits: Final = limits
        self._event: Final = event
        self._journal: Final = journal
        self._office: Final = DeadLetterOffice(journal, clock, counters, event)
        self._alarms: Final = _Alarms()
        self._around: Final = Surroundings(journal, clock, limits, counters, event, self._office, self._alarms)
        self.feeds: Final = Feeds(door, self._around)
        self._queues: Final[dict[str, Queue]] = self._office.queues
        self._office.door = door
        self._office.feeds = self.feeds
        self._accounts: dict[str, Account] = {}
        self._owned: dict[str, dict[str, Queue]] = {}  # exclusive ones by the key of who owns them
        self._consumers: dict[Consumer, Queue] = {}
        self.next_number = 1

    def __len__(self) -> int:
        return len(self._queues)

    def all(self) -> list[Queue]:
        return list(self._queues.values())

    def find(self, name: str) -> Queue | None:
        return self._queues.get(name)

    @property
    def octets(self) -> int:
        """What all of them hold."""
        return self._around.all.octets

    @property
    def exchanges(self) -> DeadLetters:
        return self._office.exchanges

    def set_exchanges(self, exchanges: DeadLetters) -> None:
        """Before anything is recovered."""
        self._office.exchanges = exchanges

    def owned_by(self, owner: str) -> int:
        """How many queues are exclusively that connection's (`owner_of`) or identity's (its name)."""
        return len(self._owned.get(owner, {}))

    # Declaring and deleting. ------------------------------------------------------------------------

    def declare(self, principal: Principal, origin: Origin, name: str, settings: QueueSettings) -> Queue:
        """The queue of that name, made if there is none. Refusal: NAME_INVALID, NOT_AUTHORIZED, LOCKED (somebody
        else's own), CONFLICT (it is there with other settings), QUOTA_EXCEEDED."""
        check_name(name)
        if not (settings.exclusive and is_made_by_the_hub(name, principal.name)):
            self._door.permit(principal, queue_topic(name), origin, True, True)
        queue = self._queues.get(name)
        if queue is not None:
            self._check_lock(origin, queue)
            differs = queue.settings.differs(settings)
            if differs:
                raise Refusal(CONFLICT, f"the queue {name!r} exists with other settings: its {differs}")
            self._used(queue)
            return queue
        account = self._account(principal.name)
        limits = self._limits
        if len(self._queues) >= limits.named_queues:
            raise Refusal(QUOTA_EXCEEDED, "the hub has as many queues as it may")
        if account.queues >= limits.named_queues_per_identity:
            raise Refusal(QUOTA_EXCEEDED, f"{principal.name!r} has declared as many queues as it may")
        queue = self._make(name, settings, Author.of(principal))
        queue.note()
        self._event(QUEUE_DECLARED, {**told(origin), "queue": name, "durable": bool(queue.log)})
        return queue

    def establish(self, name: str, settings: QueueSettings) -> Queue:
        """An administrator's: declared by the hub itself. One that is there takes these settings, as far as they
        may change while it is there; Refusal(CONFLICT) where they may not."""
        check_name(name)
        queue = self._queues.get(name)
        if queue is not None:
            if queue.settings.exclusive:
                self._drop(queue, "an administrator has taken the name")
                queue = None
            elif queue.settings.durable != settings.durable or queue.settings.max_priority != settings.max_priority:
                raise Refusal(
                    CONFLICT,
                    f"the queue {name!r} exists, and its durability and priorities cannot change: remove it first",
                )
        if queue is None:
            queue = self._make(name, settings, Author(""))
            self._event(QUEUE_DECLARED, {"queue": name, "durable": settings.durable})
        queue.settings = settings
        queue.administrators = True
        queue.note()
        self.watch(queue)
        return queue

    def _account(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            account = Account()
            self._accounts[name] = account
        return account

    def _make(self, name: str, settings: QueueSettings, author: Author) -> Queue:
        queue = Queue(name, settings, author, self.next_number, self._account(author.name), self._around)
        self.next_number += 1
        self.take_in(queue)
        return queue

    def restore(self, name: str, kept: QueueRecord) -> Queue:
        """One of an earlier run, still empty."""
        queue = Queue(name, kept.settings, kept.author, kept.number, self._account(kept.author.name), self._around)
        queue.unsent_from = kept.unsent_from
        queue.administrators = kept.administrators
        self.next_number = max(self.next_number, kept.number + 1)
        self.take_in(queue)
        return queue

    def take_in(self, queue: Queue) -> None:
        """One that was made here, or comes from the store."""
        self._queues[queue.name] = queue
        queue.account.queues += 1
        self._around.all.queues += 1
        if queue.settings.exclusive:
            self._owned.setdefault(queue.settings.exclusive, {})[queue.name] = queue
        self.watch(queue)

    def see(self, principal: Principal, origin: Origin, name: str) -> Queue:
        """The queue, for one that may send to it, take from it or delete it."""
        check_name(name)
        queue = self._queues.get(name)
        topic = queue_topic(name)
        own = queue is not None and is_own(origin, queue)
        if not own and not self._door.may_know(principal, topic, True) and not principal.may_publish(topic, 0, False):
            because = principal.explain_receive(topic).because
            self._door.deny(topic, origin, False, because)
        if queue is None:
            raise Refusal(NOT_FOUND, f"there is no queue {name!r}: declare it first")
        self._check_lock(origin, queue)
        return queue

    def delete(
        self, principal: Principal, origin: Origin, name: str, if_unused: bool = False, if_empty: bool = False
    ) -> int:
        """Returns how many messages waited in it. Refusal: NOT_FOUND, LOCKED, NOT_AUTHORIZED, IN_USE."""
        queue = self._to_change(principal, origin, name)
        if if_unused and queue.is_used():
            raise Refusal(IN_USE, f"the queue {name!r} has consumers")
        if if_empty and queue.waiting:
            raise Refusal(IN_USE, f"the queue {name!r} is not empty")
        return self._drop(queue, f"{principal.name!r} deleted the queue")

    def purge(self, principal: Principal, origin: Origin, name: str) -> int:
        """Delete what waits and not what consumers have. Returns how much that was. Refusal as of `delete`."""
        queue = self._to_change(principal, origin, name)
        count = queue.purge()
        self._event(QUEUE_PURGED, {**told(origin), "queue": name, "messages": count})
        return count

    def _to_change(self, principal: Principal, origin: Origin, name: str) -> Queue:
        queue = self._queues.get(name)
        if queue is None or not is_own(origin, queue):
            check_name(name)
            self._door.permit(principal, queue_topic(name), origin, True, True)
        if queue is None:
            raise Refusal(NOT_FOUND, f"there is no queue {name!r}")
        self._check_lock(origin, queue)
        return queue

    def permit_change(self, principal: Principal, origin: Origin, queue: Queue) -> None:
        """Raise Refusal unless it may declare, delete, bind and purge the queue."""
        self._to_change(principal, origin, queue.name)

    def _check_lock(self, origin: Origin, queue: Queue) -> None:
        if queue.settings.exclusive and not is_own(origin, queue):
            raise Refusal(LOCKED, f"the queue {queue.name!r} is another connection's own")

    def connection_ended(self, owner: str) -> None:
        """What was its own goes with it (`owner_of` its origin)."""
        for queue in list(self._owned.get(owner, {}).values()):
            self._drop(queue, "the connection that it belonged to is closed")

    def remove(self, name: str) -> int:
        """An administrator's, by that administrator."""
        queue = self._queues.get(name)
        return 0 if queue is None else self._drop(queue, "an administrator removed the queue")

    def _drop(self, queue: Queue, because: str) -> int:
        if queue.gone:
            return 0
        del self._queues[queue.name]
        queue.account.queues -= 1
        if not queue.account.queues and queue.author.name:
            self._accounts.pop(queue.author.name, None)
        self._around.all.queues -= 1
        owner = queue.settings.exclusive
        if owner:
            owned = self._owned[owner]
            del owned[queue.name]
            if not owned:
                del self._owned[owner]
        self.feeds.unbind_all(queue)
        self._office.exchanges.queue_gone(queue)
        count = queue.end()
        self._event(QUEUE_DELETED, {"queue": queue.name, "messages": count, "because": because})
        for consumer in list(queue.consumers):
            self._consumers.pop(consumer, None)
            queue.drop(consumer)
            consumer.cancelled(DELETED, f"the queue {queue.name!r} was deleted: {because}")
        return count

    # Time. ------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        times = self._alarms.times
        while times and times[0][0] != times[0][2].alarm:
            heapq.heappop(times)
        return times[0][0] if times else NEVER

    def handle_timeout(self) -> None:
        now = self._clock.now
        times = self._alarms.times
        left = _AT_A_TIME
        due: list[Stock] = []
        # Those whose time has come up to here: one that wants more at once has its turn after others had theirs.
        while left and times and times[0][0] <= now:
            left -= 1
            when, _, stock = heapq.heappop(times)
            if when == stock.alarm and not stock.gone:
                stock.alarm = NEVER
                due.append(stock)
        for stock in due:
            queue = self._queues.get(stock.name)
            if queue is None or queue is not stock:
                continue
            if self._is_over(queue):
                self._drop(queue, "nobody used it for as long as it was to last")
                continue
            queue.handle_timeout()
            self.watch(queue)
        self._alarms.tidy(list(self._queues.values()))

    def _is_over(self, queue: Queue) -> bool:
        expires = queue.settings.expires
        return expires is not None and not queue.is_used() and queue.used_at + expires <= self._clock.now

    def watch(self, queue: Queue) -> None:
        """It is called when it next wants to be."""
        when = queue.next_timeout()
        if when != NEVER:
            self._alarms.set(queue, when)

    def _used(self, queue: Queue) -> None:
        queue.used_at = self._clock.now

    def _unused(self, queue: Queue) -> None:
        """A consumer has gone."""
        if queue.gone or queue.is_used():
            return
        self._used(queue)
        if queue.settings.auto_delete and queue.had_consumers and not queue.administrators:
            self._drop(queue, "its last consumer has gone")
            return
        queue.settle_down()
        self.watch(queue)


def is_own(origin: Origin, queue: Queue) -> bool:
    """Whether it is exclusively that connection's, or its identity's."""
    owner = queue.settings.exclusive
    return bool(owner) and (owner == owner_of(origin) or owner == origin.principal)
