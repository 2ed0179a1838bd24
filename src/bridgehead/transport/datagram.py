"""Datagram endpoints: UDP sockets that are drained in batches and answer from the address that was asked."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.transport import paths
from bridgehead.transport.address import Address, format_address, open_datagram_sockets, parse_address
from bridgehead.transport.datagram_calls import BATCH, Calls, Datagram, calls_for
from bridgehead.transport.events import DATAGRAMS_DROPPED, OnEvent
from bridgehead.transport.multicast import Membership, hear_only_joined, open_groups

_BATCHES_AT_ONCE: Final = 4  # read per wake-up, before others have their turn
_BUFFER: Final = 4 * 1024 * 1024  # octets that the kernel keeps, each way, as far as it permits
_PENDING: Final = 4 * 1024 * 1024  # octets that wait here while the kernel takes none
_OVERHEAD: Final = 200  # octets that a waiting datagram takes beside its data
_SO_RCVBUFFORCE: Final = 33  # linux/socket.h: beyond net.core.rmem_max, with CAP_NET_ADMIN
_SO_SNDBUFFORCE: Final = 32
_TELL: Final = 60.0  # seconds between two words about what was dropped

OnBatch = Callable[[list[Datagram]], None]


class DatagramCounters:
    """Of one endpoint, since it was made."""

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self.dropped = 0  # could not be sent: the kernel's buffer and ours were full, or there is no way there


class Endpoint:
    """`bind`: "127.0.0.1:5684", "[::1]:5684", "name:5684" (each of its addresses) or "*:5684" (IPv4 and IPv6); port 0
    is any free one. `on_batch` gets (path, data, sent to a group): see transport/paths.py. `groups` are joined on these
    interfaces: "*" for all of them. `on_drain` is called when nothing waits any more that the kernel did not take at
    once. Nothing is opened before start()."""

    def __init__(
        self,
        bind: str,
        on_batch: OnBatch,
        on_event: OnEvent,
        interfaces: Sequence[str] = (),
        memberships: Sequence[Membership] = (),
        on_drain: Callable[[], None] | None = None,
    ) -> None:
        self._bind: Final = parse_address(bind)
        self._port = self._bind.port
        self._on_batch: Final = on_batch
        self._on_event: Final = on_event
        self._interfaces: Final = tuple(interfaces)
        self._memberships: Final = tuple(memberships)
        self._on_drain: Final = on_drain
        self._loop: Final = asyncio.get_running_loop()
        self._sockets: list[_Socket] = []
        self._groups: list[_Socket] = []
        self.counters: Final = DatagramCounters()
        self._told_at = -_TELL
        self._told = 0

    @property
    def address(self) -> str:
        """Where it listens, with the real port."""
        return str(Address(self._bind.host, self.port))

    @property
    def addresses(self) -> list[str]:
        """Each numeric address it listens on, but for the groups."""
        return [format_address(each.sock.getsockname()) for each in self._sockets]

    @property
    def port(self) -> int:
        """The real port, also after close()."""
        return self._port

    @property
    def pending(self) -> int:
        """Datagrams that the kernel has not taken yet."""
        return sum(each.pending for each in self._sockets)

    async def start(self) -> None:
        """Bind and begin to read. Raises BindError with a remedy; then nothing is left open."""
        if self._sockets:
            raise LocalMisuse("the endpoint has been started already")
        for index, sock in enumerate(await open_datagram_sockets(self._bind)):
            hear_only_joined(sock)
            _enlarge(sock)
            self._sockets.append(_Socket(self, sock, index))
        self._port = int(self._sockets[0].sock.getsockname()[1])
        try:
            for index, each in enumerate(self._sockets):
                for sock in open_groups(each.sock, self._interfaces, self._memberships):
                    _enlarge(sock)
                    self._groups.append(_GroupSocket(self, sock, index, each.sock))
        except BaseException:
            self.close()
            raise
        for each in (*self._sockets, *self._groups):
            each.watch()

    def close(self) -> None:
        """What waits to be sent is dropped."""
        for each in (*self._sockets, *self._groups):
            each.close()
        self._sockets, self._groups = [], []

    def send(self, batch: list[tuple[bytes, bytes]]) -> None:
        """Send (path, data), each from the address that its path names; what cannot be sent is dropped and counted."""
        sockets = self._sockets
        if len(sockets) == 1:
            sockets[0].send(batch)
            return
        by_socket: dict[int, list[tuple[bytes, bytes]]] = {}
        for item in batch:
            by_socket.setdefault(paths.index_of(item[0]), []).append(item)
        for index, items in by_socket.items():
            if index < len(sockets):
                sockets[index].send(items)

    def send_one(self, path: bytes, data: bytes) -> None:
        self.send([(path, data)])

    def took(self, batch: list[Datagram]) -> None:
        self.counters.received += len(batch)
        self._on_batch(batch)

    def drained(self) -> None:
        if self._on_drain is not None:
            self._on_drain()

    def dropped(self, number: int, because: str) -> None:
        """Counted, and told once a minute."""
        self.counters.dropped += number
        now = self._loop.time()
        if now - self._told_at >= _TELL:
            count = self.counters.dropped - self._told
            self._told_at, self._told = now, self.counters.dropped
            self._on_event(DATAGRAMS_DROPPED, {"listener": self.address, "count": count, "because": because})


class _Socket:
    """One UDP socket of an endpoint."""

    def __init__(self, endpoint: Endpoint, sock: socket.socket, index: int) -> None:
        self._endpoint: Final = endpoint
        self._loop: Final = asyncio.get_running_loop()
        self.sock: Final = sock
        self._fd: Final = sock.fileno()
        paths.ask_for_paths(sock)
        self._calls: Final[Calls] = calls_for(sock, index)
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_octets = 0
        self._too_large = 0

    @property
    def pending(self) -> int:
        return len(self._pending)

    def watch(self) -> None:
        self._loop.add_reader(self._fd, self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._pending = []
        self.sock.close()

    def _readable(self) -> None:
        for _ in range(_BATCHES_AT_ONCE):
            batch = self._receive()
            if not batch:
                return
            self._endpoint.took(batch)
            if len(batch) < BATCH or self.sock.fileno() < 0:
                return

    def _receive(self) -> list[Datagram]:
        try:
            batch = self._calls.receive()
        except OSError as fault:
            # An error of an earlier datagram that the kernel tells at the next call; the socket itself goes on.
            self._endpoint.dropped(1, f"the system tells of a network error: {fault.strerror or fault}")
            return []
        if self._calls.too_large != self._too_large:
            count = self._calls.too_large - self._too_large
            self._too_large = self._calls.too_large
            self._endpoint.dropped(count, "a datagram came that is larger than any message may be")
        return batch

    def send(self, batch: list[tuple[bytes, bytes]]) -> None:
        if self._pending:
            self._keep(batch)
            return
        self._send(batch)

    def _send(self, batch: list[tuple[bytes, bytes]]) -> None:
        done = 0
        count = len(batch)
        counters = self._endpoint.counters
        while done < count:
            part = batch if count <= BATCH and not done else batch[done : done + BATCH]
            try:
                sent = self._calls.send(part)
            except BlockingIOError:
                self._keep(batch[done:])
                return
            except OSError as fault:
                if fault.errno != errno.EINTR:
                    done += 1  # no way there: the others are not to wait for it
                    self._endpoint.dropped(1, f"the system did not send one: {_strerror(fault)}")
                continue
            counters.sent += sent
            done += sent

    def _keep(self, batch: list[tuple[bytes, bytes]]) -> None:
        if not self._pending:
            self._loop.add_writer(self._fd, self._writable)
        for index, item in enumerate(batch):
            weight = len(item[1]) + _OVERHEAD
            if self._pending_octets + weight > _PENDING:
                self._endpoint.dropped(len(batch) - index, "the network takes them more slowly than they are sent")
                return
            self._pending_octets += weight
            self._pending.append(item)

    def _writable(self) -> None:
        batch = self._pending
        self._pending = []
        self._pending_octets = 0
        self._loop.remove_writer(self._fd)
        self._send(batch)
        if not self._pending:
            self._endpoint.drained()


class _GroupSocket(_Socket):
    """Takes what was sent to a group; the answers go out by the endpoint's own socket `main`."""

    def __init__(self, endpoint: Endpoint, sock: socket.socket, index: int, main: socket.socket) -> None:
        super().__init__(endpoint, sock, index)
        self._index: Final = index
        self._own: Final = socket.inet_pton(main.family, str(main.getsockname()[0]).partition("%")[0])

    def _receive(self) -> list[Datagram]:
        own, index = self._own, self._index
        return [(paths.answer_to_group(path, own, index), data, True) for path, data, _ in super()._receive()]


def _enlarge(sock: socket.socket) -> None:
    """A burst that comes while the loop is busy waits in the kernel, as far as it permits."""
    for force, option in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        if struct.unpack("i", sock.getsockopt(socket.SOL_SOCKET, option, 4))[0] < _BUFFER:
            with contextlib.suppress(OSError):  # only for the privileged
                sock.setsockopt(socket.SOL_SOCKET, force, _BUFFER)


def _strerror(fault: OSError) -> str:
    return errno.errorcode.get(fault.errno or 0, str(fault.errno))
