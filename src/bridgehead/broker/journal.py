"""The broker's pen: collects what must last into batches, one commit under way at a time, and tells
those who wait when a batch is durable or was refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker import records
from bridgehead.broker.counters import Counters
from bridgehead.broker.events import COMMIT_FAILED, COMMIT_RECOVERED, EventSink
from bridgehead.broker.ports import Batch, Store, StoreError
from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER, Message
from bridgehead.core.session import Delivery, Receiver, Session, Subscription, Will

SESSIONS: Final = "session"
SUBSCRIPTIONS: Final = "subscription"
RECEIVED: Final = "received"
RELEASED: Final = "released"
RETAINED: Final = "retained"
WILLS: Final = "will"

RETRY_INTERVAL: Final = 1.0  # seconds until what must last is tried again after a failed commit


class Undo:
    """Takes back one change in memory whose record could not be kept."""

    def undo(self) -> None:
        raise NotImplementedError


class _Pending:
    """One batch with everyone who is concerned."""

    def __init__(self, ticket: int) -> None:
        self.ticket: Final = ticket
        self.batch: Final = Batch()
        self.deliveries: list[tuple[Session, Delivery]] = []
        self.undo: list[Undo] = []
        self.waiting: dict[Receiver, None] = {}
        # Keys of puts that are not refused with the batch but tried again.
        self.keep: set[tuple[str, str]] = set()


class Journal:
    """Every method that writes returns the ticket (batch number, from 1) that the caller may wait for.

    `schedule` is called when a batch gets its first change: the rim calls `flush` before it waits for
    events again.
    """

    def __init__(
        self, store: Store, clock: Clock, counters: Counters, event: EventSink, schedule: Callable[[], None]
    ) -> None:
        self._store: Final = store
        self._clock: Final = clock
        self.retry_at: float = NEVER
        self._counters: Final = counters
        self._event: Final = event
        self._schedule: Final = schedule
        self._current = _Pending(1)
        self._under_way: _Pending | None = None
        self._scheduled = False
        self._failing = False
        self.writes = 0  # grows with every change written: whether a call wrote anything

    @property
    def failing(self) -> bool:
        """The last commit failed."""
        return self._failing

    @property
    def idle(self) -> bool:
        """Everything written is durable."""
        return self._under_way is None and self._current.batch.is_empty()

    def _writing(self) -> Batch:
        self.writes += 1
        if not self._scheduled:
            self._scheduled = True
            self._schedule()
        return self._current.batch

    def wait(self, receiver: Receiver) -> int:
        """`receiver` is told when everything written up to now is durable. Returns the ticket, 0 when
        there is nothing to wait for."""
        current = self._current
        if not current.batch.is_empty():
            current.waiting[receiver] = None
            return current.ticket
        if self._under_way is not None:
            self._under_way.waiting[receiver] = None
            return self._under_way.ticket
        return 0

    # What is written. -------------------------------------------------------------------------------

    def append(self, session: Session, delivery: Delivery) -> int:
        batch = self._writing()
        record = records.write_delivery(
            delivery.message, delivery.qos, delivery.retain, delivery.identifiers, delivery.share
        )
        batch.appends.append((session.log, delivery.sequence, record))
        ticket = self._current.ticket
        delivery.ticket = ticket
        session.uncommitted += 1
        self._current.deliveries.append((session, delivery))
        return ticket

    def remove(self, session: Session, delivery: Delivery) -> None:
        batch = self._writing()
        batch.removes.append((session.log, delivery.sequence))
        if delivery.qos == 2:
            self.delete(RELEASED, f"{session.log}/{delivery.sequence}")

    def _put(self, bucket: str, key: str, record: bytes) -> int:
        batch = self._writing()
        where = (bucket, key)
        batch.deletes.discard(where)
        batch.puts[where] = record
        return self._current.ticket

    def delete(self, bucket: str, key: str) -> int:
        batch = self._writing()
        where = (bucket, key)
        batch.puts.pop(where, None)
        batch.deletes.add(where)
        return self._current.ticket

    def undo_with(self, undo: Undo) -> None:
        """If the current batch is refused, `undo` takes back what it stood for."""
        self._current.undo.append(undo)

    def put_released(self, session: Session, delivery: Delivery) -> int:
        ticket = self._put(RELEASED, f"{session.log}/{delivery.sequence}", b"")
        self._current.keep.add((RELEASED, f"{session.log}/{delivery.sequence}"))
        return ticket

    def put_received(self, session: Session, identifier: int) -> int:
        return self._put(RECEIVED, f"{session.log}/{identifier}", b"")

    def delete_received(self, session: Session, identifier: int) -> int:
        return self.delete(RECEIVED, f"{session.log}/{identifier}")

    def put_session(self, session: Session, expires_at: float | None) -> int:
        record = records.write_session(session.log, session.origin.protocol, session.expiry_interval, expires_at)
        ticket = self._put(SESSIONS, session.key, record)
        self._current.keep.add((SESSIONS, session.key))
        return ticket

    def drop_session(self, session: Session) -> int:
        """Everything durable of the session goes, but for a Will that is still due."""
        self.delete(SESSIONS, session.key)
        for key in session.subscriptions:
            self.delete(SUBSCRIPTIONS, f"{session.key}\0{key}")
        if session.received is not None:
            for identifier in session.received:
                self.delete(RECEIVED, f"{session.log}/{identifier}")
        for sequence in session.in_flight:
            self.delete(RELEASED, f"{session.log}/{sequence}")
        self._writing().drops.add(session.log)
        return self._current.ticket

    def drop_log(self, log: str) -> None:
        """The log of a session that does not exist any more."""
        self._writing().drops.add(log)

    def put_subscription(self, subscription: Subscription) -> int:
        key = f"{subscription.session.key}\0{subscription.key}"
        return self._put(SUBSCRIPTIONS, key, records.write_subscription(subscription))

    def delete_subscription(self, session: Session, key: str) -> int:
        return self.delete(SUBSCRIPTIONS, f"{session.key}\0{key}")

    def put_retained(self, message: Message) -> int:
        return self._put(RETAINED, message.topic, records.write_message(message))

    def delete_retained(self, topic: str) -> int:
        return self.delete(RETAINED, topic)

    def put_will(self, key: str, will: Will, protocol: str, due: float | None) -> int:
        ticket = self._put(WILLS, key, records.write_will(will, protocol, due))
        if due is not None:
            self._current.keep.add((WILLS, key))
        return ticket

    def delete_will(self, key: str) -> int:
        return self.delete(WILLS, key)

    # How it becomes durable. ------------------------------------------------------------------------

    def flush(self) -> None:
        """Hand the current batch to the store, unless a commit is under way: then it goes on growing."""
        self._scheduled = False
        self.retry_at = NEVER
        if self._under_way is not None or self._current.batch.is_empty():
            return
        pending = self._current
        self._under_way = pending
        self._current = _Pending(pending.ticket + 1)
        self._store.submit(pending.batch, self._done)

    def _done(self, error: StoreError | None) -> None:
        pending = self._under_way
        assert pending is not None
        self._under_way = None
        if error is None:
            self._committed(pending)
        else:
            self._refused(pending, error)
        if self._current.batch.is_empty():
            return
        if error is None:
            self.flush()
        elif not self._scheduled:
            self.retry_at = self._clock.now + RETRY_INTERVAL

    def _committed(self, pending: _Pending) -> None:
        self._counters.commits += 1
        if self._failing:
            self._failing = False
            self._event(COMMIT_RECOVERED, {})
        receivers = pending.waiting
        for session, delivery in pending.deliveries:
            delivery.ticket = 0
            session.uncommitted -= 1
            receiver = session.receiver
            if receiver is not None and receiver not in receivers:
                receivers[receiver] = None
        for receiver in receivers:
            receiver.committed(pending.ticket)

    def _refused(self, pending: _Pending, error: StoreError) -> None:
        self._counters.commits_failed += 1
        if not self._failing:
            self._failing = True
            self._event(COMMIT_FAILED, {"because": str(error)})
        for session, delivery in pending.deliveries:
            session.uncommitted -= 1
            if session.queue is not None and delivery in session.queue:
                session.queue.remove(delivery)
                session.queued_octets -= delivery.message.payload_length
        for undo in reversed(pending.undo):
            undo.undo()
        # What follows from something already told or done is tried again until it lasts.
        old, new = pending.batch, self._current.batch
        for where, record in old.puts.items():
            if where in pending.keep and where not in new.puts and where not in new.deletes:
                new.puts[where] = record
                self._current.keep.add(where)
        for where in old.deletes:
            if where not in new.puts:
                new.deletes.add(where)
        refused = {(log, sequence) for log, sequence, _ in old.appends}
        new.removes.extend([entry for entry in old.removes if entry not in refused])
        new.drops |= old.drops
        for receiver in list(pending.waiting):
            receiver.not_committed(pending.ticket, self._current.ticket)
            if not new.is_empty():
                self._current.waiting[receiver] = None
