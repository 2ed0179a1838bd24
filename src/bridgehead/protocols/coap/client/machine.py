"""The client's side of CoAP as a pure machine: requests and the time come in, responses and notifications come out."""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.client.layer import Layer
from bridgehead.protocols.coap.client.transfer import Fault, Transfer, is_newer
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value

REGISTER: Final = (option.OBSERVE, b"")
_DEREGISTER: Final = (option.OBSERVE, uint_value(1))


class Answered:
    """The response to the request `number`, its whole body in one. An observation that is answered so has ended."""

    def __init__(self, number: int, response: Message) -> None:
        self.number: Final = number
        self.response: Final = response


class Notified:
    """An observed resource's representation, the first or a later one."""

    def __init__(self, number: int, response: Message) -> None:
        self.number: Final = number
        self.response: Final = response


class Lost:
    """No response to the request `number` will come. Number 0: the server does not answer a ping."""

    def __init__(self, number: int, because: str) -> None:
        self.number: Final = number
        self.because: Final = because


Event = Answered | Notified | Lost


class _Call:
    def __init__(self, number: int, request: Message, confirmable: bool, transfer: Transfer) -> None:
        self.number: Final = number
        self.request: Final = request
        self.confirmable: Final = confirmable
        self.transfer = transfer
        self.token = b""  # of the message that is answered next; an observation's stays
        self.observes: Final = request.uint(option.OBSERVE) == 0
        self.registered = False
        self.sequence = 0
        self.sequence_at = NEVER
        self.rest_token = b""  # fetches what a notification's first block left
        self.rest: Transfer | None = None


