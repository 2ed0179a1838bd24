"""A real hub with every door of CoAP and one of MQTT, devices with each kind of credential, and foreign clients."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization

from bridgehead.protocols.mqtt.codec.packets import Packet, Puback, Publish, Suback, Subscribe, SubscriptionRequest
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE, Client, Hub, command

SECRET: Final = "correct horse battery"
GUEST: Final = "visitor"
WATCHER: Final = "watcher"  # over MQTT
DEVICE: Final = "sensor"  # has every credential of CoAP
OTHER: Final = "stranger"  # on record, and may nothing
LISTENERS: Final = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
plaintext = true
guest = "visitor"
multicast = ["lo"]

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
transport = "tcp"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
transport = "tcp"
plaintext = true
guest = "visitor"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
transport = "websocket"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
transport = "websocket"
plaintext = true
guest = "visitor"
"""


def may_both(topic_filter: str) -> PermissionRecord:
    return PermissionRecord(topic_filter, publish=True, subscribe=True)


class Harbour:
    """`more` is what the configuration says beside the listeners, `make` makes the hub."""

    def __init__(self, folder: Path, more: str = "", make: Callable[[Path, str], Hub] = Hub) -> None:
        self.folder: Final = folder
        self.hub: Final = make(folder, LISTENERS + more)
        self.keys: dict[str, str] = {}  # pre-shared keys by identity

    def start(self) -> None:
        self.add(GUEST, may_both("open/#"), password=SECRET)
        self.add(WATCHER, may_both("#"), password=SECRET)
        self.add(DEVICE, may_both("Office/#"), may_both("open/#"))
        self.add(OTHER, may_both("nothing"))
        self.hub.start()

    def stop(self) -> None:
        self.hub.__exit__(None, None, None)

    # Devices. ---------------------------------------------------------------------------------------

    def add(self, name: str, *permissions: PermissionRecord, password: str = "") -> None:
        """Without a password: with a pre-shared key, a raw key pair and a certificate."""
        identity = Identity(self.hub.data)
        fresh = Fresh(password=password.encode()) if password else Fresh(psk=name, raw_key=True, certificate=True)
        wanted = Wanted(name, permissions, fresh=fresh)
        try:
            with identity.enrolling(wanted) as enrolled:
                if enrolled.psk is not None and enrolled.raw_key is not None and enrolled.certificate is not None:
                    self.keys[name] = enrolled.psk.key.decode()
                    self.pem(name, "raw").write_bytes(_pair(enrolled.raw_key.key_pem))
                    self.pem(name, "cert").write_bytes(
                        enrolled.certificate.certificate_pem + enrolled.certificate.key_pem
                    )
        finally:
            identity.close()

    def pem(self, name: str, what: str) -> Path:
        return self.folder / f"{name}-{what}.pem"

    @property
    def authority(self) -> Path:
        return self.hub.data / "pki" / "ca.pem"

    def command(self, *words: str | Path) -> str:
        """`bridgehead WORDS --data DATA`, as people type it; what it said."""
        done = subprocess.run(
            command(*words, "--data", self.hub.data), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def reload(self, config: str | None = None) -> None:
        """SIGHUP, and wait until it is done."""
        count = len(self.hub.events("node.reloaded"))
        if config is not None:
            self.hub.configure(config)
        self.hub.signal(signal.SIGHUP)
        self.hub.await_event("node.reloaded", count + 1)

    # Clients. ---------------------------------------------------------------------------------------

    def uri(self, scheme: str, path: str) -> str:
        return f"{scheme}://127.0.0.1:{self.hub.port(scheme)}/{path}"

    def proof(self, kind: str, name: str = DEVICE) -> list[str]:
        """coap-client's options."""
        if kind == "psk":
            return ["-u", name, "-k", self.keys.get(name, "wrong")]
        if kind == "rpk":
            return ["-M", str(self.pem(name, "raw"))]
        if kind == "certificate":
            return ["-c", str(self.pem(name, "cert")), "-C", str(self.authority)]
        return []

    def ask(self, program: str, uri: str, *options: str) -> str:
        """What coap-client says, on both of its outputs."""
        done = subprocess.run(
            [program, "-B", "8", *options, uri], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return done.stdout + done.stderr

    def mqtt(self, name: str = WATCHER) -> Mqtt:
        return Mqtt(Client(self.hub.dial(), name, SECRET))


class Mqtt:
    """An MQTT 5.0 client that is connected. It may hear itself."""

    def __init__(self, client: Client) -> None:
        self._client: Final = client
        self._heard: list[tuple[str, str]] = []
        client.receive()  # CONNACK

    def _receive(self) -> Packet:
        packet = self._client.receive()
        if isinstance(packet, Publish):
            if packet.qos:
                self._client.send(Puback(packet.packet_id))
            self._heard.append((packet.topic, bytes(packet.payload).decode()))
        return packet

    def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        self._client.send(Subscribe(1, [SubscriptionRequest(topic_filter, qos, retain_handling=2)]))
        while not isinstance(self._receive(), Suback):
            pass

    def publish(self, topic: str, payload: str, retain: bool = False) -> None:
        """Acknowledged: it lasts."""
        self._client.send(Publish(topic, payload.encode(), 1, retain, packet_id=7))
        while not isinstance(self._receive(), Puback):
            pass

    def message(self) -> tuple[str, str]:
        """The next one: its Topic Name and payload."""
        while not self._heard:
            self._receive()
        return self._heard.pop(0)

    def close(self) -> None:
        self._client.sock.close()


class Observing:
    """coap-client with -s, which writes what it is told to a file as it comes."""

    def __init__(self, program: str, uri: str, options: Sequence[str], out: Path, seconds: int = 60) -> None:
        self._out: Final = out
        self.process: Final = subprocess.Popen(
            [program, "-s", str(seconds), "-B", str(seconds), "-w", "-o", str(out), *options, uri],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def await_value(self, value: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while value not in (self._out.read_text().splitlines() if self._out.exists() else []):
            assert time.monotonic() < deadline, f"{value!r} did not come"
            time.sleep(0.01)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def _pair(key_pem: bytes) -> bytes:
    """As libcoap's -M takes it."""
    key = serialization.load_pem_private_key(key_pem, None)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return public + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
