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
from bridgehead.core.entry import GONE, Entry
from bridgehead.core.message import NEVER, Message
from bridgehead.core.session import Delivery, Receiver, Session, Subscription, Will

SESSIONS: Final = "session"
SUBSCRIPTIONS: Final = "subscription"
RECEIVED: Final = "received"
RELEASED: Final = "released"
RETAINED: Final = "retained"
WILLS: Final = "will"
HIDDEN: Final = "hidden"  # retained messages of these principals are not shown
QUEUES: Final = "queue"
HELD: Final = "held"  # entries of queues that a durable link has acquired
MARKED: Final = "marked"  # what has become of entries of queues since they were put there

BEHIND: Final = 16 * 1024 * 1024  # octets of one batch; whoever waits for it is to send no more
RETRY_INTERVAL: Final = 1.0  # seconds until what must last is tried again after a failed commit


class Undo:
    """Takes back one change in memory whose record could not be kept."""

    def undo(self, later: list[Undo]) -> None:
        """`later` are those of the next batch: one of them may rest on what is taken back here."""
        raise NotImplementedError


class Shelf:
    """What has a log beside those of sessions, and is told what became of each entry in it."""

    def __init__(self) -> None:
        self.log = ""  # "" while nothing of it is durable
        self.gone = False  # it exists no more

    def lasts(self, entry: Entry) -> None:
        """What the entry waited for is durable."""
        raise NotImplementedError

    def refused(self, entry: Entry) -> None:
        """What the entry waited for could not be made durable."""
        raise NotImplementedError

    def restored(self, entry: Entry) -> None:
        """The entry was removed on condition that all of its batch lasts, and it did not."""
        raise NotImplementedError

    def go_on(self) -> None:
        """All entries of a batch have been told of."""
        raise NotImplementedError


def _nobody(session: Session) -> None:
    """Until a dispatcher takes care."""


