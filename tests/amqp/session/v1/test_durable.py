"""Termini that last: durable subscriptions and durable links on queues, their expiry, and whose they are."""

from __future__ import annotations

import pytest

from bridgehead.protocols.amqp.codec.v1.errors import NOT_FOUND, STOLEN, UNAUTHORIZED_ACCESS
from bridgehead.protocols.amqp.codec.v1.performatives import Attach
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from tests.amqp.dialogue import AmqpHub, Container, ReceivingLink
from tests.amqp.session.v1.receiving import (
    accept,
    answered,
    bodies,
    detached,
    lasting,
    publish,
    put,
    queue,
    refused,
    selector,
)


def subscribe(
    peer: Container,
    address: str = "/topics/a/%23",
    credit: int = 100,
    timeout: int = 600,
    filters: dict[object, object] | None = None,
) -> ReceivingLink:
    return peer.receiver(None, credit, "news", source=lasting(address, timeout, filters))


@pytest.mark.parametrize("how", ["drop", "detach", "crash"])
@pytest.mark.clause("AMQP-3.5.5")
def test_a_durable_subscription_keeps_what_comes_while_its_link_is_away(how: str) -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = subscribe(peer)
    publish(hub, "a/1", b"1", qos=1)
    assert bodies(link) == [b"1"]
    if how == "drop":
        peer.drop()
    elif how == "detach":
        link.detach()
    else:
        hub = hub.crash()
    publish(hub, "a/1", b"2", qos=1)
    publish(hub, "a/1", b"3")
    link = subscribe(hub.container())
    assert bodies(link) == [b"2"]
    publish(hub, "a/2", b"4", qos=1)
    assert bodies(link) == [b"4"]


@pytest.mark.clause("AMQP-2.6.6")
def test_closing_the_link_gives_the_subscription_up() -> None:
    hub = AmqpHub()
    peer = hub.container()
    subscribe(peer).detach(closed=True)
    publish(hub, "a/1", b"1", qos=1)
    assert bodies(subscribe(peer)) == []


def test_a_closed_subscription_is_gone_from_the_store() -> None:
    hub = AmqpHub()
    link = subscribe(hub.container())
    assert hub.broker.sessions.find("office", "amqp/office/news") is not None
    link.detach(closed=True)
    assert hub.broker.sessions.find("office", "amqp/office/news") is None
    assert hub.crash().broker.sessions.find("office", "amqp/office/news") is None


@pytest.mark.clause("AMQP-3.5.6", "AMQP-3.5")
def test_the_expiry_in_force_is_told_and_kept() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = subscribe(peer, timeout=600)
    source = answered(link)
    assert (source.expiry_policy, source.timeout, source.durable) == ("link-detach", 600, 2)
    link.detach()
    hub.pass_time(599)
    publish(hub, "a/1", b"1", qos=1)
    link = subscribe(hub.container(), timeout=600)
    assert bodies(link) == [b"1"]
    link.detach()
    hub.pass_time(601)
    publish(hub, "a/1", b"2", qos=1)
    assert bodies(subscribe(hub.container(), timeout=600)) == []


@pytest.mark.clause("AMQP-3.5.6")
def test_never_is_as_long_as_the_hub_keeps_anything() -> None:
    hub = AmqpHub()
    hub.limits.session_expiry_interval = 5000
    peer = hub.container()
    never = peer.receiver(None, name="never", source=Source("/topics/a", 2, "never"))
    assert answered(never).timeout == 5000
    long = peer.receiver(None, name="long", source=Source("/topics/a", 2, "connection-close", 1_000_000))
    assert answered(long).timeout == 5000


@pytest.mark.clause("AMQP-3.5.6")
def test_a_source_without_time_ends_with_its_link() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = peer.receiver(None, name="news", source=Source("/topics/a", 2, "session-end", 0))
    assert (answered(link).durable, answered(link).timeout) == (0, 0)
    count = len(hub.broker.sessions)
    link.detach()
    assert len(hub.broker.sessions) == count - 1


def test_the_answer_waits_until_the_subscription_lasts() -> None:
    hub = AmqpHub()
    peer = hub.container()
    hub.store.automatic = False
    peer.send(Attach("news", 3, True, 2, 0, lasting("/topics/a"), Target("here")))
    assert peer.get() == []
    hub.commit()
    hub.store.automatic = True
    hub.settle()
    assert isinstance(peer.get()[0], Attach)


def test_a_subscription_that_cannot_be_stored_is_refused() -> None:
    hub = AmqpHub()
    peer = hub.container()
    hub.store.full = True
    answer = peer.attach(Attach("news", 3, True, 2, 0, lasting("/topics/a"), Target("here")))
    assert answer.source is None
    hub.store.full = False
    hub.pass_time(5)
    assert hub.broker.sessions.find("office", "amqp/office/news") is None


