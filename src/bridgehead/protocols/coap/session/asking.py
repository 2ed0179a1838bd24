"""Requests that the hub makes of a peer, on the way that the peer has opened: client and server change roles (RFC 7252
section 1.2). What a directory needs that fetches links from whoever registers (RFC 9176 section 5.1)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.alarms import Timed
from bridgehead.protocols.coap.session.contract import Watcher
from bridgehead.protocols.coap.session.layer import MessageLayer

_TOKEN: Final = 7  # octets
_RANGE: Final = float(1 << 53)  # as fine as chance is given


@mypyc_attr(allow_interpreted_subclasses=True)
class Inquiry:
    """Who has asked."""

    def answered(self, response: Message | None, because: str) -> None:
        """Called once. None: there was no response, and why."""
        raise NotImplementedError


class _Patience(Timed):
    """The request was acknowledged, and no response followed (RFC 7252 section 5.2.2)."""

    def __init__(self, asking: Asking, token: bytes) -> None:
        super().__init__()
        self._asking: Final = asking
        self._token: Final = token

    def due(self, now: float) -> None:
        self._asking.give_up(self._token, "no answer came in time")


class _Fate(Watcher):
    """Of the request's own message."""

    def __init__(self, asking: Asking, token: bytes) -> None:
        self._asking: Final = asking
        self._token: Final = token

    def acknowledged(self, number: int) -> None:
        self._asking.acknowledged(self._token)

    def rejected(self, number: int) -> None:
        self._asking.give_up(self._token, "the request was rejected")

    def timed_out(self, number: int) -> None:
        self._asking.give_up(self._token, "no answer came")


class Asking:
    """What one peer was asked and has not answered. Tokens are made by chance: who does not see the requests cannot
    answer them (RFC 7252 section 5.3.1)."""

    def __init__(self, layer: MessageLayer) -> None:
        self._layer: Final = layer
        self._waiting: dict[bytes, tuple[Inquiry, _Patience, float]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, inquiry: Inquiry, within: float) -> tuple[bytes, Watcher]:
        """The request's token, and who watches over its message: as long as that is not acknowledged it is the message
        layer that gives up. `within`: seconds from then on until the response must be there."""
        token = int(self._layer.jitter() * _RANGE).to_bytes(_TOKEN, "big")
        self._waiting[token] = (inquiry, _Patience(self, token), within)
        return token, _Fate(self, token)

    def acknowledged(self, token: bytes) -> None:
        """The request's message was: its response is there, or follows."""
        waiting = self._waiting.get(token)
        if waiting is not None:
            self._layer.at(self._layer.clock.now + waiting[2], waiting[1])

    def arrived(self, response: Message) -> bool:
        """Whether somebody waits for it."""
        return self._end(response.token, response, "")

    def give_up(self, token: bytes, because: str) -> None:
        self._end(token, None, because)

    def _end(self, token: bytes, response: Message | None, because: str) -> bool:
        waiting = self._waiting.pop(token, None)
        if waiting is None:
            return False
        inquiry, patience, _ = waiting
        patience.over = True
        inquiry.answered(response, because)
        return True

    def end(self) -> None:
        """The peer is gone."""
        for token in list(self._waiting):
            self.give_up(token, "the connection is gone")
