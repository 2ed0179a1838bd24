"""Targets: what the peer sends to a topic, a queue, or (the anonymous terminus) to where each message says."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.queues.names import check_name, queue_topic
from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
from bridgehead.core.errors import NOT_FOUND as MISSING
from bridgehead.core.message import Message
from bridgehead.protocols.amqp.codec.v1.composites import NONE, SND_SETTLED, UNSETTLED_STATE, DeliveryState
from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, NOT_FOUND, PRECONDITION_FAILED, AmqpError
from bridgehead.protocols.amqp.codec.v1.performatives import Attach
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Target as TargetValue
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from bridgehead.protocols.amqp.mapping.addresses import BARE, QUEUE, TOPIC, parse_address
from bridgehead.protocols.amqp.mapping.message_v1 import message_from_v1, to_of
from bridgehead.protocols.amqp.session.v1.contract import (
    SECOND,
    IncomingDelivery,
    IncomingLink,
    Peer,
    Posting,
    Room,
    Target,
)
from bridgehead.protocols.amqp.session.v1.dynamic import dynamic_address, link_closed
from bridgehead.protocols.amqp.session.v1.faults import LinkFault, error_for, rejected_for
from bridgehead.protocols.amqp.session.v1.once import OnceKeeper, keeper_for
from bridgehead.protocols.amqp.session.v1.taker import NOT_KEPT
from bridgehead.wire.errors import PeerError

# Capabilities that say what a bare address names (AMQP's binding of JMS).
_QUEUE_WORDS: Final = ("queue", "temporary-queue")
_TOPIC_WORDS: Final = ("topic", "temporary-topic")
_NEVER: Final = "never"
_LINK_DETACH: Final = Symbol("link-detach")
_REMEMBERED: Final = 256  # addresses of one anonymous link
_LONGEST_REMEMBERED: Final = 1024  # characters of one


class Node:
    """What messages are let into, by its name for the policy."""

    def __init__(self, topic: str, queue: str) -> None:
        self.topic: Final = topic  # the canonical Topic Name, or the queue's name for the policy
        self.queue: Final = queue  # the queue's own name, "" for a topic


def open_target(target: TargetValue, attach: Attach, link: IncomingLink) -> Target:
    """Errors: Refusal, AmqpError."""
    address = target.address
    if target.dynamic:
        if address is not None:
            raise AmqpError(INVALID_FIELD, "a dynamic target has no address: the hub names it", clause="AMQP-3.5.4")
        address = dynamic_address(target, link.peer)
    if address is None:
        once = _keeper(link, target)
        link.target = _answered(target, None, once)
        return AnonymousTarget(link, once)
    if not isinstance(address, str):
        raise AmqpError(INVALID_FIELD, "an address is a string", clause="AMQP-3.5.4")
    peer = link.peer
    node = resolve(address, target.capabilities, peer)
    _ask(peer, node)
    once = _keeper(link, target)
    link.target = _answered(target, address, once)
    return NodeTarget(link, node, once, address if target.dynamic else "")


def _keeper(link: IncomingLink, target: TargetValue) -> OnceKeeper | None:
    if link.rcv_settle_mode == SECOND and link.snd_settle_mode != SND_SETTLED:
        return keeper_for(link, target)
    return None


def _answered(target: TargetValue, address: str | None, once: OnceKeeper | None) -> TargetValue:
    """What holds here: only where tags are kept there is anything that could last, and its time begins with the
    detach (3.5.6)."""
    durable, policy, timeout = target.durable, target.expiry_policy, target.timeout
    if once is not None:
        durable = UNSETTLED_STATE if once.lasts else NONE
        timeout = once.seconds
        if policy != _NEVER:
            policy = _LINK_DETACH
    return TargetValue(
        address, durable, policy, timeout, target.dynamic, target.dynamic_node_properties, target.capabilities
    )


def resolve(address: str, capabilities: list[Symbol], peer: Peer) -> Node:
    """The node of an address. A bare name is a queue's where the capability says so or a queue of that name is there,
    else a topic's. Errors: AmqpError, Refusal."""
    found = parse_address(address, False)
    kind = found.kind
    if kind == BARE:
        kind = QUEUE if _is_queue(found.name, capabilities, peer) else TOPIC
    if kind == QUEUE:
        return _queue(found.name, peer)
    if kind != TOPIC:
        raise AmqpError(NOT_FOUND, "messages are sent to topics and queues")
    return Node(found.name, "")


