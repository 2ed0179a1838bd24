"""The message layer over TCP, TLS and WebSocket for one connection (RFC 8323)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message, Option, uint_value
from bridgehead.protocols.coap.codec.numbers import HOP_LIMIT, NO_RESPONSE, OSCORE, is_critical
from bridgehead.protocols.coap.codec.stream import StreamDecoder, decode_websocket, encode_stream, encode_websocket
from bridgehead.protocols.coap.session.alarms import Timed
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer, Watcher
from bridgehead.protocols.coap.session.faults import BAD_HOP_LIMIT, DEFECT, TOO_LARGE
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.link import StreamOutbox
from bridgehead.wire.errors import PeerError, Violation

# Options of signalling messages: each code has numbers of its own (RFC 8323 section 11.2).
MAX_MESSAGE_SIZE: Final = 2  # of CSM
BLOCK_WISE_TRANSFER: Final = 4  # of CSM
CUSTODY: Final = 2  # of Ping and Pong
BAD_CSM_OPTION: Final = 2  # of Abort

_BASE_SIZE: Final = 1152  # octets: what every peer takes (section 5.3.1)
_BERT: Final = 7
_LARGEST_BLOCK: Final = 6
_ABSENT: Final = -1


class StreamExchange(Exchange):
    """A request that came on a stream. `serial` tells it from the connection's others."""

    def __init__(self, peer: StreamPeer, request: Message, no_response: int, serial: int) -> None:
        super().__init__(peer, peer.party, request, True, False)
        self._owner: Final = peer
        self._no_response: Final = no_response
        self.serial: Final = serial
        self.answered: bool = False

    def respond(self, response: Message) -> None:
        if self.answered:
            raise LocalMisuse("a request is answered once")
        self.answered = True
        self._owner.answer(self, response)

    def silence(self) -> None:
        if self.answered:
            raise LocalMisuse("a request is answered once")
        self.answered = True
        self._owner.leave(self)

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        return self._owner.notify(self.request.token, response, confirmable, watcher, number)

    def ended(self) -> None:
        """Nothing is kept for notifications."""

    def suppresses(self, code: int) -> bool:
        """Whether the client does without an answer with that code (RFC 7967 section 2.1)."""
        return self._no_response != _ABSENT and (self._no_response >> ((code >> 5) - 1)) & 1 == 1


class _Deadline(Timed):
    """The peer's CSM, or its Pong, has to come by then."""

    def __init__(self, peer: StreamPeer, because: str) -> None:
        super().__init__()
        self._peer: Final = peer
        self._because: Final = because

    def due(self, now: float) -> None:
        self._peer.abort(self._because)


