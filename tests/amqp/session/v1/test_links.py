"""Links and deliveries of AMQP 1.0 (2.6): credit, drain, echo, settlement, refusals."""

from __future__ import annotations

import pytest

from bridgehead.core.permission import Permission
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.errors import (
    DECODE_ERROR,
    NOT_ALLOWED,
    TRANSFER_LIMIT_EXCEEDED,
    UNAUTHORIZED_ACCESS,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Detach, Disposition, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, RELEASED, Modified, Rejected
from bridgehead.protocols.amqp.codec.v1.termini import Source
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import AmqpHub, body_of, data


@pytest.mark.clause("AMQP-2.7.5")
def test_a_settled_message_goes_from_sender_to_receiver() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/Office%2FTemp")
    sender = hub.container("sensor").sender("/topics/Office%2FTemp")
    sender.transfer(settled=True, body=b"21.5")
    delivered = receiver.deliveries()
    assert [each.body for each in delivered] == [b"21.5"]
    assert delivered[0].settled
    assert sender.outcomes() == []


@pytest.mark.clause("AMQP-2.6.12")
def test_an_unsettled_message_is_accepted_and_settled() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    sender = hub.container("sensor").sender("/topics/a")
    sender.transfer()
    assert sender.outcome() is ACCEPTED
    (delivered,) = receiver.deliveries()
    assert not delivered.settled
    receiver.settle(delivered.delivery_id, state=ACCEPTED)
    assert receiver.deliveries() == []
    assert receiver.dispositions == []


@pytest.mark.clause("AMQP-2.6.12")
@pytest.mark.parametrize("state", [ACCEPTED, Rejected(), RELEASED, Modified(True)])
def test_an_outcome_that_is_not_settled_is_settled_by_the_sender(state: Modified) -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    hub.container("sensor").sender("/topics/a").transfer()
    (delivered,) = receiver.deliveries()
    receiver.settle(delivered.delivery_id, state=state, settled=False)
    receiver.deliveries()
    (only,) = receiver.dispositions
    assert not only.role
    assert only.settled
    assert only.first == delivered.delivery_id


@pytest.mark.clause("AMQP-2.7.6")
def test_a_range_of_outcomes_is_answered_with_a_range() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    sender = hub.container("sensor").sender("/topics/a")
    for _ in range(5):
        sender.transfer()
    first, *_, last = receiver.deliveries()
    receiver.settle(first.delivery_id, last.delivery_id, ACCEPTED, False)
    receiver.deliveries()
    (only,) = receiver.dispositions
    assert (only.first, only.last, only.settled) == (first.delivery_id, last.delivery_id, True)


@pytest.mark.clause("AMQP-2.7.6")
def test_a_range_without_end_settles_what_is_unsettled_and_no_more() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=3)
    sender = hub.container("sensor").sender("/topics/a")
    for _ in range(3):
        sender.transfer()
    assert len(receiver.deliveries()) == 3
    receiver.settle(0, 0xFFFF_FFFE, ACCEPTED)
    receiver.settle(7, 9, ACCEPTED)
    receiver.flow(1)
    sender.transfer()
    assert len(receiver.deliveries()) == 1
    assert not receiver.peer.closed


@pytest.mark.clause("AMQP-2.6.7")
def test_nothing_is_sent_without_credit_and_all_of_it_is_used() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=0, snd_settle_mode=0)
    sender = hub.container("sensor").sender("/topics/a")
    for i in range(6):
        sender.transfer(body=bytes([i]))
    assert receiver.deliveries() == []
    receiver.flow(2)
    assert [each.body for each in receiver.deliveries()] == [b"\x00", b"\x01"]
    receiver.flow(3)
    assert [each.body for each in receiver.deliveries()] == [b"\x02", b"\x03", b"\x04"]


@pytest.mark.clause("AMQP-2.6.7")
def test_credit_counts_from_the_receivers_delivery_count() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=2)
    sender = hub.container("sensor").sender("/topics/a")
    for _ in range(6):
        sender.transfer()
    # A flow that was sent before the two deliveries came: 3 from 0 on, of which two are used up.
    receiver.flow(3)
    assert len(receiver.deliveries()) == 3


@pytest.mark.clause("AMQP-2.6.7")
def test_credit_can_be_taken_back() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=10)
    receiver.flow(0)
    hub.container("sensor").sender("/topics/a").transfer()
    assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-2.6.7")
