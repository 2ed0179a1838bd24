"""Transactions of AMQP 0-9-1 (class tx): publishes and acknowledgements of a channel, done together or not at all."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.door import NOBODY
from bridgehead.broker.queues.queue import Queue
from bridgehead.core.errors import NOT_AUTHORIZED, NOT_FOUND, Refusal
from bridgehead.core.message import Message
from bridgehead.protocols.amqp.codec.v091.errors import RESOURCE_ERROR, ChannelFault, ConnectionFault
from bridgehead.protocols.amqp.codec.v091.hot import Publish
from bridgehead.protocols.amqp.mapping.errors import reply_code_of
from bridgehead.protocols.amqp.mapping.message_v091 import headers_of
from bridgehead.protocols.amqp.session.v091.consuming import Deliveries, Unacked
from bridgehead.protocols.amqp.session.v091.contract import Peer


class Room:
    """What the messages of one transaction need of queues."""

    def __init__(self) -> None:
        self.octets = 0
        self.by_queue: dict[Queue, tuple[int, int]] = {}  # messages and octets


class Enlisting(Deliveries):
    """What a transaction needs of its channel."""

    def __init__(self, peer: Peer) -> None:
        self.peer: Final = peer
        self.unacked: dict[int, Unacked] = {}  # by delivery tag, ascending

    def let_in(self, publish: Publish, message: Message) -> int:
        raise NotImplementedError

    def returned(self, publish: Publish, message: Message, content: bytes) -> None:
        raise NotImplementedError

    def settle(self, tags: list[int], accepted: bool, requeue: bool, conditional: bool = False) -> None:
        """`conditional`: what is accepted is back when the journal's batch is refused."""
        raise NotImplementedError


class _Acknowledgement:
    def __init__(self, tags: list[int], accepted: bool, requeue: bool) -> None:
        self.tags: Final = tags
        self.accepted: Final = accepted
        self.requeue: Final = requeue


class Transaction:
    """One is always open on a channel in tx mode: commit and rollback begin the next."""

    def __init__(self, channel: Enlisting) -> None:
        self._channel: Final = channel
        self._messages: list[tuple[Publish, Message, bytes]] = []
        self._octets = 0
        self._open = False  # it holds something, and counts
        self._acknowledgements: list[_Acknowledgement] = []

    def publish(self, publish: Publish, message: Message, content: bytes) -> None:
        """Raises ConnectionFault (506) when it grows too large, Refusal when the door would not let the message in."""
        peer = self._channel.peer
        config = peer.config
        self._begun()
        self._octets += message.weight
        if len(self._messages) >= config.transaction_messages or self._octets > config.transaction_octets:
            raise ConnectionFault("the transaction holds as much as it may: commit sooner", RESOURCE_ERROR)
        _check(self._channel.peer, publish, message, None)
        self._messages.append((publish, message, content))

    def acknowledge(self, tags: list[int], accepted: bool, requeue: bool) -> None:
        if not tags:
            return
        self._begun()
        for tag in tags:
            self._channel.unacked[tag].in_transaction = True
        self._acknowledgements.append(_Acknowledgement(tags, accepted, requeue))

    def commit(self) -> None:
        """Everything within one batch of the journal: `journal.wait` then knows when it lasts. Raises ChannelFault when
        the door has changed its mind about a message; then nothing was done."""
        channel = self._channel
        messages, acknowledgements = self._messages, self._acknowledgements
        self._begin_anew()
        try:
            room = Room()
            for publish, message, _ in messages:
                _check(channel.peer, publish, message, room)
        except Refusal as refusal:
            self._free(acknowledgements)
            raise ChannelFault(refusal.because, reply_code_of(refusal.meaning)) from None
        for publish, message, content in messages:
            try:
                ticket = channel.let_in(publish, message)
            except Refusal as refusal:
                self._free(acknowledgements)
                raise ChannelFault(refusal.because, reply_code_of(refusal.meaning)) from None
            if ticket == NOBODY and publish.mandatory:
                channel.returned(publish, message, content)
        for one in acknowledgements:
            channel.settle(one.tags, one.accepted, one.requeue, True)

    def roll_back(self) -> None:
        """The messages are forgotten, the deliveries unacknowledged as before (1.9.2.5)."""
        acknowledgements = self._acknowledgements
        self._begin_anew()
        self._free(acknowledgements)

    def abandon(self) -> None:
        """The channel is over."""
        self._begin_anew()

    def _begun(self) -> None:
        """It holds something from now on. Raises ConnectionFault (506) when too many of the connection's do."""
        if self._open:
            return
        peer = self._channel.peer
        if peer.transactions >= peer.config.transactions:
            because = f"a connection has at most {peer.config.transactions} transactions that hold something"
            raise ConnectionFault(because, RESOURCE_ERROR)
        peer.transactions += 1
        self._open = True

    def _begin_anew(self) -> None:
        if self._open:
            self._open = False
            self._channel.peer.transactions -= 1
        self._messages = []
        self._acknowledgements = []
        self._octets = 0

    def _free(self, acknowledgements: list[_Acknowledgement]) -> None:
        for one in acknowledgements:
            for tag in one.tags:
                unacked = self._channel.unacked.get(tag)
                if unacked is not None:
                    unacked.in_transaction = False


def _check(peer: Peer, publish: Publish, message: Message, room: Room | None) -> None:
    """Whether the message could be let in now, beside those that were checked before it; None: where there is room is
    asked at the commit. Raises Refusal."""
    broker = peer.broker
    broker.door.permit(peer.principal, message.topic, message.origin, True)
    queues: list[Queue]
    if publish.exchange:
        exchanges = peer.vhost.exchanges
        there = exchanges.find(publish.exchange)
        if there is exchanges.bridge:
            return
        if there is None:
            raise Refusal(NOT_FOUND, f"no exchange '{publish.exchange}' in vhost '/': declare it first")
        if there.internal:
            raise Refusal(NOT_AUTHORIZED, f"exchange '{publish.exchange}' is internal: publish to one it is bound to")
        headers = headers_of(message) if peer.vhost.routing.needs_headers(publish.exchange) else {}
        queues = list(peer.vhost.routing.way(there, publish.routing_key, headers, message.origin.verified).queues)
    else:
        found = broker.queues.find(publish.routing_key)
        queues = [] if found is None else [found]
    if room is None:
        return
    for queue in queues:
        count, octets = room.by_queue.get(queue, (0, 0))
        count += 1
        octets += message.weight
        room.octets += message.weight
        room.by_queue[queue] = (count, octets)
        queue.check_room(octets, count, room.octets - octets)
