"""Debian's Mosquitto as a measured and tested peer: password file, ACL, TLS, WebSocket, Unix socket, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from bench.certificates import Authority

START_TIMEOUT = 10.0
STOP_TIMEOUT = 5.0


def program() -> str:
    """The path of the mosquitto program. Raises FileNotFoundError with the remedy."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    return found


def version() -> str:
    """Such as 2.0.11."""
    shown = subprocess.run([program(), "-h"], capture_output=True, text=True, check=False).stdout
    return shown.split("\n", 1)[0].rpartition(" ")[2]


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """One running broker in `folder`. `users` maps names to passwords, `acl` holds lines of an ACL file.

    Limits that would cap a window of more than 20 messages are lifted; everything else is the program's default.
    """

    def __init__(self, folder: Path, users: dict[str, str], acl: list[str], extra: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.users = users
        self.acl = acl
        self.extra = extra
        self.host = "127.0.0.1"
        self.port = self.tls_port = self.certificate_port = self.websocket_port = 0
        self.socket_path = folder / "mqtt.sock"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(folder)
        self.server_files = self.authority.issue("server", ("localhost", "127.0.0.1"))

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def ca(self) -> Path:
        return self.authority.ca

    def write_configuration(self) -> Path:
        self.port, self.tls_port, self.certificate_port, self.websocket_port = (free_port() for _ in range(4))
        passwords = self.folder / "passwords"
        passwords.write_text("".join(f"{name}:{password}\n" for name, password in self.users.items()))
        passwords.chmod(0o600)
        # Hashes the file in place: so no password stands in an argument vector.
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, capture_output=True)
        (self.folder / "acl").write_text("\n".join(self.acl) + "\n")
        certificate, key = self.server_files
        secured = [f"cafile {self.ca}", f"certfile {certificate}", f"keyfile {key}"]
        lines = [
            "allow_anonymous false",
            f"password_file {passwords}",
            f"acl_file {self.folder / 'acl'}",
            "persistence false",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "max_inflight_messages 0",
            "max_queued_messages 0",
            *(["user root"] if os.geteuid() == 0 else []),  # else it gives up root and cannot read its own folder
            *self.extra,
            f"listener {self.port} {self.host}",
            f"listener {self.tls_port} {self.host}",
            *secured,
            f"listener {self.websocket_port} {self.host}",
            "protocol websockets",
            f"listener 0 {self.socket_path}",
            f"listener {self.certificate_port} {self.host}",
            *secured,
            "require_certificate true",
            "use_identity_as_username true",
        ]
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        return configuration

    def start(self, cpu: int | None = None) -> None:
        """Start and wait until it accepts. `cpu` pins it to one core. Raises RuntimeError with what it logged."""
        configuration = self.write_configuration()
        command = [program(), "-c", str(configuration)]
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        log = self.folder / "mosquitto.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stderr=output, stdout=output)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                for port in (self.port, self.tls_port, self.websocket_port, self.certificate_port):
                    socket.create_connection((self.host, port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"mosquitto did not start: {log.read_text()}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
