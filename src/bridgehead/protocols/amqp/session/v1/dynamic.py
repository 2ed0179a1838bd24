"""Dynamic nodes (3.5.3, 3.5.4): queues made for a link, and the lifetime policies that say when they are deleted
(3.5.10 to 3.5.13).

A node's name says whose it is, which connection made it and how long it lives, so nothing else needs to be kept of it:
`reply/<identity>/<connection>/<number>`, and the word of its policy behind it where that is not delete-on-close. It is
its identity's own: nobody else receives from it, and others send to it where the policy lets them. It is in memory.
"""

from __future__ import annotations

from typing import Final

from bridgehead.broker.queues.names import DYNAMIC
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.errors import QUOTA_EXCEEDED, Refusal
from bridgehead.protocols.amqp.codec.v1.composites import (
    DELETE_ON_CLOSE,
    DELETE_ON_NO_LINKS,
    DELETE_ON_NO_LINKS_OR_MESSAGES,
    DELETE_ON_NO_MESSAGES,
)
from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, NOT_IMPLEMENTED, AmqpError
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, ULong
from bridgehead.protocols.amqp.mapping.addresses import parse_address, queue_address
from bridgehead.protocols.amqp.session.v1.contract import Peer

LIFETIME: Final = "lifetime-policy"
_POLICIES: Final[dict[str, int]] = {
    "amqp:delete-on-close:list": DELETE_ON_CLOSE,
    "amqp:delete-on-no-links:list": DELETE_ON_NO_LINKS,
    "amqp:delete-on-no-messages:list": DELETE_ON_NO_MESSAGES,
    "amqp:delete-on-no-links-or-messages:list": DELETE_ON_NO_LINKS_OR_MESSAGES,
}
# What a name ends with.
_WORDS: Final[dict[int, str]] = {
    DELETE_ON_CLOSE: "",
    DELETE_ON_NO_LINKS: "/no-links",
    DELETE_ON_NO_MESSAGES: "/no-messages",
    DELETE_ON_NO_LINKS_OR_MESSAGES: "/no-links-or-messages",
}


def declare(properties: dict[object, object] | None, peer: Peer) -> tuple[Queue, dict[object, object]]:
    """Make a node for a link of this peer: the queue, and the dynamic-node-properties in force. Raises AmqpError and
    Refusal."""
    policy = _policy(properties)
    name = _free_name(peer, _WORDS[policy])
    settings = QueueSettings(
        exclusive=peer.principal.name,
        # Only what is left behind by a link that lasted and never came back.
        expires=float(peer.broker.limits.session_expiry_interval),
    )
    queue = peer.broker.queues.declare(peer.principal, peer.origin, name, settings)
    nothing: list[object] = []
    return queue, {Symbol(LIFETIME): Described(ULong(policy), nothing)}


def dynamic_address(terminus: Source | Target, peer: Peer) -> str:
    """As `declare`, for a target: the node's address."""
    queue, _ = declare(terminus.dynamic_node_properties, peer)
    return queue_address(queue.name)


def _policy(properties: dict[object, object] | None) -> int:
    """Other properties of a node are not known here, and are not in the answer (3.5.9)."""
    asked = None if properties is None else properties.get(LIFETIME)
    if asked is None:
        return DELETE_ON_CLOSE
    descriptor = asked.descriptor if isinstance(asked, Described) else asked
    code = -1
    if isinstance(descriptor, ULong):
        code = descriptor.value
    elif isinstance(descriptor, str):
        code = _POLICIES.get(descriptor, -1)
    if code not in _WORDS:
        if isinstance(asked, Described):
            raise AmqpError(
                NOT_IMPLEMENTED, f"the lifetime policies here are {', '.join(_POLICIES)}", clause="AMQP-3.5.9"
            )
        raise AmqpError(INVALID_FIELD, "a lifetime-policy is a described list", clause="AMQP-3.5.9")
    return code


def _free_name(peer: Peer, word: str) -> str:
    queues = peer.broker.queues
    mine = f"{DYNAMIC}{peer.principal.name}/"
    # The connection's serial is random: nobody guesses where answers are awaited.
    stem = mine + peer.origin.client_id.rpartition(":")[2].replace("/", ".")
    most = peer.config.dynamic_nodes
    if queues.owned_by(peer.principal.name) >= most:
        raise Refusal(QUOTA_EXCEEDED, f"{peer.principal.name!r} has {most} dynamic nodes, which is the limit")
    number = 1
    while queues.find(f"{stem}/{number}{word}") is not None:
        number += 1
    return f"{stem}/{number}{word}"


def policy_of(queue: Queue) -> int:
    """The lifetime policy of a queue, -1 when it is no dynamic node: others may be called so by who may declare them,
    and are not deleted for that."""
    name = queue.name
    owner = queue.settings.exclusive
    if not owner or not name.startswith(f"{DYNAMIC}{owner}/"):
        return -1
    for code, word in _WORDS.items():
        if word and name.endswith(word):
            return code
    return DELETE_ON_CLOSE


def receiver_closed(peer: Peer, queue: Queue, created: bool) -> None:
    """A link that had the queue as its terminus is gone; `created`: the node was made for this link."""
    policy = policy_of(queue)
    if policy < 0 or queue.gone:
        return
    if policy == DELETE_ON_CLOSE:
        over = created
    elif policy == DELETE_ON_NO_MESSAGES:
        over = _is_empty(queue)
    else:
        over = queue.consumer_count == 0 and (policy == DELETE_ON_NO_LINKS or _is_empty(queue))
    if over:
        _delete(peer, queue)


def link_closed(peer: Peer, address: str) -> None:
    """As `receiver_closed`, for the link whose target was made by `dynamic_address`."""
    queue = peer.broker.queues.find(parse_address(address, False).name)
    if queue is not None:
        receiver_closed(peer, queue, True)


def emptied(peer: Peer, queue: Queue) -> None:
    """A message was settled: if it was the last one, the node may be over (3.5.12)."""
    if policy_of(queue) == DELETE_ON_NO_MESSAGES and not queue.gone and _is_empty(queue):
        _delete(peer, queue)


def _is_empty(queue: Queue) -> bool:
    return queue.waiting == 0 and queue.unsettled == 0


def _delete(peer: Peer, queue: Queue) -> None:
    """Only its identity has links that take from it or made it, so it is always this peer's to delete."""
    peer.broker.queues.delete(peer.principal, peer.origin, queue.name)