def _is_queue(name: str, capabilities: list[Symbol], peer: Peer) -> bool:
    for capability in capabilities:
        if capability in _QUEUE_WORDS:
            return True
        if capability in _TOPIC_WORDS:
            return False
    return peer.broker.queues.find(name) is not None


def _queue(name: str, peer: Peer) -> Node:
    queues = peer.broker.queues
    queue = queues.find(name)
    if queue is None:
        if not peer.config.create_queues:
            check_name(name)
            peer.broker.door.permit(peer.principal, queue_topic(name), peer.origin, True)
            raise AmqpError(NOT_FOUND, f"there is no queue {name!r}: declare it first, with `bridgehead queue add`")
        queue = queues.declare(peer.principal, peer.origin, name, QueueSettings(durable=True))
    return Node(queue.topic, name)


def _ask(peer: Peer, node: Node) -> None:
    """The policy decides on the attach too; on each message it decides again."""
    peer.broker.door.permit(peer.principal, node.topic, peer.origin, True)


def publish(peer: Peer, node: Node, message: Message, wait: bool) -> int:
    """The ticket that it lasts with, 0 for none. `wait`: somebody is to be told. Errors: Refusal."""
    receiver = peer.receiver if wait else None
    if not node.queue:
        return max(peer.broker.door.publish(peer.principal, message, receiver), 0)
    ticket = peer.broker.queues.publish(peer.principal, message, node.queue, receiver)
    if ticket < 0:
        raise AmqpError(NOT_FOUND, f"the queue {node.queue!r} is gone")
    return ticket


class NodePosting(Posting):
    """4.4.1: a message that waits for its transaction. Errors: Refusal, when it is not permitted to begin with."""

    def __init__(self, peer: Peer, node: Node, message: Message) -> None:
        self._peer: Final = peer
        self._node: Final = node
        self._message: Final = message
        door = peer.broker.door
        if node.queue:
            door.permit_message(peer.principal, node.topic, message)
        else:
            door.judge(peer.principal, message)

    def check(self, room: Room) -> None:
        peer = self._peer
        message = self._message
        name = self._node.queue
        peer.broker.door.still_permits(peer.principal, message, message.retain and not name)
        if not name:
            return
        queue = peer.broker.queues.find(name)
        if queue is None:
            raise Refusal(MISSING, f"the queue {name!r} is gone")
        count, octets = room.by_queue.get(name, (0, 0))
        count += 1
        octets += message.weight
        room.octets += message.weight
        room.by_queue[name] = (count, octets)
        queue.check_room(octets, count, room.octets - octets)

    def publish(self) -> None:
        broker = self._peer.broker
        queue = broker.queues.find(self._node.queue) if self._node.queue else None
        if queue is None:
            broker.door.let_in(self._message)
        else:
            broker.queues.put(queue, self._message, None)


