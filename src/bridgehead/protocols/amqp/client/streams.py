"""The client's transport: TCP, TLS and WebSocket as one thing that reads and writes octets."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Final, Protocol

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import CONNECTING, OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from bridgehead.protocols.amqp.client.errors import ConnectionFailed
from bridgehead.protocols.amqp.client.target import Target

SUBPROTOCOL: Final = "amqp"  # AMQP over WebSocket, section 2.1
ALPN: Final = "amqp"
READ: Final = 262_144
DATA: Final = (Opcode.BINARY, Opcode.CONT)


class ByteStream(Protocol):
    """An open transport."""

    async def read(self) -> bytes:
        """What has come, b"" at the end."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None:
        """Wait while too much is waiting to be sent."""

    async def close(self) -> None: ...


class PlainStream:
    """Octets as they are: TCP or TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read(self) -> bytes:
        return await self.reader.read(READ)

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def drain(self) -> None:
        await self.writer.drain()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (OSError, ssl.SSLError):
            return  # the peer was gone first: closed all the same


class WebSocketStream:
    """Octets in binary messages of a WebSocket: where messages begin and end means nothing (2.4)."""

    def __init__(self, inner: PlainStream, protocol: ClientProtocol) -> None:
        self.inner = inner
        self.protocol = protocol

    async def handshake(self, target: Target) -> None:
        """The opening handshake. Raises ConnectionFailed."""
        self.protocol.send_request(self.protocol.connect())
        self.flush()
        while self.protocol.state is CONNECTING:
            data = await self.inner.read()
            if not data:
                raise ConnectionFailed(f"{target} closed the connection instead of answering the WebSocket handshake")
            self.protocol.receive_data(data)
            self.flush()
            if self.protocol.handshake_exc is not None:
                raise ConnectionFailed(f"{target} refused the WebSocket: {_handshake(self.protocol.handshake_exc)}")
        if self.protocol.subprotocol != SUBPROTOCOL:
            raise ConnectionFailed(f"{target} speaks WebSocket, but did not choose the subprotocol amqp")

    async def read(self) -> bytes:
        while True:
            events = self.protocol.events_received()
            parts = [bytes(event.data) for event in events if isinstance(event, Frame) and event.opcode in DATA]
            if any(parts):
                return b"".join(parts)
            if self.protocol.parser_exc is not None:
                raise ConnectionFailed(f"the server broke the WebSocket protocol: {self.protocol.parser_exc}")
            data = await self.inner.read()
            if not data:
                return b""
            self.protocol.receive_data(data)
            self.flush()

    def write(self, data: bytes) -> None:
        if self.protocol.state is OPEN:
            self.protocol.send_binary(data)
            self.flush()

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.inner.write(data)

    async def drain(self) -> None:
        await self.inner.drain()

    async def close(self) -> None:
        if self.protocol.state is OPEN:
            self.protocol.send_close(1000)
            self.flush()
        await self.inner.close()


def _handshake(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        return f"HTTP status {error.response.status_code}; is the path right?"
    return str(error)


async def open_stream(target: Target, tls: ssl.SSLContext | None) -> ByteStream:
    """Connect up to where AMQP begins. Raises ConnectionFailed with what to do about it."""
    try:
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=tls)
    except ssl.SSLCertVerificationError as error:
        raise ConnectionFailed(_untrusted(target, error)) from error
    except (ssl.SSLError, ConnectionResetError) as error:
        raise ConnectionFailed(f"TLS with {target} failed: {words(error)}; is this a TLS port?") from error
    except OSError as error:
        raise ConnectionFailed(f"cannot connect to {target}: {words(error)}; does the server run there?") from error
    plain = PlainStream(reader, writer)
    if not target.websocket:
        return plain
    protocol = ClientProtocol(parse_uri(target.websocket_url), subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=None)
    stream = WebSocketStream(plain, protocol)
    try:
        await stream.handshake(target)
    except (ConnectionFailed, ProtocolError):
        await plain.close()
        raise
    return stream


def words(error: OSError) -> str:
    """An error of the operating system or of OpenSSL without numbers and source lines."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason).replace("_", " ").lower() if error.reason else "it ended in the middle"
    # asyncio's own text repeats the address; a failed look-up has a number that is no errno.
    system = error.errno is not None and not isinstance(error, socket.gaierror)
    return os.strerror(error.errno) if system and error.errno else error.strerror or str(error)


def _untrusted(target: Target, error: ssl.SSLCertVerificationError) -> str:
    """Why the server's certificate was not believed, and the remedy."""
    why = str(error.verify_message)
    if "ostname mismatch" in why or "IP address mismatch" in why:
        return f"the certificate of {target} is for another name: {why.rstrip('.')}; use a name that it holds"
    if "expired" in why:
        return f"the certificate of {target} has expired; renew it on the server, or check this machine's clock"
    return f"the certificate of {target} is not trusted: {why}; give its authority with --ca FILE (or --bundle FOLDER)"
