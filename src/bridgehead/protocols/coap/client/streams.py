"""The client's message layer over TCP, TLS and WebSocket (RFC 8323)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.client.layer import Layer
from bridgehead.protocols.coap.codec import codes, signalling
from bridgehead.protocols.coap.codec.errors import BadOption
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.signalling import Capabilities
from bridgehead.protocols.coap.codec.stream import (
    StreamDecoder,
    decode_websocket,
    encode_stream,
    encode_websocket,
)
from bridgehead.wire.errors import PeerError

LARGEST: Final = 1_048_576  # octets of one message that this side takes
PONG_TIMEOUT: Final = 60.0
_AROUND: Final = 512  # octets of a message that are not payload: header and options
_PING: Final = b"\0ping"


class StreamLayer(Layer):
    """One connection. With `websocket`, each call of `receive` brings a whole WebSocket message, and each of `outgoing`
    is one."""

    def __init__(self, websocket: bool = False) -> None:
        super().__init__()
        self.reliable = True
        self._websocket: Final = websocket
        self._decoder: Final = StreamDecoder(LARGEST)
        self._peer = Capabilities()
        self._is_first = True  # the server's CSM has not come yet
        self._pong_due = NEVER
        self._put(Capabilities(LARGEST, True).message())  # section 3.4: before anything else, without waiting

    @property
    def is_ready(self) -> bool:
        """Whether the server's CSM came: from then on it is known what the server takes."""
        return not self._is_first

    def send(self, request: Message, confirmable: bool, now: float) -> None:
        self.expected.add(request.token)
        self._put(Message(request.code, request.options, request.payload, request.token))

    def ping(self, now: float) -> None:
        if self._pong_due == NEVER:
            self._pong_due = now + PONG_TIMEOUT
            self._put(Message(codes.PING, token=_PING))

    def _put(self, message: Message) -> None:
        if not self.closed:
            self.outgoing.append(encode_websocket(message) if self._websocket else encode_stream(message))

    def receive(self, data: bytes, now: float) -> None:
        if self.closed:
            return
        try:
            messages = [decode_websocket(data)] if self._websocket else self._decoder.feed(data)
            for message in messages:
                self._take(message)
        except BadOption as fault:
            self._abort(fault.text, fault.number if self._is_first else -1)
        except PeerError as fault:
            for message in self._decoder.messages:
                if not signalling.is_signalling(message.code):
                    self._take(message)
            self._abort(fault.text, -1)

    def _take(self, message: Message) -> None:
        if self.closed:
            return
        if message.code == codes.CSM:
            self._peer = self._peer.updated(message)
            self._is_first = False
            self.block = max(self._peer.maximum - _AROUND, 16)
        elif self._is_first:
            self._abort("the first message is not a CSM", -1)
        elif message.code == codes.PING:
            signalling.check_signalling(message)
            self._put(signalling.pong(message))
        elif message.code == codes.PONG:
            signalling.check_signalling(message)
            if message.token == _PING:
                self._pong_due = NEVER
        elif message.code == codes.RELEASE or message.code == codes.ABORT:
            said = message.payload.decode("utf-8", "replace").strip()
            self.closed = "the server closes the connection" + (f": {said}" if said else "")
        elif codes.is_request(message.code):
            # Nothing is served here.
            self._put(Message(codes.NOT_FOUND, token=message.token))
        elif message.code != codes.EMPTY and message.token in self.expected:
            self.arrived.append(message)

    def _abort(self, because: str, bad_csm_option: int) -> None:
        self._put(signalling.abort(because, bad_csm_option))
        self.closed = f"the server broke the protocol: {because}"

    def next_timeout(self) -> float:
        return self._pong_due

    def handle_timeout(self, now: float) -> None:
        if now >= self._pong_due:
            self._pong_due = NEVER
            self.lost.append((b"", "the server does not answer"))
