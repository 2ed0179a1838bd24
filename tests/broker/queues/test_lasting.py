"""Durable queues: what is told only after the commit, what a refused commit takes back, and what a crash leaves."""

from __future__ import annotations

import pytest

from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import DeadLetter, QueueSettings
from bridgehead.core.message import Message
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Rights
from tests.broker.fakes import FakeReceiver, House
from tests.broker.queues.fakes import FakeConsumer, declared, origin_of, queue_house, sent, waiting

DURABLE = QueueSettings(durable=True)
LASTING = 100.0


def again(house: House) -> House:
    """The hub is killed and comes up again, with what the disk has."""
    return queue_house(house.store.copy(), house.clock.now)


def jobs(house: House) -> Queue:
    found = house.broker.queues.find("jobs")
    assert found is not None
    return found


def refuse(house: House) -> None:
    """The commit under way fails."""
    house.broker.journal.flush()
    house.store.full = True
    assert house.store.finish()
    house.store.full = False


def test_it_is_told_and_delivered_after_the_commit() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    consumer, publisher = FakeConsumer(house), FakeReceiver()
    house.broker.queues.attach(consumer, queue)
    house.turn()
    ticket = sent(house, queue, b"a", receiver=publisher)
    assert ticket > 0
    assert (consumer.payloads(), publisher.tickets) == ([], [])
    house.turn()
    assert (consumer.payloads(), publisher.tickets) == ([b"a"], [ticket])


def test_of_a_refused_commit_nothing_is_left_and_its_publisher_is_told() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    house.turn()
    publisher = FakeReceiver()
    ticket = sent(house, queue, b"a", receiver=publisher)
    refuse(house)
    assert [failed for failed, _ in publisher.failures] == [ticket]
    assert (waiting(queue), queue.octets) == ([], 0)
    house.turn()
    assert waiting(jobs(again(house))) == []


def test_what_was_sent_at_most_once_is_kept_in_memory_only() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    assert sent(house, queue, b"a", qos=0, receiver=FakeReceiver()) == 0
    assert sent(house, queue, b"b", receiver=FakeReceiver()) > 0
    house.turn()
    assert waiting(queue) == [b"a", b"b"]
    assert waiting(jobs(again(house))) == [b"b"]


def test_after_a_crash_it_is_all_there_in_its_order_and_says_what_may_come_twice() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    for number in range(5):
        sent(house, queue, b"%d" % number)
    house.turn()
    untouched = jobs(again(house))
    assert [entry.again for entry in untouched.all_waiting()] == [False] * 5
    consumer = FakeConsumer(house, credit=3)
    house.broker.queues.attach(consumer, queue)
    house.turn()
    assert consumer.payloads() == [b"0", b"1", b"2"]
    house.broker.queues.accept(queue, consumer.got[1])
    house.broker.queues.release(queue, consumer.got[0], failed=True, annotations=b"seen")
    house.turn()
    found = jobs(again(house)).all_waiting()
    assert [entry.message.payload for entry in found] == [b"0", b"2", b"3", b"4"]
    assert [entry.again for entry in found] == [True] * 4
    assert [entry.deliveries for entry in found] == [1, 0, 0, 0]
    assert [entry.annotations for entry in found] == [b"seen", None, None, None]


def test_what_nobody_took_yet_is_new_after_the_consumers_have_gone() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    sent(house, queue, b"a")
    sent(house, queue, b"b")
    consumer = FakeConsumer(house, credit=1)
    house.broker.queues.attach(consumer, queue)
    house.turn()
    house.broker.queues.detach(consumer)
    house.turn()
    assert [entry.again for entry in jobs(again(house)).all_waiting()] == [True, False]


def test_a_dead_letter_is_in_one_queue_or_in_the_other() -> None:
    house = queue_house()
    declared(house, "graves", DURABLE)
    queue = declared(house, settings=QueueSettings(durable=True, dead_letter=DeadLetter(queue="graves")))
    sent(house, queue, b"a")
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    house.turn()
    house.broker.queues.reject(queue, consumer.got[0])
    before = again(house)
    refuse(house)  # nobody can be told: it is tried again
    midway = again(house)
    house.clock.now += 2.0
    house.broker.handle_timeout()
    house.turn()
    after = again(house)
    for each, expected in ((before, ([b"a"], [])), (midway, ([b"a"], [])), (after, ([], [b"a"]))):
        graves = each.broker.queues.find("graves")
        assert graves is not None
        assert (waiting(jobs(each)), waiting(graves)) == expected
    graves = after.broker.queues.find("graves")
    assert graves is not None
    assert [each.reason for each in graves.all_waiting()[0].deaths] == ["rejected"]


def test_settings_feeds_and_their_binder_last() -> None:
    house = queue_house()
    settings = QueueSettings(durable=True, message_ttl=5.0, max_messages=7, max_priority=2, single_active=True)
    queue = declared(house, settings=settings)
    house.broker.queues.bind_topic(house.principals["two"], origin_of("two"), queue, "hall/#")
    house.turn()
    later = again(house)
    assert jobs(later).settings.differs(settings) == ""
    later.publish(later.message("hall/1", b"a"))
    assert waiting(jobs(later)) == [b"a"]
    later.principals["two"].amend([Rights("two", [Permission("$QUEUE/#", True, True)])], {}, ["*"])
    later.broker.permissions_changed(["two"])
    later.publish(later.message("hall/1", b"b"))
    assert waiting(jobs(later)) == [b"a"]


