"""Exactly once for senders (2.6.12, 2.6.13): both settle modes second, across detaches, lost connections, crashes."""

from __future__ import annotations

import pytest

from bridgehead.core.permission import Permission
from bridgehead.core.policy import Context
from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.codec.v1.errors import NOT_ALLOWED, STOLEN, UNAUTHORIZED_ACCESS
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Detach, Disposition, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Rejected
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import AmqpHub, Container, ReceivingLink, SendingLink, data

NEVER = Symbol("never")


def sender_of(
    peer: Container,
    unsettled: dict[bytes, DeliveryState | None] | None = None,
    address: str = "/topics/a",
    lasts: bool = True,
) -> SendingLink:
    target = Target(address, durable=2, expiry_policy=NEVER) if lasts else Target(address)
    return peer.sender(None, "exact", 0, 1, unsettled, target=target)


def durable_receiver(hub: AmqpHub) -> ReceivingLink:
    source = Source("/topics/a", durable=2, expiry_policy=NEVER)
    return hub.container("display").receiver(None, name="r", source=source)


def bodies(link: ReceivingLink) -> list[bytes]:
    found = link.deliveries()
    for each in found:
        link.settle(each.delivery_id, state=ACCEPTED)
    return [each.body for each in found]


def settle(link: SendingLink, first: int) -> None:
    link.peer.send(Disposition(False, first, first, True, ACCEPTED))


@pytest.mark.clause("AMQP-2.6.12")
def test_the_outcome_is_told_first_and_the_sender_settles() -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    sender = sender_of(hub.container("sensor"))
    assert sender.answer.rcv_settle_mode == 1
    assert isinstance(sender.answer.target, Target)
    assert sender.answer.target.durable == 2
    number = sender.transfer(body=b"1")
    (told,) = sender.outcomes()
    assert told.state is ACCEPTED
    assert not told.settled
    assert bodies(receiver) == [b"1"]
    settle(sender, number)
    assert sender.outcomes() == []
    # The tag is free again.
    sender.transfer(tag=number.to_bytes(4, "big"), body=b"2")
    assert bodies(receiver) == [b"2"]


def reconnected(hub: AmqpHub, unsettled: dict[bytes, DeliveryState | None] | None) -> SendingLink:
    peer = hub.container("sensor")
    peer.delivery_id = 100
    return sender_of(peer, unsettled)


@pytest.mark.clause("AMQP-2.6.13")
@pytest.mark.parametrize("how", ["detach", "lost", "crash"])
def test_a_resumed_delivery_is_not_delivered_twice(how: str) -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    sender = sender_of(hub.container("sensor"))
    sender.transfer(tag=b"t1", body=b"1")
    assert bodies(receiver) == [b"1"]
    if how == "detach":
        sender.detach()
        again = sender_of(sender.peer, {b"t1": None})
    elif how == "lost":
        sender.peer.drop()
        again = reconnected(hub, {b"t1": None})
    else:
        hub = hub.crash()
        receiver = durable_receiver(hub)
        again = reconnected(hub, {b"t1": None})
    assert again.answer.unsettled == {b"t1": ACCEPTED}
    number = again.transfer(tag=b"t1", body=b"1", resume=True)
    (told,) = again.outcomes()
    assert (told.first, told.state, told.settled) == (number, ACCEPTED, False)
    settle(again, number)
    again.transfer(tag=b"t1", body=b"2")
    assert bodies(receiver) == [b"2"]


@pytest.mark.clause("AMQP-2.6.13")
def test_a_delivery_that_never_arrived_is_sent_anew() -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    sender_of(hub.container("sensor")).peer.drop()
    again = reconnected(hub, {b"t1": None})
    assert again.answer.unsettled is None
    again.transfer(tag=b"t1", body=b"1")
    assert bodies(receiver) == [b"1"]


@pytest.mark.clause("AMQP-2.6.13")
def test_what_the_sender_has_settled_is_forgotten() -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    sender = sender_of(hub.container("sensor"))
    sender.transfer(tag=b"t1", body=b"1")
    sender.peer.drop()
    again = reconnected(hub, None)
    again.transfer(tag=b"t1", body=b"2")
    assert bodies(receiver) == [b"1", b"2"]


