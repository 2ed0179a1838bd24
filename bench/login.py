"""Full log-ins per second of the server's processor, by certificate and by password, ours beside Mosquitto's.

    python -m bench.login [--count 400]

One log-in: TCP, a full TLS 1.3 handshake (no ticket is used), CONNECT, CONNACK, DISCONNECT. Both servers have the same
server certificate, authorities, revocation list and device certificates. Passwords: Argon2id here (19 MiB, 2 passes,
nothing remembered), Mosquitto's own PBKDF2 there: the two cost what they protect. Then: what others' PINGREQ waits for
its answer, while 200 log-ins by password run and without.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.mosquitto import free_port, program
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connect, Disconnect, Pingreq
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.security.identity.identity import Identity, Wanted
from tests.cli.hub import Hub

NAME = "device-7"
PASSWORD = "correct horse battery"
STORM = 200
_HUB = """
[[listener]]
bind = "127.0.0.1:0"
[login]
remember = 0
tries_rate = 0
[limits]
connection_rate = 0
[log]
level = "warning"
[system_topics]
interval = 0
"""


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """Where to log in, and whose processor time counts."""

    def __init__(self, name: str, pid: int, port: int, ca: Path, certificate: Path) -> None:
        self.name = name
        self.pid = pid
        self.port = port
        self.ca = ca
        self.certificate = certificate

    def context(self, certificate: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if certificate:
            context.load_cert_chain(self.certificate)
        return context

    def open(self, context: ssl.SSLContext, certificate: bool, client_id: str) -> ssl.SSLSocket:
        """Logged in. RuntimeError when the server refuses."""
        plain = socket.create_connection(("127.0.0.1", self.port), 30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = context.wrap_socket(plain, server_hostname="localhost")
        user, password = (None, None) if certificate else (NAME, PASSWORD.encode())
        sock.sendall(encode(Connect(5, True, 0, client_id, None, user, password, NO_PROPERTIES), 5))
        answer = sock.recv(4096)
        if len(answer) < 4 or answer[0] != 0x20 or answer[3]:
            raise RuntimeError(f"{self.name} refused the log-in: {answer.hex()}")
        return sock

    def log_in(self, context: ssl.SSLContext, certificate: bool, number: int) -> None:
        sock = self.open(context, certificate, f"{NAME}-{number}")
        if sock.version() != "TLSv1.3" or sock.session_reused:
            raise RuntimeError("this was no full TLS 1.3 handshake")
        sock.sendall(encode(Disconnect(0, NO_PROPERTIES), 5))
        sock.close()


def per_cpu_second(server: Server, certificate: bool, count: int) -> float:
    context = server.context(certificate)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: server.log_in(context, certificate, number), range(20)))
        begun = cpu_seconds(server.pid)
        list(pool.map(lambda number: server.log_in(context, certificate, number), range(count)))
    time.sleep(0.2)
    return count / (cpu_seconds(server.pid) - begun)


def p99_of_others(server: Server, during: Callable[[], None]) -> tuple[float, float, int]:
    """Milliseconds from PINGREQ to PINGRESP on one connection, one at a time: median, p99, and how many."""
    sock = server.open(server.context(True), True, f"{NAME}-witness")
    ping = encode(Pingreq(), 5)
    waits: list[float] = []
    work = threading.Thread(target=during)
    work.start()
    while work.is_alive():
        begun = time.perf_counter()
        sock.sendall(ping)
        sock.recv(64)
        waits.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.002)
    work.join()
    sock.close()
    waits.sort()
    return waits[len(waits) // 2], waits[int(len(waits) * 0.99)], len(waits)


def storm(server: Server) -> None:
    context = server.context(False)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: server.log_in(context, False, number), range(STORM)))


def mosquitto(folder: Path, hub: Hub) -> tuple[subprocess.Popen[bytes], int, int]:
    """Process, port for certificates, port for passwords; with the hub's own certificates."""
    pki = hub.data / "pki"
    passwords = folder / "passwords"
    passwords.write_text(f"{NAME}:{PASSWORD}\n")
    passwords.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, capture_output=True)
    ports = free_port(), free_port()
    secured = [f"cafile {pki / 'ca.pem'}", f"certfile {pki / 'server.pem'}", f"keyfile {pki / 'server.pem'}"]
    secured.append(f"crlfile {pki / 'ca.crl'}")
    lines = ["per_listener_settings true", "persistence false", "log_type error"]
    lines += ["user root"] if os.geteuid() == 0 else []
    lines += [f"listener {ports[0]} 127.0.0.1", *secured, "require_certificate true", "use_identity_as_username true"]
    lines += [f"listener {ports[1]} 127.0.0.1", *secured, "allow_anonymous false", f"password_file {passwords}"]
    file = folder / "mosquitto.conf"
    file.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([program(), "-c", str(file)])
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", ports[1]), 1).close()
            return process, *ports
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("mosquitto did not start") from None
            time.sleep(0.05)


class Figures:
    """`certificate`, `password`: log-ins per CPU second, (Mosquitto's, ours). `quiet`, `storm`: what others wait."""

    def __init__(self) -> None:
        self.certificate: list[tuple[float, float]] = []
        self.password = (0.0, 0.0)
        self.quiet = self.storm = (0.0, 0.0, 0)

    @property
    def ratio(self) -> float:
        """Of log-ins by certificate, ours to Mosquitto's: the median of the rounds."""
        return statistics.median(ours / theirs for theirs, ours in self.certificate)


def compare(count: int, rounds: int) -> Figures:
    """Runs both servers in folders of their own."""
    found = Figures()
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as name, Hub(Path(name), _HUB) as hub:
        folder = Path(name)
        identity = Identity(hub.data)
        wanted = Wanted(NAME, password=PASSWORD.encode(), certificate=True)
        certificate = folder / "device.pem"
        with identity.enrolling(wanted) as enrolled:
            assert enrolled.certificate is not None
            certificate.touch(0o600)
            certificate.write_bytes(enrolled.certificate.key_pem + enrolled.certificate.certificate_pem)
        identity.close()
        assert hub.process is not None
        ca = hub.data / "pki" / "ca.pem"
        ours = Server("bridgehead", hub.process.pid, hub.port("mqtts"), ca, certificate)
        other, certificates, passwords = mosquitto(folder, hub)
        try:
            theirs = Server("mosquitto", other.pid, certificates, ca, certificate)
            for _ in range(rounds):
                found.certificate.append((per_cpu_second(theirs, True, count), per_cpu_second(ours, True, count)))
            theirs = Server("mosquitto", other.pid, passwords, ca, certificate)
            found.password = per_cpu_second(theirs, False, count), per_cpu_second(ours, False, count // 4)
            found.quiet = p99_of_others(ours, lambda: time.sleep(3))
            found.storm = p99_of_others(ours, lambda: storm(ours))
        finally:
            other.send_signal(signal.SIGTERM)
            other.wait(10)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400, help="log-ins by certificate in each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = compare(options.count, options.rounds)
    for there, here in found.certificate:
        print(f"certificate: {here:.0f} of ours, {there:.0f} of Mosquitto's a CPU second: {here / there:.2f}")
    there, here = found.password
    print(f"password: {here:.0f} of ours (Argon2id), {there:.0f} of Mosquitto's (PBKDF2) a CPU second")
    print("others wait, median and p99 in ms, without log-ins:", found.quiet)
    print(f"... while {STORM} log-ins by password run:", found.storm)


if __name__ == "__main__":
    main()
