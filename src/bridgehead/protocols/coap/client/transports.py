"""What a client's messages travel on: UDP, DTLS, TCP, TLS and WebSocket, each as something that sends and receives."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final, Protocol

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import CONNECTING, OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from bridgehead.protocols.coap.client.errors import ConnectionFailed
from bridgehead.protocols.coap.codec.uri import WEBSOCKET_PATH, Uri

READ: Final = 262_144
MOST_WEBSOCKET: Final = 2_097_152  # octets of one WebSocket message

Received = Callable[[bytes], None]
Ended = Callable[[str], None]


class Transport(Protocol):
    """An open one. What comes is told by the calls that it was opened with."""

    def send(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


class UdpTransport(asyncio.DatagramProtocol):
    """A connected UDP socket: only what the server's address sends arrives."""

    def __init__(self, where: str, received: Received, ended: Ended) -> None:
        self._where: Final = where
        self._received: Final = received
        self._ended: Final = ended
        self._socket: asyncio.DatagramTransport | None = None

    def use(self, transport: asyncio.DatagramTransport) -> None:
        """What it sends on."""
        self._socket = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._received(data)

    def error_received(self, exc: Exception) -> None:
        # ICMP says that nobody listens: anybody can forge that, and retransmission would go on, but a person waits.
        self._ended(f"{self._where} does not take datagrams: {words(exc)}; does the server listen there?")

    def send(self, data: bytes) -> None:
        if self._socket is not None and not self._socket.is_closing():
            self._socket.sendto(data)

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class StreamTransport:
    """TCP or TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader: Final = reader
        self.writer: Final = writer
        self._task: asyncio.Task[None] | None = None

    def start(self, received: Received, ended: Ended) -> None:
        self._task = asyncio.ensure_future(self._read(received, ended))

    async def _read(self, received: Received, ended: Ended) -> None:
        heard = False
        try:
            while data := await self.reader.read(READ):
                heard = True
                received(data)
        except OSError as error:
            ended(_broken(error))
            return
        ended(f"the server closed the connection{'' if heard else ' without an answer; does that port speak CoAP?'}")

    def send(self, data: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(data)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (OSError, ssl.SSLError):
            return  # the peer was gone first: closed all the same


class WebSocketTransport(StreamTransport):
    """Binary messages of a WebSocket with the subprotocol `coap` (RFC 8323 section 4)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uri: Uri) -> None:
        super().__init__(reader, writer)
        self._where: Final = where(uri)
        host = f"[{uri.host}]" if ":" in uri.host else uri.host
        url = f"{'wss' if uri.secured else 'ws'}://{host}:{uri.port}{WEBSOCKET_PATH}"
        self._protocol: Final = ClientProtocol(
            parse_uri(url), subprotocols=[Subprotocol("coap")], max_size=MOST_WEBSOCKET
        )
        self._parts: Final[list[bytes]] = []

    async def handshake(self) -> None:
        """Errors: ConnectionFailed."""
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        while self._protocol.state is CONNECTING:
            data = await self.reader.read(READ)
            if not data:
                raise ConnectionFailed(
                    f"{self._where} closed the connection instead of answering the WebSocket handshake; does that port "
                    "speak CoAP over WebSocket?"
                )
            self._protocol.receive_data(data)
            self._flush()
            fault = self._protocol.handshake_exc
            if fault is not None:
                said = f"HTTP status {fault.response.status_code}" if isinstance(fault, InvalidStatus) else str(fault)
                raise ConnectionFailed(f"{self._where} refused the WebSocket: {said}")
        if self._protocol.subprotocol != "coap":
            raise ConnectionFailed(f"{self._where} speaks WebSocket, but did not choose the subprotocol coap")

    async def _read(self, received: Received, ended: Ended) -> None:
        try:
            while True:
                for event in self._protocol.events_received():
                    if isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                        self._parts.append(bytes(event.data))
                        if event.fin:
                            received(b"".join(self._parts))
                            self._parts.clear()
                if self._protocol.parser_exc is not None:
                    ended(f"the server broke the WebSocket protocol: {self._protocol.parser_exc}")
                    return
                data = await self.reader.read(READ)
                if not data:
                    ended("the server closed the connection")
                    return
                self._protocol.receive_data(data)
                self._flush()
        except OSError as error:
            ended(_broken(error))

    def send(self, data: bytes) -> None:
        if self._protocol.state is OPEN:
            self._protocol.send_binary(data)
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                super().send(data)

    async def close(self) -> None:
        if self._protocol.state is OPEN:
            self._protocol.send_close(1000)
            self._flush()
        await super().close()


