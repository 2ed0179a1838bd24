"""The sources that receiving links attach to: which topic, queue or dynamic node an address and its properties name."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.errors import NOT_FOUND as MISSING
from bridgehead.core.errors import Refusal
from bridgehead.protocols.amqp.codec.v1 import termini
from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, NOT_FOUND, NOT_IMPLEMENTED, AmqpError
from bridgehead.protocols.amqp.codec.v1.performatives import Attach
from bridgehead.protocols.amqp.mapping.addresses import (
    BARE,
    QUEUE,
    TOPIC,
    parse_address,
    queue_address,
    topic_address,
)
from bridgehead.protocols.amqp.session.v1.contract import OutgoingLink, Source, terminus_key
from bridgehead.protocols.amqp.session.v1.dynamic import declare
from bridgehead.protocols.amqp.session.v1.queue_source import open_queue_source
from bridgehead.protocols.amqp.session.v1.terms import QUEUE_WORDS, TOPIC_WORDS, agree, answer
from bridgehead.protocols.amqp.session.v1.topic_source import open_topic_source

_SHARED: Final = "$share/"


def open_source(attach: Attach, link: OutgoingLink) -> Source:
    """The source of a link that the peer receives by. Raises Refusal and AmqpError: the attach is refused."""
    asked = attach.source
    if asked is None:
        return _recovered(link)
    if not isinstance(asked, termini.Source):
        raise AmqpError(NOT_IMPLEMENTED, "a source is of the type amqp:source:list", clause="AMQP-3.5.3")
    if asked.dynamic:
        return _dynamic(attach, link, asked)
    address = asked.address
    if not isinstance(address, str):
        raise AmqpError(
            INVALID_FIELD, "the address of a source is a string, such as /topics/office", clause="AMQP-3.5.3"
        )
    named = parse_address(address, True)
    kind = named.kind
    if kind == BARE:
        kind = _kind_of(asked, named.name, link)
    if kind == TOPIC:
        return _topic(attach, link, asked, named.name)
    if kind == QUEUE:
        return _queue(attach, link, asked, named.name)
    raise AmqpError(NOT_IMPLEMENTED, "messages are received from /topics/... and /queues/...", clause="AMQP-3.5.3")


def _kind_of(asked: termini.Source, name: str, link: OutgoingLink) -> int:
    """A name without a prefix: what the capabilities say, else the queue of that name if there is one."""
    for capability in asked.capabilities:
        if capability in QUEUE_WORDS:
            return QUEUE
        if capability in TOPIC_WORDS:
            return TOPIC
    return TOPIC if link.peer.broker.queues.find(name) is None else QUEUE


def _topic(attach: Attach, link: OutgoingLink, asked: termini.Source, name: str) -> Source:
    terms = agree(link, asked, True, attach.properties)
    share = ""
    topic_filter = name
    if name.startswith(_SHARED):
        share, _, topic_filter = name[len(_SHARED) :].partition("/")
        if not share or not topic_filter or "+" in share or "#" in share:
            raise AmqpError(INVALID_FIELD, "a shared subscription is written $share/name/filter", clause="AMQP-3.5.3")
    source = open_topic_source(link, topic_filter, share, terms)
    link.source = answer(asked, asked.address, terms, None)
    return source


def _queue(attach: Attach, link: OutgoingLink, asked: termini.Source, name: str) -> Source:
    terms = agree(link, asked, False, attach.properties)
    queue = find_queue(link, name)
    source = open_queue_source(link, queue, terms, False)
    link.source = answer(asked, asked.address, terms, None)
    return source


def find_queue(link: OutgoingLink, name: str) -> Queue:
    """The queue, declared where the hub's owner wants that. Raises Refusal and AmqpError."""
    peer = link.peer
    queues = peer.broker.queues
    try:
        return queues.see(peer.principal, peer.origin, name)
    except Refusal as refusal:
        if refusal.meaning != MISSING:
            raise
    if peer.config.create_queues:
        return queues.declare(peer.principal, peer.origin, name, QueueSettings(durable=True))
    raise AmqpError(
        NOT_FOUND,
        f"there is no queue {name[:128]!r}: make it with `bridgehead queue add`, or set create_queues in [amqp]",
        clause="AMQP-2.6.3",
    )


def _dynamic(attach: Attach, link: OutgoingLink, asked: termini.Source) -> Source:
    """3.5.3: the peer gives no address, it is told one."""
    if asked.address is not None:
        raise AmqpError(
            INVALID_FIELD, "a dynamic source has no address in the attach that asks for it", clause="AMQP-3.5.3"
        )
    terms = agree(link, asked, False, attach.properties)
    queue, properties = declare(asked.dynamic_node_properties, link.peer)
    source = open_queue_source(link, queue, terms, True)
    link.source = answer(asked, queue_address(queue.name), terms, properties)
    return source


def _recovered(link: OutgoingLink) -> Source:
    """An attach without a source asks for the terminus that lasts under the link's name, whatever it is (2.6.3). That
    is how it is looked at and given up by who does not know its address."""
    peer = link.peer
    session = peer.broker.sessions.find(peer.principal.name, terminus_key("amqp", peer.container_id, link.name))
    if session is None or not session.subscriptions:
        raise AmqpError(NOT_FOUND, "no terminus lasts under this link's name: give it a source", clause="AMQP-2.6.3")
    subscription = next(iter(session.subscriptions.values()))
    asked = termini.Source(
        topic_address(subscription.key), durable=2, expiry_policy="link-detach", timeout=int(session.expiry_interval)
    )
    terms = agree(link, asked, True, None)
    source = open_topic_source(link, subscription.topic_filter, subscription.share, terms)
    link.source = answer(asked, asked.address, terms, None)
    return source
