"""Our hub as a measured peer: a data folder of its own, identities with a policy, plain and TLS listeners."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0
COMMAND = [sys.executable, "-m", "bridgehead"]
# Ceilings that a measurement meets and a deployment of one identity would not: they are raised, never lifted.
CONFIGURATION = """\
[[listener]]
protocol = "mqtt"
bind = "127.0.0.1:0"
plaintext = true

[[listener]]
protocol = "mqtt"
bind = "127.0.0.1:0"

[limits]
connections_per_address = 20000
sessions_per_identity = 20000
queue_messages = 5000000
queue_bytes = 2147483648
inflight = 1000

[log]
level = "warning"
"""


class Hub:
    """One running hub in `folder`. `permissions` are Topic Filters that every user of `users` may publish and
    subscribe; users have the same password file as Mosquitto's get."""

    def __init__(self, folder: Path, users: dict[str, str], permissions: list[str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.users = users
        self.permissions = permissions
        self.host = "127.0.0.1"
        self.port = self.tls_port = 0
        self.seconds_to_ready = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hub.toml").write_text(CONFIGURATION)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def ca(self) -> Path:
        return self.data / "pki" / "ca.pem"

    def enrol(self) -> None:
        """Add the users as devices, with the policy. The passwords go through standard input."""
        for name, password in self.users.items():
            command = [*COMMAND, "device", "add", name, "--data", str(self.data), "--password-file", "-"]
            for topic_filter in self.permissions:
                command += ["--publish", topic_filter, "--subscribe", topic_filter]
            done = subprocess.run(command, input=password + "\n", capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"device add failed: {done.stderr}")

    def start(self, cpu: int | None = None) -> None:
        """Start and wait for the line that begins with "ready". `cpu` pins it to one core."""
        command = [*COMMAND, "up", "--data", str(self.data), "--config", str(self.folder / "hub.toml")]
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        started = time.monotonic()
        with (self.folder / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        ready = self.await_ready(started + START_TIMEOUT)
        self.seconds_to_ready = time.monotonic() - started
        self.port, self.tls_port = addresses(ready)

    def await_ready(self, deadline: float) -> str:
        """The ready line. Raises RuntimeError with the log's end."""
        assert self.process is not None
        assert self.process.stdout is not None
        output = ""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                # Not readline: a first start says more than one line, and select cannot see what is buffered here.
                data = os.read(self.process.stdout.fileno(), 65_536)
                if not data:
                    break
                output += data.decode()
                for line in output.split("\n")[:-1]:
                    if line.startswith("ready"):
                        return line
        self.stop()
        raise RuntimeError(f"the hub did not become ready: {(self.folder / 'hub.log').read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Hub:
        self.enrol()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def addresses(ready: str) -> tuple[int, int]:
    """(port without TLS, port with TLS) from the ready line, which names each listener's real address."""
    plain = re.search(r"\bmqtt=127\.0\.0\.1:(\d+)", ready)
    secured = re.search(r"\bmqtts=127\.0\.0\.1:(\d+)", ready)
    if plain is None or secured is None:
        raise RuntimeError(f"no addresses in the ready line: {ready.strip()}")
    return int(plain[1]), int(secured[1])


def flavour() -> str:
    """Whether the pure rooms that the hub will run are compiled or interpreted."""
    from bridgehead.core import errors

    return "interpreted" if (errors.__file__ or "").endswith(".py") else "compiled"


def environment_note() -> str:
    """Where the hub's code comes from, for the report: never a machine's path."""
    first = os.environ.get("PYTHONPATH", "").split(os.pathsep)[0]
    return f"{flavour()}, from {Path(first).name or 'the installed package'}"
