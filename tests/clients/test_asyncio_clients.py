"""aiomqtt and gmqtt: versions 3.1.1 and 5.0, both credentials, at the doors that each knows."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import aiomqtt
import gmqtt
import pytest
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.clients.office import CERTIFICATE, SECRET, TLS, UNIX, WEBSOCKET, Office, Way, ways

PATIENCE = 30.0
AIOMQTT_WAYS = ways((4, 5), (TLS, WEBSOCKET, UNIX))
GMQTT_WAYS = ways((4, 5), (TLS,))


def aiomqtt_client(office: Office, way: Way, name: str, client_id: str, keep: bool = False) -> aiomqtt.Client:
    options: dict[str, Any] = {"protocol": aiomqtt.ProtocolVersion(way.version)}
    if way.is_v5:
        options["clean_start"] = not keep
        options["properties"] = Properties(PacketTypes.CONNECT)
        options["properties"].SessionExpiryInterval = 3600 if keep else 0
    else:
        options["clean_session"] = not keep
    if way.door == UNIX:
        options |= {"hostname": str(office.socket), "transport": "unix"}
    else:
        options |= {"hostname": "localhost", "port": office.port(way.door)}
        options["tls_context"] = office.context(name if way.credential == CERTIFICATE else "")
        if way.door == WEBSOCKET:
            options |= {"transport": "websockets", "websocket_path": "/mqtt"}
    if way.credential != CERTIFICATE:
        options |= {"username": name, "password": SECRET}
    return aiomqtt.Client(identifier=client_id, timeout=PATIENCE, **options)


async def read(client: aiomqtt.Client, count: int) -> list[tuple[object, int]]:
    """(payload, QoS) of the next `count` messages."""
    found: list[tuple[object, int]] = []
    async with asyncio.timeout(PATIENCE):
        async for message in client.messages:
            found.append((message.payload, message.qos))
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize("way", AIOMQTT_WAYS, ids=str)
async def test_aiomqtt_gets_each_qos_and_resumes_its_session(office: Office, way: Way) -> None:
    topic = f"Office/aiomqtt/{way}"
    client_id = f"office-{AIOMQTT_WAYS.index(way)}"
    async with aiomqtt_client(office, way, "office", client_id, keep=True) as subscriber:
        await subscriber.subscribe(topic, 2)
        async with aiomqtt_client(office, way, "sensor", "sensor") as publisher:
            for qos in range(3):
                await publisher.publish(topic, f"reading {qos}", qos)
        assert await read(subscriber, 3) == [(f"reading {qos}".encode(), qos) for qos in range(3)]
    async with aiomqtt_client(office, way, "sensor", "sensor") as publisher:
        for qos in (1, 2):
            await publisher.publish(topic, f"while away {qos}", qos)
    async with aiomqtt_client(office, way, "office", client_id, keep=True) as subscriber:
        assert await read(subscriber, 2) == [(f"while away {qos}".encode(), qos) for qos in (1, 2)]


class Gmqtt:
    """A gmqtt client whose news comes out of queues."""

    def __init__(self, office: Office, way: Way, name: str, client_id: str, keep: bool = False) -> None:
        self._office = office
        self._way = way
        self._name = name
        self.connects: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self.messages: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()
        self.subscribed: asyncio.Queue[tuple[int, ...]] = asyncio.Queue()
        expiry = {"session_expiry_interval": 3600} if way.is_v5 and keep else {}
        self.client = gmqtt.Client(client_id, clean_session=not keep, **expiry)
        if way.credential != CERTIFICATE:
            self.client.set_auth_credentials(name, SECRET)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe

    def _on_connect(self, client: object, flags: int, reason: int, properties: object) -> None:
        self.connects.put_nowait((flags, reason))

    def _on_message(self, client: object, topic: str, payload: bytes, qos: int, properties: object) -> int:
        self.messages.put_nowait((payload, qos))
        return 0

    def _on_subscribe(self, client: object, packet_id: int, reasons: tuple[int, ...], properties: object) -> None:
        self.subscribed.put_nowait(reasons)

    async def connect(self) -> bool:
        """Whether the session was there."""
        await self.client.connect(
            "localhost",
            self._office.port(TLS),
            ssl=self._office.context(self._name if self._way.credential == CERTIFICATE else ""),
            version=MQTTv50 if self._way.is_v5 else MQTTv311,
        )
        flags, reason = await asyncio.wait_for(self.connects.get(), PATIENCE)
        assert reason == 0
        return bool(flags & 1)

    async def disconnect(self) -> None:
        # gmqtt closes at once. asyncio's TLS takes it amiss when the last packet of a QoS 2 exchange is under way then.
        with contextlib.suppress(ssl.SSLError):
            await self.client.disconnect()

    async def read(self, count: int) -> list[tuple[bytes, int]]:
        return [await asyncio.wait_for(self.messages.get(), PATIENCE) for _ in range(count)]


@pytest.mark.parametrize("way", GMQTT_WAYS, ids=str)
async def test_gmqtt_gets_each_qos_and_resumes_its_session(office: Office, way: Way) -> None:
    topic = f"Office/gmqtt/{way}"
    client_id = f"office-gmqtt-{GMQTT_WAYS.index(way)}"
    publisher = Gmqtt(office, way, "sensor", "sensor-gmqtt")
    await publisher.connect()
    subscriber = Gmqtt(office, way, "office", client_id, keep=True)
    assert not await subscriber.connect()
    subscriber.client.subscribe(topic, qos=2)
    assert await asyncio.wait_for(subscriber.subscribed.get(), PATIENCE) == (2,)
    for qos in range(3):
        publisher.client.publish(topic, f"reading {qos}", qos=qos)
    assert sorted(await subscriber.read(3)) == [(f"reading {qos}".encode(), qos) for qos in range(3)]
    await subscriber.disconnect()
    await publisher.disconnect()
    for qos in (1, 2):
        await asyncio.to_thread(office.publish, topic, f"while away {qos}", qos)
    again = Gmqtt(office, way, "office", client_id, keep=True)
    assert await again.connect()
    assert await again.read(2) == [(f"while away {qos}".encode(), qos) for qos in (1, 2)]
    await again.disconnect()
