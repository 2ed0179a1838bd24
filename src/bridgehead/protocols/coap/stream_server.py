"""CoAP over TCP, TLS and WebSocket (RFC 8323): streams to the message layers, and what they write to the streams."""

from __future__ import annotations

import asyncio
from typing import Final

from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER, Origin
from bridgehead.core.policy import Principal
from bridgehead.protocols.coap.datagram_server import PROTOCOL, House
from bridgehead.protocols.coap.session.contract import Party
from bridgehead.protocols.coap.session.link import StreamOutbox, StreamTurn
from bridgehead.protocols.coap.session.streams import StreamPeer
from bridgehead.security.mechanisms import CERTIFICATE
from bridgehead.transport.stream import Stream
from bridgehead.transport.websocket import WebSocketStream

_SWEEP: Final = 5.0  # seconds between two looks at what ends with time


class _Link:
    """One client: its stream and its peer."""

    __slots__ = ("_server", "is_websocket", "party", "paused", "peer", "stream", "until")

    def __init__(
        self, server: StreamServer, stream: Stream, peer: StreamPeer, party: Party | None, until: float
    ) -> None:
        self._server = server
        self.stream = stream
        self.is_websocket = isinstance(stream, WebSocketStream)
        self.peer = peer
        self.party = party
        self.until = until  # when what it was proven by ends
        self.paused = False

    def on_data(self, data: bytes) -> None:
        self._server.house.tell_time()
        self.peer.receive(data)

    def on_end(self, because: str) -> None:
        self._server.house.tell_time()
        self.peer.lost(because or "the network connection was closed")
        self._server.forget(self)

    def on_drain(self) -> None:
        self._server.house.tell_time()
        self.peer.outbox.backlog = self.stream.pending
        self.look()

    def look(self) -> None:
        """Read on, or wait until the peer has taken what it asked for."""
        congested = self.peer.is_congested()
        if congested != self.paused:
            self.paused = congested
            if congested:
                self.stream.pause()
            else:
                self.stream.resume()


class StreamServer:
    """Serves whatever streams it is given."""

    def __init__(self, house: House) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self.house: Final = house
        self._turn: Final = StreamTurn(self._schedule_flush)
        self._links: set[_Link] = set()
        self._swept = 0.0
        self._emptied: asyncio.Event | None = None  # there while the server stops

    def __len__(self) -> int:
        return len(self._links)

    def accept(self, stream: Stream, guest: str = "") -> None:
        """Who shows a certificate is its device. Who shows none is the `guest` of a plaintext listener, or nobody: then
        OSCORE alone says who asks."""
        now = self.house.tell_time()
        secured = stream.tls is not None
        try:
            party, until = self._party(stream, guest)
        except Refusal:
            stream.close()  # TLS has no alert for it once the handshake is over; CoAP says nothing before CSM
            return
        layer = self.house.layer
        outbox = StreamOutbox(self._turn, layer.settings.stream_outbox)
        is_websocket = isinstance(stream, WebSocketStream)
        peer = StreamPeer(layer, outbox, party, stream.peer, secured, is_websocket)
        link = _Link(self, stream, peer, party, until)
        outbox.owner = link
        self._links.add(link)
        if party is not None:
            self.house.began(peer, party)
        if until <= now:
            peer.close("what it was proven by has ended")
        if isinstance(stream, WebSocketStream):
            stream.whole_messages = True  # RFC 8323 section 4.2: each holds one message
        stream.start(link.on_data, link.on_end, link.on_drain)

    def _party(self, stream: Stream, guest: str) -> tuple[Party | None, float]:
        """Errors: Refusal."""
        tls = stream.tls
        identities = self.house.identities
        if tls is not None and tls.peer_certificate is not None:
            proven = identities.prove(CERTIFICATE, tls.peer_certificate, stream.peer)
            origin = Origin(proven.principal.name, PROTOCOL, True, "", stream.peer)
            return Party(proven.principal, origin, proven.marks), proven.expires_at
        principal = identities.guest(guest) if guest else None
        if principal is None:
            return None, NEVER
        verified = stream.peer.startswith("unix:")
        return Party(principal, Origin(principal.name, PROTOCOL, verified, "", stream.peer)), NEVER

    def forget(self, link: _Link) -> None:
        if link in self._links:
            self._links.discard(link)
            if link.party is not None:
                self.house.over(link.party, link.peer.because)
            if self._emptied is not None and not self._links:
                self._emptied.set()

    def handle_timeout(self, now: float) -> None:
        """Look now and then for those whose proof has ended, and for guests whose record is another one."""
        if now < self._swept + _SWEEP:
            return
        self._swept = now
        guests: dict[str, Principal | None] = {}
        for link in list(self._links):
            party = link.party
            if link.until <= now:
                link.peer.close("what it was proven by has ended")
            elif party is not None and not party.marks:
                name = party.principal.name
                if name not in guests:
                    guests[name] = self.house.identities.guest(name)
                if guests[name] is not party.principal:
                    link.peer.close("the guest of this listener was changed")

    # Sending. ---------------------------------------------------------------------------------------

    def _schedule_flush(self) -> None:
        self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """One write per stream and turn; on a WebSocket one frame per message."""
        for outbox in self._turn.take():
            link = outbox.owner
            assert isinstance(link, _Link)
            stream = link.stream
            if link.is_websocket:
                for part in outbox.take_parts():
                    stream.send(part)
            else:
                data = outbox.take()
                if data:
                    stream.send(data)
            outbox.backlog = stream.pending
            if outbox.closing:
                stream.close()
            else:
                link.look()

    async def stop(self, seconds: float) -> None:
        """Ask every client to go, and wait at most so long until it has."""
        self.house.tell_time()
        for link in list(self._links):
            link.peer.release("the hub is stopping")
        self.flush()
        if self._links:
            self._emptied = asyncio.Event()
            try:
                await asyncio.wait_for(self._emptied.wait(), seconds)
            except TimeoutError:
                for link in list(self._links):
                    link.stream.abort()
