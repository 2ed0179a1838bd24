"""Receivers on topics: one hub session with one subscription for each receiving link.

A delivery's tag follows from its number in the session's log, so it is the same after a crash. The session belongs to
(identity, container-id, link name) when its terminus lasts, so it is stolen and resumed by its own identity only.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.dispatch import Dispatcher
from bridgehead.core.errors import BUSY, NOT_AUTHORIZED, Refusal
from bridgehead.core.message import Message
from bridgehead.core.router import permitted_qos
from bridgehead.core.session import (
    DISCARDED,
    NO_CREDIT,
    RELEASED,
    TAKEN,
    Delivery,
    Receiver,
    Session,
    Subscription,
    Target,
)
from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState, Outcome
from bridgehead.protocols.amqp.codec.v1.errors import DETACH_FORCED, STOLEN, UNAUTHORIZED_ACCESS
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Modified, Released
from bridgehead.protocols.amqp.mapping.message_v1 import v1_delivery, v1_payload
from bridgehead.protocols.amqp.session.v1.contract import (
    SECOND,
    SETTLED,
    UNSETTLED,
    OutgoingDelivery,
    OutgoingLink,
    Source,
)
from bridgehead.protocols.amqp.session.v1.returning import Returned, joined_annotations, tag_of
from bridgehead.protocols.amqp.session.v1.selector import Selector
from bridgehead.protocols.amqp.session.v1.selector_view import selects
from bridgehead.protocols.amqp.session.v1.terms import Terms

_REPLAY_STEPS: Final = 1000  # looked at before others have their turn: less than a millisecond


class TopicDelivery(OutgoingDelivery):
    """`delivery` is the session's, None for what is sent at most once and unsettled only because the link's mode
    says so."""

    def __init__(self, tag: bytes, delivery: Delivery | None) -> None:
        super().__init__(tag)
        self.delivery: Final = delivery
        self.over = False


class TopicReceiver(Receiver):
    """The session's connected end. `plain`: a message is sent as it is, if only there is credit."""

    def __init__(self, link: OutgoingLink, broker: Broker) -> None:
        self._link: Final = link
        self._clock: Final = broker.clock
        self.plain = False
        self.source: TopicSource | None = None

    def transmit(self, message: Message, target: Target) -> None:
        link = self._link
        if self.plain and link.may_send():
            link.send_settled(v1_payload(message, self._clock.now))
            return
        source = self.source
        if source is not None:
            source.transmit(message)

    def offer(self, delivery: Delivery) -> int:
        source = self.source
        return NO_CREDIT if source is None else source.offer(delivery)

    def pump(self) -> None:
        source = self.source
        if source is not None:
            source.more()

    def committed(self, ticket: int) -> None:
        self.pump()

    def not_committed(self, ticket: int, retry: int) -> None:
        """What was refused is out of the queue already."""

    def dismiss(self, meaning: str, because: str) -> None:
        source = self.source
        if source is not None:
            source.dismiss(meaning, because)


