"""SCRAM-SHA-256-PLUS bound by tls-exporter (RFC 9266): GNU SASL over GnuTLS, with openssl as the server's TLS.

Python's TLS library gives no exporter. So GNU SASL asks a small IMAP server here for STARTTLS, what follows is relayed
to `openssl s_server`, which tells the keying material, and our lines go through its standard input and output.
"""

from __future__ import annotations

import base64
import re
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security.sasl.contract import Binding, Challenge, Failure, Success
from tests.sasl.peers import PATIENCE
from tests.sasl.rim import NAME, PASSWORD, Town, failure, mechanism, success

CAPABILITY = "* CAPABILITY IMAP4rev1 STARTTLS AUTH=SCRAM-SHA-256-PLUS"


def _relay(source: socket.socket, target: socket.socket) -> None:
    try:
        while octets := source.recv(65536):
            target.sendall(octets)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()  # the other side has gone


class ImapServer:
    """Listens, and plays the part before TLS; `tls` is openssl, whose lines are those within."""

    def __init__(self, folder: Path) -> None:
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        order = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.certificate = folder / "cert.pem"
        made = [*order, "-days", "2", *names, "-keyout", str(folder / "key.pem"), "-out", str(self.certificate)]
        subprocess.run(made, check=True, capture_output=True)
        exported = ["-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"]
        files = ["-cert", str(self.certificate), "-key", str(folder / "key.pem")]
        self.tls = subprocess.Popen(
            ["openssl", "s_server", "-accept", "localhost:0", "-4", "-naccept", "1", *files, *exported],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._rest = b""
        self.tls_port = int(self.expect(rb"ACCEPT \S*:(\d+)"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.port = self.listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self.listener]
        self._threads: list[threading.Thread] = []

    def expect(self, pattern: bytes) -> str:
        """The first group of the next line that holds the pattern."""
        assert self.tls.stdout is not None
        while True:
            while b"\n" not in self._rest:
                ready, _, _ = select.select([self.tls.stdout], [], [], PATIENCE)
                assert ready, f"openssl is silent: {self._rest!r}"
                octets = self.tls.stdout.read(65536)
                assert octets, f"openssl ended: {self._rest!r}"
                self._rest += octets
            line, _, self._rest = self._rest.partition(b"\n")
            if found := re.search(pattern, line):
                return found[1].decode()

    def say(self, line: str) -> None:
        assert self.tls.stdin is not None
        self.tls.stdin.write(line.encode() + b"\r\n")

    def start_tls(self) -> bytes:
        """Until TLS stands; the exporter's value."""
        client, _ = self.listener.accept()
        client.settimeout(PATIENCE)
        self._sockets.append(client)
        lines = client.makefile("rb")
        client.sendall(b"* OK IMAP4rev1 hub\r\n")
        while b"STARTTLS" not in (line := lines.readline()):
            assert line, "the client went away"
            client.sendall(f"{CAPABILITY}\r\n{line.split()[0].decode()} OK done\r\n".encode())
        inner = socket.create_connection(("127.0.0.1", self.tls_port), PATIENCE)
        self._sockets.append(inner)
        client.sendall(line.split()[0] + b" OK begin\r\n")
        for pair in ((client, inner), (inner, client)):
            thread = threading.Thread(target=_relay, args=pair)
            thread.start()
            self._threads.append(thread)
        return bytes.fromhex(self.expect(rb"Keying material: ([0-9A-F]{64})"))

    def log_in(self, exporter: bytes, town: Town) -> Success | Failure:
        """The IMAP dialogue of AUTHENTICATE (RFC 3501 section 6.2.2) within TLS."""
        machine = mechanism("SCRAM-SHA-256-PLUS", Binding(tls_exporter=exporter, protected=True))
        while "AUTHENTICATE" not in (order := self.expect(rb"^(\S+ [A-Z].*?)\r?$")):
            if "CAPABILITY" in order:
                self.say(f"{CAPABILITY}\r\n{order.split()[0]} OK done")
        assert order.split()[2] == "SCRAM-SHA-256-PLUS"
        words = order.split()
        step = town.start(machine, base64.b64decode(words[3]) if len(words) > 3 else None)
        while isinstance(step, Challenge):
            self.say("+ " + base64.b64encode(step.data).decode())
            step = town.respond(machine, base64.b64decode(self.expect(rb"^([A-Za-z0-9+/]*=*)\r?$")))
        return step

    def close(self) -> None:
        self.tls.kill()
        self.tls.wait()
        for pipe in (self.tls.stdin, self.tls.stdout):
            assert pipe is not None
            pipe.close()
        for each in self._sockets:
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ImapServer]:
    found = ImapServer(tmp_path)
    yield found
    found.close()


@pytest.mark.peer("openssl")
@pytest.mark.peer("gsasl")
@pytest.mark.parametrize("relayed", [False, True])
def test_gnu_sasl_binds_to_the_connection(server: ImapServer, relayed: bool) -> None:
    """`relayed`: somebody in the middle has a TLS connection of his own with each side."""
    options = [f"--connect=localhost:{server.port}", "--imap", "--starttls", f"--x509-ca-file={server.certificate}"]
    order = ["gsasl", "--client", "-m", "SCRAM-SHA-256-PLUS", "-a", NAME, "-p", PASSWORD, "--verbose", *options]
    with subprocess.Popen(order, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as client:
        try:
            exporter = server.start_tls()
            step = server.log_in(bytes(32) if relayed else exporter, Town())
        finally:
            client.kill()
    if relayed:
        assert failure(step).data == b"e=channel-bindings-dont-match"
    else:
        assert success(step).name == NAME
