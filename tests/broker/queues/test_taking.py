"""Who gets what of a queue, in which order, and what comes back to its place."""

from __future__ import annotations

from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.message import Message, Origin
from bridgehead.core.permission import Permission
from tests.broker.fakes import House
from tests.broker.queues.fakes import FakeConsumer, declared, origin_of, queue_house, sent, waiting


def filled(house: House, count: int, settings: QueueSettings | None = None) -> None:
    queue = declared(house, settings=settings)
    for number in range(count):
        sent(house, queue, b"%d" % number)


def attached(house: House, consumer: FakeConsumer, name: str = "jobs") -> FakeConsumer:
    queue = house.broker.queues.find(name)
    assert queue is not None
    house.broker.queues.attach(consumer, queue)
    return consumer


def test_consumers_compete_in_turn() -> None:
    house = queue_house()
    queue = declared(house)
    first, second = attached(house, FakeConsumer(house)), attached(house, FakeConsumer(house))
    for number in range(4):
        sent(house, queue, b"%d" % number)
    assert (first.payloads(), second.payloads()) == ([b"0", b"2"], [b"1", b"3"])


def test_one_that_is_not_ready_is_passed_over_until_it_wakes() -> None:
    house = queue_house()
    filled(house, 3)
    consumer = attached(house, FakeConsumer(house, credit=1))
    assert consumer.payloads() == [b"0"]
    consumer.credit = 5
    house.broker.queues.wake(consumer)
    assert consumer.payloads() == [b"0", b"1", b"2"]


def test_a_higher_consumer_gets_all_while_it_is_ready() -> None:
    house = queue_house()
    queue = declared(house)
    low = attached(house, FakeConsumer(house))
    high = attached(house, FakeConsumer(house, credit=2, priority=1))
    for number in range(3):
        sent(house, queue, b"%d" % number)
    assert (high.payloads(), low.payloads()) == ([b"0", b"1"], [b"2"])


def test_a_single_active_one_gets_all_and_the_next_when_it_has_gone() -> None:
    house = queue_house()
    queue = declared(house, settings=QueueSettings(single_active=True))
    first, second = attached(house, FakeConsumer(house)), attached(house, FakeConsumer(house))
    sent(house, queue, b"a")
    sent(house, queue, b"b")
    assert (first.payloads(), second.payloads()) == ([b"a", b"b"], [])
    house.broker.queues.detach(first)
    assert second.payloads() == [b"a", b"b"]
    assert [entry.again for entry in second.got] == [True, True]


def test_higher_messages_first_and_those_alike_in_their_order() -> None:
    house = queue_house()
    queue = declared(house, settings=QueueSettings(max_priority=5))
    for payload, priority in ((b"a", 0), (b"b", 5), (b"c", 9), (b"d", 1), (b"e", 0)):
        sent(house, queue, payload, priority=priority)
    assert attached(house, FakeConsumer(house)).payloads() == [b"b", b"c", b"d", b"a", b"e"]


def test_what_is_given_back_stands_where_it_was() -> None:
    house = queue_house()
    filled(house, 5)
    queue = house.broker.queues.find("jobs")
    assert queue is not None
    consumer = attached(house, FakeConsumer(house, credit=4))
    house.broker.queues.accept(queue, consumer.got[0])
    house.broker.queues.release(queue, consumer.got[2])
    house.broker.queues.release(queue, consumer.got[1])
    assert waiting(queue) == [b"1", b"2", b"4"]
    house.broker.queues.detach(consumer)
    assert waiting(queue) == [b"1", b"2", b"3", b"4"]
    assert [entry.again for entry in queue.all_waiting()] == [True, True, True, False]


def test_only_what_failed_counts() -> None:
    house = queue_house()
    filled(house, 1)
    queue = house.broker.queues.find("jobs")
    assert queue is not None
    consumer = attached(house, FakeConsumer(house, credit=1))
    house.broker.queues.release(queue, consumer.got[0])
    assert queue.all_waiting()[0].deliveries == 0
    consumer.credit = 1
    house.broker.queues.wake(consumer)
    house.broker.queues.release(queue, consumer.got[1], failed=True)
    assert queue.all_waiting()[0].deliveries == 1


