"""The message layer over datagrams for one remote endpoint (RFC 7252 section 4), the same for NoSec and DTLS."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.errors import MessageFormatError
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message, Option
from bridgehead.protocols.coap.codec.numbers import (
    BLOCK2,
    CONTENT_FORMAT,
    ECHO,
    HOP_LIMIT,
    NO_RESPONSE,
    OBSERVE,
    OSCORE,
    Q_BLOCK2,
)
from bridgehead.protocols.coap.session.asking import Asking, Inquiry
from bridgehead.protocols.coap.session.contract import Party, Watcher
from bridgehead.protocols.coap.session.duplicates import Duplicates, Record
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.exchanges import ABSENT, AnsweringPeer, DatagramExchange, Disowned, Waiting
from bridgehead.protocols.coap.session.faults import BAD_HOP_LIMIT, BUSY, DEFECT
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.link import Link
from bridgehead.protocols.coap.session.transmissions import Transmissions
from bridgehead.protocols.coap.session.way import GroupAnswer, Way

_NO_TOKEN: Final = b""


def head(kind: int, code: int, message_id: int, token: bytes) -> bytes:
    """The header and the token (RFC 7252 section 3)."""
    return ((0x40 | kind << 4 | len(token)) << 24 | code << 16 | message_id).to_bytes(4, "big") + token


@mypyc_attr(allow_interpreted_subclasses=True)
class DatagramPeer(AnsweringPeer):
    """One remote endpoint over UDP or DTLS. What the rim does with it: `receive` for each datagram (of DTLS: for what
    each record held), `lost` when the association below ended by itself; `close` ends both.

    `echo`: by what an address may prove itself; only a peer that is not `proven` needs it.
    """

    def __init__(
        self,
        layer: MessageLayer,
        link: Link,
        party: Party | None,
        address: str,
        secured: bool,
        proven: bool,
        echo: Echo | None = None,
    ) -> None:
        super().__init__(party, address, False, secured, proven)
        self._layer: Final = layer
        self._echo: Final = echo
        self._way: Final = Way(self, link, layer)
        self._duplicates: Duplicates | None = None
        self._transmissions: Final = Transmissions(layer, self._way)
        self.pending: int = 0  # requests that are not answered yet
        self.last_heard: float = layer.clock.now
        self._asking: Asking | None = None  # most peers are never asked anything
        self.because: str = ""

    # What comes in. ---------------------------------------------------------------------------------

    def receive(self, data: bytes, multicast: bool = False) -> None:
        """Take one datagram. Whatever it holds, nothing is raised but by a defect, whose request is answered 5.00."""
        layer = self._layer
        now = layer.clock.now
        self.last_heard = now
        counters = layer.counters
        counters.packets_received += 1
        counters.octets_received += len(data)
        try:
            message = decode(data)
        except MessageFormatError as error:
            # RFC 7252 section 3: another version is ignored. Sections 4.2 and 4.3: only CON has to be rejected; an
            # attacker's NON gets nothing. Section 8.1: nothing sent to a group is.
            if error.type == CON and error.version == 1 and not multicast:
                self._way.heard(len(data))
                self._reset(error.message_id)
            return
        code = message.code
        if 0 < code < 32:
            if message.type <= NON:
                self._request(message, data, multicast, now)
        elif message.type == ACK:
            self._transmissions.acknowledged(message.message_id)
            if code != codes.EMPTY and self._asking is not None:
                self._asking.arrived(message)
        elif message.type == RST:
            if code == codes.EMPTY:  # section 4.2: a Reset is empty; another is ignored
                self._transmissions.rejected(message.message_id)
        elif code != codes.EMPTY and self._asking is not None and not multicast and self._asking.arrived(message):
            if message.type == CON:
                self._way.send(head(ACK, codes.EMPTY, message.message_id, _NO_TOKEN))
        elif message.type == CON and not multicast:
            # A ping (section 4.3), or a response to a request that the hub never made (5.3.2).
            self._way.heard(len(data))
            self._reset(message.message_id)

    def _request(self, request: Message, data: bytes, multicast: bool, now: float) -> None:
        layer = self._layer
        confirmable = request.type == CON
        if multicast and confirmable:
            return  # RFC 7252 section 8.1
        if not self.proven:
            self._way.heard(len(data))  # not of acknowledgements and Resets, which are not answered
        duplicates = self._duplicates
        if duplicates is not None:
            record = duplicates.find(request.message_id, data, now)
            if record is not None:
                if record.reply is not None:  # CON alone has one; while it has none, the answer is still to come
                    self._way.send(record.reply)
                return
        code = request.code
        # Harmless to perform again (RFC 7252 section 4.5): then nothing is remembered. OSCORE takes no request twice.
        repeatable = code == codes.GET or code == codes.FETCH
        no_response = ABSENT
        hop_limit_ok = True
        protected = False
        for number, value in request.options:
            if number <= OSCORE:
                if number in (OBSERVE, OSCORE):
                    repeatable = False
                    protected = number == OSCORE
            elif number == HOP_LIMIT:
                hop_limit_ok = len(value) == 1 and value[0] > 0
            elif number == ECHO:
                if not self.proven and self._echo is not None and self._echo.proves(self.address, value, now):
                    self.proven = True
            elif number == NO_RESPONSE and not protected:  # RFC 8613 section 4.1.3.6: else the one inside counts
                no_response = int.from_bytes(value, "big") & 0xFF
        exchange = DatagramExchange(self, request, confirmable, multicast, no_response)
        if not hop_limit_ok:
            exchange.respond(BAD_HOP_LIMIT)  # RFC 8768 section 3
        elif not self.proven and layer.settings.echo_required:
            exchange.answered = True
            self._challenge(exchange)
            return  # not remembered: nothing was done
        elif self.pending + self._transmissions.waiting() >= layer.settings.pending:
            exchange.respond(BUSY)
            return
        else:
            try:
                layer.handler.handle(exchange)
            except Exception:
                if not exchange.answered:
                    exchange.respond(DEFECT)
                raise
        if self.gone:
            return
        if not exchange.answered:
            self._hold(exchange, data, now)
        elif not repeatable:
            self._remember(exchange, data, now)

    def _hold(self, exchange: DatagramExchange, data: bytes, now: float) -> None:
        """The answer comes later, if at all."""
        if exchange.multicast:  # nobody waits for it
            self._remember(exchange, data, now)
            return
        self.pending += 1
        exchange.record = self._remember(exchange, data, now)
        waiting = Waiting(exchange, self)
        exchange.waiting = waiting
        if exchange.confirmable:
            self._layer.acknowledging.add(waiting, now)

    def _remember(self, exchange: DatagramExchange, data: bytes, now: float) -> Record:
        duplicates = self._duplicates
        if duplicates is None:
            duplicates = self._duplicates = Duplicates(self._layer)
        settings = self._layer.settings
        lifetime = settings.exchange_lifetime if exchange.confirmable else settings.non_lifetime
        return duplicates.keep(exchange.request.message_id, data, now + lifetime, exchange.reply)

    # What goes out. ---------------------------------------------------------------------------------

    def answer(self, exchange: DatagramExchange, response: Message) -> None:
        """For DatagramExchange.respond."""
        if exchange.suppresses(response.code):
            self.leave(exchange)
            return
        self._no_longer_waits(exchange)
        if self.gone:
            return
        request = exchange.request
        if response.has(OBSERVE):
            exchange.observed()
        tail = self._layer.tail(response)
        if not self.proven and not self._way.has_room(4 + len(request.token) + len(tail)):
            if response.payload and (response.code >= codes.BAD_REQUEST or not _is_repeated(request, response)):
                response = _without_payload(response)
                tail = self._layer.tail(response)
            else:
                exchange.challenged = True
                self._challenge(exchange)
                return
        self._dispatch(exchange, response.code, tail)

    def leave(self, exchange: DatagramExchange) -> None:
        """For DatagramExchange.silence: nothing goes back but an acknowledgement."""
        self._no_longer_waits(exchange)
        if not self.gone and exchange.confirmable and not exchange.acknowledged:
            self._keep(exchange, head(ACK, codes.EMPTY, exchange.request.message_id, _NO_TOKEN))

    def _no_longer_waits(self, exchange: DatagramExchange) -> None:
        if exchange.waiting is not None:
            exchange.waiting.over = True
            exchange.waiting = None
            self.pending -= 1

    def _dispatch(self, exchange: DatagramExchange, code: int, tail: bytes) -> None:
        """Send a response in the way that the request asks for."""
        request = exchange.request
        token = request.token
        if not exchange.confirmable:
            data = head(NON, code, self._transmissions.next_message_id(), token) + tail
            if exchange.multicast:
                self._at_leisure(data)
            else:
                self._way.send(data)
        elif exchange.acknowledged:
            message_id = self._transmissions.next_message_id()
            data = head(CON, code, message_id, token) + tail
            self._transmissions.confirmable(message_id, data, None, 0)
        else:
            self._keep(exchange, head(ACK, code, request.message_id, token) + tail)

    def _at_leisure(self, data: bytes) -> None:
        layer = self._layer
        if layer.group_answers < layer.settings.group_answers:
            when = layer.clock.now + layer.jitter() * layer.settings.leisure
            layer.at(when, GroupAnswer(layer, self._way, data))

    def _challenge(self, exchange: DatagramExchange) -> None:
        """4.01 with Echo: the client says it again with the value, and so proves its address (RFC 9175 section 2.4).
        If even that is too much, nothing goes: the client's repetition adds to what came."""
        options = self.challenge()
        if options:
            self._dispatch(exchange, codes.UNAUTHORIZED, self._layer.tail(Message(codes.UNAUTHORIZED, options)))

    def challenge(self) -> tuple[Option, ...]:
        """What 4.01 has so that the peer may prove its address; empty where it need not, or cannot."""
        if self._echo is None or self.proven:
            return ()
        return ((ECHO, self._echo.value(self.address, self._layer.clock.now)),)

    def _ping(self) -> None:
        """Whoever receives at the address rejects an empty message, and so names it (RFC 7252 section 4.3). It takes
        four octets, where a notification is more than may go there."""
        transmissions = self._transmissions
        if transmissions.idle() and self._way.has_room(4):
            message_id = transmissions.message_id_by_chance()
            transmissions.confirmable(message_id, head(CON, codes.EMPTY, message_id, _NO_TOKEN), None, 0)

    def notify(self, token: bytes, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        """For DatagramExchange.notify."""
        way = self._way
        transmissions = self._transmissions
        if self.gone:
            return False
        tail = self._layer.tail(response)
        if not self.proven:
            size = 4 + len(token) + len(tail)
            if not way.has_room(size):
                self._ping()
                return False
            if not confirmable and transmissions.idle() and not way.has_room(3 * size):
                confirmable = True  # RFC 7641 section 7: the peer has to show interest before more goes to it
        if confirmable:
            if transmissions.full():
                return False
            message_id = transmissions.next_message_id() if self.proven else transmissions.message_id_by_chance()
            transmissions.confirmable(message_id, head(CON, response.code, message_id, token) + tail, watcher, number)
            return True
        if way.full():
            return False
        message_id = transmissions.next_message_id()
        if watcher is not None:
            transmissions.told(message_id, watcher, number)
        return way.send(head(NON, response.code, message_id, token) + tail)

    def disown(self, watcher: Watcher | None, number: int) -> bool:
        """In the place of `notify` to a client that was challenged when it asked: it makes another observation, with
        its Echo, and knows nothing of this one. So it would reject what it gets (RFC 7641 section 3.6)."""
        if watcher is None or self.gone:
            return False
        self._layer.at(self._layer.clock.now, Disowned(watcher, number))
        return True

    def acknowledge(self, exchange: DatagramExchange) -> None:
        """By an empty message: the answer will be separate."""
        exchange.acknowledged = True
        self._keep(exchange, head(ACK, codes.EMPTY, exchange.request.message_id, _NO_TOKEN))

    def _keep(self, exchange: DatagramExchange, data: bytes) -> None:
        """Send it, and to duplicates again."""
        exchange.reply = data
        if exchange.record is not None and self._duplicates is not None:
            self._duplicates.amend(exchange.record, data)
        self._way.send(data)

    def _reset(self, message_id: int) -> None:
        self._way.send(head(RST, codes.EMPTY, message_id, _NO_TOKEN))

    def ask(self, request: Message, inquiry: Inquiry, within: float) -> bool:
        """Send the peer a request of the hub's own, Confirmable; `within` so many seconds of its acknowledgement the
        response must be there. False: not sent, as too much waits for it already, or its address is not proven."""
        transmissions = self._transmissions
        if self.gone or not self.proven or transmissions.full():
            return False
        asking = self._asking
        if asking is None:
            asking = self._asking = Asking(self._layer)
        token, watcher = asking.begin(inquiry, within)
        message_id = transmissions.next_message_id()
        data = head(CON, request.code, message_id, token) + self._layer.tail(request)
        transmissions.confirmable(message_id, data, watcher, 0)
        return True

    def arrived(self, watcher: Watcher, number: int) -> None:
        self._transmissions.arrived(watcher, number)

    # Its end. ---------------------------------------------------------------------------------------

    def is_idle(self) -> bool:
        """Nothing is under way, and nothing is held for it: to forget it does no harm but to duplicates."""
        asked = self._asking is not None and len(self._asking) > 0
        return self.held == 0 and self.pending == 0 and not asked and self._transmissions.idle()

    def close(self, because: str) -> None:
        if not self.gone:
            self.lost(because)
            self._way.close(because)

    def lost(self, because: str) -> None:
        """The association below ended by itself."""
        if self.gone:
            return
        self.gone = True
        self.because = because
        if self._duplicates is not None:
            self._duplicates.clear()
        self._transmissions.end()
        if self._asking is not None:
            self._asking.end()
        self._layer.handler.forget(self)


def _is_repeated(request: Message, response: Message) -> bool:
    """The whole answer is there for who asks again: of what changes nothing, or block by block."""
    if request.code == codes.GET or request.code == codes.FETCH:
        return True
    return response.has(BLOCK2) or response.has(Q_BLOCK2)


def _without_payload(response: Message) -> Message:
    kept = [option for option in response.options if option[0] != CONTENT_FORMAT]
    return Message(response.code, tuple(kept))
