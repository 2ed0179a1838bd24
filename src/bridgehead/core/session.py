"""Sessions: what the hub keeps for one identity under one name, connected or not."""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.message import Message, MessageProperties, Origin
from bridgehead.core.policy import Principal
from bridgehead.core.retained import Walk

_LEVEL: Final = 400  # octets
_SHALLOW: Final = 8  # levels, so many nodes are shared or few


class Subscription:
    """One subscription of one session. `share` is the name of the shared group, "" for none."""

    def __init__(
        self,
        session: Session,
        topic_filter: str,
        qos: int,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        identifier: int = 0,
        share: str = "",
    ) -> None:
        self.session: Final = session
        self.topic_filter: Final = topic_filter
        self.qos: Final = qos
        self.no_local: Final = no_local
        self.retain_as_published: Final = retain_as_published
        self.retain_handling: Final = retain_handling
        self.identifier: Final = identifier
        self.share: Final = share

    def with_qos(self, qos: int) -> Subscription:
        """The same with another QoS."""
        return Subscription(
            self.session,
            self.topic_filter,
            qos,
            self.no_local,
            self.retain_as_published,
            self.retain_handling,
            self.identifier,
            self.share,
        )

    @property
    def weight(self) -> int:
        """About what it takes in memory, in octets: the text, and a node of the tree for each level of a deep one."""
        deep = max(self.topic_filter.count("/") + 1 - _SHALLOW, 0)
        return 200 + 2 * len(self.topic_filter) + len(self.share) + _LEVEL * deep

    @property
    def key(self) -> str:
        """What distinguishes it from the session's others: the filter as the subscriber wrote it."""
        return f"$share/{self.share}/{self.topic_filter}" if self.share else self.topic_filter


class Target:
    """One receiver of a topic: all of a session's overlapping subscriptions, joined.

    `qos` is the highest that the subscriptions ask for and the policy permits.
    """

    def __init__(
        self, session: Session, qos: int, identifiers: tuple[int, ...], retain_as_published: bool, share: str = ""
    ) -> None:
        self.session: Final = session
        self.qos: Final = qos
        self.identifiers: Final = identifiers
        self.retain_as_published: Final = retain_as_published
        self.share: Final = share
        # The target to use instead when the message is this session's own (No Local), None when the same.
        self.without_own: Target | None = None
        self.skip_own = False


class Will:
    """What is to be published when the connection ends without a farewell (MQTT 5.0 section 3.1.2.5).

    `delay` and `expiry_interval` are in seconds; the latter counts from the publication, None for never.
    """

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: MessageProperties,
        expiry_interval: int | None,
        delay: int,
    ) -> None:
        self.topic: Final = topic
        self.payload: Final = payload
        self.qos: Final = qos
        self.retain: Final = retain
        self.properties: Final = properties
        self.expiry_interval: Final = expiry_interval
        self.delay: Final = delay


QUEUED: Final = 0
SENT: Final = 1
RELEASED: Final = 2  # exactly once: the receiver has it, it is to be told that the sender knows


# What a receiver answers to an offer.
NO_CREDIT: Final = 0
TAKEN: Final = 1
DISCARDED: Final = 2


@mypyc_attr(acyclic=True)
class Delivery:
    """One message on its way to one session, to be acknowledged."""

    def __init__(
        self, sequence: int, message: Message, qos: int, retain: bool, identifiers: tuple[int, ...], share: str
    ) -> None:
        self.sequence: Final = sequence
        self.message: Final = message
        self.qos: Final = qos
        self.retain: Final = retain
        self.identifiers: Final = identifiers
        self.share: Final = share  # the shared Topic Filter ("$share/name/filter") that chose this session, or ""
        self.state = QUEUED
        self.ticket = 0  # the journal's batch that it waits for, 0 when nothing is to be waited for
        self.again = False  # it may have been sent before (DUP)


