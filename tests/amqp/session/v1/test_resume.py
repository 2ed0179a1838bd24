"""Unsettled deliveries of a link that is attached again (2.6.13): exactly once, whatever is lost and whenever."""

from __future__ import annotations

import pytest

from bridgehead.core.permission import Permission
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT, DeliveryState
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Disposition, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, RELEASED, Received
from bridgehead.protocols.amqp.codec.v1.termini import Target
from tests.amqp.dialogue import AmqpHub, Container, ReceivingLink, body_of
from tests.amqp.session.v1.receiving import bodies, header, lasting, publish, put, queue

ADDRESSES = ("/topics/a", "/queues/orders")


def begin(address: str) -> AmqpHub:
    hub = AmqpHub()
    if address == ADDRESSES[1]:
        queue(hub)
    return hub


def give(hub: AmqpHub, address: str, body: bytes) -> None:
    if address == ADDRESSES[0]:
        publish(hub, "a", body, qos=2)
    else:
        put(hub, body, qos=2)


def attach(
    peer: Container,
    address: str,
    unsettled: dict[bytes, DeliveryState | None] | None = None,
    credit: int = 10,
    mode: int = 1,
) -> ReceivingLink:
    return peer.receiver(None, credit, "once", 2, mode, unsettled, source=lasting(address))


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.clause("AMQP-2.6.13", "AMQP-3.4.6")
def test_what_the_receiver_has_begun_is_resumed_and_told_so(address: str, crash: bool) -> None:
    hub = begin(address)
    peer = hub.container()
    link = attach(peer, address)
    give(hub, address, b"1")
    (first,) = link.deliveries()
    if crash:
        hub = hub.crash()
    else:
        peer.drop()
    give(hub, address, b"2")
    link = attach(hub.container(), address, {first.tag: Received(0, 0)})
    assert link.answer.unsettled is not None
    assert first.tag in link.answer.unsettled
    again, new = link.deliveries()
    assert (again.tag, again.body, again.resume) == (first.tag, b"1", True)
    assert (new.body, new.resume) == (b"2", False)
    link.settle(again.delivery_id, new.delivery_id, ACCEPTED, settled=False)
    link.deliveries()
    assert [(each.first, each.last, each.settled) for each in link.dispositions] == [
        (again.delivery_id, new.delivery_id, True)
    ]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.clause("AMQP-2.6.13", "AMQP-3.4.6")
def test_what_the_receiver_has_accepted_is_settled_and_not_sent_again(address: str) -> None:
    hub = begin(address)
    peer = hub.container()
    link = attach(peer, address)
    give(hub, address, b"1")
    (first,) = link.deliveries()
    peer.drop()
    link = attach(hub.container(), address, {first.tag: ACCEPTED})
    assert link.answer.unsettled == {first.tag: None}
    (over,) = link.deliveries()
    assert (over.tag, over.resume, over.settled, over.payload, over.state) == (first.tag, True, True, b"", ACCEPTED)
    link.detach()
    assert attach(hub.container(), address, {}).deliveries() == []


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.clause("AMQP-2.6.13")
def test_what_was_settled_here_is_not_in_our_map_and_comes_no_more(address: str) -> None:
    hub = begin(address)
    peer = hub.container()
    link = attach(peer, address)
    give(hub, address, b"1")
    (first,) = link.deliveries()
    link.settle(first.delivery_id, state=ACCEPTED, settled=False)
    peer.drop()
    link = attach(hub.container(), address, {first.tag: ACCEPTED})
    assert link.answer.unsettled is None
    assert link.deliveries() == []


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.clause("AMQP-2.6.13")
def test_what_the_receiver_never_got_is_sent_as_new(address: str) -> None:
    hub = begin(address)
    peer = hub.container()
    link = attach(peer, address)
    give(hub, address, b"1")
    (first,) = link.deliveries()
    peer.drop()
    link = attach(hub.container(), address, {})
    (again,) = link.deliveries()
    assert (again.tag, again.body, again.resume) == (first.tag, b"1", False)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.clause("AMQP-2.6.13", "AMQP-3.4.6")
