"""Queues as a weapon: dead letters without end, memory that nobody counts, messages held by who is gone."""

from __future__ import annotations

from bridgehead.broker.limits import Limits
from bridgehead.broker.queues.ports import DeadLetters
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import DROP_HEAD, DeadLetter, QueueSettings
from bridgehead.core.entry import Entry
from bridgehead.core.message import Message
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Modified
from bridgehead.protocols.amqp.codec.v1.termini import Source
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v1.receiving import publish, put, queue


def test_a_queue_that_is_fed_by_the_topic_of_its_dead_letters_ends_them() -> None:
    """Whoever may publish and subscribe one topic may declare such a queue over 0-9-1: the hub would never come back
    from the first message that is pushed out."""
    hub = AmqpHub()
    made = queue(hub, settings=QueueSettings(max_messages=1, overflow=DROP_HEAD, dead_letter=DeadLetter(topic="t")))
    hub.broker.queues.feed(made, ["t"])
    for number in range(3):
        publish(hub, "t", b"%d" % number)
    assert made.waiting == 1
    assert hub.broker.counters.dead_letters_lost == 2
    got = hub.container().receiver("/queues/orders").deliveries()
    assert [each.body for each in got] == [b"2"]


class ToTopic(DeadLetters):
    """An exchange that is bound to a topic."""

    def __init__(self, hub: AmqpHub) -> None:
        super().__init__()
        self._hub = hub

    def route(
        self, principal: Principal, exchange: str, routing_key: str, message: Message, entry: Entry
    ) -> list[Queue]:
        sent = Message("t", message.payload, message.qos, False, message.origin)
        self._hub.broker.door.publish(principal, sent, None)
        return []


def test_nor_does_it_go_round_by_an_exchange_that_is_bound_to_a_topic() -> None:
    hub = AmqpHub()
    hub.broker.queues.set_exchanges(ToTopic(hub))
    full = QueueSettings(max_messages=0, overflow=DROP_HEAD, dead_letter=DeadLetter(exchange="x"))
    hub.broker.queues.feed(queue(hub, settings=full), ["t"])
    publish(hub, "t", b"1")
    assert hub.broker.queues.all()[0].waiting == 0


def test_what_expires_does_not_go_round_by_a_topic() -> None:
    hub = AmqpHub()
    made = queue(hub, settings=QueueSettings(message_ttl=1.0, dead_letter=DeadLetter(topic="t")))
    hub.broker.queues.feed(made, ["t"])
    publish(hub, "t", b"once")
    hub.pass_time(5)
    assert made.waiting == 0
    assert hub.broker.counters.dead_letters_lost == 1


def test_dead_letters_by_topic_still_reach_other_queues() -> None:
    hub = AmqpHub()
    first = queue(hub, settings=QueueSettings(max_messages=0, overflow=DROP_HEAD, dead_letter=DeadLetter(topic="dead")))
    graves = queue(hub, "graves")
    hub.broker.queues.feed(first, ["t"])
    hub.broker.queues.feed(graves, ["dead"])
    publish(hub, "t", b"1")
    assert graves.waiting == 1


def test_a_circle_of_more_queues_than_deaths_are_remembered_ends() -> None:
    hub = AmqpHub()
    for number in range(40):
        letter = DeadLetter(queue=f"q{(number + 1) % 40}")
        queue(hub, f"q{number}", QueueSettings(max_messages=0, overflow=DROP_HEAD, dead_letter=letter))
    put(hub, b"1", name="q0")
    assert hub.broker.counters.dead_letters_lost == 1


def test_empty_messages_are_not_for_nothing() -> None:
    """A message of twelve octets takes hundreds: a gigabyte of them would be fifty."""
    limits = Limits()
    limits.named_queue_octets_per_identity = 64 * 1024
    hub = AmqpHub(limits=limits)
    box = hub.container("office").receiver(None, 0, source=Source(None, dynamic=True))
    source = box.answer.source
    assert isinstance(source, Source)
    link = hub.container("sensor").sender(str(source.address))
    outcomes = []
    for _ in range(200):
        link.transfer(body=b"")
        outcomes.append(link.outcome())
    made = hub.broker.queues.all()[0]
    assert 64 <= made.waiting <= 128
    assert outcomes.count(ACCEPTED) == made.waiting
    made.purge()
    link.transfer(body=b"")
    assert link.outcome() is ACCEPTED


def test_what_a_receiver_does_not_settle_counts_where_nothing_waits() -> None:
    limits = Limits()
    limits.named_queue_octets = 10 * 1024
    hub = AmqpHub(limits=limits)
    made = queue(hub, settings=QueueSettings())
    receiver = hub.container("office").receiver("/queues/orders", credit=1000)
    link = hub.container("sensor").sender("/queues/orders")
    for _ in range(50):
        link.transfer(body=b"x" * 1024)
    assert made.octets <= 10 * 1024
    assert len(receiver.deliveries()) == made.unsettled < 10


def test_what_consumers_add_to_messages_weighs() -> None:
    limits = Limits()
    limits.named_queue_octets = 32 * 1024
    hub = AmqpHub(limits=limits)
    made = queue(hub)
    for _ in range(10):
        put(hub, b"x")
    receiver = hub.container("office").receiver("/queues/orders", credit=10)
    for each in receiver.deliveries():
        receiver.settle(each.delivery_id, state=Modified(False, True, {Symbol("x-opt-note"): "x" * 8000}))
    assert made.waiting == 10
    carried = [len(entry.annotations) for entry in made.all_waiting() if entry.annotations is not None]
    assert 0 < sum(carried) <= made.octets <= 32 * 1024
    restored = hub.crash().broker.queues.find("orders")
    assert restored is not None
    assert restored.octets == made.octets
    made.purge()
    assert (made.octets, made.account.octets, made.total.octets, made.total.entries) == (0, 0, 0, 0)


def test_a_revoked_identity_s_absent_links_hold_nothing() -> None:
    """Else what it acquired is nobody's for seven days, and then a later identity's of the same name."""
    hub = AmqpHub()
    made = queue(hub)
    put(hub, b"1")
    eve = hub.container("eve")
    link = eve.receiver("/queues/orders", name="l", source=Source("/queues/orders", 2, "never"))
    assert len(link.deliveries()) == 1
    eve.drop()
    assert (made.waiting, made.unsettled) == (0, 1)
    hub.broker.revoke("eve", "removed")
    hub.settle()
    assert (made.waiting, made.unsettled) == (1, 0)
    assert len(hub.container("office").receiver("/queues/orders").deliveries()) == 1
