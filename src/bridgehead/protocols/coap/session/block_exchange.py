"""The way back of a request through block-wise transfer: what is too large for one message is cut."""

from __future__ import annotations

from typing import Final

from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import block_size, write_block
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.alarms import Alarms
from bridgehead.protocols.coap.session.block_bodies import Bodies, Body, Said
from bridgehead.protocols.coap.session.block_parts import (
    PROTECTION,
    added,
    best_exponent,
    chunk_size,
    part,
    room_on_stream,
    with_etag,
)
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.contract import Exchange, Peer, Watcher
from bridgehead.protocols.coap.session.fetching import Fetching
from bridgehead.protocols.coap.session.robust_answers import BEYOND, RobustAnswers

ANYTHING: Final = -1
_LARGEST_BLOCK: Final = 1024


class Plan:
    """What a request says of its answer. `echo` is the value of Block1 that it repeats. `exponent` is the block size
    that the client wants at most, in `number`'s unit too; ANYTHING: it says nothing of blocks. `robust`: by Q-Block2;
    `missing` then are the single blocks that are asked for, if they are."""

    def __init__(self, echo: bytes | None, exponent: int, number: int, robust: bool, missing: list[int]) -> None:
        self.echo: Final = echo
        self.exponent: Final = exponent
        self.number: Final = number
        self.robust: Final = robust
        self.missing: Final = missing


class Cutter:
    """Cuts answers. `outside`: it cuts what OSCORE has protected, which the inner one has cut already, so that only a
    proxy's wish is a reason (RFC 8613 section 4.1.3.4)."""

    def __init__(
        self,
        bodies: Bodies,
        robust: RobustAnswers,
        clock: Clock,
        settings: BlockSettings,
        alarms: Alarms,
        outside: bool,
    ) -> None:
        self.bodies: Final = bodies
        self._clock: Final = clock
        self._alarms: Final = alarms
        self._patience: Final = settings.fetch_patience
        self._robust: Final = robust
        self._outside: Final = outside
        self._noted: Message | None = None  # the notification that was cut last, and its first block
        self._noted_exponent = 0
        self._noted_part: Message | None = None

    def fits(self, peer: Peer, response: Message, plan: Plan | None) -> bool:
        """Whether it goes in one message, and nothing was said of blocks."""
        if plan is not None and (plan.exponent != ANYTHING or plan.robust):
            return False
        octets = len(response.payload)
        if not peer.reliable:
            return self._outside or octets <= block_size(peer.block)
        room = room_on_stream(peer, response)
        return octets <= (room + PROTECTION if self._outside else room)

    def answer(self, way: Exchange, request: Message, response: Message, plan: Plan | None) -> None:
        """`response` is whole; it is cut as `plan` says."""
        if response.has(option.BLOCK2) or response.has(option.Q_BLOCK2):  # whoever made it cuts by itself
            way.respond(response)
            return
        peer = way.peer
        if plan is not None and plan.robust:
            if codes.is_success(response.code):
                body = self.bodies.keep(peer, way.party, request, response)
                self._serve_robust(way, body, with_etag(response), plan)
            else:
                way.respond(response)
            return
        room = room_on_stream(peer, response)
        wanted = ANYTHING if plan is None else plan.exponent
        exponent = best_exponent(peer, wanted, room)
        chunk = chunk_size(exponent, room)
        offset = 0
        if plan is not None and plan.number and response.payload and codes.is_success(response.code):
            offset = plan.number * block_size(plan.exponent)
        if offset or len(response.payload) > chunk:
            self.bodies.keep(peer, way.party, request, response)
            way.respond(_block(with_etag(response), exponent, chunk, offset))
            return
        if wanted != ANYTHING and codes.is_success(response.code) and response.payload:
            response = added(response, [(option.BLOCK2, write_block(0, False, exponent))], response.payload)
        way.respond(response)

    def serve(self, way: Exchange, body: Body, plan: Plan) -> None:
        """From a body that is there already, what `plan` asks for."""
        if plan.robust:
            self._serve_robust(way, body, body.whole, plan)
            return
        room = room_on_stream(way.peer, body.whole)
        exponent = best_exponent(way.peer, plan.exponent, room)
        chunk = chunk_size(exponent, room)
        request = way.request
        before = body.before
        if before is not None and before.is_for(request):
            way.respond(before.response)
            return
        offset = plan.number * block_size(plan.exponent)
        block = _block(body.whole, exponent, chunk, offset)
        if body.fetching is None or block is BEYOND:
            way.respond(block)
            return
        last = offset + chunk >= len(body.whole.payload)
        if last and not way.peer.reliable:  # a stream loses nothing, and has no Message IDs
            body.last = Said(request, block)
        body.fetching.answer(way, block, last)

    def _serve_robust(self, way: Exchange, body: Body, whole: Message, plan: Plan) -> None:
        exponent = best_exponent(way.peer, plan.exponent, 0)
        finer = plan.exponent - exponent  # blocks are smaller than the client counted, by that power of two
        if plan.missing:
            missing = [(each << finer) + at for each in plan.missing for at in range(1 << finer)]
            self._robust.answer_missing(way, body, exponent, missing)
        elif plan.number:
            self._robust.proceed(way, body, exponent, plan.number << finer)
        else:
            self._robust.answer(way, body, whole, exponent)

    def notify(
        self,
        way: Exchange,
        request: Message,
        response: Message,
        plan: Plan | None,
        confirmable: bool,
        watcher: Watcher | None,
        number: int,
        observed: BlockExchange,
    ) -> bool:
        """A notification has the first block; the client fetches the others (RFC 7959 section 2.6). `observed` is the
        exchange that it belongs to, whose other side `way` is. It is a success."""
        if plan is not None and plan.robust:
            body = self.bodies.keep(way.peer, way.party, request, response)
            exponent = best_exponent(way.peer, plan.exponent, 0)
            whole = with_etag(response)
            return self._robust.notify(way, body, whole, exponent, confirmable, watcher, number)
        wanted = ANYTHING if plan is None else plan.exponent
        room = room_on_stream(way.peer, response)
        exponent = best_exponent(way.peer, wanted, room)
        chunk = chunk_size(exponent, room)
        if len(response.payload) <= chunk or response.has(option.BLOCK2):
            return way.notify(response, confirmable, watcher, number)
        peer, party = way.peer, way.party
        fetching: Fetching | None = None
        if confirmable and watcher is not None:
            if self.bodies.is_fetched(peer, party, request):
                return False
            fetching = Fetching(watcher, number, self._clock, self._alarms, self._patience)
            self.bodies.keep(peer, party, request, response).fetching = fetching
            observed.fetching = fetching
            watcher = fetching
        else:
            self.bodies.keep(peer, party, request, response)
        if response is not self._noted or exponent != self._noted_exponent or way.peer.reliable:
            whole = with_etag(response)
            self._noted = response
            self._noted_exponent = exponent
            self._noted_part = part(whole, option.BLOCK2, 0, exponent, chunk, True)
        first = self._noted_part
        if first is not None and way.notify(first, confirmable, watcher, number):
            return True
        if fetching is not None:
            fetching.over = True
        return False


