"""Transfers of AMQP 1.0 (2.7.5): messages of several frames, sizes, and what the settle modes permit."""

from __future__ import annotations

import pytest

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.errors import (
    INVALID_FIELD,
    MESSAGE_SIZE_EXCEEDED,
    NOT_IMPLEMENTED,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from tests.amqp.dialogue import AmqpHub, data

# Transfers of several frames. ---------------------------------------------------------------------------


@pytest.mark.clause("AMQP-2.6.14")
@pytest.mark.parametrize("size", [100, 300, 363, 512, 1000, 40_000])
@pytest.mark.parametrize("settled", [True, False])
def test_a_large_message_is_cut_to_the_peers_frames(size: int, settled: bool) -> None:
    hub = AmqpHub()
    peer = hub.container("display", max_frame_size=512)
    receiver = peer.receiver("/topics/a", snd_settle_mode=2)
    sender = hub.container("sensor").sender("/topics/a")
    body = bytes([i % 251 for i in range(size)])
    sender.transfer(body=body, settled=settled)
    (delivered,) = receiver.deliveries()
    assert delivered.body == body
    assert delivered.settled == settled
    assert (delivered.frames > 1) == (size > 360)


@pytest.mark.clause("AMQP-2.6.14")
def test_a_message_of_several_transfers_is_one() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    whole = data(b"0123456789")
    peer.send(Transfer(sender.handle, 0, b"t", 0, 0, True), payload=whole[:4])
    peer.send(Transfer(sender.handle, more=True), payload=whole[4:8])
    assert receiver.deliveries() == []
    peer.send(Transfer(sender.handle, 0, b"t"), payload=whole[8:])
    assert sender.outcome() is ACCEPTED
    assert [each.body for each in receiver.deliveries()] == [b"0123456789"]


@pytest.mark.clause("AMQP-2.6.14")
def test_messages_of_two_links_may_be_interleaved() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/%2B")
    peer = hub.container("sensor")
    one = peer.sender("/topics/a")
    two = peer.sender("/topics/b")
    first, second = data(b"one"), data(b"two")
    peer.send(Transfer(one.handle, 0, b"1", 0, 1, True), payload=first[:3])
    peer.send(Transfer(two.handle, 1, b"2", 0, 1, True), payload=second[:5])
    peer.send(Transfer(one.handle), payload=first[3:])
    peer.send(Transfer(two.handle), payload=second[5:])
    assert [each.body for each in receiver.deliveries()] == [b"one", b"two"]


@pytest.mark.clause("AMQP-2.7.5")
def test_an_aborted_message_is_as_if_it_had_not_been_sent() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    peer.send(Transfer(sender.handle, 0, b"t", 0, 0, True), payload=data(b"x" * 100)[:50])
    peer.send(Transfer(sender.handle, 0, aborted=True))
    peer.delivery_id = 1
    sender.transfer(body=b"next")
    assert [each.first for each in sender.outcomes()] == [1]
    assert [each.body for each in receiver.deliveries()] == [b"next"]


@pytest.mark.clause("AMQP-2.7.5")
def test_a_message_is_settled_when_one_of_its_transfers_says_so() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    whole = data(b"abc")
    peer.send(Transfer(sender.handle, 0, b"t", 0, ABSENT, True), payload=whole[:3])
    peer.send(Transfer(sender.handle, settled=1), payload=whole[3:])
    assert sender.outcomes() == []
    assert [each.settled for each in receiver.deliveries()] == [True]


@pytest.mark.clause("AMQP-2.7.5")
@pytest.mark.parametrize(
    "following", [Transfer(0, 1, more=True), Transfer(0, 0, b"another", more=True), Transfer(0, 7)]
)
def test_a_message_that_changes_its_id_ends_the_link(following: Transfer) -> None:
    hub = AmqpHub()
    peer = hub.container("sensor")
    peer.sender("/topics/a")
    peer.send(Transfer(0, 0, b"t", 0, 0, True), payload=data(b"x")[:2])
    peer.send(following)
    assert peer.condition() == INVALID_FIELD
    assert not peer.closed


@pytest.mark.clause("AMQP-2.7.5")
@pytest.mark.parametrize("first", [Transfer(0, ABSENT, b"t", 0), Transfer(0, 0, None, 0)])
def test_a_first_transfer_has_id_and_tag(first: Transfer) -> None:
    peer = AmqpHub().container("sensor")
    peer.sender("/topics/a")
    peer.send(first, payload=data(b"x"))
    assert peer.condition() == INVALID_FIELD


@pytest.mark.clause("AMQP-2.5.6")
def test_a_message_waits_in_the_middle_for_the_window() -> None:
    hub = AmqpHub()
    peer = hub.container("display", max_frame_size=512, begin=False)
    peer.begin(incoming_window=2)
    receiver = peer.receiver("/topics/a", credit=0)
    receiver.flow(10, incoming_window=2)
    sender = hub.container("sensor").sender("/topics/a")
    sender.transfer(body=b"z" * 1500)
    sender.transfer(body=b"behind")
    assert receiver.deliveries() == []
    assert peer.transfers[0] == 2
    peer.send(Flow(2, 2, 0, 10))
    assert receiver.deliveries() == []
    peer.send(Flow(4, 20, 0, 10))
    assert [each.body for each in receiver.deliveries()] == [b"z" * 1500, b"behind"]


@pytest.mark.clause("AMQP-2.6.14")
def test_what_is_settled_in_the_middle_is_aborted() -> None:
    hub = AmqpHub()
    peer = hub.container("display", max_frame_size=512, begin=False)
    peer.begin(incoming_window=2)
    receiver = peer.receiver("/topics/a", credit=0)
    receiver.flow(10, incoming_window=2)
    sender = hub.container("sensor").sender("/topics/a")
    sender.transfer(body=b"z" * 1500)
    sender.transfer(body=b"behind")
    receiver.deliveries()
    receiver.settle(0, state=ACCEPTED)
    peer.send(Flow(3, 20, 0, 10))
    assert [each.body for each in receiver.deliveries()] == [b"behind"]


# Sizes and modes. ---------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP-2.7.3")
def test_our_max_message_size_is_told_and_kept() -> None:
    hub = AmqpHub()
    hub.config.message_octets = 1000
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    assert sender.answer.max_message_size == 1000
    sender.transfer(body=b"x" * 992, settled=True)
    assert peer.get() == []
    sender.transfer(body=b"x" * 993, settled=True)
    assert peer.condition() == MESSAGE_SIZE_EXCEEDED


@pytest.mark.clause("AMQP-2.8.18")
def test_a_message_that_grows_too_large_is_not_collected() -> None:
    hub = AmqpHub()
    hub.config.message_octets = 1000
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    peer.send(Transfer(sender.handle, 0, b"t", 0, 0, True), payload=b"x" * 600)
    peer.send(Transfer(sender.handle, more=True), payload=b"x" * 600)
    assert peer.condition() == MESSAGE_SIZE_EXCEEDED
    assert not peer.closed


@pytest.mark.clause("AMQP-2.7.3")
def test_the_receivers_max_message_size_is_kept() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", max_message_size=50)
    sender = hub.container("sensor").sender("/topics/a")
    for settled in (True, False):
        sender.transfer(body=b"x" * 100, settled=settled)
        sender.transfer(body=b"small", settled=settled)
    assert [each.body for each in receiver.deliveries()] == [b"small", b"small"]


@pytest.mark.clause("AMQP-2.8.2")
def test_on_a_settled_link_everything_is_settled() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a", snd_settle_mode=1)
    assert receiver.answer.snd_settle_mode == 1
    sender = hub.container("sensor").sender("/topics/a", snd_settle_mode=1)
    assert sender.answer.snd_settle_mode == 1
    sender.peer.send(Transfer(sender.handle, 0, b"t", 0), payload=data(b"x"))
    assert sender.outcomes() == []
    assert [each.settled for each in receiver.deliveries()] == [True]


@pytest.mark.clause("AMQP-2.8.2")
def test_a_settled_transfer_on_an_unsettled_link_ends_it() -> None:
    peer = AmqpHub().container("sensor")
    sender = peer.sender("/topics/a", snd_settle_mode=0)
    sender.transfer(settled=True)
    assert peer.condition() == INVALID_FIELD


@pytest.mark.clause("AMQP-2.7.5")
def test_a_transfer_cannot_ask_for_second_where_the_link_is_first() -> None:
    peer = AmqpHub().container("sensor")
    sender = peer.sender("/topics/a", rcv_settle_mode=0)
    peer.send(Transfer(sender.handle, 0, b"t", 0, 0, rcv_settle_mode=1), payload=data(b"x"))
    assert peer.condition() == INVALID_FIELD


@pytest.mark.clause("AMQP-2.8.11")
def test_another_message_format_is_rejected() -> None:
    peer = AmqpHub().container("sensor")
    sender = peer.sender("/topics/a")
    peer.send(Transfer(sender.handle, 0, b"t", 7, 0), payload=data(b"x"))
    assert peer.condition() == NOT_IMPLEMENTED
