"""A connection as the protocols see it, and its plain form: TCP or Unix, on the non-blocking socket itself.

No asyncio transport: `add_reader`/`add_writer` on the socket cost a fifth of it. An idle connection holds one
socket, one reader and this object; there is no buffer, task or timer.
"""

from __future__ import annotations

import socket
import ssl
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.transport.address import format_address
from bridgehead.transport.openssl import exporter
from bridgehead.transport.reasons import explain
from bridgehead.transport.shared import Shared

OnData = Callable[[bytes], None]
OnEnd = Callable[[str], None]
OnDrain = Callable[[], None]

# Where a stream stands with its closing.
OPEN: Final = 0
BROKEN: Final = 1  # the kernel takes no more output; what the peer sent before is still read
FLUSHING: Final = 2  # close() was called, or the peer ended its side; what is pending still goes out
LINGERING: Final = 3  # our side is ended; the peer may still have to read what we sent
CLOSED: Final = 4
_RESET: Final = struct.pack("ii", 1, 0)


class TlsInfo:
    """What the TLS handshake settled. `peer_certificate` is DER, verified against the context's CAs, or None."""

    __slots__ = ("_sock", "cipher", "peer_certificate", "version")

    def __init__(
        self, version: str, cipher: str, peer_certificate: bytes | None, sock: ssl.SSLSocket | None = None
    ) -> None:
        self._sock: Final = sock
        self.version: Final = version
        self.cipher: Final = cipher
        self.peer_certificate: Final = peer_certificate

    def end_point(self) -> bytes | None:
        """The channel binding "tls-server-end-point" (RFC 5929 section 4), where the context knows its certificate."""
        found = None if self._sock is None else getattr(self._sock.context, "end_point", None)
        return found if isinstance(found, bytes) else None

    def exporter(self) -> bytes | None:
        """The channel binding "tls-exporter" (RFC 9266), where OpenSSL can be asked for it."""
        return None if self._sock is None else exporter(self._sock)

    def __repr__(self) -> str:
        certificate = "with" if self.peer_certificate else "without"
        return f"TlsInfo({self.version}, {self.cipher}, {certificate} peer certificate)"


