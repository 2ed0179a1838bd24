"""Lines to syslog as RFC 5424 wants them, framed as RFC 6587 and RFC 5425 want them, and none lost."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security.audit import syslog as module
from bridgehead.security.audit.log import AuditLog
from bridgehead.security.audit.settings import Rules
from bridgehead.security.audit.syslog import Syslog, Target, message
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import ensure
from tests.audit.support import Chain
from tests.cli.hub import wait_until
from tests.security.support import machine

# <PRI>VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG (RFC 5424 section 6)
RFC_5424 = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([\x21-\x7e]{1,255}) bridgehead (\d{1,128}) "
    rb"([\x21-\x7e]{1,32}) - (\{.*\})"
)


class Collector:
    """Takes datagrams, or octet-counted frames of a stream."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None = None) -> None:
        self.sock = sock
        self.messages: list[bytes] = []
        self._context = context
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            if self.sock.type == socket.SOCK_DGRAM:
                while True:
                    self.messages.append(self.sock.recv(65536))
            while True:
                accepted, _ = self.sock.accept()
                if self._context is not None:
                    accepted = self._context.wrap_socket(accepted, server_side=True)
                self._open.append(accepted)
                self._frames(accepted)
        except OSError:
            pass  # the test is over

    def _frames(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as file:
            while digits := file.read(1):
                while (digit := file.read(1)) != b" ":
                    digits += digit
                self.messages.append(file.read(int(digits)))

    def cut(self) -> None:
        for each in self._open:
            each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open = []

    def close(self) -> None:
        if self.sock.type == socket.SOCK_STREAM:
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def events(self) -> list[str]:
        return [json.loads(each[each.index(b"{") :])["event"] for each in list(self.messages)]


class Sending:
    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.told: list[str] = []
        self.syslogs: list[Syslog] = []

    def to(self, target: Target) -> Syslog:
        self.syslogs.append(Syslog(self.chain.folder, target, self.told.append))
        return self.syslogs[-1]


@pytest.fixture
def sending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sending]:
    monkeypatch.setattr(module, "_RETRY", 0.02)
    monkeypatch.setattr(module, "_POLL", 0.02)
    one = Sending(Chain(tmp_path))
    yield one
    for each in one.syslogs:
        each.close()


def listening(kind: str, tmp_path: Path) -> tuple[socket.socket, str]:
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = tmp_path / "log"
        sock.bind(str(path))
        return sock, f"unix:{path}"
    if kind == "udp":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
    else:
        sock = socket.create_server(("127.0.0.1", 0))
    return (
        sock,
        f"{kind}:localhost:{sock.getsockname()[1]}" if kind == "tls" else f"{kind}:127.0.0.1:{sock.getsockname()[1]}",
    )


@pytest.mark.parametrize("kind", ["unix", "udp", "tcp", "tls"])
def test_each_line_goes_out_in_order(sending: Sending, tmp_path: Path, kind: str) -> None:
    sock, text = listening(kind, tmp_path)
    context, ca = None, ""
    if kind == "tls":
        pki = ensure(tmp_path / "collector", ["localhost"], time.time(), machine)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.server_file)
        ca = str(pki.authority_file)
    collector = Collector(sock, context)
    syslog = sending.to(Target(text, ca))
    lines = sending.chain.write(5)
    syslog.wake()
    wait_until("five messages", lambda: len(collector.messages) >= 5)
    for line, sent in zip(lines, [each for each in collector.messages if b"sensor-" in each], strict=True):
        found = RFC_5424.fullmatch(sent)
        assert found is not None, sent
        assert found[6] == line.rstrip(b"\n")
        assert found[5] == b"authentication.accepted"
        assert found[2].decode() == json.loads(line)["time"]
    collector.close()


def test_what_cannot_be_sent_waits_on_disk(sending: Sending, tmp_path: Path) -> None:
    path = tmp_path / "log"
    syslog = sending.to(Target(f"unix:{path}"))
    sending.chain.write(3)
    wait_until("the failure is told", lambda: bool(sending.told))
    sending.chain.write(3)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    collector = Collector(sock)
    syslog.wake()
    wait_until("all six", lambda: collector.events().count("authentication.accepted") == 6)
    wait_until("it is told", lambda: sending.told[-1] == "")
    assert len(sending.told) == 2
    collector.close()


