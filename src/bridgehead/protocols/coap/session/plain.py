"""The peers of plain UDP (NoSec): a table that is bounded, and forgets who is idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.protocols.coap.session.contract import Party
from bridgehead.protocols.coap.session.datagrams import DatagramPeer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.link import DatagramOutbox


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
        self.peers: dict[bytes, DatagramPeer] = {}
        self.dropped = 0  # datagrams of newcomers when the table was full

    def __len__(self) -> int:
        return len(self.peers)

    def receive(self, datagrams: list[tuple[bytes, bytes, bool]]) -> None:
        """Take (path, data, came to a group). Whatever they hold, nothing is raised but by a defect."""
        raise NotImplementedError

    def close(self, because: str) -> None:
        """End all peers: the listener goes."""
        raise NotImplementedError
