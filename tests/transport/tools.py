"""What the transport's tests are made of: an owner of a stream, a listener with its streams, pairs of sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.certificates import Authority
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.listener import AcceptRules, Listener
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import Stream
from bridgehead.transport.upgrade import WebSocketRules

PATIENCE = 20.0  # seconds: only a test that fails waits so long


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Let the loop run until `condition()` holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < end, f"it did not come about: {what or condition}"
        await asyncio.sleep(0.001)


async def turns(count: int = 5) -> None:
    """Let the loop go round, so that what could happen has happened."""
    for _ in range(count):
        await asyncio.sleep(0.002)


class Owner:
    """Owns a stream as a protocol does, and remembers what it was told."""

    def __init__(self, stream: Stream, start: bool = True) -> None:
        self.stream = stream
        self.reads: list[bytes] = []
        self.ends: list[str] = []
        self.drains = 0
        if start:
            self.start()

    def start(self) -> None:
        self.stream.start(self.on_data, self.on_end, self.on_drain)

    def on_data(self, data: bytes) -> None:
        assert data
        assert not self.ends
        self.reads.append(data)

    def on_end(self, reason: str) -> None:
        self.ends.append(reason)

    def on_drain(self) -> None:
        assert self.stream.pending == 0
        self.drains += 1

    @property
    def data(self) -> bytes:
        return b"".join(self.reads)

    async def has(self, octets: int) -> bytes:
        await until(lambda: len(self.data) >= octets, f"{octets} octets")
        return self.data

    async def ended(self) -> str:
        await until(lambda: self.ends, "the end")
        await turns(2)
        assert len(self.ends) == 1
        return self.ends[0]


class Echo(Owner):
    """Sends back what it reads."""

    def on_data(self, data: bytes) -> None:
        super().on_data(data)
        self.stream.send(data)


class Hall:
    """A listener on loopback, with an owner for each stream that it hands over."""

    def __init__(
        self,
        shared: Shared,
        bind: str = "127.0.0.1:0",
        *,
        tls: ssl.SSLContext | None = None,
        websocket: WebSocketRules | None = None,
        rules: AcceptRules | None = None,
        ceilings: Ceilings | None = None,
        owner: Callable[[Stream], Owner] = Owner,
    ) -> None:
        self.owners: list[Owner] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.ceilings = ceilings or Ceilings(100_000)
        self._owner = owner
        self.listener = Listener(
            bind,
            self._on_stream,
            shared=shared,
            on_event=lambda name, fields: self.events.append((name, fields)),
            ceilings=self.ceilings,
            tls=tls,
            websocket=websocket,
            rules=rules,
        )

    async def __aenter__(self) -> Hall:
        await self.listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.listener.close()
        for owner in self.owners:
            owner.stream.abort()
        await until(lambda: len(self.ceilings) == 0, "every socket is released")
        assert self.listener.connections == 0

    def _on_stream(self, stream: Stream) -> None:
        self.owners.append(self._owner(stream))

    async def owner(self, index: int = 0) -> Owner:
        await until(lambda: len(self.owners) > index, "a stream")
        return self.owners[index]

    async def event(self, name: str) -> dict[str, object]:
        await until(lambda: any(event == name for event, _ in self.events), f"the event {name}")
        return next(fields for event, fields in self.events if event == name)

    async def connect(self) -> socket.socket:
        """A bare non-blocking client socket."""
        return await connect(self.listener.port)


async def connect(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


async def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one connection over loopback, both non-blocking."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = await connect(server.getsockname()[1])
        far, _ = server.accept()
    far.setblocking(False)
    return near, far


def reset(sock: socket.socket) -> None:
    """Close with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def read_all(sock: socket.socket) -> bytes:
    """Everything until the peer's end."""
    loop = asyncio.get_running_loop()
    data = b""
    while part := await asyncio.wait_for(loop.sock_recv(sock, 65536), PATIENCE):
        data += part
    return data


async def read_exactly(sock: socket.socket, octets: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < octets:
        part = await asyncio.wait_for(loop.sock_recv(sock, octets - len(data)), PATIENCE)
        assert part, f"it ended after {len(data)} of {octets} octets"
        data += part
    return data


class Contexts:
    """TLS contexts of one throw-away authority."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self._files = {
            "hub": authority.issue("hub", ("localhost", "127.0.0.1")),
            "other": authority.issue("other", ("localhost",)),
            "device": authority.issue("device"),
        }

    def server(self, name: str = "hub", client_certificate: ssl.VerifyMode = ssl.CERT_NONE) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.load_cert_chain(*self._files[name])
        context.load_verify_locations(self.authority.ca)
        context.verify_mode = client_certificate
        return context

    def client(
        self, certificate: bool = False, version: ssl.TLSVersion | None = None, trust: Path | None = None
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(trust or self.authority.ca)
        if certificate:
            context.load_cert_chain(*self._files["device"])
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


def drive(client: ssl.SSLSocket, act: Callable[[], object]) -> bool:
    """One non-blocking step of a client's SSLSocket: whether it is done."""
    try:
        act()
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    return True


async def tls_client(sock: socket.socket, context: ssl.SSLContext, strict: bool = False) -> ssl.SSLSocket:
    """The handshake of an independent client on a bare socket that stays non-blocking.

    A `strict` one raises when TLS ends without close_notify."""
    client = context.wrap_socket(
        sock, server_hostname="localhost", do_handshake_on_connect=False, suppress_ragged_eofs=not strict
    )
    await until(lambda: drive(client, client.do_handshake), "the client's handshake")
    return client


async def tls_read(client: ssl.SSLSocket, octets: int) -> bytes:
    data = bytearray()
    while len(data) < octets:
        assert await tls_step(client, data), f"it ended after {len(data)} of {octets} octets"
    return bytes(data)


async def tls_read_all(client: ssl.SSLSocket) -> bytes:
    data = bytearray()
    while await tls_step(client, data):
        pass
    return bytes(data)


async def tls_step(client: ssl.SSLSocket, data: bytearray) -> bool:
    """Read once; False at the end."""
    part: list[bytes] = []
    await until(lambda: drive(client, lambda: part.append(client.recv(65536))), "octets")
    data += part[0]
    return bool(part[0])


async def tls_write(client: ssl.SSLSocket, data: bytes) -> None:
    taken: list[int] = []
    while sum(taken) < len(data):
        rest = data[sum(taken) : sum(taken) + 262_144]
        await until(partial(drive, client, lambda: taken.append(client.send(rest))), "room")  # noqa: B023
