"""A real hub as a process of its own, for tests: `bridgehead up`, its ready line, its log, and a raw MQTT client."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connect, Packet
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.records import PermissionRecord

PATIENCE = 30.0  # seconds until a test gives up waiting for what must come


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "bridgehead", *map(str, arguments)]


def wait_until(what: str, happened: object) -> None:
    """Until `happened()` is true."""
    assert callable(happened)
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.01)


class Hub:
    """`folder` gets data/, hub.toml, out and log (standard error)."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "hub.toml"
        self.configure(config)
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, config: str) -> None:
        self.config.write_text(config)

    def __enter__(self) -> Hub:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def launch(self) -> subprocess.Popen[bytes]:
        with (self.folder / "out").open("wb") as out, (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command("up", "--data", self.data, "--config", self.config),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**os.environ, "BRIDGEHEAD_DEBUG": "0"},
            )
        return self.process

    def start(self) -> None:
        """Start, and wait for the ready line."""
        process = self.launch()
        wait_until("ready", lambda: self.ready_line() or process.poll() is not None)
        assert process.poll() is None, self.log_text()

    def out(self) -> str:
        return (self.folder / "out").read_text()

    def ready_line(self) -> str:
        whole = self.out().rpartition("\n")[0].splitlines()
        return next((line for line in whole if line.startswith("ready")), "")

    def addresses(self) -> list[tuple[str, str]]:
        pairs = [pair.partition("=") for pair in self.ready_line().split()[1:]]
        return [(name, address) for name, _, address in pairs]

    def port(self, name: str) -> int:
        return int(dict(self.addresses())[name].rpartition(":")[2])

    def log_text(self) -> str:
        return (self.folder / "log").read_text()

    def lines(self) -> list[dict[str, object]]:
        """What the log says, line by line."""
        whole = self.log_text().rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, object]]:
        return [line for line in self.lines() if line["event"] == name]

    def await_event(self, name: str, count: int = 1) -> dict[str, object]:
        """Wait for the `count`-th event of that name."""
        wait_until(name, lambda: len(self.events(name)) >= count)
        return self.events(name)[count - 1]

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def reload(self, config: str | None = None) -> None:
        if config is not None:
            self.configure(config)
        self.signal(signal.SIGHUP)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def enrol(self, name: str, password: str, permissions: tuple[PermissionRecord, ...] = ()) -> None:
        identity = Identity(self.data)
        try:
            with identity.enrolling(Wanted(name, permissions, password=password.encode())):
                pass
        finally:
            identity.close()

    def remove(self, name: str) -> None:
        identity = Identity(self.data)
        try:
            identity.remove_device(name)
        finally:
            identity.close()

    def trust(self) -> ssl.SSLContext:
        """A client's TLS context that trusts the hub's own authority."""
        return ssl.create_default_context(cafile=str(self.data / "pki" / "ca.pem"))

    def dial(self, name: str = "mqtts") -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port(name)), timeout=PATIENCE)
        if name in ("mqtts", "wss"):
            return self.trust().wrap_socket(sock, server_hostname="localhost")
        return sock


class Client:
    """A raw MQTT 5.0 client over a socket; `packets` come decoded, one by one."""

    def __init__(self, sock: socket.socket, name: str, password: str, client_id: str = "") -> None:
        self.sock = sock
        self._decoder = Decoder(1 << 20, None, from_server=True)
        self._decoder.protocol_version = 5
        self._waiting: list[Packet] = []
        self.send(Connect(5, True, 0, client_id or name, None, name, password.encode(), NO_PROPERTIES))

    def send(self, packet: Packet) -> None:
        self.sock.sendall(encode(packet, 5))

    def receive(self) -> Packet:
        """The next packet; ConnectionError when the hub has closed."""
        while not self._waiting:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the hub closed the connection")
            self._waiting += self._decoder.feed(data)
        return self._waiting.pop(0)

    def is_closed(self) -> bool:
        """Reads on until the hub closes."""
        try:
            while True:
                self.receive()
        except ConnectionError:
            return True
