"""The rim of AMQP: joins streams, machines, the authenticator and the broker. The floor's only async file."""

from __future__ import annotations

import secrets
from typing import Final, Protocol

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import BAD_CREDENTIALS, LocalMisuse, Refusal
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.entry import Entry
from bridgehead.protocols.amqp.session.proving import SaslTurn
from bridgehead.protocols.amqp.session.speaker import PROTOCOL, Speaker
from bridgehead.security.login.chain import DEFAULT, Chain, in_sasl
from bridgehead.security.login.proof import Credentials, Proven
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.transport.rim import Link, Rim
from bridgehead.transport.stream import Stream
from bridgehead.wire.outbox import Outbox

_NOTHING_MORE: Final = b"\x01"  # RFC 7628 section 3.2.3: what a client answers when its token was refused


class SaslExchange(Protocol):
    """A SASL exchange under way (security.login.exchange.Exchange). Errors of the first two: Refusal."""

    async def begin(self, initial: bytes | None) -> bytes | Proven: ...

    async def go_on(self, response: bytes) -> bytes | Proven: ...

    def close(self) -> None: ...


class Authenticates(Protocol):
    """What the server needs of the security room. Errors of `exchange`: Refusal, NotOffered."""

    def offered(self, chain: Chain, binding: Binding) -> list[str]: ...

    def exchange(self, mechanism: str, credentials: Credentials) -> SaslExchange: ...


class _Link(Link[Speaker]):
    """One connection; machines take their turns on it."""

    __slots__ = ("_server", "binding", "chain", "exchange")

    def __init__(self, server: AmqpServer, stream: Stream, speaker: Speaker, chain: Chain, binding: Binding) -> None:
        super().__init__(server, stream, speaker)
        self._server = server
        self.chain = chain
        self.binding = binding
        self.exchange: SaslExchange | None = None

    def look(self) -> None:
        speaker = self._succeeded()
        if speaker.closed:
            return  # the flush closes the stream, behind what there was to say
        self._server.watch(self)
        asked = speaker.sasl
        if asked is not None and speaker.is_asking():
            if self.task is None:
                self._server.prove(self, speaker, asked)
            if not asked.again:
                self.pause()  # nothing is read from somebody unknown while he is being judged
                return
        if speaker.is_congested():
            self.pause()
        else:
            speaker.attention = False
            self.resume()

    def _succeeded(self) -> Speaker:
        """The machine whose turn it is now, with what came in for it already."""
        speaker = self.machine
        successor = speaker.successor()
        while successor is not None:
            successor.accepted_at = speaker.accepted_at
            self.paused = False
            self.machine = successor
            self.stream.start(successor.receive, self.on_end, self.on_drain)
            left = speaker.left()
            if left:
                successor.receive(left)
            speaker = successor
            successor = speaker.successor()
        return speaker

    def over(self) -> None:
        if self.exchange is not None:
            self.exchange.close()
            self.exchange = None


class AmqpServer(Rim[_Link]):
    """Serves AMQP 1.0 and 0-9-1 on whatever streams it is given."""

    def __init__(self, broker: Broker, config: AmqpConfig, authenticator: Authenticates, offset: float) -> None:
        """`offset` as Rim has it."""
        super().__init__(broker.clock, broker.counters, offset)
        self._broker: Final = broker
        self.config: Final = config
        self._authenticator: Final = authenticator
        self._chains: dict[Chain, Chain] = {}  # of listeners, and as SASL says them

    def accept(self, stream: Stream, chain: Chain = DEFAULT) -> None:
        """Serve a new client, who may log in by `chain`."""
        self.clock.now = self.time()
        said = self._chains.get(chain)
        if said is None:
            said = self._chains[chain] = in_sasl(chain)
        tls = stream.tls
        certificate = tls is not None and tls.peer_certificate is not None
        binding = Binding(
            tls_server_end_point=None if tls is None else tls.end_point(),
            tls_exporter=None if tls is None else tls.exporter(),
            # A plaintext listener was asked for by name, and so was what is told over it in clear.
            protected=True,
            certificate=certificate,
        )
        outbox = Outbox(self._turn, self.config.outbox_octets)
        mechanisms = tuple(self._authenticator.offered(said, binding))
        entry = Entry(
            outbox,
            self._broker,
            self.config,
            stream.peer,
            tls is not None,
            certificate,
            mechanisms,
        )
        entry.accepted_at -= stream.spent  # the time to connect counts from accept()
        self.begin(_Link(self, stream, entry, said, binding))

    # Who it is. -------------------------------------------------------------------------------------

    def prove(self, link: _Link, speaker: Speaker, asked: SaslTurn) -> None:
        """Find out who the peer is, then go on with its connection."""
        link.task = self._loop.create_task(self._prove(link, speaker, asked))

    async def _prove(self, link: _Link, speaker: Speaker, asked: SaslTurn) -> None:
        try:
            outcome = await (self._renewed(link, asked) if asked.again else self._go_on(link, asked))
        except (NotOffered, Refusal) as fault:
            self.clock.now = self.time()
            link.over()
            refusal = fault if isinstance(fault, Refusal) else Refusal(BAD_CREDENTIALS, str(fault))
            if asked.again:
                speaker.not_renewed(refusal)
            else:
                speaker.refuse(refusal)
        else:
            self.clock.now = self.time()
            if isinstance(outcome, bytes):
                speaker.challenge(outcome)
            elif asked.again:
                speaker.renewed(outcome.principal, outcome.expires_at, outcome.marks)
            else:
                link.exchange = None
                verified = link.stream.tls is not None or link.stream.peer.startswith("unix:")
                speaker.authenticated(
                    outcome.principal,
                    verified,
                    secrets.token_hex(8),
                    outcome.expires_at,
                    outcome.data,
                    outcome.marks,
                )
        link.task = None
        if link in self._links:
            link.look()

    async def _go_on(self, link: _Link, asked: SaslTurn) -> bytes | Proven:
        """One step: begin the exchange, or hand on what the peer answered."""
        running = link.exchange
        if running is None:
            running = link.exchange = self._authenticator.exchange(asked.mechanism, self._credentials(link))
            return await running.begin(asked.data)
        return await running.go_on(asked.data or b"")

    async def _renewed(self, link: _Link, asked: SaslTurn) -> Proven:
        """A token given anew: one message, and no more is asked."""
        running = link.exchange = self._authenticator.exchange(asked.mechanism, self._credentials(link))
        outcome = await running.begin(asked.data)
        if isinstance(outcome, bytes):
            outcome = await running.go_on(_NOTHING_MORE)
        if isinstance(outcome, bytes):
            raise LocalMisuse("a mechanism of tokens asks on")
        link.exchange = None
        return outcome

    def _credentials(self, link: _Link) -> Credentials:
        tls = link.stream.tls
        return Credentials(
            user_name=None,
            password=None,
            certificate=None if tls is None else tls.peer_certificate,
            client_id="",
            address=link.stream.peer,
            protocol=PROTOCOL,
            chain=link.chain,
            binding=link.binding,
        )
