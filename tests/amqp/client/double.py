"""A small AMQP 1.0 server for tests of the client: every address is a node in memory, with competing receivers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridgehead.protocols.amqp.codec.v1.composites import RECEIVER, SENDER, DeliveryState, Error, Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame, sasl_frame
from bridgehead.protocols.amqp.codec.v1.frames import Decoder
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
from bridgehead.protocols.amqp.codec.v1.sasl import SaslChallenge, SaslInit, SaslMechanisms, SaslOutcome, SaslResponse
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Rejected
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Symbol

SASL = b"AMQP\x03\x01\x00\x00"
AMQP = b"AMQP\x00\x01\x00\x00"
FORBIDDEN = "/topics/forbidden"
REJECTING = "/topics/rejecting"
LATE = "/topics/late"  # says at the end what it has against the messages


class Sending:
    """A link of ours that sends."""

    def __init__(self, handle: int, address: str, settled: bool) -> None:
        self.handle = handle
        self.address = address
        self.settled = settled
        self.credit = 0
        self.count = 0


class Server:
    """One connection of the double. `nodes` may be shared. `judge` says what a SASL message is worth: a challenge
    (octets), or a code of an outcome."""

    def __init__(
        self,
        mechanisms: list[str],
        judge: Callable[[str, bytes], bytes | int],
        nodes: dict[str, list[bytes]] | None = None,
        frame_size: int = 65_536,
        idle: int = -1,
        first_id: int = 4_294_967_290,
    ) -> None:
        self.mechanisms = mechanisms
        self.judge = judge
        self.nodes = {} if nodes is None else nodes
        self.frame_size = frame_size
        self.idle = idle
        self.output = b""
        self.buffer = b""
        self.stage = 0
        self.decoder = Decoder(65_536, sasl=True)
        self.mechanism = ""
        self.seen: list[Performative] = []
        self.addresses: dict[int, str] = {}
        self.senders: dict[int, Sending] = {}
        self.parts: dict[int, bytes] = {}
        self.first: dict[int, Transfer] = {}
        self.next_id = first_id
        self.incoming = 0
        self.window = 10
        self.sent: dict[int, str] = {}
        self.credit = 20
        self.gone: set[int] = set()  # handles that this side has detached first

    def feed(self, data: bytes) -> bytes:
        """The client's octets; what to answer."""
        self.buffer += data
        while self.buffer:
            if self.stage in (0, 2):
                if len(self.buffer) < 8:
                    break
                assert self.buffer[:8] == (SASL if self.stage == 0 else AMQP)
                self.output += self.buffer[:8]
                self.buffer = self.buffer[8:]
                self.stage += 1
                if self.stage == 1:
                    offer = SaslMechanisms([Symbol(each) for each in self.mechanisms])
                    self.output += sasl_frame(encode(offer))
                else:
                    self.decoder = Decoder(65_536)
            elif self.stage == 1:
                found = self.decoder.one(self.buffer)
                self.buffer = self.decoder.rest() if found is not None else b""
                if found is None:
                    break
                self.sasl(found.performative)
            else:
                frames = self.decoder.feed(self.buffer)
                self.buffer = b""
                for each in frames:
                    if each.performative is not None:
                        self.seen.append(each.performative)
                        self.amqp(each.performative, each.payload)
        output, self.output = self.output, b""
        return output

    def sasl(self, found: Performative | None) -> None:
        if isinstance(found, SaslInit):
            self.mechanism = found.mechanism
            said = self.judge(self.mechanism, found.initial_response or b"")
        else:
            assert isinstance(found, SaslResponse)
            said = self.judge(self.mechanism, found.response)
        if isinstance(said, bytes):
            self.output += sasl_frame(encode(SaslChallenge(said)))
            return
        self.output += sasl_frame(encode(SaslOutcome(said)))
        self.stage = 2

    def send(self, performative: Performative, payload: bytes = b"") -> None:
        self.output += frame(0, encode(performative) + payload)

    def amqp(self, found: Performative, payload: bytes) -> None:
        if isinstance(found, Open):
            self.send(Open("double", None, self.frame_size, 0, self.idle))
        elif isinstance(found, Begin):
            self.send(Begin(0, self.next_id, self.window, 1000))
        elif isinstance(found, Attach):
            self.attach(found)
        elif isinstance(found, Flow):
            self.flow(found)
        elif isinstance(found, Transfer):
            self.transfer(found, payload)
        elif isinstance(found, Disposition):
            self.disposition(found)
        elif isinstance(found, Detach):
            if found.handle not in self.gone:
                late = self.addresses.get(found.handle) == LATE
                error = Error("amqp:not-allowed", "one of them") if late else None
                self.send(Detach(found.handle, found.closed, error))
        elif isinstance(found, End):
            self.send(End())
        elif isinstance(found, Close):
            self.send(Close())

    def attach(self, attach: Attach) -> None:
        terminus = attach.target if attach.role == SENDER else attach.source
        assert isinstance(terminus, Source | Target)
        address = str(terminus.address)
        refused = address == FORBIDDEN
        source = Source() if attach.role == SENDER else Source(address)
        target = Target(address) if attach.role == SENDER else Target()
        if refused:
            answer = Attach(attach.name, attach.handle, not attach.role, initial_delivery_count=0)
            self.send(answer)
            self.send(Detach(attach.handle, True, Error("amqp:unauthorized-access", "not for you")))
            self.gone.add(attach.handle)
            return
        self.send(
            Attach(
                attach.name,
                attach.handle,
                not attach.role,
                attach.snd_settle_mode,
                attach.rcv_settle_mode,
                source,
                target,
                initial_delivery_count=0,
                max_message_size=1_000_000,
            )
        )
        if attach.role == SENDER:
            self.addresses[attach.handle] = address
            self.grant(attach.handle, 0)
        else:
            self.senders[attach.handle] = Sending(attach.handle, address, attach.snd_settle_mode == 1)

    def grant(self, handle: int, count: int) -> None:
        self.send(Flow(self.incoming, self.window, self.next_id, 1000, handle, count, self.credit))

    def flow(self, flow: Flow) -> None:
        link = self.senders.get(int(flow.handle))
        if link is not None and flow.link_credit >= 0:
            link.credit = int(flow.delivery_count) + int(flow.link_credit) - link.count
            self.pump(link)

    def pump(self, link: Sending) -> None:
        waiting = self.nodes.setdefault(link.address, [])
        while link.credit > 0 and waiting:
            self.deliver(link, waiting.pop(0))

    def deliver(self, link: Sending, payload: bytes) -> None:
        number = self.next_id
        room = 40_000
        pieces = [payload[at : at + room] for at in range(0, len(payload), room)] or [b""]
        for index, piece in enumerate(pieces):
            more = index + 1 < len(pieces)
            first = index == 0
            self.send(
                Transfer(
                    link.handle,
                    number if first else -1,
                    b"%d" % number if first else None,
                    0 if first else -1,
                    1 if link.settled else 0,
                    more,
                ),
                piece,
            )
            self.next_id = (self.next_id + 1) % (1 << 32)
        self.sent[number] = link.address
        link.credit -= 1
        link.count += 1

    def transfer(self, transfer: Transfer, payload: bytes) -> None:
        self.incoming += 1
        self.window -= 1
        handle = int(transfer.handle)
        if handle not in self.first:
            self.first[handle] = transfer
            self.parts[handle] = b""
        self.parts[handle] += payload
        if transfer.more:
            self.more_window()
            return
        first = self.first.pop(handle)
        address = self.addresses[handle]
        if transfer.settled == 1:
            self.nodes.setdefault(address, []).append(self.parts.pop(handle))
        else:
            state: DeliveryState = ACCEPTED
            if address == REJECTING:
                state = Rejected(Error("amqp:not-allowed", "not today"))
            else:
                self.nodes.setdefault(address, []).append(self.parts.pop(handle))
            # Exactly once settles second: every other delivery here.
            self.send(Disposition(RECEIVER, first.delivery_id, -1, first.delivery_id % 2 == 0, state))
        for link in self.senders.values():
            self.pump(link)
        self.more_window()

    def more_window(self) -> None:
        if self.window <= 3:
            self.window = 10
            for handle in self.addresses:
                delivered = sum(isinstance(each, Transfer) and not each.more for each in self.seen)
                self.grant(handle, delivered)

    def disposition(self, found: Disposition) -> None:
        if found.role == RECEIVER:
            self.sent.pop(int(found.first), None)
            if not found.settled:
                self.send(Disposition(SENDER, found.first, -1, True, found.state))


class Listening:
    """The double on a loopback port. Use as an asynchronous context manager."""

    def __init__(self, make: Callable[[], Server]) -> None:
        self.make = make
        self.servers: list[Server] = []
        self.port = 0

    async def __aenter__(self) -> Listening:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = self.make()
        self.servers.append(server)
        while data := await reader.read(65_536):
            writer.write(server.feed(data))
            if any(isinstance(each, Close) for each in server.seen):
                break
        writer.close()
