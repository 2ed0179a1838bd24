"""Who may make, unmake, feed and use a queue, and when it goes by itself."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.broker.queues.names import check_name, queue_topic
from bridgehead.broker.queues.settings import QueueSettings, owner_of
from bridgehead.core.errors import (
    CONFLICT,
    DELETED,
    IN_USE,
    LOCKED,
    NAME_INVALID,
    NOT_AUTHORIZED,
    NOT_FOUND,
    QUOTA_EXCEEDED,
    Refusal,
)
from bridgehead.core.permission import Permission
from tests.broker.fakes import House
from tests.broker.queues.fakes import FakeConsumer, declared, origin_of, queue_house, sent, waiting


def may(house: House, name: str, *permissions: Permission) -> None:
    house.principals[name].permit(list(permissions), ["*"])
    house.broker.permissions_changed([name])


def refused(house: House, what: str, *arguments: object) -> str:
    """What the refusal of queues.what(principal and origin of "two", ...) means."""
    with pytest.raises(Refusal) as caught:
        getattr(house.broker.queues, what)(house.principals["two"], origin_of("two"), *arguments)
    return caught.value.meaning


def test_names_are_told_apart_by_the_policy() -> None:
    names = ["a/b", "a%2Fb", "a+b", "a%2Bb", "a#", "a%23", "a%", "a%25"]
    assert len({queue_topic(name) for name in names}) == len(names)
    assert queue_topic("orders/new") == "$QUEUE/orders/new"
    for bad in ("", "x" * 256, "new\nline", "nothing\0", "\ud800"):
        with pytest.raises(Refusal) as caught:
            check_name(bad)
        assert caught.value.meaning == NAME_INVALID


@pytest.mark.parametrize("retain", [False, True])
def test_to_declare_delete_and_purge_is_to_publish_retained(retain: bool) -> None:
    house = queue_house()
    declared(house)
    may(house, "two", Permission("$QUEUE/#", publish=True, subscribe=True, retain=retain))
    if not retain:
        assert refused(house, "declare", "other", QueueSettings()) == NOT_AUTHORIZED
        assert refused(house, "purge", "jobs") == NOT_AUTHORIZED
        assert refused(house, "delete", "jobs") == NOT_AUTHORIZED
        return
    two, origin = house.principals["two"], origin_of("two")
    house.broker.queues.declare(two, origin, "other", QueueSettings())
    assert house.broker.queues.purge(two, origin, "jobs") == 0
    assert house.broker.queues.delete(two, origin, "jobs") == 0
    assert refused(house, "delete", "jobs") == NOT_FOUND


def test_declared_again_it_has_to_be_the_same() -> None:
    house = queue_house()
    queue = declared(house, settings=QueueSettings(durable=True))
    assert declared(house, settings=QueueSettings(durable=True), owner="two") is queue
    assert refused(house, "declare", "jobs", QueueSettings(durable=True, max_priority=3)) == CONFLICT


def test_deleted_only_when_nobody_needs_it() -> None:
    house = queue_house()
    queue = declared(house)
    sent(house, queue, b"a")
    assert refused(house, "delete", "jobs", False, True) == IN_USE
    consumer = FakeConsumer(house)
    house.broker.queues.attach(consumer, queue)
    assert refused(house, "delete", "jobs", True, False) == IN_USE
    sent(house, queue, b"b")
    consumer.credit = 0
    sent(house, queue, b"c")
    assert house.broker.queues.delete(house.principals["two"], origin_of("two"), "jobs") == 1
    assert [meaning for meaning, _ in consumer.cancellations] == [DELETED]
    assert house.broker.queues.octets == 0
    assert house.broker.queues.accept(queue, consumer.got[0]) == 0  # too late, and no harm
    house.broker.queues.release(queue, consumer.got[1])
    assert house.broker.queues.octets == 0


def test_an_exclusive_one_is_its_connections_and_goes_with_it() -> None:
    house = queue_house()
    mine = origin_of("two", "mine")
    may(house, "two")
    name = "amq.gen-x"
    settings = QueueSettings(exclusive=owner_of(mine))
    queue = house.broker.queues.declare(house.principals["two"], mine, name, settings)
    house.broker.queues.attach(FakeConsumer(house, "two", client_id="mine"), queue)  # without any right
    assert refused(house, "see", name) == NOT_AUTHORIZED
    may(house, "two", Permission("$QUEUE/#", True, True))
    assert refused(house, "see", name) == LOCKED
    assert refused(house, "delete", name) == LOCKED
    with pytest.raises(Refusal) as caught:
        house.broker.queues.attach(FakeConsumer(house, "two"), queue)
    assert caught.value.meaning == LOCKED
    house.broker.queues.connection_ended(owner_of(mine))
    assert house.broker.queues.find(name) is None


def test_a_name_that_others_may_want_needs_the_right_also_as_ones_own() -> None:
    house = queue_house()
    may(house, "two")
    assert refused(house, "declare", "orders", QueueSettings(exclusive="two")) == NOT_AUTHORIZED
    assert refused(house, "declare", "reply/one/x", QueueSettings(exclusive="two")) == NOT_AUTHORIZED
    house.broker.queues.declare(
        house.principals["two"], origin_of("two"), "reply/two/x", QueueSettings(exclusive="two")
    )
    assert house.broker.queues.owned_by("two") == 1


def test_to_send_is_to_publish_and_to_take_is_to_receive() -> None:
    house = queue_house()
    queue = declared(house)
    may(house, "two", Permission("$QUEUE/jobs", publish=True, subscribe=False, retain=False))
    sent(house, queue, b"a", name="two")
    with pytest.raises(Refusal):
        house.broker.queues.attach(FakeConsumer(house, "two"), queue)
    assert refused(house, "get", queue, True) == NOT_AUTHORIZED
    assert refused(house, "browse", queue, 0, 10) == NOT_AUTHORIZED
    may(house, "two", Permission("$QUEUE/jobs", publish=False, subscribe=True))
    with pytest.raises(Refusal):
        sent(house, queue, b"b", name="two")
    consumer = FakeConsumer(house, "two")
    house.broker.queues.attach(consumer, queue)
    assert consumer.payloads() == [b"a"]
    may(house, "two")
    assert [meaning for meaning, _ in consumer.cancellations] == [NOT_AUTHORIZED]
    assert waiting(queue) == [b"a"]


def test_nobody_learns_by_sending_whether_a_queue_is_there() -> None:
    house = queue_house()
    may(house, "two")
    for name in ("jobs", "nothing"):
        with pytest.raises(Refusal) as caught:
            sent(house, name, b"x", name="two")
        assert caught.value.meaning == NOT_AUTHORIZED
    assert sent(house, "nothing", b"x") == -1


def test_it_goes_with_its_last_consumer_or_unused() -> None:
    house = queue_house()
    brief = declared(house, "brief", QueueSettings(auto_delete=True))
    lazy = declared(house, "lazy", QueueSettings(expires=10.0))
    first, second = FakeConsumer(house), FakeConsumer(house)
    house.broker.queues.attach(first, brief)
    house.broker.queues.attach(second, brief)
    house.broker.queues.detach(first)
    assert house.broker.queues.find("brief") is brief
    house.broker.queues.detach(second)
    assert house.broker.queues.find("brief") is None
    house.clock.now += 9.0
    house.broker.queues.get(house.principals["two"], origin_of("two"), lazy, True)  # that is use
    house.clock.now += 9.0
    house.broker.handle_timeout()
    assert house.broker.queues.find("lazy") is lazy
    house.clock.now += 1.0
    assert house.broker.next_timeout() <= house.clock.now
    house.broker.handle_timeout()
    assert house.broker.queues.find("lazy") is None


def test_topics_feed_it_as_far_as_their_binder_may_receive_them() -> None:
    house = queue_house()
    queue = declared(house)
    two, origin = house.principals["two"], origin_of("two")
    may(house, "two", Permission("hall/#", False, True), Permission("$QUEUE/#", True, True))
    assert refused(house, "bind_topic", queue, "cellar/#") == NOT_AUTHORIZED
    house.broker.queues.bind_topic(two, origin, queue, "hall/#")
    house.broker.queues.bind_topic(two, origin, queue, "hall/+")  # a message that both match comes once
    house.publish(house.message("hall/1", b"a"))
    house.publish(house.message("cellar/1", b"b"))
    assert waiting(queue) == [b"a"]
    may(house, "two", Permission("$QUEUE/#", True, True))
    house.publish(house.message("hall/1", b"c"))
    assert waiting(queue) == [b"a"]
    assert not queue.feeds


def test_what_two_binders_have_asked_for_comes_once() -> None:
    house = queue_house()
    queue = declared(house)
    for name in ("one", "two"):
        house.broker.queues.bind_topic(house.principals[name], origin_of(name), queue, "hall/#")
    house.publish(house.message("hall/1", b"a"))
    assert waiting(queue) == [b"a"]
    assert house.broker.queues.unbind_topic(house.principals["one"], origin_of("one"), queue, "hall/#")
    house.publish(house.message("hall/1", b"b"))
    assert waiting(queue) == [b"a", b"b"]


def test_an_identity_that_is_gone_takes_feeds_nothing_and_has_nothing() -> None:
    house = queue_house()
    queue = declared(house)
    two, origin = house.principals["two"], origin_of("two")
    house.broker.queues.bind_topic(two, origin, queue, "#")
    house.broker.queues.declare(two, origin, "reply/two/x", QueueSettings(exclusive="two"))
    consumer = FakeConsumer(house, "two")
    house.broker.queues.attach(consumer, queue)
    house.publish(house.message("a", b"before"))
    house.broker.revoke("two", "gone")
    house.publish(house.message("a", b"after"))
    assert waiting(queue) == [b"before"]
    assert consumer.cancellations
    assert house.broker.queues.find("reply/two/x") is None


def test_the_hubs_owner_feeds_and_changes_a_queue_of_theirs() -> None:
    house = queue_house()
    queues = house.broker.queues
    queue = queues.establish("jobs", QueueSettings(durable=True))
    queues.feed(queue, ["hall/#", "cellar/#"])
    queues.feed(queue, ["cellar/#"])
    house.publish(house.message("hall/1", b"a"))
    house.publish(house.message("cellar/1", b"b"))
    assert waiting(queue) == [b"b"]
    assert queues.establish("jobs", QueueSettings(durable=True, max_messages=1)) is queue
    with pytest.raises(Refusal) as caught:
        queues.establish("jobs", QueueSettings(durable=False))
    assert caught.value.meaning == CONFLICT
    assert queues.remove("jobs") == 1


def test_their_number_is_bounded() -> None:
    limits = Limits()
    limits.named_queues_per_identity = 1
    limits.named_queues = 2
    house = House(None, limits)
    for name in ("one", "two"):
        may(house, name, Permission("$QUEUE/#", True, True))
    declared(house, "a")
    with pytest.raises(Refusal) as caught:
        declared(house, "b")
    assert caught.value.meaning == QUOTA_EXCEEDED
    declared(house, "b", owner="two")
    assert len(house.broker.queues) == 2
