"""The rim of CoAP: time, chance, and what all its listeners and streams share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import monotonic
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import CONNECTED, DISCONNECTED, REFUSED, told
from bridgehead.core.errors import Refusal
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.datagram_server import DatagramListener, Identifies, PlainListener, SecuredListener
from bridgehead.protocols.coap.session.contract import Handler, Party, Peer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.stream_server import StreamServer
from bridgehead.security.login.keys import Kind
from bridgehead.transport.dtls.contract import DtlsIdentity
from bridgehead.transport.stream import Stream

_TICK: Final = 0.1  # seconds between two looks at the deadlines


class CoapServer:
    """Serves CoAP on whatever listeners and streams it is given. `handler` is the first of the chain (chain.py).
    `attach` makes a peer known to the broker as soon as it is logged in, so that a revocation finds it. `offset` is
    what the epoch's seconds are ahead of the monotonic clock's."""

    def __init__(
        self,
        broker: Broker,
        config: CoapConfig,
        handler: Handler,
        attach: Callable[[Peer], None],
        identities: Identifies,
        echo: Echo,
        offset: float,
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._broker: Final = broker
        self._handler: Final = handler
        self._attach: Final = attach
        self._offset: Final = offset
        self.config: CoapConfig = config
        self.identities: Identifies = identities
        self.event = broker.event
        self.layer: MessageLayer = MessageLayer(
            handler, broker.clock, config, random.SystemRandom().random, broker.counters
        )
        self.echo: Echo = echo
        self.streams: Final = StreamServer(self)
        self._listeners: list[DatagramListener] = []
        self._tick: asyncio.TimerHandle | None = self._loop.call_later(_TICK, self._on_tick)

    def tell_time(self) -> float:
        """Set the hub's clock: seconds since the epoch, which never go back within a run."""
        now = self._broker.clock.now = monotonic() + self._offset
        return now

    def __len__(self) -> int:
        """Streams, and DTLS sessions."""
        sessions = sum(len(each) for each in self._listeners if isinstance(each, SecuredListener))
        return len(self.streams) + sessions

    # Listeners. -------------------------------------------------------------------------------------

    def plain(self, bind: str, guest: str, interfaces: list[str]) -> PlainListener:
        """NoSec on UDP, not started yet."""
        self.tell_time()
        return PlainListener(self, bind, guest, interfaces)

    def secured(self, bind: str, identity: DtlsIdentity, modes: tuple[Kind, ...]) -> SecuredListener:
        """DTLS, not started yet. Errors: DtlsError."""
        self.tell_time()
        return SecuredListener(self, bind, identity, modes)

    def opened(self, listener: DatagramListener) -> None:
        self._listeners.append(listener)

    def closed(self, listener: DatagramListener) -> None:
        self._listeners.remove(listener)

    def accept(self, stream: Stream, guest: str = "") -> None:
        """Serve a new client over TCP, TLS or WebSocket."""
        self.streams.accept(stream, guest)

    def settings_changed(self) -> None:
        """`config` was changed: what is read once is put in force too."""
        for listener in self._listeners:
            if isinstance(listener, SecuredListener):
                listener.settings_changed()

    def credential_ended(self) -> None:
        """Somebody's credential counts no more: nobody resumes a session that stood on it."""
        for listener in self._listeners:
            if isinstance(listener, SecuredListener):
                listener.forget_tickets()

    # What listeners tell. ---------------------------------------------------------------------------

    def began(self, peer: Peer, party: Party) -> None:
        counters = self._broker.counters
        counters.connections += 1
        counters.connections_total += 1
        counters.connections_maximum = max(counters.connections_maximum, counters.connections)
        self.event(CONNECTED, told(party.origin))
        if not party.marks:
            return  # a guest has proved nothing that could be taken back
        try:
            self._attach(peer)
        except Refusal as refusal:
            self.event(REFUSED, {**told(party.origin), "because": refusal.because})
            peer.close(refusal.because)

    def over(self, party: Party, because: str) -> None:
        self._broker.counters.connections -= 1
        self.event(DISCONNECTED, {**told(party.origin), "because": because})

    # Time. ------------------------------------------------------------------------------------------

    def _on_tick(self) -> None:
        self._tick = self._loop.call_later(_TICK, self._on_tick)
        now = self.tell_time()
        for timed in (self.layer, self._handler):
            if timed.next_timeout() <= now:
                timed.handle_timeout(now)
        for listener in self._listeners:
            if listener.next_timeout() <= now:
                listener.handle_timeout(now)
        self.streams.handle_timeout(now)

    async def stop(self, seconds: float) -> None:
        """Tell every client that the hub stops, and wait at most so long until it is told."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        for listener in list(self._listeners):
            listener.close()
        await self.streams.stop(seconds)
