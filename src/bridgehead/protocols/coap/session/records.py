"""What a resource keeps goes through the door, and is answered when it lasts."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core import message as core
from bridgehead.core.errors import LocalMisuse
from bridgehead.core.policy import Principal
from bridgehead.core.session import DISCARDED, Delivery, Receiver, Target
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.contract import Exchange
from bridgehead.protocols.coap.session.replies import failure


class Answer:
    """The answer that waits for a commit."""

    def __init__(self, exchange: Exchange, response: Message) -> None:
        self.exchange: Final = exchange
        self.response: Final = response


class Records(Receiver):
    """Publishes for those who ask, and answers them after the commit. It has no session: nothing is delivered to it."""

    def __init__(self, broker: Broker) -> None:
        self._broker: Final = broker
        self._waiting: dict[int, list[Answer]] = {}

    def publish(self, principal: Principal, message: core.Message) -> int:
        """Returns the ticket to answer after. Raises Refusal."""
        return self._broker.door.publish(principal, message, self)

    def answer(self, ticket: int, exchange: Exchange, response: Message) -> None:
        """Respond once the journal's batch `ticket` lasts, at once when there is nothing to wait for."""
        if ticket <= self._broker.journal.durable:
            exchange.respond(response)
            return
        held = self._waiting.get(ticket)
        if held is None:
            held = []
            self._waiting[ticket] = held
        held.append(Answer(exchange, response))

    def committed(self, ticket: int) -> None:
        for due in [held for held in self._waiting if held <= ticket]:
            for answer in self._waiting.pop(due):
                answer.exchange.respond(answer.response)

    def not_committed(self, ticket: int, retry: int) -> None:
        for answer in self._waiting.pop(ticket, []):
            because = "the hub could not write it to its disk: send the request again later"
            answer.exchange.respond(failure(codes.SERVICE_UNAVAILABLE, because))

    def transmit(self, message: core.Message, target: Target) -> None:
        raise LocalMisuse("no session delivers to the records of a resource")

    def offer(self, delivery: Delivery) -> int:
        return DISCARDED

    def pump(self) -> None:
        """Nothing waits for it."""

    def dismiss(self, meaning: str, because: str) -> None:
        """There is no session to take from it."""
