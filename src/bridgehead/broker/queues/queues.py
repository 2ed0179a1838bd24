"""The hub's queues, for every protocol: publishing, taking, settling. The door is asked here."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.door import NOBODY
from bridgehead.broker.events import CONSUMER_CANCELLED, told
from bridgehead.broker.queues.declaring import Declaring, is_own
from bridgehead.broker.queues.names import check_name, queue_topic
from bridgehead.broker.queues.queue import Queue
from bridgehead.core.entry import ACQUIRED, Consumer, Entry
from bridgehead.core.errors import (
    LOCKED,
    NOT_AUTHORIZED,
    NOT_FOUND,
    QUOTA_EXCEEDED,
    Refusal,
)
from bridgehead.core.message import Message, Origin
from bridgehead.core.policy import Principal
from bridgehead.core.session import Receiver

_AT_A_TIME: Final = 1000  # queues whose time has come that one call looks after


class Queues(Declaring):
    """Every method that is given `principal` and `origin`, those of the connection that asks, or a consumer asks the
    door and raises Refusal: NOT_AUTHORIZED, LOCKED."""

    # In. --------------------------------------------------------------------------------------------

    def publish(
        self,
        principal: Principal,
        message: Message,
        name: str,
        receiver: Receiver | None,
        exchange: str = "",
        routing_key: str = "",
    ) -> int:
        """Let the message into the queue. Returns the ticket that `receiver` waits for before it acknowledges, 0 when
        there is nothing to wait for, NOBODY (-1) when there is no such queue. Refusal also: QUEUE_FULL."""
        queue = self._queues.get(name)
        if queue is None:
            check_name(name)
            self._door.permit_message(principal, queue_topic(name), message)
            return NOBODY
        self._door.permit_message(principal, queue.topic, message)
        return queue.put(message, receiver, exchange, routing_key)

    def put(
        self, queue: Queue, message: Message, receiver: Receiver | None, exchange: str = "", routing_key: str = ""
    ) -> int:
        """As `publish`, for one that has asked the door about the exchange that chose this queue."""
        return queue.put(message, receiver, exchange, routing_key)

    def bind_topic(self, principal: Principal, origin: Origin, queue: Queue, topic_filter: str) -> None:
        """What is published to the topics comes into the queue, as far as the principal may receive it when it
        comes. Refusal: NOT_AUTHORIZED, FILTER_INVALID, QUOTA_EXCEEDED."""
        self.permit_change(principal, origin, queue)
        self.feeds.bind(principal, queue, topic_filter)
        queue.note()

    def unbind_topic(self, principal: Principal, origin: Origin, queue: Queue, topic_filter: str) -> bool:
        """False when it was not bound by this identity."""
        self.permit_change(principal, origin, queue)
        found = self.feeds.unbind(queue, principal.name, topic_filter)
        if found:
            queue.note()
        return found

    def feed(self, queue: Queue, topic_filters: list[str]) -> None:
        """An administrator's queue is fed by these, under the hub's own authority, and by no others of the hub."""
        for feed in list(queue.feeds.values()):
            if not feed.author.name and feed.topic_filter not in topic_filters:
                self.feeds.unbind(queue, "", feed.topic_filter)
        for topic_filter in topic_filters:
            self.feeds.bind(self.feeds.hub, queue, topic_filter)
        queue.note()

    # Out. -------------------------------------------------------------------------------------------

    def attach(self, consumer: Consumer, queue: Queue, alone: bool = False) -> None:
        """The consumer takes from the queue, at once as far as it is ready; `alone`: as long as it does nobody else.
        Refusal: NOT_AUTHORIZED, LOCKED, NOT_FOUND, QUOTA_EXCEEDED."""
        if queue.gone:
            raise Refusal(NOT_FOUND, f"there is no queue {queue.name!r}")
        self._permit_taking(consumer.principal, consumer.origin, queue)
        if queue.alone is not None or (alone and queue.consumers):
            raise Refusal(LOCKED, f"queue '{queue.name}' in exclusive use")
        if len(queue.consumers) >= self._limits.consumers_per_queue:
            raise Refusal(QUOTA_EXCEEDED, f"the queue {queue.name!r} has as many consumers as it may")
        consumer.verified_only = self._verified_only(consumer, queue)
        consumer.asks_tags = queue.has_tags
        self._consumers[consumer] = queue
        queue.had_consumers = True
        queue.add(consumer)
        if alone:
            queue.alone = consumer
        queue.begin_to_send()
        queue.pump()

    def _permit_taking(self, principal: Principal, origin: Origin, queue: Queue) -> None:
        if not is_own(origin, queue):
            if not self._door.may_read(principal, queue.topic):
                self._door.deny(queue.topic, origin, False, principal.explain_receive(queue.topic).because)
            self._check_lock(origin, queue)

    def _verified_only(self, consumer: Consumer, queue: Queue) -> bool:
        if is_own(consumer.origin, queue):
            return False
        return consumer.principal.receivable_qos(queue.topic, False) < 0

    def stop(self, consumer: Consumer) -> None:
        """It takes no more; what it has acquired is still to be settled by it."""
        queue = self._consumers.pop(consumer, None)
        if queue is not None:
            queue.drop(consumer)
            self._unused(queue)

    def detach(self, consumer: Consumer, failed: bool = False) -> None:
        """It takes no more, and what it has not settled goes back. `failed`: that counts as a failed delivery."""
        queue = self._consumers.pop(consumer, None)
        if queue is None:
            return
        queue.drop(consumer)
        consumer.coming = 0
        queue.give_back(_held_by(consumer), failed)
        self._unused(queue)

    def requeue_all(self, consumer: Consumer, queue: Queue, failed: bool = False) -> None:
        """What it has not settled goes back to its place."""
        queue.give_back(_held_by(consumer), failed)
        if not queue.gone and not queue.consumers:
            queue.settle_down()

    def hold(self, consumer: Consumer, lasts_until: float) -> None:
        """Its link is suspended: what it has acquired stays so until then, in seconds since the epoch."""
        queue = self._consumers.pop(consumer, None)
        if queue is not None:
            queue.hold(consumer, lasts_until)
            self._unused(queue)

    def resume(self, consumer: Consumer, queue: Queue) -> list[Entry]:
        """As `attach`, and returns what was kept for the link (Consumer.holder), now acquired by this consumer."""
        ready = queue.pumping
        queue.pumping = True  # first what it knows
        try:
            self.attach(consumer, queue)
            entries = queue.resume(consumer)
        finally:
            queue.pumping = ready
        queue.pump()
        return entries

    def held(self, queue: Queue, holder: str) -> list[Entry]:
        """What is kept for a link that is away."""
        holding = queue.holdings.get(holder)
        return [] if holding is None else list(holding.entries.values())

    def wake(self, consumer: Consumer) -> None:
        """It may be ready again."""
        queue = self._consumers.get(consumer)
        if queue is not None and consumer.parked:
            queue.activate(consumer)
            if queue.waiting:
                queue.pump()

    def drain(self, consumer: Consumer) -> None:
        """It is given what there is, then told by `no_more`."""
        queue = self._consumers.get(consumer)
        if queue is not None:
            queue.drain(consumer)

    def get(self, principal: Principal, origin: Origin, queue: Queue, settled: bool) -> Entry | None:
        """The first message, if there is one; `settled`: it is gone with that. Refusal: NOT_AUTHORIZED, LOCKED."""
        self._permit_taking(principal, origin, queue)
        self._used(queue)
        only = not is_own(origin, queue) and principal.receivable_qos(queue.topic, False) < 0
        return queue.take_first(settled, only, principal)

    def browse(self, principal: Principal, origin: Origin, queue: Queue, after: int, most: int) -> list[Entry]:
        """At most `most` that wait, with sequence numbers above `after`, ascending: they stay as they are. Refusal:
        NOT_AUTHORIZED, LOCKED."""
        self._permit_taking(principal, origin, queue)
        only = not is_own(origin, queue) and principal.receivable_qos(queue.topic, False) < 0
        return queue.look(after, most, only, principal)

    # Settling. --------------------------------------------------------------------------------------

    def accept(self, queue: Queue, entry: Entry, receiver: Receiver | None = None, conditional: bool = False) -> int:
        """It is done with. Returns the ticket until which a crash brings it back, 0 when there is none. `conditional`:
        it comes back too when the batch is refused; else its removal is tried again."""
        return queue.accept(entry, receiver, conditional)

    def reject(self, queue: Queue, entry: Entry) -> None:
        """It can never be processed: it becomes a dead letter, or is gone."""
        queue.reject(entry)

    def release(
        self,
        queue: Queue,
        entry: Entry,
        failed: bool = False,
        undeliverable_here: bool = False,
        annotations: bytes | None = None,
    ) -> None:
        """It goes back to its place. `failed`: that counts. `undeliverable_here`: this consumer gets it no more."""
        queue.release(entry, failed, undeliverable_here, annotations)

    # Identities. ------------------------------------------------------------------------------------

    def permissions_changed(self, names: list[str] | None = None) -> None:
        """Of these principals, or of any: who may take no more is sent away, and nobody feeds what it may not read."""
        changed = None if names is None else set(names)
        for consumer, queue in list(self._consumers.items()):
            principal = consumer.principal
            if (changed is not None and principal.name not in changed) or consumer not in self._consumers:
                continue
            if is_own(consumer.origin, queue):
                continue
            if self._door.may_read(principal, queue.topic):
                consumer.verified_only = self._verified_only(consumer, queue)
                queue.choosing_anew(consumer)
                continue
            self._cancel(consumer, queue, principal.explain_receive(queue.topic).because)
        for queue in self.all():
            if queue.feeds and self.feeds.rejudge(queue):
                queue.note()

    def revoked(self, name: str) -> None:
        """The identity is gone: so are its consumers, what it fed, and what was its own."""
        for consumer, queue in list(self._consumers.items()):
            if consumer.principal.name == name:
                self._cancel(consumer, queue, "the identity does not exist any more")
        self.exchanges.identity_gone(name)
        for owner in list(self._owned):
            if owner == name or owner.startswith(f"{name}/"):
                self.connection_ended(owner)
        for queue in self.all():
            if queue.holdings:
                queue.forsake(name)
            if queue.feeds and self.feeds.rejudge(queue):
                queue.note()

    def _cancel(self, consumer: Consumer, queue: Queue, because: str) -> None:
        self._event(CONSUMER_CANCELLED, {**told(consumer.origin), "queue": queue.name, "because": because})
        self.detach(consumer)
        consumer.cancelled(NOT_AUTHORIZED, because)


def _held_by(consumer: Consumer) -> list[Entry]:
    held = [entry for entry in consumer.acquired if entry.state == ACQUIRED and entry.consumer is consumer]
    return list(dict.fromkeys(held))