def test_drain_uses_up_the_credit_at_once() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=0, snd_settle_mode=0)
    sender = hub.container("sensor").sender("/topics/a")
    for _ in range(2):
        sender.transfer()
    receiver.flow(10, drain=True)
    assert len(receiver.deliveries()) == 2
    (answer,) = receiver.flows
    assert (answer.delivery_count, answer.link_credit, answer.drain) == (10, 0, True)
    sender.transfer()
    assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-2.6.8")
def test_one_message_or_none_by_credit_and_drain() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=0, snd_settle_mode=0)
    receiver.flow(1, drain=True)
    assert receiver.deliveries() == []
    assert [(each.link_credit, each.delivery_count) for each in receiver.flows] == [(0, 1)]
    receiver.delivery_count = 1
    sender = hub.container("sensor").sender("/topics/a")
    for _ in range(2):
        sender.transfer()
    receiver.flow(1, drain=True)
    assert len(receiver.deliveries()) == 1


@pytest.mark.clause("AMQP-2.6.9")
def test_messages_keep_coming_while_credit_is_renewed() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=4)
    sender = hub.container("sensor").sender("/topics/a")
    for i in range(20):
        sender.transfer(body=bytes([i]))
        assert [each.body for each in receiver.deliveries()] == [bytes([i])]
        receiver.flow(4)


@pytest.mark.clause("AMQP-2.6.10")
def test_a_receiver_stops_a_link_and_knows_when() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=10)
    sender = hub.container("sensor").sender("/topics/a")
    sender.transfer()
    receiver.flow(0, echo=True)
    assert len(receiver.deliveries()) == 1
    (answer,) = receiver.flows
    assert (answer.link_credit, answer.delivery_count) == (0, 1)
    sender.transfer()
    assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-2.7.4")
def test_a_flow_of_a_receiver_is_echoed_with_the_links_state() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", credit=4)
    hub.container("sensor").sender("/topics/a").transfer()
    receiver.deliveries()
    receiver.flow(4, echo=True)
    receiver.deliveries()
    (answer,) = receiver.flows
    assert (answer.handle, answer.delivery_count, answer.link_credit) == (receiver.handle, 1, 4)


@pytest.mark.clause("AMQP-2.7.4")
def test_a_flow_of_a_sender_is_echoed_with_its_credit() -> None:
    hub = AmqpHub()
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    assert sender.credit == hub.config.credit
    peer.send(Flow(0, 10, 0, 10, sender.handle, 0, 0, 0, echo=True))
    answer = peer.get_one()
    assert isinstance(answer, Flow)
    assert (answer.handle, answer.delivery_count, answer.link_credit) == (sender.handle, 0, hub.config.credit)


@pytest.mark.clause("AMQP-2.6.7")
def test_a_senders_credit_is_topped_up_when_half_of_it_is_used() -> None:
    hub = AmqpHub()
    hub.config.credit = 10
    sender = hub.container("sensor").sender("/topics/a", initial_delivery_count=0xFFFF_FFFC)
    peer = sender.peer
    flows: list[Flow] = []
    for _ in range(12):
        sender.transfer(settled=True)
        flows += [each for each in peer.get() if isinstance(each, Flow)]
    assert [(each.delivery_count, each.link_credit) for each in flows] == [(1, 10), (6, 10)]


@pytest.mark.clause("AMQP-2.6.7")
def test_a_sender_that_uses_up_its_credit_without_sending_is_believed() -> None:
    hub = AmqpHub()
    hub.config.credit = 10
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    peer.send(Flow(0, 10, 0, 10, sender.handle, 10, 0, 0, drain=True))
    answer = peer.get_one()
    assert isinstance(answer, Flow)
    assert (answer.delivery_count, answer.link_credit) == (10, 10)


@pytest.mark.clause("AMQP-2.8.18")
def test_a_transfer_without_credit_ends_the_link() -> None:
    hub = AmqpHub()
    hub.config.credit = 2
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    octets = b"".join([frame(0, encode(Transfer(sender.handle, i, bytes([i]), 0, 1)) + data(b"x")) for i in range(3)])
    peer.send_octets(octets)
    assert peer.condition() == TRANSFER_LIMIT_EXCEEDED
    assert not peer.closed
    # What is under way on a link that has ended is discarded.
    sender.transfer(settled=True)
    assert peer.get() == []
    peer.send(Detach(sender.handle, True))
    peer.sender("/topics/a")


# Refusals on a link. ------------------------------------------------------------------------------------


def _withdrawn(hub: AmqpHub, name: str) -> None:
    hub.principals[name].permit([Permission("other", True, True)], ["*"])
    hub.broker.permissions_changed([name])
    hub.settle()


