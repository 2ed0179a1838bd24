"""Load on AMQP servers: lanes of octets made beforehand, driven by one loop, and what they cost the server."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from typing import Final

from bridgehead.cli.load.processes import cpu_seconds

READ: Final = 262_144  # octets
BODY: Final = 100  # octets
TIMEOUT: Final = 20.0  # seconds for a step of a handshake


class Stalled(RuntimeError):
    """A server took or gave nothing any more, or closed the connection."""


class Lane:
    """One connection. A subclass says what to send (`refill`) and what arrived (`take`)."""

    def __init__(self, host: str, port: int) -> None:
        self.sock: Final = socket.create_connection((host, port), TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.delivered = 0  # messages that came in
        self.accepted = 0  # messages that were acknowledged to us
        self.waiting = b""  # octets that the kernel did not take
        self.buffer = b""  # octets of a frame that is not complete yet
        self.partner: Lane | None = None  # who may send more when something arrived here

    # The handshake, with a socket that blocks. --------------------------------------------------------

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self, size: int) -> bytes:
        """Exactly so many octets."""
        while len(self.buffer) < size:
            data = self.sock.recv(READ)
            if not data:
                raise Stalled("the server closed the connection in the handshake")
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    # The load, with one that does not. ----------------------------------------------------------------

    def refill(self) -> bytes:
        """What is to be sent now."""
        raise NotImplementedError

    def take(self, data: bytes) -> None:
        """Octets that came in."""
        raise NotImplementedError

    def write(self) -> bool:
        """Whether the kernel took everything."""
        data = self.waiting or self.refill()
        while data:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                self.waiting = data
                return False
            data = data[sent:]
        self.waiting = b""
        return True

    def read(self) -> None:
        data = self.sock.recv(READ)
        if not data:
            raise Stalled("the server closed the connection under load")
        self.take(data)

    def close(self) -> None:
        self.sock.close()


class Rate:
    """What one run gave: messages delivered per second of the server's CPU, and per second."""

    def __init__(self, delivered: int, cpu: float, seconds: float) -> None:
        self.per_cpu_second: Final = delivered / cpu if cpu else 0.0
        self.per_second: Final = delivered / seconds
        self.busy: Final = cpu / seconds

    def line(self) -> str:
        rates = f"{self.per_cpu_second:>11,.0f} per CPU second  {self.per_second:>11,.0f} per second"
        return f"{rates}  server {self.busy:.0%}"


def drive(lanes: Sequence[Lane], pid: int, seconds: float, warm_up: float) -> Rate:
    """Run the lanes; the first `warm_up` seconds do not count. Errors: Stalled."""
    selector = selectors.DefaultSelector()
    blocked: set[Lane] = set()
    for lane in lanes:
        lane.sock.setblocking(False)
        selector.register(lane.sock, selectors.EVENT_READ, lane)
    for lane in lanes:
        if lane.buffer:  # came with the handshake's last answer
            rest, lane.buffer = lane.buffer, b""
            lane.take(rest)
        _write(selector, blocked, lane)
    before, cpu, began = 0, 0.0, 0.0
    end = time.monotonic() + warm_up
    counting = False
    try:
        while True:
            for key, events in selector.select(1.0):
                lane = key.data
                if events & selectors.EVENT_READ:
                    lane.read()
                    if lane.partner is not None:
                        _write(selector, blocked, lane.partner)
                _write(selector, blocked, lane)
            now = time.monotonic()
            if now < end:
                continue
            delivered = sum(lane.delivered for lane in lanes)
            if counting:
                if delivered == before:
                    raise Stalled("the server delivered nothing in the measured time")
                return Rate(delivered - before, cpu_seconds([pid]) - cpu, now - began)
            counting = True
            before, cpu, began = delivered, cpu_seconds([pid]), now
            end = now + seconds
    finally:
        selector.close()


def _write(selector: selectors.BaseSelector, blocked: set[Lane], lane: Lane) -> None:
    if lane.write():
        if lane in blocked:
            blocked.discard(lane)
            selector.modify(lane.sock, selectors.EVENT_READ, lane)
    elif lane not in blocked:
        blocked.add(lane)
        selector.modify(lane.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, lane)
