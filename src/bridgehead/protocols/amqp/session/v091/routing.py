"""The way of a message through the exchanges to queues and topics, and what becomes of dead letters that take it."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.door import NOBODY
from bridgehead.broker.queues.names import exchange_topic, queue_topic
from bridgehead.broker.queues.queue import Queue
from bridgehead.core.errors import NOT_AUTHORIZED, NOT_FOUND, Refusal
from bridgehead.core.message import Message
from bridgehead.core.policy import Principal
from bridgehead.core.session import Receiver
from bridgehead.protocols.amqp.mapping.message_v091 import headers_of
from bridgehead.protocols.amqp.mapping.routing_keys import topic_of
from bridgehead.protocols.amqp.session.v091.arguments import DEFAULT_EXCHANGE, Arguments
from bridgehead.protocols.amqp.session.v091.bindings import HEADERS, Binding, Exchange
from bridgehead.protocols.amqp.session.v091.exchanges import Exchanges

_NO_HEADERS: Final[Arguments] = {}


class Way:
    """Where a message goes. `authorities` are those whose redirections lead it to the bridge, that is to the topic of
    its routing key: with the rights of the first of them that has such."""

    def __init__(self) -> None:
        self.queues: dict[Queue, None] = {}
        self.authorities: dict[Principal, None] = {}


class Routing:
    """A message visits each exchange once, whatever rings the bindings make, and comes to each queue once."""

    def __init__(self, broker: Broker, exchanges: Exchanges) -> None:
        self._broker: Final = broker
        self._exchanges: Final = exchanges

    # Publish. ---------------------------------------------------------------------------------------

    def needs_headers(self, exchange: str) -> bool:
        """Whether a message's headers may decide where it goes from there."""
        there = self._exchanges.find(exchange)
        return there is not None and (there.kind == HEADERS or there.onward > 0 or bool(there.alternate))

    def publish(
        self,
        principal: Principal,
        message: Message,
        exchange: str,
        routing_key: str,
        headers: Arguments | None,
        receiver: Receiver | None,
    ) -> int:
        """Let a message in through an exchange, or raise Refusal. `message.topic` is `Declaring.topic_of` the two.

        Returns the ticket that `receiver` waits for before it confirms, 0 when there is nothing to wait for, NOBODY
        (-1) when it came nowhere. When one of several queues is full it comes to the others and is refused.
        """
        broker = self._broker
        if not exchange:
            return broker.queues.publish(principal, message, routing_key, receiver, "", routing_key)
        there = self._exchanges.find(exchange)
        if there is self._exchanges.bridge:
            return broker.door.publish(principal, message, receiver)
        broker.door.permit_message(principal, exchange_topic(exchange) if there is None else there.topic, message)
        if there is None:
            raise Refusal(NOT_FOUND, f"no exchange '{exchange}' in vhost '/': declare it first")
        if there.internal:
            raise Refusal(
                NOT_AUTHORIZED, f"exchange '{exchange}' is internal: publish to an exchange from which it is bound"
            )
        way = self.way(there, routing_key, _NO_HEADERS if headers is None else headers, message.origin.verified)
        ticket = NOBODY
        refused: Refusal | None = None
        for queue in way.queues:
            try:
                ticket = max(ticket, broker.queues.put(queue, message, receiver, exchange, routing_key))
            except Refusal as refusal:
                refused = refusal
        if way.authorities:
            ticket = max(ticket, self._to_topic(way, message, routing_key, receiver))
        if refused is not None:
            raise refused
        return ticket

    def _to_topic(self, way: Way, message: Message, routing_key: str, receiver: Receiver | None) -> int:
        """Publish it to the topic of its routing key. What the door refuses there is told by the door, and is not the
        publisher's fault."""
        try:
            topic = topic_of(routing_key)
        except Refusal:
            return NOBODY
        same = Message(
            topic, message.payload, message.qos, False, message.origin, message.properties, message.expires_at
        )
        for authority in way.authorities:
            if authority.may_publish(topic, message.qos, False) or len(way.authorities) == 1:
                try:
                    return self._broker.door.publish(authority, same, receiver)
                except Refusal:
                    return NOBODY
        return NOBODY

    # Route. -----------------------------------------------------------------------------------------

    def way(self, exchange: Exchange, routing_key: str, headers: Arguments, verified: bool) -> Way:
        """`verified`: the message came over a verified connection, which a right to read may ask for."""
        exchanges = self._exchanges
        way = Way()
        seen: dict[Exchange, None] = {exchange: None}
        ahead = [exchange]
        while ahead:
            here = ahead.pop()
            routed = False
            for binding in here.matching(routing_key, headers):
                if not self._holds(binding, verified):
                    continue
                routed = True
                target = binding.exchange
                if binding.queue is not None:
                    way.queues[binding.queue] = None
                elif target is exchanges.bridge:
                    way.authorities[binding.binder] = None
                elif target is not None and target not in seen:
                    seen[target] = None
                    ahead.append(target)
            if routed or not here.alternate or here.owner is None:
                continue
            instead = exchanges.find(here.alternate)
            owner = self._broker.queues.feeds.principal_of(here.owner)
            if instead is None or owner is None:
                continue
            if instead is exchanges.bridge:
                way.authorities[owner] = None
            elif instead not in seen and owner.may_publish(instead.topic, 0, False):
                seen[instead] = None
                ahead.append(instead)
        return way

    def _holds(self, binding: Binding, verified: bool) -> bool:
        """Whether who made it may still do so: read the one end, and change the other where that is an exchange."""
        binder = binding.binder
        if not self._is_there(binder) or binder.receivable_qos(binding.source.topic, verified) < 0:
            return False
        target = binding.exchange
        if target is None or target is self._exchanges.bridge:
            return True
        return binder.may_publish(target.topic, 0, True)

    def _is_there(self, principal: Principal) -> bool:
        return self._broker.door.principal(principal.name) is principal.root

    # Dead letters. ----------------------------------------------------------------------------------

    def dead_letter(self, principal: Principal, exchange: str, routing_key: str, message: Message) -> list[Queue]:
        """The queues that a dead letter goes to, with the rights of who declared the queue that it died in."""
        door = self._broker.door
        if exchange == DEFAULT_EXCHANGE:
            door.permit_message(principal, queue_topic(routing_key), message)
            queue = self._broker.queues.find(routing_key)
            return [] if queue is None else [queue]
        door.permit_message(principal, exchange_topic(exchange), message)
        there = self._exchanges.find(exchange)
        if there is None:
            raise Refusal(NOT_FOUND, f"no exchange '{exchange}' in vhost '/': declare it, or name another")
        headers = headers_of(message) if self.needs_headers(exchange) else _NO_HEADERS
        way = self.way(there, routing_key, headers, message.origin.verified)
        if way.authorities:
            self._to_topic(way, message, routing_key, None)
        return list(way.queues)
