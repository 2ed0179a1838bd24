"""A hub with every kind of door and some devices, for real clients that were not written here."""

from __future__ import annotations

import shutil
import ssl
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final

from bridgehead.protocols.mqtt.codec.packets import Acknowledgement, Connack, Publish
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import Client, Hub

CERTIFICATE: Final = "certificate"
PASSWORD: Final = "password"
TLS: Final = "mqtts"
WEBSOCKET: Final = "wss"
UNIX: Final = "unix"

SECRET: Final = "correct horse battery"
_DEVICES: Final = ("sensor", "office")
_CONFIG: Final = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
transport = "websocket"

[[listener]]
bind = "unix:{socket}"
plaintext = true
"""


class Way:
    """How a client comes in: MQTT version (3, 4, 5), door, credential."""

    def __init__(self, version: int, door: str, credential: str) -> None:
        self.version: Final = version
        self.door: Final = door
        self.credential: Final = credential

    @property
    def is_v5(self) -> bool:
        return self.version == 5

    def __str__(self) -> str:
        return f"{ {3: '3.1', 4: '3.1.1', 5: '5.0'}[self.version] }-{self.door}-{self.credential}"


def ways(versions: tuple[int, ...], doors: tuple[str, ...]) -> list[Way]:
    """Every version at every door, with each credential that the door knows."""
    found: list[Way] = []
    for version in versions:
        for door in doors:
            found.append(Way(version, door, PASSWORD))
            if door != UNIX:  # there is no TLS, so no certificate
                found.append(Way(version, door, CERTIFICATE))
    return found


class Office:
    """`sensor` and `office` may publish and subscribe below Office/; each has a certificate and a password."""

    def __init__(self, folder: Path, config: str = _CONFIG) -> None:
        # A Unix socket's path has 107 octets at most, and a test's own folder can be deeper than that.
        self._short: Final = Path(tempfile.mkdtemp(prefix="bh"))
        self.socket: Final = self._short / "hub"
        self.hub: Final = Hub(folder, config.format(socket=self.socket))
        self.ca: Final = self.hub.data / "pki" / "ca.pem"
        self._folder: Final = folder

    def __enter__(self) -> Office:
        self.hub.start()
        for name in _DEVICES:
            self.enrol(name, PermissionRecord("Office/#", publish=True, subscribe=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hub.__exit__(kind, fault, trace)
        shutil.rmtree(self._short)

    def enrol(self, name: str, *permissions: PermissionRecord) -> None:
        identity = Identity(self.hub.data)
        try:
            wanted = Wanted(name, permissions, password=SECRET.encode(), certificate=True)
            with identity.enrolling(wanted) as enrolled:
                assert enrolled.certificate is not None
                self.certificate(name).write_bytes(enrolled.certificate.certificate_pem)
                self.key(name).write_bytes(enrolled.certificate.key_pem)
        finally:
            identity.close()

    def certificate(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self._folder / f"{name}.key"

    def port(self, door: str) -> int:
        return self.hub.port(door)

    def context(self, name: str = "") -> ssl.SSLContext:
        """A client's TLS context that trusts the hub; with the certificate of the device `name`."""
        context = self.hub.trust()
        if name:
            context.load_cert_chain(self.certificate(name), self.key(name))
        return context

    def publish(self, topic: str, payload: str, qos: int) -> None:
        """As `office`, over a connection of its own; returns when the hub has taken charge of it."""
        client = Client(self.hub.dial(), "office", SECRET, f"office-{topic}-{payload}")
        assert isinstance(client.receive(), Connack)
        client.send(Publish(topic, payload.encode(), qos, False, False, 1 if qos else 0, NO_PROPERTIES))
        if qos:
            answer = client.receive()
            assert isinstance(answer, Acknowledgement)
            assert answer.reason_code == 0
        client.sock.close()
