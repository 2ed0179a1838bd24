"""Our hub as CoAP's measured server: NoSec for a guest, DTLS for a device, MQTT for a publisher."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization

from bench.coap_dtls import SecuredLane
from bench.coap_load import Lane, request
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.mqtt.codec.packets import Publish
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.pki.raw_key import public_raw_key
from bridgehead.security.records import PermissionRecord
from bridgehead.transport.dtls.contract import DtlsIdentity
from tests.cli.hub import Client, Hub

DEVICE: Final = "node-7"
GUEST: Final = "visitor"
PUBLISHER: Final = "publisher"
PASSWORD: Final = "correct horse battery"
SEGMENTS: Final = ["t", "test"]
TOPIC: Final = "test"
# Ceilings that a measurement by one identity meets, and a deployment would not.
CONFIG: Final = """
[[listener]]
bind = "127.0.0.1:0"
plaintext = true
[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
plaintext = true
guest = "visitor"
[limits]
sessions_per_identity = 100000
subscriptions_per_session = 10000
[coap]
dtls_sessions = 30000
[log]
level = "error"
[system_topics]
interval = 0
"""


class CoapHub:
    """One running hub in `folder`, with `payload` retained at `/t/test`."""

    def __init__(self, folder: Path, payload: bytes, cpu: int | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.hub: Final = Hub(folder, CONFIG)
        self.payload: Final = payload
        both = (PermissionRecord("#", publish=True, subscribe=True),)
        identity = Identity(self.hub.data)
        try:
            for name, fresh in (
                (GUEST, Fresh(password=PASSWORD.encode())),
                (PUBLISHER, Fresh(password=PASSWORD.encode())),
                (DEVICE, Fresh(psk=DEVICE, raw_key=True, certificate=True)),
            ):
                with identity.enrolling(Wanted(name, both, fresh=fresh)) as enrolled:
                    if enrolled.psk is not None and enrolled.raw_key is not None and enrolled.certificate is not None:
                        authority = (self.hub.data / "pki" / "ca.pem").read_text()
                        self.psk = DtlsIdentity(psk_identity=DEVICE.encode(), psk_key=enrolled.psk.key)
                        self.certificate = DtlsIdentity(
                            certificate=enrolled.certificate.certificate_pem.decode(),
                            key=enrolled.certificate.key_pem.decode(),
                            trust=authority,
                        )
                        self._raw_pem = enrolled.raw_key.key_pem.decode()
        finally:
            identity.close()
        self.hub.start()
        if cpu is not None:
            os.sched_setaffinity(self.pid, {cpu})
        self.port: Final = self.hub.port("coap")
        self.secured_port: Final = self.hub.port("coaps")
        self.publish(payload)

    @property
    def pid(self) -> int:
        assert self.hub.process is not None
        return self.hub.process.pid

    def raw_key(self) -> DtlsIdentity:
        """The device's raw key, and the hub's as the one to accept."""
        pem = public_raw_key(self.hub.data / "pki").encode()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        spki = serialization.load_pem_public_key(pem).public_bytes(serialization.Encoding.DER, form)
        return DtlsIdentity(raw_key=self._raw_pem, peer_raw_keys=(spki,))

    def publisher(self) -> Client:
        client = Client(self.hub.dial("mqtt"), PUBLISHER, PASSWORD)
        client.receive()
        return client

    def publish(self, payload: bytes) -> None:
        """Retained, and acknowledged."""
        client = self.publisher()
        client.send(Publish(TOPIC, payload, 1, True, packet_id=1))
        client.receive()
        client.sock.close()

    def lanes(self, count: int) -> list[Lane]:
        """Over plain UDP, from addresses that have proven themselves."""
        found = [Lane(self.port, codes.GET, request(SEGMENTS)) for _ in range(count)]
        for lane in found:
            lane.prove()
        return found

    def secured_lanes(self, count: int) -> list[SecuredLane]:
        found = [SecuredLane(self.secured_port, codes.GET, request(SEGMENTS), self.psk) for _ in range(count)]
        for lane in found:
            lane.connect()
        return found

    def stop(self) -> None:
        self.hub.__exit__(None, None, None)
