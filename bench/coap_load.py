"""Load for CoAP servers: confirmable requests over UDP, so many under way on so many sockets, and what came back."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from typing import Final

from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import ACK, CON, Message, in_order
from bridgehead.transport import paths
from bridgehead.transport.datagram_calls import BATCH, ManyAtOnce

RECEIVE_BUFFER: Final = 8 << 20
PATIENCE: Final = 5.0  # seconds for a single answer
STALLED: Final = 0.2  # seconds without an answer, after which a socket asks anew: a datagram was dropped


def request(segments: list[str], payload: bytes = b"", code: int = codes.GET) -> bytes:
    """What follows the Message ID of a CON with an empty token: options and payload."""
    options = tuple((numbers.URI_PATH, segment.encode()) for segment in segments)
    return encode(Message(code, options, payload, b"", CON, 0))[4:]


class Lane:
    """One socket, and the requests under way on it."""

    def __init__(self, port: int, code: int, rest: bytes, source: str = "127.0.0.1") -> None:
        self.socket: Final = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        paths.ask_for_paths(self.socket)
        self.socket.bind((source, 0))
        self.socket.setblocking(False)
        self.calls: Final = ManyAtOnce(self.socket, 0)
        # With the source in it: a path without one has the kernel choose, whatever the socket is bound to.
        self.path: Final = paths.make_ipv4("127.0.0.1", port, 0, socket.inet_aton(source), 0)
        self._head: Final = bytes((0x40, code))
        self._rest: Final = rest
        self._next = 0
        self.answered = 0
        self.refused = 0
        self.heard = 0.0

    def requests(self, count: int) -> list[bytes]:
        """So many more, each with a Message ID of its own."""
        head, rest, number = self._head, self._rest, self._next
        self._next = number + count
        return [head + ((number + at) & 0xFFFF).to_bytes(2, "big") + rest for at in range(count)]

    def ask(self, count: int) -> None:
        """Send so many more requests."""
        path = self.path
        batch = [(path, request) for request in self.requests(count)]
        for at in range(0, count, BATCH):
            self.calls.send(batch[at : at + BATCH])

    def send(self, message: bytes) -> None:
        """One whole message."""
        self.calls.send([(self.path, message)])

    def is_answer(self, data: bytes) -> bool:
        """Whether it is a piggybacked success."""
        return data[0] >> 4 & 3 == ACK and data[1] >> 5 == 2

    def take(self) -> int:
        """How many answers are there. What is none is counted as refused."""
        found = self.calls.receive()
        for _, data, _ in found:
            if not self.is_answer(data):
                self.refused += 1
        self.answered += len(found)
        return len(found)

    def prove(self) -> None:
        """Show that whoever sends from here receives here, where the server asks for it by Echo (RFC 9175 section 2.3);
        libcoap 4.3.1 never does. RuntimeError when it does not answer."""
        self.ask(1)
        answer = self._one()
        if answer.code != codes.UNAUTHORIZED:
            return
        head = self._head + b"\0\0"
        asked = decode(head + self._rest)
        options = in_order([*asked.options, (numbers.ECHO, answer.first(numbers.ECHO) or b"")])
        again = encode(Message(asked.code, options, asked.payload, b"", CON, self._next))
        self._next += 1
        self.calls.send([(self.path, again)])
        if self._one().code >> 5 != 2:
            raise RuntimeError("the server takes no Echo")

    def _one(self) -> Message:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for _, data, _ in self.calls.receive():
                return decode(data)
            time.sleep(0.001)
        raise RuntimeError("the server does not answer")

    def close(self) -> None:
        self.socket.close()


class Load:
    """`window` requests under way on each of the lanes."""

    def __init__(self, lanes: Sequence[Lane], window: int) -> None:
        self._window: Final = window
        self._lanes: Final = lanes
        self._poll: Final = select.epoll()
        self._by_fd: Final = {lane.socket.fileno(): lane for lane in self._lanes}
        for fd in self._by_fd:
            self._poll.register(fd, select.EPOLLIN)

    @property
    def answered(self) -> int:
        return sum(lane.answered for lane in self._lanes)

    @property
    def refused(self) -> int:
        return sum(lane.refused for lane in self._lanes)

    def run(self, seconds: float) -> None:
        """Ask as fast as answers come, for so long."""
        now = time.monotonic()
        end = now + seconds
        for lane in self._lanes:
            lane.ask(self._window)
            lane.heard = now
        while now < end:
            for fd, _ in self._poll.poll(STALLED):
                lane = self._by_fd[fd]
                lane.ask(lane.take())
                lane.heard = now
            now = time.monotonic()
            for lane in self._lanes:
                if now - lane.heard > STALLED:
                    lane.ask(self._window)
                    lane.heard = now

    def close(self) -> None:
        self._poll.close()
        for lane in self._lanes:
            lane.close()
