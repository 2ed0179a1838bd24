"""One subscriber of a topic-data resource: notifications of the hub's topic, passed on with what the topic adds."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, Option, uint_value
from bridgehead.protocols.coap.session.contract import Exchange, Watcher

_NUMBERS: Final = 1 << 24  # RFC 7641 section 3.4
_MAX_AGE: Final = 60  # RFC 7252 section 5.10.5: where the option is not there


class Keeper:
    """Who keeps the subscribers."""

    def has_value(self, topic: str) -> bool:
        """Whether the topic of that identifier is there and fully created."""
        raise NotImplementedError

    def time(self) -> float:
        """In seconds since the epoch."""
        raise NotImplementedError

    def ended(self, subscriber: Subscriber) -> None:
        """The hub's topic sends it nothing more."""
        raise NotImplementedError

    def lost(self, subscriber: Subscriber) -> None:
        """It does not answer, or does not know of it any more."""
        raise NotImplementedError

    def without_value(self, topic: str) -> None:
        """That value is gone, as was seen: all of its subscribers end."""
        raise NotImplementedError


class Subscriber(Exchange):
    """The Exchange by which the hub's topic is observed, around the client's. `interval`: seconds between two
    Confirmable notifications at most; `confirmed_at`: when the last one went out."""

    def __init__(self, keeper: Keeper, outer: Exchange, request: Message, topic: str, interval: float) -> None:
        super().__init__(outer.peer, outer.party, request, outer.confirmable, outer.multicast)
        self._keeper: Final = keeper
        self._outer: Final = outer
        self.topic: Final = topic  # its identifier
        self.interval: float = interval
        self.confirmed_at: float = keeper.time()
        self.over = False
        self._told = False  # that no notification follows any more
        self._last: Message | None = None
        self._last_at = 0.0
        self._own = 0  # notifications that are not the hub's topic's: its numbers grow by so much

    def respond(self, response: Message) -> None:
        if not codes.is_success(response.code) or not response.has(numbers.OBSERVE):
            self._keeper.ended(self)
        elif self.over:
            response = Message(response.code, _without_observe(response), response.payload)
        else:
            self._remember(response)
        self._outer.respond(response)

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        if not self.over and codes.is_success(response.code) and not self._keeper.has_value(self.topic):
            self._keeper.without_value(self.topic)
        if self.over:
            # Of what is to be acknowledged whose it is hears nothing more: as it was not sent, it is dropped there.
            return not confirmable
        now = self._keeper.time()
        if not confirmable and now >= self.confirmed_at + self.interval:
            confirmable = True
            watcher = Checked(self._keeper, self, watcher)
        if not self._outer.notify(self._numbered(response), confirmable, watcher, number):
            return False
        if confirmable:
            self.confirmed_at = now
        self._remember(response)
        return True

    def ended(self) -> None:
        self._keeper.ended(self)
        if not self._told:
            self._told = True
            self._outer.ended()

    def farewell(self, response: Message) -> None:
        """The last notification (RFC 7641 section 3.2)."""
        if not self._outer.notify(response, self.confirmable, None, 0):
            self._outer.notify(response, False, None, 0)

    def check(self, now: float) -> bool:
        """Say the last notification again, Confirmable (section 2.2.1, observer-check). False: no room for it now."""
        last = self._last
        if last is None:
            return True  # it has not been answered yet
        age = int(now - self._last_at)
        options: list[Option] = []
        for number, value in last.options:
            if number == numbers.MAX_AGE:
                value = uint_value(max(int.from_bytes(value, "big") - age, 0))
            options.append((number, value))
        if not last.has(numbers.MAX_AGE) and age > 0:
            options.append((numbers.MAX_AGE, uint_value(max(_MAX_AGE - age, 0))))
            options.sort()
        self._own += 1
        again = self._numbered(Message(last.code, tuple(options), last.payload))
        if not self._outer.notify(again, True, Checked(self._keeper, self, None), 0):
            self._own -= 1
            return False
        self.confirmed_at = now
        return True

    def _remember(self, response: Message) -> None:
        self._last = response
        self._last_at = self._keeper.time()

    def _numbered(self, response: Message) -> Message:
        if not self._own:
            return response
        options: list[Option] = []
        for number, value in response.options:
            if number == numbers.OBSERVE:
                value = uint_value((int.from_bytes(value, "big") + self._own) % _NUMBERS)
            options.append((number, value))
        return Message(response.code, tuple(options), response.payload)


class Checked(Watcher):
    """Of a notification that was made Confirmable here: whose it is wants to know only of its failure."""

    def __init__(self, keeper: Keeper, subscriber: Subscriber, watcher: Watcher | None) -> None:
        self._keeper: Final = keeper
        self._subscriber: Final = subscriber
        self._watcher: Final = watcher

    def acknowledged(self, number: int) -> None:
        """It is there still."""

    def rejected(self, number: int) -> None:
        if self._watcher is not None:
            self._watcher.rejected(number)
        self._keeper.lost(self._subscriber)

    def timed_out(self, number: int) -> None:
        if self._watcher is not None:
            self._watcher.timed_out(number)
        self._keeper.lost(self._subscriber)


def _without_observe(response: Message) -> tuple[Option, ...]:
    return tuple([option for option in response.options if option[0] != numbers.OBSERVE])
