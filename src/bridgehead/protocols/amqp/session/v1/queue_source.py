"""Receivers on queues: links that compete for messages (distribution-mode move), and links that only look (copy).

A link whose terminus lasts has a hub session too, without subscriptions: by it, it is stolen and expires as any other.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.queues.declaring import is_own
from bridgehead.broker.queues.queue import Queue
from bridgehead.core.entry import Consumer, Entry
from bridgehead.core.errors import BUSY, DELETED, NOT_AUTHORIZED, Refusal
from bridgehead.core.message import Message, Origin
from bridgehead.core.policy import Principal
from bridgehead.core.session import NO_CREDIT, Delivery, Receiver, Session, Target
from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState, Outcome
from bridgehead.protocols.amqp.codec.v1.errors import (
    DETACH_FORCED,
    NOT_IMPLEMENTED,
    RESOURCE_DELETED,
    STOLEN,
    UNAUTHORIZED_ACCESS,
    AmqpError,
)
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Accepted, Modified, Rejected
from bridgehead.protocols.amqp.mapping.message_v1 import v1_delivery, v1_payload
from bridgehead.protocols.amqp.session.v1.contract import SETTLED, OutgoingDelivery, OutgoingLink, Source
from bridgehead.protocols.amqp.session.v1.dynamic import emptied, policy_of, receiver_closed
from bridgehead.protocols.amqp.session.v1.returning import joined_annotations, tag_of
from bridgehead.protocols.amqp.session.v1.selector import Selector
from bridgehead.protocols.amqp.session.v1.selector_view import selects
from bridgehead.protocols.amqp.session.v1.terms import Terms

_BEFORE_ALL: Final = 1 << 30  # priority of who takes nothing, so that it sees what others take
_OWN_NUMBER: Final = 0x01  # begins tags that are not those of an entry


class QueueDelivery(OutgoingDelivery):
    """`entry` is None for a copy."""

    def __init__(self, tag: bytes, entry: Entry | None) -> None:
        super().__init__(tag)
        self.entry: Final = entry
        self.over = False


def payload_of(entry: Entry, now: float) -> bytes:
    """The sections of an entry as it goes out."""
    if not entry.again and not entry.deliveries and entry.annotations is None:
        return v1_payload(entry.message, now)
    return v1_delivery(entry.message, now, False, entry.deliveries, not entry.again, entry.annotations)


class LinkConsumer(Consumer):
    """The queue's side of a receiving link. `plain`: an entry is sent as it is, if only there is credit."""

    def __init__(
        self,
        principal: Principal,
        origin: Origin,
        link: OutgoingLink,
        broker: Broker,
        priority: int,
        selective: bool,
        holder: str,
        lasting: float,
    ) -> None:
        super().__init__(principal, origin, link.snd_settle_mode == SETTLED, priority, selective, holder, lasting)
        self._link: Final = link
        self._clock: Final = broker.clock
        self.source: QueueSource | None = None
        self.plain = False  # nothing waits before what comes

    def ready(self) -> bool:
        link = self._link
        return self.plain and link.may_send() and link.credit > self.coming

    def wants(self, entry: Entry) -> bool:
        source = self.source
        return source is not None and source.wants(entry)

    def deliver(self, entry: Entry) -> None:
        link = self._link
        if self.plain and link.may_send():
            payload = payload_of(entry, self._clock.now)
            if self.settled:
                link.send_settled(payload)
            else:
                link.send(QueueDelivery(tag_of(entry.sequence), entry), payload)
            return
        source = self.source
        if source is not None:
            source.wait(entry)

    def cancelled(self, meaning: str, because: str) -> None:
        source = self.source
        if source is not None:
            source.cancelled(meaning, because)

    def no_more(self) -> None:
        source = self.source
        if source is not None:
            source.no_more()


class HolderReceiver(Receiver):
    """The connected end of the hub session that a lasting link on a queue has: nothing is delivered by it."""

    def __init__(self) -> None:
        self.source: QueueSource | None = None

    def transmit(self, message: Message, target: Target) -> None:
        """There is no subscription."""

    def offer(self, delivery: Delivery) -> int:
        return NO_CREDIT

    def pump(self) -> None:
        """Nothing waits."""

    def committed(self, ticket: int) -> None:
        """The connection waits for the commits of its links."""

    def not_committed(self, ticket: int, retry: int) -> None:
        """As `committed`."""

    def dismiss(self, meaning: str, because: str) -> None:
        source = self.source
        if source is not None:
            source.dismissed(meaning, because)


