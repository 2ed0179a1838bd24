"""What the sessions and links of one connection share."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.session.v1.contract import Link, Peer
from bridgehead.protocols.amqp.session.v1.transactions import Transactions
from bridgehead.protocols.amqp.session.v1.waiting import Waitings
from bridgehead.wire.outbox import Outbox


class Turning:
    """What collects during a turn and is told when the turn ends: sessions."""

    def __init__(self) -> None:
        self.is_touched = False

    def end_turn(self) -> None:
        """Write what was collected: dispositions in ranges, credit and windows."""
        raise NotImplementedError


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

    def is_congested(self) -> bool:
        """Whether senders get no new credit: too much waits for the store."""
        peer = self.peer
        return self.waitings.count > peer.config.unsettled or (
            self.waitings.count > 0 and peer.broker.journal.is_behind()
        )
