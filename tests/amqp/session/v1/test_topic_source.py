"""Receivers on topics: retained first, wildcards, settle modes, waiting for credit, outcomes, filters, rights."""

from __future__ import annotations

import pytest

from bridgehead.core.message import MessageProperties, Native
from bridgehead.core.permission import Context, Permission
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.errors import (
    INVALID_FIELD,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    UNAUTHORIZED_ACCESS,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Detach
from bridgehead.protocols.amqp.codec.v1.states import RELEASED, Modified, Received, Rejected
from bridgehead.protocols.amqp.codec.v1.termini import Source
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, ULong
from tests.amqp.dialogue import AmqpHub, data
from tests.amqp.session.v1.receiving import (
    accept,
    annotated,
    answered,
    bodies,
    described,
    detached,
    header,
    lasting,
    native,
    no_local,
    publish,
    put,
    queue,
    refused,
    selector,
)


@pytest.mark.clause("AMQP-2.6.12")
def test_a_receiver_gets_what_is_published_to_its_topic_filter() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/hall/%2B/temp")
    publish(hub, "hall/a/temp", b"1")
    publish(hub, "hall/b/temp", b"2")
    publish(hub, "hall/b/light", b"3")
    found = link.deliveries()
    assert [each.body for each in found] == [b"1", b"2"]
    assert all(each.settled for each in found)


def test_a_bare_topic_is_an_address_too() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("hall/temp")
    publish(hub, "hall/temp", b"1")
    assert bodies(link) == [b"1"]


def test_retained_messages_come_first_and_are_told_apart() -> None:
    hub = AmqpHub()
    publish(hub, "a/1", b"kept", retain=True)
    publish(hub, "a/2", b"kept too", qos=1, retain=True)
    link = hub.container().receiver("/topics/a/%23", credit=0)
    publish(hub, "a/1", b"live")
    link.flow(100)
    found = link.deliveries()
    assert [each.body for each in found] == [b"kept", b"kept too", b"live"]
    retained = [annotated(each).get("x-opt-retain") for each in found]
    assert retained == [True, True, None]


@pytest.mark.clause("AMQP-2.8.2")
def test_settle_modes_decide_about_the_guarantee() -> None:
    hub = AmqpHub()
    peer = hub.container()
    mixed = peer.receiver("/topics/a")
    settled = peer.receiver("/topics/a", snd_settle_mode=1)
    unsettled = peer.receiver("/topics/a", snd_settle_mode=0)
    publish(hub, "a", b"0", qos=0)
    publish(hub, "a", b"1", qos=1)
    assert [each.settled for each in mixed.deliveries()] == [True, False]
    assert [each.settled for each in settled.deliveries()] == [True, True]
    found = unsettled.deliveries()
    assert [each.settled for each in found] == [False, False]
    assert len({each.tag for each in found}) == 2
    accept(unsettled, found)


def test_a_message_without_need_of_an_outcome_is_sent_once_whatever_it_is() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/a", snd_settle_mode=0)
    publish(hub, "a", b"0", qos=0)
    accept(link, link.deliveries(), RELEASED)
    assert link.deliveries() == []


@pytest.mark.clause("AMQP-2.6.7")
def test_what_has_no_credit_waits_and_what_is_too_much_is_dropped_and_counted() -> None:
    hub = AmqpHub()
    hub.config.waiting_messages = 3
    link = hub.container().receiver("/topics/a", credit=0)
    for number in range(5):
        publish(hub, "a", b"%d" % number)
    assert link.deliveries() == []
    assert hub.broker.counters.dropped_slow == 2
    link.flow(2)
    assert bodies(link) == [b"0", b"1"]
    publish(hub, "a", b"5")
    link.flow(10)
    assert bodies(link) == [b"2", b"5"]


def test_octets_that_wait_for_credit_have_an_end() -> None:
    hub = AmqpHub()
    hub.config.waiting_octets = 1000
    link = hub.container().receiver("/topics/a", credit=0)
    for _ in range(3):
        publish(hub, "a", b"x" * 600)
    assert hub.broker.counters.dropped_slow == 2
    link.flow(10)
    assert len(bodies(link)) == 1


def test_what_expires_while_it_waits_for_credit_is_not_sent() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/a", credit=0)
    publish(hub, "a", b"old", expires_at=hub.clock.now + 5)
    publish(hub, "a", b"new")
    hub.clock.now += 6
    link.flow(10)
    assert bodies(link) == [b"new"]
    assert hub.broker.counters.dropped_expired == 1


@pytest.mark.clause("AMQP-2.6.7")
def test_drain_uses_the_credit_up() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/a", credit=0)
    publish(hub, "a", b"1", qos=1)
    publish(hub, "a", b"2")
    link.flow(10, drain=True)
    assert sorted(bodies(link)) == [b"1", b"2"]
    assert link.flows[-1].link_credit == 0
    assert link.flows[-1].delivery_count == 10


@pytest.mark.clause("AMQP-3.4.4")
def test_released_ones_come_again_in_their_order() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/a", credit=3)
    for number in range(3):
        publish(hub, "a", b"%d" % number, qos=1)
    first = link.deliveries()
    link.settle(first[0].delivery_id, first[2].delivery_id, RELEASED)
    link.flow(10)
    again = link.deliveries()
    assert [each.body for each in again] == [b"0", b"1", b"2"]
    accept(link, again)
    link.flow(20)
    assert link.deliveries() == []


@pytest.mark.clause("AMQP-3.4.5")
def test_modified_counts_what_failed_and_adds_annotations() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/a", credit=1)
    publish(hub, "a", b"1", qos=1)
    for count in range(1, 3):
        found = link.deliveries()
        accept(link, found, Modified(True, False, {Symbol(f"x-opt-{count}"): count}))
        link.flow(1)
    found = link.deliveries()
    assert header(found[0]).delivery_count == 2
    assert annotated(found[0]) == {"x-opt-1": 1, "x-opt-2": 2}
    accept(link, found, Modified(True, True))
    link.flow(1)
    assert link.deliveries() == []


@pytest.mark.clause("AMQP-3.4.3")
def test_rejected_ones_are_gone() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/a", credit=1)
    publish(hub, "a", b"1", qos=1)
    accept(link, link.deliveries(), Rejected())
    link.flow(5)
    assert link.deliveries() == []


@pytest.mark.clause("AMQP-3.4.1", "AMQP-3.4")
def test_received_is_no_outcome() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/a")
    publish(hub, "a", b"1", qos=1)
    found = link.deliveries()
    accept(link, found, Received(0, 0), settled=False)
    session = hub.broker.sessions.all()
    assert sum(len(each.in_flight) for each in session) == 1
    accept(link, found)
    assert sum(len(each.in_flight) for each in session) == 0


@pytest.mark.clause("AMQP-3.5.3")
def test_settled_without_a_state_means_the_default_outcome() -> None:
    hub = AmqpHub()
    peer = hub.container()
    one = peer.receiver("/topics/a", credit=1)
    other = peer.receiver(None, credit=1, source=Source("/topics/a", default_outcome=Rejected()))
    assert answered(one).default_outcome == RELEASED
    assert answered(other).default_outcome == Rejected()
    publish(hub, "a", b"1", qos=1)
    for link in (one, other):
        accept(link, link.deliveries(), None)
        link.flow(1)
    assert bodies(one) == [b"1"]
    assert bodies(other) == []


@pytest.mark.clause("AMQP-3.5.3", "AMQP-3.5")
def test_the_outcomes_in_force_are_told() -> None:
    hub = AmqpHub()
    peer = hub.container()
    wanted = [Symbol("amqp:accepted:list"), Symbol("x:other:list")]
    link = peer.receiver(None, source=Source("/topics/a", outcomes=wanted))
    assert answered(link).outcomes == ["amqp:accepted:list"]
    assert refused(peer, Source("/topics/a", outcomes=[Symbol("x:other:list")])) == NOT_IMPLEMENTED
    strange = Source("/topics/a", default_outcome=Described(Symbol("x:other:list"), 1))
    assert refused(peer, strange) == NOT_IMPLEMENTED


@pytest.mark.clause("AMQP-3.5.8", "AMQP-3.5.1")
def test_a_selector_chooses_and_is_told_to_be_in_force() -> None:
    hub = AmqpHub()
    filters = selector("properties.subject = 'alarm'")
    link = hub.container().receiver(None, source=Source("/topics/a", filter=filters))
    for number, subject in enumerate(["alarm", "note", "alarm"]):
        body = b"%d" % number
        publish(hub, "a", body, qos=number % 2, properties=native(body, subject))
    publish(hub, "a", b"3", qos=1, properties=native(b"3", "alarm"))
    assert bodies(link) == [b"0", b"2", b"3"]
    assert answered(link).filter == filters
    assert not any(session.queue or session.in_flight for session in hub.broker.sessions.all())


@pytest.mark.clause("AMQP-3.5.8", "AMQP-3.5.1")
def test_a_selector_is_known_by_its_number_too_and_others_are_left_out_of_the_answer() -> None:
    hub = AmqpHub()
    mine = Symbol("jms-selector")
    asked: dict[object, object] = {
        mine: Described(ULong(0x0000468C00000004), "properties.subject = 'alarm'"),
        Symbol("other"): Described(Symbol("x:other:string"), "?"),
    }
    link = hub.container().receiver(None, source=Source("/topics/a", filter=asked))
    assert answered(link).filter == {mine: asked[mine]}
    publish(hub, "a", b"0", properties=native(b"0", "note"))
    assert bodies(link) == []


@pytest.mark.clause("AMQP-3.5.8")
def test_a_selector_that_is_none_refuses_the_attach_and_names_the_place() -> None:
    hub = AmqpHub()
    peer = hub.container()
    assert refused(peer, Source("/topics/a", filter=selector("a = "))) == INVALID_FIELD
    assert "character 5" in described(peer, Source("/topics/a", filter=selector("a = ")))
    assert refused(peer, Source("/topics/a", filter=selector(5))) == INVALID_FIELD
    twice = {**selector("a = 1"), Symbol("again"): Described(Symbol("apache.org:selector-filter:string"), "a = 2")}
    assert refused(peer, Source("/topics/a", filter=twice)) == INVALID_FIELD
    hub.config.selector_octets = 10
    assert refused(peer, Source("/topics/a", filter=selector("a = 1 OR a = 2"))) == INVALID_FIELD


def test_a_message_whose_sections_cannot_be_read_is_not_selected() -> None:
    hub = AmqpHub()
    link = hub.container().receiver(None, source=Source("/topics/a", filter=selector("colour = 'red'")))
    publish(hub, "a", b"0", properties=native(b"0", None, "red"))
    publish(hub, "a", b"1", properties=native(b"1", None, "blue"))
    assert bodies(link) == [b"0"]


def test_no_local_leaves_out_what_the_connection_itself_published() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = peer.receiver(None, source=Source("/topics/a", filter=no_local()))
    assert answered(link).filter == no_local()
    sender = peer.sender("/topics/a")
    sender.transfer(settled=True, body=b"mine")
    other = hub.container().sender("/topics/a")
    other.transfer(settled=True, body=b"another's")
    assert bodies(link) == [b"another's"]


@pytest.mark.clause("AMQP-3.5.2")
def test_distribution_is_by_copy() -> None:
    hub = AmqpHub()
    peer = hub.container()
    assert answered(peer.receiver("/topics/a")).distribution_mode == "copy"
    assert refused(peer, Source("/topics/a", distribution_mode="scatter")) == INVALID_FIELD


@pytest.mark.clause("AMQP-3.5.6")
def test_an_unknown_expiry_policy_is_refused() -> None:
    hub = AmqpHub()
    assert refused(hub.container(), Source("/topics/a", expiry_policy="sometime")) == INVALID_FIELD


def test_sources_that_name_nothing_are_refused() -> None:
    hub = AmqpHub()
    peer = hub.container()
    assert refused(peer, Source(5)) == INVALID_FIELD
    assert refused(peer, Source(None)) == INVALID_FIELD
    assert refused(peer, None) == NOT_FOUND
    assert refused(peer, Source("/topics/a%23")) == INVALID_FIELD
    assert refused(peer, Source("/topics/%24share%2Fgroup")) == INVALID_FIELD


def test_a_shared_subscription_gives_each_message_to_one_member() -> None:
    hub = AmqpHub()
    links = [hub.container().receiver("/topics/%24share%2Fworkers%2Fa", credit=10) for _ in range(2)]
    for number in range(4):
        publish(hub, "a", b"%d" % number, qos=1)
    found = [bodies(link) for link in links]
    assert sorted(found[0] + found[1]) == [b"0", b"1", b"2", b"3"]
    assert len(found[0]) == 2


# Rights. --------------------------------------------------------------------------------------------


def limited(name: str = "office", *filters: str) -> Principal:
    return Principal.of(name, [Permission(each, True, True) for each in filters], ["*"])


def test_the_policy_decides_on_the_attach() -> None:
    hub = AmqpHub(principals=[limited("office", "hall/#")])
    peer = hub.container()
    assert refused(peer, Source("/topics/cellar")) == UNAUTHORIZED_ACCESS
    assert refused(peer, lasting("/topics/%23")) == UNAUTHORIZED_ACCESS
    assert hub.broker.sessions.find("office", "amqp/office/refused") is None
    link = peer.receiver("/topics/hall/%23")
    publish(hub, "hall/a", b"1")
    assert bodies(link) == [b"1"]


def test_a_right_that_ends_detaches_and_nothing_more_is_sent() -> None:
    principal = limited("office", "hall/#", "attic/#")
    hub = AmqpHub(principals=[principal])
    peer = hub.container()
    hall = peer.receiver("/topics/hall/%23", credit=0)
    attic = peer.receiver("/topics/attic/%23", credit=0)
    publish(hub, "hall/a", b"0")
    publish(hub, "attic/a", b"1")
    principal.permit([Permission("attic/#", True, True)], ["*"])
    hub.broker.permissions_changed(["office"])
    hub.settle()
    assert detached(peer) == UNAUTHORIZED_ACCESS
    peer.get()
    publish(hub, "hall/a", b"2")
    assert hall.deliveries() == []
    attic.flow(5)
    assert bodies(attic) == [b"1"]


def test_a_right_to_one_topic_of_a_filter_that_ends_holds_for_what_waits() -> None:
    principal = limited("office", "hall/#")
    hub = AmqpHub(principals=[principal])
    link = hub.container().receiver("/topics/hall/%23", credit=0)
    for qos in (0, 1):
        publish(hub, "hall/secret", b"secret", qos=qos)
        publish(hub, "hall/open", b"open", qos=qos)
    secret = Permission("hall/secret", False, True, allow=False)
    principal.permit([Permission("hall/#", True, True), secret], ["*"])
    hub.broker.permissions_changed(["office"])
    hub.settle()
    link.flow(10)
    assert bodies(link) == [b"open", b"open"]
    assert hub.broker.counters.dropped_not_permitted == 2


def by_token(*filters: str) -> Principal:
    """May receive only what comes over a connection that stands on a token."""
    permissions = [Permission(each, False, True, mechanisms=("OAUTHBEARER",)) for each in filters]
    return Principal.of("office", [*permissions, Permission("free", True, True)], ["*"])


def test_a_connection_that_stands_on_another_proof_has_what_that_gives() -> None:
    principal = by_token("hall/#", "$QUEUE/orders")
    hub = AmqpHub(principals=[principal])
    queue(hub)
    peer = hub.container()
    peer.connection.stand_on(principal.under(Context("amqp", ("OAUTHBEARER",))))
    peer.receiver("/topics/hall/%23")
    peer.receiver("/queues/orders")
    free = peer.receiver("/topics/free")
    peer.connection.stand_on(principal.under(Context("amqp", ("OAUTHBEARER",))))
    hub.settle()
    assert peer.get() == []
    peer.connection.stand_on(principal.under(Context("amqp", ("PLAIN",))))
    hub.settle()
    conditions = [each.error.condition for each in peer.get() if isinstance(each, Detach) and each.error is not None]
    assert conditions == [UNAUTHORIZED_ACCESS, UNAUTHORIZED_ACCESS]
    publish(hub, "hall/a", b"1")
    put(hub, b"2")
    publish(hub, "free", b"3")
    assert bodies(free) == [b"3"]
    assert peer.get() == []


def test_links_of_an_identity_have_an_end() -> None:
    hub = AmqpHub()
    hub.limits.sessions_per_principal = 3
    peer = hub.container()
    peer.receiver("/topics/a")
    peer.receiver("/topics/a")
    assert refused(peer, Source("/topics/a")) == RESOURCE_LIMIT_EXCEEDED


def test_what_is_larger_than_the_receiver_takes_is_dropped_and_counted() -> None:
    hub = AmqpHub()
    link = hub.container().receiver("/topics/a", max_message_size=200)
    for qos in (0, 1):
        publish(hub, "a", b"x" * 500, qos=qos)
        publish(hub, "a", b"small", qos=qos)
    assert bodies(link) == [b"small", b"small"]
    assert hub.broker.counters.dropped_too_large == 2
    assert not any(session.queue or session.in_flight for session in hub.broker.sessions.all())


def test_a_long_walk_over_retained_messages_lets_others_have_their_turn() -> None:
    hub = AmqpHub()
    for number in range(2500):
        publish(hub, f"a/{number}", b"%d" % number, retain=True)
    link = hub.container().receiver("/topics/a/%23", credit=0)
    link.flow(3000, incoming_window=5000)
    assert len(link.deliveries()) == 2500


def test_the_body_is_made_once_for_many_receivers() -> None:
    hub = AmqpHub()
    links = [hub.container().receiver("/topics/a") for _ in range(3)]
    publish(hub, "a", b"1", properties=MessageProperties(native=Native("amqp-1.0", data(b"1"))))
    assert [bodies(link) for link in links] == [[b"1"]] * 3
