"""Queues as AMQP 0-9-1 declares, binds and deletes them (section 1.7), and the topics that exchanges stand for.

The door decides about queue `Q` as about the topic `$QUEUE/Q`: to declare, bind, purge and delete it is to publish with
retain. What is a connection's own (exclusive) it may use without asking, and nobody else may.
"""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.queues.names import SERVER_NAMED, exchange_topic, queue_topic
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import DeadLetter, owner_of
from bridgehead.core.errors import NOT_AUTHORIZED, NOT_FOUND, Refusal
from bridgehead.core.message import Origin
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.mapping.routing_keys import filter_of, topic_of
from bridgehead.protocols.amqp.session.v091.arguments import (
    BRIDGE,
    DEFAULT_EXCHANGE,
    Arguments,
    check_same_queue,
    queue_settings,
)
from bridgehead.protocols.amqp.session.v091.exchanges import RESERVED, Exchanges


class Declaring:
    """`principal` and `origin` are those of the connection's own session. Every method raises Refusal."""

    def __init__(self, broker: Broker, exchanges: Exchanges) -> None:
        self._broker: Final = broker
        self._exchanges: Final = exchanges
        self._named = 0

    def queue(self, principal: Principal, origin: Origin, name: str) -> Queue:
        """queue.declare, passive: the queue that is there."""
        return self._broker.queues.see(principal, origin, name)

    def declare(
        self,
        principal: Principal,
        origin: Origin,
        name: str,
        durable: bool,
        exclusive: bool,
        auto_delete: bool,
        arguments: Arguments,
    ) -> Queue:
        """queue.declare, but for the passive one. The empty name: the hub finds one. An exclusive queue ends with its
        connection, so nothing of it lasts whatever `durable` says."""
        queues = self._broker.queues
        owner = owner_of(origin) if exclusive else ""
        settings = queue_settings(arguments, durable and not exclusive, owner, auto_delete)
        if not name:
            name = self._new_name(principal, origin)
        elif name.startswith(RESERVED):
            known = queues.find(name)
            if known is None or known.settings.exclusive != owner_of(origin):
                raise Refusal(
                    NOT_AUTHORIZED, f"queue name '{name}' contains the reserved prefix 'amq.': choose another name"
                )
        there = queues.find(name)
        if there is not None:
            # First whether it may know, then what differs, in the words of this protocol.
            queue = queues.declare(principal, origin, name, there.settings)
            check_same_queue(name, there.settings, settings, arguments)
            return queue
        if settings.dead_letter is not None:
            self._ask_for_target(principal, origin, settings.dead_letter)
        return queues.declare(principal, origin, name, settings)

    def _new_name(self, principal: Principal, origin: Origin) -> str:
        """Of this identity, so that a right to send to its queues can be written (`$QUEUE/amq.gen-<identity>/#`), and
        of this moment: no later queue is called so, to get what was meant for this one."""
        while True:
            self._named += 1
            moment = int(self._broker.clock.now * 1000)
            name = f"{SERVER_NAMED}{principal.name}/{moment:x}-{self._named:x}"
            if self._broker.queues.find(name) is None:
                return name

    def _ask_for_target(self, principal: Principal, origin: Origin, target: DeadLetter) -> None:
        """Whoever declares a queue sends its dead letters, and may do so as for any message."""
        door = self._broker.door
        if target.topic:
            door.permit(principal, target.topic, origin, True)
        elif target.exchange != DEFAULT_EXCHANGE:
            door.permit(principal, exchange_topic(target.exchange), origin, True)
        elif target.routing_key:
            door.permit(principal, queue_topic(target.routing_key), origin, True)

    # Bind and unbind. -------------------------------------------------------------------------------

    def bind(
        self, principal: Principal, origin: Origin, name: str, exchange: str, routing_key: str, arguments: Arguments
    ) -> None:
        """queue.bind. From amq.topic the queue is fed by the topics that the binding key stands for, with the rights of
        who binds it, now and at each message."""
        queue = self._to_change(principal, origin, name)
        if exchange == BRIDGE:
            self._broker.queues.bind_topic(principal, origin, queue, filter_of(routing_key))
        else:
            self._exchanges.bind_queue(principal, origin, queue, exchange, routing_key, arguments)

    def unbind(
        self, principal: Principal, origin: Origin, name: str, exchange: str, routing_key: str, arguments: Arguments
    ) -> None:
        """Nothing happens when there is no such binding, queue or exchange, as with RabbitMQ."""
        queue = self._permitted_to_change(principal, origin, name)
        if queue is None:
            return
        if exchange == BRIDGE:
            self._broker.queues.unbind_topic(principal, origin, queue, filter_of(routing_key))
        else:
            self._exchanges.unbind_queue(principal, origin, queue, exchange, routing_key, arguments)

    def _to_change(self, principal: Principal, origin: Origin, name: str) -> Queue:
        queue = self._permitted_to_change(principal, origin, name)
        if queue is None:
            raise Refusal(NOT_FOUND, f"no queue '{name}' in vhost '/': declare it first")
        return queue

    def _permitted_to_change(self, principal: Principal, origin: Origin, name: str) -> Queue | None:
        queue = self._broker.queues.find(name)
        if queue is None:
            self._broker.door.permit(principal, queue_topic(name), origin, True, True)
        else:
            self._broker.queues.permit_change(principal, origin, queue)
        return queue

    # Delete and purge. ------------------------------------------------------------------------------

    def delete(self, principal: Principal, origin: Origin, name: str, if_unused: bool, if_empty: bool) -> int:
        """queue.delete: how many messages went with it. Nothing happens when there is no such queue, as with
        RabbitMQ."""
        try:
            return self._broker.queues.delete(principal, origin, name, if_unused, if_empty)
        except Refusal as refusal:
            if refusal.meaning != NOT_FOUND:
                raise
            return 0

    def purge(self, principal: Principal, origin: Origin, name: str) -> int:
        """queue.purge: how many messages went."""
        return self._broker.queues.purge(principal, origin, name)


def topic_for(exchange: str, routing_key: str) -> str:
    """The topic of a message that is published so: that of its routing key on the bridge, else what the policy calls
    the exchange, or on the default exchange the queue. Raises Refusal(NAME_INVALID) when there is no such topic."""
    if exchange == BRIDGE:
        return topic_of(routing_key)
    if exchange:
        return exchange_topic(exchange)
    return queue_topic(routing_key)
