"""The CoAP servers beside ours, on loopback: libcoap's coap-server (C) and aiocoap (Python)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from bench.coap_load import request
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import CON, Message

RESOURCE: Final = "test"
PSK_IDENTITY: Final = "bench"
START_TIMEOUT: Final = 10.0
STOP_TIMEOUT: Final = 5.0

AIOCOAP: Final = """
import asyncio, sys
import aiocoap, aiocoap.resource

class Held(aiocoap.resource.Resource):
    content = b""
    async def render_get(self, request):
        return aiocoap.Message(payload=self.content)
    async def render_put(self, request):
        Held.content = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)

async def main():
    site = aiocoap.resource.Site()
    site.add_resource([{resource!r}], Held())
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", int(sys.argv[1])))
    await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


def free_port() -> int:
    """A loopback UDP port that nobody listens on now, and neither on the next one: libcoap takes that for DTLS."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
        ):
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


class CoapPeer:
    """One server as a process, pinned to `cpu`, with `payload` at `/test`. RuntimeError when it does not answer."""

    def __init__(self, command: list[str], port: int, payload: bytes, cpu: int | None, log: Path) -> None:
        self.port: Final = port
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        with log.open("ab") as output:
            self.process: Final = subprocess.Popen(command, stdout=output, stderr=output)
        self._fill(payload)

    @property
    def pid(self) -> int:
        return self.process.pid

    def _fill(self, payload: bytes) -> None:
        """PUT the resource, as soon as somebody answers."""
        message = encode(Message(codes.PUT, (), b"", b"", CON, 1))[:4] + request([RESOURCE], payload, codes.PUT)
        deadline = time.monotonic() + START_TIMEOUT
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", self.port))
            sock.settimeout(0.2)
            while time.monotonic() < deadline:
                try:
                    sock.send(message)
                    if sock.recv(1500)[1] in (codes.CREATED, codes.CHANGED):
                        return
                except (TimeoutError, ConnectionRefusedError):
                    time.sleep(0.05)
        self.stop()
        raise RuntimeError("the CoAP server that is measured beside ours did not answer a PUT")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self) -> CoapPeer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def libcoap(payload: bytes, cpu: int | None, folder: Path, key: bytes = b"", flavour: str = "gnutls") -> CoapPeer:
    """coap-server of libcoap; with `key` it takes DTLS with that pre-shared key on the next port. FileNotFoundError
    with the remedy. The key is on its command line: it protects nothing but this measurement."""
    program = shutil.which(f"coap-server-{flavour}")
    if program is None:
        raise FileNotFoundError(f"coap-server-{flavour} is not installed: apt-get install libcoap3-bin")
    port = free_port()
    command = [program, "-A", "127.0.0.1", "-p", str(port), "-d", "10"]
    if key:
        command += ["-k", key.decode("ascii"), "-h", "bench"]
    return CoapPeer(command, port, payload, cpu, folder / f"coap-server-{flavour}.log")


def aiocoap(payload: bytes, cpu: int | None, folder: Path) -> CoapPeer:
    """aiocoap's server with one resource that is held in memory."""
    port = free_port()
    script = folder / "aiocoap_server.py"
    script.write_text(AIOCOAP.format(resource=RESOURCE))
    return CoapPeer([sys.executable, str(script), str(port)], port, payload, cpu, folder / "aiocoap.log")


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
