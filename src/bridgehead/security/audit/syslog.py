"""Sends the chain's lines to a syslog daemon or collector (RFC 5424), by Unix socket, UDP, TCP or TLS.

It reads the lines back from disk: what could not be sent waits there, is sent later, and costs no memory. So lines
that commands wrote while the hub runs go out too, and checkpoints, which makes the collector's copy verifiable.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bridgehead.security.audit.reading import Follower
from bridgehead.security.audit.vocabulary import AUDIT, DENIAL, REFUSAL
from bridgehead.security.errors import SecurityError

_FACILITY: Final = 13  # RFC 5424 table 1: log audit
_WARNING: Final = 4
_NOTICE: Final = 5
_INFORMATIONAL: Final = 6
_TIMEOUT: Final = 5.0
_RETRY: Final = 5.0
_POLL: Final = 0.5
KINDS: Final = ("unix", "udp", "tcp", "tls")


class Target:
    """Where to: `unix:/dev/log`, `udp:host:514`, `tcp:host:601` or `tls:host:6514`; `ca` is a PEM file for TLS."""

    def __init__(self, text: str, ca: str = "") -> None:
        """Errors: SecurityError."""
        self.kind, colon, rest = text.partition(":")
        self.path = ""
        self.host = ""
        self.port = 0
        self.ca: Final = ca
        host, _, port = rest.rpartition(":")
        if self.kind == "unix" and rest.startswith("/"):
            self.path = rest
        elif self.kind in KINDS[1:] and colon and host and port.isdigit() and 0 < int(port) < 65536:
            self.host, self.port = host.strip("[]"), int(port)
        else:
            raise SecurityError(
                f"{text!r} is no address of a syslog: write unix:/dev/log, udp:host:514, tcp:host:601 or tls:host:6514"
            )

    def connect(self) -> socket.socket:
        """Errors: OSError (ssl.SSLError is one)."""
        if self.kind == "unix":
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                sock.settimeout(_TIMEOUT)
                sock.connect(self.path)
            except OSError:
                sock.close()
                raise
            return sock
        if self.kind == "udp":
            family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(_TIMEOUT)
            sock.connect(address)
            return sock
        sock = socket.create_connection((self.host, self.port), timeout=_TIMEOUT)
        if self.kind == "tcp":
            return sock
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            return context.wrap_socket(sock, server_hostname=self.host)
        except OSError:
            sock.close()
            raise


def message(line: bytes, host: str, process: int) -> bytes:
    """RFC 5424 section 6: the line as MSG, its event as MSGID, its time as TIMESTAMP."""
    try:
        content = json.loads(line)
    except ValueError:
        content = {}
    fields = content if isinstance(content, dict) else {}
    kind = fields.get("kind")
    severity = _WARNING if kind in (REFUSAL, DENIAL) else _INFORMATIONAL if kind == AUDIT else _NOTICE
    event = str(fields.get("event", "-"))[:32]
    header = f"<{_FACILITY * 8 + severity}>1 {fields.get('time', '-')} {host} bridgehead {process} {event} - "
    return header.encode("ascii", "replace") + line


class Syslog:
    """A thread that sends each new line in order. `tell(because)` hears of a failure once, and "" when it works again;
    it is called from this thread."""

    def __init__(self, folder: Path, target: Target, tell: Callable[[str], None]) -> None:
        """Errors: OSError."""
        self._target: Final = target
        self._tell: Final = tell
        self._follower: Final = Follower(folder, at_end=True)
        self._wake: Final = threading.Event()
        self._ending = False
        self._failing = False
        self._sock: socket.socket | None = None
        self._host: Final = socket.gethostname() or "-"
        self._thread: Final = threading.Thread(target=self._run, name="audit-syslog", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def close(self, wait: bool = True) -> None:
        """Sends what is there still, if the target takes it; `wait`: until that is done, for ten seconds at most."""
        self._ending = True
        self._wake.set()
        if wait:
            self._thread.join(2 * _TIMEOUT)

    def _run(self) -> None:
        while True:
            ending = self._ending
            try:
                self._send_new()
            except OSError as fault:
                self._lost()
                if not self._failing:
                    self._failing = True
                    self._tell(f"{fault.strerror or fault}")
            else:
                if self._failing:
                    self._failing = False
                    self._tell("")
            if ending:
                break
            self._wake.wait(_RETRY if self._failing else _POLL)
            self._wake.clear()
        self._lost()

    def _lost(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _send_new(self) -> None:
        while True:
            place = self._follower.place()
            lines = self._follower.lines()
            if not lines:
                return
            try:
                self._send(lines)
            except OSError:
                # Sent twice rather than not at all: the lines' numbers show it.
                self._follower.back(place)
                raise

    def _send(self, lines: list[bytes]) -> None:
        if self._sock is None:
            self._sock = self._target.connect()
        messages = [message(line, self._host, os.getpid()) for line in lines]
        if self._target.kind in ("tcp", "tls"):
            # RFC 6587 3.4.1 and RFC 5425 4.3: octet counting.
            self._sock.sendall(b"".join(b"%d %b" % (len(each), each) for each in messages))
            return
        for each in messages:
            self._sock.send(each)