class NodeTarget(Target):
    """One topic or one queue. `once` keeps delivery-tags where the link is exactly once; `dynamic` is the address of
    the node that was made for this link, "" for none."""

    def __init__(self, link: IncomingLink, node: Node | None, once: OnceKeeper | None, dynamic: str) -> None:
        super().__init__()
        self._link: Final = link
        self._peer: Final = link.peer
        self._fixed: Final = node
        self._once: Final = once
        self._dynamic: Final = dynamic
        self.is_quick = True
        if once is not None:
            self.ticket = once.ticket

    def node_of(self, payload: bytes) -> Node:
        """Where this message goes. Errors: Refusal, AmqpError."""
        node = self._fixed
        assert node is not None
        return node

    def _message(self, node: Node, payload: bytes, qos: int) -> Message:
        peer = self._peer
        return message_from_v1(node.topic, payload, qos, peer.origin, peer.broker.clock.now)

    def take(self, payload: bytes, settled: bool) -> int:
        node = self.node_of(payload)
        message = self._message(node, payload, 0 if settled else 1)
        return publish(self._peer, node, message, not settled)

    def transfer(self, delivery: IncomingDelivery) -> None:
        once = self._once
        if delivery.settled or not delivery.second or once is None:
            ticket = self.take(delivery.payload, delivery.settled)
        else:
            ticket = once.known(delivery.tag)
            if ticket < 0:
                ticket = self._publish_once(once, delivery)
        if not delivery.settled:
            self._link.hold(delivery, ticket, ACCEPTED, rejected_for(NOT_KEPT))

    def _publish_once(self, once: OnceKeeper, delivery: IncomingDelivery) -> int:
        node = self.node_of(delivery.payload)
        message = self._message(node, delivery.payload, 2)
        if not node.queue:
            return once.to_topic(message, delivery.tag)
        journal = self._peer.broker.journal
        journal.holding = once.lasts  # nobody gets it before its tag lasts
        try:
            ticket = publish(self._peer, node, message, True)
        finally:
            journal.holding = False
        return once.remember(delivery.tag, ticket)

    def post(self, delivery: IncomingDelivery) -> Posting:
        node = self.node_of(delivery.payload)
        qos = 0 if delivery.settled else 2 if delivery.second else 1
        return NodePosting(self._peer, node, self._message(node, delivery.payload, qos))

    def unsettled(self) -> dict[bytes, DeliveryState | None]:
        return {} if self._once is None else self._once.tags()

    def disposed(self, delivery: IncomingDelivery, state: DeliveryState | None, settled: bool) -> None:
        if settled and self._once is not None:
            self._once.release(delivery.tag)

    def renewed(self) -> None:
        if self._once is not None:
            self._once.renewed()

    def suspended(self) -> None:
        if self._once is not None:
            self._once.suspended()
        if self._dynamic:
            link_closed(self._peer, self._dynamic)

    def closed(self) -> None:
        if self._once is not None:
            self._once.closed()
        if self._dynamic:
            link_closed(self._peer, self._dynamic)


class AnonymousTarget(NodeTarget):
    """The anonymous terminus: properties.to says where each message goes, and the policy decides on each."""

    def __init__(self, link: IncomingLink, once: OnceKeeper | None) -> None:
        super().__init__(link, None, once, "")
        self._nodes: dict[str, Node] = {}

    def node_of(self, payload: bytes) -> Node:
        to = to_of(payload)
        if to is None:
            raise AmqpError(
                PRECONDITION_FAILED, "a message to the anonymous terminus has properties.to", clause="AMQPANON-2.1"
            )
        node = self._nodes.get(to)
        if node is not None and (not node.queue or self._peer.broker.queues.find(node.queue) is not None):
            return node
        node = resolve(to, [], self._peer)
        if len(to) > _LONGEST_REMEMBERED:
            return node
        if len(self._nodes) >= _REMEMBERED:
            self._nodes.clear()
        self._nodes[to] = node
        return node

    def take(self, payload: bytes, settled: bool) -> int:
        if not settled:
            return super().take(payload, False)
        try:
            return super().take(payload, True)
        except (Refusal, PeerError) as fault:
            # AMQPANON-2.1: what can be told by no outcome is told by a detach, as if this had been an attach.
            if isinstance(fault, Refusal) and fault.meaning != NOT_AUTHORIZED:
                raise
            error = error_for(fault)
            raise LinkFault(error.condition, error.description or "") from None
