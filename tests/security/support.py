"""What the security tests share: a machine's names, enrolled devices, handshakes over real sockets."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridgehead.security.export.gather import gathering
from bridgehead.security.identity.identity import Enrolled, Identity, Wanted
from bridgehead.security.pki import IssuedCertificate
from bridgehead.security.pki.machine import MachineNames
from bridgehead.security.records import PermissionRecord

DAY = 86400.0


class Time:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def machine(host: str = "hub", domain: str | None = "hub.example", *addresses: str) -> MachineNames:
    return MachineNames(host, domain, [ipaddress.ip_address(each) for each in addresses or ("127.0.0.1", "192.0.2.7")])


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def modes(folder: Path) -> dict[str, int]:
    """Every file and folder below, by its path."""
    return {str(path.relative_to(folder)): mode(path) for path in sorted(folder.rglob("*"))}


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def publish(topic_filter: str, max_qos: int = 2, retain: bool = True, allow: bool = True) -> PermissionRecord:
    return PermissionRecord(topic_filter, True, False, max_qos, retain, allow)


def subscribe(topic_filter: str, max_qos: int = 2, allow: bool = True) -> PermissionRecord:
    return PermissionRecord(topic_filter, False, True, max_qos, allow=allow)


def enrol(identity: Identity, wanted: Wanted) -> Enrolled:
    with identity.enrolling(wanted) as enrolled:
        return enrolled


def dds_identity(identity: Identity, name: str, *permissions: PermissionRecord) -> IssuedCertificate:
    """Of a new device."""
    with identity.enrolling(Wanted(name, permissions, certificate=True)):
        pass
    with gathering(identity, name, ["dds"], 0.0) as enrolled:
        assert enrolled.dds is not None
        return enrolled.dds


def der(issued: IssuedCertificate | None) -> bytes:
    assert issued is not None
    return x509.load_pem_x509_certificate(issued.certificate_pem).public_bytes(serialization.Encoding.DER)


def save(issued: IssuedCertificate | None, folder: Path, name: str = "device") -> tuple[Path, Path]:
    """Certificate and key as files."""
    assert issued is not None
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(issued.certificate_pem)
    key.write_bytes(issued.key_pem)
    return certificate, key


class Outcome:
    """What both sides saw of a handshake. `peer` is the client's certificate as the server has it (DER)."""

    def __init__(self) -> None:
        self.version: str | None = None
        self.suite = ""
        self.alpn: str | None = None
        self.peer: bytes | None = None
        self.session: ssl.SSLSession | None = None
        self.resumed: bool | None = False
        self.client_fault: Exception | None = None
        self.server_fault: Exception | None = None

    @property
    def accepted(self) -> bool:
        return self.client_fault is None and self.server_fault is None


def handshake(
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    host: str = "localhost",
    session: ssl.SSLSession | None = None,
) -> Outcome:
    """One connection over loopback TCP. The server says a word first: so a TLS 1.3 client learns of a refusal."""
    outcome = Outcome()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(20)

    def serve() -> None:
        accepted, _ = listening.accept()
        accepted.settimeout(20)
        try:
            with server.wrap_socket(accepted, server_side=True) as stream:
                outcome.version = stream.version()
                cipher = stream.cipher()
                outcome.suite = cipher[0] if cipher is not None else ""
                outcome.alpn = stream.selected_alpn_protocol()
                outcome.peer = stream.getpeercert(binary_form=True)
                outcome.resumed = stream.session_reused
                stream.sendall(b"welcome")
                stream.recv(16)
        except OSError as fault:
            outcome.server_fault = fault
            accepted.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with socket.create_connection(listening.getsockname(), timeout=20) as raw:
            try:
                with client.wrap_socket(raw, server_hostname=host, session=session) as stream:
                    if stream.recv(16) != b"welcome":
                        raise ConnectionResetError("closed before a word was said")
                    outcome.session = stream.session
                    stream.sendall(b"bye")
            except OSError as fault:
                outcome.client_fault = fault
    finally:
        thread.join(20)
        listening.close()
    return outcome
