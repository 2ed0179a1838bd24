"""What one AMQP 1.0 connection may make the hub hold and do: few octets that cost much, and what is kept of them."""

from __future__ import annotations

import tracemalloc
from collections import deque
from typing import NoReturn

import pytest

from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.message import Message
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.core.session import Delivery
from bridgehead.protocols.amqp.codec.v1.composites import UNSETTLED_STATE, Error
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Detach, Disposition, Flow
from bridgehead.protocols.amqp.codec.v1.reader import decode_value
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_SEQUENCE,
    APPLICATION_PROPERTIES,
    MESSAGE_ANNOTATIONS,
    Properties,
    Sections,
    put_properties,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.states import (
    ACCEPTED,
    RELEASED,
    Modified,
    Received,
    Rejected,
    TransactionalState,
)
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, ULong
from bridgehead.protocols.amqp.mapping.addresses import parse_address
from bridgehead.protocols.amqp.mapping.message_v1 import v1_payload
from bridgehead.protocols.amqp.session.v1 import selector_view
from bridgehead.protocols.amqp.session.v1.contract import OutgoingDelivery
from bridgehead.protocols.amqp.session.v1.selector_parser import parse_selector
from bridgehead.protocols.amqp.session.v1.selector_view import selects
from bridgehead.protocols.amqp.session.v1.taker import Taker
from bridgehead.protocols.amqp.session.v1.targets import AnonymousTarget
from bridgehead.protocols.amqp.session.v1.terms import NO_LOCAL, NO_LOCAL_CODE, SELECTOR
from tests.amqp.dialogue import AmqpHub, Container, SendingLink, data
from tests.amqp.session.v1.controlling import Control
from tests.amqp.session.v1.receiving import ORIGIN, put, queue

WIDE = 1 << 30


def taker_of(peer: Container, name: str) -> Taker:
    wiring = peer.connection._wiring
    assert wiring is not None
    found = wiring.links[f">{name}"]
    assert isinstance(found, Taker)
    return found


def lasting(address: str | None) -> Target:
    return Target(address, UNSETTLED_STATE, "link-detach", 3600)


# What is kept. --------------------------------------------------------------------------------------


def test_who_never_settles_is_not_kept_the_messages_of() -> None:
    """Ten thousand deliveries of 16 MiB may be unsettled on one link."""
    hub = AmqpHub()
    peer = hub.container()
    link = peer.sender("t", "l", 0, 1, target=lasting("t"))
    for _ in range(10):
        link.transfer(body=b"x" * 1000)
    kept = taker_of(peer, "l")._unsettled
    assert len(kept) == 10
    assert [delivery.payload for delivery in kept.values()] == [b""] * 10


