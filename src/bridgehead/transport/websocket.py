"""A stream of octets inside WebSocket frames (RFC 6455), over any other stream.

The protocol is the `websockets` library's sans-I/O one. What is sent goes into one binary frame per send(); what comes
is handed up frame by frame, so that an MQTT packet may span frames and a frame may hold several [MQTT-6.0.0-2]. Who
sets `whole_messages` gets each message of WebSocket whole, and alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from websockets.exceptions import ProtocolError
from websockets.frames import BINARY, CONT, OK_CLOSE_CODES, PING, TEXT, CloseCode, Frame
from websockets.protocol import OPEN, Event
from websockets.protocol import Protocol as WebSocketProtocol

from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import OnData, OnDrain, OnEnd, Stream

# The library logs each connection at INFO; the hub has its own events. Not registered, so nobody turns it on.
SILENT: Final = logging.Logger("websockets", logging.CRITICAL + 1)
MAXIMUM_MESSAGE_SIZE: Final = 1024 * 1024


class WebSocketStream(Stream):
    """`protocol` has done its opening handshake over `below`; `early` is what came in the same read as its end.

    While it is idle, the library's parser is all that it costs above the stream below.
    """

    __slots__ = (
        "_begun",
        "_below",
        "_closing",
        "_early",
        "_on_data",
        "_on_drain",
        "_on_end",
        "_pong",
        "_protocol",
        "_shared",
        "peer",
        "spent",
        "tls",
        "whole_messages",
    )

    def __init__(self, shared: Shared, below: Stream, protocol: WebSocketProtocol, early: Sequence[Event] = ()) -> None:
        self.peer = below.peer
        self.spent = below.spent
        self.tls = below.tls
        self._shared = shared
        self._below = below
        self._protocol = protocol
        self._early = tuple(early)
        self._on_data: OnData | None = None
        self._on_end: OnEnd | None = None
        self._on_drain: OnDrain | None = None
        self._pong = b""
        self._closing = False
        self.whole_messages = False
        self._begun: list[bytes | bytearray | memoryview] = []  # frames of a message that is not whole yet
        below.pause()

    @property
    def local(self) -> str:
        return self._below.local

    @property
    def pending(self) -> int:
        return self._below.pending

    @property
    def maximum_message_size(self) -> int:
        """Octets of the largest message accepted. One frame is kept until it is whole, so this bounds the memory."""
        return self._protocol.max_message_size or 0

    @maximum_message_size.setter
    def maximum_message_size(self, octets: int) -> None:
        self._protocol.max_message_size = octets

    @property
    def subprotocol(self) -> str:
        return self._protocol.subprotocol or ""

    # --- reading ------------------------------------------------------------------------------------------------------

    def start(self, on_data: OnData, on_end: OnEnd, on_drain: OnDrain | None = None) -> None:
        self._on_data = on_data
        self._on_end = on_end
        self._on_drain = on_drain
        self._below.start(self._received, self._below_ended, self._below_drained)
        if self._early:
            self._below.pause()
            self._shared.loop.call_soon(self._receive_early)

    def _receive_early(self) -> None:
        early, self._early = self._early, ()
        self._below.resume()
        self._handle(early)

    def pause(self) -> None:
        self._below.pause()

    def resume(self) -> None:
        if not self._early:
            self._below.resume()

    def _received(self, data: bytes) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        self._handle(protocol.events_received())

    def _handle(self, events: Sequence[Event]) -> None:
        parts: list[bytes | bytearray | memoryview] = []
        messages: list[bytes] = []
        pings = 0
        text = False
        for event in events:
            if not isinstance(event, Frame):
                continue
            opcode = event.opcode
            if opcode is BINARY or opcode is CONT:
                if self.whole_messages:
                    self._begun.append(event.data)
                    if event.fin:
                        messages.append(b"".join(self._begun))
                        self._begun = []
                else:
                    parts.append(event.data)
            elif opcode is PING:
                pings += 1
            elif opcode is TEXT:
                text = True
                break
        protocol = self._protocol
        if text and protocol.state is OPEN:
            # [MQTT-6.0.0-1] a data frame that is not binary closes the connection.
            protocol.fail(CloseCode.UNSUPPORTED_DATA, "binary frames only")
        if protocol.writes:
            self._answer(protocol, pings)
        if parts:
            messages.append(b"".join(parts))
        for octets in messages:
            if octets and self._on_data is not None and not self._closing:
                self._on_data(octets)
        if protocol.state is not OPEN:
            if text:
                self._finish("a text frame came, where only binary frames are permitted")
            elif protocol.parser_exc is not None or protocol.close_rcvd is not None:
                self._finish(_why_closed(protocol))

    def _answer(self, protocol: WebSocketProtocol, pings: int) -> None:
        """Send what the library answers. RFC 6455 5.5.3: of the Pongs that wait, only the last need be sent, so a
        peer that pings and does not read makes nothing grow."""
        writes = protocol.data_to_send()
        if pings and self._below.pending:
            self._pong = writes[pings - 1]
            writes = writes[pings:]
        answer = b"".join(writes)
        if answer:
            self._below.send(answer)

    # --- writing ------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol.state is OPEN:
            protocol.send_binary(data)
            for chunk in protocol.data_to_send():
                self._below.send(chunk)

    def _below_drained(self) -> None:
        if self._pong:
            pong, self._pong = self._pong, b""
            if self._protocol.state is OPEN:
                self._below.send(pong)
                if self._below.pending:
                    return
        if self._closing:
            self._tell("")
        elif self._on_drain is not None:
            self._on_drain()

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """RFC 6455 7.1.2: send Close, wait for the peer's Close, then end the connection below."""
        protocol = self._protocol
        if self._closing or protocol.state is not OPEN:
            return
        self._closing = True
        protocol.send_close(code, reason)
        for chunk in protocol.data_to_send():
            self._below.send(chunk)
        self._shared.closing.add(self)
        self._early = ()
        self._below.resume()
        if not self._below.pending:
            self._shared.loop.call_soon(self._tell, "")

    def linger_expired(self) -> None:
        """The peer's time is over (Closing)."""
        left = self._below.pending
        if left:
            seconds = self._shared.closing.seconds
            self._tell(f"the peer did not take the last {left} octets within {seconds:g} s")
            self._below.abort()
        else:
            self._below.close()

    def abort(self) -> None:
        self._below.abort()

    def _finish(self, reason: str) -> None:
        """The peer's Close came, or we failed the connection: nothing more is read or sent."""
        self._shared.closing.discard(self)
        self._below.close()
        self._tell(reason)

    def _below_ended(self, reason: str) -> None:
        self._shared.closing.discard(self)
        if not reason and self._protocol.state is OPEN:
            reason = "the peer ended the connection without a WebSocket Close"
        self._tell(reason)

    def _tell(self, reason: str) -> None:
        """Tell the owner once; always from the event loop."""
        on_end, self._on_end = self._on_end, None
        self._on_data = None
        self._on_drain = None
        if on_end is not None:
            on_end(reason)

    def __repr__(self) -> str:
        return f"WebSocketStream({self.peer})"


def _why_closed(protocol: WebSocketProtocol) -> str:
    """ "" for an orderly Close, else a sentence. What the peer wrote is shown with its control characters escaped."""
    received = protocol.close_rcvd
    if protocol.parser_exc is not None:
        if isinstance(protocol.parser_exc, ProtocolError):
            return f"the WebSocket rules were broken: {protocol.parser_exc}"
        return f"the WebSocket connection failed: {protocol.parser_exc}"
    if received is None or received.code in OK_CLOSE_CODES:
        return ""
    said = ascii(received.reason)[1:-1]
    return f"the peer closed the WebSocket with code {received.code}" + (f": {said}" if said else "")
