"""The message layer over TCP, TLS and WebSocket for one connection (RFC 8323)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.session.contract import Party, Peer
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.link import StreamOutbox


@mypyc_attr(allow_interpreted_subclasses=True)
class StreamPeer(Peer):
    """One connection. What the rim does with it:

    - `receive(octets)` for what came in: of a WebSocket, the payload of one binary frame at a time.
    - at the end of a turn, send `outbox.take()` (`take_parts()` frame by frame); when `outbox.closing`, close after it.
    - read no more while `is_congested()`; `lost(because)` when the connection ended.
    """

    def __init__(
        self,
        layer: MessageLayer,
        outbox: StreamOutbox,
        party: Party | None,
        address: str,
        secured: bool,
        websocket: bool,
    ) -> None:
        super().__init__(party, address, True, secured, True)
        self._layer: Final = layer
        self.outbox: Final = outbox
        self._websocket: Final = websocket
        self.because: str = ""

    def receive(self, data: bytes) -> None:
        """Take octets. Whatever they are, nothing is raised but by a defect."""
        raise NotImplementedError

    def is_congested(self) -> bool:
        """Too much waits: for the peer to read, or for answers."""
        raise NotImplementedError

    def release(self, because: str) -> None:
        """The hub goes: ask the peer to go too, once it has its answers (RFC 8323 section 5.5)."""
        raise NotImplementedError

    def close(self, because: str) -> None:
        raise NotImplementedError

    def lost(self, because: str) -> None:
        """The connection ended by itself."""
        raise NotImplementedError
