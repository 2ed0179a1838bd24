"""The sessions of all identities: beginning, resuming, taking over, ending; their Wills and expiry."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from bridgehead.broker.counters import Counters
from bridgehead.broker.dispatch import Dispatcher
from bridgehead.broker.events import (
    SESSION_CREATED,
    SESSION_ENDED,
    SESSION_RESUMED,
    SESSION_TAKEN_OVER,
    EventSink,
    told,
)
from bridgehead.broker.journal import Journal
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.errors import BUSY, QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import NEVER, Origin
from bridgehead.core.policy import Context, Principal
from bridgehead.core.router import Router
from bridgehead.core.session import Receiver, Session, Will

_SPARE: Final = 1000  # entries of the past that the heaps may hold beside those of the present
_AT_A_TIME: Final = 2000  # Wills and sessions whose time has come that one call looks after


def _nobody(session: Session) -> None:
    """Until a door takes care."""


class DueWill:
    """A Will whose connection is gone: published at `due` unless the session is resumed before. `context` is the
    connection's that left it, None when that is not known."""

    def __init__(
        self, key: str, principal: str, context: Context | None, origin: Origin, will: Will, due: float
    ) -> None:
        self.key: Final = key
        self.principal: Final = principal
        self.context: Final = context
        self.origin: Final = origin
        self.will: Final = will
        self.due: Final = due


