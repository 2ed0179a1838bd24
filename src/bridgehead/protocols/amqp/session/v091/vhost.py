"""The one virtual host of the hub, "/": its exchanges and how they are declared, bound and routed by, for all 0-9-1
connections together."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.queues.ports import DeadLetters
from bridgehead.broker.queues.queue import Queue
from bridgehead.core.entry import Entry
from bridgehead.core.message import Message
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.v091.consuming import Deliveries
from bridgehead.protocols.amqp.session.v091.declaring import Declaring
from bridgehead.protocols.amqp.session.v091.exchanges import Exchanges
from bridgehead.protocols.amqp.session.v091.routing import Routing


class Vhost(DeadLetters):
    """Made by `vhost_of` before the broker recovers."""

    def __init__(self, broker: Broker, config: AmqpConfig) -> None:
        super().__init__()
        self.exchanges: Final = Exchanges(broker, config)
        self.routing: Final = Routing(broker, self.exchanges)
        self.declaring: Final = Declaring(broker, self.exchanges)
        # Channels that may have deliveries of a queue: of one that is deleted they count nowhere, so nobody keeps them.
        self.takers: Final[dict[Queue, dict[Deliveries, None]]] = {}

    def route(
        self, principal: Principal, exchange: str, routing_key: str, message: Message, entry: Entry
    ) -> list[Queue]:
        return self.routing.dead_letter(principal, exchange, routing_key, message)

    def queue_gone(self, queue: Queue) -> None:
        self.exchanges.queue_gone(queue)
        for channel in self.takers.pop(queue, ()):
            channel.queue_gone(queue)

    def identity_gone(self, name: str) -> None:
        self.exchanges.identity_gone(name)

    def recovered(self) -> None:
        self.exchanges.recover()


def vhost_of(broker: Broker, config: AmqpConfig) -> Vhost:
    """The hub's own, made when it is first asked for."""
    known = broker.queues.exchanges
    if isinstance(known, Vhost):
        return known
    made = Vhost(broker, config)
    broker.queues.set_exchanges(made)
    return made