@mypyc_attr(allow_interpreted_subclasses=True)
class StreamPeer(Peer):
    """One connection. What the rim does with it:

    - `receive(octets)` for what came in: of a WebSocket, the payload of one binary frame at a time.
    - at the end of a turn, send `outbox.take()` (`take_parts()` frame by frame); when `outbox.closing`, close after it.
    - read no more while `is_congested()`, and look again when an outbox was taken or a turn ended; `lost(because)` when
      the connection ended.

    The hub's CSM is in the outbox from the beginning. A confirmable notification is followed by a Ping: its Pong tells
    the Watcher that the peer has read what came before.
    """

    def __init__(
        self,
        layer: MessageLayer,
        outbox: StreamOutbox,
        party: Party | None,
        address: str,
        secured: bool,
        websocket: bool,
    ) -> None:
        super().__init__(party, address, True, secured, True)
        self._layer: Final = layer
        self.outbox: Final = outbox
        self._websocket: Final = websocket
        self._decoder: StreamDecoder | None = None if websocket else StreamDecoder(layer.settings.max_message_size)
        self._block_wise = False
        self._releasing = False
        self._serial = 0
        self._pending: dict[int, None] = {}  # requests not answered yet, the oldest first
        self._held_pongs: list[tuple[int, bytes]] = []  # each until the requests before it are answered
        self._told: list[tuple[Watcher, int]] = []  # since the Ping under way
        self._pinged: list[tuple[Watcher, int]] = []  # before it
        self._deadline: Timed = _Deadline(self, "The first message is a CSM, and it did not come in time.")
        layer.at(layer.clock.now + layer.settings.csm_timeout, self._deadline)
        self.ready: bool = False  # the peer's CSM came
        self.because: str = ""
        size = uint_value(layer.settings.max_message_size)
        self._send(Message(codes.CSM, ((MAX_MESSAGE_SIZE, size), (BLOCK_WISE_TRANSFER, b""))))

    # What comes in. ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take octets. Whatever they are, nothing is raised but by a defect, whose request is answered 5.00."""
        if self.gone:
            return
        self._layer.counters.octets_received += len(data)
        fault = ""
        try:
            self._take(data)
        except PeerError as error:
            fault = error.text
        if fault:
            self.abort(fault)

    def _take(self, data: bytes) -> None:
        if self._decoder is None:
            if len(data) > self._layer.settings.max_message_size:
                raise Violation("The message is larger than this side's Max-Message-Size.")
            self._message(decode_websocket(data))
            return
        fault: PeerError | None = None
        try:
            messages = self._decoder.feed(data)
        except PeerError as error:
            messages = self._decoder.messages  # those before it are served
            fault = error
        for message in messages:
            if self.gone:
                return
            self._message(message)
        if fault is not None:
            self.abort(fault.text)

    def _message(self, message: Message) -> None:
        self._layer.counters.packets_received += 1
        code = message.code
        if code == codes.CSM:
            self._csm(message)
        elif not self.ready:
            raise Violation("The first message is a CSM.")  # RFC 8323 section 5.3
        elif 0 < code < 32:
            self._request(message)
        elif code >> 5 == 7:
            self._signal(code, message)
        # Empty messages are ignored (section 3.4), and so are responses: the hub asks nothing here.

    def _csm(self, message: Message) -> None:
        for number, value in message.options:
            if number == MAX_MESSAGE_SIZE:
                self.largest = int.from_bytes(value, "big")
            elif number == BLOCK_WISE_TRANSFER:
                self._block_wise = True
            elif is_critical(number):
                option: Option = (BAD_CSM_OPTION, uint_value(number))
                self._abort("This critical option of CSM is not known.", (option,))
                return
        # Section 6: BERT to who takes more than the base size, and block-wise transfer at all.
        self.block = _BERT if self._block_wise and self.largest > _BASE_SIZE else _LARGEST_BLOCK
        if not self.ready:
            self.ready = True
            self._deadline.over = True

    def _signal(self, code: int, message: Message) -> None:
        custody = False
        for number, _ in message.options:
            if is_critical(number):  # section 5.2: no signalling message has one that this side knows
                raise Violation(f"Critical option {number} of signalling message {codes.dotted(code)} is not known.")
            custody = custody or number == CUSTODY
        if code == codes.PING:
            if custody and self._pending:
                self._held_pongs.append((self._serial, message.token))
            else:
                self._pong(message.token, custody)
        elif code == codes.PONG:
            if self._pinged:
                self._read()
        elif code == codes.RELEASE:
            self._releasing = True
            self._go_if_done("the peer released the connection")
        elif code == codes.ABORT:
            self._end("the peer aborted the connection", True)

    def _request(self, request: Message) -> None:
        no_response = _ABSENT
        hop_limit_ok = True
        for number, value in request.options:
            if number == HOP_LIMIT:
                hop_limit_ok = len(value) == 1 and value[0] > 0
            elif number == NO_RESPONSE and not request.has(OSCORE):  # RFC 8613 section 4.1.3.6
                no_response = int.from_bytes(value, "big") & 0xFF
        self._serial += 1
        exchange = StreamExchange(self, request, no_response, self._serial)
        if not hop_limit_ok:
            exchange.respond(BAD_HOP_LIMIT)  # RFC 8768 section 3
            return
        try:
            self._layer.handler.handle(exchange)
        except Exception:
            if not exchange.answered:
                exchange.respond(DEFECT)
            raise
        if not exchange.answered and not self.gone:
            self._pending[exchange.serial] = None
            if self.is_congested():
                self.outbox.touch()

    # What goes out. ---------------------------------------------------------------------------------

    def answer(self, exchange: StreamExchange, response: Message) -> None:
        """For StreamExchange.respond."""
        if not self.gone and not exchange.suppresses(response.code):
            self._send_to(exchange.request.token, response)
        self.leave(exchange)

    def leave(self, exchange: StreamExchange) -> None:
        """It waits for no answer any more."""
        congested = self.is_congested()
        self._pending.pop(exchange.serial, None)
        if self.gone:
            return
        if congested:
            self.outbox.touch()  # the rim may read on, also where nothing was sent
        while self._held_pongs and (not self._pending or next(iter(self._pending)) > self._held_pongs[0][0]):
            self._pong(self._held_pongs.pop(0)[1], True)
        self._go_if_done("the connection was released")

    def notify(self, token: bytes, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        """For StreamExchange.notify."""
        if self.gone or self._releasing or self.outbox.full():
            return False
        if not confirmable or watcher is None:
            self._send_to(token, response)
            return True
        if len(self._told) + len(self._pinged) >= self._layer.settings.stream_pending:
            return False
        self._send_to(token, response)
        self._told.append((watcher, number))
        if not self._pinged:
            self._ask()
        return True

    def _ask(self) -> None:
        """By a Ping whether what went before it was read. Its token is empty, as some peers' Pongs have none; there is
        one Ping under way, so none is needed."""
        self._pinged = self._told
        self._told = []
        self._send(Message(codes.PING))
        self._deadline = _Deadline(self, "A Ping was not answered in time.")
        layer = self._layer
        layer.at(layer.clock.now + layer.settings.pong_timeout, self._deadline)

    def _read(self) -> None:
        """The Pong came."""
        read = self._pinged
        self._pinged = []
        self._deadline.over = True
        if self._told:
            self._ask()
        for watcher, number in read:
            watcher.acknowledged(number)

    def _pong(self, token: bytes, custody: bool) -> None:
        options: tuple[Option, ...] = ((CUSTODY, b""),) if custody else NO_OPTIONS
        self._send(Message(codes.PONG, options, b"", token))

    def _send_to(self, token: bytes, response: Message) -> None:
        data = self._octets(Message(response.code, response.options, response.payload, token))
        if len(data) > self.largest:  # section 5.3.1; block-wise transfer lets it not come to this
            data = self._octets(Message(TOO_LARGE.code, NO_OPTIONS, TOO_LARGE.payload, token))
        self._write(data)

    def _send(self, message: Message) -> None:
        self._write(self._octets(message))

    def _octets(self, message: Message) -> bytes:
        return encode_websocket(message) if self._websocket else encode_stream(message)

    def _write(self, data: bytes) -> None:
        counters = self._layer.counters
        counters.packets_sent += 1
        counters.octets_sent += len(data)
        self.outbox.write(data)

    def is_congested(self) -> bool:
        """Too much waits: for the peer to read, or for answers."""
        most = self._layer.settings.stream_pending
        return self.outbox.full() or len(self._pending) >= most or len(self._held_pongs) >= most

    # Its end. ---------------------------------------------------------------------------------------

    def release(self, because: str) -> None:
        """The hub goes: what was asked is still answered (section 5.5)."""
        if not self.gone and not self._releasing:
            self._releasing = True
            self._send(Message(codes.RELEASE, NO_OPTIONS, because.encode()))
            self._go_if_done(because)

    def abort(self, because: str) -> None:
        """The peer broke the protocol, or is silent: tell it why, and close (section 5.6)."""
        self._abort(because, NO_OPTIONS)

    def close(self, because: str) -> None:
        """Tell the peer why, and close."""
        if not self.gone:
            self._send(Message(codes.RELEASE, NO_OPTIONS, because.encode()))
            self._end(because, True)

    def lost(self, because: str) -> None:
        """The connection ended by itself."""
        self._end(because, False)

    def _abort(self, because: str, options: tuple[Option, ...]) -> None:
        if not self.gone:
            self._send(Message(codes.ABORT, options, because.encode()))
            self._end(because, True)

    def _go_if_done(self, because: str) -> None:
        if self._releasing and not self._pending:
            self._end(because, True)

    def _end(self, because: str, closing: bool) -> None:
        if self.gone:
            return
        self.gone = True
        self.because = because
        self._deadline.over = True
        if closing:
            self.outbox.closing = True
            self.outbox.touch()
        unread = self._pinged + self._told
        self._pinged = []
        self._told = []
        for watcher, number in unread:
            watcher.timed_out(number)
        self._layer.handler.forget(self)