# Whose it is. ---------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP-2.6.1")
def test_a_second_link_of_the_same_name_steals_it() -> None:
    hub = AmqpHub()
    first = hub.container()
    old = subscribe(first)
    publish(hub, "a/1", b"1", qos=1)
    assert len(old.deliveries()) == 1
    second = hub.container()
    new = subscribe(second)
    assert detached(first) == STOLEN
    assert bodies(new) == [b"1"]
    publish(hub, "a/1", b"2", qos=1)
    assert bodies(new) == [b"2"]
    assert old.deliveries() == []


@pytest.mark.clause("AMQP-2.6.1")
def test_nothing_is_stolen_from_another_identity_or_another_container() -> None:
    hub = AmqpHub()
    mine = hub.container("office", "backoffice")
    link = subscribe(mine)
    publish(hub, "a/1", b"1", qos=1)
    found = link.deliveries()
    theirs = hub.container("mallory", "backoffice")
    stolen = subscribe(theirs)
    elsewhere = hub.container("office", "other")
    subscribe(elsewhere)
    assert bodies(stolen) == []
    assert mine.get() == []
    accept(link, found)
    assert hub.broker.sessions.find("mallory", "amqp/backoffice/news") is not None


def test_names_with_slashes_are_not_each_others() -> None:
    hub = AmqpHub()
    one = hub.container("office", "a/b")
    one.receiver(None, name="c", source=lasting("/topics/x"))
    other = hub.container("office", "a")
    link = other.receiver(None, name="b/c", source=lasting("/topics/x"))
    publish(hub, "x", b"1", qos=1)
    assert bodies(link) == [b"1"]
    assert one.get()  # its own copy


def test_another_identity_never_resumes() -> None:
    hub = AmqpHub()
    peer = hub.container("office", "backoffice")
    link = subscribe(peer)
    link.detach()
    publish(hub, "a/1", b"secret", qos=1)
    theirs = hub.container("mallory", "backoffice")
    assert bodies(subscribe(theirs)) == []
    assert refused(theirs, None, "other") == NOT_FOUND


def test_an_identity_that_was_removed_leaves_nothing_to_the_next_of_its_name() -> None:
    hub = AmqpHub()
    subscribe(hub.container()).detach()
    publish(hub, "a/1", b"secret", qos=1)
    hub.broker.revoke("office", "it was removed")
    hub.principals.pop("office")
    hub.broker.admit(hub.principal("office"))
    assert bodies(subscribe(hub.container())) == []


def test_credentials_that_change_end_the_link_and_keep_the_subscription() -> None:
    hub = AmqpHub()
    peer = hub.container()
    subscribe(peer)
    hub.broker.disconnect("office", "its password was changed")
    hub.settle()
    assert peer.closed
    publish(hub, "a/1", b"1", qos=1)
    assert bodies(subscribe(hub.container())) == [b"1"]


def test_a_right_that_ends_ends_the_subscription_of_a_link_that_is_away() -> None:
    hub = AmqpHub()
    peer = hub.container()
    subscribe(peer).detach()
    publish(hub, "a/1", b"1", qos=1)
    principal = hub.principal("office")
    principal.permit([], ["*"])
    hub.broker.permissions_changed(["office"])
    hub.settle()
    assert refused(peer, lasting("/topics/a/%23"), "news") == UNAUTHORIZED_ACCESS


# What changes. --------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP-2.6.3")
def test_another_topic_filter_is_another_source() -> None:
    hub = AmqpHub()
    peer = hub.container()
    subscribe(peer).detach()
    publish(hub, "a/1", b"1", qos=1)
    link = subscribe(peer, "/topics/b")
    publish(hub, "a/1", b"2", qos=1)
    publish(hub, "b", b"3", qos=1)
    assert bodies(link) == [b"3"]
    assert len([each for each in hub.broker.sessions.all() if each.subscriptions]) == 1


def test_another_selector_holds_for_what_is_sent_from_now_on() -> None:
    hub = AmqpHub()
    peer = hub.container()
    subscribe(peer, filters=selector("FALSE")).detach()
    publish(hub, "a/1", b"1", qos=1)
    link = subscribe(peer, filters=selector("TRUE"))
    assert bodies(link) == [b"1"]


def test_a_subscription_that_is_taken_up_is_not_told_what_is_retained_again() -> None:
    hub = AmqpHub()
    publish(hub, "a/1", b"kept", retain=True)
    peer = hub.container()
    link = subscribe(peer)
    assert bodies(link) == [b"kept"]
    link.detach()
    assert bodies(subscribe(peer)) == []


def test_retained_messages_that_were_not_all_sent_come_when_it_is_taken_up() -> None:
    hub = AmqpHub()
    for number in range(4):
        publish(hub, f"a/{number}", b"%d" % number, retain=True)
    peer = hub.container()
    link = subscribe(peer, credit=2)
    assert len(bodies(link)) == 2
    link.detach()
    assert sorted(bodies(subscribe(peer)))[-1] == b"3"


