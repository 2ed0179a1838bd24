"""The client's side: open a stream to a server over TCP, TLS, a Unix socket or WebSocket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from bridgehead.transport.address import format_address
from bridgehead.transport.reasons import explain
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import SocketStream, Stream
from bridgehead.transport.tls import Handshake, TlsStream
from bridgehead.transport.websocket import MAXIMUM_MESSAGE_SIZE, SILENT, WebSocketStream

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443, "unix": 0}
_SECURE: Final = frozenset(("mqtts", "wss"))
_WEBSOCKET: Final = frozenset(("ws", "wss"))
_RESPONSE_OCTETS: Final = 65536


class ConnectError(Exception):
    """The connection could not be opened; one sentence without a full stop."""


class Target:
    """Where to connect: `scheme` is mqtt, mqtts, ws, wss or unix; for unix `path` is the socket's file."""

    __slots__ = ("host", "path", "port", "scheme")

    def __init__(self, scheme: str, host: str, port: int, path: str = "") -> None:
        self.scheme: Final = scheme
        self.host: Final = host
        self.port: Final = port
        self.path: Final = path

    @property
    def secure(self) -> bool:
        return self.scheme in _SECURE

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_target(url: str) -> Target:
    """`mqtt://host[:port]`, `mqtts://...`, `ws://host[:port][/path]`, `wss://...`, `unix:/path`. Raises ConnectError.

    The path of ws and wss is /mqtt unless said. User names and passwords do not belong into a URL, which others can
    read in the list of processes.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError as error:
        raise ConnectError(f"that is not a URL: {error}") from None
    if scheme not in _PORTS:
        raise ConnectError("the URL must begin with mqtt://, mqtts://, ws://, wss:// or unix:")
    if "@" in parts.netloc:
        raise ConnectError("user name and password must not stand in the URL, where others can read them")
    if scheme == "unix":
        if parts.netloc or not parts.path.startswith("/"):
            raise ConnectError("write unix:/path, for example unix:/run/hub.sock")
        return Target(scheme, "", 0, unquote(parts.path))
    if not host:
        raise ConnectError(f"the URL names no host: write {scheme}://host:{_PORTS[scheme]}")
    path = ""
    if scheme in _WEBSOCKET:
        path = (parts.path or "/mqtt") + (f"?{parts.query}" if parts.query else "")
    elif parts.path not in ("", "/"):
        raise ConnectError(f"a {scheme}:// URL has no path")
    return Target(scheme, host, _PORTS[scheme] if port is None else port, path)


async def open_stream(
    target: Target,
    tls: ssl.SSLContext | None = None,
    *,
    seconds: float = 10.0,
    server_hostname: str = "",
    subprotocols: Sequence[str] = ("mqtt",),
    maximum_message_size: int = MAXIMUM_MESSAGE_SIZE,
    shared: Shared | None = None,
) -> Stream:
    """Connect within `seconds`. mqtts and wss need `tls`, the others must not have it. Raises ConnectError.

    `server_hostname` is the name that the server's certificate must carry, the target's host unless said.
    """
    if target.secure != (tls is not None):
        raise ConnectError(f"{target.scheme} connections {'need' if target.secure else 'have no'} TLS")
    shared = shared or Shared()
    try:
        async with asyncio.timeout(seconds):
            sock = await _connect(target)
            stream = await _secure(shared, sock, target, tls, server_hostname)
            if target.scheme in _WEBSOCKET:
                return await _upgrade(shared, stream, target, subprotocols, maximum_message_size)
            return stream
    except TimeoutError:
        raise ConnectError(f"{target} did not answer within {seconds:g} s") from None


async def _connect(target: Target) -> socket.socket:
    loop = asyncio.get_running_loop()
    if target.scheme == "unix":
        return await _connect_one(target, socket.AF_UNIX, target.path)
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ConnectError(f'the name "{target.host}" is not known') from None
    failure: ConnectError | None = None
    for family, _, _, _, sockaddr in found:
        try:
            return await _connect_one(target, family, sockaddr)
        except ConnectError as error:
            failure = failure or error
    raise failure or ConnectError(f'the name "{target.host}" has no address')


async def _connect_one(target: Target, family: int, sockaddr: tuple[object, ...] | str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, sockaddr)
    except OSError as error:
        sock.close()
        raise ConnectError(f"cannot connect to {target}: {explain(error)}") from error
    except asyncio.CancelledError:
        sock.close()
        raise
    return sock


async def _secure(
    shared: Shared, sock: socket.socket, target: Target, context: ssl.SSLContext | None, server_hostname: str
) -> SocketStream:
    peer = format_address(sock.getpeername())
    if context is None:
        return SocketStream(shared, sock, peer)
    done: asyncio.Future[ssl.SSLSocket] = shared.loop.create_future()

    def failed(because: str, bare: socket.socket | None) -> None:
        if bare is not None:
            bare.close()
        if not done.done():
            done.set_exception(ConnectError(f"no TLS with {target}: {because}"))

    def succeeded(secured: ssl.SSLSocket) -> None:
        if not done.done():
            done.set_result(secured)

    handshake = Handshake(shared, sock, context, succeeded, failed, False, server_hostname or target.host)
    handshake.begin()
    try:
        return TlsStream(shared, await done, peer)
    except asyncio.CancelledError:
        handshake.abandon()
        raise


async def _upgrade(
    shared: Shared, below: Stream, target: Target, subprotocols: Sequence[str], maximum_message_size: int
) -> WebSocketStream:
    path, _, query = target.path.partition("?")
    uri = WebSocketURI(target.secure, target.host, target.port, path, query)
    names = [Subprotocol(name) for name in subprotocols]
    protocol = ClientProtocol(uri, subprotocols=names, max_size=maximum_message_size, logger=SILENT)
    request = _Request(shared, below, protocol, target)
    try:
        return await request.done
    except asyncio.CancelledError:
        below.abort()
        raise


class _Request:
    """The client's opening handshake (RFC 6455 4.1)."""

    def __init__(self, shared: Shared, below: Stream, protocol: ClientProtocol, target: Target) -> None:
        self._shared = shared
        self._below = below
        self._protocol = protocol
        self._target = target
        self._octets = 0
        self.done: asyncio.Future[WebSocketStream] = shared.loop.create_future()
        below.start(self._received, self._ended)
        protocol.send_request(protocol.connect())
        below.send(b"".join(protocol.data_to_send()))

    def _received(self, data: bytes) -> None:
        if self.done.done():
            return
        protocol = self._protocol
        protocol.receive_data(data)
        events = protocol.events_received()
        self._octets += len(data)
        if events and protocol.handshake_exc is None:
            if protocol.subprotocol is None:
                self._fail("the server did not choose a subprotocol")
            else:
                self.done.set_result(WebSocketStream(self._shared, self._below, protocol, events[1:]))
        elif protocol.handshake_exc is not None:
            self._fail(_refusal(events[0]) if events else str(protocol.handshake_exc))
        elif self._octets > _RESPONSE_OCTETS:
            self._fail("the answer is no WebSocket handshake")

    def _ended(self, reason: str) -> None:
        self._fail(reason or "the server ended the connection")

    def _fail(self, because: str) -> None:
        if not self.done.done():
            self._below.abort()
            self.done.set_exception(ConnectError(f"no WebSocket at {self._target}: {because}"))


def _refusal(event: object) -> str:
    """What an HTTP response says instead of 101."""
    if not isinstance(event, Response):
        return "the answer is no WebSocket handshake"
    if event.status_code == 101:
        return "the server's handshake is not valid"
    text = ascii(bytes(event.body[:200]).decode("utf-8", "replace").strip())[1:-1]
    return f"the server answered {event.status_code}" + (f": {text}" if text else "")