async def open_udp(uri: Uri, received: Received, ended: Ended) -> UdpTransport:
    """Errors: ConnectionFailed."""
    loop = asyncio.get_running_loop()
    try:
        connected, transport = await loop.create_datagram_endpoint(
            lambda: UdpTransport(where(uri), received, ended), remote_addr=(uri.host, uri.port)
        )
    except OSError as error:
        raise ConnectionFailed(f"cannot reach {where(uri)}: {words(error)}; is the host's name right?") from error
    transport.use(connected)
    return transport


async def open_stream(uri: Uri, tls: ssl.SSLContext | None, received: Received, ended: Ended) -> StreamTransport:
    """TCP, TLS or WebSocket, up to where CoAP begins. Errors: ConnectionFailed."""
    at = where(uri)
    if tls is not None:
        # RFC 8323 section 8.2: who speaks CoAP over TLS says so; within WebSocket it is HTTP that begins.
        tls.set_alpn_protocols(["http/1.1"] if uri.scheme.endswith("+ws") else ["coap"])
    try:
        reader, writer = await asyncio.open_connection(uri.host, uri.port, ssl=tls)
    except ssl.SSLCertVerificationError as error:
        raise ConnectionFailed(_untrusted(at, str(error.verify_message).rstrip("."))) from error
    except (ssl.SSLError, ConnectionResetError) as error:
        raise ConnectionFailed(f"TLS with {at} failed: {words(error)}; is this a TLS port?") from error
    except OSError as error:
        raise ConnectionFailed(f"cannot connect to {at}: {words(error)}; does the server run there?") from error
    if not uri.scheme.endswith("+ws"):
        plain = StreamTransport(reader, writer)
        plain.start(received, ended)
        return plain
    transport = WebSocketTransport(reader, writer, uri)
    try:
        await transport.handshake()
    except (ConnectionFailed, ProtocolError):
        await transport.close()
        raise
    transport.start(received, ended)
    return transport


def _broken(error: OSError) -> str:
    refused = isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "") and "CERTIFICATE" in error.reason
    remedy = "; is this certificate on the device's record, neither rotated nor revoked?" if refused else ""
    return f"the connection broke: {words(error)}{remedy}"


def _untrusted(at: str, why: str) -> str:
    """Why the server's certificate was not believed, and the remedy."""
    if "ostname mismatch" in why or "IP address mismatch" in why:
        return f"the certificate of {at} is for another name: {why}; use a name that it holds"
    if "expired" in why:
        return f"the certificate of {at} has expired; renew it on the server, or check this machine's clock"
    return f"the certificate of {at} is not trusted: {why}; give its authority with --ca FILE (or --bundle FOLDER)"


def where(uri: Uri) -> str:
    """Scheme, host and port, for sentences."""
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    return f"{uri.scheme}://{host}:{uri.port}"


def words(error: Exception) -> str:
    """An error of the operating system or of OpenSSL without numbers and source lines."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason).replace("_", " ").lower() if error.reason else "not readable"
    if isinstance(error, OSError):
        system = error.errno is not None and not isinstance(error, socket.gaierror)
        return os.strerror(error.errno) if system and error.errno else error.strerror or str(error)
    return str(error)
