"""Eclipse Paho for Python: every version, both credentials, over TLS, WebSocket over TLS and the Unix socket."""

from __future__ import annotations

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.cli.hub import wait_until
from tests.clients.office import CERTIFICATE, PASSWORD, TLS, UNIX, WEBSOCKET, Office, Way, ways
from tests.clients.paho import Paho

WAYS = ways((3, 4, 5), (TLS, WEBSOCKET, UNIX))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_each_qos_arrives_as_it_was_sent(office: Office, way: Way) -> None:
    topic = f"Office/paho/{way}"
    with Paho(office, way, "office", "office-sub") as subscriber, Paho(office, way, "sensor", "sensor") as publisher:
        subscriber.connect()
        subscriber.subscribe(topic, 2)
        publisher.connect()
        for qos in range(3):
            publisher.publish(topic, f"reading {qos}", qos)
        assert [subscriber.message() for _ in range(3)] == [(f"reading {qos}", qos, False) for qos in range(3)]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_retained_message_comes_at_once(office: Office, way: Way) -> None:
    topic = f"Office/paho/retained/{way}"
    with Paho(office, way, "sensor", "sensor") as publisher:
        publisher.connect()
        for qos in (1, 2):
            publisher.publish(topic, f"kept {qos}", qos, retain=True)
        publisher.subscribe(topic, 2)
        assert publisher.message() == ("kept 2", 2, True)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_session_is_kept_and_resumed(office: Office, way: Way) -> None:
    topic = f"Office/paho/session/{way}"
    name = f"office-{WAYS.index(way)}"
    with Paho(office, way, "office", name, keep=True) as subscriber:
        assert not subscriber.connect()
        subscriber.subscribe(topic, 2)
    for qos in (1, 2):
        office.publish(topic, f"while away {qos}", qos)
    with Paho(office, way, "office", name, keep=True) as subscriber:
        assert subscriber.connect() == (way.version > 3)  # CONNACK of 3.1 has no Session Present
        assert [subscriber.message()[:2] for _ in range(2)] == [(f"while away {qos}", qos) for qos in (1, 2)]


@pytest.mark.parametrize("way", ways((4, 5), (TLS, WEBSOCKET)), ids=str)
def test_the_will_is_published_when_the_network_fails(office: Office, way: Way) -> None:
    topic = f"Office/paho/will/{way}"
    with Paho(office, way, "office", "office-sub") as subscriber, Paho(office, way, "sensor", "sensor") as lost:
        subscriber.connect()
        subscriber.subscribe(topic, 2)
        lost.client.will_set(topic, "gone", 1)
        lost.connect()
        lost.break_connection()
        assert subscriber.message() == ("gone", 1, False)


@pytest.mark.parametrize("door", [TLS, WEBSOCKET])
def test_properties_arrive_as_they_were_sent(office: Office, door: str) -> None:
    topic = f"Office/paho/properties/{door}"
    way = Way(5, door, CERTIFICATE)
    with Paho(office, way, "office", "office-sub") as client:
        client.connect()
        client.subscribe(topic, 1)
        sent = Properties(PacketTypes.PUBLISH)
        sent.PayloadFormatIndicator = 1
        sent.ContentType = "text/plain"
        sent.ResponseTopic = "Office/answers"
        sent.CorrelationData = b"\x00\xff"
        sent.MessageExpiryInterval = 3600
        sent.UserProperty = [("room", "Lobby"), ("room", "Attic"), ("a", "")]
        client.client.publish(topic, "grün", 1, properties=sent)
        got = client.messages.get(timeout=30).properties
        assert got is not None
        same = ("PayloadFormatIndicator", "ContentType", "ResponseTopic", "CorrelationData", "UserProperty")
        assert [getattr(got, name) for name in same] == [getattr(sent, name) for name in same]
        assert 0 < vars(got)["MessageExpiryInterval"] <= 3600


def test_a_large_payload_passes_unchanged(office: Office) -> None:
    """Larger than a TLS record, a read and a WebSocket frame's short lengths."""
    text = "".join(f"{number:07d}\n" for number in range(100_000))
    for door in (TLS, WEBSOCKET, UNIX):
        way = Way(5, door, PASSWORD)
        with Paho(office, way, "office", "office-sub") as client:
            client.connect()
            client.subscribe("Office/paho/large", 1)
            client.publish("Office/paho/large", text, 1)
            assert client.message() == (text, 1, False)


def test_a_lost_connection_is_resumed_by_the_client_itself(office: Office) -> None:
    way = Way(5, TLS, CERTIFICATE)
    with Paho(office, way, "office", "office-lost", keep=True) as client:
        client.connect()
        client.subscribe("Office/paho/lost", 2)
        client.break_connection()
        present, reason = client.connects.get(timeout=30)
        assert present
        assert not reason.is_failure
        office.publish("Office/paho/lost", "after", 2)
        assert client.message() == ("after", 2, False)


def test_a_denied_publish_and_subscription_are_told(office: Office) -> None:
    with Paho(office, Way(5, TLS, CERTIFICATE), "sensor", "sensor") as client:
        client.connect()
        client.client.subscribe("Lobby/#", 1)
        assert [reason.value for reason in client.subscribed.get(timeout=30)] == [0x87]
        client.client.publish("Lobby/door", "open", 1)
        assert client.published.get(timeout=30)[1].value == 0x87


def test_a_client_identifier_of_somebody_else_is_refused(office: Office) -> None:
    with Paho(office, Way(5, TLS, CERTIFICATE), "sensor", "office") as client, pytest.raises(AssertionError):
        client.connect()
    wait_until("the refusal is logged", lambda: office.hub.events("authentication.refused"))