@pytest.mark.clause("AMQP-2.6.3")
def test_an_attach_without_a_source_recovers_what_lasts_under_the_name() -> None:
    hub = AmqpHub()
    peer = hub.container()
    subscribe(peer, timeout=700).detach()
    publish(hub, "a/1", b"1", qos=1)
    answer = peer.attach(Attach("news", 9, True, 2, 0, None, Target("here")))
    source = answer.source
    assert isinstance(source, Source)
    assert (source.address, source.timeout, source.durable) == ("/topics/a%2F%23", 700, 2)
    link = ReceivingLink(peer, 9, 0, answer)
    link.flow(10)
    assert bodies(link) == [b"1"]
    link.detach(closed=True)
    assert refused(peer, None, "news") == NOT_FOUND


# Queues. --------------------------------------------------------------------------------------------


def on_queue(peer: Container, credit: int = 100, timeout: int = 600) -> ReceivingLink:
    return peer.receiver(None, credit, "worker", source=lasting("/queues/orders", timeout))


@pytest.mark.parametrize("how", ["drop", "detach"])
def test_what_a_durable_link_has_acquired_stays_so_while_it_is_away(how: str) -> None:
    hub = AmqpHub()
    found = queue(hub)
    peer = hub.container()
    link = on_queue(peer, 2)
    for number in range(3):
        put(hub, b"%d" % number)
    assert [each.body for each in link.deliveries()] == [b"0", b"1"]
    if how == "drop":
        peer.drop()
    else:
        link.detach()
    other = hub.container().receiver("/queues/orders")
    assert bodies(other) == [b"2"]
    assert found.unsettled == 2
    link = on_queue(hub.container())
    assert bodies(link) == [b"0", b"1"]


def test_what_a_durable_link_has_acquired_is_its_own_after_a_crash_too() -> None:
    hub = AmqpHub()
    queue(hub)
    link = on_queue(hub.container(), 2)
    for number in range(3):
        put(hub, b"%d" % number)
    assert [each.body for each in link.deliveries()] == [b"0", b"1"]
    hub = hub.crash()
    other = hub.container().receiver("/queues/orders")
    assert bodies(other) == [b"2"]
    assert bodies(on_queue(hub.container())) == [b"0", b"1"]


def test_a_durable_link_that_does_not_come_back_gives_up_what_it_has() -> None:
    hub = AmqpHub()
    found = queue(hub)
    link = on_queue(hub.container(), timeout=60)
    put(hub, b"1")
    assert len(link.deliveries()) == 1
    link.detach()
    hub.pass_time(61)
    assert found.waiting == 1
    assert hub.broker.sessions.find("office", "amqp/office/worker") is None


def test_a_durable_link_that_is_closed_gives_up_what_it_has() -> None:
    hub = AmqpHub()
    found = queue(hub)
    link = on_queue(hub.container())
    put(hub, b"1")
    assert len(link.deliveries()) == 1
    link.detach(closed=True)
    assert found.waiting == 1
    assert hub.broker.sessions.find("office", "amqp/office/worker") is None


def test_an_identity_that_is_removed_gives_up_what_it_has_acquired() -> None:
    hub = AmqpHub()
    found = queue(hub)
    hub.broker.admit(hub.principal("office"))
    link = on_queue(hub.container())
    put(hub, b"1")
    assert len(link.deliveries()) == 1
    hub.broker.revoke("office", "it was removed")
    hub.settle()
    assert (found.waiting, found.unsettled) == (1, 0)
    assert hub.broker.sessions.of("office") == []


@pytest.mark.clause("AMQP-2.6.1")
def test_a_link_on_a_queue_is_stolen_with_what_it_has() -> None:
    hub = AmqpHub()
    queue(hub)
    first = hub.container()
    old = on_queue(first)
    put(hub, b"1")
    assert len(old.deliveries()) == 1
    new = on_queue(hub.container())
    assert detached(first) == STOLEN
    assert bodies(new) == [b"1"]
    theirs = hub.container("mallory", "office")
    assert bodies(on_queue(theirs)) == []


def test_a_terminus_that_was_a_queues_becomes_a_topics_and_back() -> None:
    hub = AmqpHub()
    found = queue(hub)
    peer = hub.container()
    link = peer.receiver(None, name="news", source=lasting("/queues/orders"))
    put(hub, b"1")
    assert len(link.deliveries()) == 1
    link.detach()
    topic = subscribe(peer)
    publish(hub, "a/1", b"2", qos=1)
    assert bodies(topic) == [b"2"]
    topic.detach()
    back = peer.receiver(None, name="news", source=lasting("/queues/orders"))
    assert bodies(back) == [b"1"]
    assert found.waiting == 0


@pytest.mark.clause("AMQP-2.6.1")
def test_a_link_that_is_attached_again_by_its_own_connection_keeps_what_lasts() -> None:
    hub = AmqpHub()
    peer = hub.container()
    old = subscribe(peer, credit=1)
    publish(hub, "a/1", b"1", qos=1)
    publish(hub, "a/1", b"2", qos=1)
    assert [each.body for each in old.deliveries()] == [b"1"]
    peer.send(Attach("news", 40, True, 2, 0, lasting("/topics/a/%23"), Target("here")))
    assert detached(peer) == STOLEN
    answer = next(each for each in peer.get() if isinstance(each, Attach))
    new = ReceivingLink(peer, 40, 0, answer)
    new.flow(10)
    assert bodies(new) == [b"1", b"2"]
