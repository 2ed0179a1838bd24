"""How messages end in a queue: expired, rejected, pushed out, failed too often; and what becomes of them then."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import DROP_HEAD, DeadLetter, QueueSettings
from bridgehead.core.errors import QUEUE_FULL, QUOTA_EXCEEDED, Refusal
from bridgehead.core.permission import Permission
from tests.broker.fakes import FakeReceiver, House
from tests.broker.queues.fakes import FakeConsumer, declared, queue_house, sent, waiting


def with_graves(house: House, settings: QueueSettings) -> tuple[Queue, Queue]:
    graves = declared(house, "graves")
    return declared(house, settings=settings), graves


def later(house: House, seconds: float) -> None:
    house.clock.now += seconds
    assert house.broker.next_timeout() <= house.clock.now
    house.broker.handle_timeout()


def reasons(queue: Queue) -> list[list[tuple[str, str, int]]]:
    return [[(each.queue, each.reason, each.count) for each in entry.deaths] for entry in queue.all_waiting()]


def test_what_has_waited_too_long_dies_where_it_stands() -> None:
    house = queue_house()
    queue, graves = with_graves(house, QueueSettings(message_ttl=10.0, dead_letter=DeadLetter(queue="graves")))
    sent(house, queue, b"own", expires_at=house.clock.now + 3.0)
    sent(house, queue, b"queue's")
    later(house, 3.0)
    assert (waiting(queue), waiting(graves)) == ([b"queue's"], [b"own"])
    later(house, 7.0)
    assert (waiting(queue), waiting(graves)) == ([], [b"own", b"queue's"])
    assert reasons(graves) == [[("jobs", "expired", 1)]] * 2
    house.clock.now += 1000.0
    house.broker.handle_timeout()
    assert waiting(graves) == [b"own", b"queue's"]  # it does not expire a second time


def test_what_is_with_a_consumer_does_not_expire() -> None:
    house = queue_house()
    queue = declared(house, settings=QueueSettings(message_ttl=5.0))
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    sent(house, queue, b"a")
    house.clock.now += 10.0
    house.broker.handle_timeout()
    assert queue.unsettled == 1
    consumer.credit = 0
    house.broker.queues.release(queue, consumer.got[0])
    house.broker.handle_timeout()
    assert (queue.waiting, queue.octets) == (0, 0)


def test_the_rejected_becomes_a_dead_letter_with_its_way() -> None:
    house = queue_house()
    queue, graves = with_graves(house, QueueSettings(dead_letter=DeadLetter(queue="graves", routing_key="late")))
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    sent(house, queue, b"a")
    house.broker.queues.reject(queue, consumer.got[0])
    (entry,) = graves.all_waiting()
    assert (entry.message.payload, entry.routing_key) == (b"a", "late")
    assert reasons(graves) == [[("jobs", "rejected", 1)]]


def test_without_a_place_for_dead_letters_it_is_gone() -> None:
    house = queue_house()
    queue = declared(house)
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    sent(house, queue, b"a")
    house.broker.queues.reject(queue, consumer.got[0])
    assert (queue.waiting, queue.unsettled, queue.octets) == (0, 0, 0)


def test_the_oldest_makes_room_or_the_newest_is_refused() -> None:
    house = queue_house()
    letter = DeadLetter(queue="graves")
    queue, graves = with_graves(house, QueueSettings(max_messages=2, overflow=DROP_HEAD, dead_letter=letter))
    strict = declared(house, "strict", QueueSettings(max_messages=2))
    for number in range(3):
        sent(house, queue, b"%d" % number)
    assert (waiting(queue), waiting(graves)) == ([b"1", b"2"], [b"0"])
    assert reasons(graves) == [[("jobs", "maxlen", 1)]]
    sent(house, strict, b"0")
    sent(house, strict, b"1")
    with pytest.raises(Refusal) as caught:
        sent(house, strict, b"2")
    assert caught.value.meaning == QUEUE_FULL
    assert len(house.named("queue.overflowing")) == 1


def test_octets_are_bounded_too() -> None:
    house = queue_house()
    queue = declared(house, settings=QueueSettings(max_octets=1000, overflow=DROP_HEAD))
    for number in range(4):
        sent(house, queue, b"%d" % number + b"x" * 300)
    assert queue.waiting_octets <= 1000
    assert waiting(queue)[-1][:1] == b"3"


def test_the_hub_bounds_what_queues_hold() -> None:
    limits = Limits()
    limits.named_queue_messages = 2
    house = House(None, limits)
    house.principals["one"].permit([Permission("$QUEUE/#", True, True)], ["*"])
    queue = declared(house)
    sent(house, queue, b"0")
    sent(house, queue, b"1")
    with pytest.raises(Refusal) as caught:
        sent(house, queue, b"2")
    assert caught.value.meaning == QUOTA_EXCEEDED


def test_what_failed_too_often_is_dead() -> None:
    house = queue_house()
    queue, graves = with_graves(house, QueueSettings(max_deliveries=2, dead_letter=DeadLetter(queue="graves")))
    consumer = FakeConsumer(house, credit=2)
    house.broker.queues.attach(consumer, queue)
    sent(house, queue, b"poison")
    house.broker.queues.release(queue, consumer.got[0], failed=True)
    assert consumer.got[1].deliveries == 1
    house.broker.queues.release(queue, consumer.got[1], failed=True)
    assert (waiting(queue), waiting(graves)) == ([], [b"poison"])
    assert reasons(graves) == [[("jobs", "delivery_limit", 1)]]


def test_what_would_go_round_for_ever_is_lost_once_it_closes_the_circle() -> None:
    house = queue_house()
    first = declared(house, "first", QueueSettings(message_ttl=1.0, dead_letter=DeadLetter(queue="second")))
    second = declared(house, "second", QueueSettings(message_ttl=1.0, dead_letter=DeadLetter(queue="first")))
    sent(house, first, b"a")
    later(house, 1.0)
    assert (waiting(first), waiting(second)) == ([], [b"a"])
    later(house, 1.0)
    assert (waiting(first), waiting(second)) == ([], [])
    assert [event["reason"] for event in house.named("queue.dead-letter-lost")] == ["expired"]


def test_a_circle_that_somebody_rejects_into_goes_on_and_counts() -> None:
    house = queue_house()
    work = declared(house, "work", QueueSettings(dead_letter=DeadLetter(queue="pause")))
    declared(house, "pause", QueueSettings(message_ttl=1.0, dead_letter=DeadLetter(queue="work")))
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, work)
    sent(house, work, b"again")
    for turn in range(3):
        house.broker.queues.reject(work, consumer.got[turn])
        later(house, 1.0)
    assert [each.reason for each in consumer.got[3].deaths] == ["expired", "rejected"]
    assert [each.count for each in consumer.got[3].deaths] == [3, 3]


def test_a_dead_letter_goes_to_a_topic_with_the_rights_of_who_declared_the_queue() -> None:
    house = queue_house()
    receiver = FakeReceiver()
    house.subscribe(house.session("two", receiver=receiver, expiry=0.0), "graves/#", qos=0)
    queue = declared(house, settings=QueueSettings(dead_letter=DeadLetter(topic="graves/jobs")))
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    sent(house, queue, b"a")
    sent(house, queue, b"b")
    house.broker.queues.reject(queue, consumer.got[0])
    assert receiver.transmitted == [b"a"]
    house.principals["one"].permit([Permission("$QUEUE/#", True, True)], ["*"])
    house.broker.permissions_changed(["one"])
    house.broker.queues.reject(queue, consumer.got[1])
    assert receiver.transmitted == [b"a"]
    assert len(house.named("queue.dead-letter-lost")) == 1


def test_what_comes_back_makes_no_queue_longer_than_it_may_be() -> None:
    house = queue_house()
    letter = DeadLetter(queue="graves")
    queue, graves = with_graves(house, QueueSettings(max_messages=1, overflow=DROP_HEAD, dead_letter=letter))
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    sent(house, queue, b"0")
    sent(house, queue, b"1")
    house.broker.queues.detach(consumer)
    assert (waiting(queue), waiting(graves)) == ([b"1"], [b"0"])


def test_what_made_room_for_another_does_not_keep_that_from_who_is_ready() -> None:
    house = queue_house()
    queue = declared(house, settings=QueueSettings(durable=True, max_messages=1, overflow=DROP_HEAD))
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    house.turn()
    sent(house, queue, b"written", qos=1)
    sent(house, queue, b"at once", qos=0)  # the other had not lasted yet, and is pushed out
    assert consumer.payloads() == [b"at once"]
