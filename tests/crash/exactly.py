"""AMQP 1.0 clients that keep their half of exactly once: unsettled deliveries are resumed over any number of
connections (part 2, sections 2.6.12 and 2.6.13). What they know lives as long as the object."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT, DeliveryState, Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame, sasl_frame
from bridgehead.protocols.amqp.codec.v1.frames import Decoder, Frame
from bridgehead.protocols.amqp.codec.v1.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)
from bridgehead.protocols.amqp.codec.v1.sasl import SaslInit, SaslOutcome
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import body_of, data

PATIENCE: Final = 30.0
WINDOW: Final = 20  # messages on their way at a time
CREDIT: Final = 20
FRAME: Final = 65_536
UNSETTLED, SECOND = 0, 1
DURABLE: Final = 2  # terminus-durability unsettled-state
LASTING: Final = 600  # seconds


class Exact:
    """One link of one connection at a time, over the plaintext door."""

    def __init__(self, name: str, address: str, password: str) -> None:
        self.name: Final = name
        self.address: Final = address
        self._password: Final = password
        self.unsettled: dict[bytes, DeliveryState | None] = {}
        self.by_id: dict[int, bytes] = {}
        self.resumed = 0
        self.faults: list[str] = []
        self.progress = asyncio.Event()
        self._decoder = Decoder(FRAME)
        self._frames: list[Frame] = []
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    def link(self) -> Attach:
        raise NotImplementedError

    def attached(self, answer: Attach) -> None:
        raise NotImplementedError

    def heard(self, performative: object, payload: bytes) -> None:
        raise NotImplementedError

    @property
    def is_connected(self) -> bool:
        return self._reading is not None and not self._reading.done()

    async def connect(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self._reader, self._writer = reader, writer
        self._frames = []
        writer.write(b"AMQP\x03\x01\x00\x00")
        assert await reader.readexactly(8) == b"AMQP\x03\x01\x00\x00"
        self._decoder = Decoder(FRAME, sasl=True)
        await self._expect()
        writer.write(sasl_frame(encode(SaslInit(Symbol("PLAIN"), f"\0{self.name}\0{self._password}".encode()))))
        outcome = (await self._expect()).performative
        assert isinstance(outcome, SaslOutcome)
        assert outcome.outcome == 0
        self._decoder = Decoder(FRAME)
        writer.write(b"AMQP\x00\x01\x00\x00")
        assert await reader.readexactly(8) == b"AMQP\x00\x01\x00\x00"
        self.say(Open(self.name, "localhost", max_frame_size=FRAME))
        await self._expect()
        self.say(Begin(ABSENT, 0, 2048, 2048))
        await self._expect()
        self.by_id = {}
        self.say(self.link())
        answer = (await self._expect()).performative
        assert isinstance(answer, Attach), answer
        self.attached(answer)
        self._reading = asyncio.create_task(self._read(reader))

    async def _expect(self) -> Frame:
        """The next frame. What came with it is for the reader."""
        assert self._reader is not None
        while not self._frames:
            head = await self._reader.readexactly(4)
            rest = await self._reader.readexactly(int.from_bytes(head, "big") - 4)
            self._frames += self._decoder.feed(head + rest)
        return self._frames.pop(0)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while True:
                octets = await reader.read(65_536)
                if not octets:
                    break
                for each in self._decoder.feed(octets):
                    if isinstance(each.performative, Close | End | Detach):
                        if each.performative.error is not None:
                            self.faults.append(f"{self.name}: the hub ended it: {each.performative.error.condition}")
                    elif each.performative is not None:
                        self.heard(each.performative, each.payload)
                self.progress.set()
        self.progress.set()

    def say(self, performative: Performative, payload: bytes = b"") -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(frame(0, encode(performative) + payload))

    async def lost(self) -> None:
        """Returns when the connection has ended."""
        if self._reading is not None:
            await asyncio.wait_for(asyncio.shield(self._reading), PATIENCE)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def close(self) -> None:
        self.say(Close())
        await self.lost()


class ExactSender(Exact):
    """Numbers from 1 on, each with its name before it."""

    def __init__(self, name: str, address: str, password: str) -> None:
        super().__init__(name, address, password)
        self.last = 0
        self.acknowledged = 0
        self._bodies: dict[bytes, bytes] = {}
        self._delivery_id = 0
        self._credit_until = 0
        self._anew: list[tuple[bytes, bool]] = []  # to be sent again first, and whether the hub has it

    def link(self) -> Attach:
        target = Target(self.address, DURABLE, Symbol("never"))
        self._delivery_id = 0
        self._credit_until = 0
        return Attach(
            "exact", 0, False, UNSETTLED, SECOND, Source("here"), target, self.unsettled, initial_delivery_count=0
        )

    def attached(self, answer: Attach) -> None:
        known = answer.unsettled or {}
        self._anew = [(tag, tag in known) for tag in self.unsettled]
        self.resumed += len(known)

    def send(self) -> None:
        """What is to be sent again first, then the next."""
        if self._anew:
            tag, resume = self._anew.pop(0)
        else:
            self.last += 1
            tag, resume = b"%d" % self.last, False
            self.unsettled[tag] = None
            self._bodies[tag] = f"{self.name} {self.last}".encode()
        number = self._delivery_id
        self._delivery_id += 1
        self.by_id[number] = tag
        self.say(Transfer(0, number, tag, 0, 0, resume=resume), data(self._bodies[tag]))

    def may_send(self) -> bool:
        return self._delivery_id < self._credit_until and (bool(self._anew) or len(self.unsettled) < WINDOW)

    def must_send(self) -> bool:
        return bool(self._anew)

    def heard(self, performative: object, payload: bytes) -> None:
        if isinstance(performative, Flow):
            if performative.handle == 0:
                self._credit_until = max(performative.delivery_count, 0) + performative.link_credit
        elif isinstance(performative, Disposition):
            last = max(performative.first, performative.last)
            for number in range(performative.first, last + 1):
                tag = self.by_id.pop(number)
                if performative.state is not ACCEPTED:
                    self.faults.append(f"{self.name}: {tag!r} came to {performative.state}")
                self.acknowledged += 1
                del self.unsettled[tag]
                del self._bodies[tag]
            self.say(Disposition(False, performative.first, last, True, ACCEPTED))


class ExactReceiver(Exact):
    """Takes a message when it comes first, and tells so until the hub has settled it."""

    def __init__(self, name: str, address: str, password: str) -> None:
        super().__init__(name, address, password)
        self.got: list[str] = []
        self._count = 0
        self._granted = 0

    def link(self) -> Attach:
        source = Source(self.address, DURABLE, "link-detach", LASTING)
        return Attach("exact", 0, True, UNSETTLED, SECOND, source, Target("here"), self.unsettled)

    def attached(self, answer: Attach) -> None:
        known = answer.unsettled or {}
        for tag in [tag for tag in self.unsettled if tag not in known]:
            del self.unsettled[tag]  # it was settled there, and we did not hear of it
        self.resumed += len(known)
        self._count = 0
        self._grant()

    def _grant(self) -> None:
        self._granted = self._count + CREDIT
        self.say(Flow(self._count, 2048, 0, 2048, 0, self._count, CREDIT))

    def heard(self, performative: object, payload: bytes) -> None:
        if isinstance(performative, Transfer):
            tag = performative.delivery_tag or b""
            number = performative.delivery_id
            self._count += 1
            if performative.resume and performative.settled == 1:
                self.unsettled.pop(tag, None)
            elif tag in self.unsettled:
                self.faults.append(f"{self.name}: {tag!r} came again")
            else:
                self.got.append(body_of(payload).decode())
                self.unsettled[tag] = ACCEPTED
                self.by_id[number] = tag
                self.say(Disposition(True, number, number, False, ACCEPTED))
            if self._granted - self._count < CREDIT // 2:
                self._grant()
        elif isinstance(performative, Disposition) and performative.settled:
            for number in range(performative.first, max(performative.first, performative.last) + 1):
                gone = self.by_id.pop(number, None)
                if gone is not None:
                    self.unsettled.pop(gone, None)
