"""Open the load generator's connections: TCP, TLS or Unix socket, WebSocket where asked for, CONNECT, SUBSCRIBE.

Blocking sockets with a deadline, in groups: the next group waits until the server has answered this one.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from bridgehead.cli.load.links import Link, LinkLost, TlsLink
from bridgehead.cli.load.plan import Access
from bridgehead.cli.load.websocket_link import WebSocketLink
from bridgehead.protocols.mqtt.client.target import Target, words
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import CONNECT_RETURN_CODES, reason_name
from bridgehead.wire.errors import PeerError

GROUP = 50  # connections that wait for the server at one time
KEEP_ALIVE = 60
LARGEST_PACKET = 268_435_460  # what the protocol permits; a load run talks to a server that its user named
WHOLE_SESSION = 3600  # seconds
ANSWER_LIMIT = 16_384  # octets of a WebSocket handshake's answer


class OpeningFailed(Exception):
    """A connection could not be made, or was refused. The text says which and why."""


class Opened:
    """A link with the CONNACK that it got."""

    def __init__(self, link: Link, connack: Connack) -> None:
        self.link = link
        self.connack = connack


def open_links(
    access: Access, names: Sequence[str], durable: bool = False, progress: Callable[[int], None] | None = None
) -> list[Opened]:
    """One connection per Client Identifier in `names`. `durable` keeps the session for an hour after its end.

    Raises OpeningFailed.
    """
    opened: list[Opened] = []
    for start in range(0, len(names), GROUP):
        group = names[start : start + GROUP]
        links = [dial(access, name) for name in group]
        for link, name in zip(links, group, strict=True):
            say(link, encode(connect_packet(access, name, durable), access.version), access.timeout)
        for link in links:
            connack = hear(link, access)
            if not isinstance(connack, Connack):
                raise OpeningFailed(f"{access.target} answered CONNECT of {link.name} with {type(connack).__name__}")
            if connack.reason_code:
                raise OpeningFailed(refusal(connack, access, link.name))
            opened.append(Opened(link, connack))
        if progress is not None:
            progress(len(opened))
    return opened


def subscribe(access: Access, links: Sequence[Link], filters: Sequence[Sequence[str]], qos: int) -> None:
    """SUBSCRIBE link i to filters[i], and wait for every SUBACK. Raises OpeningFailed when one filter is refused."""
    for link, topic_filters in zip(links, filters, strict=True):
        requests = [SubscriptionRequest(topic_filter, qos) for topic_filter in topic_filters]
        say(link, encode(Subscribe(1, requests, NO_PROPERTIES), access.version), access.timeout)
    for link, topic_filters in zip(links, filters, strict=True):
        suback = hear(link, access)
        if not isinstance(suback, Suback):
            raise OpeningFailed(f"{access.target} answered SUBSCRIBE of {link.name} with {type(suback).__name__}")
        for code, topic_filter in zip(suback.reason_codes, topic_filters, strict=True):
            if code >= 0x80:
                raise OpeningFailed(
                    f"{link.name} may not subscribe to {topic_filter}: {reason_name(code)} (0x{code:02X}); "
                    "permit the filter, or name a permitted --topic"
                )
            if code != qos:
                raise OpeningFailed(f"{link.name} got QoS {code} for {topic_filter}, not the {qos} asked for")


def connect_packet(access: Access, name: str, durable: bool) -> Connect:
    properties = NO_PROPERTIES
    if access.version == 5 and durable:
        properties = Properties(session_expiry_interval=WHOLE_SESSION)
    return Connect(
        protocol_version=access.version,
        clean_start=not durable,
        keep_alive=KEEP_ALIVE,
        client_id=name,
        will=None,
        user_name=access.user_name,
        password=access.password,
        properties=properties,
    )


def dial(access: Access, name: str) -> Link:
    """The transport up to where MQTT begins."""
    target = access.target
    try:
        sock = raw_socket(target, access.timeout)
        if access.tls is None:
            link = Link(sock, name)
        else:
            link = TlsLink(sock, name, access.tls, target.host)
            link.handshake()
    except ssl.SSLCertVerificationError as error:
        raise OpeningFailed(f"the certificate of {target} is not trusted: {words(error)}; give --ca FILE") from error
    except OSError as error:
        raise OpeningFailed(f"cannot connect to {target}: {words(error)}") from error
    if not target.websocket:
        return link
    upgrade(link, target)
    return WebSocketLink(link)


def raw_socket(target: Target, timeout: float) -> socket.socket:
    """A connected, blocking socket with a deadline."""
    if target.unix:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                sock.connect(target.path)
                return sock
            except BlockingIOError:  # unlike TCP's, a full backlog of a Unix socket does not wait
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
    sock = socket.create_connection((target.host, target.port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def upgrade(link: Link, target: Target) -> None:
    """The opening handshake of RFC 6455 section 4.1, with the subprotocol `mqtt` [MQTT-6.0.0-3]."""
    key = base64.b64encode(os.urandom(16)).decode()
    host = f"[{target.host}]" if ":" in target.host else target.host
    request = (
        f"GET {target.path} HTTP/1.1\r\nHost: {host}:{target.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    answer = b""
    try:
        link.send(request.encode())
        buffer = bytearray(65_536)
        while not answer.endswith(b"\r\n\r\n"):  # the server speaks MQTT only after our CONNECT: nothing follows
            if len(answer) > ANSWER_LIMIT:
                raise OpeningFailed(f"{target} answers the WebSocket handshake without end")
            answer += buffer[: link.read(memoryview(buffer))]
    except LinkLost as error:
        raise OpeningFailed(f"{error} during the WebSocket handshake") from error
    status = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if " 101 " not in f"{status} ":
        raise OpeningFailed(f"{target} refused the WebSocket: {status}; is the path right?")


def say(link: Link, data: bytes, timeout: float) -> None:
    """Send all of `data` before going on."""
    link.sock.settimeout(timeout)
    try:
        link.send(data)
        while link.pending:
            link.flush()
    except LinkLost as error:
        raise OpeningFailed(str(error)) from error


def hear(link: Link, access: Access) -> Packet:
    """The next packet, alone: nothing else may follow it, since the run's own reader takes over there."""
    link.sock.settimeout(access.timeout)
    decoder = Decoder(LARGEST_PACKET, None, from_server=True)
    decoder.protocol_version = access.version
    buffer = bytearray(65_536)
    try:
        while True:
            count = link.read(memoryview(buffer))
            packets = decoder.feed(bytes(buffer[:count]))
            if packets:
                link.sock.setblocking(False)
                return packets[0]
    except LinkLost as error:
        raise OpeningFailed(f"{error} before it answered") from error
    except PeerError as error:
        raise OpeningFailed(f"{access.target} sent what MQTT forbids: {error}") from error


def refusal(connack: Connack, access: Access, name: str) -> str:
    """Why the server did not let this connection in."""
    code = connack.reason_code
    if access.version < 5:
        why = CONNECT_RETURN_CODES[code] if code < len(CONNECT_RETURN_CODES) else f"return code {code}"
    else:
        why = f"{reason_name(code)} (0x{code:02X})"
    text = connack.properties.reason_string
    return f"{access.target} refused {name}: {why}" + (f": {text}" if text else "")


def farewell(version: int) -> bytes:
    """A DISCONNECT that ends the session's connection in order."""
    return encode(Disconnect(0, NO_PROPERTIES), version)
