"""One request and its body, block by block where that has to be (RFC 7959), with an Echo where one is asked for."""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import block_size, exponent_for, read_block, write_block
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.wire.errors import PeerError

LARGEST_BODY: Final = 16 * 1_048_576
_RESTARTS: Final = 3  # of a representation that changed while it was fetched
_SUPPLIED: Final = frozenset([option.BLOCK1, option.BLOCK2, option.SIZE1, option.ECHO])


class Fault(Exception):
    """The server's answers don't fit together; the text says how."""


class Transfer:
    """What to send next, and what came so far. `block`: the most payload of one message. `reliable`: BERT may come."""

    def __init__(self, request: Message, block: int, reliable: bool, tag: bytes = b"") -> None:
        self.request: Final = request
        self._tag: Final = tag  # RFC 9175 section 3: tells this body from another that is sent at the same time
        self.reliable: Final = reliable
        self.block = block
        self._exponent = exponent_for(block)
        self._sent = 0  # octets of the request's body that the server has
        self._echo: bytes | None = None
        self._echoed = False
        self._parts: list[bytes] = []
        self._etag: bytes | None = None
        self._fetched = 0
        self._block2: bytes | None = None
        self._restarts = 0
        self.first: Message | None = None  # the response of the first block: its options are the whole's

    @property
    def is_split(self) -> bool:
        """Whether the request's body goes out block by block."""
        return len(self.request.payload) > self.block

    def message(self, token: bytes) -> Message:
        """The next message to send."""
        options: list[Option] = [each for each in self.request.options if each[0] not in _SUPPLIED]
        payload = self.request.payload
        if self._block2 is not None:
            # RFC 7959 section 3.4: the rest of a notification is fetched without Observe.
            options = [each for each in options if each[0] != option.OBSERVE]
            options.append((option.BLOCK2, self._block2))
            if self.is_split:
                payload = b""  # sent already, block by block
        elif self.is_split:
            size = block_size(self._exponent)
            end = min(self._sent + size, len(payload))
            more = end < len(payload)
            options.append((option.BLOCK1, write_block(self._sent // size, more, self._exponent)))
            if self._sent == 0:
                options.append((option.SIZE1, uint_value(len(payload))))
            if self._tag:
                options.append((option.REQUEST_TAG, self._tag))
            payload = payload[self._sent : end]
        if self._echo is not None:
            options.append((option.ECHO, self._echo))
        return Message(self.request.code, in_order(options), payload, token)

    def take(self, response: Message) -> Message | None:
        """A response: the whole of it with its body, or None where `message` has to be sent next. Errors: Fault."""
        echo = response.first(option.ECHO)
        if response.code == codes.UNAUTHORIZED and echo is not None and not self._echoed:
            self._echo = echo
            self._echoed = True
            return None
        try:
            if self.is_split and self._block2 is None and self._goes_on(response):
                return None
            return self._collect(response)
        except PeerError as fault:
            raise Fault(fault.text) from None

    def _goes_on(self, response: Message) -> bool:
        """Whether a further block of the request has to be sent."""
        value = response.first(option.BLOCK1)
        if value is None:
            if response.code == codes.CONTINUE:
                raise Fault("the server asks to continue without saying with what")
            return False
        number, _, exponent = read_block(value, self.reliable)
        if response.code == codes.REQUEST_ENTITY_TOO_LARGE and self._sent == 0 and exponent < self._exponent:
            self._exponent = exponent  # RFC 7959 section 2.9.3: in smaller blocks, from the start
            return True
        if response.code != codes.CONTINUE:
            return False
        size = block_size(self._exponent)
        if number * block_size(exponent) != self._sent and number != self._sent // size:
            raise Fault("the server acknowledged another block than was sent")
        self._sent += size
        if self._sent >= len(self.request.payload):
            raise Fault("the server asks to continue after the last block")
        self._exponent = min(self._exponent, exponent)  # section 2.3: the server may wish for smaller ones
        return True

    def _collect(self, response: Message) -> Message | None:
        value = response.first(option.BLOCK2)
        if value is None or response.code >> 5 != 2:
            if self._parts and response.code >> 5 == 2:
                raise Fault("the server stopped in the midst of a body")
            return response
        number, more, exponent = read_block(value, self.reliable)
        if not self._parts and number != 0 and self._block2 is None:
            return response  # the caller asked for this block alone
        offset = number * block_size(exponent)
        etag = response.first(option.ETAG)
        if self._parts and etag != self._etag:
            return self._restart()
        if offset != self._fetched:
            raise Fault("the server sent another block than was asked for")
        if more and (not response.payload or len(response.payload) % block_size(exponent)):
            raise Fault("a block that is not the last has not its full size")
        if not self._parts:
            self.first = response
            self._etag = etag
        self._parts.append(response.payload)
        self._fetched += len(response.payload)
        if self._fetched > LARGEST_BODY:
            raise Fault(f"the body has more than {LARGEST_BODY} octets")
        if more:
            self._block2 = write_block(self._fetched // block_size(exponent), False, exponent)
            return None
        first = self.first or response
        return Message(first.code, first.options, b"".join(self._parts), first.token, first.type, first.message_id)

    def _restart(self) -> Message | None:
        """The representation changed while it was fetched: once more from the start (section 2.4)."""
        self._restarts += 1
        if self._restarts > _RESTARTS:
            raise Fault("the representation changes faster than it can be fetched")
        self._parts = []
        self._fetched = 0
        self._block2 = write_block(0, False, self._exponent)
        return None


def is_newer(number: int, at: float, last: int, last_at: float) -> bool:
    """Whether a notification is later than the last one (RFC 7641 section 3.4)."""
    if last_at == NEVER:
        return True
    half = 1 << 23
    return (last < number < last + half) or (number < last and last - number > half) or at > last_at + 128.0
