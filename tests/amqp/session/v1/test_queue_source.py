"""Receivers on queues: they compete, they look, they settle in every way, and what they leave goes back."""

from __future__ import annotations

import pytest

from bridgehead.broker.queues.settings import DeadLetter, QueueSettings
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.errors import (
    NOT_FOUND,
    NOT_IMPLEMENTED,
    RESOURCE_DELETED,
    UNAUTHORIZED_ACCESS,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, RELEASED, Modified, Rejected
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Int, Symbol
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v1.receiving import (
    accept,
    annotated,
    answered,
    bodies,
    described,
    detached,
    header,
    publish,
    put,
    queue,
    refused,
    selector,
)


@pytest.mark.clause("AMQP-3.3", "AMQP-3.5.2")
def test_receivers_compete() -> None:
    hub = AmqpHub()
    queue(hub)
    links = [hub.container().receiver("/queues/orders") for _ in range(2)]
    for number in range(6):
        put(hub, b"%d" % number)
    found = [bodies(link) for link in links]
    assert sorted(found[0] + found[1]) == [b"%d" % number for number in range(6)]
    assert len(found[0]) == 3
    assert answered(links[0]).distribution_mode == "move"
    assert hub.broker.queues.octets == 0


def test_a_bare_name_is_the_queue_of_that_name_if_there_is_one_or_the_capability_says_so() -> None:
    hub = AmqpHub()
    queue(hub)
    peer = hub.container()
    link = peer.receiver("orders")
    put(hub, b"1")
    assert bodies(link) == [b"1"]
    assert answered(link).address == "orders"
    topic = peer.receiver(None, source=Source("orders", capabilities=[Symbol("topic"), Symbol("shared")]))
    assert answered(topic).distribution_mode == "copy"
    assert answered(topic).capabilities == ["topic"]
    assert refused(peer, Source("others", capabilities=[Symbol("queue")])) == NOT_FOUND


def test_a_queue_that_is_not_there_is_declared_only_where_the_hub_is_told_so() -> None:
    hub = AmqpHub()
    peer = hub.container()
    assert refused(peer, Source("/queues/orders")) == NOT_FOUND
    assert "bridgehead queue add" in described(peer, Source("/queues/orders"))
    hub.config.create_queues = True
    peer.receiver("/queues/orders")
    found = hub.broker.queues.find("orders")
    assert found is not None
    assert found.settings.durable


@pytest.mark.clause("AMQP-2.6.7")
def test_no_more_is_given_than_there_is_credit_for() -> None:
    hub = AmqpHub()
    found = queue(hub)
    one = hub.container().receiver("/queues/orders", credit=2)
    for number in range(5):
        put(hub, b"%d" % number)
    assert [each.body for each in one.deliveries()] == [b"0", b"1"]
    assert found.waiting == 3
    one.flow(1)
    assert [each.body for each in one.deliveries()] == [b"2"]


@pytest.mark.clause("AMQP-2.6.7")
def test_drain_gives_what_there_is_and_uses_the_credit_up() -> None:
    hub = AmqpHub()
    queue(hub)
    link = hub.container().receiver("/queues/orders", credit=0)
    for number in range(3):
        put(hub, b"%d" % number)
    link.flow(10, drain=True)
    assert bodies(link) == [b"0", b"1", b"2"]
    assert (link.flows[-1].link_credit, link.flows[-1].delivery_count) == (0, 10)
    put(hub, b"3")
    assert link.deliveries() == []


@pytest.mark.clause("AMQP-2.6.8")
def test_one_message_or_none_by_a_credit_of_one_and_drain() -> None:
    hub = AmqpHub()
    queue(hub)
    link = hub.container().receiver("/queues/orders", credit=0)
    put(hub, b"1")
    put(hub, b"2")
    for expected in ([b"1"], [b"2"], []):
        link.flow(1, drain=True)
        assert bodies(link) == expected
        link.delivery_count = link.flows[-1].delivery_count
        assert link.flows[-1].link_credit == 0


@pytest.mark.clause("AMQP-2.6.9")
def test_messages_keep_coming_while_the_credit_is_renewed() -> None:
    hub = AmqpHub()
    queue(hub)
    link = hub.container().receiver("/queues/orders", credit=2)
    for number in range(7):
        put(hub, b"%d" % number)
    found: list[bytes] = []
    for _ in range(4):
        found.extend(bodies(link))
        link.flow(2)
    assert found == [b"%d" % number for number in range(7)]


@pytest.mark.clause("AMQP-2.6.10")
def test_a_receiver_stops_its_link_by_no_credit_and_echo() -> None:
    hub = AmqpHub()
    queue(hub)
    link = hub.container().receiver("/queues/orders", credit=5)
    put(hub, b"1")
    link.flow(0, echo=True)
    put(hub, b"2")
    assert [each.body for each in link.deliveries()] == [b"1"]
    assert link.flows[-1].link_credit == 0


def test_pre_settled_ones_are_gone_with_their_delivery() -> None:
    hub = AmqpHub()
    found = queue(hub)
    peer = hub.container()
    link = peer.receiver("/queues/orders", snd_settle_mode=1, credit=2)
    for number in range(3):
        put(hub, b"%d" % number)
    assert [(each.body, each.settled) for each in link.deliveries()] == [(b"0", True), (b"1", True)]
    assert (found.waiting, found.unsettled) == (1, 0)


@pytest.mark.clause("AMQP-3.4.2")
def test_accepted_is_settled_after_the_commit_and_gone() -> None:
    hub = AmqpHub()
    found = queue(hub)
    link = hub.container().receiver("/queues/orders", rcv_settle_mode=1)
    put(hub, b"1")
    (delivery,) = link.deliveries()
    hub.store.automatic = False
    link.settle(delivery.delivery_id, state=ACCEPTED, settled=False)
    link.deliveries()
    assert link.dispositions == []
    hub.commit()
    link.deliveries()
    assert [(each.first, each.settled) for each in link.dispositions] == [(delivery.delivery_id, True)]
    assert (found.waiting, found.unsettled) == (0, 0)
    again = hub.crash()
    other = again.container().receiver("/queues/orders")
    assert other.deliveries() == []


@pytest.mark.clause("AMQP-3.4.3")
def test_rejected_becomes_a_dead_letter() -> None:
    hub = AmqpHub()
    queue(hub, settings=QueueSettings(durable=True, dead_letter=DeadLetter(queue="dead")))
    queue(hub, "dead")
    link = hub.container().receiver("/queues/orders")
    dead = hub.container().receiver("/queues/dead")
    put(hub, b"1")
    accept(link, link.deliveries(), Rejected())
    assert bodies(dead) == [b"1"]
    assert link.deliveries() == []


@pytest.mark.clause("AMQP-3.4.4")
def test_released_goes_back_to_its_place() -> None:
    hub = AmqpHub()
    queue(hub)
    one = hub.container().receiver("/queues/orders", credit=2)
    for number in range(3):
        put(hub, b"%d" % number)
    first = one.deliveries()
    one.settle(first[0].delivery_id, first[1].delivery_id, RELEASED)
    other = hub.container().receiver("/queues/orders")
    found = other.deliveries()
    assert [each.body for each in found] == [b"0", b"1", b"2"]
    assert [header(each).delivery_count for each in found] == [0, 0, 0]
    assert not header(found[0]).first_acquirer


@pytest.mark.clause("AMQP-3.4.5", "AMQP-3.2.1")
def test_modified_counts_adds_annotations_and_spares_who_cannot_take_it() -> None:
    hub = AmqpHub()
    queue(hub)
    one = hub.container().receiver("/queues/orders", credit=10)
    put(hub, b"1")
    found = one.deliveries()
    accept(one, found, Modified(True, False, {Symbol("x-opt-why"): "busy"}))
    found = one.deliveries()
    assert header(found[0]).delivery_count == 1
    assert annotated(found[0])["x-opt-why"] == "busy"
    accept(one, found, Modified(True, True, {Symbol("x-opt-who"): "one"}))
    assert one.deliveries() == []
    other = hub.container().receiver("/queues/orders")
    found = other.deliveries()
    assert header(found[0]).delivery_count == 2
    assert annotated(found[0]) == {"x-opt-why": "busy", "x-opt-who": "one"}


@pytest.mark.parametrize("address", ["/queues/orders", "/topics/a"])
def test_what_receivers_add_to_a_message_is_annotations_and_not_without_end(address: str) -> None:
    hub = AmqpHub()
    queue(hub)
    link = hub.container().receiver(address, credit=100)
    put(hub, b"1")
    publish(hub, "a", b"1", qos=1)
    added: list[dict[object, object]] = [
        {"no symbol": 1, 5: 2},
        {Symbol("x-opt-a"): 1, Symbol("x-opt-b"): "x" * 10_000},
        {Symbol("x-opt-c"): "x" * 10_000},
        {Symbol("x-opt-a"): 2},
    ]
    for more in added:
        accept(link, link.deliveries(), Modified(False, False, more))
    (found,) = link.deliveries()
    assert annotated(found) == {"x-opt-a": 2, "x-opt-b": "x" * 10_000}


def test_delivery_counts_last() -> None:
    hub = AmqpHub()
    queue(hub)
    link = hub.container().receiver("/queues/orders", credit=1)
    put(hub, b"1")
    accept(link, link.deliveries(), Modified(True, False, {Symbol("x-opt-why"): "busy"}))
    again = hub.crash()
    link = again.container().receiver("/queues/orders")
    (found,) = link.deliveries()
    assert header(found).delivery_count == 1
    assert annotated(found) == {"x-opt-why": "busy"}


@pytest.mark.clause("AMQP-3.5.3")
def test_settled_without_a_state_means_the_default_outcome() -> None:
    hub = AmqpHub()
    queue(hub)
    link = hub.container().receiver("/queues/orders", credit=1)
    put(hub, b"1")
    accept(link, link.deliveries(), None)
    link.flow(1)
    accept(link, link.deliveries(), ACCEPTED)
    link.flow(1)
    assert link.deliveries() == []


@pytest.mark.parametrize("how", ["drop", "detach", "close"])
@pytest.mark.clause("AMQP-2.6.5", "AMQP-3.3")
def test_what_a_receiver_leaves_unsettled_goes_back(how: str) -> None:
    hub = AmqpHub()
    found = queue(hub)
    peer = hub.container()
    link = peer.receiver("/queues/orders")
    for number in range(3):
        put(hub, b"%d" % number)
    assert len(link.deliveries()) == 3
    if how == "drop":
        peer.drop()
    else:
        link.detach(closed=how == "close")
    assert (found.waiting, found.consumer_count) == (3, 0)
    other = hub.container().receiver("/queues/orders")
    assert bodies(other) == [b"0", b"1", b"2"]


@pytest.mark.clause("AMQP-3.5.8")
def test_selectors_divide_a_queue() -> None:
    hub = AmqpHub()
    queue(hub)
    filters = selector("properties.subject = 'alarm' AND header.delivery_count = 0")
    alarms = hub.container().receiver(None, source=Source("/queues/orders", filter=filters), credit=100)
    rest = hub.container().receiver(
        None, source=Source("/queues/orders", filter=selector("JMSType <> 'alarm'")), credit=100
    )
    for number, subject in enumerate(["alarm", "note", "alarm", None]):
        put(hub, b"%d" % number, subject=subject)
    assert answered(alarms).filter == filters
    found = alarms.deliveries()
    assert [each.body for each in found] == [b"0", b"2"]
    assert bodies(rest) == [b"1"]
    accept(alarms, found[:1], Modified(True, False, None))
    assert alarms.deliveries() == []
    everything = hub.container().receiver("/queues/orders")
    assert bodies(everything) == [b"0", b"3"]


@pytest.mark.clause("AMQP-3.5.7", "AMQP-3.5.2")
def test_a_copying_receiver_sees_everything_and_takes_nothing() -> None:
    hub = AmqpHub()
    found = queue(hub)
    for number in range(3):
        put(hub, b"%d" % number, subject="alarm" if number else "note")
    peer = hub.container()
    link = peer.receiver(None, source=Source("/queues/orders", distribution_mode="copy"), credit=2)
    assert answered(link).distribution_mode == "copy"
    first = link.deliveries()
    assert [each.body for each in first] == [b"0", b"1"]
    accept(link, first, Rejected())
    link.flow(10)
    accept(link, link.deliveries())
    assert found.waiting == 3
    chosen = peer.receiver(
        None,
        source=Source("/queues/orders", distribution_mode="copy", filter=selector("JMSType = 'alarm'")),
        credit=10,
        snd_settle_mode=1,
    )
    assert [(each.body, each.settled) for each in chosen.deliveries()] == [(b"1", True), (b"2", True)]
    taker = hub.container().receiver("/queues/orders")
    put(hub, b"3")
    assert bodies(taker) == [b"0", b"1", b"2", b"3"]
    assert bodies(link) == [b"3"]
    link.flow(10, drain=True)
    assert link.deliveries() == []
    assert link.flows[-1].link_credit == 0


def test_a_queue_of_one_consumer_at_a_time_is_not_looked_at() -> None:
    hub = AmqpHub()
    queue(hub, settings=QueueSettings(durable=True, single_active=True))
    assert refused(hub.container(), Source("/queues/orders", distribution_mode="copy")) == NOT_IMPLEMENTED


def test_a_receivers_priority_decides_who_comes_first() -> None:
    hub = AmqpHub()
    queue(hub)
    low = hub.container().receiver("/queues/orders")
    peer = hub.container()
    made = Attach(
        "high",
        5,
        True,
        2,
        0,
        Source("/queues/orders"),
        Target("here"),
        properties={Symbol("rabbitmq:priority"): Int(5)},
    )
    peer.attach(made)
    peer.send(Flow(0, 2048, 0, 2048, 5, 0, 1))
    for number in range(2):
        put(hub, b"%d" % number)
    assert [type(each) for each in peer.get()] == [Transfer]
    assert bodies(low) == [b"1"]


# Rights. --------------------------------------------------------------------------------------------


def taker(*names: str) -> Principal:
    return Principal.of("office", [Permission(f"$QUEUE/{name}", False, True) for name in names], ["*"])


def test_the_policy_decides_on_the_attach() -> None:
    hub = AmqpHub(principals=[taker("others")])
    queue(hub)
    peer = hub.container()
    assert refused(peer, Source("/queues/orders")) == UNAUTHORIZED_ACCESS
    assert refused(peer, Source("/queues/orders", distribution_mode="copy")) == UNAUTHORIZED_ACCESS
    # Whether a queue is there is not told to those who may not know.
    assert refused(peer, Source("/queues/none")) == UNAUTHORIZED_ACCESS


def test_a_right_that_ends_detaches_and_what_was_not_settled_is_anothers() -> None:
    principal = taker("orders")
    hub = AmqpHub(principals=[principal])
    queue(hub)
    peer = hub.container()
    link = peer.receiver("/queues/orders")
    put(hub, b"1")
    assert len(link.deliveries()) == 1
    principal.permit([Permission("a", True, True)], ["*"])
    hub.broker.permissions_changed(["office"])
    hub.settle()
    assert detached(peer) == UNAUTHORIZED_ACCESS
    put(hub, b"2")
    assert link.deliveries() == []
    assert bodies(hub.container("other").receiver("/queues/orders")) == [b"1", b"2"]


def test_a_queue_that_is_deleted_detaches_its_receivers() -> None:
    hub = AmqpHub()
    queue(hub)
    peer = hub.container()
    peer.receiver("/queues/orders")
    hub.broker.queues.remove("orders")
    hub.settle()
    assert detached(peer) == RESOURCE_DELETED


def test_what_is_larger_than_a_receiver_takes_is_left_to_others() -> None:
    hub = AmqpHub()
    queue(hub)
    small = hub.container().receiver("/queues/orders", max_message_size=300)
    put(hub, b"x" * 500)
    put(hub, b"small")
    assert bodies(small) == [b"small"]
    assert bodies(hub.container().receiver("/queues/orders")) == [b"x" * 500]


@pytest.mark.parametrize("address", ["/queues/orders", "/topics/a"])
def test_a_receiver_that_never_settles_gets_no_more_than_so_many(address: str) -> None:
    hub = AmqpHub()
    hub.config.unsettled = 3
    queue(hub)
    link = hub.container().receiver(address, credit=100)
    for number in range(6):
        put(hub, b"%d" % number)
        publish(hub, "a", b"%d" % number, qos=1)
    found = link.deliveries()
    assert [each.body for each in found] == [b"0", b"1", b"2"]
    accept(link, found)
    assert bodies(link) == [b"3", b"4", b"5"]


def test_an_outbox_that_is_full_holds_back_what_was_acquired() -> None:
    hub = AmqpHub()
    hub.config.outbox_octets = 2000
    found = queue(hub)
    peer = hub.container()
    link = peer.receiver("/queues/orders", credit=100)
    peer.stop_reading()
    for number in range(30):
        put(hub, b"%02d" % number + b"x" * 500)
    assert 0 < found.unsettled < 30
    peer.read_on()
    assert [each[:2] for each in bodies(link)] == [b"%02d" % number for number in range(30)]
