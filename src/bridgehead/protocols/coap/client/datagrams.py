"""The client's message layer over UDP and DTLS (RFC 7252 section 4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.client.layer import Layer
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.errors import MessageFormatError
from bridgehead.protocols.coap.codec.message import ACK, CON, NO_OPTIONS, NON, RST, Message

ACK_TIMEOUT: Final = 2.0  # RFC 7252 section 4.8
ACK_RANDOM_FACTOR: Final = 1.5
MAX_RETRANSMIT: Final = 4
NSTART: Final = 1
EXCHANGE_LIFETIME: Final = 247.0
REMEMBERED: Final = 1024  # Message IDs of the server's messages
WAITING: Final = 65_536  # requests that wait for NSTART


class _InFlight:
    """A Confirmable message until it is acknowledged, reset or given up."""

    def __init__(self, token: bytes, octets: bytes, due: float, timeout: float) -> None:
        self.token: Final = token
        self.octets: Final = octets
        self.due = due
        self.timeout = timeout
        self.retransmitted = 0


class DatagramLayer(Layer):
    """One server over datagrams. `jitter` gives numbers from 0 to 1; `message_id` is the first of its own."""

    def __init__(self, jitter: Callable[[], float], message_id: int, nstart: int = NSTART) -> None:
        super().__init__()
        self._jitter: Final = jitter
        self._next_id = message_id & 0xFFFF
        self._nstart: Final = nstart
        self._in_flight: Final[dict[int, _InFlight]] = {}
        self._waiting: Final[deque[Message]] = deque()
        self._non: Final[dict[int, bytes]] = {}  # the last Non-confirmable requests: a Reset may come
        self._seen: Final[dict[int, tuple[float, bytes]]] = {}  # the server's Message IDs: when, and how answered

    def send(self, request: Message, confirmable: bool, now: float) -> None:
        self.expected.add(request.token)
        if not confirmable:
            self._send_non(request)
        elif len(self._in_flight) < self._nstart:
            self._send_con(request, now)
        elif len(self._waiting) >= WAITING:
            self.lost.append((request.token, "too many requests wait to be sent"))
        else:
            self._waiting.append(request)

    def ping(self, now: float) -> None:
        """RFC 7252 section 4.3: an Empty Confirmable message is answered by a Reset."""
        if not any(each.token == b"" for each in self._in_flight.values()):
            self._send_con(Message(codes.EMPTY), now)

    def forget(self, token: bytes) -> None:
        super().forget(token)
        for message_id in [each for each, flight in self._in_flight.items() if flight.token == token and token]:
            del self._in_flight[message_id]
        for request in [each for each in self._waiting if each.token == token]:
            self._waiting.remove(request)

    def _send_con(self, request: Message, now: float) -> None:
        message_id = self._new_id()
        octets = encode(Message(request.code, request.options, request.payload, request.token, CON, message_id))
        timeout = ACK_TIMEOUT * (1 + (ACK_RANDOM_FACTOR - 1) * self._jitter())
        self._in_flight[message_id] = _InFlight(request.token, octets, now + timeout, timeout)
        self.outgoing.append(octets)

    def _send_non(self, request: Message) -> None:
        message_id = self._new_id()
        self._non[message_id] = request.token
        if len(self._non) > REMEMBERED:
            del self._non[next(iter(self._non))]
        self.outgoing.append(
            encode(Message(request.code, request.options, request.payload, request.token, NON, message_id))
        )

    def _new_id(self) -> int:
        found = self._next_id
        self._next_id = (found + 1) & 0xFFFF
        return found

    def receive(self, data: bytes, now: float) -> None:
        try:
            message = decode(data)
        except MessageFormatError as fault:
            # Section 4.2: what cannot be processed is rejected, if it is Confirmable, and else ignored.
            if fault.type == CON and fault.version == 1:
                self._answer(RST, fault.message_id)
            return
        if message.type == ACK or message.type == RST:
            self._acknowledged(message, now)
        elif message.code == codes.EMPTY:
            if message.type == CON:
                self._answer(RST, message.message_id)  # a ping
        elif codes.is_request(message.code):
            if message.type == CON:
                self._answer(RST, message.message_id)  # nothing is served here
        else:
            self._separate(message, now)

    def _acknowledged(self, message: Message, now: float) -> None:
        flight = self._in_flight.get(message.message_id)
        if flight is None:
            token = self._non.pop(message.message_id, None) if message.type == RST else None
            if token is not None and token in self.expected:
                self.lost.append((token, "the server rejected the request"))
            return
        if message.code != codes.EMPTY and (message.token != flight.token or codes.is_request(message.code)):
            return  # section 5.3.2: a piggybacked response has the token of its request
        del self._in_flight[message.message_id]
        if message.type == RST:
            if flight.token:
                self.lost.append((flight.token, "the server rejected the request"))
        elif message.code != codes.EMPTY and message.token in self.expected:
            self.arrived.append(message)
        self._send_waiting(now)

    def _separate(self, message: Message, now: float) -> None:
        """A response in a message of its own (section 5.2.2), or a notification."""
        seen = self._seen.get(message.message_id)
        if seen is not None and now - seen[0] < EXCHANGE_LIFETIME:
            if seen[1]:
                self.outgoing.append(seen[1])
            return
        expected = message.token in self.expected
        answer = b""
        if message.type == CON or not expected:
            # Section 5.3.2: one that nobody waits for is rejected; RFC 7641 section 3.6: so an observation ends.
            answer = self._answer(ACK if expected else RST, message.message_id)
        self._seen.pop(message.message_id, None)
        self._seen[message.message_id] = (now, answer)
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if not expected:
            return
        # The acknowledgement of the request may have been lost: the response stands for it.
        for message_id in [each for each, flight in self._in_flight.items() if flight.token == message.token]:
            del self._in_flight[message_id]
        self.arrived.append(message)
        self._send_waiting(now)

    def _answer(self, kind: int, message_id: int) -> bytes:
        octets = encode(Message(codes.EMPTY, NO_OPTIONS, b"", b"", kind, message_id))
        self.outgoing.append(octets)
        return octets

    def _send_waiting(self, now: float) -> None:
        while self._waiting and len(self._in_flight) < self._nstart:
            self._send_con(self._waiting.popleft(), now)

    def next_timeout(self) -> float:
        return min([flight.due for flight in self._in_flight.values()], default=NEVER)

    def handle_timeout(self, now: float) -> None:
        for message_id, flight in list(self._in_flight.items()):
            if flight.due > now:
                continue
            if flight.retransmitted == MAX_RETRANSMIT:
                del self._in_flight[message_id]
                self.lost.append((flight.token, "the server does not answer"))
                continue
            flight.retransmitted += 1
            flight.timeout *= 2
            flight.due = now + flight.timeout
            self.outgoing.append(flight.octets)
        self._send_waiting(now)
