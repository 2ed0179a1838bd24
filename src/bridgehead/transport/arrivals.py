"""From an accepted socket to a stream that a protocol can use: TLS handshake and WebSocket upgrade, with deadlines.

A TLS client that says nothing costs a socket and a small object: OpenSSL is asked for memory when its first octets
come. Handshakes at work have a ceiling; who comes above it waits, networks take turns, and whoever stalls makes room.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from bridgehead.transport.address import network_of
from bridgehead.transport.events import HANDSHAKE_FAILED, UPGRADE_FAILED, OnEvent
from bridgehead.transport.shared import Deadlines, Shared
from bridgehead.transport.stream import SocketStream, Stream
from bridgehead.transport.tls import Handshake, TlsStream
from bridgehead.transport.turns import Turns
from bridgehead.transport.upgrade import Upgrade, WebSocketRules
from bridgehead.transport.websocket import WebSocketStream

# A handshake is two or three round trips. One that takes longer than this loses its place when others wait.
_STALLED: Final = 2.0  # seconds


class Arrivals:
    """The connections of one listener that are not streams yet. `tls` may be replaced at any time."""

    def __init__(
        self,
        shared: Shared,
        name: str,
        deliver: Callable[[Stream], None],
        released: Callable[[str], None],
        on_event: OnEvent,
        tls: ssl.SSLContext | None,
        websocket: WebSocketRules | None,
        seconds: float,
        handshakes: int,
    ) -> None:
        """`released(peer)` is called when a socket given to admit() is closed, at whatever stage."""
        self.shared: Final = shared
        self.name = name
        self.tls = tls
        self._deliver = deliver
        self._release = released
        self._released = self._stream_closed  # one bound method for all streams
        self._on_event = on_event
        self._websocket = websocket
        self._handshakes = handshakes
        self._deadlines: Final[Deadlines[Arrival]] = Deadlines(shared.loop, seconds, self._expire)
        self._working: dict[Arrival, float] = {}  # in the TLS handshake, since when
        self._waiting: Final[Turns[Arrival]] = Turns()
        self._look: asyncio.TimerHandle | None = None  # at who has stalled, while others wait

    def __len__(self) -> int:
        return len(self._deadlines)

    def admit(self, sock: socket.socket, peer: str) -> None:
        arrival = Arrival(self, sock, peer)
        if self.tls is not None:
            self._deadlines.add(arrival)
            arrival.await_first_octets()
        elif self._websocket is not None:
            self._deadlines.add(arrival)
            self.connected(arrival, SocketStream(self.shared, sock, peer, self._released))
        else:
            self._deliver(SocketStream(self.shared, sock, peer, self._released))

    def abandon_all(self) -> None:
        """Close every connection that has not become a stream."""
        for arrival in self._deadlines.items():
            self._forget(arrival)
            arrival.abandon()
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _stream_closed(self, stream: SocketStream) -> None:
        self._release(stream.peer)

    def socket_closed(self, arrival: Arrival) -> None:
        self._release(arrival.peer)

    # --- TLS ----------------------------------------------------------------------------------------------------------

    def spoke(self, arrival: Arrival) -> None:
        """The first octets are there."""
        self._waiting.add(network_of(arrival.peer), arrival)
        self._next()

    def _next(self) -> None:
        while len(self._waiting):
            if len(self._working) >= self._handshakes and not self._drop_stalled():
                return
            self._begin(self._waiting.take())

    def _drop_stalled(self) -> bool:
        """End the oldest handshake if it has stalled; else look again when it will have."""
        arrival, since = next(iter(self._working.items()))
        left = since + _STALLED - self.shared.loop.time()
        if left > 0:
            if self._look is None:
                self._look = self.shared.loop.call_later(left, self._look_again)
            return False
        del self._working[arrival]
        self._deadlines.discard(arrival)
        arrival.abandon()
        self._report(arrival, "the TLS handshake stalled while others waited")
        return True

    def _look_again(self) -> None:
        self._look = None
        self._next()

    def _begin(self, arrival: Arrival) -> None:
        context = self.tls
        if context is None:  # TLS was switched off meanwhile: never let it pass as plaintext
            self._forget(arrival)
            arrival.abandon()
            return
        self._working[arrival] = self.shared.loop.time()
        arrival.begin_handshake(context)

    def secured(self, arrival: Arrival, sock: ssl.SSLSocket) -> None:
        """The handshake is done."""
        self._working.pop(arrival, None)
        self._next()
        self.connected(arrival, TlsStream(self.shared, sock, arrival.peer, self._released))

    def handshake_failed(self, arrival: Arrival, because: str, sock: socket.socket | None) -> None:
        self._forget(arrival)
        self._report(arrival, because)
        if sock is None:
            self.socket_closed(arrival)
        else:
            # End in order, so that the alert which says why is not destroyed by a reset.
            SocketStream(self.shared, sock, arrival.peer, self._released).close()

    def _forget(self, arrival: Arrival) -> None:
        self._deadlines.discard(arrival)
        self._waiting.discard(network_of(arrival.peer), arrival)
        self._working.pop(arrival, None)
        self._next()

    # --- WebSocket ----------------------------------------------------------------------------------------------------

    def connected(self, arrival: Arrival, stream: SocketStream) -> None:
        """TCP or TLS stands."""
        if self._websocket is None:
            self._arrived(arrival, stream)
        else:
            arrival.begin_upgrade(stream, self._websocket)

    def upgraded(self, arrival: Arrival, stream: WebSocketStream) -> None:
        self._arrived(arrival, stream)

    def upgrade_failed(self, arrival: Arrival, status: int, because: str) -> None:
        self._deadlines.discard(arrival)
        self._report_upgrade(arrival, status, because)

    def _arrived(self, arrival: Arrival, stream: SocketStream | WebSocketStream) -> None:
        stream.spent = self._deadlines.spent(arrival)
        self._deadlines.discard(arrival)
        self._deliver(stream)

    # --- too late -----------------------------------------------------------------------------------------------------

    def _expire(self, arrival: Arrival) -> None:
        seconds = self._deadlines.seconds
        self._forget(arrival)
        if arrival.upgrade is not None:
            arrival.upgrade.time_out()
            self._report_upgrade(arrival, 408, f"the WebSocket upgrade was not complete within {seconds:g} s")
            return
        began = arrival.handshake is not None
        arrival.abandon()
        stage = "the TLS handshake was not complete" if began else "no TLS handshake began"
        self._report(arrival, f"{stage} within {seconds:g} s")

    def _report(self, arrival: Arrival, because: str) -> None:
        self._on_event(HANDSHAKE_FAILED, {"listener": self.name, "peer": arrival.peer, "because": because})

    def _report_upgrade(self, arrival: Arrival, status: int, because: str) -> None:
        fields: dict[str, object] = {"listener": self.name, "peer": arrival.peer, "status": status, "because": because}
        self._on_event(UPGRADE_FAILED, fields)


class Arrival:
    """One connection on its way. It is told by the socket, and tells `arrivals`."""

    __slots__ = ("_arrivals", "_sock", "handshake", "peer", "upgrade")

    def __init__(self, arrivals: Arrivals, sock: socket.socket, peer: str) -> None:
        self._arrivals = arrivals
        self._sock = sock
        self.peer = peer
        self.handshake: Handshake | None = None
        self.upgrade: Upgrade | None = None

    def await_first_octets(self) -> None:
        self._arrivals.shared.loop.add_reader(self._sock.fileno(), self._spoke)

    def _spoke(self) -> None:
        self._arrivals.shared.loop.remove_reader(self._sock.fileno())
        self._arrivals.spoke(self)

    def begin_handshake(self, context: ssl.SSLContext) -> None:
        self.handshake = Handshake(self._arrivals.shared, self._sock, context, self._secured, self._failed)
        self.handshake.begin()

    def _secured(self, sock: ssl.SSLSocket) -> None:
        self._arrivals.secured(self, sock)

    def _failed(self, because: str, sock: socket.socket | None) -> None:
        self._arrivals.handshake_failed(self, because, sock)

    def begin_upgrade(self, stream: SocketStream, rules: WebSocketRules) -> None:
        self.upgrade = Upgrade(self._arrivals.shared, stream, rules, self._upgraded, self._upgrade_failed)
        self.upgrade.begin()

    def _upgraded(self, stream: WebSocketStream) -> None:
        self._arrivals.upgraded(self, stream)

    def _upgrade_failed(self, status: int, because: str) -> None:
        self._arrivals.upgrade_failed(self, status, because)

    def abandon(self) -> None:
        """Close at once; who closes the socket reports it as released."""
        if self.upgrade is not None:
            self.upgrade.abandon()
            return
        if self.handshake is not None:
            self.handshake.abandon()
        else:
            self._arrivals.shared.loop.remove_reader(self._sock.fileno())
            self._sock.close()
        self._arrivals.socket_closed(self)
