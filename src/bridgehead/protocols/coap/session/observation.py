"""One observation of a topic or of a Topic Filter, and the deliveries under way (RFC 7641)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import Message
from bridgehead.protocols.coap.session.contract import Exchange, Watcher

NUMBERS: Final = 0xFFFFFF  # of Observe: 24 bit (RFC 7641 section 3.4)
_AHEAD: Final = 0x400000  # a number further ahead than this is not told: another is taken that is surely newer


def is_newer(number: int, last: int) -> bool:
    """Whether a client that has `last` takes `number` for newer, in serial number arithmetic."""
    return 0 < (number - last) & NUMBERS < _AHEAD


class Group:
    """One subscription of a session, and the observations that stand on it, in a list that is never changed but
    replaced: who goes through it isn't disturbed. `qos` is what the subscription asks for."""

    def __init__(self, topic_filter: str, identifier: int) -> None:
        self.topic_filter: Final = topic_filter
        self.identifier: Final = identifier
        self.qos: int = -1
        self.observations: list[Observation] = []
        self.replayed: list[Observation] = []  # those that get the retained messages which are replayed now


class Flight:
    """One delivery to all observations that acknowledge. `todo` are those that could not be sent it yet, `unanswered`
    counts those that have it and say nothing. A number above 0 is that of the broker's delivery."""

    def __init__(self, number: int, message: Message, todo: list[Observation]) -> None:
        self.number: Final = number
        self.message: Final = message
        self.todo: list[Observation] = todo
        self.unanswered: int = 0


class Watched:
    """Who is told of the fate of notifications: session/observer.py."""

    def landed(self, number: int) -> None:
        """A notification of flight `number` was acknowledged; 0: of none."""
        raise NotImplementedError

    def rejected(self, observation: Observation, number: int) -> None:
        raise NotImplementedError

    def silent(self, number: int) -> None:
        """One of flight `number` was not answered."""
        raise NotImplementedError


class Observation(Watcher):
    """By one client under one token. `is_stream`: of a filter, so that each notification tells its topic.
    `number` is the last one told in an Observe option."""

    def __init__(
        self,
        owner: Watched,
        exchange: Exchange,
        group: Group,
        is_stream: bool,
        accept: int,
        number: int,
        now: float,
    ) -> None:
        self._owner: Final = owner
        self.exchange: Final = exchange
        self.token: Final = exchange.request.token
        self.group: Final = group
        self.is_stream: Final = is_stream
        # A registration by CON asks for delivery at least once, one by NON for at most once.
        self.acknowledges: Final = exchange.confirmable
        self.accept: Final = accept
        self.content_format: int = -1  # that of the first notification that has one (section 4.2)
        self.number: int = number
        self.confirmed_at: float = now
        self.over: bool = False

    def acknowledged(self, number: int) -> None:
        self._owner.landed(number)

    def rejected(self, number: int) -> None:
        self._owner.rejected(self, number)

    def timed_out(self, number: int) -> None:
        self._owner.silent(number)
