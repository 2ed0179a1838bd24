"""The shortest dialogues: the whole way of a message through the hub."""

from __future__ import annotations

import pytest

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.mqtt.dialogue import Hub


@pytest.mark.parametrize("version", [3, 4, 5])
def test_a_reading_reaches_its_subscriber(version: int) -> None:
    hub = Hub()
    office = hub.peer("office", version)
    office.connect()
    assert office.subscribe("Office/#") == [0]
    sensor = hub.peer("sensor", version)
    sensor.connect()
    sensor.publish("Office/Meetingroom/Temperature", b"21.5")
    (message,) = office.messages()
    assert (message.topic, message.payload, message.qos, message.retain) == (
        "Office/Meetingroom/Temperature",
        b"21.5",
        0,
        False,
    )


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("expiry", [0, 100])
def test_qos_2_goes_through_its_four_packets(version: int, expiry: int) -> None:
    hub = Hub()
    office = hub.peer("office", version)
    office.connect(clean_start=not expiry, expiry=expiry if version == 5 else None)
    assert office.subscribe("Office/#", 2) == [2]
    sensor = hub.peer("sensor", version)
    sensor.connect(clean_start=not expiry, expiry=expiry if version == 5 else None)
    sensor.publish("Office/Door", b"open", 2, packet_id=7)
    assert sensor.get_one() == Pubrec(7)
    published = office.get_one()
    assert isinstance(published, Publish)
    assert (published.payload, published.qos, published.packet_id) == (b"open", 2, 1)
    office.send(Pubrec(1))
    assert office.get_one() == Pubrel(1)
    office.send(Pubcomp(1))
    sensor.send(Pubrel(7))
    assert sensor.get_one() == Pubcomp(7)
    assert hub.store.records.get("q1", {}) == {}
    sensor.send(Disconnect())
    assert sensor.closed


def test_a_stored_message_survives_a_crash() -> None:
    hub = Hub()
    office = hub.peer("office")
    office.connect(expiry=100)
    office.subscribe("Office/#", 1)
    office.drop()
    sensor = hub.peer("sensor")
    sensor.connect()
    sensor.publish("Office/Door", b"open", 1)
    assert sensor.get_one() == Puback(1)
    hub = hub.crash()
    office = hub.peer("office")
    assert office.connect(clean_start=False, expiry=100).session_present
    (message,) = office.messages()
    assert message.payload == b"open"
    assert hub.store.records.get("q1", {}) == {}


def test_packets_are_counted_whatever_parts_they_are_sent_in() -> None:
    hub = Hub()
    office = hub.peer("office")
    office.connect()
    office.subscribe("#", 1)
    outbox = office.connection.outbox
    assert outbox.packets == 1  # SUBACK
    sensor = hub.peer("sensor")
    sensor.connect()
    hub.settle()
    sensor.connection.receive(b"".join([encode(Publish("a", b"1", 1, packet_id=n), 5) for n in (1, 2, 3)]))
    hub.settle()
    assert outbox.packets == 3


def test_figures_of_this_run_are_not_kept_for_the_next() -> None:
    permissions = [Permission("#", True, True), Permission("$SYS/#", True, True)]
    hub = Hub(principals=[Principal.of("hub", permissions, ["*"])])
    figures = hub.peer("hub")
    figures.connect()
    figures.publish("$SYS/broker/uptime", b"1 seconds", retain=True)
    figures.publish("Office/Door", b"open", retain=True)
    assert len(hub.broker.retained) == 2
    assert [key for bucket, key in hub.store.buckets if bucket == "retained"] == ["Office/Door"]
    assert hub.crash().broker.retained.topics() == ["Office/Door"]
