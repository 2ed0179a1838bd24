"""A queue: messages in an order, each of which one consumer takes and settles, or gives back to its place."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.broker.journal import HELD, MARKED, QUEUES
from bridgehead.broker.queues import records
from bridgehead.broker.queues.belongings import Feed, Holding
from bridgehead.broker.queues.serving import Serving
from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.broker.queues.stock import Account, Author, Surroundings
from bridgehead.core.clearance import may_see
from bridgehead.core.entry import ACQUIRED, FAILED_TOO_OFTEN, GONE, READY, REJECTED, Consumer, Death, Entry
from bridgehead.core.message import NEVER, Message
from bridgehead.core.policy import Principal
from bridgehead.core.session import Receiver

_AT_ONCE: Final = 64


class Queue(Serving):
    """Made by `Queues`, which asks the door."""

    def __init__(
        self,
        name: str,
        settings: QueueSettings,
        author: Author,
        number: int,
        account: Account,
        around: Surroundings,
    ) -> None:
        super().__init__(name, settings, author, account, around)
        self.number: Final = number
        self.log = f"w{number}" if settings.durable and not settings.exclusive else ""
        self.feeds: dict[str, Feed] = {}  # by the binder's name and the filter
        self.holdings: dict[str, Holding] = {}
        self.administrators = False  # declared by `queue add`
        self.had_consumers = False
        self.has_tags = False  # a message with data tags came since the hub began to run
        self.fed = -1  # the publication that a feed has brought last
        # Nothing from this number on was ever delivered; 0: that changes.
        self.unsent_from = 1
        self._noted = 0  # the batch that says so

    # In. --------------------------------------------------------------------------------------------

    def put(
        self,
        message: Message,
        receiver: Receiver | None,
        exchange: str = "",
        routing_key: str = "",
        deaths: tuple[Death, ...] = (),
    ) -> int:
        """Returns the ticket that `receiver` is to wait for before it acknowledges, 0: there is nothing to wait for.
        Raises Refusal: QUEUE_FULL, QUOTA_EXCEEDED."""
        if message.origin.tags and not self.has_tags:
            self.begin_to_ask_tags()
        if (
            self.plain
            and not self.waiting
            and not self.pumping
            and self.active
            and (not message.qos or not (self.log or self.journal.holding))
            and message.expires_at >= self.clock.now
        ):
            consumer = self._next_plain()
            if consumer is not None:
                self._pass_on(message, consumer, exchange, routing_key, deaths)
                return 0
        return self._keep(message, receiver, exchange, routing_key, deaths)

    def _pass_on(
        self, message: Message, consumer: Consumer, exchange: str, routing_key: str, deaths: tuple[Death, ...]
    ) -> None:
        """Nothing waits before it and nothing is to be written: straight to the consumer."""
        if not consumer.settled:
            self.check_room(message.weight)
        entry = Entry(self.next_sequence, message)
        self.next_sequence += 1
        entry.exchange = exchange
        entry.routing_key = routing_key
        entry.deaths = deaths
        if consumer.settled:
            entry.state = GONE
            consumer.deliver(entry)
            return
        weight = message.weight
        entry.weight = weight
        self.octets += weight
        self.account.take(weight)
        self.total.take(weight)
        entry.state = ACQUIRED
        if self.settings.message_ttl is not None:
            self._shorten(entry)
        self.unsettled += 1
        consumer.takes(entry)
        consumer.deliver(entry)

    def _keep(
        self,
        message: Message,
        receiver: Receiver | None,
        exchange: str,
        routing_key: str,
        deaths: tuple[Death, ...],
    ) -> int:
        weight = message.weight
        self.check_room(weight)
        journal = self.journal
        entry = Entry(self.next_sequence, message)
        self.next_sequence += 1
        entry.weight = weight
        entry.exchange = exchange
        entry.routing_key = routing_key
        entry.deaths = deaths
        if deaths:
            entry.expires_at = NEVER  # it has died of that already
        if self.settings.message_ttl is not None:
            self._shorten(entry)
        ticket = 0
        if message.qos:
            if self.log:
                entry.lasts = True
                journal.append_entry(self, entry, records.write_entry(entry))
                message.record = None
                message.encoded = None
                if receiver is not None:
                    ticket = journal.wait(receiver)
            elif journal.holding and message.qos == 2:
                # Its publisher may send it again when the batch is refused: until then nobody gets it.
                journal.hold_entry(self, entry)
        self.enter(entry)
        if not entry.ticket and self.active:
            self.pump()
        if self.trim() and self.active:
            self.pump()
        return ticket

    def _shorten(self, entry: Entry) -> None:
        ttl = self.settings.message_ttl
        if ttl is not None:
            entry.expires_at = min(entry.expires_at, self.clock.now + ttl)

    # Settling. --------------------------------------------------------------------------------------

    def accept(self, entry: Entry, receiver: Receiver | None, conditional: bool = False) -> int:
        """The consumer has it: it is gone. Returns the ticket until which that may be forgotten by a crash.
        `conditional`: when the batch is refused, the entry is back."""
        if entry.state != ACQUIRED:
            return 0
        entry.state = GONE
        if conditional:
            self.journal.on_condition(self, entry)
        self._let_go(entry)
        self.forget(entry)
        if entry.lasts and receiver is not None:
            return self.journal.wait(receiver)
        return 0

    def reject(self, entry: Entry) -> None:
        """It cannot be processed: a dead letter."""
        if entry.state == ACQUIRED:
            self._let_go(entry)
            self.die(entry, REJECTED)

    def release(self, entry: Entry, failed: bool, undeliverable_here: bool, annotations: bytes | None) -> None:
        """Back to its place, for this consumer or another. `failed`: that counts. `undeliverable_here`: this consumer
        gets it no more."""
        if entry.state != ACQUIRED:
            return
        consumer = entry.consumer
        if undeliverable_here and consumer is not None:
            consumer.refuses(entry)
            self.choosing_anew(consumer)
        self._let_go(entry)
        if self._returned(entry, failed, annotations):
            self.look_after()

    def _let_go(self, entry: Entry) -> None:
        self.unsettled -= 1
        consumer = entry.consumer
        if consumer is not None:
            consumer.lets_go(entry)
        elif entry.holder:
            holding = self.holdings.get(entry.holder)
            if holding is not None and holding.entries.pop(entry.sequence, None) is not None and not holding.entries:
                del self.holdings[entry.holder]

    def _returned(self, entry: Entry, failed: bool, annotations: bytes | None) -> bool:
        """False: it is gone."""
        entry.again = True
        if self.gone:
            entry.state = GONE
            return False
        if entry.holder:
            if entry.lasts:
                self.journal.delete(HELD, self.key_of(entry))
            entry.holder = ""
        marked = entry.deliveries > 0 or entry.annotations is not None
        if annotations is not None and self._may_carry(entry, annotations):
            entry.annotations = annotations
        if failed:
            entry.deliveries += 1
        most = self.settings.max_deliveries
        if most and entry.deliveries >= most:
            if not marked:
                entry.annotations = None  # there is no record of it to delete
                entry.deliveries = 0
            self.die(entry, FAILED_TOO_OFTEN)
            return False
        if entry.lasts and (failed or annotations is not None):
            self.journal.put(MARKED, self.key_of(entry), records.write_mark(entry), True)
        self.come_back(entry)
        self.offer_again(entry)
        return True

    def _may_carry(self, entry: Entry, annotations: bytes) -> bool:
        """What consumers add to a message weighs too; what there is no room for is left out."""
        more = len(annotations) - (0 if entry.annotations is None else len(entry.annotations))
        limits = self.around.limits
        if more > 0 and (
            self.octets + more > limits.named_queue_octets
            or (self.account.cost + more > limits.named_queue_octets_per_identity and self.author.name)
            or self.total.cost + more > limits.all_named_queue_octets
        ):
            return False
        entry.weight += more
        self.octets += more
        self.account.octets += more
        self.total.octets += more
        return True

    def give_back(self, entries: list[Entry], failed: bool) -> None:
        """All of them, in one go."""
        entries.sort(key=_sequence)
        entries.reverse()
        for entry in entries:
            if entry.state == ACQUIRED:
                self._let_go(entry)
                self._returned(entry, failed, None)
        self.look_after()

    def begin_to_ask_tags(self) -> None:
        """From now on a consumer is given only what it has clearance for."""
        self.has_tags = True
        for consumer in self.consumers:
            consumer.asks_tags = True
            self.choosing_anew(consumer)

    def take_first(self, settled: bool, verified_only: bool, principal: Principal) -> Entry | None:
        """For one who asks for one message and is no consumer."""
        self.begin_to_send()
        while True:
            entry = self.first()
            if entry is None:
                return None
            if entry.expires_at >= self.clock.now:
                break
            self.expire()
        if not may_see(principal, entry.message.origin, verified_only):
            entry = None
            for other in self.all_waiting():
                if (
                    not other.ticket
                    and other.expires_at >= self.clock.now
                    and may_see(principal, other.message.origin, verified_only)
                ):
                    entry = other
                    break
            if entry is None:
                return None
        if settled:
            entry.state = GONE
            self.leave(entry)
            self.forget(entry)
        else:
            entry.state = ACQUIRED
            self.leave(entry)
            self.unsettled += 1
        return entry

    def look(self, after: int, most: int, verified_only: bool, principal: Principal) -> list[Entry]:
        """For one that takes nothing away."""
        found: list[Entry] = []
        for line in self.lines:
            at = after
            of_line = 0
            while of_line < most:
                places = line.after(at, _AT_ONCE)
                if not places:
                    break
                at = places[-1].sequence
                for entry in places:
                    if entry.state != READY or entry.ticket or entry.expires_at < self.clock.now:
                        continue
                    if may_see(principal, entry.message.origin, verified_only):
                        found.append(entry)
                        of_line += 1
        found.sort(key=_sequence)
        return found[:most]

    def end(self) -> int:
        """It is deleted, with everything in it. Returns how much waited."""
        count = self.waiting
        self.gone = True
        for entry in self.all_waiting():
            entry.state = GONE
        entries = self.waiting + self.unsettled
        self.account.let_go(self.octets, entries)
        self.total.let_go(self.octets, entries)
        self.octets = self.waiting = self.waiting_octets = 0
        self.holdings.clear()
        if self.log:
            self.journal.delete(QUEUES, self.name)
            self.journal.drop_log(self.log)
        return count

    def purge(self) -> int:
        """What waits is deleted. Returns how much that was."""
        entries = self.all_waiting()
        for entry in entries:
            entry.state = GONE
            self.leave(entry)
            self.forget(entry)
        self.overflowing = False
        return len(entries)

    # Durable links that are away. -------------------------------------------------------------------

    def reserve(self, entry: Entry, consumer: Consumer) -> bool:
        entry.holder = consumer.holder
        if not entry.lasts:
            return False
        # Else, after a crash, it would be another's while this one has it.
        self.journal.put(HELD, self.key_of(entry), records.write_holding(consumer.holder, consumer.lasting), False)
        self.journal.hold_entry(self, entry)
        consumer.coming += 1
        return True

    def hold(self, consumer: Consumer, until: float) -> None:
        """The link is suspended: what it has acquired is kept for it. What is not delivered yet goes back."""
        self.drop(consumer)
        mine = [entry for entry in consumer.acquired if entry.state == ACQUIRED and entry.consumer is consumer]
        mine = list(dict.fromkeys(mine))
        back = [entry for entry in mine if entry.ticket]
        holding = Holding(consumer.holder, until)
        for entry in mine:
            if not entry.ticket:
                holding.entries[entry.sequence] = entry
                entry.consumer = None
        consumer.acquired = deque()
        consumer.unsettled = len(back)
        self.give_back(back, False)  # with `again`: of these it is no put that may still be refused
        consumer.coming = 0
        if holding.entries:
            self.holdings[consumer.holder] = holding
            if until < self.alarm:
                self.around.alarms.set(self, until)

    def resume(self, consumer: Consumer) -> list[Entry]:
        """What was kept for the link of this consumer, which is attached again."""
        holding = self.holdings.pop(consumer.holder, None)
        if holding is None:
            return []
        entries = list(holding.entries.values())
        for entry in entries:
            consumer.takes(entry)
        return entries

    def give_up_holdings(self) -> None:
        """Of links that stayed away too long."""
        now = self.clock.now
        for holding in list(self.holdings.values()):
            if holding.until <= now:
                self.give_back(list(holding.entries.values()), False)
                self.holdings.pop(holding.holder, None)

    def forsake(self, name: str) -> None:
        """What is kept for links of this identity that are away goes back: it has no right to it any more."""
        for holding in list(self.holdings.values()):
            if holding.holder.startswith(f"{name}/"):
                self.give_back(list(holding.entries.values()), False)
                self.holdings.pop(holding.holder, None)

    # What the journal tells. ------------------------------------------------------------------------

    def may_serve(self) -> bool:
        """Not before it is written that it is being consumed: what is delivered from now on comes again after a
        crash, and is then told to be sent again."""
        if not self.log or not self.waiting:
            return True
        self.begin_to_send()
        return self._noted <= self.journal.durable

    def begin_to_send(self) -> None:
        if self.log and self.unsent_from:
            self.unsent_from = 0
            self.note()

    def note(self) -> None:
        """Write what it is."""
        if self.log:
            self._noted = self.journal.put(QUEUES, self.name, records.write_queue(self.record()), True)
            self.journal.tell(self)

    def record(self) -> records.QueueRecord:
        feeds = [(feed.topic_filter, feed.author) for feed in self.feeds.values()]
        return records.QueueRecord(
            self.number, self.settings, self.author, feeds, self.unsent_from, self.administrators
        )

    def settle_down(self) -> None:
        """Nobody consumes it any more: from which number on nothing was delivered."""
        if not self.log or self.unsent_from or self.unsettled:
            return
        unsent = self.next_sequence
        for line in self.lines:
            for entry in line.waiting():
                if not entry.again and entry.sequence < unsent:
                    unsent = entry.sequence
                    break
        self.unsent_from = unsent
        self.note()

    def lasts(self, entry: Entry) -> None:
        if entry.state == ACQUIRED:
            consumer = entry.consumer
            if consumer is not None:
                consumer.coming -= 1
                consumer.deliver(entry)
        elif entry.state == READY and entry.expires_at <= self.clock.now:
            self.await_expiry(entry)

    def refused(self, entry: Entry) -> None:
        if entry.state == ACQUIRED:
            consumer = entry.consumer
            if consumer is not None:
                consumer.coming -= 1
            self._let_go(entry)
            entry.holder = ""
            self.come_back(entry)
            self.offer_again(entry)
        elif entry.state == READY and not entry.again:
            entry.lasts = False
            entry.state = GONE
            self.leave(entry)
            self.forget(entry)

    def restored(self, entry: Entry) -> None:
        if self.gone:
            return
        weight = entry.weight
        self.octets += weight
        self.account.take(weight)
        self.total.take(weight)
        if entry.lasts and (entry.deliveries or entry.annotations is not None):
            self.journal.put(MARKED, self.key_of(entry), records.write_mark(entry), True)
        entry.holder = ""
        entry.again = True
        self.come_back(entry)
        self.offer_again(entry)

    def go_on(self) -> None:
        if self.gone:
            return
        if self._noted > self.journal.durable:
            self._noted = self.journal.put(QUEUES, self.name, records.write_queue(self.record()), True)
            self.journal.tell(self)
        self.look_after()

    # Time. ------------------------------------------------------------------------------------------

    def is_used(self) -> bool:
        return bool(self.consumers) or bool(self.holdings)

    def next_timeout(self) -> float:
        when = self.clock.now if self.is_too_full() else self.next_expiry()  # after a crash it may be
        for holding in self.holdings.values():
            when = min(when, holding.until)
        if self.settings.expires is not None and not self.is_used():
            when = min(when, self.used_at + self.settings.expires)
        return when

    def handle_timeout(self) -> None:
        self.renew()
        self.expire()
        if self.holdings:
            self.give_up_holdings()
        self.look_after()


def _sequence(entry: Entry) -> int:
    return entry.sequence
