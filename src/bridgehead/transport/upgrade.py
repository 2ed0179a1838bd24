"""The opening handshake of a WebSocket server (RFC 6455 4.2) on a stream: who may come in, and what the others hear.

Before the request is complete there is one buffer of at most 8 KiB; the library's protocol object is made after.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from websockets.http11 import Request
from websockets.protocol import SERVER, Protocol
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import Stream
from bridgehead.transport.websocket import MAXIMUM_MESSAGE_SIZE, SILENT, WebSocketStream

_REQUEST_OCTETS: Final = 8192
_END: Final = b"\r\n\r\n"
ANY_ORIGIN: Final = "*"
SAME_ORIGIN: Final = "same"


class WebSocketRules:
    """Whom a WebSocket listener lets in.

    `origins`: web pages that may connect, such as "https://panel.example.org"; "same" for pages of this very host and
    port; "*" for any. Programs that are no browsers send no Origin and are let in; a browser always sends one. The
    default is none: no web page can use a visitor's certificate or network position (cross-site WebSocket hijacking).
    `subprotocols`: the first that the client offers too is taken; a client that offers none of them is refused
    [MQTT-6.0.0-3]. `maximum_message_size` in octets.
    """

    __slots__ = ("maximum_message_size", "origins", "path", "subprotocols")

    def __init__(
        self,
        subprotocols: Sequence[str],
        path: str = "/mqtt",
        origins: Sequence[str] = (),
        maximum_message_size: int = MAXIMUM_MESSAGE_SIZE,
    ) -> None:
        self.subprotocols: Final = tuple(Subprotocol(name) for name in subprotocols)
        self.path: Final = path
        self.origins: Final = tuple(origins)
        self.maximum_message_size: Final = maximum_message_size


class Upgrade:
    """One opening handshake. Exactly one of `done(stream)` and `failed(status, because)` is called, from the event
    loop, unless abandon() came first. After a failure the HTTP error is on its way and the stream closes by itself;
    status 0 means that the client left."""

    __slots__ = ("_buffer", "_done", "_failed", "_over", "_rules", "_shared", "_stream")

    def __init__(
        self,
        shared: Shared,
        stream: Stream,
        rules: WebSocketRules,
        done: Callable[[WebSocketStream], None],
        failed: Callable[[int, str], None],
    ) -> None:
        self._shared = shared
        self._stream = stream
        self._rules = rules
        self._done = done
        self._failed = failed
        self._buffer = b""
        self._over = False

    def begin(self) -> None:
        self._stream.start(self._received, self._left)

    def abandon(self) -> None:
        """End the connection; nobody is told."""
        self._over = True
        self._stream.abort()

    def time_out(self) -> None:
        """Too late: 408, and nobody is told."""
        self._over = True
        self._respond(self._protocol(), http.HTTPStatus.REQUEST_TIMEOUT, "The request did not come in time.\n")

    def _left(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._failed(0, reason or "the client left before the WebSocket upgrade")

    def _protocol(self) -> ServerProtocol:
        return ServerProtocol(
            subprotocols=self._rules.subprotocols, max_size=self._rules.maximum_message_size, logger=SILENT
        )

    def _received(self, data: bytes) -> None:
        if self._over:
            return
        buffer = self._buffer = self._buffer + data if self._buffer else data
        end = buffer.find(_END) + len(_END)
        if end >= len(_END):
            self._buffer = b""
            self._decide(buffer, end)
        elif not 0x41 <= buffer[0] <= 0x5A:
            # RFC 9110 9.1: methods are upper-case words. MQTT or TLS was sent to this port.
            self._refuse(self._protocol(), http.HTTPStatus.BAD_REQUEST, "what came is not HTTP")
        elif len(buffer) > _REQUEST_OCTETS:
            self._refuse_large()

    def _refuse_large(self) -> None:
        status = http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(self._protocol(), status, f"the request is larger than {_REQUEST_OCTETS} octets")

    def _decide(self, request_octets: bytes, end: int) -> None:
        if end > _REQUEST_OCTETS:
            self._refuse_large()
            return
        protocol = self._protocol()
        protocol.receive_data(request_octets[:end])
        events = protocol.events_received()
        if not events or not isinstance(events[0], Request):
            fault = protocol.handshake_exc.__cause__ if protocol.handshake_exc else None
            text = ascii(str(fault or protocol.handshake_exc or "unknown"))[1:-1][:200]
            protocol.data_to_send()
            self._refuse(protocol, http.HTTPStatus.BAD_REQUEST, f"not a proper HTTP request: {text}")
            return
        request = events[0]
        if len(request_octets) > end:
            # RFC 6455 4.1: the client must wait for the response before it sends any further data.
            self._refuse(protocol, http.HTTPStatus.BAD_REQUEST, "data came before the handshake was answered")
            return
        if len(request.headers.get_all("Host")) != 1:
            # RFC 9112 3.2
            self._refuse(protocol, http.HTTPStatus.BAD_REQUEST, "the request must have one Host header field")
            return
        if request.path.partition("?")[0] != self._rules.path:
            self._refuse(protocol, http.HTTPStatus.NOT_FOUND, f"there is no WebSocket here; try {self._rules.path}")
            return
        protocol.origins = self._permitted_origins(request)
        response = protocol.accept(request)
        protocol.send_response(response)
        answer = b"".join(protocol.data_to_send())
        self._over = True
        if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
            because = ascii(str(protocol.handshake_exc))[1:-1][:200]
            self._stream.send(answer)
            self._stream.close()
            self._failed(response.status_code, because)
            return
        # A fresh object for the frames: the one of the handshake would keep the whole request for ever.
        framing = Protocol(SERVER, max_size=self._rules.maximum_message_size, logger=SILENT)
        framing.subprotocol = protocol.subprotocol
        stream = WebSocketStream(self._shared, self._stream, framing)
        self._stream.send(answer)
        self._done(stream)

    def _permitted_origins(self, request: Request) -> list[Origin | None] | None:
        if ANY_ORIGIN in self._rules.origins:
            return None
        origins: list[Origin | None] = [None]
        for origin in self._rules.origins:
            if origin == SAME_ORIGIN:
                scheme = "https" if self._stream.tls is not None else "http"
                host = _without_default_port(f"{scheme}://{request.headers['Host']}")
                given = request.headers.get_all("Origin")
                if len(given) == 1 and _without_default_port(given[0]) == host:
                    origins.append(Origin(given[0]))
            else:
                origins.append(Origin(origin))
        return origins

    def _refuse(self, protocol: ServerProtocol, status: http.HTTPStatus, because: str) -> None:
        self._over = True
        self._respond(protocol, status, f"Failed to open a WebSocket connection: {because}.\n")
        self._failed(status.value, because)

    def _respond(self, protocol: ServerProtocol, status: http.HTTPStatus, text: str) -> None:
        self._buffer = b""
        self._stream.send(protocol.reject(status, text).serialize())
        self._stream.close()


def _without_default_port(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an origin (RFC 6454 4), for comparing."""
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return url, "", 0
