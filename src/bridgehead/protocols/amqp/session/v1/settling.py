"""Dispositions of one end of a session, joined to ranges: one frame for all that have the same state (2.7.6)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.codec.v1.encode import encode
from bridgehead.protocols.amqp.codec.v1.hot import ACCEPTED_STATE, NO_STATE, RELEASED_STATE, encode_disposition
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, RELEASED
from bridgehead.protocols.amqp.session.v1.serial import MASK
from bridgehead.wire.outbox import Outbox


def state_octets(state: DeliveryState | None) -> bytes:
    if state is None:
        return NO_STATE
    if state is ACCEPTED:
        return ACCEPTED_STATE
    if state is RELEASED:
        return RELEASED_STATE
    return encode(state)


class Settling:
    """`role` is ours: True where we receive. One range is open at a time; `flush` writes it."""

    def __init__(self, outbox: Outbox, channel: int, role: bool) -> None:
        self._outbox: Final = outbox
        self._channel: Final = channel
        self._role: Final = role
        self._open = False
        self._first = 0
        self._last = 0
        self._settled = False
        self._state: DeliveryState | None = None

    @property
    def waits(self) -> bool:
        return self._open

    def add(self, delivery_id: int, state: DeliveryState | None, settled: bool) -> None:
        if self._open:
            if delivery_id == (self._last + 1) & MASK and settled == self._settled and state is self._state:
                self._last = delivery_id
                return
            self.flush()
        self._open = True
        self._first = delivery_id
        self._last = delivery_id
        self._settled = settled
        self._state = state

    def add_range(self, first: int, last: int, state: DeliveryState | None, settled: bool) -> None:
        self.add(first, state, settled)
        self._last = last

    def flush(self) -> None:
        if not self._open:
            return
        self._open = False
        state = self._state
        self._state = None
        self._outbox.write(
            encode_disposition(self._channel, self._role, self._first, self._last, self._settled, state_octets(state))
        )
