"""Q-Block1: the blocks of a request in any order, those that are missing asked for (RFC 9177 sections 4.3 and 7.2)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import block_size, write_block
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message, uint_value
from bridgehead.protocols.coap.codec.missing_blocks import CONTENT_FORMAT, write_missing
from bridgehead.protocols.coap.session.alarms import Alarms, Timed
from bridgehead.protocols.coap.session.block_parts import gathering_key
from bridgehead.protocols.coap.session.contract import Exchange, Peer, Watcher
from bridgehead.protocols.coap.session.gathering import WRONG_LENGTH, Gathering, Gatherings, whole_request
from bridgehead.protocols.coap.session.shelf import Kept, Shelf, Slot

_UNLABELLED: Final = Message(codes.BAD_REQUEST, NO_OPTIONS, b"Q-Block1 needs a Request-Tag and Size1.")
_OTHER_BODY: Final = Message(codes.BAD_REQUEST, NO_OPTIONS, b"Size1 and the block size stay the same in all of a body.")
_MOST_MISSING: Final = 256  # that are named at a time: the others come to light later
_MISSING_ROOM: Final = 512  # octets of that list
_BLOCK_OVERHEAD: Final = 120  # octets that a block takes beside its content


class _InSets(Gathering):
    """`last` is the exchange by whose token the peer is spoken to; `base` the first block that is missing; `asked`
    the latest set for whose sake missing blocks of earlier ones were asked for."""

    def __init__(self, peer: Peer, slot: Slot, size: int, exponent: int) -> None:
        super().__init__(peer, slot)
        self.size: Final = size
        self.exponent: Final = exponent
        self.count: Final = max(1, -(-size // block_size(exponent)))
        self.blocks: Final[dict[int, bytes]] = {}
        self.base: int = 0
        self.highest: int = 0
        self.asked: int = 0
        self.retries: int = 0
        self.heard: float = 0.0
        self.last: Exchange | None = None
        self.alarm: Timed | None = None

    def removed(self) -> None:
        super().removed()
        self.last = None
        if self.alarm is not None:
            self.alarm.over = True


class _Alarm(Timed):
    """Nothing came for a while."""

    def __init__(self, requests: RobustRequests, body: _InSets) -> None:
        super().__init__()
        self._requests: Final = requests
        self._body: Final = body

    def due(self, now: float) -> None:
        self._requests.silent(self._body, now)


class _Stopped(Watcher):
    """The client has given the body up: it rejects what it is asked (section 4.3)."""

    def __init__(self, gatherings: Gatherings, body: _InSets) -> None:
        self._gatherings: Final = gatherings
        self._body: Final = body

    def acknowledged(self, number: int) -> None:
        """It was not Confirmable."""

    def rejected(self, number: int) -> None:
        self._gatherings.drop(self._body)

    def timed_out(self, number: int) -> None:
        """The peer is gone, and so is the body."""


class Finished(Kept):
    """A body that was whole. What of it comes late, or again, is not the beginning of another. `response`: once
    there is one."""

    def __init__(self, peer: Peer, slot: Slot) -> None:
        super().__init__(peer, slot, 0)
        self.response: Message | None = None


class LastBlock(Exchange):
    """The exchange by which the body became whole: its answer is kept for who did not get it."""

    def __init__(self, outer: Exchange, finished: Finished) -> None:
        super().__init__(outer.peer, outer.party, outer.request, outer.confirmable, outer.multicast)
        self._outer: Final = outer
        self._finished: Final = finished

    def respond(self, response: Message) -> None:
        self._finished.response = response
        self._outer.respond(response)

    def silence(self) -> None:
        self._outer.silence()

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        return self._outer.notify(response, confirmable, watcher, number)

    def ended(self) -> None:
        self._outer.ended()


class RobustRequests:
    """Bodies that come by Q-Block1."""

    def __init__(self, gatherings: Gatherings, alarms: Alarms) -> None:
        self._gatherings: Final = gatherings
        self._settings: Final = gatherings.settings
        self._clock: Final = gatherings.clock
        self._alarms: Final = alarms
        settings = self._settings
        self.finished: Final = Shelf(settings.gathered_unproven, 4 * settings.bodies, settings.finished_time)

    def take(self, exchange: Exchange, number: int, more: bool, exponent: int) -> Message | None:
        """The whole request if nothing is missing any more; else None, and the exchange is done with."""
        request = exchange.request
        size = request.uint(option.SIZE1)
        if size < 0 or not request.has(option.REQUEST_TAG):
            exchange.respond(_UNLABELLED)
            return None
        if size > self._settings.body:
            exchange.respond(self._gatherings.too_large())
            return None
        unit = block_size(exponent)
        rest = size - number * unit
        if len(request.payload) != min(unit, rest) or more != (rest > unit):
            exchange.respond(WRONG_LENGTH)
            return None
        slot = (exchange.party, gathering_key(request))
        finished = self.finished.find(exchange.peer, slot)
        if isinstance(finished, Finished):
            if finished.response is None:
                exchange.silence()
            else:
                exchange.respond(finished.response)
            return None
        body = self._body(exchange, slot, size, exponent)
        return None if body is None else self._add(exchange, body, number)

    def finish(self, exchange: Exchange) -> LastBlock:
        """To be called once for each request that `take` gave."""
        finished = Finished(exchange.peer, (exchange.party, gathering_key(exchange.request)))
        self.finished.put(finished, self._clock.now)
        return LastBlock(exchange, finished)

    def _body(self, exchange: Exchange, slot: Slot, size: int, exponent: int) -> _InSets | None:
        kept = self._gatherings.find(exchange.peer, slot)
        if isinstance(kept, _InSets):
            if kept.size == size and kept.exponent == exponent:
                return kept
            exchange.respond(_OTHER_BODY)
            return None
        body = _InSets(exchange.peer, slot, size, exponent)
        body.heard = self._clock.now
        self._gatherings.put(body)
        if body.count > 1 and not exchange.confirmable:
            # Section 5: who sends Confirmable blocks learns by itself which of them did not arrive.
            body.alarm = _Alarm(self, body)
            self._alarms.at(body.heard + self._settings.non_receive_timeout, body.alarm)
        return body

    def _add(self, exchange: Exchange, body: _InSets, number: int) -> Message | None:
        request = exchange.request
        if number not in body.blocks:
            body.blocks[number] = request.payload
            body.retries = 0
            body.highest = max(body.highest, number)
            while body.base in body.blocks:
                body.base += 1
            if body.base < body.count:
                self._gatherings.grow(body, len(request.payload) + _BLOCK_OVERHEAD)
        body.heard = self._clock.now
        if body.base >= body.count:
            blocks = body.blocks
            payload = b"".join([blocks[each] for each in range(body.count)])
            self._gatherings.drop(body)
            return whole_request(request, payload)
        body.last = exchange
        exchange.silence()  # section 4.3: not each block is answered
        self._judge(exchange, body, number)
        return None

    def _judge(self, exchange: Exchange, body: _InSets, number: int) -> None:
        """Whether the peer has to be told something now."""
        most = self._settings.max_payloads
        this_set = number // most
        whole_sets = body.base // most
        if exchange.confirmable:  # sections 4.3 and 5: an acknowledgement is enough
            return
        if whole_sets > this_set:
            block = (option.Q_BLOCK1, write_block(whole_sets * most - 1, True, body.exponent))
            exchange.notify(Message(codes.CONTINUE, (block,)), False, None, 0)
        elif whole_sets < this_set and body.asked < this_set:
            # A set began before an earlier one was whole: what is missing of that was lost (section 7.2).
            body.asked = this_set
            self._ask_for(body, this_set * most)

    def silent(self, body: _InSets, now: float) -> None:
        """Look whether it is time to ask for what is missing."""
        settings = self._settings
        alarm = body.alarm
        if alarm is None:
            return
        when = body.heard + settings.non_receive_timeout * (1 << body.retries)
        if now < when:
            self._alarms.at(when, alarm)
            return
        if body.retries >= settings.non_max_retransmit:
            self._gatherings.drop(body)
            return
        most = settings.max_payloads
        end = (body.highest // most + 1) * most
        if body.base >= end:
            end += most  # nothing of the next set came at all
        self._ask_for(body, min(end, body.count))
        body.retries += 1
        body.heard = now
        self._alarms.at(now + settings.non_receive_timeout * (1 << body.retries), alarm)

    def _ask_for(self, body: _InSets, end: int) -> None:
        """Name the blocks before `end` that did not come (section 5)."""
        missing: list[int] = []
        for number in range(body.base, end):
            if number not in body.blocks:
                missing.append(number)
                if len(missing) >= _MOST_MISSING:
                    break
        last = body.last
        if last is not None and missing:
            option_ = (option.CONTENT_FORMAT, uint_value(CONTENT_FORMAT))
            payload = write_missing(missing, _MISSING_ROOM)
            response = Message(codes.REQUEST_ENTITY_INCOMPLETE, (option_,), payload)
            last.notify(response, False, _Stopped(self._gatherings, body), 0)