class _Pending:
    """One batch with everyone who is concerned."""

    def __init__(self, ticket: int) -> None:
        self.ticket: Final = ticket
        self.batch: Final = Batch()
        self.octets = 0  # of records
        self.deliveries: list[tuple[Session, Delivery]] = []  # one for each of the batch's appends, in their order
        self.held: list[tuple[Session, Delivery]] = []  # deliveries in memory that wait with them
        self.entries: list[tuple[Shelf, Entry]] = []  # those that are appended
        self.held_entries: list[tuple[Shelf, Entry]] = []  # those that wait with them
        self.conditional: list[tuple[Shelf, Entry]] = []  # those whose removal is refused with the batch
        self.shelves: dict[Shelf, None] = {}  # those that are to go on after it
        self.undo: list[Undo] = []
        self.waiting: dict[Receiver, None] = {}
        # What is not refused with the batch but tried again, because nobody can be told or it was told already.
        self.keep: set[tuple[str, str]] = set()
        self.kept: set[Delivery] = set()
        self.kept_entries: set[Entry] = set()
        # Deletions that a put of the same key has taken the place of.
        self.covered: set[tuple[str, str]] = set()


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
        self._refusing = False  # what is written now follows from a refusal: it waits for the retry
        self._failing = False
        self.keeping = False  # what is appended now is not refused with its batch but tried again
        self.holding = False  # what is delivered exactly once now waits for the batch also in memory
        self.stranded: Callable[[Session], None] = _nobody  # its shared deliveries lasted after it had gone
        self.durable = 0  # the last batch that is
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
        if not self._scheduled and not self._refusing:
            self._scheduled = True
            self._schedule()
        return self._current.batch

    def is_behind(self) -> bool:
        """The disk is slower than what comes in, and what comes in is much."""
        return self._current.octets > BEHIND

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

    def wait_for(self, receiver: Receiver, ticket: int) -> int:
        """`receiver` is told when batch `ticket` is durable or refused. Returns the ticket, 0 when it is over."""
        if ticket > self.durable:
            for pending in (self._current, self._under_way):
                if pending is not None and pending.ticket == ticket:
                    pending.waiting[receiver] = None
                    return ticket
        return 0

    # What is written. -------------------------------------------------------------------------------

    def append(self, session: Session, delivery: Delivery) -> int:
        batch = self._writing()
        record = records.write_delivery(
            delivery.message, delivery.qos, delivery.retain, delivery.identifiers, delivery.share
        )
        batch.appends.append((session.log, delivery.sequence, record))
        self._current.octets += len(record)
        ticket = self._current.ticket
        delivery.ticket = ticket
        session.uncommitted += 1
        self._current.deliveries.append((session, delivery))
        if self.keeping:
            self._current.kept.add(delivery)
        return ticket

    def hold(self, session: Session, delivery: Delivery) -> None:
        """Nothing is written for the delivery, but it is made and refused together with the current batch."""
        delivery.ticket = self._current.ticket
        session.uncommitted += 1
        self._current.held.append((session, delivery))

    def remove(self, session: Session, delivery: Delivery) -> None:
        batch = self._writing()
        batch.removes.append((session.log, delivery.sequence))
        if delivery.qos == 2:
            self.delete(RELEASED, f"{session.log}/{delivery.sequence}")

    def append_entry(self, shelf: Shelf, entry: Entry, record: bytes) -> int:
        current = self._current
        self._writing().appends.append((shelf.log, entry.sequence, record))
        current.octets += len(record)
        current.entries.append((shelf, entry))
        if self.keeping:
            current.kept_entries.add(entry)
        entry.ticket = current.ticket
        return current.ticket

    def hold_entry(self, shelf: Shelf, entry: Entry) -> None:
        """As `hold`."""
        self._current.held_entries.append((shelf, entry))
        entry.ticket = self._current.ticket

    def remove_entry(self, shelf: Shelf, entry: Entry) -> None:
        self._writing().removes.append((shelf.log, entry.sequence))

    def tell(self, shelf: Shelf) -> None:
        """It is to go on when the current batch is durable or refused."""
        self._current.shelves[shelf] = None

    def on_condition(self, shelf: Shelf, entry: Entry) -> None:
        """The entry's removal from the queue is refused together with the current batch."""
        self._current.conditional.append((shelf, entry))

    def put(self, bucket: str, key: str, record: bytes, keep: bool) -> int:
        """`keep`: it is tried again until it lasts, else it is refused with its batch."""
        ticket = self._put(bucket, key, record)
        if keep:
            self._current.keep.add((bucket, key))
        else:
            self._current.keep.discard((bucket, key))
        return ticket

    def _put(self, bucket: str, key: str, record: bytes) -> int:
        batch = self._writing()
        where = (bucket, key)
        if where in batch.deletes:
            batch.deletes.discard(where)
            self._current.covered.add(where)
        batch.puts[where] = record
        self._current.octets += len(record)
        return self._current.ticket

    def delete(self, bucket: str, key: str) -> int:
        batch = self._writing()
        where = (bucket, key)
        batch.puts.pop(where, None)
        batch.deletes.add(where)
        return self._current.ticket

    def undo_with(self, undo: Undo) -> None:
        """When the current batch is refused, `undo` takes back what it stood for."""
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
        unsent = 0 if expires_at is None else session.first_unsent()
        who, origin = session.principal, session.origin
        made = records.SessionRecord(
            session.log,
            who.created,
            origin.protocol,
            session.expiry_interval,
            expires_at,
            unsent,
            who.context,
            origin.verified,
        )
        ticket = self._put(SESSIONS, session.key, records.write_session(made))
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

    def put_retained(self, message: Message, keep: bool) -> int:
        """`keep`: nobody can be told that it failed, so it is tried again until it lasts."""
        ticket = self._put(RETAINED, message.topic, records.write_message(message))
        if keep:
            self._current.keep.add((RETAINED, message.topic))
        else:
            self._current.keep.discard((RETAINED, message.topic))
        return ticket

    def delete_retained(self, topic: str) -> int:
        return self.delete(RETAINED, topic)

    def put_hidden(self, name: str, created: float) -> None:
        self._put(HIDDEN, name, records.write_hidden(created))
        self._current.keep.add((HIDDEN, name))

    def put_will(self, session: Session, will: Will, due: float | None) -> int:
        who = session.principal
        record = records.write_will(will, who.created, session.origin, due, who.context)
        ticket = self._put(WILLS, session.key, record)
        if due is not None:
            self._current.keep.add((WILLS, session.key))
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
        self.durable = pending.ticket
        if self._failing:
            self._failing = False
            self._event(COMMIT_RECOVERED, {})
        receivers = pending.waiting
        stranded: dict[Session, None] = {}
        for session, delivery in pending.deliveries + pending.held if pending.held else pending.deliveries:
            delivery.ticket = 0
            session.uncommitted -= 1
            receiver = session.receiver
            if receiver is None:
                if delivery.share:
                    stranded[session] = None
            elif receiver not in receivers:
                receivers[receiver] = None
        shelves = pending.shelves
        if pending.entries or pending.held_entries:
            for shelf, entry in pending.entries + pending.held_entries:
                entry.ticket = 0
                shelf.lasts(entry)
                shelves[shelf] = None
        for receiver in receivers:
            receiver.committed(pending.ticket)
        for shelf in shelves:
            shelf.go_on()
        for session in stranded:
            self.stranded(session)

    def _refused(self, pending: _Pending, error: StoreError) -> None:
        self._counters.commits_failed += 1
        if not self._failing:
            self._failing = True
            self._event(COMMIT_FAILED, {"because": str(error)})
        later = self._current
        self._refusing = True
        for undo in reversed(pending.undo):
            undo.undo(later.undo)
        self._carry_over(pending)
        self._carry_entries_over(pending)
        for receiver in list(pending.waiting):
            retry = 0 if later.batch.is_empty() else later.ticket
            if retry:
                later.waiting[receiver] = None
            receiver.not_committed(pending.ticket, retry)
        self._refusing = False

    def _carry_over(self, pending: _Pending) -> None:
        """What follows from something already told or done goes into the next batch, until it lasts."""
        later = self._current
        old, new = pending.batch, later.batch
        for where, record in old.puts.items():
            if where in pending.keep:
                if where not in new.puts and where not in new.deletes:
                    new.puts[where] = record
                    later.keep.add(where)
            elif where in pending.covered and where not in new.puts:
                new.deletes.add(where)
        for where in old.deletes:
            if where in new.puts:
                later.covered.add(where)
            else:
                new.deletes.add(where)
        for where in pending.covered:
            if where in new.puts:
                later.covered.add(where)
        removed = set(old.removes)
        again: set[tuple[str, int]] = set()
        refused: dict[Session, set[int]] = {}
        appends = old.appends
        if pending.entries:
            shelved = {(shelf.log, entry.sequence) for shelf, entry in pending.entries}
            appends = [append for append in appends if (append[0], append[1]) not in shelved]
        for (log, sequence, record), (session, delivery) in zip(appends, pending.deliveries, strict=True):
            if delivery in pending.kept and not session.ended:
                if session.log != log:  # the session is kept in memory only by now
                    session.uncommitted -= 1
                    delivery.ticket = 0
                elif (log, sequence) not in removed:
                    again.add((log, sequence))
                    new.appends.append((log, sequence, record))
                    later.deliveries.append((session, delivery))
                    later.kept.add(delivery)
                    delivery.ticket = later.ticket
                else:
                    session.uncommitted -= 1
            else:
                session.uncommitted -= 1
                refused.setdefault(session, set()).add(sequence)
        for session, delivery in pending.held:
            session.uncommitted -= 1
            refused.setdefault(session, set()).add(delivery.sequence)
        for session, sequences in refused.items():
            session.forget(sequences)
        never = {(log, sequence) for log, sequence, _ in old.appends}
        never.update([(shelf.log, entry.sequence) for shelf, entry in pending.conditional])
        new.removes.extend([entry for entry in old.removes if entry not in never])
        new.drops |= old.drops

    def _carry_entries_over(self, pending: _Pending) -> None:
        """The same for entries of queues: what was told already is tried again, of the others their queue is told."""
        later = self._current
        written = {(log, sequence): record for log, sequence, record in pending.batch.appends}
        shelves = pending.shelves
        for shelf, entry in pending.entries:
            shelves[shelf] = None
            if shelf.gone or entry.state == GONE:
                continue
            if entry in pending.kept_entries:
                record = written[(shelf.log, entry.sequence)]
                later.batch.appends.append((shelf.log, entry.sequence, record))
                later.octets += len(record)
                later.entries.append((shelf, entry))
                later.kept_entries.add(entry)
                entry.ticket = later.ticket
            else:
                entry.ticket = 0
                shelf.refused(entry)
        for shelf, entry in pending.held_entries:
            shelves[shelf] = None
            if not shelf.gone and entry.state != GONE:
                entry.ticket = 0
                shelf.refused(entry)
        for shelf, entry in pending.conditional:
            if not shelf.gone:
                shelves[shelf] = None
                shelf.restored(entry)
        for shelf in shelves:
            shelf.go_on()
