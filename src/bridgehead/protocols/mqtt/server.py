"""The rim of MQTT: joins streams, connections, the authenticator and the broker. The floor's only async file."""

from __future__ import annotations

import secrets
from typing import Final, Protocol

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import LocalMisuse, Refusal
from bridgehead.protocols.mqtt.codec.reason_codes import BAD_AUTHENTICATION_METHOD
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.session.connection import Connection
from bridgehead.protocols.mqtt.session.exchange import Exchange
from bridgehead.protocols.mqtt.session.table import AUTHENTICATING
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.security.login.proof import Credentials, Proven
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.transport.rim import Link, Rim
from bridgehead.transport.stream import Stream
from bridgehead.wire.outbox import Outbox

_TOPICS: Final = 65536  # Topic Names whose check is remembered


class Exchanges(Protocol):
    """A SASL exchange under way (security.exchange.Exchange). Errors of the first two: Refusal."""

    async def begin(self, initial: bytes | None) -> bytes | Proven: ...

    async def go_on(self, response: bytes) -> bytes | Proven: ...

    def close(self) -> None: ...


class Authenticates(Protocol):
    """What the server needs of the security room. Errors: Refusal; NotOffered of `exchange`."""

    async def authenticate(self, credentials: Credentials) -> Proven: ...

    def exchange(self, mechanism: str, credentials: Credentials) -> Exchanges: ...


class _Link(Link[Connection]):
    """One client."""

    __slots__ = ("_server", "chain", "exchange")

    def __init__(self, server: MqttServer, stream: Stream, connection: Connection, chain: Chain) -> None:
        super().__init__(server, stream, connection)
        self._server = server
        self.chain = chain
        self.exchange: Exchanges | None = None

    def look(self) -> None:
        connection = self.machine
        if connection.is_asking() and self.task is None:
            self._server.prove(self)
        if connection.state == AUTHENTICATING:
            self.pause()
            if self.task is None:
                self._server.prove(self)
        elif not connection.closed:
            if connection.is_congested():
                self.pause()
                self._server.watch(self)
            else:
                connection.attention = False
                self.resume()

    def over(self) -> None:
        if self.exchange is not None:
            self.exchange.close()
            self.exchange = None


class MqttServer(Rim[_Link]):
    """Serves MQTT on whatever streams it is given."""

    def __init__(self, broker: Broker, config: MqttConfig, authenticator: Authenticates, offset: float) -> None:
        """`offset` as Rim has it."""
        super().__init__(broker.clock, broker.counters, offset)
        self._broker: Final = broker
        self.config: Final = config
        self._authenticator: Final = authenticator
        self._topics: dict[bytes, str] = {}

    def accept(self, stream: Stream, chain: Chain = DEFAULT) -> None:
        """Serve a new client, who may log in by `chain`."""
        self.clock.now = self.time()
        if len(self._topics) > _TOPICS:
            self._topics.clear()
        outbox = Outbox(self._turn, self.config.outbox_octets)
        connection = Connection(outbox, self._broker, self.config, stream.peer, self._topics, chain.methods)
        connection.accepted_at -= stream.spent  # the time to connect counts from accept()
        self.begin(_Link(self, stream, connection, chain))

    # Who it is. -------------------------------------------------------------------------------------

    def prove(self, link: _Link) -> None:
        """Find out who the client is, then go on with its connection."""
        link.task = self._loop.create_task(self._prove(link))

    async def _prove(self, link: _Link) -> None:
        connection = link.machine
        exchange = connection.exchange
        again = exchange is not None and exchange.again
        try:
            if exchange is None:
                outcome: bytes | Proven = await self._authenticator.authenticate(self._credentials(link, False))
            else:
                outcome = await self._go_on(link, exchange)
        except NotOffered as fault:  # not on this connection: without TLS there is no channel to bind to
            self.clock.now = self.time()
            connection.refuse_with(BAD_AUTHENTICATION_METHOD, str(fault))
        except Refusal as refusal:
            self.clock.now = self.time()
            if again:
                connection.refuse_again(refusal.because)
            else:
                connection.refuse(refusal, reported=True)
        else:
            self.clock.now = self.time()
            if isinstance(outcome, bytes):
                connection.challenge(outcome)
            elif again:
                connection.authenticated_again(outcome.principal, outcome.expires_at, outcome.data, outcome.marks)
            else:
                stream = link.stream
                verified = stream.tls is not None or stream.peer.startswith("unix:")
                connection.authenticated(
                    outcome.principal,
                    verified,
                    secrets.token_hex(8),
                    outcome.expires_at,
                    outcome.data,
                    outcome.marks,
                )
        link.task = None
        self.watch(link)
        link.look()

    async def _go_on(self, link: _Link, exchange: Exchange) -> bytes | Proven:
        """One step of an enhanced authentication: begin it, or hand on what the client answered."""
        data = exchange.data
        running = link.exchange
        if running is None:
            running = link.exchange = self._authenticator.exchange(exchange.method, self._credentials(link, True))
            outcome = await running.begin(data)
        else:
            outcome = await running.go_on(data or b"")
        if not isinstance(outcome, bytes):
            link.exchange = None
        return outcome

    def _credentials(self, link: _Link, sasl: bool) -> Credentials:
        connect = link.machine.connect
        if connect is None:
            raise LocalMisuse("there is no CONNECT to prove")
        stream = link.stream
        tls = stream.tls
        certificate = None if tls is None else tls.peer_certificate
        binding = None
        if sasl:
            binding = Binding(
                tls_server_end_point=None if tls is None else tls.end_point(),
                tls_exporter=None if tls is None else tls.exporter(),
                # A plaintext listener was asked for by name, and so was what is told over it in clear.
                protected=True,
                certificate=certificate is not None,
            )
        return Credentials(
            user_name=connect.user_name,
            password=connect.password,
            certificate=certificate,
            client_id=link.machine.client_id,
            address=stream.peer,
            protocol="mqtt",
            chain=link.chain,
            binding=binding,
        )
