"""Bad input to connections, sessions and links: the right condition, bounded memory, others undisturbed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT, Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.errors import (
    DECODE_ERROR,
    FRAMING_ERROR,
    RESOURCE_LIMIT_EXCEEDED,
    TRANSFER_LIMIT_EXCEEDED,
)
from bridgehead.protocols.amqp.codec.v1.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)
from bridgehead.protocols.amqp.codec.v1.states import (
    ACCEPTED,
    RELEASED,
    Declare,
    Discharge,
    Modified,
    Received,
    Rejected,
    TransactionalState,
)
from bridgehead.protocols.amqp.codec.v1.termini import Coordinator, Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import AmqpHub, Container, data


def undisturbed(hub: AmqpHub) -> None:
    """Somebody else is served as before."""
    receiver = hub.container("witness").receiver("/topics/witness")
    sender = hub.container("witness", "other").sender("/topics/witness")
    sender.transfer(body=b"all is well")
    assert sender.outcome() is ACCEPTED
    assert [each.body for each in receiver.deliveries()] == [b"all is well"]


@pytest.mark.clause("AMQP-2.3.1")
def test_a_frame_longer_than_promised_is_not_collected() -> None:
    hub = AmqpHub()
    peer = hub.container()
    too_long = (hub.config.max_frame_size + 1).to_bytes(4, "big")
    peer.send_octets(too_long + b"\x02\x00\x00\x00")
    assert peer.condition() == FRAMING_ERROR
    undisturbed(hub)


def test_a_table_nested_35_kilobytes_deep_is_refused() -> None:
    hub = AmqpHub()
    peer = hub.container()
    nested = b"\x45"
    while len(nested) < 35_000:
        size = (len(nested) + 4).to_bytes(4, "big")
        nested = b"\xd0" + size + b"\x00\x00\x00\x01" + nested
    body = b"\x00\x53\x12\xd0" + (len(nested) + 4).to_bytes(4, "big") + b"\x00\x00\x00\x01" + nested
    peer.send_octets(frame(0, body))
    assert peer.condition() == DECODE_ERROR
    undisturbed(hub)


def test_a_sender_that_overruns_its_credit_loses_its_link_alone() -> None:
    hub = AmqpHub()
    hub.config.credit = 5
    peer = hub.container("sensor")
    sender = peer.sender("/topics/a")
    other = peer.sender("/topics/b")
    octets = [frame(0, encode(Transfer(sender.handle, i, b"%d" % i, 0, 1)) + data(b"x")) for i in range(100)]
    peer.send_octets(b"".join(octets))
    assert peer.condition() == TRANSFER_LIMIT_EXCEEDED
    peer.delivery_id = 100
    other.transfer()
    assert other.outcome() is ACCEPTED
    undisturbed(hub)


def test_messages_that_never_end_are_bounded_for_the_whole_connection() -> None:
    hub = AmqpHub()
    hub.config.message_octets = 10_000
    peer = hub.container("sensor")
    conditions: list[str] = []
    for i in range(5):
        sender = peer.sender("/topics/a")
        peer.send(Transfer(sender.handle, i, b"%d" % i, 0, 0, True), payload=b"x" * 9_000)
        conditions += [str(each.error.condition) for each in peer.get() if isinstance(each, Detach) and each.error]
    assert conditions == [RESOURCE_LIMIT_EXCEEDED] * 3
    assert not peer.closed
    undisturbed(hub)


def test_what_a_detached_link_had_begun_is_let_go() -> None:
    hub = AmqpHub()
    hub.config.message_octets = 10_000
    peer = hub.container("sensor")
    for i in range(10):
        sender = peer.sender("/topics/a")
        peer.send(Transfer(sender.handle, i, b"%d" % i, 0, 0, True), payload=b"x" * 9_000)
        assert sender.detach(closed=True).error is None


def test_a_receiver_without_credit_costs_a_bounded_amount() -> None:
    hub = AmqpHub()
    hub.config.waiting_messages = 10
    receiver = hub.container("display").receiver("/topics/a", credit=0)
    sender = hub.container("sensor").sender("/topics/a")
    for _ in range(200):
        sender.transfer(settled=True)
    receiver.flow(1000)
    assert 0 < len(receiver.deliveries()) <= 10
    undisturbed(hub)


@pytest.mark.clause("AMQP-2.7.6")
def test_ranges_of_four_thousand_million_deliveries_cost_nothing() -> None:
    hub = AmqpHub()
    peer = hub.container()
    receiver = peer.receiver("/topics/a")
    for _ in range(200):
        peer.send(*[Disposition(role, 5, 4, True, ACCEPTED) for role in (True, False)])
    hub.container("sensor").sender("/topics/a").transfer()
    assert len(receiver.deliveries()) == 1
    assert not peer.closed


def test_attaches_that_are_refused_leave_nothing() -> None:
    hub = AmqpHub()
    peer = hub.container()
    for i in range(50):
        peer.send(Attach(f"l{i}", 3, False, target=Target("/queues/none"), initial_delivery_count=0))
        assert isinstance(peer.get()[-1], Detach)
        peer.send(Detach(3, True))
    assert len(hub.broker.sessions.of("office")) == 1
    undisturbed(hub)


def test_links_that_come_and_go_leave_nothing() -> None:
    hub = AmqpHub()
    hub.config.links = 10
    peer = hub.container()
    for _ in range(60):
        receiver = peer.receiver("/topics/a")
        sender = peer.sender("/topics/a", rcv_settle_mode=1)
        sender.transfer()
        receiver.deliveries()
        receiver.detach(closed=True)
        sender.detach()
        peer.next_handle = 0
    assert len(hub.broker.sessions.of("office")) == 1


def test_a_name_of_a_megabyte_is_refused() -> None:
    peer = AmqpHub().container(begin=False)
    peer.begin()
    peer.send(Attach("n" * 5000, 0, True, source=Source("/topics/a")))
    assert peer.condition() == RESOURCE_LIMIT_EXCEEDED


def test_half_a_frame_for_ever_is_closed_by_the_idle_time_out() -> None:
    hub = AmqpHub()
    peer = hub.container()
    peer.send_octets(b"\x00\x00\x10\x00\x02\x00")
    hub.pass_time(hub.config.idle_timeout + 1)
    assert peer.condition() == RESOURCE_LIMIT_EXCEEDED


def test_a_publisher_that_is_faster_than_it_may_is_not_read() -> None:
    hub = AmqpHub()
    hub.config.publish_rate = 10.0
    hub.config.publish_burst = 5
    peer = hub.container()
    sender = peer.sender("/topics/a")
    for _ in range(30):
        sender.transfer(settled=True)
    assert peer.connection.is_congested()
    hub.pass_time(3)
    assert not peer.connection.is_congested()
    assert not peer.closed


# Anything at all. ---------------------------------------------------------------------------------------

numbers = st.sampled_from([0, 1, 2, 3, 255, 256, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1])
small = st.integers(0, 3)
states = st.sampled_from(
    [
        None,
        ACCEPTED,
        RELEASED,
        Rejected(),
        Modified(True, True),
        Received(0, 0),
        TransactionalState(b"x", ACCEPTED),
        TransactionalState((1).to_bytes(8, "big"), ACCEPTED),
    ]
)
sources = st.sampled_from([None, Source(), Source("/topics/a"), Source("/queues/q"), Source(dynamic=True)])
targets = st.sampled_from(
    [None, Target(), Target("/topics/a"), Target("/queues/q"), Target(dynamic=True), Coordinator()]
)
maps = st.sampled_from([None, {}, {b"\x00": None}, {b"t": ACCEPTED}])
payloads = st.sampled_from(
    [
        b"",
        data(b"x"),
        b"\x00\x53\x77" + encode(Declare()),
        b"\x00\x53\x77" + encode(Discharge(b"\x00" * 7 + b"\x01")),
        b"?",
    ]
)
flags = st.booleans()
performatives = st.one_of(
    st.builds(Begin, st.sampled_from([ABSENT, 0]), numbers, numbers, numbers, numbers),
    st.builds(Attach, st.sampled_from(["a", "b"]), small, flags, small.map(lambda x: x % 3), small.map(lambda x: x % 2),
              sources, targets, maps, flags, st.sampled_from([ABSENT, 0, 2**32 - 1])),
    st.builds(Flow, st.one_of(st.just(ABSENT), small, numbers), numbers, numbers, numbers,
              st.one_of(st.just(ABSENT), small), st.one_of(st.just(ABSENT), numbers),
              st.one_of(st.just(ABSENT), numbers),
              st.just(ABSENT), flags, flags, st.sampled_from([None, {Symbol("txn-id"): b"x"}])),
    st.builds(Transfer, small, st.one_of(st.just(ABSENT), small), st.sampled_from([None, b"t", b"\x00"]),
              st.just(0), st.integers(-1, 1), flags, st.integers(-1, 1), states, flags, flags, flags),
    st.builds(Disposition, flags, numbers, st.one_of(st.just(ABSENT), numbers), flags, states),
    st.builds(Detach, small, flags),
    st.builds(End),
)  # fmt: skip


def close(hub: AmqpHub, peer: Container) -> None:
    if not peer.closed:
        peer.get()
        peer.send(Close())
    assert peer.closed
    assert hub.broker.counters.connections == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(performatives, st.integers(0, 1), payloads), max_size=25))
def test_any_frames_in_any_order(frames: list[tuple[Performative, int, bytes]]) -> None:
    hub = AmqpHub()
    hub.config.create_queues = True
    hub.config.credit = 4
    peer = hub.container("fuzzer")
    for performative, channel, payload in frames:
        body = encode(performative) + (payload if isinstance(performative, Transfer) else b"")
        peer.send_octets(frame(channel, body))
    close(hub, peer)
    undisturbed(hub)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_octets(octets: bytes, opened: bool) -> None:
    hub = AmqpHub()
    if opened:
        peer = hub.container("fuzzer")
    else:
        peer = Container(hub, "fuzzer", "fuzzer")
    peer.decoder.max_frame_size = 4_294_967_295
    peer.send_octets(octets)
    peer.drop()
    assert hub.broker.counters.connections == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=60))
def test_however_the_stream_is_cut(cuts: list[int]) -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    attach = Attach("l", 0, False, target=Target("/topics/a"), initial_delivery_count=0)
    openings = [encode(Open("sensor")), encode(Begin(ABSENT, 7, 10, 10)), encode(attach)]
    peer = Container(hub, "sensor", "sensor")
    in_pieces(peer, b"AMQP\x00\x01\x00\x00" + b"".join([frame(0, body) for body in openings]), cuts)
    messages = [encode(Transfer(0, i, b"%d" % i, 0, 0)) + data(b"%d" % i) for i in range(3)]
    in_pieces(peer, b"".join([frame(0, body) for body in messages]), cuts)
    assert [each.body for each in receiver.deliveries()] == [b"0", b"1", b"2"]
    assert not peer.closed


def in_pieces(peer: Container, stream: bytes, cuts: list[int]) -> None:
    at = 0
    for cut in cuts:
        peer.send_octets(stream[at : at + cut])
        at += cut
    peer.send_octets(stream[at:])
