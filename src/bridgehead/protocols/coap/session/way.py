"""The way to one remote address, and how much may go there before the address is proven (RFC 9175 section 2.4)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.session.alarms import Timed
from bridgehead.protocols.coap.session.contract import Peer
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.link import Link

# Octets of credit for an acknowledgement or Reset that names the message under way. Guessing its Message ID takes 2**15
# datagrams of 4 octets on average, 131,072 octets: so even who guesses sends more than the address then gets.
_NAMED: Final = 65_536


class Way:
    """All that goes to a peer goes through `send`."""

    def __init__(self, peer: Peer, link: Link, layer: MessageLayer) -> None:
        self._peer: Final = peer
        self._link: Final = link
        self._layer: Final = layer
        self._factor: Final = layer.settings.amplification
        self._named: Final = _NAMED // max(layer.settings.nstart, 1)
        self._credit = 0

    def heard(self, octets: int) -> None:
        """A datagram of that size came."""
        if not self._peer.proven:
            self._credit += self._factor * octets

    def named(self) -> None:
        """The peer named a message under way to it: it seems to receive there. This proves less than Echo."""
        if not self._peer.proven and self._credit < self._named:
            self._credit = self._named

    def has_room(self, octets: int) -> bool:
        return self._peer.proven or octets <= self._credit

    def full(self) -> bool:
        return self._link.full()

    def send(self, data: bytes) -> bool:
        """False: not sent, as it would be more than came from an address that is not proven, or the peer is gone."""
        peer = self._peer
        if peer.gone:
            return False
        octets = len(data)
        if not peer.proven:
            if octets > self._credit:
                return False
            self._credit -= octets
        counters = self._layer.counters
        counters.packets_sent += 1
        counters.octets_sent += octets
        self._link.send(data)
        return True

    def close(self, because: str) -> None:
        self._link.close(because)


class GroupAnswer(Timed):
    """An answer to a group waits for its leisure (RFC 7252 section 8.2)."""

    def __init__(self, layer: MessageLayer, way: Way, data: bytes) -> None:
        super().__init__()
        self._layer: Final = layer
        self._way: Final = way
        self._data: Final = data
        layer.group_answers += 1

    def due(self, now: float) -> None:
        self._layer.group_answers -= 1
        self._way.send(self._data)
