"""The rim of MQTT: joins streams, connections, the authenticator and the broker. The floor's only async file."""

from __future__ import annotations

import asyncio
import heapq
import secrets
from time import monotonic
from typing import Final, Protocol

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import UNAVAILABLE, LocalMisuse, Refusal
from bridgehead.core.message import NEVER
from bridgehead.protocols.mqtt.codec.reason_codes import BAD_AUTHENTICATION_METHOD
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.session.connection import Connection
from bridgehead.protocols.mqtt.session.exchange import Exchange
from bridgehead.protocols.mqtt.session.table import AUTHENTICATING, CLOSED
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.security.login.proof import Credentials, Proven
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.transport.stream import Stream
from bridgehead.wire.outbox import Outbox, Turn

_TICK: Final = 0.25  # seconds between two looks at the deadlines
_SPARE: Final = 1000  # deadlines of the past that may be held beside those of the present
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


class _Link:
    """One client: its stream and its connection."""

    __slots__ = ("_server", "chain", "connection", "deadline", "exchange", "paused", "stream", "task")

    def __init__(self, server: MqttServer, stream: Stream, connection: Connection, chain: Chain) -> None:
        self._server = server
        self.chain = chain
        self.exchange: Exchanges | None = None
        self.stream = stream
        self.connection = connection
        self.deadline = NEVER
        self.paused = False
        self.task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """The connection needs more than reading on."""
        connection = self.connection
        if connection.is_asking() and self.task is None:
            self._server.prove(self)
        if connection.state == AUTHENTICATING:
            self.pause()
            if self.task is None:
                self._server.prove(self)
        elif connection.state != CLOSED:
            if connection.is_congested():
                self.pause()
                self._server.watch(self)
            else:
                connection.attention = False
                self.resume()

    def pause(self) -> None:
        if not self.paused:
            self.paused = True
            self.stream.pause()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self.stream.resume()

    def on_end(self, because: str) -> None:
        server = self._server
        server.clock.now = server.time()
        self.connection.lost(because)
        server.forget(self)

    def on_drain(self) -> None:
        server = self._server
        server.clock.now = server.time()
        self.connection.outbox.backlog = self.stream.pending
        self.connection.drained()
        if self.paused:
            self.look()


class MqttServer:
    """Serves MQTT on whatever streams it is given. `offset` is what the epoch's seconds are ahead of the monotonic
    clock's."""

    def __init__(self, broker: Broker, config: MqttConfig, authenticator: Authenticates, offset: float) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._broker: Final = broker
        self.config: Final = config
        self._authenticator: Final = authenticator
        self.offset: Final = offset
        self.clock: Final = broker.clock
        self._turn: Final = Turn(self._schedule_flush)
        self._topics: dict[bytes, str] = {}
        self._links: set[_Link] = set()
        self._deadlines: list[tuple[float, int, _Link]] = []
        self._serial = 0
        self._emptied: asyncio.Event | None = None  # there while the server stops
        self._tick: asyncio.TimerHandle | None = self._loop.call_later(_TICK, self._on_tick)

    def time(self) -> float:
        """Seconds since the epoch; never goes back within a run."""
        return monotonic() + self.offset

    def __len__(self) -> int:
        return len(self._links)

    def accept(self, stream: Stream, chain: Chain = DEFAULT) -> None:
        """Serve a new client, who may log in by `chain`."""
        self.clock.now = self.time()
        if len(self._topics) > _TOPICS:
            self._topics.clear()
        outbox = Outbox(self._turn, self.config.outbox_octets)
        connection = Connection(outbox, self._broker, self.config, stream.peer, self._topics, chain.methods)
        connection.accepted_at -= stream.spent  # the time to connect counts from accept()
        link = _Link(self, stream, connection, chain)
        outbox.owner = link
        self._links.add(link)
        self.watch(link)
        # Straight into the machine: what it cannot do alone it says by `attention`, and the turn's flush sees it. The
        # clock is as exact as the ticks that set it, a tenth of a second.
        stream.start(connection.receive, link.on_end, link.on_drain)

    def forget(self, link: _Link) -> None:
        self._links.discard(link)
        if link.task is not None:
            link.task.cancel()
        if link.exchange is not None:
            link.exchange.close()
            link.exchange = None
        if self._emptied is not None and not self._links:
            self._emptied.set()

    # Who it is. -------------------------------------------------------------------------------------

    def prove(self, link: _Link) -> None:
        """Find out who the client is, then go on with its connection."""
        link.task = self._loop.create_task(self._prove(link))

    async def _prove(self, link: _Link) -> None:
        connection = link.connection
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
        connect = link.connection.connect
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
            client_id=link.connection.client_id,
            address=stream.peer,
            protocol="mqtt",
            chain=link.chain,
            binding=binding,
        )

    # Time. ------------------------------------------------------------------------------------------

    def watch(self, link: _Link) -> None:
        """Look at the link again when its connection's next deadline has come, or sooner: one that has moved on is
        found when the time comes."""
        deadline = link.connection.next_timeout()
        if deadline < link.deadline:
            link.deadline = deadline
            self._serial += 1
            heapq.heappush(self._deadlines, (deadline, self._serial, link))
            if len(self._deadlines) > 2 * len(self._links) + _SPARE:
                self._drop_deadlines()

    def _drop_deadlines(self) -> None:
        """Clients that come and go leave theirs behind, which may lie hours ahead and hold all that the link held."""
        self._deadlines[:] = [
            entry for entry in self._deadlines if entry[2].deadline == entry[0] and entry[2] in self._links
        ]
        heapq.heapify(self._deadlines)

    def _on_tick(self) -> None:
        self._tick = self._loop.call_later(_TICK, self._on_tick)
        self.clock.now = now = self.time()
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            deadline, _, link = heapq.heappop(deadlines)
            if link.deadline != deadline or link not in self._links:
                continue
            link.deadline = NEVER
            link.connection.handle_timeout()
            if link.paused:
                link.look()
            self.watch(link)

    # Sending. ---------------------------------------------------------------------------------------

    def _schedule_flush(self) -> None:
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """One write per connection and turn."""
        counters = self._broker.counters
        for outbox in self._turn.take():
            link = outbox.owner
            assert isinstance(link, _Link)
            data = outbox.take()
            stream = link.stream
            if data:
                counters.octets_sent += len(data)
                counters.packets_sent += outbox.packets
                stream.send(data)
                outbox.backlog = stream.pending
            connection = link.connection
            if connection.attention:
                if connection.state == CLOSED:
                    stream.close()  # only here: what it had to say is sent
                else:
                    link.look()
            if not outbox.backlog and connection.has_waiting():
                # The outbox was full within the turn, and the kernel took it all: no drain will be told.
                connection.drained()

    async def stop(self, seconds: float) -> None:
        """Tell every client that the hub stops, and wait at most so long until it is told."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self.clock.now = self.time()
        for link in list(self._links):
            if link.task is not None:
                link.task.cancel()
                link.task = None
            link.connection.dismiss(UNAVAILABLE, "the hub is stopping")
            if link.connection.state != CLOSED:
                link.connection.lost("the hub is stopping")
        if self._links:
            self._emptied = asyncio.Event()
            try:
                await asyncio.wait_for(self._emptied.wait(), seconds)
            except TimeoutError:
                for link in list(self._links):
                    link.stream.abort()
