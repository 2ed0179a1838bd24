"""Declaring queues: names, exclusive ones, equivalence, what ends them."""

from __future__ import annotations

import pytest

from bridgehead.broker.queues.settings import owner_of
from bridgehead.core.errors import CONFLICT, IN_USE, LOCKED, NOT_AUTHORIZED, NOT_FOUND
from tests.amqp.session.v091.hall import ALL, Hall, Person, make, refused

pytestmark = pytest.mark.clause("AMQP091-queue.declare")


@pytest.fixture
def hall() -> Hall:
    return Hall({"owner": ALL, "poor": [], "other": ALL})


@pytest.fixture
def me(hall: Hall) -> Person:
    return hall.who()


def test_the_hub_finds_names_that_tell_whose_they_are(hall: Hall, me: Person) -> None:
    one, two = me.queue(exclusive=True), me.queue(exclusive=True)
    assert one.name != two.name
    assert one.name.startswith("amq.gen-owner/")
    assert one.topic == f"$QUEUE/{one.name}"
    assert hall.who("owner", "2").queue(exclusive=True).name not in (one.name, two.name)


def test_an_identity_without_rights_has_queues_of_its_own(hall: Hall) -> None:
    poor = hall.who("poor")
    queue = poor.queue(exclusive=True)
    assert poor.queue(queue.name, exclusive=True) is queue
    with refused(NOT_AUTHORIZED):
        poor.queue()
    with refused(NOT_AUTHORIZED):
        poor.queue("named", exclusive=True)
    hall.vhost.declaring.delete(poor.principal, poor.origin, queue.name, False, False)
    assert hall.broker.queues.find(queue.name) is None


def test_reserved_names(hall: Hall, me: Person) -> None:
    with refused(NOT_AUTHORIZED, "reserved prefix"):
        me.queue("amq.gen-mine")
    theirs = hall.who("other").queue(exclusive=True)
    with refused(NOT_AUTHORIZED, "reserved prefix"):
        me.queue(theirs.name, exclusive=True)


def test_exclusive_is_the_connections_own(hall: Hall, me: Person) -> None:
    me.queue("mine", exclusive=True)
    for other in (hall.who("owner", "2"), hall.who("other", "3")):
        with refused(LOCKED, "another connection"):
            other.queue("mine", exclusive=True)
        with refused(LOCKED):
            other.queue("mine")
        with refused(LOCKED):
            hall.vhost.declaring.queue(other.principal, other.origin, "mine")
        with refused(LOCKED):
            other.bind("mine", "amq.fanout")
        with refused(LOCKED):
            hall.vhost.declaring.purge(other.principal, other.origin, "mine")
        with refused(LOCKED):
            hall.vhost.declaring.delete(other.principal, other.origin, "mine", False, False)
    hall.broker.queues.connection_ended(owner_of(me.origin))
    assert hall.broker.queues.find("mine") is None
    hall.who("other", "3").queue("mine")


def test_exclusive_lasts_no_longer_than_its_connection_whatever_durable_says(hall: Hall, me: Person) -> None:
    queue = me.queue("mine", durable=True, exclusive=True)
    assert me.queue("mine", durable=True, exclusive=True) is queue
    assert hall.again().broker.queues.find("mine") is None


def test_the_same_again_and_another(hall: Hall, me: Person) -> None:
    queue = me.queue("q", durable=True, arguments={"x-max-priority": 5})
    assert me.queue("q", durable=True, arguments={"x-max-priority": 5}) is queue
    with refused(CONFLICT, "'x-max-priority' for queue 'q': received '6' but current is '5'"):
        me.queue("q", durable=True, arguments={"x-max-priority": 6})
    with refused(CONFLICT, "'durable' for queue 'q': received 'false' but current is 'true'"):
        me.queue("q", arguments={"x-max-priority": 5})


def test_who_may_not_declare_it_learns_nothing_of_it(hall: Hall, me: Person) -> None:
    me.queue("q", arguments={"x-max-length": 77})
    poor = hall.who("poor")
    for name in ("q", "not there"):
        with refused(NOT_AUTHORIZED) as _:
            poor.queue(name, arguments={"x-max-length": 1})
        with refused(NOT_AUTHORIZED):
            hall.vhost.declaring.queue(poor.principal, poor.origin, name)
        with refused(NOT_AUTHORIZED):
            poor.bind(name, "amq.fanout")
        with refused(NOT_AUTHORIZED):
            hall.vhost.declaring.delete(poor.principal, poor.origin, name, False, False)
        with refused(NOT_AUTHORIZED):
            hall.vhost.declaring.purge(poor.principal, poor.origin, name)


def test_passive(hall: Hall, me: Person) -> None:
    with refused(NOT_FOUND):
        hall.vhost.declaring.queue(me.principal, me.origin, "q")
    queue = me.queue("q")
    me.publish("", "q")
    assert hall.vhost.declaring.queue(me.principal, me.origin, "q") is queue
    assert queue.waiting == 1


@pytest.mark.clause("AMQP091-queue.delete")
def test_deleting(hall: Hall, me: Person) -> None:
    declaring = hall.vhost.declaring
    assert declaring.delete(me.principal, me.origin, "none", False, False) == 0
    me.queue("q")
    me.publish("", "q")
    with refused(IN_USE):
        declaring.delete(me.principal, me.origin, "q", False, True)
    assert declaring.delete(me.principal, me.origin, "q", True, False) == 1


@pytest.mark.clause("AMQP091-queue.purge")
def test_purging(hall: Hall, me: Person) -> None:
    me.queue("q")
    for _ in range(3):
        me.publish("", "q")
    assert hall.vhost.declaring.purge(me.principal, me.origin, "q") == 3
    with refused(NOT_FOUND):
        hall.vhost.declaring.purge(me.principal, me.origin, "none")


def test_expires_when_nobody_uses_it(hall: Hall, me: Person) -> None:
    me.queue("q", arguments={"x-expires": 5000})
    me.bind("q", "amq.fanout")
    hall.after(3)
    me.queue("q", arguments={"x-expires": 5000})
    hall.after(4)
    assert hall.broker.queues.find("q") is not None
    hall.after(2)
    assert hall.broker.queues.find("q") is None
    there = hall.vhost.exchanges.find("amq.fanout")
    assert there is not None
    assert not there.bindings


def test_a_new_queue_of_a_name_has_nothing_of_the_old_ones_bindings(hall: Hall, me: Person) -> None:
    me.queue("q", durable=True)
    me.exchange("ex", "fanout", durable=True)
    me.bind("q", "ex")
    hall.vhost.declaring.delete(me.principal, me.origin, "q", False, False)
    me.queue("q", durable=True)
    me.publish("ex", "", b"not for it")
    assert hall.waiting("q") == []
    later = hall.again()
    later.who().publish("ex", "", b"still not")
    assert later.waiting("q") == []


def test_a_right_to_one_queue_is_none_to_another() -> None:
    hall = Hall({"me": [make("$QUEUE/mine/#")]})
    me = hall.who("me")
    me.queue("mine/jobs")
    with refused(NOT_AUTHORIZED):
        me.queue("theirs/jobs")
    with refused(NOT_AUTHORIZED):
        me.queue("mine%2Fjobs")