class Stream(ABC):
    """An ordered stream of octets to one peer: TCP, TLS, Unix or WebSocket.

    Every callback comes from the event loop, never from inside a call of one of these methods.
    """

    __slots__ = ()

    peer: str  # "127.0.0.1:50000", "[::1]:50000", "unix:uid=1000,gid=1000,pid=4242"
    tls: TlsInfo | None
    spent: float  # seconds from accept() until it could be used: handshakes

    @property
    @abstractmethod
    def local(self) -> str:
        """The hub's own side of the connection; "" once it is closed."""

    @property
    @abstractmethod
    def pending(self) -> int:
        """Octets accepted by send() that the kernel has not taken yet."""

    @abstractmethod
    def start(self, on_data: OnData, on_end: OnEnd, on_drain: OnDrain | None = None) -> None:
        """Begin to read. `on_data` gets octets, never none of them. `on_drain` is called when pending falls to 0.

        `on_end` is called exactly once: with "" after an orderly end (the peer's, or close() when the kernel has
        taken all that was pending), else with a sentence that says why. When it is the peer that ended its side,
        send() still works inside `on_end`; the stream then closes by itself. Called again, start() replaces the
        callbacks.
        """

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send `data` (at least one octet) at once, keep what the kernel does not take. After the end: ignored."""

    @abstractmethod
    def pause(self) -> None:
        """Stop reading; the peer is held back by TCP."""

    @abstractmethod
    def resume(self) -> None:
        """Read again after pause()."""

    @abstractmethod
    def close(self) -> None:
        """Stop reading, send what is pending, end in order. What the peer does not take in time is dropped."""

    @abstractmethod
    def abort(self) -> None:
        """End at once: what is pending is dropped, TCP is reset."""


def _not_started(data: bytes) -> None:
    raise LocalMisuse("a stream was read before start()")


class SocketStream(Stream):
    """A connected non-blocking stream socket. `released(stream)` is called once, when the socket is closed."""

    __slots__ = (
        "_discarded",
        "_ended",
        "_fd",
        "_on_data",
        "_on_drain",
        "_on_end",
        "_reading",
        "_released",
        "_rest",
        "_shared",
        "_sock",
        "_state",
        "peer",
        "pending",
        "spent",
    )

    pending: int
    tls: TlsInfo | None = None
    _sock: socket.socket

    def __init__(
        self,
        shared: Shared,
        sock: socket.socket,
        peer: str,
        released: Callable[[SocketStream], None] | None = None,
    ) -> None:
        self.peer = peer
        self.spent = 0.0
        self.pending = 0  # always len(self._rest)
        self._shared = shared
        self._sock = sock
        self._fd = sock.fileno()
        self._released = released
        self._on_data: OnData = _not_started
        self._on_end: OnEnd | None = None
        self._on_drain: OnDrain | None = None
        self._rest: bytearray | None = None  # what the kernel has not taken; None instead of an empty one
        self._state = OPEN
        self._reading = False
        self._ended = ""  # why it ended, kept while nobody has started the stream
        self._discarded = 0

    @property
    def local(self) -> str:
        return format_address(self._sock.getsockname()) if self._state != CLOSED else ""

    # --- reading ------------------------------------------------------------------------------------------------------

    def start(self, on_data: OnData, on_end: OnEnd, on_drain: OnDrain | None = None) -> None:
        if self._state > BROKEN:
            self._shared.loop.call_soon(on_end, self._ended)
            return
        self._on_data = on_data
        self._on_end = on_end
        self._on_drain = on_drain
        self.resume()

    def resume(self) -> None:
        if not self._reading and self._state == OPEN and self._on_end is not None:
            self._reading = True
            self._shared.loop.add_reader(self._fd, self._readable)

    def pause(self) -> None:
        if self._reading:
            self._reading = False
            self._shared.loop.remove_reader(self._fd)

    def _readable(self) -> None:
        size = self._shared.read_size
        try:
            data = self._sock.recv(size)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._shut(explain(error))
            return
        if not data:
            self._input_ended("")
            return
        self._on_data(data)
        # A read that was not full emptied the socket: asking again would cost an exception for nothing.
        if len(data) == size:
            self._read_on(size)

    def _read_on(self, size: int) -> None:
        for _ in range(self._shared.max_reads - 1):
            if not self._reading:
                return
            try:
                data = self._sock.recv(size)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._shut(explain(error))
                return
            if not data:
                self._input_ended("")
                return
            self._on_data(data)
            if len(data) < size:
                return

    def _input_ended(self, reason: str) -> None:
        """The peer ended its side. The owner may still answer; then our side ends too."""
        self.pause()
        on_end, self._on_end = self._on_end, None
        self._discarded = -1  # nothing more will come: no lingering
        if on_end is not None:
            on_end(reason)
        self.close()

    # --- writing ------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        if self.pending or self._state:
            if self._rest is not None and self._state == OPEN:
                self._rest += data
                self.pending += len(data)
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._broken(explain(error))
            return
        if sent != len(data):
            self._keep(data, sent)

    def _keep(self, data: bytes, sent: int) -> None:
        self._rest = bytearray(memoryview(data)[sent:])
        self.pending = len(data) - sent
        self._shared.loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        rest = self._rest
        if rest is None:
            self._shared.loop.remove_writer(self._fd)
            return
        try:
            sent = self._sock.send(rest)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broken(explain(error))
            return
        if sent == len(rest):
            self._drained()
        else:
            del rest[:sent]
            self.pending = len(rest)

    def _drained(self) -> None:
        self._rest = None
        self.pending = 0
        self._shared.loop.remove_writer(self._fd)
        if self._state == FLUSHING:
            self._end_output()
        elif self._on_drain is not None:
            self._on_drain()

    def _broken(self, reason: str) -> None:
        """The peer is gone, but it may have said good-bye before: its last octets are still in the kernel."""
        if self._state != OPEN or not self._reading:
            self._shut(reason)
            return
        self._state = BROKEN
        self._ended = reason
        self._rest = None
        self.pending = 0
        self._shared.loop.remove_writer(self._fd)
        self._shared.loop.call_soon(self._read_last)

    def _read_last(self) -> None:
        for _ in range(self._shared.max_reads):
            if not self._reading:
                break
            try:
                data = self._sock.recv(self._shared.read_size)
            except OSError:  # nothing is left
                break
            if not data:
                break
            self._on_data(data)
        self._shut(self._ended)

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        if self._state != OPEN:
            return
        self.pause()
        self._state = FLUSHING
        self._shared.closing.add(self)
        if self._rest is None:
            self._end_output()

    def abort(self) -> None:
        self._reset("the connection was aborted")

    def _reset(self, reason: str) -> None:
        if self._state != CLOSED:
            # Frees the kernel's send buffer at once, which a peer that does not read would hold for minutes.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._shut(reason)

    def _end_output(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._shut(explain(error))
            return
        self._linger()

    def _linger(self) -> None:
        """Tell the owner, and wait for the peer's end: closing over unread octets sends a reset, which destroys what
        the peer has not read yet, such as the packet that tells it why it was disconnected (RFC 1122 4.2.2.13)."""
        if self._discarded < 0:
            self._shut("")
            return
        self._state = LINGERING
        self._tell("")
        self._shared.loop.add_reader(self._fd, self._discard)

    def _discard(self) -> None:
        try:
            # The socket's own recv: over TLS nothing is deciphered any more.
            octets = len(socket.socket.recv(self._sock, self._shared.read_size))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._shut("")  # all was sent, and the peer is gone: that is what close() wanted
            return
        self._discarded += octets
        if not octets or self._discarded > self._shared.linger_octets:
            self._shut("")

    def linger_expired(self) -> None:
        """The peer's time is over (Closing)."""
        if self._state == FLUSHING:
            seconds = self._shared.closing.seconds
            self._reset(f"the peer did not take the last {self.pending} octets within {seconds:g} s")
        else:
            self._shut("")

    def _shut(self, reason: str) -> None:
        """Close the socket."""
        if self._state == CLOSED:
            return
        loop = self._shared.loop
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._reading = False
        self._state = CLOSED
        self._rest = None
        self.pending = 0
        self._shared.closing.discard(self)
        self._sock.close()
        self._tell(reason)
        released, self._released = self._released, None
        if released is not None:
            released(self)

    def _tell(self, reason: str) -> None:
        """Tell the owner once, from the loop: it may be in the midst of a send() or close(). Then let go of it."""
        on_end, self._on_end = self._on_end, None
        self._on_data = _not_started
        self._on_drain = None
        if on_end is not None:
            self._shared.loop.call_soon(on_end, reason)
        self._ended = reason

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.peer})"
