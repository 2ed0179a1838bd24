"""What travels with a message from publisher to subscriber, and how long a message lives (section 3.3.2.3)."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec.packets import Puback, Publish, Pubrec, Pubrel
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

CASES = [
    Properties(payload_format_indicator=1),
    Properties(content_type="application/json; charset=utf-8"),
    Properties(content_type=""),
    Properties(response_topic="answers/office/\u00e9"),
    Properties(correlation_data=b""),
    Properties(correlation_data=bytes(range(256))),
    Properties(user_properties=[("b", "2"), ("a", "1"), ("b", "2"), ("", ""), ("\ufeff", "\U0001f600")]),
    Properties(
        payload_format_indicator=1,
        content_type="text",
        response_topic="r",
        correlation_data=b"c",
        user_properties=[(f"k{i % 3}", str(i)) for i in range(50)],
    ),
]


def receiving(hub: Hub, qos: int, durable: bool) -> Peer:
    office = hub.durable("office") if durable else hub.client("office")
    office.subscribe("a", qos)
    return office


@pytest.mark.clause("MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20")
@pytest.mark.parametrize("properties", CASES, ids=range(len(CASES)))
@pytest.mark.parametrize("sent", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 2])
@pytest.mark.parametrize("durable", [False, True])
def test_they_arrive_unaltered(properties: Properties, sent: int, granted: int, durable: bool) -> None:
    hub = Hub()
    office = receiving(hub, granted, durable)
    hub.client("sensor").publish("a", b"x", sent, properties=properties)
    (message,) = office.messages()
    assert message.properties == properties


@pytest.mark.clause("MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20")
@pytest.mark.parametrize("properties", CASES, ids=range(len(CASES)))
def test_they_arrive_unaltered_after_a_crash(properties: Properties) -> None:
    hub = Hub()
    receiving(hub, 1, True).drop()
    hub.client("sensor").publish("a", b"x", 1, properties=properties)
    hub = hub.crash()
    (message,) = hub.durable("office").messages()
    assert message.properties == properties


@pytest.mark.clause("MQTT-3.3.2-4")
def test_a_payload_format_of_0_is_the_same_as_none() -> None:
    """Section 3.3.2.3.2 says that they are equivalent: the hub forwards one or the other."""
    hub = Hub()
    office = receiving(hub, 1, False)
    hub.client("sensor").publish("a", b"\xff", 1, properties=Properties(payload_format_indicator=0))
    (message,) = office.messages()
    assert message.properties.payload_format_indicator in (None, 0)


@pytest.mark.parametrize("version", [3, 4])
def test_an_older_receiver_gets_the_payload_without_them(version: int) -> None:
    hub = Hub()
    office = hub.client("office", version)
    office.subscribe("a", 2)
    sensor = hub.client("sensor")
    for i, properties in enumerate(CASES, 1):
        sensor.publish("a", str(i).encode(), i % 3, packet_id=i, properties=properties)
    assert office.payloads() == [str(i).encode() for i in range(1, len(CASES) + 1)]


@pytest.mark.parametrize("version", [3, 4])
def test_what_an_older_sender_publishes_has_none(version: int) -> None:
    hub = Hub()
    office = receiving(hub, 2, False)
    hub.client("sensor", version).publish("a", b"x", 2)
    (message,) = office.messages()
    assert message.properties == Properties()


def test_several_receivers_each_get_their_own_identifiers_beside_the_same_properties() -> None:
    hub = Hub()
    peers = [hub.client(f"office{i}", 5 if i % 3 else 4) for i in range(9)]
    for i, peer in enumerate(peers):
        peer.subscribe("a", i % 3, identifier=i + 1 if i % 2 else None)
    properties = CASES[-1]
    hub.client("sensor").publish("a", b"x", 2, properties=properties)
    for i, peer in enumerate(peers):
        (message,) = peer.messages()
        assert (message.payload, message.qos) == (b"x", i % 3)
        if peer.version == 5:
            assert message.properties.user_properties == properties.user_properties
            assert message.properties.subscription_identifiers == ([i + 1] if i % 2 else [])


# Message Expiry Interval. ---------------------------------------------------------------------------


def expiring(hub: Hub, seconds: int, qos: int = 1, payload: bytes = b"x", retain: bool = False) -> None:
    properties = Properties(message_expiry_interval=seconds)
    hub.client("sensor").publish("a", payload, qos, retain, properties=properties)


@pytest.mark.clause("MQTT-3.3.2-6")
@pytest.mark.parametrize("now", [1_000_000.0, 1_763_835_600.123456, 1_763_835_600.9999999])
@pytest.mark.parametrize("seconds", [1, 100, 0xFFFFFFFF])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_that_did_not_wait_keeps_its_interval(now: float, seconds: int, qos: int) -> None:
    hub = Hub(now=now)
    office = receiving(hub, 2, False)
    expiring(hub, seconds, qos)
    (message,) = office.messages()
    assert message.properties.message_expiry_interval == seconds


@pytest.mark.clause("MQTT-3.3.2-6")
@pytest.mark.parametrize(("waited", "left"), [(0.4, 100), (1, 99), (1.5, 99), (59.9, 41), (99, 1), (99.9, 1)])
@pytest.mark.parametrize("crash", [False, True])
def test_the_interval_is_less_what_the_message_has_waited(waited: float, left: int, crash: bool) -> None:
    hub = Hub(now=1_763_835_600.123456)
    receiving(hub, 1, True).drop()
    expiring(hub, 100)
    hub.pass_time(waited)
    if crash:
        hub = hub.crash()
    (message,) = hub.durable("office").messages()
    assert message.properties.message_expiry_interval == left


@pytest.mark.clause("MQTT-3.3.2-5")
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("version", [4, 5])
def test_a_message_that_was_not_sent_in_time_is_deleted(qos: int, crash: bool, version: int) -> None:
    hub = Hub()
    office = hub.durable("office", version)
    office.subscribe("a", 2)
    office.drop()
    expiring(hub, 10, qos, b"old")
    hub.pass_time(5)
    expiring(hub, 10, qos, b"young")
    hub.pass_time(6)
    if crash:
        hub = hub.crash()
    assert hub.durable("office", version).payloads() == [b"young"]
    assert hub.broker.counters.dropped_expired == 1


@pytest.mark.clause("MQTT-3.3.2-5")
def test_a_message_that_waits_for_room_in_the_window_expires() -> None:
    hub = Hub()
    office = hub.client("office", properties=Properties(receive_maximum=1))
    office.subscribe("a", 1)
    expiring(hub, 1000, payload=b"1")
    expiring(hub, 10, payload=b"2")
    expiring(hub, 1000, payload=b"3")
    (first,) = [packet for packet in office.get() if isinstance(packet, Publish)]
    hub.pass_time(11)
    office.send(Puback(first.packet_id))
    (second,) = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert second.payload == b"3"


@pytest.mark.clause("MQTT-4.3.3-7", "MQTT-4.4.0-1")
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_sent_is_sent_again_also_when_it_has_expired_meanwhile(qos: int, crash: bool) -> None:
    hub = Hub()
    office = receiving(hub, 2, True)
    expiring(hub, 10, qos)
    assert len(office.get()) == 1
    office.drop()
    hub.pass_time(11)
    if crash:
        hub = hub.crash()
    office = hub.durable("office")
    (again,) = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert again.dup
    if qos == 2:
        office.send(Pubrec(again.packet_id))
        assert office.get_one() == Pubrel(again.packet_id)


def test_an_interval_of_0_reaches_those_who_are_there() -> None:
    hub = Hub()
    office = receiving(hub, 0, False)
    expiring(hub, 0, 0)
    (message,) = office.messages()
    assert message.properties.message_expiry_interval == 0


def test_the_hub_observes_the_interval_for_older_receivers_too() -> None:
    hub = Hub()
    hub.durable("office", 4).subscribe("a", 1)
    hub.peers[0].drop()
    expiring(hub, 10)
    hub.pass_time(11)
    assert hub.durable("office", 4).messages() == []