@pytest.mark.clause("AMQP-2.6.13")
@pytest.mark.parametrize("settled", [True, False])
def test_a_sender_that_knows_the_outcome_says_so_in_the_resumed_transfer(settled: bool) -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    sender = sender_of(hub.container("sensor"))
    sender.transfer(tag=b"t1", body=b"1")
    assert bodies(receiver) == [b"1"]
    sender.peer.drop()
    again = reconnected(hub, {b"t1": ACCEPTED})
    again.peer.send(Transfer(again.handle, 100, b"t1", 0, int(settled), state=ACCEPTED, resume=True))
    again.peer.delivery_id = 101
    assert [(each.first, each.settled) for each in again.outcomes()] == ([] if settled else [(100, True)])
    again.transfer(tag=b"t1", body=b"2")
    assert bodies(receiver) == [b"2"]


def test_until_it_lasts_nobody_gets_it_and_nothing_is_told() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", rcv_settle_mode=1)
    sender = sender_of(hub.container("sensor"))
    hub.store.automatic = False
    sender.transfer(tag=b"t1", body=b"1")
    assert sender.outcomes() == []
    assert receiver.deliveries() == []
    hub.commit()
    assert sender.outcome() is ACCEPTED
    assert bodies(receiver) == [b"1"]


@pytest.mark.clause("AMQP-3.4.3")
def test_what_the_store_cannot_keep_is_rejected_and_may_be_sent_again() -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    sender = sender_of(hub.container("sensor"))
    hub.store.full = True
    number = sender.transfer(tag=b"t1", body=b"1")
    (told,) = sender.outcomes()
    assert isinstance(told.state, Rejected)
    assert not told.settled
    settle(sender, number)
    hub.store.full = False
    hub.pass_time(2)
    sender.transfer(tag=b"t1", body=b"1")
    assert sender.outcome() is ACCEPTED
    assert bodies(receiver) == [b"1"]


@pytest.mark.clause("AMQP-2.6.13")
@pytest.mark.parametrize("when", ["before the commit", "after the commit"])
def test_a_crash_around_the_commit_delivers_once(when: str) -> None:
    hub = AmqpHub()
    durable_receiver(hub)
    sender = sender_of(hub.container("sensor"))
    hub.store.automatic = False
    sender.transfer(tag=b"t1", body=b"1")
    if when == "after the commit":
        hub.commit()
    hub = hub.crash()
    receiver = durable_receiver(hub)
    again = reconnected(hub, {b"t1": None})
    known = again.answer.unsettled is not None
    assert known == (when == "after the commit")
    number = again.transfer(tag=b"t1", body=b"1", resume=known)
    assert again.outcome() is ACCEPTED
    settle(again, number)
    assert bodies(receiver) == [b"1"]


def test_a_queue_takes_it_once_too() -> None:
    hub = AmqpHub()
    hub.config.create_queues = True
    sender = sender_of(hub.container("sensor"), address="/queues/jobs")
    sender.transfer(tag=b"t1", body=b"1")
    assert sender.outcome() is ACCEPTED
    hub = hub.crash()
    again = sender_of(hub.container("sensor"), {b"t1": None}, "/queues/jobs")
    assert again.answer.unsettled == {b"t1": ACCEPTED}
    again.transfer(tag=b"t1", body=b"1", resume=True)
    assert again.outcome() is ACCEPTED
    queue = hub.broker.queues.find("jobs")
    assert queue is not None
    assert queue.waiting == 1


@pytest.mark.clause("AMQP-3.5.4")
def test_a_terminus_that_does_not_last_remembers_nothing() -> None:
    hub = AmqpHub()
    sender = sender_of(hub.container("sensor"), lasts=False)
    sender.transfer(tag=b"t1")
    sender.detach()
    again = sender_of(sender.peer, {b"t1": None}, lasts=False)
    assert again.answer.unsettled is None
    assert [each.client_id for each in hub.broker.sessions.of("sensor")].count("amqp-from/sensor/exact") == 1


