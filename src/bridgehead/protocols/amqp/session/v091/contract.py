"""What the parts of an AMQP 0-9-1 connection know of one another: the connection's side, as its channels see it."""

from __future__ import annotations

from typing import Final

from pamqp import base

from bridgehead.broker.broker import Broker
from bridgehead.core.message import Origin
from bridgehead.core.policy import Principal
from bridgehead.core.session import Receiver
from bridgehead.protocols.amqp.codec.v091.methods import method_frame
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.v091.vhost import Vhost
from bridgehead.wire.outbox import Outbox


class Peer:
    """Who is at the other end. `principal` is another object after a secret was updated: don't keep it. `frame_max` as
    it was tuned. `cancels`: it wants to hear of consumers that the hub cancelled.

    Counted over all channels, for their ceilings: `consumers`; `coming`, octets of contents that have begun and are not
    whole; `held`, octets of answers that wait for a commit; `later`, answers that are found after one, while nothing
    more is taken; `transactions` that hold something."""

    def __init__(
        self,
        broker: Broker,
        config: AmqpConfig,
        outbox: Outbox,
        vhost: Vhost,
        principal: Principal,
        origin: Origin,
        receiver: Receiver,
        serial: str,
        frame_max: int,
        cancels: bool,
    ) -> None:
        self.broker: Final = broker
        self.config: Final = config
        self.outbox: Final = outbox
        self.vhost: Final = vhost
        self.principal: Principal = principal
        self.origin: Final = origin
        self.receiver: Final = receiver
        self.serial: Final = serial
        self.frame_max: Final = frame_max
        self.cancels: Final = cancels
        self.consumers = 0
        self.coming = 0
        self.held = 0
        self.later = 0
        self.transactions = 0


class Later:
    """An answer that is found when its turn has come."""

    def answer(self) -> None:
        """Says it, and nothing that waits for another commit. Raises V091Error."""
        raise NotImplementedError


class Answers:
    """Answers of one channel, in their order: one that says that something lasts waits for its commit, and those after
    it with it."""

    def __init__(self, peer: Peer, channel: int) -> None:
        self._peer: Final = peer
        self._channel: Final = channel
        self._held: list[tuple[int, bytes, Later | None]] = []

    def __len__(self) -> int:
        return len(self._held)

    def say(self, method: base.Frame) -> None:
        """At once, unless one before it is held."""
        self._put(0, method)

    def lasting(self, method: base.Frame) -> None:
        """When everything that was written up to now lasts."""
        self._put(self._peer.broker.journal.wait(self._peer.receiver), method)

    def say_octets(self, octets: bytes) -> None:
        """As `say`, for frames that are made already."""
        self._put_octets(0, octets)

    def lasting_octets(self, octets: bytes) -> None:
        """As `lasting`, for a frame that is made already."""
        self._put_octets(self._peer.broker.journal.wait(self._peer.receiver), octets)

    def find(self, answer: Later, ticket: int) -> None:
        """When commit `ticket` has ended, and what is held before it is said. Nothing else is taken of the peer until
        then: its answers would be without bound."""
        self._held.append((ticket, b"", answer))
        self._peer.later += 1

    def _put(self, ticket: int, method: base.Frame) -> None:
        self._put_octets(ticket, method_frame(self._channel, method))

    def _put_octets(self, ticket: int, octets: bytes) -> None:
        if self._held or ticket > self._peer.broker.journal.durable:
            self._held.append((ticket, octets, None))
            self._peer.held += len(octets)
        else:
            self._peer.outbox.write(octets)

    def flush(self, durable: int) -> None:
        """Raises V091Error, of an answer that was to be found."""
        held = self._held
        self._held = []  # what is found now goes out before what is behind it
        count = 0
        try:
            for ticket, octets, later in held:
                if ticket > durable:
                    break
                count += 1
                if later is None:
                    self._peer.outbox.write(octets)
                    self._peer.held -= len(octets)
                else:
                    self._peer.later -= 1
                    later.answer()
        finally:
            self._held = held[count:]

    def waits_for(self, ticket: int) -> bool:
        for held, _, _ in self._held:
            if held == ticket:
                return True
        return False

    def clear(self) -> None:
        for _, octets, later in self._held:
            self._peer.held -= len(octets)
            if later is not None:
                self._peer.later -= 1
        self._held = []
