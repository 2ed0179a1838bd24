"""Block-wise transfer both ways: RFC 7959, over reliable transports RFC 8323 section 6, robust RFC 9177.

Whoever comes after it sees whole requests and gives whole answers. It stands twice in a chain: the outer one deals
with what carries the OSCORE option alone, the inner one with what OSCORE has opened and with everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import Block, read_block, write_block
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message
from bridgehead.protocols.coap.session.alarms import Alarms
from bridgehead.protocols.coap.session.block_bodies import Bodies
from bridgehead.protocols.coap.session.block_exchange import ANYTHING, BlockExchange, Cutter, Plan
from bridgehead.protocols.coap.session.block_parts import without
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Peer
from bridgehead.protocols.coap.session.gathering import Gatherings
from bridgehead.protocols.coap.session.robust_answers import RobustAnswers
from bridgehead.protocols.coap.session.robust_requests import RobustRequests
from bridgehead.wire.errors import Malformed, Violation

_NONE: Final[list[int]] = []
_ANSWER_OPTIONS: Final = frozenset((option.BLOCK2, option.Q_BLOCK2, option.SIZE2))
_REST_OPTIONS: Final = _ANSWER_OPTIONS | {option.OBSERVE}
_GONE: Final = Message(
    codes.REQUEST_ENTITY_INCOMPLETE, NO_OPTIONS, b"The answer is not kept any more: make the request again."
)


class _Asked:
    """What a request says of blocks, its own and its answer's. `robust`: by Q-Block1 and Q-Block2."""

    def __init__(self, block1: Block | None, plan: Plan | None, robust: bool) -> None:
        self.block1: Final = block1
        self.plan: Final = plan
        self.robust: Final = robust


