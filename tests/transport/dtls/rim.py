"""A socket around a DtlsServer that answers what it is sent: what real clients are tried on."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable

from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER
from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings, Failure, Proof, Rim
from bridgehead.transport.dtls.server import DtlsServer
from bridgehead.wire.dtls.association import Association, Sink

Answer = Callable[[bytes], bytes]


class Devices:
    """What is known: pre-shared keys by identity, raw keys in DER."""

    def __init__(self, keys: dict[bytes, bytes] | None = None, raw_keys: set[bytes] | None = None) -> None:
        self.keys = keys or {}
        self.raw_keys = raw_keys or set()
        self.asked: list[bytes] = []

    def psk(self, identity: bytes, address: str) -> bytes | None:
        assert address
        self.asked.append(identity)
        return self.keys.get(identity)

    def raw_key(self, spki: bytes, address: str) -> bool:
        assert address
        return spki in self.raw_keys


class Answering(Sink):
    def __init__(self, association: Association, send: Callable[[bytes, bytes], None], answer: Answer) -> None:
        self.association = association
        self.received_data: list[bytes] = []
        self.because = ""
        self._send = send
        self._answer = answer

    def received(self, data: bytes) -> None:
        self.received_data.append(data)
        answer = self._answer(data)
        if answer:
            self._send(self.association.path, self.association.seal(answer))

    def ended(self, because: str) -> None:
        self.because = because


def as_it_came(data: bytes) -> bytes:
    return data


def as_coap(data: bytes) -> bytes:
    """2.05 with the payload "it works" to any confirmable GET."""
    if len(data) < 4 or data[0] >> 4 != 4 or data[1] != 1:
        return b""
    token = data[4 : 4 + (data[0] & 15)]
    return bytes([0x60 | len(token), 0x45]) + data[2:4] + token + b"\xffit works"


class Server:
    """Of the test's event loop; `port` is its own."""

    def __init__(
        self,
        identity: DtlsIdentity | None = None,
        devices: Devices | None = None,
        settings: DtlsSettings | None = None,
        answer: Answer = as_it_came,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.devices = devices or Devices()
        self.proofs: list[Proof] = []
        self.failures: list[Failure] = []
        self.sinks: list[Answering] = []
        self.clock = Clock(time.time())
        self._answer = answer
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.dtls = DtlsServer(
            identity or DtlsIdentity(),
            self.devices,
            settings or DtlsSettings(),
            Rim(
                send=self._send,
                established=self._established,
                failed=self.failures.append,
                address_of=lambda path: path.decode().partition(" ")[0],
                defer=self.loop.call_soon,
                clock=self.clock,
                random=os.urandom,
            ),
        )
        self.loop.add_reader(self.socket, self._readable)

    def close(self) -> None:
        self.dtls.close("the test is over")
        self._closed = True
        self.loop.remove_reader(self.socket)
        if self._timer is not None:
            self._timer.cancel()
        self.socket.close()

    def _send(self, path: bytes, data: bytes) -> None:
        host, _, port = path.decode().partition(" ")
        if not self._closed:
            self.socket.sendto(data, (host, int(port)))

    def _established(self, association: Association) -> None:
        assert isinstance(association.proof, Proof)
        self.proofs.append(association.proof)
        sink = Answering(association, self._send, self._answer)
        association.sink = sink
        self.sinks.append(sink)

    def _readable(self) -> None:
        self.clock.now = time.time()
        for _ in range(64):
            try:
                data, (host, port) = self.socket.recvfrom(65536)
            except BlockingIOError:
                break
            self.dtls.receive(f"{host} {port}".encode(), data)
        self._wait()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.dtls.next_timeout()
        if due < NEVER and not self._closed:
            self._timer = self.loop.call_later(max(0.0, due - time.time()), self._timeout)

    def _timeout(self) -> None:
        self.clock.now = time.time()
        self._timer = None
        self.dtls.handle_timeout(self.clock.now)
        self._wait()
