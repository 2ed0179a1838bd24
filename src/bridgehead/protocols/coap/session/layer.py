"""What the message layers of all peers share: the first handler, the times, the ceilings, chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker.counters import Counters
from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.codec.encode import body
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.alarms import Alarms, Line, Timed
from bridgehead.protocols.coap.session.contract import Handler
from bridgehead.protocols.coap.session.settings import CoapSettings


class MessageLayer:
    """One for a server, whatever transports it serves. `jitter` gives numbers from 0 up to, not including, 1 by chance.

    `handle_timeout(now)` is to be called at `next_timeout()`; both are about the message layers alone: the handlers
    have their own (Handler.next_timeout).
    """

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        settings: CoapSettings,
        jitter: Callable[[], float],
        counters: Counters,
    ) -> None:
        self.handler: Final = handler
        self.clock: Final = clock
        self.settings: Final = settings
        self.jitter: Final = jitter
        self.counters: Final = counters
        self.remembered = 0  # octets of answers that are kept for duplicates, of all peers
        self.group_answers = 0  # that wait for their leisure
        self.acknowledging: Final = Line(settings.separate_after)
        self.purging: Final = Line(settings.exchange_lifetime)
        self._alarms: Final = Alarms()
        self._last: Message | None = None
        self._tail = b""

    def at(self, when: float, timed: Timed) -> None:
        """Let it be due then."""
        self._alarms.at(when, timed)

    def next_timeout(self) -> float:
        return min(self._alarms.next_timeout(), self.acknowledging.next_timeout(), self.purging.next_timeout())

    def handle_timeout(self, now: float) -> None:
        self.acknowledging.handle_timeout(now)
        self._alarms.handle_timeout(now)
        self.purging.handle_timeout(now)

    def tail(self, message: Message) -> bytes:
        """Options and payload as octets. A message that goes to many is encoded once: the same object is known again
        as long as no other came between."""
        if message is not self._last:
            self._tail = body(message.options, message.payload)
            self._last = message
        return self._tail
