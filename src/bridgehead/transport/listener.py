"""Listens on an address, accepts within ceilings, and hands over streams that are ready for a protocol."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.transport.address import format_address, network_of, open_listeners, parse_address, peer_of, site_of
from bridgehead.transport.arrivals import Arrivals
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.events import ACCEPTING_PAUSED, CONNECTION_REFUSED, OnEvent
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import Stream
from bridgehead.transport.upgrade import WebSocketRules

_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_PAUSE: Final = 0.5  # seconds without accepting when the system has no descriptors or memory left


class AcceptRules:
    """`seconds`: from accept() to a usable stream, TLS handshake and WebSocket upgrade included. `handshakes`: TLS
    handshakes at work at a time. `at_once`: connections accepted per wake-up, before established ones have their
    turn. `backlog`: connections that the kernel keeps for us (net.core.somaxconn cuts it). `unix_mode`: of the
    socket's file."""

    __slots__ = ("at_once", "backlog", "handshakes", "seconds", "unix_mode")

    def __init__(
        self,
        seconds: float = 10.0,
        handshakes: int = 256,
        at_once: int = 64,
        backlog: int = 4096,
        unix_mode: int = 0o600,
    ) -> None:
        self.seconds: Final = seconds
        self.handshakes: Final = handshakes
        self.at_once: Final = at_once
        self.backlog: Final = backlog
        self.unix_mode: Final = unix_mode


class Listener:
    """`bind`: "127.0.0.1:8883", "[::1]:8883", "name:8883" (each of its addresses), "*:8883" (IPv4 and IPv6), or
    "unix:/path"; port 0 is any free one. `on_stream(stream)` must call `stream.start`. Without `tls` the listener
    speaks plaintext; without `websocket` the stream's octets are the protocol's. `ceilings` may be shared by several
    listeners. Nothing is opened before start()."""

    def __init__(
        self,
        bind: str,
        on_stream: Callable[[Stream], None],
        *,
        shared: Shared,
        on_event: OnEvent,
        ceilings: Ceilings,
        tls: ssl.SSLContext | None = None,
        websocket: WebSocketRules | None = None,
        rules: AcceptRules | None = None,
    ) -> None:
        self._bind: Final = parse_address(bind)
        self._shared: Final = shared
        self._on_event: Final = on_event
        self._ceilings: Final = ceilings
        self._rules: Final = rules or AcceptRules()
        self._sockets: list[socket.socket] = []
        self._spare = -1
        self._pause: asyncio.TimerHandle | None = None
        self._file: tuple[int, int] | None = None  # the Unix socket's device and inode
        self._open = 0
        self._arrivals: Final = Arrivals(
            shared,
            str(self._bind),
            on_stream,
            self._released,
            on_event,
            tls,
            websocket,
            self._rules.seconds,
            self._rules.handshakes,
        )

    @property
    def connections(self) -> int:
        """Open connections, those included that are not streams yet."""
        return self._open

    @property
    def arriving(self) -> int:
        """Connections whose TLS handshake or WebSocket upgrade is not done."""
        return len(self._arrivals)

    @property
    def address(self) -> str:
        """Where it listens, with the real port: "127.0.0.1:43211", "*:8883", "unix:/run/hub.sock"."""
        bind = self._bind
        if bind.path or not self._sockets:
            return str(bind)
        host = f"[{bind.host}]" if ":" in bind.host else bind.host
        return f"{host}:{self.port}"

    @property
    def addresses(self) -> list[str]:
        """Each numeric address it listens on."""
        return [format_address(sock.getsockname()) for sock in self._sockets]

    @property
    def port(self) -> int:
        """The real port; 0 for a Unix socket."""
        if self._bind.path or not self._sockets:
            return self._bind.port
        return int(self._sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Bind and begin to accept. Raises BindError with a remedy; then nothing is left open."""
        if self._sockets:
            raise LocalMisuse("the listener has been started already")
        self._sockets = await open_listeners(self._bind, self._rules.backlog, self._rules.unix_mode)
        if self._bind.path:
            file = os.stat(self._bind.path)
            self._file = (file.st_dev, file.st_ino)
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._arrivals.name = self.address
        self._watch()

    def reload(self, tls: ssl.SSLContext) -> None:
        """Use `tls` for every handshake from now on. Open connections are not touched."""
        if self._arrivals.tls is None:
            raise LocalMisuse("a plaintext listener cannot become a TLS one: make a new listener")
        self._arrivals.tls = tls

    def stop_accepting(self) -> None:
        """Close the listening sockets; connections go on. A Unix socket's file is removed if it is still ours."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._unwatch()
        for sock in self._sockets:
            sock.close()
        if self._sockets and self._file is not None:
            try:
                file = os.lstat(self._bind.path)
                if (file.st_dev, file.st_ino) == self._file:
                    os.unlink(self._bind.path)
            except FileNotFoundError:
                pass  # somebody removed it before us
        self._sockets = []
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def close(self) -> None:
        """Stop accepting, and end the connections that are not streams yet."""
        self.stop_accepting()
        self._arrivals.abandon_all()

    # --- accepting ----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        for sock in self._sockets:
            self._shared.loop.add_reader(sock.fileno(), self._accept, sock)

    def _unwatch(self) -> None:
        for sock in self._sockets:
            self._shared.loop.remove_reader(sock.fileno())

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(self._rules.at_once):
            try:
                sock, sockaddr = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._exhausted(listening, error)
                    return
                continue  # accept(2): the errors of a connection that is gone already come out here
            peer = peer_of(sock, sockaddr)
            because = self._ceilings.admit(network_of(peer), site_of(peer), self._shared.loop.time())
            if because:
                sock.close()
                self._on_event(CONNECTION_REFUSED, {"listener": self.address, "peer": peer, "because": because})
                continue
            self._open += 1
            sock.setblocking(False)
            self._arrivals.admit(sock, peer)

    def _released(self, peer: str) -> None:
        self._open -= 1
        self._ceilings.release(network_of(peer), site_of(peer))

    def _exhausted(self, listening: socket.socket, error: OSError) -> None:
        """No descriptor is left. The spare one serves to end one waiting connection, then all wait a while: the
        selector would report the listening socket for ever and the hub would do nothing else."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        try:
            listening.accept()[0].close()
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._spare = -1  # tried again after the pause
        self._unwatch()
        self._pause = self._shared.loop.call_later(_PAUSE, self._resume)
        because = f"{os.strerror(error.errno or 0).lower()} (raise the limit of open files: ulimit -n)"
        self._on_event(ACCEPTING_PAUSED, {"listener": self.address, "because": because, "seconds": _PAUSE})

    def _resume(self) -> None:
        self._pause = None
        if self._spare < 0:
            try:
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._pause = self._shared.loop.call_later(_PAUSE, self._resume)
                return
        self._watch()
