"""All observers of topics: made when they are needed, checked once a day, let go when their peer goes (RFC 7641)."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer
from bridgehead.protocols.coap.session.notifications import Notifications
from bridgehead.protocols.coap.session.observation import Observation
from bridgehead.protocols.coap.session.observer import Keeper, Observer
from bridgehead.protocols.coap.session.settings import CoapSettings

_RETRY: Final = 1.0  # seconds until something is tried again that found no room
_STALLS: Final = 93  # tries: as long as a message under way waits for its acknowledgement (RFC 7252 section 4.8.2)
_CHECKS: Final = 1000.0  # tries in one interval, where a check finds no room
_SPARE: Final = 1000


class Observing(Keeper):
    """One for a server. The times are those of `broker.clock`."""

    def __init__(self, broker: Broker, settings: CoapSettings) -> None:
        self._broker: Final = broker
        self._settings: Final = settings
        self._notifications: Final = Notifications(broker.counters)
        self._observers: dict[Peer, list[Observer]] = {}
        self._serial = 0
        self.observations = 0
        self._checks: list[tuple[float, int, Observation, Observer]] = []
        self._idle: dict[Observer, None] = {}
        self._stalled: dict[Observer, None] = {}
        self._paused: dict[Observer, None] = {}
        self._retry_at = NEVER

    # Whom it is for. --------------------------------------------------------------------------------

    def attach(self, peer: Peer) -> None:
        """The peer has logged in, by DTLS or TLS: the end of its identity's right closes it, whether it observes
        anything or not. Raises Refusal when the identity has too many sessions."""
        if peer.party is not None:
            self._observer(peer.party, peer, True)

    def attend(self, party: Party, peer: Peer) -> None:
        """The party observes something that is no topic: from now on its `receiver` is there until its right ends, or
        the peer is gone. Raises Refusal when the identity has too many sessions."""
        self._observer(party, peer, True)

    def forget(self, peer: Peer) -> None:
        """The peer is gone."""
        for observer in self._observers.pop(peer, []):
            observer.leave()

    def _observer(self, party: Party, peer: Peer, pinned: bool) -> Observer:
        known = party.receiver
        if isinstance(known, Observer) and known.session is not None:
            known.pinned = known.pinned or pinned
            return known
        observer = Observer(self._broker, self, self._notifications, self._settings, party, peer, pinned)
        self._serial += 1
        origin = party.origin
        self._broker.admit(party.principal)  # so that a change of its record is known to be of the same identity
        session, _ = self._broker.attach(
            party.principal,
            f"coap-{self._serial}",
            origin.protocol,
            origin.verified,
            True,
            0.0,
            None,
            observer,
            origin.address,
        )
        session.marks = party.marks
        observer.session = session
        party.receiver = observer
        self._observers.setdefault(peer, []).append(observer)
        return observer

    # What topics ask for. ---------------------------------------------------------------------------

    def register(
        self, exchange: Exchange, party: Party, topic_filter: str, is_stream: bool, accept: int
    ) -> Observation:
        """See Observer.register. Raises Refusal."""
        observer = self._observer(party, exchange.peer, False)
        try:
            return observer.register(exchange, topic_filter, is_stream, accept)
        finally:
            if not observer.by_token and not observer.pinned:
                self._idle[observer] = None

    def pump(self, party: Party) -> None:
        """The registration was answered: retained messages may follow."""
        if isinstance(party.receiver, Observer):
            party.receiver.pump()

    def cancel(self, exchange: Exchange, party: Party) -> None:
        """The client wants no more notifications under this token (RFC 7641 section 3.6)."""
        if isinstance(party.receiver, Observer):
            party.receiver.cancel(exchange.request.token)

    # As the keeper. ---------------------------------------------------------------------------------

    def has_room(self) -> bool:
        return self.observations < self._settings.observations

    def began(self, observation: Observation, observer: Observer) -> None:
        self.observations += 1
        self._await_check(observation, observer)

    def ended(self, observer: Observer) -> None:
        self.observations -= 1
        # Not at once: the dispatcher may be in the middle of a delivery, and a client often registers again.
        if not observer.by_token and not observer.pinned:
            self._idle[observer] = None

    def stalled(self, observer: Observer) -> None:
        self._stalled[observer] = None
        self._retry_at = min(self._retry_at, self._broker.clock.now + _RETRY)

    def paused(self, observer: Observer) -> None:
        self._paused[observer] = None

    def left(self, observer: Observer) -> None:
        self._idle.pop(observer, None)
        self._stalled.pop(observer, None)
        self._paused.pop(observer, None)
        others = self._observers.get(observer.peer)
        if others is not None:
            others = [other for other in others if other is not observer]
            if others:
                self._observers[observer.peer] = others
            else:
                del self._observers[observer.peer]

    # Time. ------------------------------------------------------------------------------------------

    def _await_check(self, observation: Observation, observer: Observer) -> None:
        if len(self._checks) > 2 * self.observations + _SPARE:
            self._checks = [entry for entry in self._checks if not entry[2].over]
            heapify(self._checks)
        self._push(observation.confirmed_at + self._settings.confirm_interval, observation, observer)

    def _push(self, when: float, observation: Observation, observer: Observer) -> None:
        self._serial += 1
        heappush(self._checks, (when, self._serial, observation, observer))

    def next_timeout(self) -> float:
        if self._idle or self._paused:
            return self._broker.clock.now
        checks = self._checks
        while checks and checks[0][2].over:
            heappop(checks)
        return min(self._retry_at, checks[0][0] if checks else NEVER)

    def handle_timeout(self, now: float) -> None:
        idle = self._idle
        if idle:
            self._idle = {}
            for observer in idle:
                if not observer.by_token and not observer.pinned:
                    observer.leave()
        paused = self._paused
        if paused:
            self._paused = {}
            for observer in paused:
                observer.pump()
        if self._retry_at <= now:
            stalled = self._stalled
            self._stalled = {}
            self._retry_at = NEVER
            for observer in stalled:
                observer.stalls += 1
                if observer.stalls > _STALLS:
                    observer.silent()  # an address that is not proven, and asks for nothing: nothing may go there
                else:
                    observer.pump()
        checks = self._checks
        while checks and checks[0][0] <= now:
            _, _, observation, observer = heappop(checks)
            if observation.over:
                continue
            # RFC 7641 section 4.5: at least one in 24 hours is Confirmable, whether anything was published or not.
            interval = self._settings.confirm_interval
            if observation.confirmed_at + interval > now or observer.check(observation):
                if not observation.over:
                    self._await_check(observation, observer)
                    checks = self._checks
            elif observation.confirmed_at + 2.0 * interval <= now:
                observer.end(observation, None)
            else:
                self._push(now + interval / _CHECKS, observation, observer)
