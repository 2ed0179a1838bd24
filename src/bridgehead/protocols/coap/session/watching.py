"""Observation of resources that are made of several things: whoever observes gets the representation when it changes
(RFC 7641). Topics are observed by session/observing.py."""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer, Watcher

_NUMBERS: Final = 1 << 24  # section 3.4
_CONFIRMED_EVERY: Final = 86_400.0  # section 4.5: seconds until one has to be Confirmable


class Watch(Watcher):
    """One registration. At most one Confirmable notification is under way: what changes meanwhile is told after it."""

    def __init__(self, watches: Watches, exchange: Exchange, party: Party, now: float) -> None:
        self._watches: Final = watches
        self.exchange: Final = exchange
        self.party: Final = party
        self.last: Message | None = None  # what the client has, or is being sent
        self.number = 1
        self.under_way = False
        self.confirmed_at: float = now

    def acknowledged(self, number: int) -> None:
        self.under_way = False

    def rejected(self, number: int) -> None:
        self._watches.drop(self)

    def timed_out(self, number: int) -> None:
        self._watches.drop(self)


class Watches:
    """By peer, party and token (section 4.1: a token is its client's, and behind one peer may be several, by OSCORE),
    with ceilings for all and for one peer."""

    def __init__(self, most: int, most_per_peer: int) -> None:
        self._most: Final = most
        self._most_per_peer: Final = most_per_peer
        self._by_key: dict[tuple[Peer, Party, bytes], Watch] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def all(self) -> list[Watch]:
        return list(self._by_key.values())

    def answer(self, exchange: Exchange, party: Party, response: Message, now: float) -> None:
        """Respond to a GET, which may register or deregister (section 4.1); it is answered as any other when there is
        no more room."""
        key = (exchange.peer, party, exchange.request.token)
        observe = exchange.request.uint(numbers.OBSERVE)
        if observe == 0 or observe == 1:
            known = self._by_key.pop(key, None)
            if known is not None:
                known.exchange.ended()
        if (
            observe != 0
            or exchange.multicast
            or not codes.is_success(response.code)
            or not self._has_room(exchange.peer)
        ):
            exchange.respond(response)
            return
        watch = Watch(self, exchange, party, now)
        watch.last = response
        self._by_key[key] = watch
        exchange.respond(_numbered(response, watch.number))

    def _has_room(self, peer: Peer) -> bool:
        if len(self._by_key) >= self._most:
            return False
        held = 0
        for other, _, _ in self._by_key:
            held += other is peer
        return held < self._most_per_peer

    def tell(self, watch: Watch, response: Message, now: float) -> bool:
        """Notify if it is another representation than the client has. False: it is to be tried again."""
        last = watch.last
        due = now >= watch.confirmed_at + _CONFIRMED_EVERY
        if last is not None and last.payload == response.payload and last.code == response.code and not due:
            return True
        if watch.under_way:
            return False
        confirmable = watch.exchange.confirmable or due
        number = watch.number % (_NUMBERS - 1) + 1
        if not watch.exchange.notify(_numbered(response, number), confirmable, watch, number):
            return False
        watch.number = number
        watch.last = response
        if confirmable:
            watch.under_way = True
            watch.confirmed_at = now
        return True

    def next_confirmation(self) -> float:
        """When the first of them is to be asked whether it is still there."""
        when = NEVER
        for watch in self._by_key.values():
            when = min(when, watch.confirmed_at + _CONFIRMED_EVERY)
        return when

    def end(self, watch: Watch, response: Message) -> None:
        """With a last notification, an error (section 3.2)."""
        self._by_key.pop((watch.exchange.peer, watch.party, watch.exchange.request.token), None)
        watch.exchange.notify(response, False, None, 0)
        watch.exchange.ended()

    def drop(self, watch: Watch) -> None:
        """The client does not answer, or does not know of it."""
        key = (watch.exchange.peer, watch.party, watch.exchange.request.token)
        if self._by_key.get(key) is watch:
            del self._by_key[key]
            watch.exchange.ended()

    def forget(self, peer: Peer) -> None:
        for key in [key for key in self._by_key if key[0] is peer]:
            del self._by_key[key]


def _numbered(response: Message, number: int) -> Message:
    options: list[Option] = [*response.options, (numbers.OBSERVE, uint_value(number))]
    return Message(response.code, in_order(options), response.payload)
