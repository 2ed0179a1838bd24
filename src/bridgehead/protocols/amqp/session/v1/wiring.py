"""What the sessions and links of one connection share."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.protocols.amqp.session.v1.contract import IncomingDelivery, Link, Peer
from bridgehead.protocols.amqp.session.v1.transactions import Transactions
from bridgehead.protocols.amqp.session.v1.waiting import Waitings
from bridgehead.wire.outbox import Outbox

PATIENCE: Final = 0.1  # seconds that a sender has to settle where it does not matter whether it does


class Turning:
    """What collects during a turn and is told when the turn ends: sessions."""

    def __init__(self) -> None:
        self.is_touched = False

    def end_turn(self) -> None:
        """Write what was collected: dispositions in ranges, credit and windows."""
        raise NotImplementedError


class Expected:
    """A delivery that its sender is to settle until `due`."""

    def __init__(self, due: float, delivery: IncomingDelivery) -> None:
        self.due: Final = due
        self.delivery: Final = delivery


class Wiring:
    """`max_frame_size` is the largest frame that the peer takes. A turn is one `receive`, one commit or one timeout of
    the connection: what sessions collect in it is written at its end."""

    def __init__(self, peer: Peer, max_frame_size: int) -> None:
        self.peer: Final = peer
        self.outbox: Final[Outbox] = peer.outbox
        self.max_frame_size: Final = max_frame_size
        self.waitings: Final = Waitings()
        # By direction and name: attached again by the same container, the earlier one is stolen (2.6.1).
        self.links: Final[dict[str, Link]] = {}
        self.transactions: Final = Transactions(peer, self.waitings, self.links)
        self.link_count = 0
        self.partial_octets = 0  # of messages that have not arrived whole
        self.starved = False  # a link had something to send, and no room in the outbox
        self._expected: deque[Expected] | None = None  # in the order of `due`
        self.is_sooner = False  # the next of them is due before anything else may be
        self._in_turn = False
        self._touched: list[Turning] = []

    def touch(self, session: Turning) -> None:
        """The session has something to write at the end of the turn; at once when there is no turn."""
        if session.is_touched:
            return
        if not self._in_turn:
            session.end_turn()
            return
        session.is_touched = True
        self._touched.append(session)

    def begin_turn(self) -> None:
        self._in_turn = True

    def end_turn(self) -> None:
        # What is written now may touch once more: sources send when they are settled.
        while self._touched:
            touched = self._touched
            self._touched = []
            for session in touched:
                session.is_touched = False
                session.end_turn()
        self._in_turn = False

    def expect(self, delivery: IncomingDelivery) -> None:
        """The sender is to settle it within PATIENCE."""
        if self._expected is None:
            self._expected = deque()
            self.is_sooner = True
        self._expected.append(Expected(self.peer.broker.clock.now + PATIENCE, delivery))

    def next_expected(self) -> float:
        """When the next of them is due, NEVER for none."""
        return self._expected[0].due if self._expected else NEVER

    def overdue(self) -> list[IncomingDelivery]:
        """Those whose time is over."""
        found: list[IncomingDelivery] = []
        now = self.peer.broker.clock.now
        expected = self._expected
        while expected and expected[0].due <= now:
            found.append(expected.popleft().delivery)
        if not expected:
            self._expected = None
        return found

    def is_congested(self) -> bool:
        """Whether senders get no new credit: too much waits for the store."""
        peer = self.peer
        return self.waitings.count > peer.config.unsettled or (
            self.waitings.count > 0 and peer.broker.journal.is_behind()
        )