@mypyc_attr(allow_interpreted_subclasses=True)
class Receiver:
    """The connected end of a session, made by a protocol."""

    def transmit(self, message: Message, target: Target) -> None:
        """Send at most once, or drop and count when the receiver is slow."""
        raise NotImplementedError

    def offer(self, delivery: Delivery) -> int:
        """Send at least or exactly once: TAKEN, or DISCARDED when the receiver can never take it, or
        NO_CREDIT: then it asks for more later, by Dispatcher.next_delivery."""
        raise NotImplementedError

    def pump(self) -> None:
        """The session's queue or replay may have something to send."""
        raise NotImplementedError

    def committed(self, ticket: int) -> None:
        """Everything up to the journal's batch `ticket` is durable."""
        raise NotImplementedError

    def not_committed(self, ticket: int, retry: int) -> None:
        """Batch `ticket` could not be made durable: what it should have kept is refused; what must be
        told all the same waits for batch `retry`."""
        raise NotImplementedError

    def dismiss(self, meaning: str, because: str) -> None:
        """The session goes to another connection, or its right has ended (a meaning of core/errors.py)."""
        raise NotImplementedError


class Session:
    """Subscriptions and deliveries of (principal, client identifier). Owned by the identity: another
    principal with the same client identifier has another session.

    `expiry_interval` is in seconds; 0 ends the session with its connection. `log` names the session's
    log in the store, "" while nothing of it is durable.
    """

    def __init__(self, principal: Principal, client_id: str, origin: Origin) -> None:
        # The view of the connection that it has or had last: the identity never changes, its context may.
        self.principal: Principal = principal
        self.client_id: Final = client_id
        self.origin: Origin = origin
        self.receiver: Receiver | None = None
        self.marks: tuple[str, ...] = ()  # of the credentials that proved its connection; empty: not known
        self.expiry_interval: float = 0.0
        self.expires_at: float = 0.0
        self.log = ""
        self.ended = False
        self.will: Will | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.withdrawn = ""  # what its client has not been told yet of subscriptions that it has no more
        self.next_sequence = 1
        self.queue: deque[Delivery] | None = None
        self.queued_octets = 0
        self.uncommitted = 0  # deliveries in the queue that wait for the journal
        self.overflowing = False  # the queue was full, and that was told
        self.purged_at = 0.0  # when the full queue was last looked through for what has expired
        # By sequence number, in the order of sending.
        self.in_flight: dict[int, Delivery] = {}
        self.octets_in_flight = 0
        # Exactly-once messages taken from this session and not yet released: by their identifiers, the journal's
        # batch that keeps each.
        self.received: dict[int, int] | None = None
        # By Subscription.key, in the order of subscribing.
        self.replay: dict[str, Replay] | None = None
        self.replay_steps = 0  # how far it may go on before others have their turn

    @property
    def key(self) -> str:
        """Unique among sessions: a principal's name never holds a slash."""
        return f"{self.principal.name}/{self.client_id}"

    def waiting(self) -> int:
        """Deliveries not yet sent."""
        return 0 if self.queue is None else len(self.queue)

    def hold(self, octets: int) -> None:
        """So much more waits in the queue, or less."""
        self.queued_octets += octets
        self.principal.root.queued_octets += octets

    def fly(self, delivery: Delivery) -> None:
        """The delivery is sent: it is kept until it is acknowledged."""
        self.in_flight[delivery.sequence] = delivery
        self.octets_in_flight += delivery.message.weight

    def landed(self, sequence: int) -> Delivery | None:
        """The delivery is in flight no longer; None when it was not."""
        delivery = self.in_flight.pop(sequence, None)
        if delivery is not None:
            self.octets_in_flight -= delivery.message.weight
        return delivery

    def first_unsent(self) -> int:
        """The sequence number from which on nothing was ever sent."""
        if self.queue is not None:
            for delivery in self.queue:
                if not delivery.again:
                    return delivery.sequence
        return self.next_sequence

    def forget(self, sequences: set[int]) -> None:
        """Take deliveries out of the queue."""
        if not self.queue:
            return
        left: deque[Delivery] = deque()
        for delivery in self.queue:
            if delivery.sequence in sequences:
                self.hold(-delivery.message.weight)
            else:
                left.append(delivery)
        self.queue = left


class Replay:
    """Retained messages still to be sent for one new subscription: `walk` has their topics."""

    def __init__(self, walk: Walk, subscription: Subscription, since: int, ticket: int) -> None:
        self.walk: Final = walk
        self.subscription: Final = subscription
        # A retained message set after this revision has reached the subscription as a live one.
        self.since: Final = since
        self.ticket: Final = ticket  # the journal's batch with the subscription, 0 when nothing of it is durable