def test_a_deleted_one_does_not_come_back_with_what_was_in_it() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    sent(house, queue, b"a")
    house.turn()
    house.broker.queues.delete(house.principals["one"], origin_of("one"), "jobs")
    fresh = declared(house, settings=DURABLE)
    sent(house, fresh, b"b")
    house.turn()
    assert waiting(jobs(again(house))) == [b"b"]
    assert list(house.store.logs()) == [fresh.log]


def test_transient_and_exclusive_ones_leave_nothing_in_the_store() -> None:
    house = queue_house()
    sent(house, declared(house), b"a")
    sent(house, declared(house, "own", QueueSettings(durable=True, exclusive="one")), b"b")
    house.turn()
    assert len(again(house).broker.queues) == 0
    assert list(house.store.logs()) == []


def test_what_was_accepted_on_condition_is_back_when_its_batch_is_refused() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    sent(house, queue, b"a")
    consumer = FakeConsumer(house, credit=1)
    house.broker.queues.attach(consumer, queue)
    house.turn()
    house.broker.queues.accept(queue, consumer.got[0], FakeReceiver(), conditional=True)
    refuse(house)
    assert waiting(queue) == [b"a"]
    house.clock.now += 2.0
    house.broker.handle_timeout()
    house.turn()
    assert waiting(jobs(again(house))) == [b"a"]


def test_an_accepted_one_is_removed_in_the_end_whatever_commits_fail() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    sent(house, queue, b"a")
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    house.turn()
    assert house.broker.queues.accept(queue, consumer.got[0], FakeReceiver()) > 0
    refuse(house)
    house.clock.now += 2.0
    house.broker.handle_timeout()
    house.turn()
    assert waiting(jobs(again(house))) == []


# Durable links, which keep what they have acquired while they are away. --------------------------------


def holding(house: House, queue: Queue, credit: int = 1) -> FakeConsumer:
    consumer = FakeConsumer(house, credit=credit, holder="two/link", lasting=LASTING)
    house.broker.queues.attach(consumer, queue)
    return consumer


def test_it_is_delivered_when_it_is_written_whose_it_is() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    sent(house, queue, b"a")
    house.turn()
    consumer = holding(house, queue)
    house.broker.journal.flush()
    assert house.store.finish()  # that it is consumed from now on
    assert (consumer.payloads(), consumer.coming) == ([], 1)
    house.turn()
    assert (consumer.payloads(), consumer.coming) == ([b"a"], 0)


@pytest.mark.parametrize("crash", [False, True])
def test_what_a_link_has_is_nobody_elses_until_it_is_back_or_its_time_is_over(crash: bool) -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    sent(house, queue, b"a")
    sent(house, queue, b"b")
    consumer = holding(house, queue)
    house.turn()
    if crash:
        house = again(house)
        queue = jobs(house)
    else:
        house.broker.queues.hold(consumer, house.clock.now + LASTING)
    other = FakeConsumer(house)
    house.broker.queues.attach(other, queue)
    house.turn()
    assert other.payloads() == [b"b"]
    mine = house.broker.queues.held(queue, "two/link")
    assert [entry.message.payload for entry in mine] == [b"a"]
    back = FakeConsumer(house, credit=0, holder="two/link", lasting=LASTING)
    assert house.broker.queues.resume(back, queue) == mine
    house.broker.queues.hold(back, house.clock.now + LASTING)
    house.clock.now += LASTING
    house.broker.handle_timeout()
    house.turn()
    assert other.payloads() == [b"b", b"a"]


def test_a_link_that_came_back_settles_for_good() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    sent(house, queue, b"a")
    holding(house, queue)
    house.turn()
    house = again(house)
    queue = jobs(house)
    back = FakeConsumer(house, holder="two/link", lasting=LASTING)
    (entry,) = house.broker.queues.resume(back, queue)
    house.broker.queues.accept(queue, entry, FakeReceiver())
    house.turn()
    last = again(house)
    assert waiting(jobs(last)) == []
    assert jobs(last).unsettled == 0
    assert not [where for where in house.store.buckets if where[0] in ("held", "marked")]


def test_what_could_not_be_written_to_be_its_own_goes_back() -> None:
    house = queue_house()
    queue = declared(house, settings=DURABLE)
    sent(house, queue, b"a")
    house.turn()
    consumer = holding(house, queue)
    house.broker.journal.flush()
    assert house.store.finish()
    consumer.credit = 0
    refuse(house)
    assert (consumer.payloads(), consumer.coming, waiting(queue)) == ([], 0, [b"a"])


def test_exactly_once_into_a_transient_queue_waits_for_its_batch() -> None:
    house = queue_house()
    queue = declared(house)
    house.broker.queues.bind_topic(house.principals["two"], origin_of("two"), queue, "hall/#")
    publisher = FakeReceiver()
    session = house.session("one", receiver=publisher)
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    house.turn()
    message = Message("hall/1", b"a", 2, False, session.origin)
    house.broker.door.publish_once(session, message, 7, publisher)
    refuse(house)
    assert consumer.payloads() == []
    house.clock.now += 2.0
    house.broker.handle_timeout()
    house.turn()
    house.broker.door.publish_once(session, message, 7, publisher)
    house.turn()
    assert consumer.payloads() == [b"a"]
