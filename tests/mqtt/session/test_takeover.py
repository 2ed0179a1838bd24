"""A second connection with the Client Identifier of a connected client (section 3.1.4)."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Connect, Disconnect, Publish, Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def taken_over(peer: Peer) -> None:
    assert peer.closed
    if peer.version == 5:
        farewell = peer.get_one()
        assert isinstance(farewell, Disconnect)
        assert farewell.reason_code == codes.SESSION_TAKEN_OVER
    else:
        assert peer.get() == []


@pytest.mark.clause("MQTT-3.1.4-3", "MQTT3-3.1.4-2")
@pytest.mark.parametrize("old", VERSIONS)
@pytest.mark.parametrize("new", VERSIONS)
def test_the_older_connection_is_told_and_closed(old: int, new: int) -> None:
    hub = Hub()
    first = hub.client("office", old)
    second = hub.client("office", new)
    taken_over(first)
    assert not second.closed
    assert hub.broker.counters.connections == 1
    assert len(hub.named("session.taken-over")) == 1


@pytest.mark.clause("MQTT-3.1.2-5", "MQTT-4.1.0-1")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_session_goes_over_with_what_was_not_acknowledged(version: int) -> None:
    hub = Hub()
    first = hub.durable("office", version)
    first.subscribe("a", 1)
    hub.client("sensor").publish("a", b"x", 1)
    held = first.get_one()
    assert isinstance(held, Publish)
    second = hub.durable("office", version)
    taken_over(first)
    again = second.get_one()
    assert isinstance(again, Publish)
    assert (again.payload, again.packet_id, again.dup) == (b"x", held.packet_id, True)


@pytest.mark.clause("MQTT-3.1.2-4")
@pytest.mark.parametrize("version", VERSIONS)
def test_clean_start_takes_over_and_begins_anew(version: int) -> None:
    hub = Hub()
    first = hub.durable("office", version)
    first.subscribe("a", 1)
    second = hub.peer("office", version)
    assert not second.connect(clean_start=True).session_present
    taken_over(first)
    hub.client("sensor").publish("a", b"x", 1)
    assert second.get() == []


def test_what_the_older_connection_still_sends_is_ignored() -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("#")
    first = hub.client("sensor")
    hub.client("sensor")
    first.publish("a", b"late")
    first.drop()
    assert office.get() == []
    assert hub.broker.counters.connections == 2


def test_the_older_connection_is_not_told_before_its_connack() -> None:
    """[MQTT-3.14.0-1]: no DISCONNECT where CONNACK has not gone out yet."""
    hub = Hub()
    hub.store.automatic = False
    first = hub.peer("office")
    first.proves_itself = False
    first.send(connect_with_expiry())
    first.prove()
    second = hub.peer("office")
    second.send(connect_with_expiry())
    assert first.closed
    hub.store.automatic = True
    hub.settle()
    assert first.octets == b""
    assert not second.closed
    assert len(second.get()) == 1


def connect_with_expiry() -> Connect:
    return Connect(5, False, 0, "office", properties=Properties(session_expiry_interval=100))


def test_ping_pong_of_two_clients_with_one_identifier_leaks_nothing() -> None:
    hub = Hub()
    for _ in range(200):
        hub.client("office", expiry=100, clean_start=False).subscribe("a", 1)
    assert len(hub.broker.sessions) == 1
    assert hub.broker.router.subscriptions == 1
    assert hub.broker.counters.connections == 1
    assert len([peer for peer in hub.peers if not peer.closed]) == 1


# The Will of the connection that is taken over (3.1.4, non-normative comment; 3.1.3.2.2). ------------


@pytest.mark.parametrize(
    ("clean_start", "delay", "published"), [(True, 0, True), (True, 50, True), (False, 0, True), (False, 50, False)]
)
def test_its_will_is_published_unless_it_is_delayed_and_the_session_goes_on(
    clean_start: bool, delay: int, published: bool
) -> None:
    hub = Hub()
    watcher = hub.client("watcher")
    watcher.subscribe("state/#")
    will = Will("state/office", b"gone", properties=Properties(will_delay_interval=delay))
    hub.client("office", expiry=100, will=will)
    hub.client("office", expiry=100, clean_start=clean_start)
    assert watcher.payloads() == ([b"gone"] if published else [])
    hub.pass_time(200)
    assert watcher.get() == []