def _block(whole: Message, exponent: int, chunk: int, offset: int) -> Message:
    if offset and offset >= len(whole.payload):
        return BEYOND
    return part(whole, option.BLOCK2, offset // block_size(exponent), exponent, chunk, offset == 0)


class BlockExchange(Exchange):
    """A request that is whole. `outer` is the one by which it, or its last block, came."""

    def __init__(self, outer: Exchange, request: Message, cutter: Cutter, plan: Plan | None) -> None:
        super().__init__(outer.peer, outer.party, request, outer.confirmable, outer.multicast)
        self._outer: Final = outer
        self._cutter: Final = cutter
        self._plan: Final = plan
        self.fetching: Fetching | None = None

    def respond(self, response: Message) -> None:
        plan = self._plan
        cutter = self._cutter
        if plan is not None and plan.echo is not None:
            response = added(response, [(option.BLOCK1, plan.echo)], response.payload)
        if cutter.fits(self.peer, response, plan):
            self._outer.respond(response)
        else:
            cutter.answer(self._outer, self.request, response, plan)

    def silence(self) -> None:
        self._outer.silence()

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        if response.code >= codes.BAD_REQUEST:
            # It is the last one (RFC 7641 section 4.2), and says perhaps that a permission was withdrawn.
            self._cutter.bodies.drop(self.peer, self.party, self.request)
            return self._outer.notify(response, confirmable, watcher, number)
        fetching = self.fetching
        if fetching is not None and confirmable:
            if not fetching.over:
                return False  # a client may leave an older state half fetched for a newer one
            self.fetching = None
        if self._cutter.fits(self.peer, response, self._plan):
            return self._outer.notify(response, confirmable, watcher, number)
        return self._cutter.notify(self._outer, self.request, response, self._plan, confirmable, watcher, number, self)

    def ended(self) -> None:
        self._outer.ended()
