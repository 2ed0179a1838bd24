"""The connection's own end of the hub: it hears of commits, and of the end of its right."""

from __future__ import annotations

from bridgehead.core.errors import LocalMisuse
from bridgehead.core.message import Message
from bridgehead.core.session import NO_CREDIT, Delivery, Receiver
from bridgehead.core.session import Target as HubTarget
from bridgehead.protocols.amqp.session.speaker import Speaker


class Hearing(Speaker):
    """A speaker that waits for commits."""

    def committed(self, ticket: int) -> None:
        """As Receiver.committed."""
        raise NotImplementedError

    def not_committed(self, ticket: int, retry: int) -> None:
        """As Receiver.not_committed."""
        raise NotImplementedError


class ConnectionReceiver(Receiver):
    """Of the session that each connection has for itself. It subscribes nothing."""

    def __init__(self, connection: Hearing) -> None:
        self._connection: Hearing | None = connection

    def transmit(self, message: Message, target: HubTarget) -> None:
        raise LocalMisuse("a connection's own session has no subscriptions")

    def offer(self, delivery: Delivery) -> int:
        return NO_CREDIT

    def pump(self) -> None:
        """Nothing waits in this session."""

    def committed(self, ticket: int) -> None:
        if self._connection is not None:
            self._connection.committed(ticket)

    def not_committed(self, ticket: int, retry: int) -> None:
        if self._connection is not None:
            self._connection.not_committed(ticket, retry)

    def dismiss(self, meaning: str, because: str) -> None:
        if self._connection is not None:
            self._connection.dismiss(meaning, because)

    def release(self) -> None:
        """The connection is over: nothing holds it any more."""
        self._connection = None