def test_a_collector_that_comes_back_gets_what_it_missed(sending: Sending, tmp_path: Path) -> None:
    sock, text = listening("tcp", tmp_path)
    collector = Collector(sock)
    sending.to(Target(text))
    sending.chain.write(1)
    wait_until("the first", lambda: "authentication.accepted" in collector.events())
    collector.cut()
    for _ in range(200):  # the first write after the cut may still be taken by the kernel
        sending.chain.write(1)
        if sending.told:
            break
        time.sleep(0.02)
    assert sending.told
    sending.chain.write(1)
    last = json.loads(sending.chain.lines()[-1])["n"]
    wait_until("the last", lambda: any(b'"n":%d,' % last in each for each in list(collector.messages)))
    collector.close()


def test_a_collector_without_the_right_certificate_gets_nothing(sending: Sending, tmp_path: Path) -> None:
    sock, text = listening("tls", tmp_path)
    pki = ensure(tmp_path / "collector", ["localhost"], time.time(), machine)
    other = ensure(tmp_path / "other", ["localhost"], time.time(), machine)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_file)
    collector = Collector(sock, context)
    sending.to(Target(text, str(other.authority_file)))
    sending.chain.write(1)
    wait_until("the failure is told", lambda: bool(sending.told))
    assert collector.messages == []
    collector.close()


def test_lines_of_other_processes_and_of_the_next_file_go_out_too(sending: Sending, tmp_path: Path) -> None:
    sock, text = listening("udp", tmp_path)
    collector = Collector(sock)
    sending.to(Target(text))
    other = Chain(tmp_path)
    other.write(2)
    wait_until("the command's lines", lambda: collector.events().count("authentication.accepted") == 2)
    sending.chain.journal._turn_over(0.0)
    sending.chain.journal._flush()
    wait_until("the next file", lambda: "audit.file-opened" in collector.events())
    collector.close()


@pytest.mark.parametrize(
    ("kind", "priority"), [("refusal", 13 * 8 + 4), ("denial", 108), ("log-in", 109), ("audit", 110)]
)
def test_the_priority_says_how_grave_it_is(kind: str, priority: int) -> None:
    line = json.dumps({"time": "2026-11-22T16:00:00.000Z", "kind": kind, "event": "a.b"}).encode()
    assert message(line, "hub", 7) == b"<%d>1 2026-11-22T16:00:00.000Z hub bridgehead 7 a.b - %b" % (priority, line)


@pytest.mark.parametrize("text", ["", "unix", "unix:log", "udp:host", "tcp:host:0", "tls::6514", "http:host:80"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SecurityError, match="is no address of a syslog"):
        Target(text)


def test_addresses(tmp_path: Path) -> None:
    assert vars(Target("udp:[2001:db8::1]:514"))["host"] == "2001:db8::1"
    assert vars(Target("unix:/dev/log"))["path"] == "/dev/log"


def test_the_hubs_audit_log_sends_tells_and_changes_its_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY", 0.02)
    told: list[str] = []
    audit = AuditLog(
        tmp_path / "data",
        Rules(),
        lambda event, fields: told.append(event),
        syslog=Target(f"unix:{tmp_path / 'gone'}"),
    )

    def told_of(event: str) -> bool:
        audit.tick()
        return event in told

    audit.record("device.added", {"principal": "sensor-7"})
    wait_until("the failure is told", lambda: told_of("audit.syslog-failed"))
    sock, text = listening("udp", tmp_path)
    collector = Collector(sock)
    audit.reconfigure(Rules(), False, Target(text))
    audit.record("device.added", {"principal": "sensor-8"})
    wait_until("the new collector has it", lambda: "device.added" in collector.events())
    audit.reconfigure(Rules(), False, Target(text))  # nothing has changed: nothing is sent twice
    audit.close()
    assert collector.events().count("device.added") == 1
    events = [
        json.loads(line)["event"] for line in (tmp_path / "data/audit/audit-000001.jsonl").read_bytes().splitlines()
    ]
    assert "audit.syslog-failed" in events
    wait_until("the end of the log", lambda: "audit.checkpoint" in collector.events())
    collector.close()
