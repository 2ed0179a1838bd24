"""Connections of AMQP 1.0 (part 2, section 2.4): headers, open, idle time-out, close, and faults that end them."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import NOT_AUTHORIZED, UNAVAILABLE
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.errors import (
    CONNECTION_FORCED,
    DECODE_ERROR,
    FRAMING_ERROR,
    ILLEGAL_STATE,
    INVALID_FIELD,
    NOT_ALLOWED,
    RESOURCE_LIMIT_EXCEEDED,
    UNAUTHORIZED_ACCESS,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Begin, Close, End, Flow, Open, Transfer
from bridgehead.protocols.amqp.session.v1.connection import HEADER
from tests.amqp.dialogue import AmqpHub, Container


@pytest.mark.clause("AMQP-2.2")
def test_the_header_is_answered_however_it_is_cut() -> None:
    hub = AmqpHub()
    peer = Container(hub, "office", "office")
    for octet in HEADER:
        assert peer.header == b""
        peer.send_octets(bytes([octet]))
    assert peer.header == HEADER


@pytest.mark.clause("AMQP-2.2")
@pytest.mark.parametrize("header", [b"AMQP\x00\x00\x09\x01", b"AMQP\x03\x01\x00\x00", b"GET / HT", b"AMQP\x00\x02"])
def test_another_header_is_answered_with_ours_and_the_end(header: bytes) -> None:
    hub = AmqpHub()
    peer = Container(hub, "office", "office")
    peer.send_octets(header)
    assert peer.header == HEADER
    assert peer.closed
    assert peer.get() == []


@pytest.mark.clause("AMQP-2.4.1")
def test_header_open_and_begin_may_come_in_one_read() -> None:
    hub = AmqpHub()
    peer = Container(hub, "office", "office")
    opened = frame(0, encode(Open("office"))) + frame(3, encode(Begin(ABSENT, 0, 10, 10)))
    peer.send_octets(HEADER + opened)
    answers = peer.get()
    assert [type(each) for each in answers] == [Open, Begin]


@pytest.mark.clause("AMQP-2.7.1")
def test_open_tells_our_limits() -> None:
    hub = AmqpHub()
    peer = Container(hub, "office", "office")
    peer.send_octets(HEADER)
    peer.send(Open("office"))
    answer = peer.get_one()
    assert isinstance(answer, Open)
    assert answer.max_frame_size == hub.config.max_frame_size
    assert answer.channel_max == hub.config.channel_max
    assert answer.idle_time_out == hub.config.idle_timeout * 1000 / 2
    assert answer.offered_capabilities == ["ANONYMOUS-RELAY"]


@pytest.mark.clause("AMQP-2.4.1")
def test_a_frame_before_open_ends_the_connection() -> None:
    hub = AmqpHub()
    peer = Container(hub, "office", "office")
    peer.send_octets(HEADER)
    peer.send(Begin(ABSENT, 0, 10, 10))
    opened, closed = peer.get()
    assert isinstance(opened, Open)
    assert isinstance(closed, Close)
    assert closed.error is not None
    assert closed.error.condition == ILLEGAL_STATE


@pytest.mark.clause("AMQP-2.4.1")
def test_open_on_another_channel_ends_the_connection() -> None:
    hub = AmqpHub()
    peer = Container(hub, "office", "office")
    peer.send_octets(HEADER)
    peer.send(Open("office"), channel=1)
    assert peer.condition() == FRAMING_ERROR


@pytest.mark.clause("AMQP-2.4.1", "AMQP-2.4.6")
def test_a_second_open_ends_the_connection() -> None:
    peer = AmqpHub().container()
    peer.send(Open("office"))
    assert peer.condition() == ILLEGAL_STATE


@pytest.mark.clause("AMQP-2.7.1")
def test_a_max_frame_size_below_512_is_refused() -> None:
    peer = Container(AmqpHub(), "office", "office")
    peer.send_octets(HEADER)
    peer.send(Open("office", max_frame_size=511))
    assert peer.condition() == INVALID_FIELD


@pytest.mark.clause("AMQP-2.4.3", "AMQP-2.7.9")
def test_close_is_answered_and_ends_it() -> None:
    peer = AmqpHub().container()
    peer.send(Close())
    assert peer.closing().error is None
    assert peer.hub.named("connection.ended")


@pytest.mark.clause("AMQP-2.4.5")
def test_a_peer_that_is_silent_is_closed() -> None:
    hub = AmqpHub()
    peer = hub.container()
    hub.pass_time(hub.config.idle_timeout - 1)
    assert not peer.closed
    peer.send_octets(frame(0, b""))
    hub.pass_time(hub.config.idle_timeout - 1)
    assert not peer.closed
    hub.pass_time(2)
    assert peer.condition() == RESOURCE_LIMIT_EXCEEDED


@pytest.mark.clause("AMQP-2.4.5")
def test_we_are_never_silent_longer_than_the_peer_allows() -> None:
    hub = AmqpHub()
    hub.config.idle_timeout = 0.0
    peer = hub.container(idle_time_out=10_000)
    for beat in range(1, 8):
        hub.pass_time(5)
        assert peer.heartbeats == beat


@pytest.mark.clause("AMQP-2.4.5")
def test_an_idle_time_out_that_cannot_be_kept_is_refused() -> None:
    peer = Container(AmqpHub(), "office", "office")
    peer.send_octets(HEADER)
    peer.send(Open("office", idle_time_out=1))
    assert peer.condition() == INVALID_FIELD


def test_a_connection_that_is_not_opened_in_time_is_closed() -> None:
    hub = AmqpHub()
    peer = Container(hub, "office", "office")
    peer.send_octets(HEADER[:5])
    hub.pass_time(hub.config.connect_timeout)
    assert peer.header == HEADER
    assert peer.condition() == RESOURCE_LIMIT_EXCEEDED


@pytest.mark.clause("AMQP-2.7.1")
def test_a_channel_above_the_maximum_ends_the_connection() -> None:
    hub = AmqpHub()
    peer = hub.container(begin=False)
    peer.begin(channel=hub.config.channel_max)
    peer.send(Begin(ABSENT, 0, 10, 10), channel=hub.config.channel_max + 1)
    assert peer.condition() == FRAMING_ERROR


@pytest.mark.clause("AMQP-2.5.1")
def test_a_frame_on_a_channel_without_session_ends_the_connection() -> None:
    peer = AmqpHub().container()
    peer.send(Flow(0, 10, 0, 10), channel=5)
    assert peer.condition() == NOT_ALLOWED


@pytest.mark.clause("AMQP-2.5.1")
def test_a_begin_on_a_channel_in_use_ends_the_connection() -> None:
    peer = AmqpHub().container()
    peer.send(Begin(ABSENT, 0, 10, 10))
    assert peer.condition() == ILLEGAL_STATE


@pytest.mark.clause("AMQP-2.5.1")
def test_a_begin_that_answers_nothing_ends_the_connection() -> None:
    peer = AmqpHub().container(begin=False)
    peer.send(Begin(0, 0, 10, 10))
    assert peer.condition() == ILLEGAL_STATE


@pytest.mark.clause("AMQP-2.8.16")
@pytest.mark.parametrize(
    "octets",
    [
        b"\x00\x00\x00\x04\x02\x00\x00\x00",  # shorter than its header
        b"\x00\x00\x00\x08\x01\x00\x00\x00",  # the data offset within the header
        b"\x00\x00\x00\x08\x02\x07\x00\x00",  # a type that nobody knows
        b"\x7f\xff\xff\xff\x02\x00\x00\x00",  # longer than max-frame-size
    ],
)
def test_a_frame_that_is_none_ends_the_connection(octets: bytes) -> None:
    peer = AmqpHub().container()
    peer.send_octets(octets)
    assert peer.condition() == FRAMING_ERROR
    assert peer.hub.named("connection.peer-error")[0]["code"] == FRAMING_ERROR


@pytest.mark.clause("AMQP-2.8.15")
@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x53\x99\x45",  # a performative that nobody knows
        b"\x00\x53\x14\xc0\x02\x05\x40",  # a list that ends too early
        b"\x41",  # no described type
        b"\xff\xff",
    ],
)
def test_a_performative_that_cannot_be_read_ends_the_connection(body: bytes) -> None:
    peer = AmqpHub().container()
    peer.send_octets(frame(0, body))
    assert peer.condition() == DECODE_ERROR
    assert peer.closed


@pytest.mark.clause("AMQP-2.8.15")
def test_a_mandatory_field_that_is_absent_ends_the_connection() -> None:
    peer = AmqpHub().container()
    peer.send_octets(frame(0, b"\x00\x53\x12\x45"))
    assert peer.condition() == INVALID_FIELD


def test_what_came_before_the_fault_is_done() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    whole = frame(0, encode(Transfer(sender.handle, 0, b"t", 0, 1)) + b"\x00\x53\x75\xa0\x011")
    peer.send_octets(whole + b"\xff" * 8)
    assert [each.body for each in receiver.deliveries()] == [b"1"]
    assert peer.closed


@pytest.mark.clause("AMQP-2.8.15")
def test_a_proof_that_expires_closes_the_connection() -> None:
    hub = AmqpHub()
    peer = hub.container(expires_at=hub.clock.now + 30)
    hub.pass_time(29)
    assert not peer.closed
    hub.pass_time(2)
    assert peer.condition() == UNAUTHORIZED_ACCESS


@pytest.mark.parametrize(
    ("meaning", "condition"), [(NOT_AUTHORIZED, UNAUTHORIZED_ACCESS), (UNAVAILABLE, CONNECTION_FORCED)]
)
def test_the_hub_closes_with_the_right_condition(meaning: str, condition: str) -> None:
    peer = AmqpHub().container()
    peer.connection.dismiss(meaning, "the hub says so")
    peer.hub.settle()
    assert peer.condition() == condition


def test_a_revoked_identity_is_closed() -> None:
    hub = AmqpHub()
    peer = hub.container("office")
    hub.broker.revoke("office", "its credentials were taken back")
    hub.settle()
    assert peer.condition() == UNAUTHORIZED_ACCESS
    assert hub.broker.sessions.of("office") == []


def test_nothing_is_left_of_a_lost_connection() -> None:
    hub = AmqpHub()
    peer = hub.container("office")
    peer.receiver("/topics/a")
    peer.sender("/topics/b")
    assert hub.broker.counters.connections == 1
    peer.drop()
    assert hub.broker.counters.connections == 0
    assert hub.broker.sessions.of("office") == []


@pytest.mark.clause("AMQP-2.4.4")
def test_both_sides_may_close_at_the_same_time() -> None:
    hub = AmqpHub()
    peer = hub.container()
    # A begin out of place, for which we close, and the peer's own close behind it.
    peer.send(Begin(0, 0, 1, 1), Close())
    (ours,) = peer.get()
    assert isinstance(ours, Close)
    assert ours.error is not None
    assert peer.closed


@pytest.mark.clause("AMQP-2.4.6")
def test_every_performative_that_is_out_of_place_ends_the_connection() -> None:
    for performative in (Flow(0, 1, 0, 1), Attach("a", 0, True), End(), Transfer(0, 0, b"t"), Close()):
        peer = Container(AmqpHub(), "office", "office")
        peer.send_octets(HEADER)
        peer.send(performative)
        assert peer.condition() == ILLEGAL_STATE


def test_octets_after_the_close_mean_nothing() -> None:
    hub = AmqpHub()
    peer = hub.container()
    peer.send(Close())
    peer.get()
    peer.send(Attach("a", 0, True))
    peer.send(End())
    assert peer.get() == []
