"""The peers of plain UDP (NoSec): a table that is bounded, and forgets who is idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.protocols.coap.session.alarms import Timed
from bridgehead.protocols.coap.session.contract import Party
from bridgehead.protocols.coap.session.datagrams import DatagramPeer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.link import DatagramOutbox, PlainLink

_LOOKED_AT: Final = 16  # peers that may be busy before a newcomer is turned away
_SWEPT: Final = 1000  # at a time
_IDLE: Final = "idle"


class _TableLink(PlainLink):
    """UDP as it is, and a place in the table."""

    def __init__(self, path: bytes, outbox: DatagramOutbox, peers: dict[bytes, DatagramPeer]) -> None:
        super().__init__(path, outbox)
        self._peers: Final = peers

    def close(self, because: str) -> None:
        self._peers.pop(self.path, None)


class _Sweep(Timed):
    def __init__(self, peers: DatagramPeers) -> None:
        super().__init__()
        self._peers: Final = peers

    def due(self, now: float) -> None:
        self._peers.sweep(now)


class DatagramPeers:
    """Of one NoSec listener. A path is opaque: it names the remote address, the local one and the interface.

    `describe(path)` is the remote address with its port, for people and for Echo; `guest(address)` makes the party
    under which the peer's requests are served, None for none (then only OSCORE says who asks). `echo` is shared by
    listeners, so that what came from one proves the address to the other.
    """

    def __init__(
        self,
        layer: MessageLayer,
        outbox: DatagramOutbox,
        echo: Echo,
        describe: Callable[[bytes], str],
        guest: Callable[[str], Party | None],
    ) -> None:
        self._layer: Final = layer
        self._outbox: Final = outbox
        self._echo: Final = echo
        self._describe: Final = describe
        self._guest: Final = guest
        self._sweep: Final = _Sweep(self)
        self._to_sweep: list[DatagramPeer] = []
        self._oldest: list[bytes] = []  # those who make room next, the last first
        self.peers: dict[bytes, DatagramPeer] = {}
        self.dropped = 0  # datagrams of newcomers when the table was full
        layer.at(layer.clock.now + layer.settings.peer_idle, self._sweep)

    def __len__(self) -> int:
        return len(self.peers)

    def receive(self, datagrams: list[tuple[bytes, bytes, bool]]) -> None:
        """Take (path, data, came to a group). Whatever they hold, nothing is raised but by a defect."""
        peers = self.peers
        for path, data, multicast in datagrams:
            peer = peers.get(path)
            if peer is None:
                peer = self._newcomer(path)
                if peer is None:
                    self.dropped += 1
                    continue
            peer.receive(data, multicast)

    def close(self, because: str) -> None:
        """End all peers: the listener goes."""
        self._sweep.over = True
        for peer in list(self.peers.values()):
            peer.close(because)

    def sweep(self, now: float) -> None:
        """Forget who is idle, a portion at a time."""
        settings = self._layer.settings
        if not self._to_sweep:
            self._to_sweep = list(self.peers.values())
        portion = self._to_sweep[-_SWEPT:]
        del self._to_sweep[-_SWEPT:]
        for peer in portion:
            if peer.last_heard + settings.peer_idle <= now and not peer.gone and peer.is_idle():
                peer.close(_IDLE)
        pause = 0.05 if self._to_sweep else settings.peer_idle / 10.0
        self._layer.at(now + pause, self._sweep)

    def _newcomer(self, path: bytes) -> DatagramPeer | None:
        """None: the table is full of peers that are not idle."""
        if len(self.peers) >= self._layer.settings.peers and not self._make_room():
            return None
        address = self._describe(path)
        link = _TableLink(path, self._outbox, self.peers)
        peer = DatagramPeer(self._layer, link, self._guest(address), address, False, False, self._echo)
        self.peers[path] = peer
        return peer

    def _make_room(self) -> bool:
        """Forget the oldest that is idle. Who is looked at and busy goes to the end of the line."""
        peers = self.peers
        for _ in range(_LOOKED_AT):
            if not self._oldest:
                self._line_up()
                if not self._oldest:
                    return False
            path = self._oldest.pop()
            peer = peers.get(path)
            if peer is None:
                continue
            if peer.is_idle():
                peer.close(_IDLE)
                return True
            del peers[path]
            peers[path] = peer
        return False

    def _line_up(self) -> None:
        """A portion at once: to begin at a dict's front is slow after many were taken from there."""
        oldest: list[bytes] = []
        for path in self.peers:
            oldest.append(path)
            if len(oldest) == _SWEPT:
                break
        oldest.reverse()
        self._oldest = oldest
