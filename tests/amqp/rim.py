"""AMQP's rim without sockets or a registry: streams whose other end is the test, and an authenticator that is told what
to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.errors import BAD_CREDENTIALS, Refusal
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.amqp.codec.v1.composites import Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, sasl_frame
from bridgehead.protocols.amqp.codec.v1.frames import Decoder, Frame
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.server import AmqpServer
from bridgehead.security.login.chain import Chain
from bridgehead.security.login.proof import Credentials, Proven
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.store.memory import MemoryStore
from bridgehead.transport.stream import OnData, OnDrain, OnEnd, Stream

SASL: Final = b"AMQP\x03\x01\x00\x00"
PLAIN_AMQP: Final = b"AMQP\x00\x01\x00\x00"
V091: Final = b"AMQP\x00\x00\x09\x01"
Answer = Callable[[bytes | None], bytes | Proven]


class Pipe(Stream):
    """A stream whose peer is the test."""

    def __init__(self) -> None:
        self.peer = "192.0.2.1:5000"
        self.tls = None
        self.spent = 0.0
        self.sent = b""
        self.closed = False
        self.reading = True
        self.stuck = 0  # octets that the kernel does not take

    @property
    def local(self) -> str:
        return ""

    @property
    def pending(self) -> int:
        return self.stuck

    def start(self, on_data: OnData, on_end: OnEnd, on_drain: OnDrain | None = None) -> None:
        self.on_data = on_data
        self.on_end = on_end
        self.on_drain = on_drain
        self.reading = True

    def send(self, data: bytes) -> None:
        self.sent += data

    def pause(self) -> None:
        self.reading = False

    def resume(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True
        self.reading = False

    def abort(self) -> None:
        self.close()

    def take(self) -> bytes:
        """What was sent since the last time."""
        sent, self.sent = self.sent, b""
        return sent

    def performatives(self) -> list[Performative]:
        """The same as SASL frames, behind a header if there is one."""
        data = self.take()
        for header in (SASL, PLAIN_AMQP):
            data = data.removeprefix(header)
        decoder = Decoder(65_536, True)
        found: list[Frame] = []
        frame = decoder.one(data)
        while frame is not None:
            found.append(frame)
            frame = decoder.one(b"")
        return [each.performative for each in found if each.performative is not None]


def said(performative: Performative) -> bytes:
    return sasl_frame(encode(performative))


class Told:
    """An exchange that answers as it was told."""

    def __init__(self, answers: list[Answer]) -> None:
        self._answers = answers
        self.heard: list[bytes | None] = []
        self.is_over = False

    async def begin(self, initial: bytes | None) -> bytes | Proven:
        return await self._next(initial)

    async def go_on(self, response: bytes) -> bytes | Proven:
        return await self._next(response)

    def close(self) -> None:
        self.is_over = True

    async def _next(self, data: bytes | None) -> bytes | Proven:
        self.heard.append(data)
        await asyncio.sleep(0)
        return self._answers.pop(0)(data)


class Judge:
    """Offers MECHANISMS, and begins exchanges with `answers`."""

    MECHANISMS: Final = ("EXTERNAL", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER")

    def __init__(self) -> None:
        self.principal = Principal.of("office", [Permission("#", True, True)], ["*"])
        self.answers: list[Answer] = []
        self.exchanges: list[Told] = []
        self.asked: list[str] = []

    def offered(self, chain: Chain, binding: Binding) -> list[str]:
        return [each for each in self.MECHANISMS if binding.certificate or each != "EXTERNAL"]

    def exchange(self, mechanism: str, credentials: Credentials) -> Told:
        self.asked.append(mechanism)
        if mechanism not in chain_words(credentials.chain):
            raise NotOffered("not here")
        made = Told(self.answers)
        self.exchanges.append(made)
        return made

    def proven(self, data: bytes | None = None, expires_at: float = float("inf")) -> Answer:
        return lambda _: Proven(self.principal, ("password",), expires_at, data, ("password 1",))

    def refusal(self, meaning: str = BAD_CREDENTIALS) -> Answer:
        def refuse(_: bytes | None) -> bytes | Proven:
            raise Refusal(meaning, "the credentials are not accepted")

        return refuse


def chain_words(chain: Chain) -> tuple[str, ...]:
    return (*chain.methods, "OAUTHBEARER")


class Clocked(AmqpServer):
    """Its time goes by when the test says so."""

    offset_now = 1_000_000.0

    def time(self) -> float:
        return self.offset_now

    def look_at_the_clock(self) -> None:
        self.clock.now = self.time()
        if self._tick is not None:
            self._tick.cancel()
        self._on_tick()


class Rim:
    """A server with its broker, and the events of both."""

    def __init__(self) -> None:
        self.clock = Clock(1_000_000.0)
        self.events: list[tuple[str, dict[str, object]]] = []
        loop = asyncio.get_running_loop()
        self.broker = Broker(
            MemoryStore(loop.call_soon), self.clock, Limits(), self._event, lambda: self.broker.journal.flush()
        )
        self.broker.recover([])
        self.judge = Judge()
        self.config = AmqpConfig()
        self.server = Clocked(self.broker, self.config, self.judge, 1_000_000.0)

    def _event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    def connect(self) -> Pipe:
        pipe = Pipe()
        self.server.accept(pipe)
        return pipe

    async def settle(self) -> None:
        """Let everything that is under way come to rest."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def wait(self, seconds: float) -> None:
        """So much time goes by."""
        self.server.offset_now += seconds
        self.server.look_at_the_clock()
        await self.settle()

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]