class ClientMachine:
    """All requests to one server over one layer. `seed` makes tokens hard to guess (RFC 7252 section 5.3.1)."""

    def __init__(self, layer: Layer, seed: bytes) -> None:
        self.layer: Final = layer
        self._token = int.from_bytes(seed[:8], "big")
        self._count = 0
        self._calls: Final[dict[int, _Call]] = {}
        self._tokens: Final[dict[bytes, _Call]] = {}
        self._events: list[Event] = []

    def request(self, request: Message, confirmable: bool, now: float) -> int:
        """Send it, block by block if its payload is large; with Observe 0 it registers an observation. The number that
        its events carry."""
        self._count += 1
        number = self._count
        tag = uint_value(number)
        transfer = Transfer(request, self.layer.block, self.layer.reliable, tag)
        call = _Call(number, request, confirmable, transfer)
        self._calls[number] = call
        self._send(call, transfer.message(self._new_token(call)), now)
        self._look(now)
        return number

    def cancel(self, number: int, now: float) -> None:
        """Nobody waits for it any more; an observation is deregistered (RFC 7641 section 3.6)."""
        call = self._calls.get(number)
        if call is None:
            return
        token = call.token
        self._end(call)
        if call.registered:
            options: list[Option] = [each for each in call.request.options if each[0] != option.OBSERVE]
            request = Message(call.request.code, in_order([*options, _DEREGISTER]), call.request.payload, token)
            self.layer.send(request, False, now)
            self.layer.forget(token)

    def refresh(self, number: int, etag: bytes, now: float) -> None:
        """Register an observation once more under its token, for a server that may have forgotten it (RFC 7641 section
        3.3.1). `etag`, if it is not empty, is that of the last representation: 2.03 says that it still holds. Not
        within 128 s of a notification: a server that began anew counts from the start (section 3.4)."""
        call = self._calls.get(number)
        if call is None or not call.registered:
            return
        options = [*call.request.options, (option.ETAG, etag)] if etag else [*call.request.options]
        request = Message(call.request.code, in_order(options), call.request.payload, call.token)
        self._send(call, request, now)
        self._look(now)

    def receive(self, data: bytes, now: float) -> None:
        """What the transport brought."""
        self.layer.receive(data, now)
        self._look(now)

    def ping(self, now: float) -> None:
        """Ask whether the server is there: Lost with the number 0 says no."""
        self.layer.ping(now)

    def next_timeout(self) -> float:
        return self.layer.next_timeout()

    def handle_timeout(self, now: float) -> None:
        self.layer.handle_timeout(now)
        self._look(now)

    def outgoing(self) -> list[bytes]:
        """What has to be sent, in order; each is returned once."""
        found = self.layer.outgoing
        self.layer.outgoing = []
        return found

    def events(self) -> list[Event]:
        """What happened, in order; each is returned once."""
        found = self._events
        self._events = []
        return found

    @property
    def closed(self) -> str:
        """Why the connection is over, "" while it is not."""
        return self.layer.closed

    def _new_token(self, call: _Call) -> bytes:
        self._token = (self._token + 1) & ((1 << 64) - 1)
        token = self._token.to_bytes(8, "big")
        call.token = token
        self._tokens[token] = call
        return token

    def _send(self, call: _Call, message: Message, now: float) -> None:
        self.layer.send(message, call.confirmable, now)

    def _look(self, now: float) -> None:
        """What the layer has for the calls."""
        while self.layer.arrived or self.layer.lost:
            arrived, self.layer.arrived = self.layer.arrived, []
            lost, self.layer.lost = self.layer.lost, []
            for message in arrived:
                call = self._tokens.get(message.token)
                if call is not None:
                    self._take(call, message, now)
            for token, because in lost:
                found = self._tokens.get(token)
                if found is not None:
                    self._lose(found, because)
                elif not token:
                    self._events.append(Lost(0, because))

    def _lose(self, call: _Call, because: str) -> None:
        self._end(call)
        self._events.append(Lost(call.number, because))

    def _end(self, call: _Call) -> None:
        self._calls.pop(call.number, None)
        for token in (call.token, call.rest_token):
            if token:
                self._tokens.pop(token, None)
                self.layer.forget(token)

    def _take(self, call: _Call, message: Message, now: float) -> None:
        try:
            if call.rest is not None and message.token == call.rest_token:
                self._take_rest(call, call.rest, message, now)
            elif call.registered:
                self._notified(call, message, now)
            else:
                self._responded(call, message, now)
        except Fault as fault:
            self._lose(call, str(fault))

    def _responded(self, call: _Call, message: Message, now: float) -> None:
        """A response before an observation is registered, or to a request that registers none."""
        is_registration = call.observes and message.has(option.OBSERVE) and codes.is_success(message.code)
        if is_registration and message.code != codes.CONTINUE:
            call.registered = True
            self._notified(call, message, now)
            return
        whole = call.transfer.take(message)
        if whole is not None:
            self._end(call)
            self._events.append(Answered(call.number, whole))
            return
        self._drop_token(call.token)
        self._send(call, call.transfer.message(self._new_token(call)), now)

    def _notified(self, call: _Call, message: Message, now: float) -> None:
        if not codes.is_success(message.code) or not message.has(option.OBSERVE):
            self._end(call)  # RFC 7641 section 3.2: no more notifications follow
            self._events.append(Answered(call.number, message))
            return
        number = message.uint(option.OBSERVE)
        if not self.layer.reliable and not is_newer(number, now, call.sequence, call.sequence_at):
            return
        call.sequence = number
        call.sequence_at = now
        self._drop_rest(call)
        rest = Transfer(call.request, self.layer.block, self.layer.reliable)
        self._continue(call, rest, message, now)

    def _take_rest(self, call: _Call, rest: Transfer, message: Message, now: float) -> None:
        self._drop_rest(call)
        if not codes.is_success(message.code):
            return  # the representation is gone; a notification will tell
        self._continue(call, rest, message, now)

    def _continue(self, call: _Call, rest: Transfer, message: Message, now: float) -> None:
        whole = rest.take(message)
        if whole is not None:
            self._events.append(Notified(call.number, whole))
            return
        token = call.token
        call.rest_token = self._new_token(call)
        call.token = token
        call.rest = rest
        self._send(call, rest.message(call.rest_token), now)

    def _drop_rest(self, call: _Call) -> None:
        if call.rest_token:
            self._drop_token(call.rest_token)
        call.rest_token = b""
        call.rest = None

    def _drop_token(self, token: bytes) -> None:
        self._tokens.pop(token, None)
        self.layer.forget(token)
