"""Topic Aliases, both ways (section 3.3.2.3.4)."""

from __future__ import annotations

import pytest

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Puback, Publish, Pubrec, Pubrel
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer


def alias(number: int) -> Properties:
    return Properties(topic_alias=number)


def watching(hub: Hub, topic_filter: str = "#") -> Peer:
    office = hub.client("office")
    office.subscribe(topic_filter, 2)
    return office


def topics(peer: Peer) -> list[str]:
    return [packet.topic for packet in peer.messages()]


# From the client. -----------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.3.2-12")
@pytest.mark.parametrize("number", [1, 2, 63, 64])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_hub_takes_every_alias_up_to_its_maximum(number: int, qos: int) -> None:
    hub = Hub()
    office = watching(hub)
    sensor = hub.client("sensor")
    sensor.publish("a/b", b"1", qos, packet_id=1, properties=alias(number))
    sensor.publish("", b"2", qos, packet_id=2, properties=alias(number))
    got = office.messages()
    assert [(packet.topic, packet.payload) for packet in got] == [("a/b", b"1"), ("a/b", b"2")]
    assert all(packet.properties.topic_alias is None for packet in got)


@pytest.mark.clause("MQTT-3.3.2-9", "MQTT-3.2.2-17")
@pytest.mark.parametrize("number", [65, 65535])
def test_an_alias_above_the_maximum_is_an_error(number: int) -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a/b", b"1", properties=alias(number))
    farewell = sensor.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.TOPIC_ALIAS_INVALID
    assert sensor.closed


@pytest.mark.clause("MQTT-3.2.2-18")
def test_where_the_maximum_is_0_every_alias_is_an_error() -> None:
    hub = Hub()
    hub.config.topic_alias_maximum = 0
    sensor = hub.client("sensor")
    sensor.publish("a/b", b"1", properties=alias(1))
    farewell = sensor.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.TOPIC_ALIAS_INVALID


@pytest.mark.clause("MQTT-3.3.2-8")
def test_alias_0_is_an_error() -> None:
    sensor = Hub().client("sensor")
    sensor.send_octets(b"\x30\x08\x00\x01a\x03\x23\x00\x00x")
    farewell = sensor.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.TOPIC_ALIAS_INVALID


def test_an_alias_that_was_not_set_is_an_error() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", b"1", properties=alias(1))
    sensor.publish("", b"2", properties=alias(2))
    farewell = sensor.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.PROTOCOL_ERROR


def test_an_alias_can_be_given_another_topic() -> None:
    hub = Hub()
    office = watching(hub)
    sensor = hub.client("sensor")
    for topic in ("a", "", "b", "", "a/long/one", ""):
        sensor.publish(topic, b"x", properties=alias(1))
    sensor.publish("plain", b"x")
    assert topics(office) == ["a", "a", "b", "b", "a/long/one", "a/long/one", "plain"]


@pytest.mark.clause("MQTT-3.3.2-7")
def test_aliases_end_with_their_connection() -> None:
    hub = Hub()
    sensor = hub.durable("sensor")
    sensor.publish("a", b"1", properties=alias(1))
    sensor.drop()
    sensor = hub.durable("sensor")
    sensor.publish("", b"2", properties=alias(1))
    assert sensor.closed


@pytest.mark.clause("MQTT-3.3.2-7")
def test_one_connections_aliases_are_not_anothers() -> None:
    hub = Hub()
    office = watching(hub)
    one, two = hub.client("one"), hub.client("two")
    one.publish("a", b"1", properties=alias(1))
    two.publish("b", b"2", properties=alias(1))
    one.publish("", b"3", properties=alias(1))
    two.publish("", b"4", properties=alias(1))
    assert topics(office) == ["a", "b", "a", "b"]


def test_an_alias_stands_for_a_retained_and_for_a_stored_message_as_well() -> None:
    hub = Hub()
    keeper = hub.durable("keeper")
    keeper.subscribe("a/b", 1)
    keeper.drop()
    sensor = hub.client("sensor")
    sensor.publish("a/b", b"1", 1, properties=alias(1))
    sensor.publish("", b"2", 1, retain=True, properties=alias(1))
    hub = hub.crash()
    assert [(m.topic, m.payload) for m in hub.durable("keeper").messages()] == [("a/b", b"1"), ("a/b", b"2")]
    assert [(m.topic, m.payload) for m in watching(hub).messages()] == [("a/b", b"2")]


