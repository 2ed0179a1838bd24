"""The rim of AMQP: joins streams, machines, the authenticator and the broker. The floor's only async file."""

from __future__ import annotations

import asyncio
import heapq
import secrets
from time import monotonic
from typing import Final, Protocol

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import BAD_CREDENTIALS, UNAVAILABLE, LocalMisuse, Refusal
from bridgehead.core.message import NEVER
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.entry import Entry
from bridgehead.protocols.amqp.session.proving import SaslTurn
from bridgehead.protocols.amqp.session.speaker import PROTOCOL, Speaker
from bridgehead.security.login.chain import DEFAULT, Chain, in_sasl
from bridgehead.security.login.proof import Credentials, Proven
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.transport.stream import Stream
from bridgehead.wire.outbox import Outbox, Turn

_TICK: Final = 0.25  # seconds between two looks at the deadlines
_SPARE: Final = 1000  # deadlines of the past that may be held beside those of the present
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


class _Link:
    """One connection: its stream, and the machine that has its turn."""

    __slots__ = ("_server", "binding", "chain", "deadline", "exchange", "paused", "speaker", "stream", "task")

    def __init__(self, server: AmqpServer, stream: Stream, speaker: Speaker, chain: Chain, binding: Binding) -> None:
        self._server = server
        self.stream = stream
        self.speaker = speaker
        self.chain = chain
        self.binding = binding
        self.exchange: SaslExchange | None = None
        self.deadline = NEVER
        self.paused = False
        self.task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """The machine needs more than reading on."""
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
        speaker = self.speaker
        successor = speaker.successor()
        while successor is not None:
            successor.accepted_at = speaker.accepted_at
            self.paused = False
            self.speaker = successor
            self.stream.start(successor.receive, self.on_end, self.on_drain)
            left = speaker.left()
            if left:
                successor.receive(left)
            speaker = successor
            successor = speaker.successor()
        return speaker

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
        self.speaker.lost(because)
        server.forget(self)

    def on_drain(self) -> None:
        server = self._server
        server.clock.now = server.time()
        self.speaker.outbox.backlog = self.stream.pending
        self.speaker.drained()
        if self.paused:
            self.look()


class AmqpServer:
    """Serves AMQP 1.0 and 0-9-1 on whatever streams it is given. `offset` is what the epoch's seconds are ahead of the
    monotonic clock's."""

    def __init__(self, broker: Broker, config: AmqpConfig, authenticator: Authenticates, offset: float) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._broker: Final = broker
        self.config: Final = config
        self._authenticator: Final = authenticator
        self.offset: Final = offset
        self.clock: Final = broker.clock
        self._turn: Final = Turn(self._schedule_flush)
        self._links: set[_Link] = set()
        self._deadlines: list[tuple[float, int, _Link]] = []
        self._serial = 0
        self._chains: dict[Chain, Chain] = {}  # of listeners, and as SASL says them
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
        link = _Link(self, stream, entry, said, binding)
        outbox.owner = link
        self._links.add(link)
        self.watch(link)
        # Straight into the machine: what it cannot do alone it says by `attention`, and the turn's flush sees it. The
        # clock is as exact as the ticks that set it.
        stream.start(entry.receive, link.on_end, link.on_drain)

    def forget(self, link: _Link) -> None:
        self._links.discard(link)
        if link.task is not None:
            link.task.cancel()
        _over(link)
        if self._emptied is not None and not self._links:
            self._emptied.set()

    # Who it is. -------------------------------------------------------------------------------------

    def prove(self, link: _Link, speaker: Speaker, asked: SaslTurn) -> None:
        """Find out who the peer is, then go on with its connection."""
        link.task = self._loop.create_task(self._prove(link, speaker, asked))

    async def _prove(self, link: _Link, speaker: Speaker, asked: SaslTurn) -> None:
        try:
            outcome = await (self._renewed(link, asked) if asked.again else self._go_on(link, asked))
        except (NotOffered, Refusal) as fault:
            self.clock.now = self.time()
            _over(link)
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

    # Time. ------------------------------------------------------------------------------------------

    def watch(self, link: _Link) -> None:
        """Look at the link again when its machine's next deadline has come, or sooner: one that has moved on is found
        when the time comes."""
        deadline = link.speaker.next_timeout()
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
            link.speaker.handle_timeout()
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
            speaker = link.speaker
            if speaker.attention:
                if speaker.closed:
                    stream.close()  # only here: what it had to say is sent
                else:
                    link.look()
            if not outbox.backlog and link.speaker.has_waiting():
                # The outbox was full within the turn, and the kernel took it all: no drain will be told.
                link.speaker.drained()

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
            link.speaker.dismiss(UNAVAILABLE, "the hub is stopping")
            if not link.speaker.closed:
                link.speaker.lost("the hub is stopping")
        if self._links:
            self._emptied = asyncio.Event()
            try:
                await asyncio.wait_for(self._emptied.wait(), seconds)
            except TimeoutError:
                for link in list(self._links):
                    link.stream.abort()


def _over(link: _Link) -> None:
    """Nobody waits for the exchange any more."""
    if link.exchange is not None:
        link.exchange.close()
        link.exchange = None
