"""Sessions of AMQP 1.0 (2.5): both windows, serial numbers that wrap, and faults that end a session alone."""

from __future__ import annotations

import pytest

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.errors import (
    FRAMING_ERROR,
    HANDLE_IN_USE,
    UNATTACHED_HANDLE,
    WINDOW_VIOLATION,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Begin, Detach, End, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from tests.amqp.dialogue import AmqpHub, Container, data


@pytest.mark.clause("AMQP-2.5.1")
def test_begin_is_answered_with_the_remote_channel() -> None:
    hub = AmqpHub()
    peer = hub.container(begin=False)
    answer = peer.begin(channel=7)
    assert answer.handle_max == hub.config.handle_max
    assert answer.incoming_window == hub.config.incoming_window


@pytest.mark.clause("AMQP-2.5.2", "AMQP-2.7.8")
def test_end_is_answered_and_frees_the_channel() -> None:
    hub = AmqpHub()
    peer = hub.container()
    peer.receiver("/topics/a")
    peer.send(End())
    answer = peer.get()[-1]
    assert isinstance(answer, End)
    assert answer.error is None
    peer.begin()


@pytest.mark.clause("AMQP-2.5.6", "AMQP-2.8.10")
@pytest.mark.parametrize("start", [0, 1, 0x7FFF_FFFE, 0xFFFF_FFFD])
def test_ids_may_start_anywhere_and_wrap(start: int) -> None:
    hub = AmqpHub()
    hub.config.incoming_window = 4
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor", begin=False)
    peer.begin(next_outgoing_id=start)
    peer.delivery_id = start
    sender = peer.sender("/topics/a")
    for i in range(20):
        sender.transfer(body=str(i).encode())
    outcomes = sender.outcomes()
    assert [each.first for each in outcomes] == [(start + i) & 0xFFFF_FFFF for i in range(20)]
    assert all(each.state is ACCEPTED for each in outcomes)
    assert [each.body for each in receiver.deliveries()] == [str(i).encode() for i in range(20)]


@pytest.mark.clause("AMQP-2.5.6")
def test_our_window_is_topped_up_when_half_of_it_is_used() -> None:
    hub = AmqpHub()
    hub.config.incoming_window = 8
    peer = hub.container("sensor", begin=False)
    peer.begin(next_outgoing_id=0xFFFF_FFFE)
    sender = peer.sender("/topics/a")
    flows: list[Flow] = []
    for _ in range(12):
        sender.transfer(settled=True)
        flows += [each for each in peer.get() if isinstance(each, Flow)]
    assert [(each.next_incoming_id, each.incoming_window) for each in flows] == [(2, 8), (6, 8), (10, 8)]


@pytest.mark.clause("AMQP-2.8.17")
def test_a_sender_that_ignores_our_window_loses_its_session() -> None:
    hub = AmqpHub()
    hub.config.incoming_window = 3
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    transfers = [frame(0, encode(Transfer(sender.handle, i, bytes([i]), 0, 1)) + data(b"x")) for i in range(5)]
    peer.send_octets(b"".join(transfers))
    assert peer.condition() == WINDOW_VIOLATION
    assert not peer.closed


@pytest.mark.clause("AMQP-2.5.6")
def test_no_more_is_sent_than_the_peers_window_takes() -> None:
    hub = AmqpHub()
    peer = hub.container("display", begin=False)
    peer.begin(incoming_window=3)
    receiver = peer.receiver("/topics/a", credit=0)
    receiver.flow(100, incoming_window=3)
    sender = hub.container("sensor").sender("/topics/a")
    for i in range(5):
        sender.transfer(body=bytes([i]))
    first = receiver.deliveries()
    assert [each.body for each in first] == [b"\x00", b"\x01", b"\x02"]
    peer.send(Flow(3, 1, 0, 10))
    assert [each.body for each in receiver.deliveries()] == [b"\x03"]
    peer.send(Flow(4, 10, 0, 10))
    assert [each.body for each in receiver.deliveries()] == [b"\x04"]


@pytest.mark.clause("AMQP-2.7.4")
def test_the_window_counts_from_what_the_peer_has_seen() -> None:
    hub = AmqpHub()
    peer = hub.container("display", begin=False)
    peer.begin(incoming_window=5)
    receiver = peer.receiver("/topics/a", credit=0)
    receiver.flow(100, incoming_window=5)
    sender = hub.container("sensor").sender("/topics/a")
    for i in range(9):
        sender.transfer(body=bytes([i]))
    assert len(receiver.deliveries()) == 5
    # It has seen two of the five when it grants four: three are under way, so one more may go.
    peer.send(Flow(2, 4, 0, 10))
    assert len(receiver.deliveries()) == 1


@pytest.mark.clause("AMQP-2.7.4")
def test_a_flow_for_the_session_is_echoed() -> None:
    peer = AmqpHub().container()
    peer.send(Flow(0, 10, 0, 10, echo=True))
    answer = peer.get_one()
    assert isinstance(answer, Flow)
    assert answer.handle == ABSENT
    peer.send(Flow(ABSENT, 10, 0, 10))
    assert peer.get() == []


@pytest.mark.clause("AMQP-2.5.6")
def test_a_next_incoming_id_that_was_never_sent_ends_the_session() -> None:
    peer = AmqpHub().container()
    peer.send(Flow(5, 10, 0, 10))
    assert peer.condition() == WINDOW_VIOLATION
    assert not peer.closed


@pytest.mark.clause("AMQP-2.7.2", "AMQP-2.8.4")
def test_a_handle_above_the_maximum_ends_the_connection() -> None:
    hub = AmqpHub()
    peer = hub.container()
    peer.send(Attach("a", hub.config.handle_max + 1, True, source=Source("/topics/a")))
    assert peer.condition() == FRAMING_ERROR
    assert peer.closed


@pytest.mark.clause("AMQP-2.8.17")
def test_a_handle_in_use_ends_the_session() -> None:
    peer = AmqpHub().container()
    peer.receiver("/topics/a")
    peer.send(Attach("another", 0, True, source=Source("/topics/a")))
    assert peer.condition() == HANDLE_IN_USE
    assert not peer.closed


@pytest.mark.clause("AMQP-2.8.17")
@pytest.mark.parametrize("what", ["transfer", "flow", "detach"])
def test_a_handle_that_is_not_attached_ends_the_session(what: str) -> None:
    peer = AmqpHub().container()
    if what == "transfer":
        peer.send(Transfer(9, 0, b"a", 0, 1), payload=data(b"x"))
    elif what == "flow":
        peer.send(Flow(0, 10, 0, 10, 9, 0, 10))
    else:
        peer.send(Detach(9, True))
    assert peer.condition() == UNATTACHED_HANDLE
    assert not peer.closed


@pytest.mark.clause("AMQP-2.5.4", "AMQP-2.5.5")
def test_after_our_end_everything_is_discarded_until_the_peers_end() -> None:
    hub = AmqpHub()
    other = hub.container("display").receiver("/topics/a")
    peer = hub.container()
    sender = peer.sender("/topics/a")
    peer.send(Detach(9, True))
    assert peer.condition() == UNATTACHED_HANDLE
    peer.send(Transfer(sender.handle, 0, b"a", 0, 1), payload=data(b"x"))
    peer.send(Attach("b", 3, True, source=Source("/topics/a")))
    peer.send(Flow(0, 10, 0, 10, echo=True))
    assert peer.get() == []
    assert other.deliveries() == []
    peer.send(End())
    assert peer.get() == []
    peer.begin()


@pytest.mark.clause("AMQP-2.5.3")
def test_both_sides_may_end_a_session_at_the_same_time() -> None:
    hub = AmqpHub()
    peer = hub.container()
    # The peer's end is on its way when ours, for a handle that it did not attach, comes.
    peer.send(Detach(9, True), End())
    (ours,) = peer.get()
    assert isinstance(ours, End)
    assert ours.error is not None
    peer.begin()


def test_another_session_of_the_connection_goes_on() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container(begin=False)
    peer.begin(channel=0)
    peer.begin(channel=1)
    sender = peer.sender("/topics/a", channel=1)
    peer.send(Detach(9, True), channel=0)
    assert peer.condition() == UNATTACHED_HANDLE
    sender.transfer(body=b"on")
    assert [each.body for each in receiver.deliveries()] == [b"on"]


@pytest.mark.clause("AMQP-2.7.6")
def test_accepted_ones_of_one_read_are_told_in_one_range() -> None:
    hub = AmqpHub()
    peer = hub.container()
    sender = peer.sender("/topics/a")
    octets = b"".join([frame(0, encode(Transfer(sender.handle, i, bytes([i]), 0, 0)) + data(b"x")) for i in range(50)])
    peer.send_octets(octets)
    (only,) = sender.outcomes()
    assert (only.first, only.last, only.settled) == (0, 49, True)
    assert only.state is ACCEPTED


def test_the_number_of_sessions_is_bounded_by_the_channels() -> None:
    hub = AmqpHub()
    hub.config.channel_max = 3
    peer = hub.container(begin=False)
    for channel in range(4):
        peer.begin(channel=channel)
    peer.send(Begin(ABSENT, 0, 1, 1), channel=4)
    assert peer.condition() == FRAMING_ERROR


def receiver_of(hub: AmqpHub, peer: Container) -> Attach:
    return peer.attach(Attach("x", 5, True, source=Source("/topics/a"), target=Target("here")))


@pytest.mark.clause("AMQP-2.6.2")
def test_a_link_of_one_session_is_not_another_sessions() -> None:
    hub = AmqpHub()
    peer = hub.container(begin=False)
    peer.begin(channel=0)
    peer.begin(channel=1)
    receiver_of(hub, peer)
    peer.send(Flow(0, 10, 0, 10, 5, 0, 10), channel=1)
    assert peer.condition() == UNATTACHED_HANDLE
