"""What the transport costs: server CPU per message echoed, in bulk and as a trickle, and memory per idle connection.

    python -m bench.transport [--seconds 3] [--idle 5000] [--only NAME]

The server is a process of its own that echoes with uvloop; only its processor time and its memory count, so a slow
client or a busy machine does not change the figures much. `asyncio` rows are the same echo over asyncio's transports.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.certificates import Authority
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.listener import Listener
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import Stream
from bridgehead.transport.upgrade import WebSocketRules

MESSAGE = b"m" * 70  # a PUBLISH of 64 octets is about so long
TRICKLE = 200
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)

# --- the server, a process of its own --------------------------------------------------------------------------------


class Echo:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        stream.start(self.on_data, self.on_end)

    def on_data(self, data: bytes) -> None:
        self.stream.send(data)

    def on_end(self, reason: str) -> None:
        echoes.discard(self)


echoes: set[Echo] = set()


class AsyncioEcho(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def context_of(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hub.pem", folder / "hub.key")
    context.num_tickets = 1
    return context


def resident() -> int:
    """Octets of memory that this process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def serve(kind: str, folder: Path) -> None:
    tls = context_of(folder) if kind in ("tls", "wss", "asyncio-tls") else None
    loop = asyncio.get_running_loop()
    if kind.startswith("asyncio"):
        server = await loop.create_server(AsyncioEcho, "127.0.0.1", 0, ssl=tls, backlog=4096)
        port = server.sockets[0].getsockname()[1]
    else:
        listener = Listener(
            "127.0.0.1:0",
            lambda stream: echoes.add(Echo(stream)),
            shared=Shared(),
            on_event=lambda name, fields: print(name, fields, file=sys.stderr),
            ceilings=Ceilings(100_000),
            tls=tls,
            websocket=WebSocketRules(["mqtt"]) if kind in ("ws", "wss") else None,
        )
        await listener.start()
        port = listener.port
    print(port, flush=True)
    done = asyncio.Event()

    def asked() -> None:
        if not sys.stdin.readline():
            done.set()
            return
        print(json.dumps({"cpu": time.process_time(), "resident": resident()}), flush=True)

    loop.add_reader(sys.stdin.fileno(), asked)
    await done.wait()


class Server:
    """The server's process."""

    def __init__(self, kind: str, folder: Path) -> None:
        command = [sys.executable, "-m", "bench.transport", "--serve", kind, "--folder", str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._line())
        self.secure = kind in ("tls", "wss", "asyncio-tls")
        self.websocket = kind in ("ws", "wss")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.load_verify_locations(folder / "ca.pem")

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def ask(self) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer: dict[str, float] = json.loads(self._line())
        return answer

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.secure:
            sock = self.context.wrap_socket(sock, server_hostname="localhost")
        if self.websocket:
            sock.sendall(UPGRADE)
            response = b""
            while not response.endswith(b"\r\n\r\n"):
                response += sock.recv(4096)
        return sock

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


# --- the load --------------------------------------------------------------------------------------------------------


def framed(data: bytes, websocket: bool) -> tuple[bytes, int]:
    """What a client sends, and how many octets come back."""
    if not websocket:
        return data, len(data)
    mask = bytes(4)  # a mask of zeros is a mask
    return b"\x82" + bytes([0x80 | len(data)]) + mask + data, 2 + len(data)


def trickle(server: Server, seconds: float) -> int:
    """Messages echoed: TRICKLE connections, one message in flight on each."""
    socks = [server.connect() for _ in range(TRICKLE)]
    message, back = framed(MESSAGE, server.websocket)
    poll = select.epoll()
    by_fd = {sock.fileno(): sock for sock in socks}
    for sock in socks:
        sock.setblocking(False)
        poll.register(sock, select.EPOLLIN)
        sock.send(message)
    echoed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for fd, _ in poll.poll(1):
            sock = by_fd[fd]
            try:
                data = sock.recv(4096)
            except ssl.SSLWantReadError:
                continue
            assert len(data) == back
            echoed += 1
            sock.send(message)
    poll.close()
    for sock in socks:
        sock.close()
    return echoed


def bulk(server: Server, seconds: float, size: int) -> int:
    """Messages echoed on one connection, written `size` octets at a time, at most 1 MiB in flight."""
    sock = server.connect()
    sock.setblocking(False)
    message, back = framed(MESSAGE, server.websocket)
    count = max(1, size // len(message))
    block = memoryview(message * count)
    flight = max(1, 1_000_000 // len(block)) * len(block)
    sent = received = offset = 0
    poll = select.epoll()
    poll.register(sock, select.EPOLLIN | select.EPOLLOUT)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        room = sent - received * len(message) // back < flight
        poll.modify(sock, select.EPOLLIN | (select.EPOLLOUT if room else 0))
        poll.poll(0.1)
        try:
            while True:
                received += len(sock.recv(262_144))
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        try:
            while sent - received * len(message) // back < flight:
                taken = sock.send(block[offset:])
                sent += taken
                offset = (offset + taken) % len(block)
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
    poll.close()
    sock.close()
    return received // back


def idle(server: Server, count: int) -> float:
    """Octets of the server's memory per idle connection."""
    for sock in [server.connect() for _ in range(100)]:  # so that what is made once is made
        sock.close()
    time.sleep(0.5)
    before = server.ask()["resident"]
    socks = [server.connect() for _ in range(count)]
    time.sleep(0.5)
    after = server.ask()["resident"]
    for sock in socks:
        sock.close()
    return (after - before) / count


def measured(server: Server, load: Any, *arguments: Any) -> float:
    """Messages per second of the server's processor time."""
    before = server.ask()["cpu"]
    messages: int = load(server, *arguments)
    return messages / (server.ask()["cpu"] - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--only", default="")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        import uvloop

        uvloop.run(serve(options.serve, Path(options.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Authority(folder).issue("hub", ("localhost",))
        print(f"{'':14}{'bulk 64 KiB':>14}{'bulk 70 B':>14}{'trickle':>14}{'octets/idle':>14}")
        for kind in ("plain", "tls", "ws", "wss", "asyncio", "asyncio-tls"):
            if options.only not in ("", kind):
                continue
            with Server(kind, folder) as server:
                figures = [
                    measured(server, bulk, options.seconds, 65536),
                    measured(server, bulk, options.seconds, len(MESSAGE)),
                    measured(server, trickle, options.seconds),
                ]
            with Server(kind, folder) as server:
                octets = idle(server, options.idle)
            print(f"{kind:14}" + "".join(f"{figure:14,.0f}" for figure in figures) + f"{octets:14,.0f}", flush=True)


if __name__ == "__main__":
    main()
