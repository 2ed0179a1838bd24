"""CoAP's rim in one process: streams, guests and proofs that end, peers that do not read, logins that the broker
refuses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from math import inf
from time import time

import pytest

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import CONNECTED, DISCONNECTED, REFUSED
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.errors import BAD_CREDENTIALS, QUOTA_EXCEEDED, Refusal
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.coap import datagram_server, stream_server
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import CON, Message
from bridgehead.protocols.coap.codec.numbers import URI_PATH
from bridgehead.protocols.coap.codec.stream import StreamDecoder, encode_stream
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.server import CoapServer
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Party, Peer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.security.login.keys import Kind
from bridgehead.security.login.proof import Proven
from bridgehead.store.memory import MemoryStore
from bridgehead.transport.stream import OnData, OnDrain, OnEnd, Stream, TlsInfo

PATIENCE = 10.0


class WhoAmI(Handler):
    """Answers with the name of who asks; b"big" gets a large answer, b"late" none."""

    def __init__(self) -> None:
        self.forgotten: list[Peer] = []

    def handle(self, exchange: Exchange) -> None:
        path = exchange.request.first(URI_PATH)
        if path == b"late":
            return
        name = "" if exchange.party is None else exchange.party.principal.name
        payload = bytes(60_000) if path == b"big" else name.encode()
        exchange.respond(Message(codes.CONTENT, (), payload))

    def forget(self, peer: Peer) -> None:
        self.forgotten.append(peer)


class Desk:
    """Identities of the test. A certificate is the device's name."""

    def __init__(self) -> None:
        self.principals: dict[str, Principal] = {}
        self.until = inf

    def add(self, name: str) -> Principal:
        self.principals[name] = Principal.of(name, [Permission("#", True, True)], ["*"])
        return self.principals[name]

    def pre_shared_key(self, identity: bytes, address: str) -> bytes | None:
        return None

    def knows_raw_key(self, spki: bytes) -> bool:
        return False

    def prove(self, kind: Kind, shown: bytes, address: str) -> Proven:
        principal = self.principals.get(shown.decode())
        if principal is None:
            raise Refusal(BAD_CREDENTIALS, "nobody has this certificate")
        return Proven(principal, (kind,), self.until, marks=(f"{kind} {shown.decode()}",))

    def failed(self, kind: Kind | None, shown: bytes, because: str, address: str) -> None:
        raise AssertionError(because)

    def guest(self, name: str) -> Principal | None:
        return self.principals.get(name)


class FakeStream(Stream):
    """The test's end of a stream. `takes`: False holds back what is sent."""

    local = "127.0.0.1:5683"

    def __init__(self, certificate: str = "") -> None:
        self.peer = "192.0.2.9:40000"
        self.tls = TlsInfo("TLSv1.3", "suite", certificate.encode()) if certificate else None
        self.spent = 0.0
        self.takes = True
        self.sent = bytearray()
        self.paused = False
        self.closed = False
        self._waiting = 0
        self._on_data: OnData | None = None
        self._on_end: OnEnd | None = None
        self._on_drain: OnDrain | None = None

    @property
    def pending(self) -> int:
        return self._waiting

    def start(self, on_data: OnData, on_end: OnEnd, on_drain: OnDrain | None = None) -> None:
        self._on_data, self._on_end, self._on_drain = on_data, on_end, on_drain

    def send(self, data: bytes) -> None:
        self.sent += data
        if not self.takes:
            self._waiting += len(data)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True
        self.end("")

    def abort(self) -> None:
        self.close()

    def end(self, because: str) -> None:
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            asyncio.get_running_loop().call_soon(on_end, because)

    def comes(self, *messages: Message) -> None:
        assert self._on_data is not None
        self._on_data(b"".join(encode_stream(message) for message in messages))

    def drain(self) -> None:
        self.takes = True
        self._waiting = 0
        assert self._on_drain is not None
        self._on_drain()

    def messages(self) -> list[Message]:
        found = StreamDecoder(1 << 20).feed(bytes(self.sent))
        self.sent.clear()
        return list(found)