@pytest.mark.clause("AMQP-3.5.4")
def test_a_terminus_ends_when_its_time_is_over() -> None:
    hub = AmqpHub()
    peer = hub.container("sensor")
    target = Target("/topics/a", expiry_policy=Symbol("link-detach"), timeout=20)
    sender = peer.sender(None, "exact", 0, 1, target=target)
    sender.transfer(tag=b"t1")
    sender.detach()
    hub.pass_time(10)
    again = peer.sender(None, "exact", 0, 1, {b"t1": None}, target=target)
    assert isinstance(again.answer.target, Target)
    assert (again.answer.target.expiry_policy, again.answer.target.timeout) == ("link-detach", 20)
    assert again.answer.unsettled == {b"t1": ACCEPTED}
    again.detach()
    hub.pass_time(30)
    assert peer.sender(None, "exact", 0, 1, {b"t1": None}, target=target).answer.unsettled is None


@pytest.mark.clause("AMQP-2.6.6")
def test_a_link_that_is_closed_is_forgotten() -> None:
    hub = AmqpHub()
    sender = sender_of(hub.container("sensor"))
    sender.transfer(tag=b"t1")
    sender.detach(closed=True)
    assert sender_of(sender.peer, {b"t1": None}).answer.unsettled is None


@pytest.mark.clause("AMQP-2.6.1")
def test_another_connection_of_the_container_takes_the_link_over() -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    first = sender_of(hub.container("sensor"))
    first.transfer(tag=b"t1", body=b"1")
    first.outcomes()
    again = sender_of(hub.container("sensor"), {b"t1": None})
    assert first.peer.condition() == STOLEN
    assert again.answer.unsettled == {b"t1": ACCEPTED}
    again.transfer(tag=b"t1", body=b"1", resume=True)
    assert bodies(receiver) == [b"1"]


def test_another_identity_has_nothing_of_it() -> None:
    hub = AmqpHub()
    first = sender_of(hub.container("sensor", "the container"))
    first.transfer(tag=b"t1")
    first.outcomes()
    thief = sender_of(hub.container("thief", "the container"), {b"t1": None})
    assert thief.answer.unsettled is None
    assert first.peer.get() == []
    first.transfer()
    assert first.outcome() is ACCEPTED


def test_names_of_container_and_link_are_told_apart() -> None:
    hub = AmqpHub()
    one = hub.container("sensor", "a/b")
    target = Target("/topics/a", expiry_policy=NEVER)
    one.sender(None, "c", 0, 1, target=target).transfer(tag=b"t1")
    two = hub.container("sensor", "a").sender(None, "b/c", 0, 1, {b"t1": None}, target=target)
    assert two.answer.unsettled is None


def test_a_right_that_has_ended_ends_the_link() -> None:
    hub = AmqpHub()
    sender = sender_of(hub.container("sensor"))
    hub.principals["sensor"].permit([Permission("b", True, True)], ["*"])
    hub.broker.permissions_changed(["sensor"])
    number = sender.transfer(tag=b"t1")
    (told,) = sender.outcomes()
    assert isinstance(told.state, Rejected)
    assert told.state.error is not None
    assert told.state.error.condition == UNAUTHORIZED_ACCESS
    settle(sender, number)
    hub.broker.revoke("sensor", "gone")
    hub.settle()
    assert sender.peer.closed


@pytest.mark.clause("AMQP-2.7.3")
def test_a_map_that_does_not_fit_is_incomplete_and_nothing_new_is_taken() -> None:
    hub = AmqpHub()
    peer = hub.container("sensor")
    sender = sender_of(peer)
    tags = [bytes([i]) * 30 for i in range(40)]
    for tag in tags:
        sender.transfer(tag=tag)
    peer.drop()
    small = hub.container("sensor", max_frame_size=512)
    answer = small.attach(
        Attach(
            "exact",
            0,
            False,
            0,
            1,
            Source("here"),
            Target("/topics/a", expiry_policy=NEVER),
            dict.fromkeys(tags),
            initial_delivery_count=0,
        )
    )
    assert answer.incomplete_unsettled
    assert answer.unsettled is not None
    assert 0 < len(answer.unsettled) < 40
    small.get()
    known = next(iter(answer.unsettled))
    small.send(Transfer(0, 0, known, 0, 0, resume=True), payload=data(b"x"))
    told = small.get_one()
    assert isinstance(told, Disposition)
    assert told.state is ACCEPTED
    small.send(Transfer(0, 1, b"new", 0, 0), payload=data(b"x"))
    assert small.condition() == NOT_ALLOWED


