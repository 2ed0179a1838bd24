"""Dynamic nodes: who may do what with them, how many there are, and when they are deleted (3.5.10 to 3.5.13)."""

from __future__ import annotations

import pytest

from bridgehead.broker.queues.queue import Queue
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.errors import (
    INVALID_FIELD,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    RESOURCE_LOCKED,
    UNAUTHORIZED_ACCESS,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Detach
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Rejected
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, ULong
from bridgehead.protocols.amqp.mapping.addresses import parse_address
from tests.amqp.dialogue import AmqpHub, Container, ReceivingLink
from tests.amqp.session.v1.receiving import accept, answered, bodies, refused

NO_LINKS = 0x2C
NO_MESSAGES = 0x2D
NO_LINKS_OR_MESSAGES = 0x2E


def properties(policy: object) -> dict[object, object]:
    return {Symbol("lifetime-policy"): policy}


def policy(code: int) -> dict[object, object]:
    nothing: list[object] = []
    return properties(Described(ULong(code), nothing))


def dynamic(peer: Container, node: dict[object, object] | None = None, credit: int = 100) -> ReceivingLink:
    return peer.receiver(None, credit, source=Source(None, dynamic=True, dynamic_node_properties=node))


def address_of(link: ReceivingLink) -> str:
    address = answered(link).address
    assert isinstance(address, str)
    return address


def node_of(hub: AmqpHub, link: ReceivingLink) -> Queue | None:
    return hub.broker.queues.find(parse_address(address_of(link), True).name)


@pytest.mark.clause("AMQP-3.5.3")
def test_a_dynamic_node_is_made_and_its_address_told() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = dynamic(peer)
    assert address_of(link).startswith("/queues/reply%2Foffice%2F")
    assert answered(link).dynamic
    assert answered(link).dynamic_node_properties == policy(0x2B)
    sender = hub.container("device").sender(address_of(link))
    sender.transfer(body=b"answer")
    assert sender.outcome() is ACCEPTED
    assert bodies(link) == [b"answer"]
    assert address_of(dynamic(peer)) != address_of(link)


def test_an_address_is_not_the_peers_to_choose() -> None:
    hub = AmqpHub()
    assert refused(hub.container(), Source("/queues/mine", dynamic=True)) == INVALID_FIELD


@pytest.mark.clause("AMQP-3.5.4")
def test_a_target_can_be_dynamic_too() -> None:
    hub = AmqpHub()
    peer = hub.container()
    sender = peer.sender(None, target=Target(None, dynamic=True))
    target = sender.answer.target
    assert isinstance(target, Target)
    assert isinstance(target.address, str)
    sender.transfer(body=b"1")
    assert sender.outcome() is ACCEPTED
    link = peer.receiver(target.address)
    assert bodies(link) == [b"1"]
    peer.get()
    sender.detach(closed=True)
    assert hub.broker.queues.find(parse_address(target.address, True).name) is None


@pytest.mark.clause("AMQP-3.5.10")
@pytest.mark.parametrize("how", ["drop", "detach", "close"])
def test_delete_on_close(how: str) -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = dynamic(peer)
    second = peer.receiver(address_of(link))
    second.detach(closed=True)
    assert node_of(hub, link) is not None
    if how == "drop":
        peer.drop()
    else:
        link.detach(closed=how == "close")
    assert node_of(hub, link) is None
    assert len(hub.broker.queues) == 0


@pytest.mark.clause("AMQP-3.5.11")
def test_delete_on_no_links() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = dynamic(peer, policy(NO_LINKS))
    assert answered(link).dynamic_node_properties == policy(NO_LINKS)
    second = peer.receiver(address_of(link))
    link.detach(closed=True)
    assert node_of(hub, link) is not None
    second.detach(closed=True)
    assert node_of(hub, link) is None


@pytest.mark.clause("AMQP-3.5.12")
def test_delete_on_no_messages() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = dynamic(peer, properties(Symbol("amqp:delete-on-no-messages:list")), credit=1)
    other = hub.container("device")
    sender = other.sender(address_of(link))
    sender.transfer(body=b"1")
    sender.transfer(body=b"2")
    accept(link, link.deliveries())
    assert node_of(hub, link) is not None
    link.flow(1)
    accept(link, link.deliveries())
    assert node_of(hub, link) is None
    detach = peer.get()[-1]
    assert isinstance(detach, Detach)
    assert detach.closed


@pytest.mark.clause("AMQP-3.5.13")
def test_delete_on_no_links_or_messages() -> None:
    hub = AmqpHub()
    peer = hub.container()
    link = dynamic(peer, policy(NO_LINKS_OR_MESSAGES), credit=0)
    hub.container("device").sender(address_of(link)).transfer(body=b"1")
    link.detach(closed=True)
    node = node_of(hub, link)
    assert node is not None
    assert node.waiting == 1
    second = peer.receiver(address_of(link))
    accept(second, second.deliveries(), Rejected())
    assert node_of(hub, link) is not None
    second.detach(closed=True)
    assert node_of(hub, link) is None


@pytest.mark.clause("AMQP-3.5.9")
def test_an_unknown_lifetime_policy_is_refused() -> None:
    hub = AmqpHub()
    peer = hub.container()
    nothing: list[object] = []
    strange = Described(Symbol("x:for-ever:list"), nothing)
    asked = Source(None, dynamic=True, dynamic_node_properties=properties(strange))
    assert refused(peer, asked) == NOT_IMPLEMENTED
    asked = Source(None, dynamic=True, dynamic_node_properties=properties(5))
    assert refused(peer, asked) == INVALID_FIELD
    other = dynamic(peer, {Symbol("supported-dist-modes"): Symbol("move")})
    assert answered(other).dynamic_node_properties == policy(0x2B)


def test_dynamic_nodes_of_an_identity_have_an_end() -> None:
    hub = AmqpHub()
    hub.config.dynamic_nodes = 2
    peer = hub.container()
    first = dynamic(peer)
    dynamic(hub.container())
    assert refused(peer, Source(None, dynamic=True)) == RESOURCE_LIMIT_EXCEEDED
    first.detach(closed=True)
    dynamic(peer)
    dynamic(hub.container("another"))


# Two identities. ------------------------------------------------------------------------------------


def limited(name: str, *permissions: Permission) -> Principal:
    return Principal.of(name, list(permissions), ["*"])


def test_nobody_needs_a_right_to_a_node_of_its_own() -> None:
    hub = AmqpHub(principals=[limited("office", Permission("a", True, True))])
    link = dynamic(hub.container())
    assert node_of(hub, link) is not None


def test_nobody_else_receives_from_it_whatever_the_policy() -> None:
    hub = AmqpHub()
    link = dynamic(hub.container("office"))
    mallory = hub.container("mallory")
    assert refused(mallory, Source(address_of(link))) == RESOURCE_LOCKED
    assert refused(mallory, Source(address_of(link), distribution_mode="copy")) == RESOURCE_LOCKED


def test_others_send_to_it_only_where_the_policy_lets_them() -> None:
    mallory = limited("mallory", Permission("#", True, True))
    device = limited("device", Permission("$QUEUE/reply/office/#", True, False))
    hub = AmqpHub(principals=[mallory, device])
    link = dynamic(hub.container("office"))
    peer = hub.container("mallory")
    attach = Attach("s", 7, False, 2, 0, Source("here"), Target(address_of(link)), initial_delivery_count=0)
    answer = peer.attach(attach)
    assert answer.target is None
    assert peer.condition() == UNAUTHORIZED_ACCESS
    sender = hub.container("device").sender(address_of(link))
    sender.transfer(body=b"1")
    assert bodies(link) == [b"1"]


def test_a_node_dies_with_its_identity() -> None:
    hub = AmqpHub()
    dynamic(hub.container("office"))
    hub.broker.revoke("office", "it was removed")
    hub.settle()
    assert len(hub.broker.queues) == 0
