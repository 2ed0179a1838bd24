"""What the broker delivers to: one party at one peer, with all its observations (RFC 7641 section 4)."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import Message
from bridgehead.core.router import permitted_qos
from bridgehead.core.session import (
    DISCARDED,
    NO_CREDIT,
    TAKEN,
    Delivery,
    Receiver,
    Session,
    Subscription,
    Target,
)
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import message as coap
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer
from bridgehead.protocols.coap.session.notifications import END, SKIP, Notifications
from bridgehead.protocols.coap.session.observation import Flight, Group, Observation, Watched
from bridgehead.protocols.coap.session.replies import failure
from bridgehead.protocols.coap.session.settings import CoapSettings

_NEVER_AGAIN: Final = 2  # Retain Handling: the answer to the registration has the retained message
_REPLAY: Final = 0
_REPLAY_STEPS: Final = 1000  # looked at before others have their turn: less than a millisecond
_OTHER_FORMAT: Final = "The topic has another Content-Format now: register again."


class Keeper:
    """All observers, and the times at which they want something: session/observing.py."""

    def has_room(self) -> bool:
        """Whether one more observation may be made."""
        raise NotImplementedError

    def began(self, observation: Observation, observer: Observer) -> None:
        raise NotImplementedError

    def ended(self, observer: Observer) -> None:
        """One observation less. An observer without any may be let go, a little later."""
        raise NotImplementedError

    def stalled(self, observer: Observer) -> None:
        """It has something to send, found no room, and has nothing under way whose end would wake it."""
        raise NotImplementedError

    def paused(self, observer: Observer) -> None:
        """It goes on when others had their turn."""
        raise NotImplementedError

    def left(self, observer: Observer) -> None:
        """It is over."""
        raise NotImplementedError


class _Events(Watched):
    """The way from an observation to its observer, which cannot derive from two classes."""

    def __init__(self, observer: Observer) -> None:
        self._observer: Final = observer

    def landed(self, number: int) -> None:
        self._observer.landed(number)

    def rejected(self, observation: Observation, number: int) -> None:
        self._observer.end(observation, None)
        self._observer.landed(number)

    def silent(self, number: int) -> None:
        self._observer.silent()


class Observer(Receiver):
    """`pinned`: it stays when it observes nothing, so that the end of its right closes the peer."""

    def __init__(
        self,
        broker: Broker,
        keeper: Keeper,
        notifications: Notifications,
        settings: CoapSettings,
        party: Party,
        peer: Peer,
        pinned: bool,
    ) -> None:
        self._broker: Final = broker
        self._keeper: Final = keeper
        self._notifications: Final = notifications
        self._settings: Final = settings
        self.party: Final = party
        self.peer: Final = peer
        self.pinned: bool = pinned
        self.session: Session | None = None
        self.by_token: dict[bytes, Observation] = {}
        self.stalls: int = 0  # tries since something found room
        self._events: Final = _Events(self)
        self._groups: dict[int, Group] = {}
        self._by_filter: dict[str, Group] = {}
        self._next_identifier = 1
        self._flights: dict[int, Flight] = {}
        self._next_replay = -1
        # What waits, waits in the session's queue: there it expires in time, and is no burden to the message layer.
        self._window: Final = settings.unconfirmed if peer.reliable else settings.nstart

    # Registration. ----------------------------------------------------------------------------------

    def register(self, exchange: Exchange, topic_filter: str, is_stream: bool, accept: int) -> Observation:
        """Add or replace the token's observation (RFC 7641 section 4.1). The caller answers with its `number`, and
        then calls `pump`. Raises Refusal."""
        assert self.session is not None
        known = self.by_token.get(exchange.request.token)
        if known is None and (
            len(self.by_token) >= self._settings.observations_per_peer or not self._keeper.has_room()
        ):
            raise Refusal(QUOTA_EXCEEDED, "no more observations are taken: end some first")
        group = self._by_filter.get(topic_filter)
        if group is None:
            group = Group(topic_filter, self._next_identifier)
        qos = 1 if exchange.confirmable else 0
        # A client that registers anew what it observes, to be sure, has the retained messages (RFC 7641 section 3.3.1).
        replays = is_stream and (known is None or known.group is not group or not known.is_stream)
        if replays or qos > group.qos:
            replay = _REPLAY if replays else _NEVER_AGAIN
            wanted = max(qos, group.qos)
            self._broker.door.subscribe(
                Subscription(self.session, topic_filter, wanted, False, False, replay, group.identifier)
            )
            group.qos = wanted
        if group.identifier not in self._groups:
            self._groups[group.identifier] = group
            self._by_filter[topic_filter] = group
            self._next_identifier += 1
        now = self._broker.clock.now
        number = self._notifications.first_number(-1 if known is None else known.number)
        observation = Observation(self._events, exchange, group, is_stream, accept, number, now)
        group.observations = [*group.observations, observation]
        if replays or known in group.replayed:
            group.replayed = [*group.replayed, observation]
        if known is not None:
            if known.group is group:  # what it could not be sent yet goes to the one in its place
                for flight in self._flights.values():
                    flight.todo = [observation if other is known else other for other in flight.todo]
            self._remove(known)
            known.exchange.ended()
            self._keeper.ended(self)
        self.by_token[observation.token] = observation
        self._keeper.began(observation, self)
        return observation

    def cancel(self, token: bytes) -> None:
        """The client asks for it (RFC 7641 section 3.6). Nothing happens where there is none."""
        observation = self.by_token.get(token)
        if observation is not None:
            self.end(observation, None)

    def end(self, observation: Observation, last: coap.Message | None) -> None:
        """It is over, and `last` says why if that is to be told (RFC 7641 section 4.2)."""
        if observation.over:
            return
        self._remove(observation)
        del self.by_token[observation.token]
        if last is not None:
            observation.exchange.notify(last, observation.acknowledges, None, 0)
        observation.exchange.ended()
        self._keeper.ended(self)

    def _remove(self, observation: Observation) -> None:
        observation.over = True
        group = observation.group
        group.observations = [other for other in group.observations if other is not observation]
        if group.replayed:
            group.replayed = [other for other in group.replayed if other is not observation]
        if not group.observations:
            self._groups.pop(group.identifier, None)
            self._by_filter.pop(group.topic_filter, None)
            if self.session is not None:
                self._broker.door.unsubscribe(self.session, group.topic_filter)

    # As the broker's receiver. ----------------------------------------------------------------------

    def transmit(self, message: Message, target: Target) -> None:
        for identifier in target.identifiers:
            group = self._groups.get(identifier)
            if group is not None:
                for observation in group.observations:
                    self._send_once(observation, message)

    def offer(self, delivery: Delivery) -> int:
        if len(self._flights) >= self._window:
            return NO_CREDIT
        return TAKEN if self._launch(delivery.sequence, delivery.message, delivery.identifiers, False) else DISCARDED

    def pump(self) -> None:
        """Send what waits, as far as what is under way permits."""
        dispatcher = self._broker.dispatcher
        session = self.session
        if session is None:
            return
        for flight in list(self._flights.values()):
            if flight.todo and permitted_qos(session, flight.message) < 0:
                flight.todo = []  # its right ended meanwhile
                self._broker.counters.dropped_not_permitted += 1
            if not self._go_on(flight) and flight.number > 0:
                dispatcher.acknowledged(session, flight.number)
        while session.queue and len(self._flights) < self._window:
            delivery = dispatcher.next_delivery(session)
            if delivery is None:
                break
            if not self._launch(delivery.sequence, delivery.message, delivery.identifiers, False):
                dispatcher.acknowledged(session, delivery.sequence)
        if session.replay is not None:
            self._replay(session)

    def _replay(self, session: Session) -> None:
        """Retained messages go out Confirmable, so that the client's acknowledgements set the pace (RFC 7641 section
        4.5.1)."""
        dispatcher = self._broker.dispatcher
        session.replay_steps = _REPLAY_STEPS
        while len(self._flights) < self._window:
            delivery = dispatcher.next_replay(session)
            if delivery is None:
                if session.replay_steps <= 0:
                    self._keeper.paused(self)
                    return
                break
            number = delivery.sequence
            if number == 0:
                number = self._next_replay
                self._next_replay -= 1
            if not self._launch(number, delivery.message, delivery.identifiers, True) and number > 0:
                dispatcher.acknowledged(session, number)
        if session.replay is None:
            for group in self._groups.values():
                group.replayed = []

    def committed(self, ticket: int) -> None:
        self.pump()

    def not_committed(self, ticket: int, retry: int) -> None:
        """Nothing that an observer does is written."""

    def dismiss(self, meaning: str, because: str) -> None:
        session = self.session
        if session is None:
            return
        lost = [group for group in self._groups.values() if group.topic_filter not in session.subscriptions]
        if lost:  # a permission was withdrawn; else the identity's right has ended
            for group in lost:
                for observation in group.observations:
                    self.end(observation, failure(codes.FORBIDDEN, because))
            return
        self.end_all(failure(mapping.RESPONSE_CODES[meaning], because))
        self.leave()
        if self.peer.party is self.party:
            self.peer.close(because)

    # Notifications. ---------------------------------------------------------------------------------

    def _launch(self, number: int, message: Message, identifiers: tuple[int, ...], retained: bool) -> bool:
        """Send one delivery to everyone it is for. False: nobody will acknowledge it."""
        todo: list[Observation] = []
        for identifier in identifiers:
            group = self._groups.get(identifier)
            if group is None:
                continue
            for observation in group.replayed if retained else group.observations:
                if observation.acknowledges or retained:
                    todo.append(observation)
                else:
                    self._send_once(observation, message)
        if not todo:
            return False
        todo.reverse()
        flight = Flight(number, message, todo)
        self._flights[number] = flight
        return self._go_on(flight)

    def _go_on(self, flight: Flight) -> bool:
        """Send it to those that have not been sent it yet. False: it is over."""
        todo = flight.todo
        while todo:
            observation = todo[-1]
            if not observation.over:
                verdict = self._notifications.verdict(observation, flight.message)
                if verdict == END:
                    self.end(observation, failure(codes.NOT_ACCEPTABLE, _OTHER_FORMAT))
                elif verdict != SKIP:
                    if not self._notify(observation, flight.message, True, flight.number):
                        if not self.peer.gone and not self._is_awaiting():
                            self._keeper.stalled(self)
                        return True
                    flight.unanswered += 1
            if todo:
                todo.pop()
        if flight.unanswered > 0:
            return True
        self._flights.pop(flight.number, None)
        return False

    def _is_awaiting(self) -> bool:
        """Something under way will end and wake it."""
        for flight in self._flights.values():
            if flight.unanswered > 0:
                return True
        return False

    def _send_once(self, observation: Observation, message: Message) -> None:
        if observation.over:
            return
        verdict = self._notifications.verdict(observation, message)
        if verdict == END:
            self.end(observation, failure(codes.NOT_ACCEPTABLE, _OTHER_FORMAT))
            return
        if verdict == SKIP:
            return
        if not self.peer.proven and len(self._flights) < self._window:
            # The message layer may have to ask first whether the address is there: then it is sent a little later.
            if not self._notify(observation, message, False, 0):
                flight = Flight(self._next_replay, message, [observation])
                self._next_replay -= 1
                self._flights[flight.number] = flight
                self._keeper.stalled(self)
            return
        due = observation.confirmed_at + self._settings.confirm_interval <= self._broker.clock.now
        if not (due and self._notify(observation, message, True, 0)) and not self._notify(
            observation, message, False, 0
        ):
            self._broker.counters.dropped_slow += 1

    def _notify(self, observation: Observation, message: Message, confirmable: bool, number: int) -> bool:
        now = self._broker.clock.now
        response = self._notifications.make(observation, message, now)
        if not observation.exchange.notify(response, confirmable, observation, number):
            return False
        self._broker.counters.messages_sent += 1
        if confirmable:
            observation.confirmed_at = now
            self.stalls = 0
        return True

    def check(self, observation: Observation) -> bool:
        """Say how it stands, Confirmable, so that the client shows that it is there still. False: not now."""
        message: Message | None = None
        if not observation.is_stream:
            try:
                topic = observation.group.topic_filter
                message = self._broker.door.read(self.party.principal, topic, self.party.origin)
            except Refusal as refusal:
                self.end(observation, failure(mapping.code_of(refusal), refusal.because))
                return True
        if message is not None:
            verdict = self._notifications.verdict(observation, message)
            if verdict == END:
                self.end(observation, failure(codes.NOT_ACCEPTABLE, _OTHER_FORMAT))
                return True
            return self._notify(observation, message, True, 0)
        if not observation.exchange.notify(self._notifications.nothing(observation), True, observation, 0):
            return False
        observation.confirmed_at = self._broker.clock.now
        return True

    # What becomes of them. --------------------------------------------------------------------------

    def landed(self, number: int) -> None:
        """A notification of flight `number` needs no more care. 0: it was of none."""
        flight = self._flights.get(number)
        if flight is not None:
            flight.unanswered -= 1
            if flight.unanswered == 0 and not flight.todo:
                del self._flights[number]
                if number > 0 and self.session is not None:
                    self._broker.dispatcher.acknowledged(self.session, number)
        if self.session is not None:
            self.pump()

    def silent(self) -> None:
        """The client does not answer any more: it has lost interest in everything (RFC 7641 section 4.5)."""
        self.end_all(None)
        self.pump()  # what waited goes to nobody

    def end_all(self, last: coap.Message | None) -> None:
        flights = self._flights
        self._flights = {}
        if self.session is not None:
            for number in flights:
                if number > 0:
                    self._broker.dispatcher.acknowledged(self.session, number)
        for observation in list(self.by_token.values()):
            self.end(observation, last)

    def leave(self) -> None:
        """The session ends with everything in it."""
        session = self.session
        if session is None:
            return
        self.session = None
        if self.party.receiver is self:
            self.party.receiver = None
        self._flights = {}
        for observation in list(self.by_token.values()):
            self.end(observation, None)
        self._broker.detach(session, self, False)
        self._keeper.left(self)