class QueueSource(Source):
    """Made by `open_queue_source`. `copies`: it takes nothing away."""

    def __init__(self, link: OutgoingLink, queue: Queue, consumer: LinkConsumer, terms: Terms, created: bool) -> None:
        super().__init__()
        self._link: Final = link
        self._broker: Final[Broker] = link.peer.broker
        self._queue: Final = queue
        self._consumer: Final = consumer
        self._selector: Final[Selector | None] = terms.selector
        self._default: Final[Outcome] = terms.default_outcome
        self._copies: Final = terms.copies
        self._lasting: Final = terms.lasting
        self._created: Final = created  # the queue was made for this link
        self._held: list[OutgoingDelivery] = []  # as an earlier link of this terminus left them
        self._again: deque[QueueDelivery] = deque()
        self._waiting: deque[Entry] = deque()  # acquired, and there was no room in the window or the outbox
        self._shown: list[int] = [0] * len(queue.lines)  # a copying one: up to where each line was shown
        self._numbered = 0
        self._may_be_over: Final = policy_of(queue) >= 0  # when it is empty
        self._left = False
        self._nothing_more = False
        self.session: Session | None = None
        self.holder: HolderReceiver | None = None
        consumer.source = self
        self._look()

    def _look(self) -> None:
        self._consumer.plain = not self._again and not self._waiting and not self._left

    # What the queue gives. --------------------------------------------------------------------------

    def wants(self, entry: Entry) -> bool:
        """As Consumer.wants."""
        payload = payload_of(entry, self._broker.clock.now)
        if self._copies:
            self._show(entry, payload)
            return False
        if 0 < self._link.max_message_size < len(payload):
            return False  # another receiver may take it
        return self._selector is None or selects(self._selector, payload, entry.deliveries)

    def _show(self, entry: Entry, payload: bytes) -> None:
        """A copy, of each entry once."""
        place = self._queue.place_of(entry)
        if entry.sequence <= self._shown[place] or not self._link.may_send():
            return
        self._shown[place] = entry.sequence
        if self._selector is not None and not selects(self._selector, payload, entry.deliveries):
            return
        if self._consumer.settled:
            self._link.send_settled(payload)
            return
        self._numbered += 1
        self._link.send(QueueDelivery(bytes([_OWN_NUMBER]) + tag_of(self._numbered), None), payload)

    def wait(self, entry: Entry) -> None:
        """It was acquired and cannot be sent yet."""
        self._waiting.append(entry)
        self._consumer.plain = False

    def no_more(self) -> None:
        self._nothing_more = True
        self._link.drained()

    def cancelled(self, meaning: str, because: str) -> None:
        """As Consumer.cancelled."""
        if self._left:
            return
        self._depart()
        self._end_session(because)
        if meaning == NOT_AUTHORIZED:
            self._link.detach(UNAUTHORIZED_ACCESS, because)
        elif meaning == DELETED:
            self._link.detach(RESOURCE_DELETED, because)
        else:
            self._link.detach(DETACH_FORCED, because)

    # What the link asks for. ------------------------------------------------------------------------

    def more(self) -> None:
        if self._left:
            return
        link = self._link
        while self._again and link.may_resume(self._again[0]):
            out = self._again.popleft()
            if out.entry is not None:
                link.send(out, payload_of(out.entry, self._broker.clock.now))
        while self._waiting and link.may_send():
            entry = self._waiting.popleft()
            payload = payload_of(entry, self._broker.clock.now)
            if self._consumer.settled:
                link.send_settled(payload)
            else:
                link.send(QueueDelivery(tag_of(entry.sequence), entry), payload)
        self._look()
        if self._consumer.plain:
            self._broker.queues.wake(self._consumer)

    def drain(self) -> bool:
        if self._left:
            return True
        self.more()
        if not self._consumer.plain:
            return False
        self._nothing_more = False
        self._broker.queues.drain(self._consumer)
        return self._nothing_more

    def unsettled(self) -> list[OutgoingDelivery]:
        held = self._held
        self._held = []
        return held

    def again(self, delivery: OutgoingDelivery) -> None:
        assert isinstance(delivery, QueueDelivery)
        self._again.append(delivery)
        self._consumer.plain = False

    def resumed(self, entries: list[Entry]) -> None:
        """What an earlier link of this terminus has acquired and not settled."""
        for entry in entries:
            self._held.append(QueueDelivery(tag_of(entry.sequence), entry))

    def outcome(self, delivery: OutgoingDelivery, state: DeliveryState | None, settled: bool) -> None:
        assert isinstance(delivery, QueueDelivery)
        entry = delivery.entry
        if state is ACCEPTED and settled and entry is not None and not delivery.over and not self._left:
            delivery.over = True
            self._broker.queues.accept(self._queue, entry)
            self._link.settle(delivery)
            if self._may_be_over:
                emptied(self._link.peer, self._queue)
            return
        if not isinstance(state, Outcome):
            if not settled:
                return
            state = self._default  # 3.5.3
        ticket = 0
        if entry is not None and not delivery.over and not self._left:
            delivery.over = True
            # Before the entry is anybody's again: its tag is free.
            if isinstance(state, Accepted):
                ticket = self._broker.queues.accept(self._queue, entry, None if settled else self._link.peer.receiver)
                self._link.settle(delivery, 0 if settled else ticket)
            else:
                self._link.settle(delivery)
                self._return(entry, state)
            if self._may_be_over:
                emptied(self._link.peer, self._queue)
            return
        self._link.settle(delivery)

    def _return(self, entry: Entry, state: Outcome) -> None:
        queues = self._broker.queues
        if isinstance(state, Rejected):
            queues.reject(self._queue, entry)
            return
        failed = False
        undeliverable = False
        annotations: bytes | None = None
        if isinstance(state, Modified):
            failed = state.delivery_failed
            undeliverable = state.undeliverable_here
            if state.message_annotations:
                annotations = joined_annotations(entry.annotations, state.message_annotations)
        queues.release(self._queue, entry, failed, undeliverable, annotations)

    # The end. ---------------------------------------------------------------------------------------

    def renewed(self) -> None:
        """As TopicSource.renewed."""
        if self._left:
            return
        principal = self._link.peer.principal
        self._consumer.principal = principal
        if self.session is not None:
            self.session.principal = principal
        topic = self._queue.topic
        if not is_own(self._consumer.origin, self._queue) and not self._broker.door.may_read(principal, topic):
            self._broker.queues.detach(self._consumer)
            self.cancelled(NOT_AUTHORIZED, principal.explain_receive(topic).because)

    def dismissed(self, meaning: str, because: str) -> None:
        """As Receiver.dismiss, of a link whose terminus lasts."""
        if self._left:
            return
        if meaning == NOT_AUTHORIZED and self._broker.door.principal(self._consumer.principal.name) is None:
            self.closed()  # the identity is gone: nobody comes back for what was acquired
        else:
            self._keep()
        if meaning == BUSY:
            self._link.detach(STOLEN, because)
        elif meaning == NOT_AUTHORIZED:
            self._link.detach(UNAUTHORIZED_ACCESS, because)
        else:
            self._link.detach(DETACH_FORCED, because)

    def _depart(self) -> None:
        self._left = True
        self._consumer.plain = False
        self._waiting.clear()
        self._again.clear()

    def _keep(self) -> None:
        """What was acquired stays so until the link is attached again, or its time is over."""
        self._depart()
        broker = self._broker
        broker.queues.hold(self._consumer, broker.clock.now + self._lasting)
        session, holder = self.session, self.holder
        if session is not None and holder is not None:
            broker.detach(session, holder, False)

    def _end_session(self, because: str) -> None:
        session = self.session
        if session is not None:
            session.receiver = None
            self._broker.sessions.end(session, because)

    def suspended(self) -> None:
        if self._left:
            return
        if self._lasting > 0:
            self._keep()
        else:
            self.closed()

    def closed(self) -> None:
        if self._left:
            return
        self._depart()
        self._broker.queues.detach(self._consumer)
        self._end_session("the link was closed")
        receiver_closed(self._link.peer, self._queue, self._created)