def test_a_sender_that_never_settles_gets_no_more_credit() -> None:
    hub = AmqpHub()
    hub.config.unsettled = 20
    hub.config.credit = 10
    sender = sender_of(hub.container("sensor"))
    for _ in range(20):
        sender.transfer()
    told = sender.outcomes()
    assert len(told) == 20
    sender.transfer()
    last = sender.peer.get()[-1]
    assert isinstance(last, Detach)
    assert last.error is not None


def test_a_settled_message_on_such_a_link_is_at_most_once() -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    peer = hub.container("sensor")
    sender = peer.sender(None, "exact", 2, 1, target=Target("/topics/a", expiry_policy=NEVER))
    sender.transfer(body=b"1", settled=True)
    assert sender.outcomes() == []
    assert [each.body for each in receiver.deliveries()] == [b"1"]


@pytest.mark.clause("AMQP-2.6.3")
def test_a_terminus_that_cannot_be_stored_is_refused() -> None:
    hub = AmqpHub()
    peer = hub.container("sensor")
    hub.store.full = True
    target = Target("/topics/a", expiry_policy=NEVER)
    peer.send(Attach("exact", 0, False, 0, 1, Source("here"), target, initial_delivery_count=0))
    answer, detach = peer.get()
    assert isinstance(answer, Attach)
    assert answer.target is None
    assert isinstance(detach, Detach)
    assert detach.error is not None
    assert len(hub.broker.sessions.of("sensor")) == 1


def test_a_token_of_another_kind_changes_what_the_link_may() -> None:
    hub = AmqpHub()
    sender = sender_of(hub.container("sensor"))
    root = hub.principals["sensor"]
    root.permit([Permission("a", True, True, mechanisms=("password",))], ["*"])
    sender.peer.connection.stand_on(root.under(Context("amqp", ("password",))))
    sender.transfer()
    assert sender.outcome() is ACCEPTED
    sender.peer.connection.stand_on(root.under(Context("amqp", ("token",))))
    sender.transfer()
    assert isinstance(sender.outcome(), Rejected)


@pytest.mark.clause("AMQP-2.8.3")
@pytest.mark.parametrize("lasts", [True, False])
def test_a_sender_that_waits_for_us_is_settled_where_it_does_not_matter(lasts: bool) -> None:
    hub = AmqpHub()
    sender = sender_of(hub.container("sensor"), lasts=lasts)
    number = sender.transfer(tag=b"t1")
    (told,) = sender.outcomes()
    assert (told.state, told.settled) == (ACCEPTED, False)
    hub.pass_time(1)
    found = sender.outcomes()
    if lasts:
        assert found == []
        settle(sender, number)
    else:
        assert [(each.first, each.state, each.settled) for each in found] == [(number, ACCEPTED, True)]
    sender.transfer(tag=b"t1")
    assert sender.outcome() is ACCEPTED


def test_a_sender_that_settles_in_time_hears_no_more() -> None:
    hub = AmqpHub()
    sender = sender_of(hub.container("sensor"), lasts=False)
    settle(sender, sender.transfer())
    sender.outcomes()
    hub.pass_time(1)
    assert sender.outcomes() == []


@pytest.mark.clause("AMQP-2.7.5")
@pytest.mark.parametrize("lasts", [True, False])
def test_a_resumed_delivery_that_we_do_not_know_is_ignored(lasts: bool) -> None:
    hub = AmqpHub()
    receiver = durable_receiver(hub)
    sender = sender_of(hub.container("sensor"), lasts=lasts)
    sender.transfer(tag=b"unknown", resume=True)
    assert sender.outcomes() == []
    assert bodies(receiver) == []
    sender.transfer(tag=b"new")
    assert sender.outcome() is ACCEPTED