class TopicSource(Source):
    """Made by `open_topic_source`."""

    def __init__(self, link: OutgoingLink, receiver: TopicReceiver, session: Session, key: str, terms: Terms) -> None:
        super().__init__()
        peer = link.peer
        self._link: Final = link
        self._broker: Final[Broker] = peer.broker
        self._dispatcher: Final[Dispatcher] = peer.broker.dispatcher
        self._receiver: Final = receiver
        self._session: Final = session
        self._key: Final = key
        self._selector: Final[Selector | None] = terms.selector
        self._default: Final[Outcome] = terms.default_outcome
        self._settled: Final = link.snd_settle_mode == SETTLED
        self._unsettled: Final = link.snd_settle_mode == UNSETTLED
        self._again: deque[TopicDelivery] = deque()
        # At most once, before there is credit.
        self._waiting: deque[Message] = deque()
        self._waiting_octets = 0
        self._returned: dict[int, Returned] = {}
        self._unnumbered = 0  # deliveries so far that are unsettled without need
        self._left = False
        self._sending = False
        receiver.source = self
        self._look()

    def _look(self) -> None:
        """Whether anything stands between a message and the link."""
        self._receiver.plain = (
            self._selector is None
            and not self._unsettled
            and not self._waiting
            and not self._again
            and self._session.replay is None
            and not self._left
        )

    # At most once. ----------------------------------------------------------------------------------

    def transmit(self, message: Message) -> None:
        """Send it if it can be sent now, in its order; else keep it, as far as there is room."""
        if self._left:
            return
        if not self._waiting and not self._again and self._session.replay is None and self._link.may_send():
            self._send_once(message, False)
            self._look()
            return
        config = self._link.peer.config
        if len(self._waiting) >= config.waiting_messages or (
            self._waiting and self._waiting_octets + message.weight > config.waiting_octets
        ):
            self._broker.counters.dropped_slow += 1
            return
        self._waiting.append(message)
        self._waiting_octets += message.weight
        self._receiver.plain = False

    def _send_once(self, message: Message, retain: bool) -> None:
        now = self._broker.clock.now
        payload = v1_delivery(message, now, True, 0, True, None) if retain else v1_payload(message, now)
        if self._selector is not None and not selects(self._selector, payload, 0):
            return
        if not self._unsettled:
            self._link.send_settled(payload)
            return
        self._unnumbered += 1
        # Nine octets, so that it is no tag of what has a number.
        self._link.send(TopicDelivery(b"\x00" + tag_of(self._unnumbered), None), payload)

    def _send_waiting(self) -> None:
        message = self._waiting.popleft()
        self._waiting_octets -= message.weight
        if message.expires_at <= self._broker.clock.now:
            self._broker.counters.dropped_expired += 1
        elif permitted_qos(self._session, message) < 0:
            self._broker.counters.dropped_not_permitted += 1  # what was permitted when it came may not be now
        else:
            self._send_once(message, False)

    # At least and exactly once. ---------------------------------------------------------------------

    def offer(self, delivery: Delivery) -> int:
        """As Receiver.offer."""
        if self._left or self._again or self._session.replay is not None or not self._link.may_send():
            return NO_CREDIT
        if not self._dispatcher.may_fly(self._session):
            return NO_CREDIT
        return TAKEN if self._send(TopicDelivery(tag_of(delivery.sequence), delivery)) else DISCARDED

    def _send(self, out: TopicDelivery) -> bool:
        """False when it is over with that: nobody waits for an outcome."""
        delivery = out.delivery
        assert delivery is not None
        returned = self._returned.get(delivery.sequence) if self._returned else None
        now = self._broker.clock.now
        message = delivery.message
        failed = 0
        if returned is None and not delivery.again and not delivery.retain:
            payload = v1_payload(message, now)
        else:
            annotations: bytes | None = None
            if returned is not None:
                failed = returned.failed
                annotations = returned.annotations
            if delivery.again and delivery.qos == 1 and not failed:
                # 3.2.1: above zero says that it may be a duplicate. With exactly once it is none.
                failed = 1
            payload = v1_delivery(message, now, delivery.retain, failed, not delivery.again, annotations)
        if self._selector is not None and not selects(self._selector, payload, failed):
            return False
        if self._settled:
            self._link.send_settled(payload)
            return False
        self._link.send(out, payload)
        return not out.over

    def _send_next(self, delivery: Delivery) -> None:
        """One that is in flight already."""
        if delivery.qos == 0:
            self._send_once(delivery.message, delivery.retain)
        elif delivery.state == RELEASED:
            # It may have been sent, and may be received no more: whoever has it is told by our unsettled map, which
            # does not name it (2.6.13).
            self._forget(delivery)
        elif delivery.sequence in self._returned and delivery.message.expires_at <= self._broker.clock.now:
            self._broker.counters.dropped_expired += 1
            self._forget(delivery)
        elif not self._send(TopicDelivery(tag_of(delivery.sequence), delivery)):
            self._forget(delivery)

    def _forget(self, delivery: Delivery) -> None:
        if self._returned:
            self._returned.pop(delivery.sequence, None)
        self._dispatcher.acknowledged(self._session, delivery.sequence)

    # What the link asks for. ------------------------------------------------------------------------

    def more(self) -> None:
        if self._left or self._sending:
            return
        self._sending = True
        try:
            self._run()
        finally:
            self._sending = False
            self._look()
        if self._link.drain and not self._has_more():
            self._link.drained()

    def drain(self) -> bool:
        if self._left:
            return True
        self.more()
        return not self._has_more()

    def _replays(self) -> bool:
        """Whether retained messages are still to come."""
        return self._session.replay is not None

    def _has_more(self) -> bool:
        session = self._session
        return bool(self._again) or bool(self._waiting) or bool(session.queue) or session.replay is not None

    def _run(self) -> None:
        link = self._link
        session = self._session
        dispatcher = self._dispatcher
        session.replay_steps = _REPLAY_STEPS
        while self._again:
            out = self._again[0]
            if not link.may_resume(out):
                return
            self._again.popleft()
            if not self._send(out) and out.delivery is not None:
                self._forget(out.delivery)
        while not self._left and link.may_send():
            if not dispatcher.may_fly(session):
                return
            # Retained messages first; then what came meanwhile.
            if self._replays():
                replayed = dispatcher.next_replay(session)
                if replayed is not None:
                    self._send_next(replayed)
                    continue
                if not self._replays():
                    continue
                if session.replay_steps <= 0:
                    link.later(True)
                    return
            elif self._waiting:
                self._send_waiting()
                continue
            delivery = dispatcher.next_delivery(session) if session.queue else None
            if delivery is None:
                return
            self._send_next(delivery)

    def unsettled(self) -> list[OutgoingDelivery]:
        found: list[OutgoingDelivery] = []
        if self._settled:
            return found  # they are sent again as all else is, and forgotten
        session = self._session
        dispatcher = self._dispatcher
        while session.queue and session.queue[0].again:
            delivery = dispatcher.next_delivery(session)
            if delivery is None:
                break
            if delivery.state == RELEASED:
                self._forget(delivery)
            elif not delivery.again:
                dispatcher.put_back(session, delivery)
            else:
                found.append(TopicDelivery(tag_of(delivery.sequence), delivery))
        return found

    def again(self, delivery: OutgoingDelivery) -> None:
        assert isinstance(delivery, TopicDelivery)
        self._again.append(delivery)
        self._receiver.plain = False

    def outcome(self, delivery: OutgoingDelivery, state: DeliveryState | None, settled: bool) -> None:
        assert isinstance(delivery, TopicDelivery)
        known = delivery.delivery
        if state is ACCEPTED and settled and known is not None and not delivery.over and not self._left:
            delivery.over = True
            self._forget(known)
            self._link.settle(delivery)
            return
        if not isinstance(state, Outcome):
            if not settled:
                return
            state = self._default  # 3.5.3
        ticket = 0
        if not delivery.over and known is not None and not self._left:
            delivery.over = True
            if isinstance(state, Released) or (isinstance(state, Modified) and not state.undeliverable_here):
                self._give_back(known, state)
            else:
                self._forget(known)
                if not settled:
                    # What we tell settled the receiver forgets: it must not come again after a crash.
                    ticket = self._broker.door.settled(self._session, self._link.peer.receiver)
        self._link.settle(delivery, ticket)

    def _give_back(self, delivery: Delivery, state: Outcome) -> None:
        """To its place in the queue (3.4.4, 3.4.5)."""
        session = self._session
        if session.landed(delivery.sequence) is None:
            return
        returned = self._returned.setdefault(delivery.sequence, Returned())
        if isinstance(state, Modified):
            if state.delivery_failed:
                returned.failed += 1
            if state.message_annotations:
                returned.annotations = joined_annotations(returned.annotations, state.message_annotations)
        delivery.again = True
        # As Dispatcher.put_back does, but that several that come back keep their order.
        place = 0 if session.queue is None else _place(session.queue, delivery.sequence)
        self._dispatcher.put_back(session, delivery)
        queue = session.queue
        if place and queue is not None:
            queue.popleft()
            queue.insert(place, delivery)
        self._link.later()

    # The end. ---------------------------------------------------------------------------------------

    def renewed(self) -> None:
        """The peer's principal is another object: another view of the same identity."""
        session = self._session
        principal = self._link.peer.principal
        if not self._left and session.principal is not principal:
            session.principal = principal
            self._broker.door.permissions_changed()
            withdrawn = self._broker.door.rejudge(session)
            if withdrawn:
                self.dismiss(NOT_AUTHORIZED, withdrawn[0])

    def dismiss(self, meaning: str, because: str) -> None:
        """As Receiver.dismiss."""
        if self._left:
            return
        keeps = self._key in self._session.subscriptions
        if keeps:
            self._leave()
        else:
            self._end("the subscription was withdrawn")
        if meaning == BUSY:
            self._link.detach(STOLEN, because)
        elif meaning == NOT_AUTHORIZED:
            self._link.detach(UNAUTHORIZED_ACCESS, because)
        else:
            self._link.detach(DETACH_FORCED, because)

    def _depart(self) -> None:
        self._left = True
        self._receiver.plain = False
        self._waiting.clear()
        self._again.clear()

    def _leave(self) -> None:
        self._depart()
        self._broker.detach(self._session, self._receiver, False)

    def _end(self, because: str) -> None:
        self._depart()
        self._session.receiver = None
        self._broker.sessions.end(self._session, because)

    def suspended(self) -> None:
        if not self._left:
            self._leave()

    def closed(self) -> None:
        if not self._left:
            self._end("the link was closed")


