"""Debian's RabbitMQ as a measured peer: one node on loopback, its folders and its name server its own."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from bench.mosquitto import free_port

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in /usr/sbin changes to another user
TICK = 0.1  # seconds
# The virtual machine as Debian starts it, but on loopback, and with the schedulers that one core has use for.
CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
default_user = {user}
default_pass = {password}
log.console = false
log.file.level = warning
"""


def version() -> str:
    """Such as 3.10.8; "" where it is not installed."""
    command = ["dpkg-query", "--showformat=${Version}", "--show", "rabbitmq-server"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("-")[0]


class RabbitMQ:
    """One running node in `folder`, with the AMQP 1.0 plug-in; `user` may do everything."""

    def __init__(self, folder: Path, user: str, cpu: int | None = None) -> None:
        """`cpu` pins it to one core."""
        if not PROGRAM.exists():
            raise FileNotFoundError("rabbitmq-server is not installed: apt-get install rabbitmq-server")
        self.folder = folder
        self.cpu = cpu
        self.user = user
        self.password = secrets.token_urlsafe(16)
        self.host = "127.0.0.1"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._names = free_port()  # of the name server that Erlang wants
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """The virtual machine's."""
        assert self.process is not None
        return self.process.pid

    def environment(self) -> dict[str, str]:
        folder = self.folder
        configuration = folder / "rabbitmq.conf"
        configuration.touch(0o600)
        configuration.write_text(CONFIGURATION.format(port=self.port, user=self.user, password=self.password))
        (folder / "enabled_plugins").write_text("[rabbitmq_amqp1_0].\n")
        return {
            **os.environ,
            "HOME": str(folder),  # where the cookie is
            "RABBITMQ_NODENAME": f"bench{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names),
        }

    def start(self) -> None:
        """Start and wait until it accepts. Raises RuntimeError with what it said."""
        command: list[str] = [str(PROGRAM)]
        if self.cpu is not None:
            command = ["taskset", "-c", str(self.cpu), *command]
        said = self.folder / "said.log"
        with said.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                socket.create_connection((self.host, self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"RabbitMQ did not start: {said.read_text()[-2000:]}") from None
                time.sleep(TICK)

    def stop(self) -> None:
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # The name server stays behind, and is ours alone.
        subprocess.run(["epmd", "-kill"], env=self.environment(), capture_output=True, check=False)

    def __enter__(self) -> RabbitMQ:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
