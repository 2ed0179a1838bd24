"""AMQP as the node serves it: one server for both versions and all listeners."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.node.configuration import Config
from bridgehead.node.identities import Identities
from bridgehead.node.settings import apply_amqp
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.server import AmqpServer
from bridgehead.protocols.amqp.session.v091.vhost import vhost_of
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.transport.stream import Stream


class Amqp:
    """Exchanges of 0-9-1 are the hub's: they are here before `broker.recover` brings back what they had."""

    def __init__(self, config: Config, broker: Broker) -> None:
        self._broker: Final = broker
        self._settings: Final = AmqpConfig()
        apply_amqp(config, self._settings)
        vhost_of(broker, self._settings)
        self._server: AmqpServer | None = None

    def begin(self, identities: Identities, offset: float) -> None:
        """Serve from now on. `offset`: see AmqpServer."""
        self._server = AmqpServer(self._broker, self._settings, identities, offset)

    def __len__(self) -> int:
        """Open connections."""
        return 0 if self._server is None else len(self._server)

    def accept(self, stream: Stream, chain: Chain = DEFAULT) -> None:
        """Serve a new client; `chain` is what its listener lets in by."""
        assert self._server is not None
        self._server.accept(stream, chain)

    def apply(self, config: Config) -> None:
        """Put a reloaded configuration in force. What a peer was told in Open, Begin, Attach or Tune stays."""
        apply_amqp(config, self._settings)

    async def stop(self, seconds: float) -> None:
        """Tell every client that the hub stops, and wait at most so long."""
        if self._server is not None:
            await self._server.stop(seconds)
