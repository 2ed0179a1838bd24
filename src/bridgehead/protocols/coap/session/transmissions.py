"""What the hub sends one peer of itself: confirmable messages until they are acknowledged, and which notifications a
Reset may still name (RFC 7252 sections 4.2, 4.3 and 4.7)."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.protocols.coap.session.alarms import Timed
from bridgehead.protocols.coap.session.contract import Watcher
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.way import Way


class Transmission(Timed):
    """One confirmable message under way, or waiting for NSTART."""

    def __init__(
        self, owner: Transmissions, message_id: int, data: bytes, watcher: Watcher | None, number: int
    ) -> None:
        super().__init__()
        self._owner: Final = owner
        self.message_id: Final = message_id
        self.data: Final = data
        self.watcher: Final = watcher
        self.number: Final = number
        self.timeout: float = 0.0
        self.count: int = 0

    def due(self, now: float) -> None:
        self._owner.silence(self, now)


class Transmissions:
    """One peer's. Each peer has its own run through all Message IDs, in an order of its own: whoever doesn't see the
    messages can neither acknowledge nor reset them but by guessing (RFC 7252 sections 4.4 and 11.4)."""

    def __init__(self, layer: MessageLayer, way: Way) -> None:
        self._layer: Final = layer
        self._way: Final = way
        self._message_id = int(layer.jitter() * 65536)
        self._step: Final = int(layer.jitter() * 32768) * 2 + 1
        self._flights: dict[int, Transmission] = {}
        self._queue: deque[Transmission] | None = None  # most peers never have one
        self._told: dict[int, tuple[Watcher, int]] = {}

    def idle(self) -> bool:
        return not self._flights

    def waiting(self) -> int:
        """Confirmable messages whose turn is still to come."""
        return 0 if self._queue is None else len(self._queue)

    def full(self) -> bool:
        """No further confirmable notification is taken."""
        return self.waiting() >= self._layer.settings.waiting

    def next_message_id(self) -> int:
        """One that no message under way has."""
        while True:
            self._message_id = (self._message_id + self._step) & 0xFFFF
            if self._message_id not in self._flights:
                return self._message_id

    def message_id_by_chance(self) -> int:
        """One that does not follow from those before it, for an address to which little went so far: whoever guessed
        one is not to know the next."""
        self._message_id = int(self._layer.jitter() * 65536)
        return self.next_message_id()

    def confirmable(self, message_id: int, data: bytes, watcher: Watcher | None, number: int) -> None:
        """Send it until it is acknowledged, now or when it is its turn."""
        transmission = Transmission(self, message_id, data, watcher, number)
        if len(self._flights) < self._layer.settings.nstart:
            self._launch(transmission)
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append(transmission)

    def told(self, message_id: int, watcher: Watcher, number: int) -> None:
        """A notification went that is not confirmable: a Reset of it counts, while it is remembered."""
        told = self._told
        told.pop(message_id, None)
        if len(told) >= self._layer.settings.told:
            del told[next(iter(told))]
        told[message_id] = (watcher, number)

    def acknowledged(self, message_id: int) -> None:
        """An acknowledgement came. One of a message that is not under way counts for nothing."""
        transmission = self._flights.pop(message_id, None)
        if transmission is None:
            return
        self._way.named()
        self._ended(transmission)
        if transmission.watcher is not None:
            transmission.watcher.acknowledged(transmission.number)

    def arrived(self, watcher: Watcher, number: int) -> None:
        """As acknowledged, though no acknowledgement came: it proves nothing about the address."""
        for transmission in self._flights.values():
            if transmission.watcher is watcher and transmission.number == number:
                del self._flights[transmission.message_id]
                self._ended(transmission)
                watcher.acknowledged(number)
                return

    def rejected(self, message_id: int) -> None:
        """A Reset came."""
        transmission = self._flights.pop(message_id, None)
        if transmission is not None:
            self._way.named()
            self._ended(transmission)
            if transmission.watcher is not None:
                transmission.watcher.rejected(transmission.number)
            return
        known = self._told.pop(message_id, None)
        if known is not None:
            known[0].rejected(known[1])

    def silence(self, transmission: Transmission, now: float) -> None:
        """No answer in time: send it again, or give up."""
        if transmission.count >= self._layer.settings.max_retransmit:
            self._flights.pop(transmission.message_id, None)
            self._ended(transmission)
            if transmission.watcher is not None:
                transmission.watcher.timed_out(transmission.number)
            return
        transmission.count += 1
        transmission.timeout *= 2.0
        self._layer.at(now + transmission.timeout, transmission)
        self._way.send(transmission.data)

    def end(self) -> None:
        """The peer is gone: whoever watches is told."""
        lost = list(self._flights.values())
        if self._queue is not None:
            lost.extend(self._queue)
        self._flights = {}
        self._queue = None
        self._told = {}
        for transmission in lost:
            transmission.over = True
        for transmission in lost:
            if transmission.watcher is not None:
                transmission.watcher.timed_out(transmission.number)

    def _launch(self, transmission: Transmission) -> None:
        layer = self._layer
        settings = layer.settings
        self._flights[transmission.message_id] = transmission
        spread = settings.ack_random_factor - 1.0
        transmission.timeout = settings.ack_timeout * (1.0 + layer.jitter() * spread)
        layer.at(layer.clock.now + transmission.timeout, transmission)
        self._way.send(transmission.data)

    def _ended(self, transmission: Transmission) -> None:
        transmission.over = True
        queue = self._queue
        while queue and len(self._flights) < self._layer.settings.nstart:
            self._launch(queue.popleft())