def test_what_the_receiver_has_released_goes_back(address: str) -> None:
    hub = begin(address)
    peer = hub.container()
    link = attach(peer, address)
    give(hub, address, b"1")
    (first,) = link.deliveries()
    peer.drop()
    link = attach(hub.container(), address, {first.tag: RELEASED}, credit=5)
    found = link.deliveries()
    assert [each.payload for each in found if each.settled] == [b""]
    assert [each.body for each in found if not each.settled] == [b"1"]


def test_at_least_once_is_sent_again_and_said_to_be_perhaps_a_duplicate() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = attach(peer, ADDRESSES[0], mode=0)
    publish(hub, "a", b"1", qos=1)
    (first,) = link.deliveries()
    assert header(first).delivery_count == 0
    peer.drop()
    link = attach(hub.container(), ADDRESSES[0], mode=0)
    (again,) = link.deliveries()
    assert header(again).delivery_count == 1
    assert again.body == b"1"


@pytest.mark.parametrize("address", ADDRESSES)
def test_tags_of_another_identity_mean_nothing(address: str) -> None:
    hub = begin(address)
    peer = hub.container("office", "shared")
    link = attach(peer, address)
    give(hub, address, b"secret")
    (first,) = link.deliveries()
    link.detach()
    other = attach(hub.container("mallory", "shared"), address, {first.tag: None})
    assert other.answer.unsettled is None
    assert other.deliveries() == []
    back = attach(hub.container("office", "shared"), address, {first.tag: ACCEPTED})
    assert back.answer.unsettled == {first.tag: None}


def test_unsettled_ones_that_may_be_received_no_more_are_not_named() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = peer.receiver(None, 10, "once", 2, 1, None, source=lasting("/topics/hall/%23"))
    publish(hub, "hall/secret", b"secret", qos=2)
    publish(hub, "hall/open", b"open", qos=2)
    first, second = link.deliveries()
    peer.drop()
    allowed = Permission("hall/#", True, True)
    hub.principal("office").permit([allowed, Permission("hall/secret", False, True, allow=False)], ["*"])
    hub.broker.permissions_changed(["office"])
    again = hub.container()
    link = again.receiver(
        None, 10, "once", 2, 1, {first.tag: ACCEPTED, second.tag: None}, source=lasting("/topics/hall/%23")
    )
    assert link.answer.unsettled == {second.tag: None}
    assert bodies(link) == [b"open"]


@pytest.mark.clause("AMQP-2.7.3")
def test_a_map_that_does_not_fit_is_told_to_be_incomplete() -> None:
    hub = AmqpHub()
    peer = hub.container(max_frame_size=512)
    link = attach(peer, ADDRESSES[0], credit=100)
    for number in range(60):
        publish(hub, "a", b"%d" % number, qos=2)
    sent = {each.tag: each.body for each in link.deliveries()}
    assert len(sent) == 60
    peer.drop()
    mine: dict[bytes, DeliveryState | None] = dict.fromkeys(sent, Received(0, 0))
    answers: list[bool] = []
    resumed: list[bytes] = []
    while mine:
        link = attach(hub.container(max_frame_size=512), ADDRESSES[0], dict(mine), credit=20)
        answers.append(link.answer.incomplete_unsettled)
        for each in link.deliveries():
            assert each.resume
            resumed.append(each.body)
            del mine[each.tag]
            link.settle(each.delivery_id, state=ACCEPTED, settled=False)
        link.peer.drop()
    assert answers == [True, True, True]
    assert not attach(hub.container(max_frame_size=512), ADDRESSES[0]).answer.incomplete_unsettled
    assert sorted(resumed) == sorted(sent.values())