def _place(queue: deque[Delivery], sequence: int) -> int:
    """How many have a lower number. They are in order, and it is near the head."""
    size = len(queue)
    low = 0
    high = 1
    while high <= size and queue[high - 1].sequence < sequence:
        low = high
        high *= 2
    high = min(high, size)
    while low < high:
        middle = (low + high) // 2
        if queue[middle].sequence < sequence:
            low = middle + 1
        else:
            high = middle
    return low


def open_topic_source(link: OutgoingLink, topic_filter: str, share: str, terms: Terms) -> TopicSource:
    """Subscribe, or take up a terminus that lasts. Raises Refusal."""
    peer = link.peer
    broker = peer.broker
    receiver = TopicReceiver(link, broker)
    client_id = terms.client_id
    key = f"$share/{share}/{topic_filter}" if share else topic_filter
    known = broker.sessions.find(peer.principal.name, client_id)
    # Another filter is another source: nothing of the earlier one's is delivered for it.
    changed = known is not None and key not in known.subscriptions
    session, _ = broker.attach(
        peer.principal,
        client_id,
        "amqp",
        peer.origin.verified,
        changed,
        terms.lasting,
        None,
        receiver,
        peer.origin.address,
    )
    # What the connection itself publishes is its own (no-local).
    session.origin = peer.origin
    session.marks = peer.session.marks
    session.withdrawn = ""
    if link.snd_settle_mode == SETTLED:
        qos = 0
    else:
        qos = 2 if link.rcv_settle_mode == SECOND else 1
    # A replay that was cut off begins anew; else only a new subscription has one.
    handling = 1 if session.replay is None else 0
    subscription = Subscription(session, topic_filter, qos, terms.no_local, False, handling, 0, share)
    try:
        broker.door.subscribe(subscription)
    except Refusal:
        session.receiver = None
        broker.sessions.end(session, "the subscription was refused")
        raise
    for delivery in list(session.in_flight.values()):
        if delivery.state == RELEASED:
            broker.dispatcher.acknowledged(session, delivery.sequence)
    if share:
        broker.dispatcher.reclaim(session)
    source = TopicSource(link, receiver, session, key, terms)
    source.ticket = broker.door.settled(session, peer.receiver)
    return source