@pytest.mark.clause("AMQP-3.4.3")
def test_the_policy_decides_on_each_transfer() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    sender = hub.container("sensor").sender("/topics/a")
    _withdrawn(hub, "sensor")
    sender.transfer()
    state = sender.outcome()
    assert isinstance(state, Rejected)
    assert state.error is not None
    assert state.error.condition == UNAUTHORIZED_ACCESS
    sender.transfer(settled=True)
    assert sender.outcomes() == []
    assert receiver.deliveries() == []
    assert len(hub.named("publish.denied")) == 2


@pytest.mark.clause("AMQP-3.5.3")
def test_a_source_that_knows_no_rejected_is_detached() -> None:
    hub = AmqpHub()
    peer = hub.container("sensor")
    source = Source("here", outcomes=[Symbol("amqp:accepted:list")])
    sender = peer.sender("/topics/a", source=source)
    _withdrawn(hub, "sensor")
    sender.transfer()
    assert peer.condition() == UNAUTHORIZED_ACCESS


@pytest.mark.clause("AMQP-2.6.12")
def test_acceptance_waits_for_the_commit() -> None:
    hub = AmqpHub()
    durable = Source("/topics/a", durable=2, expiry_policy=Symbol("never"))
    hub.container("display").receiver(None, source=durable)
    sender = hub.container("sensor").sender("/topics/a")
    hub.store.automatic = False
    for _ in range(3):
        sender.transfer()
    assert sender.outcomes() == []
    hub.commit()
    assert [each.first for each in sender.outcomes()] == [0]
    hub.commit()
    assert [(each.first, each.last) for each in sender.outcomes()] == [(1, 2)]


@pytest.mark.clause("AMQP-3.4.3")
def test_what_the_store_cannot_keep_is_rejected() -> None:
    hub = AmqpHub()
    durable = Source("/topics/a", durable=2, expiry_policy=Symbol("never"))
    hub.container("display").receiver(None, source=durable)
    sender = hub.container("sensor").sender("/topics/a")
    hub.store.full = True
    sender.transfer()
    assert isinstance(sender.outcome(), Rejected)
    hub.store.full = False
    hub.pass_time(2)
    sender.transfer()
    assert sender.outcome() is ACCEPTED


@pytest.mark.clause("AMQP-2.8.7")
def test_a_tag_has_at_most_32_octets() -> None:
    peer = AmqpHub().container("sensor")
    sender = peer.sender("/topics/a")
    sender.transfer(tag=b"t" * 32)
    assert sender.outcome() is ACCEPTED
    sender.transfer(tag=b"t" * 33)
    assert peer.condition() == DECODE_ERROR


@pytest.mark.clause("AMQP-2.6.12")
def test_a_tag_in_use_ends_the_link() -> None:
    peer = AmqpHub().container("sensor")
    sender = peer.sender("/topics/a", rcv_settle_mode=1)
    sender.transfer(tag=b"same")
    assert sender.outcome() is ACCEPTED
    sender.transfer(tag=b"same")
    assert peer.condition() == NOT_ALLOWED


def test_a_receiver_that_does_not_read_stops_its_source() -> None:
    hub = AmqpHub()
    hub.config.outbox_octets = 10_000
    receiver = hub.container("display").receiver("/topics/a", credit=1000, snd_settle_mode=0)
    receiver.peer.stop_reading()
    sender = hub.container("sensor").sender("/topics/a")
    for _ in range(300):
        sender.transfer(body=b"x" * 100)
    assert receiver.peer.backlog is not None
    assert len(receiver.peer.backlog) < 12_000
    receiver.peer.read_on()
    assert len(receiver.deliveries()) == 300


def test_a_receiver_that_never_settles_is_bounded() -> None:
    hub = AmqpHub()
    hub.config.unsettled = 5
    receiver = hub.container("display").receiver("/topics/a", credit=1000, snd_settle_mode=0)
    sender = hub.container("sensor").sender("/topics/a")
    for i in range(8):
        sender.transfer(body=bytes([i]))
    assert len(receiver.deliveries()) == 5
    receiver.settle(0, 1, ACCEPTED)
    assert [each.body for each in receiver.deliveries()] == [b"\x05", b"\x06"]


def test_bodies_of_dialogues_are_read_right() -> None:
    for size in (0, 1, 255, 256, 70_000):
        assert body_of(data(b"q" * size)) == b"q" * size
    assert isinstance(Disposition(True, 0), Disposition)
