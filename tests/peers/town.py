"""A real hub with every door, devices with certificates and passwords, and raw clients that come in as them."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final

from msgspec.structs import replace

from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE, Hub, command
from tests.peers.raw import Raw

TCP: Final = "mqtt"
TLS: Final = "mqtts"
UNIX: Final = "unix"
SECRET: Final = "correct horse battery"
_CONFIG: Final = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
plaintext = true

[[listener]]
bind = "127.0.0.1:0"
transport = "websocket"

[[listener]]
bind = "127.0.0.1:0"
transport = "websocket"
plaintext = true

[[listener]]
bind = "unix:{socket}"
plaintext = true
"""


def may_publish(topic_filter: str, max_qos: int = 2, retain: bool = True) -> PermissionRecord:
    return PermissionRecord(topic_filter, publish=True, subscribe=False, max_qos=max_qos, retain=retain)


def may_subscribe(topic_filter: str, max_qos: int = 2) -> PermissionRecord:
    return PermissionRecord(topic_filter, publish=False, subscribe=True, max_qos=max_qos)


def may_both(topic_filter: str) -> PermissionRecord:
    return PermissionRecord(topic_filter, publish=True, subscribe=True)


class Town:
    """`more` is what the configuration says beside the listeners."""

    def __init__(self, folder: Path, more: str = "") -> None:
        # A Unix socket's path has 107 octets at most, and a test's own folder can be deeper than that.
        self._short: Final = Path(tempfile.mkdtemp(prefix="bh"))
        self.socket: Final = self._short / "hub"
        self.hub: Final = Hub(folder, _CONFIG.format(socket=self.socket) + more)
        self._folder: Final = folder

    def __enter__(self) -> Town:
        self.hub.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hub.__exit__(kind, fault, trace)
        shutil.rmtree(self._short)

    @property
    def pid(self) -> int:
        assert self.hub.process is not None
        return self.hub.process.pid

    # Devices. ---------------------------------------------------------------------------------------

    def add(self, name: str, *permissions: PermissionRecord, client_ids: tuple[str, ...] = ()) -> None:
        """A device with a certificate and the password SECRET."""
        identity = Identity(self.hub.data)
        try:
            wanted = Wanted(name, permissions, client_ids=client_ids, password=SECRET.encode(), certificate=True)
            with identity.enrolling(wanted) as enrolled:
                assert enrolled.certificate is not None
                self._pem(name).write_bytes(enrolled.certificate.certificate_pem + enrolled.certificate.key_pem)
        finally:
            identity.close()

    def knows(self, name: str) -> bool:
        """Whether it was added here."""
        return self._pem(name).exists()

    def allow(self, name: str, *permissions: PermissionRecord) -> None:
        """The device may do this from now on and nothing else; returns when the hub has taken it over."""
        changes = len(self.hub.events("identity.permissions-changed"))
        identity = Identity(self.hub.data)
        try:
            device = identity.registry.existing_device(name)
            identity.registry.update_device(replace(device, permissions=permissions), device.created)
        finally:
            identity.close()
        self.hub.await_event("identity.permissions-changed", changes + 1)

    def command(self, *words: str | Path) -> str:
        """`bridgehead WORDS --data DATA`, as people type it; what it said."""
        done = subprocess.run(
            command(*words, "--data", self.hub.data), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _pem(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    def context(self, name: str = "") -> ssl.SSLContext:
        """A client's TLS context that trusts the hub; with the certificate of the device `name`."""
        context = self.hub.trust()
        if name:
            context.load_cert_chain(self._pem(name))
        return context

    # Clients. ---------------------------------------------------------------------------------------

    def sock(self, door: str = TCP, source: str = "127.0.0.1") -> socket.socket:
        """A connected socket, without TLS at whatever door."""
        if door == UNIX:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE)
            sock.connect(str(self.socket))
            return sock
        return socket.create_connection(("127.0.0.1", self.hub.port(door)), PATIENCE, (source, 0))

    def tls(self, name: str = "", session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        """A TLS connection with the certificate of the device `name`."""
        return self.context(name).wrap_socket(self.sock(TLS), server_hostname="localhost", session=session)

    def raw(self, door: str = TCP, version: int = 5) -> Raw:
        """A connection that has said nothing yet (at TLS: but the handshake, without a certificate)."""
        return Raw(self.tls() if door == TLS else self.sock(door), version)

    def client(
        self, name: str, client_id: str = "", version: int = 5, clean_start: bool = True, expiry: int = 0
    ) -> Raw:
        """Connected as the device, by certificate."""
        raw = Raw(self.tls(name), version)
        answer = raw.connect(client_id or name, clean_start=clean_start, expiry=expiry)
        assert answer.reason_code == 0, answer
        return raw

    def guest(self, name: str, client_id: str = "", version: int = 5, door: str = TCP) -> Raw:
        """Connected as the device, by password."""
        raw = self.raw(door, version)
        answer = raw.connect(client_id or name, name, SECRET)
        assert answer.reason_code == 0, answer
        return raw