class Rim:
    """A server with its surroundings."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.clock = Clock(time())
        self.broker = Broker(
            MemoryStore(loop.call_soon),
            self.clock,
            Limits(),
            lambda name, fields: self.events.append((name, fields)),
            lambda: None,
        )
        self.desk = Desk()
        self.handler = WhoAmI()
        self.attached: list[Peer] = []
        self.refuses = False
        self.config = CoapConfig()
        self.config.stream_outbox = 100_000
        offset = time() - asyncio.get_running_loop().time()
        echo = Echo(b"a key of this test", 60.0)
        self.server = CoapServer(self.broker, self.config, self.handler, self._attach, self.desk, echo, offset)

    def _attach(self, peer: Peer) -> None:
        if self.refuses:
            raise Refusal(QUOTA_EXCEEDED, "too many sessions of this identity")
        self.attached.append(peer)

    def named(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.events if name == event]

    def accept(self, certificate: str = "", guest: str = "") -> FakeStream:
        stream = FakeStream(certificate)
        self.server.accept(stream, guest)
        return stream


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def rim() -> AsyncIterator[Rim]:
    made = Rim()
    yield made
    await made.server.stop(0.0)


def asks(path: str = "who", token: bytes = b"t") -> Message:
    return Message(codes.GET, ((URI_PATH, path.encode()),), b"", token)


async def answered(stream: FakeStream) -> bytes:
    """The next answer; what is signalled is passed over."""
    found: list[Message] = []
    while not found:
        await until(lambda: stream.sent)
        found = [message for message in stream.messages() if message.token]
    return found[-1].payload


async def test_a_certificate_says_who_asks_and_the_broker_knows_the_peer(rim: Rim) -> None:
    rim.desk.add("node")
    stream = rim.accept("node")
    stream.comes(Message(codes.CSM), asks())
    assert await answered(stream) == b"node"
    (peer,) = rim.attached
    assert isinstance(peer.party, Party)
    assert peer.party.origin.verified
    assert rim.broker.counters.connections == len(rim.server) == 1
    stream.end("the peer reset the connection")
    await until(lambda: rim.handler.forgotten)
    assert rim.broker.counters.connections == len(rim.server) == 0
    assert [event["principal"] for event in rim.named(CONNECTED)] == ["node"]
    assert [event["because"] for event in rim.named(DISCONNECTED)] == ["the peer reset the connection"]


async def test_who_is_nobody_is_not_served(rim: Rim) -> None:
    stream = rim.accept("nobody")
    assert stream.closed
    assert len(rim.server) == 0
    assert not rim.named(CONNECTED)


async def test_without_a_certificate_nobody_is_known(rim: Rim) -> None:
    stream = rim.accept()
    stream.comes(Message(codes.CSM), asks())
    assert await answered(stream) == b""
    assert not rim.attached


async def test_a_login_that_the_broker_refuses_is_closed_and_told(rim: Rim) -> None:
    rim.desk.add("node")
    rim.refuses = True
    stream = rim.accept("node")
    await until(lambda: stream.closed)
    assert stream.messages()[-1].code == codes.RELEASE
    assert [event["because"] for event in rim.named(REFUSED)] == ["too many sessions of this identity"]
    await until(lambda: rim.broker.counters.connections == 0)


async def test_a_proof_that_ends_ends_the_connection(rim: Rim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_server, "_SWEEP", 0.0)
    rim.desk.add("node")
    rim.desk.until = rim.server.tell_time() + 0.3
    stream = rim.accept("node")
    stream.comes(Message(codes.CSM), asks())
    assert await answered(stream) == b"node"
    await until(lambda: stream.closed)
    assert stream.messages()[-1].payload == b"what it was proven by has ended"


async def test_a_proof_that_has_ended_is_none(rim: Rim) -> None:
    rim.desk.add("node")
    rim.desk.until = rim.server.tell_time()
    stream = rim.accept("node")
    await until(lambda: stream.closed)


async def test_guests_go_with_their_record(rim: Rim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_server, "_SWEEP", 0.0)
    rim.desk.add("visitor")
    stays, goes = rim.accept(guest="visitor"), rim.accept(guest="visitor")
    for stream in (stays, goes):
        stream.comes(Message(codes.CSM), asks())
        assert await answered(stream) == b"visitor"
    assert not rim.attached  # there is nothing that could be taken back
    await asyncio.sleep(0.3)
    assert not stays.closed
    rim.desk.add("visitor")  # another record of that name
    await until(lambda: stays.closed and goes.closed)
    again = rim.accept(guest="visitor")
    again.comes(Message(codes.CSM), asks())
    assert await answered(again) == b"visitor"


async def test_who_does_not_read_is_not_read(rim: Rim) -> None:
    stream = rim.accept()
    stream.takes = False
    stream.comes(Message(codes.CSM, ((2, (1 << 20).to_bytes(3, "big")),)))
    for number in range(3):
        stream.comes(asks("big", bytes([number])))
        await asyncio.sleep(0)
    await until(lambda: stream.paused)
    stream.drain()
    assert not stream.paused
    assert len([message for message in stream.messages() if message.token]) == 3


async def test_a_stopping_server_waits_for_answers_no_longer_than_it_is_told(rim: Rim) -> None:
    quick, slow = rim.accept(), rim.accept()
    for stream in (quick, slow):
        stream.comes(Message(codes.CSM))
    slow.comes(asks("late"))
    await rim.server.stop(0.2)
    assert quick.messages()[-1].payload == slow.messages()[-1].payload == b"the hub is stopping"
    await until(lambda: len(rim.server) == 0)


# Datagrams. ----------------------------------------------------------------------------------------------


async def ask(port: int) -> bytes:
    """As a client of plain UDP."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(("127.0.0.1", port))
        sock.send(encode(Message(codes.GET, ((URI_PATH, b"who"),), b"", b"", CON, 1)))
        answer = await asyncio.wait_for(loop.sock_recv(sock, 2048), PATIENCE)
    return answer.partition(b"\xff")[2]


async def test_plain_udp_is_the_guests_and_follows_its_record(rim: Rim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagram_server, "_SWEEP", 0.0)
    listener = rim.server.plain("127.0.0.1:0", "visitor", [])
    await listener.start()
    port = listener.endpoint.port
    assert await ask(port) == b""  # there is no such device yet
    rim.desk.add("visitor")
    await until(lambda: not len(listener))
    assert await ask(port) == b"visitor"
    assert len(listener) == 1
    del rim.desk.principals["visitor"]
    await until(lambda: not len(listener))
    assert await ask(port) == b""
    listener.close()
    assert listener.endpoint.port == port


async def test_a_listener_that_was_closed_can_be_opened_again(rim: Rim) -> None:
    rim.desk.add("visitor")
    listener = rim.server.plain("127.0.0.1:0", "visitor", [])
    for _ in range(2):
        await listener.start()
        assert await ask(listener.endpoint.port) == b"visitor"
        listener.stop_accepting()
        assert not len(listener)
