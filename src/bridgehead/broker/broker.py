"""The broker: core state and its verbs in one place, for the protocols' servers and the node.

Synchronous throughout (docs/adr/0002): the rim sets the clock, calls in, and looks at `next_timeout`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker import records
from bridgehead.broker.counters import Counters
from bridgehead.broker.dispatch import Dispatcher
from bridgehead.broker.door import Door
from bridgehead.broker.events import EventSink
from bridgehead.broker.journal import HIDDEN, Journal
from bridgehead.broker.limits import Limits
from bridgehead.broker.ports import Store
from bridgehead.broker.queues.queues import Queues
from bridgehead.broker.queues.recovery import recover_queues
from bridgehead.broker.recovery import Parts, recover
from bridgehead.broker.sessions import Sessions
from bridgehead.broker.withdrawal import Withdrawal
from bridgehead.broker.written import Written
from bridgehead.core.clock import Clock
from bridgehead.core.errors import NOT_AUTHORIZED
from bridgehead.core.message import Origin
from bridgehead.core.policy import Principal
from bridgehead.core.retained import Retained
from bridgehead.core.router import Router
from bridgehead.core.session import Receiver, Session, Will

RETAINED_SWEEP_INTERVAL: Final = 60.0
_SWEPT_AT_A_TIME: Final = 10_000


class Broker:
    """`schedule_commit` is called when the journal has something to write; the rim answers with
    `journal.flush()` before it waits for events again."""

    def __init__(
        self, store: Store, clock: Clock, limits: Limits, event: EventSink, schedule_commit: Callable[[], None]
    ) -> None:
        self.clock: Final = clock
        self.limits: Final = limits
        self.event: Final = event
        self.counters: Final = Counters()
        self.router: Final = Router()
        self.retained: Final = Retained()
        self.journal: Final = Journal(store, clock, self.counters, event, schedule_commit)
        self.dispatcher: Final = Dispatcher(
            self.router, self.retained, self.journal, clock, limits, self.counters, event
        )
        self.door: Final = Door(
            self.router, self.retained, self.dispatcher, self.journal, clock, limits, self.counters, event
        )
        self.sessions: Final = Sessions(
            self.router, self.dispatcher, self.journal, clock, limits, self.counters, event, self.door.publish_will
        )
        self.queues: Final = Queues(self.door, self.journal, clock, limits, self.counters, event)
        self.written: Final = Written(self.retained, self.journal, event)
        self._withdrawal: Final = Withdrawal(self.door, self.dispatcher)
        self.sessions.rejudge = self._withdrawal.resumed
        self._store: Final = store
        self._next_sweep = clock.now + RETAINED_SWEEP_INTERVAL
        self._to_sweep: list[str] = []

    # Identities. ------------------------------------------------------------------------------------

    def recover(self, principals: list[Principal]) -> None:
        """Take back from the store what an earlier run kept, for the principals that still exist; what
        belonged to others is dropped."""
        for principal in principals:
            self.door.admit(principal)
        parts = Parts(
            self.door, self.sessions, self.router, self.retained, self.journal, self.clock, self.limits, self.event
        )
        recover(self._store, parts)
        for name, record in self._store.scan(HIDDEN):
            self.retained.hidden[name] = records.read_hidden(record)
        for session in self.sessions.all():
            self.dispatcher.hand_over(session, False)  # to nobody yet, but the groups learn what it holds
        recover_queues(self._store, self.queues, self.journal, self.event)
        self.queues.exchanges.recovered()

    def stored(self, bucket: str) -> list[tuple[str, bytes]]:
        """What an earlier run kept under a name of its own, and Journal.put writes."""
        return list(self._store.scan(bucket))

    def admit(self, principal: Principal) -> None:
        self.door.admit(principal)

    def revoke(self, name: str, because: str) -> None:
        """The identity is gone, or all its credentials are taken back: its connections close, its sessions, its Wills
        and what is queued for it end."""
        self.door.expel(name)
        self.queues.revoked(name)
        self.sessions.forget_wills(name)
        for session in self.sessions.of(name):
            session.will = None
            self.journal.delete_will(session.key)
            if session.receiver is not None:
                session.receiver.dismiss(NOT_AUTHORIZED, because)
            self.sessions.end(session, because)

    def disconnect(self, name: str, because: str, marks: frozenset[str] | None = None) -> int:
        """The identity's credentials changed: its connections close, its sessions stay. `marks`: only those that were
        proven by one of these credentials, or by its kind when no more is known. Returns how many were closed."""
        closed = 0
        for session in self.sessions.of(name):
            receiver = session.receiver
            if receiver is None:
                continue
            if marks is None or _stands_on(session, marks):
                closed += 1
                receiver.dismiss(NOT_AUTHORIZED, because)
        return closed

    def permissions_changed(self, names: list[str] | None = None) -> None:
        """Principals of these names were amended, or any may have been (None): nothing is delivered any more that is
        not permitted, and every open subscription of theirs is judged anew. Queues, replays and Wills are when they
        have their turn."""
        self.door.permissions_changed()
        self.queues.permissions_changed(names)
        if names is None:
            self._withdrawal.begin(self.sessions.all())
            return
        self._withdrawal.begin([session for name in names for session in self.sessions.of(name)])

    def judge_on(self) -> None:
        """Go on with what permissions_changed began, if anything is left: handle_timeout does it too, less often."""
        if not self._withdrawal.is_over:
            self._withdrawal.go_on()

    # Retained messages of identities whose credentials were taken back. -----------------------------

    def hide_retained(self, name: str, created: float) -> None:
        """What the identity of that name, created then, wrote is kept and not delivered, neither in a replay nor from
        a queue."""
        self.written.hide(name, created)

    def show_retained(self, name: str, created: float) -> None:
        """It is delivered again. If another identity has the name now, the earlier one's is purged instead."""
        self.written.show(name, created)

    def purge_retained(self, name: str) -> None:
        """What the identity wrote is deleted, durably."""
        self.written.purge(name)

    # Connections. -----------------------------------------------------------------------------------

    def attach(
        self,
        principal: Principal,
        client_id: str,
        protocol: str,
        verified: bool,
        clean_start: bool,
        expiry_interval: float,
        will: Will | None,
        receiver: Receiver,
        address: str = "",
    ) -> tuple[Session, bool]:
        """Begin or resume a session: see Sessions.attach. The Will is asked of the door first."""
        origin = Origin(principal.name, protocol, verified, client_id, address)
        if will is not None:
            self.door.check_will(principal, will, origin)
        return self.sessions.attach(principal, origin, clean_start, expiry_interval, will, receiver)

    def detach(self, session: Session, receiver: Receiver, keep_will: bool) -> None:
        self.sessions.detach(session, receiver, keep_will)

    # Time. ------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        """When `handle_timeout` wants to be called next, in seconds since the epoch."""
        if not self._withdrawal.is_over or not self.written.is_over:
            return self.clock.now
        return min(self.sessions.next_timeout(), self.queues.next_timeout(), self.journal.retry_at, self._next_sweep)

    def handle_timeout(self) -> None:
        now = self.clock.now
        self.judge_on()
        if not self.written.is_over:
            self.written.go_on()
        self.sessions.expire()
        self.queues.handle_timeout()
        if self.journal.retry_at <= now:
            self.journal.flush()
        if self._next_sweep <= now:
            self._sweep_retained(now)

    def _sweep_retained(self, now: float) -> None:
        """Drop retained messages that have expired, a portion at each call until all were looked at."""
        if not self._to_sweep:
            self._to_sweep = self.retained.topics()
        portion = self._to_sweep[-_SWEPT_AT_A_TIME:]
        del self._to_sweep[-_SWEPT_AT_A_TIME:]
        if not self._to_sweep:
            self._next_sweep = now + RETAINED_SWEEP_INTERVAL
        for topic in portion:
            message = self.retained.get(topic)
            if message is not None and message.expires_at <= now:
                self.retained.discard(topic)
                self.journal.delete_retained(topic)
                self.counters.dropped_expired += 1


def _stands_on(session: Session, marks: frozenset[str]) -> bool:
    """Whether its connection was proven by one of the credentials, as far as it is known."""
    if session.marks:
        return not marks.isdisjoint(session.marks)
    context = session.principal.context
    if context is None:
        return True
    return not {mark.partition(" ")[0] for mark in marks}.isdisjoint(context.mechanisms)