def test_what_one_cannot_have_goes_to_another() -> None:
    house = queue_house()
    filled(house, 1)
    queue = house.broker.queues.find("jobs")
    assert queue is not None
    consumer = attached(house, FakeConsumer(house))
    house.broker.queues.release(queue, consumer.got[0], undeliverable_here=True)
    assert waiting(queue) == [b"0"]
    assert attached(house, FakeConsumer(house)).payloads() == [b"0"]
    assert consumer.payloads() == [b"0"]


def test_one_that_chooses_takes_from_the_middle_and_others_the_rest() -> None:
    house = queue_house()
    filled(house, 4)
    choosing = attached(house, FakeConsumer(house, only={b"1", b"3"}))
    assert choosing.payloads() == [b"1", b"3"]
    queue = house.broker.queues.find("jobs")
    assert queue is not None
    house.broker.queues.release(queue, choosing.got[0])  # it is asked again about what comes back
    assert choosing.payloads() == [b"1", b"3", b"1"]
    assert attached(house, FakeConsumer(house)).payloads() == [b"0", b"2"]


def test_one_who_drains_is_told_once_there_is_no_more() -> None:
    house = queue_house()
    filled(house, 2)
    consumer = attached(house, FakeConsumer(house, credit=0))
    consumer.credit = 10
    house.broker.queues.drain(consumer)
    assert (consumer.payloads(), consumer.drained) == ([b"0", b"1"], 1)


def test_who_looks_takes_nothing() -> None:
    house = queue_house()
    filled(house, 3)
    queue = house.broker.queues.find("jobs")
    assert queue is not None
    two = house.principals["two"]
    seen = house.broker.queues.browse(two, origin_of("two"), queue, 0, 2)
    seen += house.broker.queues.browse(two, origin_of("two"), queue, seen[-1].sequence, 2)
    assert [entry.message.payload for entry in seen] == [b"0", b"1", b"2"]
    assert waiting(queue) == [b"0", b"1", b"2"]


def test_one_message_for_who_asks_for_one() -> None:
    house = queue_house()
    filled(house, 2)
    queue = house.broker.queues.find("jobs")
    assert queue is not None
    two = house.principals["two"]
    first = house.broker.queues.get(two, origin_of("two"), queue, settled=False)
    assert first is not None
    house.broker.queues.release(queue, first)
    again = house.broker.queues.get(two, origin_of("two"), queue, settled=True)
    assert again is first
    assert again.again
    assert waiting(queue) == [b"1"]


def test_one_that_stops_settles_still_what_it_has() -> None:
    house = queue_house()
    filled(house, 3)
    queue = house.broker.queues.find("jobs")
    assert queue is not None
    consumer = attached(house, FakeConsumer(house, credit=2))
    house.broker.queues.stop(consumer)
    assert (queue.waiting, queue.unsettled) == (1, 2)
    house.broker.queues.accept(queue, consumer.got[0])
    house.broker.queues.requeue_all(consumer, queue)
    assert waiting(queue) == [b"1", b"2"]


def test_who_may_have_what_is_verified_only_gets_no_other() -> None:
    house = queue_house()
    house.principals["two"].permit([Permission("$QUEUE/jobs", False, True, verified=True)], ["*"])
    queue = declared(house)
    proven = Message("t", b"proven", 1, False, origin_of("one"))
    unproven = Message("t", b"unproven", 1, False, Origin("one", "fake", False, "one"))
    house.broker.queues.put(queue, unproven, None)
    house.broker.queues.put(queue, proven, None)
    assert attached(house, FakeConsumer(house, "two")).payloads() == [b"proven"]
    assert waiting(queue) == [b"unproven"]


def test_one_that_chooses_gets_in_order_what_comes_back() -> None:
    house = queue_house()
    filled(house, 3)
    queue = house.broker.queues.find("jobs")
    assert queue is not None
    first = attached(house, FakeConsumer(house))
    choosing = attached(house, FakeConsumer(house, only={b"0", b"1", b"2"}))
    sent(house, queue, b"9")  # it is asked about that, and so has seen all
    first.credit = 0
    house.broker.queues.detach(first)
    assert choosing.payloads() == [b"0", b"1", b"2"]
