"""Exactly once for senders (both settle modes unsettled and second, 2.6.12 and 2.6.13): the delivery-tags that were
taken and that their sender has not settled yet. They are kept in a session of the hub, which lasts as long as the
target's terminus, and belongs to the identity."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.undoing import ForgetReceived
from bridgehead.core.errors import BUSY, LocalMisuse
from bridgehead.core.message import Message, Origin
from bridgehead.core.session import NO_CREDIT, Delivery, Receiver, Session
from bridgehead.core.session import Target as HubTarget
from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.codec.v1.errors import STOLEN, UNAUTHORIZED_ACCESS
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Target as TargetValue
from bridgehead.protocols.amqp.session.v1.contract import IncomingLink, terminus_key

_NEVER: Final = "never"
_ALWAYS: Final = 1e9  # seconds: the hub's own limit is in force then


class OnceReceiver(Receiver):
    """The connected end of the session of tags. Nothing is delivered by it."""

    def __init__(self, keeper: OnceKeeper) -> None:
        self._keeper: Final = keeper

    def transmit(self, message: Message, target: HubTarget) -> None:
        raise LocalMisuse("a session of delivery-tags has no subscriptions")

    def offer(self, delivery: Delivery) -> int:
        return NO_CREDIT

    def pump(self) -> None:
        """Nothing waits in this session."""

    def committed(self, ticket: int) -> None:
        """The connection's own receiver is told."""

    def not_committed(self, ticket: int, retry: int) -> None:
        """As committed."""

    def dismiss(self, meaning: str, because: str) -> None:
        self._keeper.dismissed(meaning, because)


class OnceKeeper:
    """`ticket`: what the terminus is kept with, for the attach to wait for."""

    def __init__(self, link: IncomingLink, interval: float) -> None:
        peer = link.peer
        self._link: Final = link
        self._receiver: Final = OnceReceiver(self)
        client_id = terminus_key("amqp-from", peer.container_id, link.name)
        known = peer.origin
        origin = Origin(known.principal, known.protocol, known.verified, client_id, known.address)
        self._gone = False
        # Another connection of the identity with the same container and link name loses its link (2.6.1).
        self._session: Final[Session] = peer.broker.sessions.attach(
            peer.principal, origin, False, interval, None, self._receiver
        )[0]
        self.ticket: Final[int] = peer.broker.door.settled(self._session, peer.receiver)

    @property
    def lasts(self) -> bool:
        """Whether it outlives the link."""
        return self._session.expiry_interval > 0

    @property
    def seconds(self) -> int:
        """How long, after the link's end."""
        return int(min(self._session.expiry_interval, 4_294_967_295))

    def tags(self) -> dict[bytes, DeliveryState | None]:
        """What was taken and is not settled by its sender, with our outcome."""
        received = self._session.received
        if not received:
            return {}
        return {_tag(identifier): ACCEPTED for identifier in received}

    def known(self, tag: bytes) -> int:
        """The ticket that the first attempt waits for (0: it lasts), -1 for a tag that is new."""
        received = self._session.received
        if received is None:
            return -1
        kept = received.get(_identifier(tag))
        if kept is None:
            return -1
        peer = self._link.peer
        return peer.broker.journal.wait_for(peer.receiver, kept)

    def to_topic(self, message: Message, tag: bytes) -> int:
        """The ticket, 0 for none. Errors: Refusal."""
        peer = self._link.peer
        return max(peer.broker.door.publish_once(self._session, message, _identifier(tag), peer.receiver), 0)

    def remember(self, tag: bytes, ticket: int) -> int:
        """A queue has taken the message with this ticket: its tag is kept in the same batch."""
        session = self._session
        peer = self._link.peer
        journal = peer.broker.journal
        identifier = _identifier(tag)
        if session.received is None:
            session.received = {}
        if session.log:
            ticket = journal.put_received(session, identifier)
            journal.wait(peer.receiver)
        session.received[identifier] = ticket
        if ticket > 0:
            journal.undo_with(ForgetReceived(session, identifier))
        return ticket

    def release(self, tag: bytes) -> None:
        """The sender has settled: it knows, and the tag is free."""
        peer = self._link.peer
        peer.broker.door.release(self._session, _identifier(tag), peer.receiver)

    def renewed(self) -> None:
        self._session.principal = self._link.peer.principal

    def dismissed(self, meaning: str, because: str) -> None:
        if self._gone:
            return
        broker = self._link.peer.broker
        if meaning == BUSY:
            self.suspended()
            self._link.detach(STOLEN, because)
        else:
            # The identity's right has ended: what its sessions keep is not ours to end.
            self._gone = True
            broker.sessions.detach(self._session, self._receiver, False)
            self._link.detach(UNAUTHORIZED_ACCESS, because)

    def suspended(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._link.peer.broker.sessions.detach(self._session, self._receiver, False)

    def closed(self) -> None:
        """The terminus is given up, and with it what is not settled (2.6.6)."""
        if self._gone:
            return
        self._gone = True
        sessions = self._link.peer.broker.sessions
        sessions.detach(self._session, self._receiver, False)
        sessions.end(self._session, "the link was closed")


def keeper_for(link: IncomingLink, target: TargetValue) -> OnceKeeper:
    """The terminus of the link as long as its expiry-policy says (3.5.4). Errors: Refusal, where the identity has too
    many sessions."""
    interval = _ALWAYS if target.expiry_policy == _NEVER else float(target.timeout)
    link.lasts = interval > 0
    return OnceKeeper(link, interval)


def _identifier(tag: bytes) -> int:
    """Injective: tags may begin with zeros."""
    return int.from_bytes(b"\x01" + tag, "big")


def _tag(identifier: int) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")[1:]