class Sessions:
    """All sessions by principal and client identifier.

    `publish_will` is called with each Will when its time has come; `next_timeout` is the earliest time at
    which a session expires or a Will falls due.
    """

    def __init__(
        self,
        router: Router,
        dispatcher: Dispatcher,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        counters: Counters,
        event: EventSink,
        publish_will: Callable[[DueWill], None],
    ) -> None:
        self._publish_will: Final = publish_will
        self._router: Final = router
        self._dispatcher: Final = dispatcher
        self._journal: Final = journal
        self._clock: Final = clock
        self._limits: Final = limits
        self._counters: Final = counters
        self._event: Final = event
        self._by_key: dict[str, Session] = {}
        self._by_principal: dict[str, dict[str, Session]] = {}
        self.rejudge: Callable[[Session], None] = _nobody  # another view of its principal is in force for it
        self._expiring: list[tuple[float, int, Session]] = []
        self._wills: dict[str, DueWill] = {}
        self._will_times: list[tuple[float, int, DueWill]] = []
        self._serial = 0
        self._next_log = 1

    def __len__(self) -> int:
        return len(self._by_key)

    def all(self) -> list[Session]:
        return list(self._by_key.values())

    def of(self, principal: str) -> list[Session]:
        return list(self._by_principal.get(principal, {}).values())

    def find(self, principal: str, client_id: str) -> Session | None:
        return self._by_key.get(f"{principal}/{client_id}")

    def _keep(self, key: str, session: Session) -> None:
        self._by_key[key] = session
        self._by_principal.setdefault(session.principal.name, {})[key] = session

    # Beginning and resuming. ------------------------------------------------------------------------

    def attach(
        self,
        principal: Principal,
        origin: Origin,
        clean_start: bool,
        expiry_interval: float,
        will: Will | None,
        receiver: Receiver,
    ) -> tuple[Session, bool]:
        """Begin or resume the session of `origin` for a new connection; an older connection of it is dismissed.

        Returns the session and whether it was there (Session Present). Refusal(QUOTA_EXCEEDED) when the
        principal has too many sessions.
        """
        client_id = origin.client_id
        key = f"{principal.name}/{client_id}"
        session = self._by_key.get(key)
        if session is not None and session.receiver is not None:
            self._event(SESSION_TAKEN_OVER, {**told(origin), "from": session.origin.address})
            # [MQTT-3.1.4-3]: the older connection gets DISCONNECT with 0x8E; its Will follows section 3.1.2.5.
            session.receiver.dismiss(BUSY, "the same identity connected again with this client identifier")
            session = self._by_key.get(key)
        if session is not None and session.principal.root is not principal.root:
            # Whoever removed the old identity has ended its sessions; none ever serves another of the same name.
            self.forget_wills(principal.name)
            self.end(session, "the identity is another one")
            session = None
        elif session is not None and clean_start:
            self.end(session, "Clean Start")  # [MQTT-3.1.2-4]
            session = None
        present = session is not None
        self._wills_resumed(key, present)
        if session is None:
            count = len(self._by_principal.get(principal.name, {}))
            if count >= self._limits.sessions_per_principal:
                raise Refusal(QUOTA_EXCEEDED, f"{principal.name!r} has {count} sessions, which is the limit")
            session = Session(principal, client_id, origin)
            self._keep(key, session)
            self._event(SESSION_CREATED, {"principal": principal.name, "client_id": client_id})
        else:
            session.origin = origin
            if session.principal is not principal:
                session.principal = principal
                self.rejudge(session)
            self._event(SESSION_RESUMED, {"principal": principal.name, "client_id": client_id})
        session.receiver = receiver
        session.marks = ()
        session.expires_at = NEVER
        self.set_expiry_interval(session, expiry_interval)
        session.will = will
        if will is not None:
            self._journal.put_will(session, will, None)
        return session, present

    def set_expiry_interval(self, session: Session, expiry_interval: float) -> None:
        """Seconds to keep the session after its connection; what was kept in memory only becomes durable
        when it is above 0, and the other way round."""
        interval = min(expiry_interval, float(self._limits.session_expiry_interval))
        session.expiry_interval = interval
        if interval > 0:
            begins = not session.log
            if begins:
                session.log = f"q{self._next_log}"
                self._next_log += 1
            self._journal.put_session(session, None if session.receiver is not None else session.expires_at)
            if begins:
                for subscription in session.subscriptions.values():
                    self._journal.put_subscription(subscription)
        elif session.log:
            self._journal.drop_session(session)
            session.log = ""

    # Ending. ----------------------------------------------------------------------------------------

    def detach(self, session: Session, receiver: Receiver, keep_will: bool) -> None:
        """The connection is gone.

        `keep_will` is false after an orderly farewell, which discards the Will ([MQTT-3.14.4-3]).
        """
        if session.receiver is not receiver:
            return
        session.receiver = None
        self._dispatcher.interrupted(session)
        will = session.will
        session.will = None
        now = self._clock.now
        if will is not None:
            if keep_will:
                delay = min(float(will.delay), session.expiry_interval, float(self._limits.will_delay_interval))
                who = session.principal
                waiting = DueWill(session.key, who.name, who.context, session.origin, will, now + delay)
                if delay <= 0:
                    self._journal.delete_will(session.key)
                    self._publish_will(waiting)
                else:
                    self._await_will(waiting)
                    self._journal.put_will(session, will, waiting.due)
            else:
                self._journal.delete_will(session.key)
        if session.expiry_interval <= 0:
            self.end(session, "connection closed")
            return
        session.expires_at = now + session.expiry_interval
        self._await_expiry(session)
        self._journal.put_session(session, session.expires_at)
        self._dispatcher.hand_over(session, False)

    def end(self, session: Session, because: str) -> None:
        """The session and everything in it is gone. A Will that is due later stays due."""
        if session.ended:
            return
        session.ended = True
        del self._by_key[session.key]
        name = session.principal.name
        others = self._by_principal[name]
        del others[session.key]
        if not others:
            del self._by_principal[name]
        if session.log:
            self._journal.drop_session(session)
        log = session.log
        session.log = ""  # what is handed over has no record here any more
        self._dispatcher.hand_over(session, True)
        session.log = log
        for key in list(session.subscriptions):
            self._router.remove(session, key)
        session.queue = None
        session.hold(-session.queued_octets)
        session.in_flight = {}
        session.octets_in_flight = 0
        session.received = None
        session.replay = None
        self._event(SESSION_ENDED, {"principal": name, "client_id": session.client_id, "because": because})

    # Time. ------------------------------------------------------------------------------------------

    def _await_expiry(self, session: Session) -> None:
        if len(self._expiring) > 2 * len(self._by_key) + _SPARE:
            # Clients that come and go leave entries behind: those that mean nothing any more are dropped.
            absent = [session for session in self._by_key.values() if session.receiver is None]
            self._expiring = [(held.expires_at, i, held) for i, held in enumerate(absent) if held is not session]
            heapq.heapify(self._expiring)
        self._serial += 1
        heapq.heappush(self._expiring, (session.expires_at, self._serial, session))

    def _await_will(self, waiting: DueWill) -> None:
        self._wills[waiting.key] = waiting
        if len(self._will_times) > 2 * len(self._wills) + _SPARE:
            others = [held for held in self._wills.values() if held is not waiting]
            self._will_times = [(held.due, i, held) for i, held in enumerate(others)]
            heapq.heapify(self._will_times)
        self._serial += 1
        heapq.heappush(self._will_times, (waiting.due, self._serial, waiting))

    def forget_wills(self, principal: str) -> None:
        """The principal does not exist any more: what it left to be said is not said, nor kept for a later one of
        the same name."""
        for key, waiting in list(self._wills.items()):
            if waiting.principal == principal:
                del self._wills[key]
                self._journal.delete_will(key)

    def _wills_resumed(self, key: str, present: bool) -> None:
        """[MQTT-3.1.3-9]: a new connection before the Will Delay Interval has passed stops the Will. When the
        session is not resumed but begun anew, the old one has ended, and its Will is due now (3.1.3.2.2)."""
        waiting = self._wills.get(key)
        if waiting is None:
            return
        del self._wills[key]
        self._journal.delete_will(key)
        if not present:
            self._publish_will(waiting)

    def next_timeout(self) -> float:
        when = NEVER
        if self._expiring:
            when = self._expiring[0][0]
        if self._will_times and self._will_times[0][0] < when:
            when = self._will_times[0][0]
        return when

    def expire(self) -> None:
        """Publish the Wills that are due and end the sessions whose time is over: some thousand at a time, for after
        a restart many may be due at once. What is left stays due."""
        now = self._clock.now
        left = _AT_A_TIME
        while left and self._will_times and self._will_times[0][0] <= now:
            left -= 1
            waiting = heapq.heappop(self._will_times)[2]
            if self._wills.get(waiting.key) is waiting:
                del self._wills[waiting.key]
                self._journal.delete_will(waiting.key)
                self._publish_will(waiting)
        # Not before the last Will that is due: one may belong to a session that ends.
        while left and self._expiring and self._expiring[0][0] <= now:
            left -= 1
            session = heapq.heappop(self._expiring)[2]
            if session.receiver is None and not session.ended and session.expires_at <= now:
                self.end(session, "Session Expiry Interval passed")

    # Recovery. --------------------------------------------------------------------------------------

    def restore(self, session: Session) -> None:
        """Take in a session as it was read from the store, not connected."""
        self._keep(session.key, session)
        self._await_expiry(session)

    def restore_will(self, waiting: DueWill) -> None:
        self._await_will(waiting)

    def logs_begin_at(self, number: int) -> None:
        """Logs up to `number` - 1 have been used by an earlier run."""
        self._next_log = number
