"""The way to a peer through its DTLS session, and back (RFC 7252 section 9.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.session.datagrams import DatagramPeer
from bridgehead.protocols.coap.session.link import DatagramOutbox, Link
from bridgehead.wire.dtls.association import Association, Sink

End = Callable[[Association, str], None]


class SecuredLink(Link):
    """Seals each datagram. `end` tells the peer that the session is over, and forgets it."""

    def __init__(self, association: Association, outbox: DatagramOutbox, end: End) -> None:
        self._association: Final = association
        self._outbox: Final = outbox
        self._end: Final = end

    def send(self, data: bytes) -> None:
        association = self._association
        sealed = association.seal(data)
        if sealed:
            self._outbox.write(association.path, sealed)

    def full(self) -> bool:
        return self._outbox.full()

    def close(self, because: str) -> None:
        self._end(self._association, because)


@mypyc_attr(allow_interpreted_subclasses=True)
class SecuredSink(Sink):
    """Hands what was opened to the message layer. One record carries one message (RFC 7252 section 9.1.1)."""

    def __init__(self, peer: DatagramPeer) -> None:
        self.peer: Final = peer

    def received(self, data: bytes) -> None:
        self.peer.receive(data)

    def ended(self, because: str) -> None:
        self.peer.lost(because)