def test_maps_of_an_attach_are_not_kept_for_the_life_of_the_link() -> None:
    """64 KiB of empty lists are 4 MiB of objects, and a connection may have a thousand links."""
    hub = AmqpHub()
    peer = hub.container()
    many: list[object] = [[] for _ in range(20_000)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for handle in range(3):
            peer.send(
                Attach(
                    f"r{handle}",
                    handle,
                    True,
                    source=Source("t", filter={Symbol(NO_LOCAL): Described(ULong(NO_LOCAL_CODE), many)}),
                    target=Target("here"),
                )
            )
            peer.get()
            peer.send(
                Attach(
                    f"s{handle}",
                    100 + handle,
                    False,
                    source=Source("here", default_outcome=Rejected(None)),
                    target=Target("t"),
                    initial_delivery_count=0,
                    properties={Symbol("x"): many},
                )
            )
            peer.get()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert not peer.closed
    assert grown < 500_000


def test_a_message_in_parts_of_one_octet_takes_no_more_than_its_octets() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = peer.sender("t", "l")
    taker = taker_of(peer, "l")
    link.transfer(b"\0", more=True)
    for _ in range(100):
        link.peer.delivery_id -= 1
        link.transfer(b"\0", tag=b"\0\0\0\0", more=True)
    assert isinstance(taker._parts, bytearray)
    assert len(taker._parts) == 101


def test_long_addresses_are_not_remembered() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = peer.sender(None, "l")
    for number in range(5):
        link.transfer(put_properties(Properties(to=f"t/{number}/" + "x" * 5000)) + data(b"1"))
    node = taker_of(peer, "l").node
    assert isinstance(node, AnonymousTarget)
    assert node._nodes == {}
    assert len(link.outcomes()) == 5
    for for_receiver in (False, True):
        with pytest.raises(AmqpError):
            parse_address("/topics/" + "x" * 1_000_000, for_receiver)


def test_an_incomplete_unsettled_map_is_no_way_to_more_tags() -> None:
    """The tags of a lasting terminus are kept in the store: so many as may be unsettled, however often the link comes
    back and says that it has no room to name them."""
    hub = AmqpHub()
    hub.config.unsettled = 20
    peer = hub.container(max_frame_size=1 << 20)
    sent = 0
    for handle in range(5):
        attach = Attach("l", handle, False, 0, 1, Source("here"), lasting("t"), {}, True, 0)
        peer.send(attach)
        credit = sum(int(each.link_credit) for each in peer.get() if isinstance(each, Flow))
        link = SendingLink(peer, handle, 0, attach)
        for _ in range(credit):
            sent += 1
            link.transfer(tag=sent.to_bytes(4, "big"))
        peer.get()
        peer.send(Detach(handle, False))
        peer.get()
    assert not peer.closed
    session = next(each for each in hub.broker.sessions.of("office") if each.client_id.startswith("amqp-from"))
    assert session.received is not None
    assert len(session.received) == sent == 20


def test_links_that_come_and_go_leave_nothing_in_a_transaction() -> None:
    hub = AmqpHub()
    queue(hub)
    put(hub, b"1")
    peer = hub.container()
    control = Control(peer)
    txn_id = control.declare()
    wiring = peer.connection._wiring
    assert wiring is not None
    transaction = wiring.transactions.find(txn_id)
    assert transaction is not None
    for _ in range(5):
        link = peer.receiver("/queues/orders", 0)
        for _ in range(3):
            link.flow(1, properties={Symbol("txn-id"): txn_id})
        (got,) = link.deliveries()
        assert len(transaction.acquirers) == len(transaction.acquired) == 1
        link.settle(got.delivery_id, state=TransactionalState(txn_id, ACCEPTED))
        assert len(transaction.retirements) == 1
        link.detach(True)
        assert (len(transaction.acquirers), len(transaction.acquired), len(transaction.retirements)) == (0, 0, 0)
    assert transaction.failed


def test_what_is_retired_beyond_a_transaction_s_ceiling_ends_its_link() -> None:
    hub = AmqpHub()
    hub.config.transaction_messages = 3
    queue(hub)
    for _ in range(6):
        put(hub, b"1")
    peer = hub.container()
    control = Control(peer)
    txn_id = control.declare()
    link = peer.receiver("/queues/orders", 6)
    got = link.deliveries()
    error = Error("amqp:internal-error", "x", {Symbol("x"): [[] for _ in range(1000)]})
    link.settle(got[0].delivery_id, got[-1].delivery_id, TransactionalState(txn_id, Rejected(error)))
    assert peer.condition() == "amqp:resource-limit-exceeded"
    wiring = peer.connection._wiring
    assert wiring is not None
    transaction = wiring.transactions.find(txn_id)
    assert transaction is not None
    assert transaction.failed


# What it makes the hub do. --------------------------------------------------------------------------


class Counted(deque[Delivery]):
    """Counts the steps from its ends."""

    steps = 0

    def popleft(self) -> Delivery:
        Counted.steps += 1
        return super().popleft()


def test_many_released_at_once_are_put_back_without_going_through_all_for_each() -> None:
    """A disposition of 40 octets releases 10,000."""
    hub = AmqpHub()
    peer = hub.container()
    peer.send(Flow(0, WIDE, 0, 2048))
    link = peer.receiver("t", 0)
    link.flow(500, incoming_window=WIDE)
    sender = hub.container("sensor").sender("t")
    for number in range(500):
        sender.transfer(body=b"%d" % number)
    got = link.deliveries()
    assert len(got) == 500
    session = next(each for each in hub.broker.sessions.of("office") if each.subscriptions)
    session.queue = Counted()
    Counted.steps = 0
    link.settle(got[0].delivery_id, got[-1].delivery_id, RELEASED)
    assert Counted.steps < 5 * 500
    link.flow(500, incoming_window=WIDE)
    assert [each.body for each in link.deliveries()] == [b"%d" % number for number in range(500)]


def test_ranges_again_and_again_over_what_stays_unsettled_end_the_session() -> None:
    hub = AmqpHub()
    hub.config.transaction_messages = 2000
    queue(hub, settings=QueueSettings())
    for _ in range(1000):
        put(hub, b"1")
    peer = hub.container()
    txn_id = Control(peer).declare()
    link = peer.receiver("/queues/orders", 1000)
    assert len(link.deliveries()) == 1000
    again = Disposition(True, 0, WIDE, False, TransactionalState(txn_id, ACCEPTED))
    for _ in range(10):
        peer.send(again)
    assert peer.get() == []
    hub.pass_time(1)
    peer.get()
    peer.send(*[again] * 550)
    assert peer.condition() == "amqp:resource-limit-exceeded"


def test_dispositions_that_change_nothing_are_not_looked_into() -> None:
    hub = AmqpHub()
    queue(hub)
    put(hub, b"1")
    peer = hub.container()
    link = peer.receiver("/queues/orders")
    (got,) = link.deliveries()
    peer.send(*[Disposition(True, 0, WIDE, False, Received(0, 0))] * 50, *[Disposition(True, 0, WIDE)] * 50)
    peer.send(*[Disposition(False, 0, WIDE)] * 50)
    assert not peer.closed
    link.settle(got.delivery_id, state=ACCEPTED)
    assert hub.broker.queues.all()[0].unsettled == 0


def test_who_attaches_again_and_again_with_a_selector_asks_not_more_for_it() -> None:
    """Each would be asked about the first ten thousand messages at once: a thousand attaches come with one read."""
    hub = AmqpHub()
    made = queue(hub, settings=QueueSettings())
    for number in range(3000):
        put(hub, b"1", subject="last" if number == 2999 else "other")
    peer = hub.container()
    chosen = Source("/queues/orders", filter={Symbol(SELECTOR): "properties.subject = 'last'"})

    def asked() -> int:
        return sum(consumer.seen[0] for consumer in made.consumers)

    for _ in range(10):
        peer.receiver(None, 0, source=chosen).flow(1)
    assert asked() < 2500
    # And nobody is forgotten: it goes on when others have had their turn, and finds what it looks for.
    turns = 0
    while not made.unsettled and turns < 50:
        before = asked()
        hub.broker.handle_timeout()
        assert asked() - before < 2500
        turns += 1
    assert made.unsettled == 1


def test_values_without_octets_are_not_more_than_their_octets() -> None:
    """An array may hold a hundred thousand empty lists in ten octets, and a read a thousand such frames."""
    bomb = b"\xf0\x00\x00\x00\x05\x00\x01\x80\x00\x45"
    with pytest.raises(AmqpError):
        decode_value(bomb)
    payload = b"\x00\x53\x72\xd1" + (len(bomb) + 7).to_bytes(4, "big") + b"\x00\x00\x00\x02\xa3\x01x" + bomb
    hub = AmqpHub()
    link = hub.container().sender("t")
    link.transfer(payload + data(b"1"))
    assert isinstance(link.outcome(), Rejected)


def test_a_body_of_many_sections_holds_no_more_values_than_one() -> None:
    one = put_section(AMQP_SEQUENCE, [1] * 30_000)
    assert len(Sections(one * 3).values()) == 3
    with pytest.raises(AmqpError):
        Sections(one * 4).values()
    with pytest.raises(AmqpError):
        Sections(data(b"") * 10_001)


def test_a_message_that_expires_is_made_once_for_all_receivers_of_a_moment() -> None:
    message = Message("t", b"1", 0, False, ORIGIN, expires_at=2_000.0)
    first = v1_payload(message, 1_000.0)
    assert v1_payload(message, 1_000.0) is first
    assert v1_payload(Message("t", b"2", 0, False, ORIGIN, expires_at=2_000.0), 1_000.0) != first
    later = v1_payload(message, 1_500.0)
    assert Sections(later).header().ttl == 500_000
    assert Sections(first).header().ttl == 1_000_000
    assert v1_payload(message, 1_000.0) == first


def test_selectors_of_many_receivers_read_a_message_once() -> None:
    selector = parse_selector("a = 1", 100)
    payload = put_section(APPLICATION_PROPERTIES, {"a": 1}) + data(b"1")
    other = put_section(APPLICATION_PROPERTIES, {"a": 2}) + data(b"1")
    assert selects(selector, payload, 0)
    view = selector_view._last.view
    assert selects(selector, payload, 0)
    assert selector_view._last.view is view
    assert not selects(selector, other, 0)
    assert not selects(parse_selector("header.delivery_count = 1", 100), other, 0)
    assert selects(parse_selector("header.delivery_count = 1", 100), other, 1)
    assert not selects(selector, b"no message", 0)
    assert not selects(selector, b"no message", 0)


class Unread(dict[int, OutgoingDelivery]):
    """Nobody may go through it."""

    def items(self) -> NoReturn:
        raise AssertionError("all were looked at")


def test_a_detach_of_a_link_without_deliveries_looks_at_no_others() -> None:
    """A connection may have millions of others unsettled, and a read some hundred detaches."""
    hub = AmqpHub()
    queue(hub)
    put(hub, b"1")
    peer = hub.container()
    busy = peer.receiver("/queues/orders")
    (got,) = busy.deliveries()
    session = peer.connection._sessions[0]
    idle = peer.receiver("t", 0)
    session.unsettled = Unread(session.unsettled)
    idle.detach(True)
    session.unsettled = dict(session.unsettled)
    busy.settle(got.delivery_id, state=ACCEPTED)
    assert hub.broker.queues.all()[0].unsettled == 0


# What it forges. ------------------------------------------------------------------------------------


def test_what_a_consumer_adds_is_not_taken_for_the_hub_s_word() -> None:
    hub = AmqpHub()
    queue(hub)
    put(hub, b"1")
    link = hub.container("eve").receiver("/queues/orders", 1)
    (got,) = link.deliveries()
    forged: dict[object, object] = {
        Symbol("x-opt-retain"): True,
        Symbol("x-opt-topic"): "alarm/fire",
        Symbol("x-opt-note"): 1,
    }
    link.settle(got.delivery_id, state=Modified(False, True, forged))
    (seen,) = hub.container("office").receiver("/queues/orders").deliveries()
    told = Sections(seen.payload).annotations(MESSAGE_ANNOTATIONS)
    assert told == {"x-opt-topic": "$QUEUE/orders", "x-opt-note": 1}


def test_a_queue_that_is_only_called_like_a_dynamic_node_is_not_deleted() -> None:
    hub = AmqpHub()
    made = queue(hub, "reply/office/1/no-messages")
    put(hub, b"1", name=made.name)
    link = hub.container("eve").receiver("/queues/" + made.name)
    (got,) = link.deliveries()
    link.settle(got.delivery_id, state=ACCEPTED)
    link.detach(True)
    assert hub.broker.queues.find(made.name) is made


def test_which_queues_there_are_is_not_told_to_who_may_not_send_there() -> None:
    hub = AmqpHub(principals=[Principal.of("eve", [Permission("t", True, True)], ["*"])])
    queue(hub)
    peer = hub.container("eve")
    told: list[object] = []
    for handle, name in enumerate(("orders", "nothing")):
        target = Target("/queues/" + name)
        peer.send(Attach("l", handle, False, 2, 0, Source("here"), target, initial_delivery_count=0))
        told.append(peer.condition())
        peer.send(Detach(handle, True))
    assert told == ["amqp:unauthorized-access"] * 2


def test_an_address_that_is_a_symbol_names_nothing() -> None:
    """It equals a string, but records of topics cannot be made of it: the commit would fail, and others' with it."""
    hub = AmqpHub()
    peer = hub.container()
    source = Source(Symbol("t"), 2, "never")
    peer.send(Attach("r", 0, True, source=source, target=Target("here")))
    assert peer.condition() == "amqp:invalid-field"
    peer.send(Attach("s", 1, False, source=Source("here"), target=Target(Symbol("t")), initial_delivery_count=0))
    assert peer.condition() == "amqp:invalid-field"
    peer.next_handle = 2
    link = peer.sender(None)
    retained = put_section(MESSAGE_ANNOTATIONS, {Symbol("x-opt-retain"): True})
    link.transfer(retained + put_properties(Properties(to=Symbol("t"))) + data(b"1"))
    assert isinstance(link.outcome(), Rejected)
    assert len(hub.broker.retained) == 0


def test_a_share_s_name_is_no_filter() -> None:
    """[MQTT-4.8.2-2], by whatever protocol it is asked for."""
    hub = AmqpHub()
    peer = hub.container()
    for handle, address in enumerate(("/topics/%24share%2F%2B%2Ft", "/topics/%24share%2Fa%23%2Ft", "$share//t")):
        peer.send(Attach("r", handle, True, source=Source(address), target=Target("here")))
        assert peer.condition() == "amqp:invalid-field"


def test_a_topic_that_is_called_like_a_queue_is_neither_way_around_the_other() -> None:
    hub = AmqpHub()
    made = queue(hub)
    peer = hub.container()
    heard = peer.receiver("/topics/%24QUEUE%2F%23")
    put(hub, b"in the queue")
    assert heard.deliveries() == []
    link = peer.sender("/topics/%24QUEUE%2Forders")
    link.transfer(body=b"on the topic")
    assert [each.body for each in heard.deliveries()] == [b"on the topic"]
    assert made.waiting == 1