class Blockwise(Handler):
    """`jitter` gives numbers from 0 up to, not including, 1 by chance. `outside`: it is the outer one."""

    def __init__(
        self,
        inner: Handler,
        clock: Clock,
        settings: BlockSettings,
        jitter: Callable[[], float],
        outside: bool = False,
    ) -> None:
        self._inner: Final = inner
        self._outside: Final = outside
        self._robust: Final = settings.robust
        self._max_payloads: Final = settings.max_payloads
        self._alarms: Final = Alarms()
        self._bodies: Final = Bodies(clock, settings)
        robust = RobustAnswers(clock, settings, jitter, self._alarms)
        self._cutter: Final = Cutter(self._bodies, robust, clock, settings, self._alarms, outside)
        self._gatherings: Final = Gatherings(clock, settings)
        self._robust_requests: Final = RobustRequests(self._gatherings, self._alarms)

    def handle(self, exchange: Exchange) -> None:
        protected = not self._outside
        blocks = False
        for number, _ in exchange.request.options:
            if number == option.OSCORE:
                protected = True
            elif number in (option.BLOCK2, option.BLOCK1, option.Q_BLOCK1, option.Q_BLOCK2):
                blocks = True
        if not protected:
            self._inner.handle(exchange)
        elif not blocks:
            self._inner.handle(BlockExchange(exchange, exchange.request, self._cutter, None))
        else:
            self._blockwise(exchange)

    def _blockwise(self, exchange: Exchange) -> None:
        try:
            asked = self._read(exchange)
        except Malformed as error:
            if error.code == codes.BAD_OPTION and not exchange.confirmable:
                exchange.silence()  # RFC 7252 section 5.4.1: 4.02 is for Confirmable requests; others are ignored
            else:
                exchange.respond(Message(error.code, NO_OPTIONS, error.text.encode()))
            return
        except Violation as mixed:  # another name: compiled, one has one type
            exchange.respond(Message(mixed.code, NO_OPTIONS, mixed.text.encode()))
            return
        plan = asked.plan
        block1 = asked.block1
        if exchange.multicast and (asked.robust or block1 is not None):
            # RFC 7959 section 2.8 knows Block2 alone with groups; RFC 9177 section 4.8 has the others ignored.
            exchange.silence()
        elif block1 is None:
            if plan is not None:
                self._fetch(exchange, plan)
        elif asked.robust:
            whole = self._robust_requests.take(exchange, block1[0], block1[1], block1[2])
            if whole is not None:
                self._hand_on(self._robust_requests.finish(exchange), whole, plan)
        else:
            whole = self._gatherings.take(exchange, block1[0], block1[1], block1[2])
            if whole is not None:
                echo = write_block(block1[0], False, block1[2])
                wanted = ANYTHING if plan is None else plan.exponent
                self._hand_on(exchange, whole, Plan(echo, wanted, 0, False, _NONE))

    def _read(self, exchange: Exchange) -> _Asked:
        """Errors: Malformed and Violation with the code of the answer."""
        request = exchange.request
        robust = request.has(option.Q_BLOCK1) or request.has(option.Q_BLOCK2)
        if robust:
            if exchange.peer.reliable or not self._robust:
                # RFC 9177 section 3.2: they are meant for datagrams; elsewhere they count as unknown.
                raise Malformed("Q-Block1 and Q-Block2 are not understood here", codes.BAD_OPTION, -1, "RFC9177-4.1")
            if request.has(option.BLOCK1) or request.has(option.BLOCK2):
                raise Violation("Block and Q-Block are not mixed", codes.BAD_OPTION, -1, "RFC9177-4.1")
            plan = self._robust_plan(request)
            block1 = self._one(exchange, option.Q_BLOCK1)
        else:
            block1 = self._one(exchange, option.BLOCK1)
            block2 = self._one(exchange, option.BLOCK2)
            plan = None if block2 is None else Plan(None, block2[2], block2[0], False, _NONE)
        if block1 is not None and plan is not None and (plan.number or plan.missing):
            # RFC 7959 section 2.7: nothing of the answer is there before the request is whole.
            raise Malformed(
                "nothing of the answer is there yet: ask from block 0", codes.BAD_REQUEST, -1, "RFC7959-2.7"
            )
        return _Asked(block1, plan, robust)

    def _robust_plan(self, request: Message) -> Plan | None:
        """What the Q-Block2 options ask for: all that follows, or single blocks (RFC 9177 section 4.4)."""
        values = request.all(option.Q_BLOCK2)
        if not values:
            return None
        most = self._max_payloads
        number, more, exponent = read_block(values[0])
        if more and len(values) == 1 and number % most == 0:
            return Plan(None, exponent, number, True, _NONE)
        missing: list[int] = []
        before = -1
        for value in values:
            number, more, of_this = read_block(value)
            if number <= before or of_this != exponent:
                text = "Q-Block2 options are of one size and in ascending order"
                raise Malformed(text, codes.BAD_REQUEST, -1, "RFC9177-4.4")
            before = number
            end = (number // most + 1) * most if more else number + 1
            for block in range(number, end):
                if not missing or block > missing[-1]:  # what two of them ask for goes once
                    missing.append(block)
        return Plan(None, exponent, 0, True, missing)

    def _one(self, exchange: Exchange, number: int) -> Block | None:
        """The option's value, if it is there. Twice it is an unknown critical option (RFC 7252 section 5.4.5)."""
        values = exchange.request.all(number)
        if not values:
            return None
        if len(values) > 1:
            raise Malformed("a Block option stands there more than once", codes.BAD_OPTION, -1, "RFC7252-5.4.5")
        return read_block(values[0], exchange.peer.reliable)

    def _fetch(self, exchange: Exchange, plan: Plan) -> None:
        """A request for an answer, or for the rest of one."""
        request = exchange.request
        if plan.number == 0 and not plan.missing:
            self._hand_on(exchange, request, plan)
            return
        body = self._bodies.find(exchange.peer, exchange.party, request)
        if body is not None:
            self._cutter.serve(exchange, body, plan)
        elif not self._outside and (request.code == codes.GET or (request.code == codes.FETCH and request.payload)):
            # It changes nothing to make it anew; the ETag tells whether it is the same (RFC 7959 section 2.4).
            self._hand_on(exchange, request, plan)
        else:
            exchange.respond(_GONE)

    def _hand_on(self, exchange: Exchange, request: Message, plan: Plan | None) -> None:
        """Without what was about blocks. Who asks for the rest of an answer asks for no observation."""
        rest = plan is not None and (plan.number != 0 or len(plan.missing) > 0)
        options = without(request.options, _REST_OPTIONS if rest else _ANSWER_OPTIONS)
        self._inner.handle(BlockExchange(exchange, request.with_options(options), self._cutter, plan))

    def forget(self, peer: Peer) -> None:
        self._gatherings.forget(peer)
        self._robust_requests.finished.forget(peer)
        self._bodies.forget(peer)
        self._inner.forget(peer)

    def next_timeout(self) -> float:
        return min(
            self._alarms.next_timeout(),
            self._gatherings.next_timeout(),
            self._robust_requests.finished.next_timeout(),
            self._bodies.next_timeout(),
            self._inner.next_timeout(),
        )

    def handle_timeout(self, now: float) -> None:
        self._alarms.handle_timeout(now)
        self._gatherings.handle_timeout(now)
        self._robust_requests.finished.handle_timeout(now)
        self._bodies.handle_timeout(now)
        self._inner.handle_timeout(now)
