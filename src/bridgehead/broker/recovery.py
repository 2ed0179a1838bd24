"""From the store back to core state, when the hub starts."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.broker import journal as names
from bridgehead.broker import records
from bridgehead.broker.door import Door
from bridgehead.broker.events import RECOVERED, EventSink
from bridgehead.broker.journal import Journal
from bridgehead.broker.limits import Limits
from bridgehead.broker.ports import Store
from bridgehead.broker.sessions import DueWill, Sessions
from bridgehead.core.clock import Clock
from bridgehead.core.message import Origin
from bridgehead.core.policy import Principal
from bridgehead.core.retained import Retained
from bridgehead.core.router import Router
from bridgehead.core.session import RELEASED, Delivery, Session, Subscription

OF_SESSION: Final = "q"  # what the name of a session's log begins with
_PAGE = 1000
_ALL = 1 << 63


class Parts:
    """What a recovery fills."""

    def __init__(
        self,
        door: Door,
        sessions: Sessions,
        router: Router,
        retained: Retained,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        event: EventSink,
    ) -> None:
        self.door: Final = door
        self.sessions: Final = sessions
        self.router: Final = router
        self.retained: Final = retained
        self.journal: Final = journal
        self.clock: Final = clock
        self.limits: Final = limits
        self.event: Final = event


def recover(store: Store, broker: Parts) -> None:
    """Read sessions, subscriptions, queues, exactly-once state, retained messages and Wills.

    What belongs to a principal that no longer exists, or that is another of the same name, is deleted. Raises
    records.CorruptRecord.
    """
    now = broker.clock.now
    by_log: dict[str, Session] = {}
    interrupted: list[Session] = []  # connected when the hub ended
    unsent_from: dict[str, int] = {}
    dropped = 0
    highest = 0
    for key, record in store.scan(names.SESSIONS):
        held = records.read_session(record)
        log, expires_at = held.log, held.expires_at
        highest = max(highest, int(log[1:]))
        name, _, client_id = key.partition("/")
        principal = _same(broker, name, held.created)
        view = principal if principal is not None else Principal.of(name, [], [])
        if held.context is not None:
            view = view.under(held.context)
        session = Session(view, client_id, Origin(name, held.protocol, held.verified, client_id))
        session.log = log
        session.next_sequence = max(held.unsent, 1)
        unsent_from[log] = held.unsent or _ALL
        session.expiry_interval = held.expiry_interval
        # A session that was connected counts from now.
        session.expires_at = now + held.expiry_interval if expires_at is None else expires_at
        if principal is None or session.expires_at <= now:
            broker.journal.drop_session(session)
            dropped += 1
            continue
        by_log[log] = session
        broker.sessions.restore(session)
        if expires_at is None:
            interrupted.append(session)
    for log in store.logs():
        if log[0] == OF_SESSION:
            highest = max(highest, int(log[1:]))
    broker.sessions.logs_begin_at(highest + 1)
    _subscriptions(store, broker)
    deliveries = _deliveries(store, broker, by_log, unsent_from)
    for session in interrupted:
        broker.journal.put_session(session, session.expires_at)
    for key, _ in store.scan(names.RECEIVED):
        log, _, identifier = key.rpartition("/")
        owner = by_log.get(log)
        if owner is None:
            broker.journal.delete(names.RECEIVED, key)
            continue
        if owner.received is None:
            owner.received = {}
        owner.received[int(identifier)] = 0
    for key, record in store.scan(names.RETAINED):
        message = records.read_message(record)
        if message.expires_at <= now:
            broker.journal.delete_retained(key)
        else:
            broker.retained.put(message)
    _wills(store, broker, now)
    broker.event(
        RECOVERED,
        {"sessions": len(by_log), "deliveries": deliveries, "retained": len(broker.retained), "dropped": dropped},
    )


def _same(broker: Parts, name: str, created: float) -> Principal | None:
    """The principal whose record it is. One that was removed and added again while the hub was down is another."""
    principal = broker.door.principal(name)
    return principal if principal is not None and principal.created == created else None


def _subscriptions(store: Store, broker: Parts) -> None:
    for key, record in store.scan(names.SUBSCRIPTIONS):
        session_key, _, _ = key.partition("\0")
        name, _, client_id = session_key.partition("/")
        session = broker.sessions.find(name, client_id)
        if session is None:
            broker.journal.delete(names.SUBSCRIPTIONS, key)
            continue
        topic_filter, qos, no_local, retain_as_published, retain_handling, identifier, share = (
            records.read_subscription(record)
        )
        broker.router.add(
            Subscription(session, topic_filter, qos, no_local, retain_as_published, retain_handling, identifier, share)
        )


def _deliveries(store: Store, broker: Parts, by_log: dict[str, Session], unsent_from: dict[str, int]) -> int:
    """Queues, in their order. What may have been sent before is marked as sent again: everything in a session that
    was connected, else what comes before the number that its record tells."""
    released: set[str] = set()
    for key, _ in store.scan(names.RELEASED):
        log, _, _ = key.rpartition("/")
        if log in by_log:
            released.add(key)
        else:
            broker.journal.delete(names.RELEASED, key)
    count = 0
    for log in list(store.logs()):
        if log[0] != OF_SESSION:
            continue
        session = by_log.get(log)
        if session is None:
            broker.journal.drop_log(log)
            continue
        queue: deque[Delivery] = deque()
        unsent = unsent_from[log]
        after = 0
        while True:
            page = store.read(log, after, _PAGE)
            for sequence, record in page:
                after = sequence
                message, qos, retain, identifiers, share = records.read_delivery(record)
                delivery = Delivery(sequence, message, qos, retain, identifiers, share)
                delivery.again = sequence < unsent
                count += 1
                if f"{log}/{sequence}" in released:
                    delivery.state = RELEASED
                    session.fly(delivery)
                else:
                    queue.append(delivery)
                    session.hold(message.weight)
            if len(page) < _PAGE:
                break
        session.queue = queue
        session.next_sequence = max(session.next_sequence, after + 1)
    return count


def _wills(store: Store, broker: Parts, now: float) -> None:
    """A Will whose connection lived when the hub ended falls due as if it had been interrupted now."""
    for key, record in store.scan(names.WILLS):
        will, created, protocol, due, context, verified = records.read_will(record)
        name, _, client_id = key.partition("/")
        if _same(broker, name, created) is None:
            broker.journal.delete(names.WILLS, key)
            continue
        session = broker.sessions.find(name, client_id)
        if due is None:
            kept = 0.0 if session is None else session.expires_at - now
            due = now + min(float(will.delay), kept, float(broker.limits.will_delay_interval))
        # The same origin as its session's, for No Local.
        origin = None if session is None else session.origin
        if origin is None or origin.verified is not verified:
            origin = Origin(name, protocol, verified, client_id)
        broker.sessions.restore_will(DueWill(key, name, context, origin, will, due))