def open_queue_source(link: OutgoingLink, queue: Queue, terms: Terms, created: bool) -> QueueSource:
    """Become one of the queue's consumers, or take up a terminus that lasts. `created`: it was
    made for this link. Raises Refusal and AmqpError."""
    peer = link.peer
    broker = peer.broker
    if terms.copies and queue.settings.single_active:
        raise AmqpError(NOT_IMPLEMENTED, "this queue has one consumer at a time: it cannot be looked at by a link")
    lasting = 0.0 if terms.copies else terms.lasting
    session: Session | None = None
    receiver: HolderReceiver | None = None
    if lasting > 0:
        # First: an earlier link of the same name lets go of what it has.
        receiver = HolderReceiver()
        known = broker.sessions.find(peer.principal.name, terms.client_id)
        changed = known is not None and bool(known.subscriptions)
        session, _ = broker.attach(
            peer.principal,
            terms.client_id,
            "amqp",
            peer.origin.verified,
            changed,
            lasting,
            None,
            receiver,
            peer.origin.address,
        )
        session.origin = peer.origin
        session.marks = peer.session.marks
    consumer = LinkConsumer(
        peer.principal,
        peer.origin,
        link,
        broker,
        _BEFORE_ALL if terms.copies else terms.priority,
        terms.copies or terms.selector is not None or link.max_message_size > 0,
        f"{peer.principal.name}/{terms.client_id}" if lasting > 0 else "",
        lasting,
    )
    source = QueueSource(link, queue, consumer, terms, created)
    source.session = session
    source.holder = receiver
    if receiver is not None:
        receiver.source = source
    try:
        if lasting > 0:
            source.resumed(broker.queues.resume(consumer, queue))
        else:
            broker.queues.attach(consumer, queue)
    except Refusal:
        if session is not None:
            session.receiver = None
            broker.sessions.end(session, "the attach was refused")
        raise
    if session is not None:
        source.ticket = broker.door.settled(session, peer.receiver)
    return source
