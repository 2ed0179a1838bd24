"""Delivery: from a route to the sessions on it, their queues, shared groups and retained messages."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.broker.counters import Counters
from bridgehead.broker.events import QUEUE_FULL, EventSink
from bridgehead.broker.journal import Journal
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.message import Message
from bridgehead.core.retained import Retained
from bridgehead.core.router import GroupRoute, Route, Router, permitted_qos
from bridgehead.core.session import (
    DISCARDED,
    QUEUED,
    RELEASED,
    SENT,
    TAKEN,
    Delivery,
    Receiver,
    Replay,
    Session,
    Target,
)


class Dispatcher:
    """Hands messages that the door let in to receivers that the door's routes permit."""

    def __init__(
        self,
        router: Router,
        retained: Retained,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        counters: Counters,
        event: EventSink,
    ) -> None:
        self._router: Final = router
        self._retained: Final = retained
        self._journal: Final = journal
        self._clock: Final = clock
        self._limits: Final = limits
        self._counters: Final = counters
        self._event: Final = event
        journal.stranded = self._stranded

    def dispatch(self, message: Message, route: Route) -> int:
        """Deliver to every target of the route. Returns how many sessions it was meant for."""
        count = 0
        for listed in route.targets:
            target = listed
            if target.skip_own and message.origin is target.session.origin:
                other = target.without_own
                if other is None:
                    continue
                target = other
            count += 1
            self._hand(message, target)
        if route.groups:
            for group in route.groups:
                if self._share(message, group):
                    count += 1
        return count

    def _hand(self, message: Message, target: Target) -> None:
        qos = message.qos if message.qos < target.qos else target.qos
        if qos == 0:
            receiver = target.session.receiver
            if receiver is not None:
                receiver.transmit(message, target)
            return
        retain = message.retain and target.retain_as_published
        self.enqueue(target.session, message, qos, retain, target.identifiers, target.share)

    def _is_full(self, session: Session, message: Message) -> bool:
        """Whether the session's queue can hold no more. An empty one takes any message."""
        if not session.queue:
            return False
        limits = self._limits
        # What is being committed does not count: it is bounded by what its publishers may have in flight.
        waiting = len(session.queue) - session.uncommitted
        if waiting >= limits.queue_messages or session.queued_octets + message.weight > limits.queue_octets:
            return True
        return session.principal.root.queued_octets + message.weight > limits.queue_octets_per_identity

    def may_fly(self, session: Session) -> bool:
        """Whether the session may be sent more before it acknowledges: of small messages as many as it takes, of
        large ones as many octets as it may have in its queue."""
        return session.octets_in_flight < self._limits.queue_octets

    def enqueue(
        self, session: Session, message: Message, qos: int, retain: bool, identifiers: tuple[int, ...], share: str
    ) -> bool:
        """Deliver with acknowledgement, now or when the session can take it. False when its queue is full."""
        queue = session.queue
        if queue:
            if self._is_full(session, message) and not self._purge(session):
                self._overflow(session)
                return False
            queue = session.queue
        delivery = Delivery(session.next_sequence, message, qos, retain, identifiers, share)
        session.next_sequence += 1
        if session.log:
            self._journal.append(session, delivery)
        elif qos == 2 and self._journal.holding:
            self._journal.hold(session, delivery)
        elif not queue:
            receiver = session.receiver
            if receiver is not None:
                answer = receiver.offer(delivery)
                if answer == TAKEN:
                    delivery.state = SENT
                    session.fly(delivery)
                    return True
                if answer == DISCARDED:
                    return True
        if queue is None:
            queue = deque()
            session.queue = queue
        queue.append(delivery)
        session.hold(message.weight)
        if share and session.receiver is None:
            self._holds(session, share)
        return True

    def _purge(self, session: Session) -> bool:
        """Delete what has expired in a full queue, once a second at most. Whether anything was."""
        now = self._clock.now
        if now < session.purged_at + 1.0:
            return False
        session.purged_at = now
        expired: set[int] = set()
        assert session.queue is not None
        for delivery in session.queue:
            if not delivery.again and not delivery.ticket and delivery.message.expires_at <= now:
                expired.add(delivery.sequence)
                if session.log:
                    self._journal.remove(session, delivery)
        session.forget(expired)
        self._counters.dropped_expired += len(expired)
        return bool(expired)

    def _stranded(self, session: Session) -> None:
        """What was chosen for a member of a group lasts now, and the member is gone."""
        if session.receiver is None and not session.ended:
            self.hand_over(session, False)

    def _overflow(self, session: Session) -> None:
        self._counters.dropped_queue_full += 1
        if not session.overflowing:
            session.overflowing = True
            self._event(QUEUE_FULL, {"principal": session.principal.name, "client_id": session.client_id})

    # Shared subscriptions (MQTT 5.0 section 4.8.2). ---------------------------------------------------

    def _share(self, message: Message, group: GroupRoute) -> bool:
        target = self._choose(group, None)
        if target is None:
            return False
        self._hand(message, target)
        return True

    def _choose(self, route: GroupRoute, besides: Session | None) -> Target | None:
        """The member whose turn it is: connected and with nothing waiting, else connected, else one whose
        session is kept."""
        targets = route.targets
        size = len(targets)
        if not size:
            return None
        start = route.group.turn
        waiting: Target | None = None
        absent: Target | None = None
        for i in range(size):
            turn = (start + i) % size
            target = targets[turn]
            session = target.session
            if session is besides or session.ended:
                continue
            if session.receiver is not None:
                if not session.queue:
                    route.group.turn = (turn + 1) % size
                    return target
                if waiting is None:
                    waiting = target
            elif session.expiry_interval > 0 and absent is None:
                absent = target
        route.group.turn = (start + 1) % size
        return waiting if waiting is not None else absent

    def hand_over(self, session: Session, ending: bool) -> None:
        """The session's connection is gone: what was chosen for it as a member of a group and not yet sent
        goes to another connected member. When the session ends, so does what was sent with QoS 1 and not
        acknowledged; what was begun with QoS 2 is not sent to another ([MQTT-4.8.2-4], [MQTT-4.8.2-5])."""
        # Its publisher was told that it is kept: what is moved is written until it lasts.
        self._journal.keeping = True
        self._move(session, ending)
        self._journal.keeping = False

    def _move(self, session: Session, ending: bool) -> None:
        moving: list[Delivery] = []
        if session.queue is not None:
            for delivery in session.queue:
                if not delivery.share or (delivery.ticket and not ending):
                    continue
                if not delivery.again or (ending and delivery.qos == 1):
                    moving.append(delivery)
        moved: set[int] = set()
        for delivery in moving:
            group = self._router.group_route(delivery.share, delivery.message.topic, delivery.message.origin)
            if group is None:
                continue
            target = self._choose(group, session)
            if target is None or (target.session.receiver is None and not ending):
                self._holds(session, delivery.share)
                continue
            qos = min(delivery.qos, target.qos)
            retain = delivery.message.retain and target.retain_as_published
            if qos == 0:
                self._hand(delivery.message, target)
            elif not ending and self._is_full(target.session, delivery.message):
                self._holds(session, delivery.share)  # here it is kept, there it would be dropped
                continue
            else:
                self.enqueue(target.session, delivery.message, qos, retain, target.identifiers, target.share)
            moved.add(delivery.sequence)
            if session.log:
                self._journal.remove(session, delivery)
        if moved:
            session.forget(moved)

    def _holds(self, session: Session, share: str) -> None:
        group = self._router.group(share)
        if group is not None and not session.ended:
            group.holders[session] = None

    def reclaim(self, session: Session) -> None:
        """The session is connected again: what waits for absent members of its groups comes to it."""
        for subscription in list(session.subscriptions.values()):
            if subscription.share:
                self.reclaim_group(subscription.key)

    def reclaim_group(self, key: str) -> None:
        """The group has a member more that is connected."""
        group = self._router.group(key)
        if group is None or not group.holders:
            return
        holders = group.holders
        group.holders = {}
        for session in holders:
            if session.receiver is None and not session.ended:
                self.hand_over(session, False)

    # What the receiver asks for and tells. ----------------------------------------------------------

    def next_delivery(self, session: Session) -> Delivery | None:
        """The next delivery to send, now in flight; None when there is none yet. What has expired and what
        the session may no longer receive is dropped here; of the latter, what may have been sent exactly once is
        RELEASED: not to be sent, only to be completed."""
        queue = session.queue
        while queue:
            delivery = queue[0]
            if delivery.ticket:
                return None  # deliver after the commit: docs/adr/0003
            queue.popleft()
            session.overflowing = False
            message = delivery.message
            session.hold(-message.weight)
            if not delivery.again and message.expires_at <= self._clock.now:
                self._counters.dropped_expired += 1  # [MQTT-3.3.2-5]
            elif permitted_qos(session, message) < 0 or (delivery.retain and self._retained.is_hidden(message)):
                self._counters.dropped_not_permitted += 1
                if delivery.again and delivery.qos == 2:
                    # The receiver may have it and wait for its release: else it would take the next message with
                    # this identifier for a duplicate.
                    delivery.state = RELEASED
                    session.fly(delivery)
                    if session.log:
                        self._journal.put_released(session, delivery)
                    return delivery
            else:
                delivery.state = SENT
                session.fly(delivery)
                return delivery
            if session.log:
                self._journal.remove(session, delivery)
        return None

    def put_back(self, session: Session, delivery: Delivery) -> None:
        """The receiver could not send what next_delivery gave it."""
        session.landed(delivery.sequence)
        delivery.state = QUEUED
        if session.queue is None:
            session.queue = deque()
        session.queue.appendleft(delivery)
        session.hold(delivery.message.weight)

    def acknowledged(self, session: Session, sequence: int) -> Delivery | None:
        """The receiver has the message (QoS 1), or the exchange is complete (QoS 2)."""
        delivery = session.landed(sequence)
        if delivery is not None and session.log:
            self._journal.remove(session, delivery)
        return delivery

    def released(self, session: Session, delivery: Delivery, receiver: Receiver) -> int:
        """The receiver has the message (QoS 2). Returns the ticket to wait for before telling it so: else,
        after a crash, the message would be sent again to one that no longer remembers it."""
        if delivery.state == RELEASED:
            return self._journal.wait(receiver) if session.log else 0
        delivery.state = RELEASED
        if not session.log:
            return 0
        self._journal.put_released(session, delivery)
        return self._journal.wait(receiver)

    def interrupted(self, session: Session) -> None:
        """The connection is gone: what was sent and not acknowledged is to be sent again, first and in the
        same order ([MQTT-4.4.0-1], [MQTT-4.6.0-1])."""
        again: list[Delivery] = []
        for delivery in session.in_flight.values():
            if delivery.state == SENT:
                again.append(delivery)
        if not again:
            return
        again.reverse()
        if session.queue is None:
            session.queue = deque()
        for delivery in again:
            delivery.again = True
            self.put_back(session, delivery)

    # Retained messages. -----------------------------------------------------------------------------

    def next_replay(self, session: Session) -> Delivery | None:
        """The next retained message for the session's new subscriptions: with QoS 0 to be sent as it is
        (sequence 0); with QoS 1 and 2 it is in flight already, or waits in the queue for its commit. None also
        when `session.replay_steps`, which the caller sets, are used up."""
        while session.replay:
            replay = next(iter(session.replay.values()))
            if replay.ticket > self._journal.durable:
                return None  # the subscription may still be refused
            subscription = replay.subscription
            walk = replay.walk
            # A subscription that was replaced gets no more of it.
            while not walk.is_over() and session.subscriptions.get(subscription.key) is subscription:
                if self._is_half_full(session):
                    return None
                if session.replay_steps <= 0:
                    return None
                session.replay_steps -= 1
                topic = walk.step()
                if topic is None:
                    continue
                message = self._retained.get_as_of(topic, replay.since)
                if message is None or message.expires_at <= self._clock.now:
                    continue
                if subscription.no_local and message.origin.is_from(session.origin):
                    continue  # [MQTT-3.8.3-3]
                permitted = permitted_qos(session, message)
                if permitted < 0:
                    self._counters.dropped_not_permitted += 1
                    continue
                identifiers = (subscription.identifier,) if subscription.identifier else ()
                qos = min(message.qos, subscription.qos, permitted)
                if qos == 0:
                    return Delivery(0, message, 0, True, identifiers, "")
                delivery = Delivery(session.next_sequence, message, qos, True, identifiers, "")
                session.next_sequence += 1
                if session.log:
                    self._journal.keeping = True  # the subscription was acknowledged
                    self._journal.append(session, delivery)
                    self._journal.keeping = False
                    if session.queue is None:
                        session.queue = deque()
                    session.queue.append(delivery)
                    session.hold(message.weight)
                    continue
                delivery.state = SENT
                session.fly(delivery)
                return delivery
            del session.replay[subscription.key]
        session.replay = None
        return None

    def _is_half_full(self, session: Session) -> bool:
        """Retained messages leave the other half of a queue to those that are published."""
        queue = session.queue
        limits = self._limits
        if not queue:
            return False
        return 2 * len(queue) >= limits.queue_messages or 2 * session.queued_octets >= limits.queue_octets

    def replay(self, session: Session, replay: Replay) -> None:
        if session.replay is None:
            session.replay = {}
        key = replay.subscription.key
        session.replay.pop(key, None)
        session.replay[key] = replay
