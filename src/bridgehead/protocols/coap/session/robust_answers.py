"""Q-Block2: all blocks of an answer follow one request, in sets with a pause between them (RFC 9177 section 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import block_size
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message
from bridgehead.protocols.coap.session.alarms import Alarms, Timed
from bridgehead.protocols.coap.session.block_bodies import Body, Sending
from bridgehead.protocols.coap.session.block_parts import part
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.contract import Exchange, Watcher

BEYOND: Final = Message(codes.BAD_REQUEST, NO_OPTIONS, b"The body has no block of that number.")


class Burst(Sending):
    """The blocks of `whole` from `upcoming` on. `confirmable`: the request was, and so are the answers: then
    they are paced by their acknowledgements (section 7.1), else by pauses (section 7.2)."""

    def __init__(self, way: Exchange, whole: Message, exponent: int, upcoming: int, confirmable: bool) -> None:
        super().__init__()
        self.way: Final = way
        self.whole: Final = whole
        self.exponent: Final = exponent
        self.upcoming: int = upcoming
        self.end: Final = count_of(whole, exponent)
        self.confirmable: Final = confirmable
        self.pause: Timed | None = None
        self.refused: int = 0  # times in a row that the message layer took nothing
        self.due: float = 0.0  # when the next set goes by itself
        self.sent: float = 0.0  # when the last one went

    def next_part(self) -> Message:
        """The block whose turn it is."""
        return q_part(self.whole, self.upcoming, self.exponent)


class _Pause(Timed):
    """Between two sets: NON_TIMEOUT_RANDOM, unless the client says before that it goes on (section 7.2)."""

    def __init__(self, answers: RobustAnswers, burst: Burst) -> None:
        super().__init__()
        self._answers: Final = answers
        self._burst: Final = burst

    def due(self, now: float) -> None:
        self._answers.after_pause(self._burst, self, now)


class _LastOfSet(Watcher):
    """The next set goes when the last block of this one was acknowledged."""

    def __init__(self, answers: RobustAnswers, burst: Burst) -> None:
        self._answers: Final = answers
        self._burst: Final = burst

    def acknowledged(self, number: int) -> None:
        self._answers.go_on(self._burst)

    def rejected(self, number: int) -> None:
        self._burst.over = True

    def timed_out(self, number: int) -> None:
        self._burst.over = True


def count_of(whole: Message, exponent: int) -> int:
    """How many blocks the body has; one if it is empty."""
    size = block_size(exponent)
    return max(1, (len(whole.payload) + size - 1) // size)


def q_part(whole: Message, number: int, exponent: int) -> Message:
    """RFC 9177 section 4.6: Size2 is in every block, and the same."""
    return part(whole, option.Q_BLOCK2, number, exponent, block_size(exponent), True)


class RobustAnswers:
    """`jitter` gives numbers from 0 up to, not including, 1 by chance."""

    def __init__(self, clock: Clock, settings: BlockSettings, jitter: Callable[[], float], alarms: Alarms) -> None:
        self._clock: Final = clock
        self._settings: Final = settings
        self._jitter: Final = jitter
        self._alarms: Final = alarms

    def answer(self, way: Exchange, body: Body, whole: Message, exponent: int) -> None:
        """All blocks. `whole` is what is sent of `body`."""
        burst = Burst(way, whole, exponent, 0, way.confirmable)
        self._replace(body, burst)
        first = burst.next_part()
        burst.upcoming += 1
        way.respond(first)
        self._send(burst, self._set_end(0))

    def proceed(self, way: Exchange, body: Body, exponent: int, start: int) -> None:
        """The client has the sets before block `start`: the next one may go at once, and with the token of the
        request that began it (sections 4.4 and 7.2)."""
        if start >= count_of(body.whole, exponent):
            way.respond(BEYOND)
            return
        burst = body.sending
        if not isinstance(burst, Burst) or burst.exponent != exponent:
            burst = Burst(way, body.whole, exponent, start, way.confirmable)
            self._replace(body, burst)
            first = burst.next_part()
            burst.upcoming += 1
            way.respond(first)
            self._send(burst, self._set_end(start))
            return
        way.silence()
        if burst.upcoming <= start or self._clock.now - burst.sent >= self._settings.non_timeout:
            burst.over = False
            burst.upcoming = start
            self._send(burst, self._set_end(start))
        # Else the pause was over before the word came: that set has just gone.

    def answer_missing(self, way: Exchange, body: Body, exponent: int, missing: list[int]) -> None:
        """Those blocks alone, no more of them than a set has; what else is missing is asked for again."""
        count = count_of(body.whole, exponent)
        answered = False
        for number in missing[: self._settings.max_payloads]:
            if number >= count:
                continue
            block = q_part(body.whole, number, exponent)
            if answered:
                way.notify(block, way.confirmable, None, 0)
            else:
                answered = True
                way.respond(block)
        if not answered:
            way.respond(BEYOND)
            return
        burst = body.sending
        if isinstance(burst, Burst) and not burst.over:
            burst.due = self._clock.now + self._pause_time()  # section 7.2: then another pause

    def notify(
        self,
        way: Exchange,
        body: Body,
        whole: Message,
        exponent: int,
        confirmable: bool,
        watcher: Watcher | None,
        number: int,
    ) -> bool:
        """A notification. `whole` has the Observe option, and so has each of its blocks (section 4.5)."""
        burst = Burst(way, whole, exponent, 0, confirmable)
        self._replace(body, burst)
        first = burst.next_part()
        burst.upcoming += 1
        if not way.notify(first, confirmable, watcher, number):
            burst.over = True
            return False
        self._send(burst, self._set_end(0))
        return True

    def _replace(self, body: Body, burst: Burst) -> None:
        if body.sending is not None:
            body.sending.over = True
        body.sending = burst

    def go_on(self, burst: Burst) -> None:
        """The next set, or what was refused of this one."""
        if not burst.over:
            self._send(burst, self._set_end(burst.upcoming))

    def after_pause(self, burst: Burst, pause: Timed, now: float) -> None:
        """The pause is over, unless it was prolonged."""
        if now < burst.due:
            self._alarms.at(burst.due, pause)
        else:
            self.go_on(burst)

    def _set_end(self, number: int) -> int:
        """The first block after the set that `number` is in."""
        most = self._settings.max_payloads
        return (number // most + 1) * most

    def _send(self, burst: Burst, set_end: int) -> None:
        end = min(burst.end, set_end)
        burst.sent = self._clock.now
        watched = False
        while burst.upcoming < end:
            is_last = burst.upcoming == end - 1 and end < burst.end
            watcher = _LastOfSet(self, burst) if is_last and burst.confirmable else None
            if not burst.way.notify(burst.next_part(), burst.confirmable, watcher, 0):
                self._refused(burst)
                return
            burst.refused = 0
            burst.upcoming += 1
            watched = watcher is not None
        if burst.upcoming >= burst.end:
            burst.over = True
        elif not watched:
            self._pause(burst)

    def _refused(self, burst: Burst) -> None:
        """Too much waits for the peer already."""
        burst.refused += 1
        if burst.refused > self._settings.non_max_retransmit:
            burst.over = True
        else:
            self._pause(burst)

    def _pause(self, burst: Burst) -> None:
        burst.due = self._clock.now + self._pause_time()
        if burst.pause is not None:
            burst.pause.over = True
        burst.pause = _Pause(self, burst)
        self._alarms.at(burst.due, burst.pause)

    def _pause_time(self) -> float:
        """NON_TIMEOUT_RANDOM."""
        settings = self._settings
        return settings.non_timeout * (1.0 + self._jitter() * (settings.non_random_factor - 1.0))