@pytest.mark.clause("AMQP-2.7.3")
def test_nothing_new_is_sent_to_a_receiver_whose_own_map_is_incomplete() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = attach(peer, ADDRESSES[0])
    publish(hub, "a", b"1", qos=2)
    publish(hub, "a", b"2", qos=2)
    first, second = link.deliveries()
    peer.drop()
    publish(hub, "a", b"3", qos=2)
    again = hub.container()
    asked = Attach(
        "once", 5, True, 2, 1, lasting(ADDRESSES[0]), Target("here"), {first.tag: None}, incomplete_unsettled=True
    )
    link = ReceivingLink(again, 5, 0, again.attach(asked))
    assert link.answer.unsettled == {first.tag: None, second.tag: None}
    link.flow(10)
    assert [(each.body, each.resume) for each in link.deliveries()] == [(b"1", True)]


# Every moment. --------------------------------------------------------------------------------------


class Careful:
    """A receiver that keeps its unsettled map and counts what it has processed; `patience`: how many frames of the
    hub it sees before its connection breaks, or the hub is killed."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.unsettled: dict[bytes, DeliveryState | None] = {}
        self.processed: list[bytes] = []

    def run(self, hub: AmqpHub, patience: int) -> None:
        peer = hub.container()
        handle = 1
        mine: dict[bytes, DeliveryState | None] = dict(self.unsettled)
        peer.send(Attach("once", handle, True, 2, 1, lasting(self.address), Target("here"), mine))
        peer.send(Flow(0, 2048, 0, 2048, handle, 0, 50))
        tags: dict[int, bytes] = {}
        seen = 0
        while peer.received:
            each = peer.received.pop(0)
            seen += 1
            if seen > patience:
                return
            performative = each.performative
            if isinstance(performative, Attach):
                theirs = performative.unsettled or {}
                for tag in list(self.unsettled):
                    if tag not in theirs:
                        del self.unsettled[tag]  # the hub knows our outcome
            elif isinstance(performative, Transfer):
                self._take(peer, performative, each.payload, tags)
            elif isinstance(performative, Disposition):
                last = performative.last if performative.last != ABSENT else performative.first
                for number in range(int(performative.first), int(last) + 1):
                    self.unsettled.pop(tags[number], None)

    def _take(self, peer: Container, transfer: Transfer, payload: bytes, tags: dict[int, bytes]) -> None:
        tag = transfer.delivery_tag
        assert tag is not None
        number = int(transfer.delivery_id)
        tags[number] = tag
        if transfer.settled == 1:
            self.unsettled.pop(tag, None)
            return
        if tag not in self.unsettled:
            self.processed.append(body_of(payload))
        self.unsettled[tag] = ACCEPTED
        peer.send(Disposition(True, number, number, False, ACCEPTED))


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("patience", range(9))
@pytest.mark.clause("AMQP-2.6.13")
def test_exactly_once_when_the_connection_breaks_at_any_moment(address: str, patience: int) -> None:
    hub = begin(address)
    careful = Careful(address)
    careful.run(hub, 1)
    for number in range(3):
        give(hub, address, b"%d" % number)
    careful.run(hub, patience)
    for peer in hub.peers:
        if not peer.closed:
            peer.drop()
    give(hub, address, b"3")
    careful.run(hub, 100)
    careful.run(hub, 100)
    assert sorted(careful.processed) == [b"0", b"1", b"2", b"3"]
    assert careful.unsettled == {}


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("patience", range(9))
@pytest.mark.parametrize("commits", range(4))
@pytest.mark.clause("AMQP-2.6.13")
def test_exactly_once_when_the_hub_is_killed_at_any_moment(address: str, patience: int, commits: int) -> None:
    hub = begin(address)
    careful = Careful(address)
    careful.run(hub, 1)
    for number in range(3):
        give(hub, address, b"%d" % number)
    for peer in hub.peers:
        peer.drop()
    hub.store.automatic = False
    careful.run(hub, patience)
    for _ in range(commits):
        if hub.store.finish():
            hub.settle()
    hub = hub.crash()
    give(hub, address, b"3")
    for _ in range(2):
        careful.run(hub, 100)
        for peer in hub.peers:
            peer.drop()
    assert sorted(careful.processed) == [b"0", b"1", b"2", b"3"]
    assert careful.unsettled == {}
