"""A queue against a model of it: whatever is done to it, in any order, with commits that fail and hubs that die."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import DROP_HEAD, REJECT, DeadLetter, QueueSettings
from bridgehead.core.entry import ACQUIRED, READY, Entry
from bridgehead.core.errors import QUEUE_FULL, Refusal
from bridgehead.core.message import NEVER
from tests.broker.fakes import FakeReceiver, House
from tests.broker.queues.fakes import FakeConsumer, declared, origin_of, queue_house, sent
from tests.mqtt.dialogue import ManualStore

QUEUE: Final = "jobs"
GRAVES: Final = "graves"

# What became of a message, as far as the model knows.
HERE: Final = "here"  # waiting or with a consumer
TAKEN: Final = "taken"  # accepted, or delivered to one that settles at once
DEAD: Final = "dead"
REFUSED: Final = "refused"  # its batch could not be kept


class Sent:
    def __init__(self, number: int, priority: int, expires_at: float, lasts: bool) -> None:
        self.number = number
        self.priority = priority
        self.expires_at = expires_at
        self.lasts = lasts
        self.state = HERE
        self.written = not lasts  # its commit is over
        self.failures = 0
        self.delivered = False


class Watching(FakeConsumer):
    """Checks at each delivery that nothing else would have been first."""

    def __init__(self, machine: QueueMachine, credit: int, settled: bool, priority: int, even: bool) -> None:
        chosen: set[bytes] | None = set() if even else None  # not None: it is asked
        super().__init__(machine.house, credit=credit, settled=settled, priority=priority, only=chosen)
        self.machine = machine

    def wants(self, entry: Entry) -> bool:
        return number_of(entry) % 2 == 0

    def deliver(self, entry: Entry) -> None:
        super().deliver(entry)
        self.machine.delivered(self, entry)


def number_of(entry: Entry) -> int:
    return int(entry.message.payload.split(b" ")[0])


class QueueMachine(RuleBasedStateMachine):
    house: House

    @initialize(
        durable=st.booleans(),
        max_messages=st.sampled_from([None, None, 1, 4]),
        overflow=st.sampled_from([DROP_HEAD, REJECT]),
        ttl=st.sampled_from([None, None, 5.0]),
        max_priority=st.sampled_from([0, 0, 3]),
        max_deliveries=st.sampled_from([0, 2]),
        single_active=st.sampled_from([False, False, True]),
    )
    def begin(
        self,
        durable: bool,
        max_messages: int | None,
        overflow: str,
        ttl: float | None,
        max_priority: int,
        max_deliveries: int,
        single_active: bool,
    ) -> None:
        self.settings = QueueSettings(
            durable=durable,
            message_ttl=ttl,
            max_messages=max_messages,
            overflow=overflow,
            dead_letter=DeadLetter(queue=GRAVES),
            max_priority=max_priority,
            max_deliveries=max_deliveries,
            single_active=single_active,
        )
        self.sent: dict[int, Sent] = {}
        self.open(ManualStore())
        declared(self.house, GRAVES, QueueSettings(durable=True))
        declared(self.house, QUEUE, self.settings)
        self.house.turn()
        self.attach(3, False, 0, False)

    def open(self, store: ManualStore) -> None:
        now: float = self.house.clock.now if hasattr(self, "house") else 1_000_000.0
        self.house = queue_house(store, now)
        self.publisher = FakeReceiver()
        self.pending: list[tuple[int, Sent]] = []  # ticket and message
        self.consumers: list[FakeConsumer] = []

    # The house. -------------------------------------------------------------------------------------

    @property
    def queue(self) -> Queue:
        found = self.house.broker.queues.find(QUEUE)
        assert found is not None
        return found

    def graves(self) -> list[int]:
        found = self.house.broker.queues.find(GRAVES)
        assert found is not None
        return [number_of(entry) for entry in found.all_waiting()]

    def here(self) -> list[Sent]:
        return [each for each in self.sent.values() if each.state == HERE]

    def delivered(self, consumer: FakeConsumer, entry: Entry) -> None:
        each = self.sent[number_of(entry)]
        assert each.state == HERE
        assert each.written, "delivered before the commit"
        assert entry.expires_at >= self.house.clock.now
        assert entry.again is each.delivered
        assert entry.deliveries == each.failures
        each.delivered = True
        for other in self.queue.all_waiting():
            if other.ticket or other.expires_at < self.house.clock.now or not consumer.suits(other):
                continue
            assert self.rank(other) > self.rank(entry), "another was first"
        if consumer.settled:
            each.state = TAKEN

    def rank(self, entry: Entry) -> tuple[int, int]:
        return (self.queue.place_of(entry), entry.sequence)

    def dead(self, number: int) -> None:
        self.sent[number].state = DEAD

    # Rules. -----------------------------------------------------------------------------------------

    @rule(
        qos=st.sampled_from([0, 1]),
        priority=st.integers(0, 4),
        lifetime=st.sampled_from([NEVER, NEVER, 3.0]),
    )
    def publish(self, qos: int, priority: int, lifetime: float) -> None:
        number = len(self.sent)
        expires_at = self.house.clock.now + lifetime
        if self.settings.message_ttl is not None:
            expires_at = min(expires_at, self.house.clock.now + self.settings.message_ttl)
        each = Sent(number, priority, expires_at, bool(qos) and self.settings.durable)
        self.sent[number] = each
        full = self.settings.max_messages is not None and self.queue.waiting >= self.settings.max_messages
        until = self.house.clock.now + lifetime
        if full and self.settings.overflow == REJECT:
            with pytest.raises(Refusal) as caught:
                sent(self.house, QUEUE, b"%d" % number, qos, self.publisher, priority, until)
            assert caught.value.meaning == QUEUE_FULL
            each.state = REFUSED
            return
        ticket = sent(self.house, QUEUE, b"%d" % number, qos, self.publisher, priority, until)
        assert (ticket > 0) is each.lasts
        if ticket:
            self.pending.append((ticket, each))
        self.bury()

    def bury(self) -> None:
        """What has come to the graves is dead, and was here before."""
        for number in self.graves():
            each = self.sent[number]
            if each.state == HERE:
                each.state = DEAD

    @rule(
        credit=st.integers(0, 5),
        settled=st.booleans(),
        priority=st.sampled_from([0, 0, 0, 1]),
        even=st.sampled_from([False, False, True]),
    )
    @precondition(lambda self: len(self.consumers) < 4)
    def attach(self, credit: int, settled: bool, priority: int, even: bool) -> None:
        consumer = Watching(self, credit, settled, priority, even)
        self.consumers.append(consumer)
        self.house.broker.queues.attach(consumer, self.queue)
        self.bury()

    @precondition(lambda self: self.consumers)
    @rule(index=st.integers(0, 3), credit=st.integers(1, 5))
    def wake(self, index: int, credit: int) -> None:
        if index < len(self.consumers):
            self.consumers[index].credit += credit
            self.house.broker.queues.wake(self.consumers[index])
            self.bury()

    @precondition(lambda self: self.consumers)
    @rule(index=st.integers(0, 3))
    def drain(self, index: int) -> None:
        if index < len(self.consumers):
            consumer = self.consumers[index]
            before = consumer.drained
            self.house.broker.queues.drain(consumer)
            assert consumer.drained == before + 1
            self.bury()

    @precondition(lambda self: len(self.consumers) > 1)
    @rule(index=st.integers(0, 3), failed=st.booleans())
    def detach(self, index: int, failed: bool) -> None:
        if index >= len(self.consumers):
            return
        consumer = self.consumers.pop(index)
        if failed:
            for entry in self.acquired(consumer):
                self.sent[number_of(entry)].failures += 1
        self.house.broker.queues.detach(consumer, failed)
        self.bury()

    def acquired(self, consumer: FakeConsumer) -> list[Entry]:
        mine = [entry for entry in consumer.got if entry.state == ACQUIRED and entry.consumer is consumer]
        return list(dict.fromkeys(mine))

    def chosen(self, index: int) -> tuple[FakeConsumer, Entry] | None:
        held = [(consumer, entry) for consumer in self.consumers for entry in self.acquired(consumer)]
        return held[index % len(held)] if held else None

    @precondition(lambda self: self.chosen(0) is not None)
    @rule(index=st.integers(0, 20))
    def accept(self, index: int) -> None:
        found = self.chosen(index)
        if found is not None:
            self.sent[number_of(found[1])].state = TAKEN
            self.house.broker.queues.accept(self.queue, found[1], self.publisher)
            assert self.house.broker.queues.accept(self.queue, found[1], self.publisher) == 0  # a second time

    @precondition(lambda self: self.chosen(0) is not None)
    @rule(index=st.integers(0, 20))
    def reject(self, index: int) -> None:
        found = self.chosen(index)
        if found is not None:
            self.house.broker.queues.reject(self.queue, found[1])
            assert number_of(found[1]) in self.graves()
            self.bury()

    @precondition(lambda self: self.chosen(0) is not None)
    @rule(index=st.integers(0, 20), failed=st.booleans(), elsewhere=st.sampled_from([False, False, True]))
    def release(self, index: int, failed: bool, elsewhere: bool) -> None:
        found = self.chosen(index)
        if found is not None:
            if failed:
                self.sent[number_of(found[1])].failures += 1
            self.house.broker.queues.release(self.queue, found[1], failed, elsewhere)
            self.bury()

    @rule(settled=st.booleans())
    def get(self, settled: bool) -> None:
        principal, origin = self.house.principals["two"], origin_of("two")
        waits = [entry for entry in self.queue.all_waiting() if not entry.ticket]
        waits = [entry for entry in waits if entry.expires_at >= self.house.clock.now]
        entry = self.house.broker.queues.get(principal, origin, self.queue, settled)
        self.bury()
        if entry is None:
            blocked = {self.queue.place_of(each) for each in self.queue.all_waiting() if each.ticket}
            waits = [each for each in waits if each.expires_at > self.house.clock.now]
            assert all(self.queue.place_of(each) in blocked for each in waits)
            return
        each = self.sent[number_of(entry)]
        assert entry.again is each.delivered
        each.delivered = True
        if settled:
            each.state = TAKEN
        else:
            self.house.broker.queues.release(self.queue, entry)
            self.bury()

    @rule(seconds=st.sampled_from([1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.house.clock.now += seconds
        self.house.broker.handle_timeout()
        self.bury()

    @rule(count=st.integers(1, 5))
    def publish_some(self, count: int) -> None:
        """So many that last, and their commit."""
        for _ in range(count):
            self.publish(1, 4, NEVER)
        self.turn()

    @rule()
    def turn(self) -> None:
        """Everything that was written lasts, and those who wait are told."""
        for _, each in self.pending:
            each.written = True
        self.pending.clear()
        self.house.turn()
        self.bury()

    @rule()
    def fail(self) -> None:
        """The disk is full: what was not acknowledged is refused, and nothing else is lost."""
        self.house.broker.journal.flush()
        if not self.house.store.waiting:
            return
        for _, each in self.pending:
            if each.state == HERE:
                each.state = REFUSED
        told = len(self.publisher.failures)
        expected = bool(self.pending)
        self.pending.clear()
        self.house.store.full = True
        self.house.store.finish()
        self.house.store.full = False
        assert not expected or len(self.publisher.failures) > told
        self.house.clock.now += 2.0
        self.house.broker.handle_timeout()
        self.bury()
        self.turn()

    @rule(in_order=st.booleans())
    def die(self, in_order: bool) -> None:
        """The hub is killed. What it had acknowledged is there when it comes up again, in its order."""
        if in_order:
            self.turn()
        before = [each for each in self.here() if each.lasts]
        places = {number_of(entry): self.rank(entry) for entry in self.everything()}
        self.open(self.house.store.copy())
        if not self.settings.durable:
            declared(self.house, QUEUE, self.settings)
        there = [number_of(entry) for entry in self.queue.all_waiting()]
        graves = self.graves()  # with what nobody has any more and is too much now
        for each in before:
            assert each.number in there or not each.written or each.number in graves
        assert sorted(there, key=lambda number: places.get(number, (0, 0))) == there or not in_order
        for each in self.sent.values():
            if each.number in there:
                # What was taken and not committed comes again.
                assert each.lasts
                assert not in_order or each.state == HERE
                each.state = HERE
                each.written = True
            elif each.state == HERE or each.state == DEAD:
                each.state = DEAD if each.number in graves else REFUSED
        for entry in self.queue.all_waiting():
            each = self.sent[number_of(entry)]
            assert entry.again or not each.delivered
            assert entry.deliveries == each.failures or not in_order
            each.delivered = entry.again
            each.failures = entry.deliveries
            assert entry.expires_at == each.expires_at
        self.house.broker.handle_timeout()  # what has expired, and what is too much now that nobody has it
        self.bury()

    def everything(self) -> list[Entry]:
        found = list(self.queue.all_waiting())
        for consumer in self.consumers:
            found.extend(self.acquired(consumer))
        return found

    # What always holds. -----------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_nothing_is_twice(self) -> None:
        if not hasattr(self, "house"):
            return
        there = sorted(number_of(entry) for entry in self.everything())
        assert there == sorted(each.number for each in self.here())
        graves = self.graves()
        assert len(graves) == len(set(graves))
        assert {each.number for each in self.sent.values() if each.state == DEAD} <= set(graves)

    @invariant()
    def figures_are_right(self) -> None:
        if not hasattr(self, "house"):
            return
        queue = self.queue
        waits = queue.all_waiting()
        taken = [entry for entry in self.everything() if entry.state == ACQUIRED]
        assert queue.waiting == len(waits)
        assert queue.waiting_octets == sum(entry.weight for entry in waits)
        assert queue.unsettled == len(taken)
        assert queue.octets == queue.waiting_octets + sum(entry.weight for entry in taken)
        graves = self.house.broker.queues.find(GRAVES)
        assert graves is not None
        assert self.house.broker.queues.octets == queue.octets + graves.octets
        assert queue.account.octets == queue.octets + graves.octets
        if self.settings.max_messages is not None and self.settings.overflow == DROP_HEAD:
            assert queue.waiting <= self.settings.max_messages

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        if not hasattr(self, "house"):
            return
        queue = self.queue
        if not queue.may_serve():
            return
        blocked = {queue.place_of(entry): entry.sequence for entry in reversed(queue.all_waiting()) if entry.ticket}
        for consumer in self.consumers:
            if not consumer.ready() or (self.settings.single_active and consumer is not queue.consumers[0]):
                continue
            for entry in queue.all_waiting():
                if entry.sequence >= blocked.get(queue.place_of(entry), entry.sequence + 1):
                    continue
                assert entry.state == READY
                assert entry.expires_at < self.house.clock.now or not consumer.suits(entry)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
