"""MQTT.js: every version, both credentials, over TLS, WebSocket over TLS and the Unix socket."""

from __future__ import annotations

import pytest

from tests.clients.mqttjs import MqttJs
from tests.clients.office import CERTIFICATE, TLS, UNIX, WEBSOCKET, Office, Way, ways

pytestmark = pytest.mark.peer("node")

WAYS = ways((3, 4, 5), (TLS, WEBSOCKET, UNIX))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_each_qos_arrives_and_the_session_is_resumed(office: Office, way: Way) -> None:
    topic = f"Office/mqttjs/{way}"
    client_id = f"sensor-{WAYS.index(way)}"
    with MqttJs(office, way, "sensor", client_id, keep=True) as client:
        assert not client.connect()
        client.subscribe(topic, 2)
        for qos in range(3):
            client.publish(topic, f"reading {qos}", qos)
        assert [client.message() for _ in range(3)] == [(f"reading {qos}", qos, False) for qos in range(3)]
        client.end()
    for qos in (1, 2):
        office.publish(topic, f"while away {qos}", qos)
    with MqttJs(office, way, "sensor", client_id, keep=True) as client:
        assert client.connect() == (way.version > 3)  # CONNACK of 3.1 has no Session Present
        assert [client.message() for _ in range(2)] == [(f"while away {qos}", qos, False) for qos in (1, 2)]


@pytest.mark.parametrize("way", ways((4, 5), (WEBSOCKET,)), ids=str)
def test_the_retained_message_comes_at_once(office: Office, way: Way) -> None:
    topic = f"Office/mqttjs/retained/{way}"
    with MqttJs(office, way, "sensor", "sensor") as client:
        client.connect()
        client.publish(topic, "old", 1, retain=True)
        client.publish(topic, "kept", 2, retain=True)
        client.subscribe(topic, 1)
        assert client.message() == ("kept", 1, True)


@pytest.mark.parametrize("door", [TLS, WEBSOCKET])
def test_a_lost_connection_is_resumed_by_the_client_itself(office: Office, door: str) -> None:
    topic = f"Office/mqttjs/lost/{door}"
    way = Way(5, door, CERTIFICATE)
    with MqttJs(office, way, "sensor", f"sensor-{door}", keep=True) as client:
        client.connect()
        client.subscribe(topic, 2)
        client.tell("break")
        assert client.await_event("connected")["present"]
        office.publish(topic, "after", 2)
        assert client.message() == ("after", 2, False)


def test_what_is_not_permitted_is_told(office: Office) -> None:
    with MqttJs(office, Way(5, WEBSOCKET, CERTIFICATE), "sensor", "sensor") as client:
        client.connect()
        client.tell("publish", topic="Lobby/door", payload="open", options={"qos": 1})
        assert client.await_event("refused")["code"] == 0x87
    with MqttJs(office, Way(5, TLS, CERTIFICATE), "sensor", "office") as client:
        client.tell("connect", **client._connect)
        assert client.await_event("error")["code"] == 0x85  # Client Identifier not valid: it is another device's