def test_each_message_under_an_alias_is_judged_by_its_topic() -> None:
    hub = Hub(principals=[Principal.of("sensor", [Permission("open", True, True)], [])])
    office = watching(hub)
    sensor = hub.client("sensor")
    sensor.publish("closed", b"1", 1, packet_id=1, properties=alias(1))
    sensor.publish("", b"2", 1, packet_id=2, properties=alias(1))
    sensor.publish("open", b"3", 1, packet_id=3, properties=alias(1))
    sensor.publish("", b"4", 1, packet_id=4, properties=alias(1))
    hub.principals["sensor"].permit([], [])
    hub.broker.permissions_changed()
    sensor.publish("", b"5", 1, packet_id=5, properties=alias(1))
    answers = [packet.reason_code for packet in sensor.get() if isinstance(packet, Puback)]
    assert answers == [codes.NOT_AUTHORIZED, codes.NOT_AUTHORIZED, 0, 0, codes.NOT_AUTHORIZED]
    assert office.payloads() == [b"3", b"4"]


# To the client. -------------------------------------------------------------------------------------


def receiving(hub: Hub, maximum: int | None, durable: bool = False) -> Peer:
    expiry = 1000 if durable else None
    properties = Properties(topic_alias_maximum=maximum, session_expiry_interval=expiry)
    office = hub.client("office", properties=properties, clean_start=not durable)
    office.subscribe("#", 2)
    return office


def resolved(packets: list[Publish]) -> list[str]:
    """The topics as a client understands them."""
    known: dict[int, str] = {}
    found: list[str] = []
    for packet in packets:
        number = packet.properties.topic_alias
        if number is not None and packet.topic:
            known[number] = packet.topic
        found.append(packet.topic or known[number or 0])
    return found


@pytest.mark.clause("MQTT-3.1.2-27", "MQTT-3.3.2-11")
@pytest.mark.parametrize("maximum", [None, 0])
def test_no_alias_to_a_client_that_takes_none(maximum: int | None) -> None:
    hub = Hub()
    office = receiving(hub, maximum)
    sensor = hub.client("sensor")
    for i in range(10):
        sensor.publish("a/b", b"x", i % 2, packet_id=i + 1)
    packets = office.messages()
    assert len(packets) == 10
    assert all(packet.topic == "a/b" and packet.properties.topic_alias is None for packet in packets)


@pytest.mark.clause("MQTT-3.1.2-26", "MQTT-3.3.2-11", "MQTT-3.3.2-8", "MQTT-3.3.2-3")
@pytest.mark.parametrize("maximum", [1, 3, 65535])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_aliases_stay_within_the_clients_maximum_and_mean_the_right_topic(maximum: int, qos: int) -> None:
    hub = Hub()
    office = receiving(hub, maximum)
    sensor = hub.client("sensor")
    sent = [f"topic/{i % 5}" for i in range(40)]
    for i, topic in enumerate(sent):
        sensor.publish(topic, str(i).encode(), qos, packet_id=i + 1)
    packets = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert resolved(packets) == sent
    assert [packet.payload for packet in packets] == [str(i).encode() for i in range(40)]
    numbers = {packet.properties.topic_alias for packet in packets} - {None}
    assert numbers == set(range(1, min(maximum, 5) + 1))
    assert sum(1 for packet in packets if not packet.topic) == 40 - 5 - 7 * (5 - min(maximum, 5))


def test_an_alias_is_not_set_by_a_packet_that_was_too_large_to_send() -> None:
    hub = Hub()
    office = hub.client("office", properties=Properties(topic_alias_maximum=5, maximum_packet_size=100))
    office.subscribe("#", 1)
    sensor = hub.client("sensor")
    for i, size in enumerate((200, 10, 10), 1):
        sensor.publish("a/b", b"x" * size, 1, packet_id=i)
    first, second = office.messages()
    assert (first.topic, second.topic) == ("a/b", "")


@pytest.mark.clause("MQTT-3.3.2-7", "MQTT-4.4.0-1")
def test_what_is_sent_again_in_a_new_connection_says_its_topic_anew() -> None:
    hub = Hub()
    office = receiving(hub, 5, durable=True)
    sensor = hub.client("sensor")
    for i in (1, 2, 3):
        sensor.publish("a/b", b"x", 2, packet_id=i)
    first = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert [packet.topic for packet in first] == ["a/b", "", ""]
    office.send(Pubrec(first[0].packet_id))
    assert office.get_one() == Pubrel(first[0].packet_id)
    office.drop()
    office = hub.client("office", clean_start=False, properties=Properties(topic_alias_maximum=5))
    again = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert [(packet.topic, packet.dup) for packet in again] == [("a/b", True), ("", True)]


def test_retained_messages_and_identifiers_go_with_aliases_too() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", b"kept", 1, retain=True)
    office = hub.client("office", properties=Properties(topic_alias_maximum=5))
    office.subscribe("a", 1, identifier=9)
    sensor.publish("a", b"live", 0)
    kept, live = office.messages()
    assert (kept.topic, kept.properties.topic_alias, kept.properties.subscription_identifiers) == ("a", 1, [9])
    assert (live.topic, live.properties.topic_alias, live.properties.subscription_identifiers) == ("", 1, [9])
