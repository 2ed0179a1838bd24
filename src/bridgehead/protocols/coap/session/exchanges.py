"""A request that came in a datagram, and the way back to its sender."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.alarms import Timed
from bridgehead.protocols.coap.session.contract import Exchange, Peer, Watcher
from bridgehead.protocols.coap.session.duplicates import Record

ABSENT: Final = -1


@mypyc_attr(allow_interpreted_subclasses=True)
class AnsweringPeer(Peer):
    """What an exchange needs of its peer."""

    def answer(self, exchange: DatagramExchange, response: Message) -> None:
        raise NotImplementedError

    def leave(self, exchange: DatagramExchange) -> None:
        """It has no answer."""
        raise NotImplementedError

    def acknowledge(self, exchange: DatagramExchange) -> None:
        """By an empty message: the answer will be separate."""
        raise NotImplementedError

    def notify(self, token: bytes, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        raise NotImplementedError

    def disown(self, watcher: Watcher | None, number: int) -> bool:
        """In the place of `notify` to a client that was challenged when it asked."""
        raise NotImplementedError


class DatagramExchange(Exchange):
    """A request that came in a datagram. `no_response`: the option's value, -1 when absent (RFC 7967)."""

    def __init__(
        self, peer: AnsweringPeer, request: Message, confirmable: bool, multicast: bool, no_response: int
    ) -> None:
        super().__init__(peer, peer.party, request, confirmable, multicast)
        self._owner: Final = peer
        self._no_response: Final = no_response
        self.answered: bool = False
        self.acknowledged: bool = False  # by an empty message, so that the answer is separate
        self.reply: bytes | None = None  # what a duplicate gets
        self.record: Record | None = None
        self.waiting: Timed | None = None
        self.challenged: bool = False  # the client was asked for Echo instead of being answered
        self._observed = False

    def respond(self, response: Message) -> None:
        if self.answered:
            raise LocalMisuse("a request is answered once")
        self.answered = True
        self._owner.answer(self, response)

    def silence(self) -> None:
        if self.answered:
            raise LocalMisuse("a request is answered once")
        self.answered = True
        self._owner.leave(self)

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        if self.challenged:
            return self._owner.disown(watcher, number)
        return self._owner.notify(self.request.token, response, confirmable, watcher, number)

    def observed(self) -> None:
        """Notifications may follow: a peer is not idle before they have ended."""
        if not self._observed:
            self._observed = True
            self._owner.held += 1

    def ended(self) -> None:
        """Message IDs of notifications are forgotten by themselves."""
        if self._observed:
            self._observed = False
            self._owner.held -= 1

    def suppresses(self, code: int) -> bool:
        """Whether the client, or its having asked a group, does without an answer with that code."""
        if self._no_response != ABSENT:  # RFC 7967 section 2.1; it also overrules a group's default
            return (self._no_response >> ((code >> 5) - 1)) & 1 == 1
        return self.multicast and code >= codes.BAD_REQUEST  # RFC 7252 section 8.2


class Waiting(Timed):
    """An answer takes long: the request is acknowledged alone (RFC 7252 section 5.2.2)."""

    def __init__(self, exchange: DatagramExchange, peer: AnsweringPeer) -> None:
        super().__init__()
        self._exchange: Final = exchange
        self._peer: Final = peer

    def due(self, now: float) -> None:
        self._peer.acknowledge(self._exchange)


class Disowned(Timed):
    """A notification that went to nobody: its sender learns it when it has done what it does."""

    def __init__(self, watcher: Watcher, number: int) -> None:
        super().__init__()
        self._watcher: Final = watcher
        self._number: Final = number

    def due(self, now: float) -> None:
        self._watcher.rejected(self._number)
