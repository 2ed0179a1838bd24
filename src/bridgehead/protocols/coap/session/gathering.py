"""Bodies of requests whose blocks are still coming: by Block1 one after the other (RFC 7959 section 2.5)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import BERT, block_size, write_block
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message, uint_value
from bridgehead.protocols.coap.session.block_parts import gathering_key, without
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.contract import Exchange, Peer
from bridgehead.protocols.coap.session.shelf import Kept, Shelf, Slot

_NOT_OF_THE_BODY: Final = frozenset((option.BLOCK1, option.Q_BLOCK1, option.SIZE1))
WRONG_LENGTH: Final = Message(codes.BAD_REQUEST, NO_OPTIONS, b"The payload has not the length that its block has.")
_NOT_BEGUN: Final = Message(codes.REQUEST_ENTITY_INCOMPLETE, NO_OPTIONS, b"Begin again with block 0.")
_NOT_NEXT: Final = Message(codes.REQUEST_ENTITY_INCOMPLETE, NO_OPTIONS, b"A block before this one has not come.")


@mypyc_attr(allow_interpreted_subclasses=True)
class Gathering(Kept):
    """A body under way. While it lasts the message layer keeps the peer (Peer.held)."""

    def __init__(self, peer: Peer, slot: Slot) -> None:
        super().__init__(peer, slot, 0)
        peer.held += 1

    def removed(self) -> None:
        self.peer.held -= 1


class _InOrder(Gathering):
    """What came so far, without a gap."""

    def __init__(self, peer: Peer, slot: Slot) -> None:
        super().__init__(peer, slot)
        self.data: Final = bytearray()


class Gatherings:
    """Those of all peers, apart for peers that are proven and those that are not."""

    def __init__(self, clock: Clock, settings: BlockSettings) -> None:
        self.clock: Final = clock
        self.settings: Final = settings
        self.proven: Final = Shelf(settings.gathered, settings.bodies, settings.gather_time)
        self.unproven: Final = Shelf(settings.gathered_unproven, settings.bodies, settings.gather_time)

    def find(self, peer: Peer, slot: Slot) -> Kept | None:
        kept = self.proven.find(peer, slot)
        return self.unproven.find(peer, slot) if kept is None else kept

    def put(self, gathering: Gathering) -> None:
        shelf = self.proven if gathering.peer.proven else self.unproven
        (self.unproven if gathering.peer.proven else self.proven).drop_slot(gathering.peer, gathering.slot)
        shelf.put(gathering, self.clock.now)

    def grow(self, gathering: Kept, octets: int) -> None:
        """More of it came: it is heavier, and lasts anew."""
        shelf = self.shelf_of(gathering)
        shelf.touch(gathering, self.clock.now)
        shelf.grow(gathering, octets)

    def drop(self, gathering: Kept) -> None:
        if not gathering.over:
            self.shelf_of(gathering).drop(gathering)

    def shelf_of(self, gathering: Kept) -> Shelf:
        """The one on which it stands: the peer may have been proven after it was begun."""
        return self.proven if self.proven.find(gathering.peer, gathering.slot) is gathering else self.unproven

    def too_large(self) -> Message:
        """RFC 7959 section 2.9.3: with the size that would do."""
        size = (option.SIZE1, uint_value(self.settings.body))
        return Message(codes.REQUEST_ENTITY_TOO_LARGE, (size,), b"The body is larger than is taken.")

    # Block1. ----------------------------------------------------------------------------------------

    def take(self, exchange: Exchange, number: int, more: bool, exponent: int) -> Message | None:
        """The whole request if this was the last block; else None, and the exchange is answered."""
        request = exchange.request
        octets = len(request.payload)
        size = block_size(exponent)
        if exponent == BERT:
            fits = not more or (octets > 0 and octets % size == 0)
        else:
            fits = octets == size or (octets < size and not more)
        if not fits:
            exchange.respond(WRONG_LENGTH)
            return None
        offset = number * size
        peer = exchange.peer
        slot = (exchange.party, gathering_key(request))
        kept = self.find(peer, slot)
        if max(offset + octets, request.uint(option.SIZE1)) > self.settings.body:
            if kept is not None:
                self.drop(kept)
            exchange.respond(self.too_large())
            return None
        if number == 0:
            if not more:
                if kept is not None:
                    self.drop(kept)
                return whole_request(request, request.payload)
            kept = _InOrder(peer, slot)
            self.put(kept)
        if not isinstance(kept, _InOrder):
            exchange.respond(_NOT_BEGUN)
            return None
        data = kept.data
        if offset < len(data) and more and data[offset : offset + octets] == request.payload:
            self._go_on(exchange, number, exponent)  # said again, as the answer was lost
            return None
        if offset != len(data):
            exchange.respond(_NOT_NEXT)
            return None
        data += request.payload
        if more:
            self.grow(kept, octets)
            self._go_on(exchange, number, exponent)
            return None
        self.drop(kept)
        return whole_request(request, bytes(data))

    def _go_on(self, exchange: Exchange, number: int, exponent: int) -> None:
        """2.31, with the block size that is preferred here, if it is smaller (RFC 7959 section 2.5)."""
        peer = exchange.peer
        value = write_block(number, True, exponent if peer.reliable else min(exponent, peer.block))
        exchange.respond(Message(codes.CONTINUE, ((option.BLOCK1, value),)))

    # Of all of them. --------------------------------------------------------------------------------

    def forget(self, peer: Peer) -> None:
        self.proven.forget(peer)
        self.unproven.forget(peer)

    def next_timeout(self) -> float:
        return min(self.proven.next_timeout(), self.unproven.next_timeout())

    def handle_timeout(self, now: float) -> None:
        self.proven.handle_timeout(now)
        self.unproven.handle_timeout(now)


def whole_request(last: Message, body: bytes) -> Message:
    """As if it had come in one message."""
    options = without(last.options, _NOT_OF_THE_BODY)
    return Message(last.code, options, body, last.token, last.type, last.message_id)
