"""Retained messages: set, replaced, cleared, expired, and sent to new subscriptions (section 3.3.1.3)."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import (
    Puback,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def subscribed(hub: Hub, topic_filter: str, qos: int = 0, version: int = 5, name: str = "office") -> list[Publish]:
    """What a new client gets at once for a new subscription."""
    peer = hub.peer(name, version)
    peer.connect(f"{name}-{len(hub.peers)}")
    peer.subscribe(topic_filter, qos)
    return peer.messages()


@pytest.mark.clause(
    "MQTT-3.3.1-5", "MQTT-3.3.1-9", "MQTT3-3.3.1-5", "MQTT3-3.3.1-6", "MQTT3-3.3.1-8", "MQTT-3.8.4-8", "MQTT3-3.8.4-6"
)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("sent", [0, 1, 2])
def test_a_new_subscription_gets_the_last_retained_message(version: int, granted: int, sent: int) -> None:
    hub = Hub()
    sensor = hub.client("sensor", version)
    sensor.publish("a/b", b"first", sent, retain=True, packet_id=1)
    sensor.publish("a/b", b"last", sent, retain=True, packet_id=2)
    (message,) = subscribed(hub, "a/+", granted, version)
    assert (message.payload, message.retain, message.dup) == (b"last", True, False)
    assert message.qos == min(granted, sent)


@pytest.mark.clause("MQTT3-3.3.1-9", "MQTT-3.3.1-12", "MQTT-3.3.1-13")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("durable", [False, True])
def test_an_established_subscription_gets_retain_as_its_option_says(version: int, qos: int, durable: bool) -> None:
    hub = Hub()
    plain = hub.durable("plain", version) if durable else hub.client("plain", version)
    plain.subscribe("a", qos)
    kept = hub.durable("kept") if durable else hub.client("kept")
    kept.subscribe("a", qos, retain_as_published=True)
    sensor = hub.client("sensor")
    for packet_id, retain in enumerate((True, False), 1):
        sensor.publish("a", b"x", qos, retain, packet_id)
        (to_plain,) = plain.messages()
        (to_kept,) = kept.messages()
        assert (to_plain.retain, to_kept.retain) == (False, retain)


@pytest.mark.clause("MQTT3-3.3.1-7")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_retained_qos_0_message_replaces_one_of_higher_qos(version: int) -> None:
    hub = Hub()
    sensor = hub.client("sensor", version)
    sensor.publish("a", b"durable", 2, retain=True)
    sensor.publish("a", b"latest", 0, retain=True)
    (message,) = subscribed(hub, "a", 2)
    assert (message.payload, message.qos) == (b"latest", 0)
    (message,) = subscribed(hub.crash(), "a", 2)
    assert message.payload == b"latest"


@pytest.mark.clause("MQTT-3.3.1-6", "MQTT-3.3.1-7", "MQTT3-3.3.1-10", "MQTT3-3.3.1-11")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_empty_message_clears_and_is_forwarded_as_any_other(version: int, qos: int) -> None:
    hub = Hub()
    office = hub.client("office", version)
    office.subscribe("a", qos)
    sensor = hub.client("sensor", version)
    sensor.publish("a", b"x", qos, retain=True, packet_id=1)
    sensor.publish("a", b"", qos, retain=True, packet_id=2)
    sensor.publish("a", b"", qos, retain=True, packet_id=3)
    assert office.payloads() == [b"x", b"", b""]
    assert subscribed(hub, "a") == []
    assert subscribed(hub.crash(), "a") == []
    assert hub.store.everything() == {"keys": [], "logs": {}}


@pytest.mark.clause("MQTT-3.3.1-8", "MQTT3-3.3.1-12")
@pytest.mark.parametrize("payload", [b"plain", b""])
def test_a_message_that_is_not_retained_changes_nothing_of_what_is(payload: bytes) -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", b"kept", retain=True)
    sensor.publish("a", payload)
    sensor.publish("b", payload)
    assert [m.payload for m in subscribed(hub, "#")] == [b"kept"]


@pytest.mark.clause("MQTT-4.7.2-1", "MQTT3-4.7.2-1", "MQTT-3.3.2-3")
@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("#", {"a", "a/b", "a/b/c", "/a", "b/"}),
        ("a/#", {"a", "a/b", "a/b/c"}),
        ("a/b", {"a/b"}),
        ("+", {"a"}),
        ("+/+", {"a/b", "/a", "b/"}),
        ("+/b/#", {"a/b", "a/b/c"}),
        ("/#", {"/a"}),
        ("$SYS/#", {"$SYS/hub/uptime"}),
        ("$SYS/+/uptime", {"$SYS/hub/uptime"}),
        ("+/hub/uptime", set()),
        ("c/#", set()),
    ],
)
def test_which_retained_messages_a_filter_gets(topic_filter: str, expected: set[str]) -> None:
    everything = [Permission("#", True, True), Permission("$SYS/#", True, True)]
    hub = Hub(principals=[Principal.of("sensor", everything, []), Principal.of("office", everything, ["*"])])
    sensor = hub.client("sensor")
    for topic in ("a", "a/b", "a/b/c", "/a", "b/", "$SYS/hub/uptime"):
        sensor.publish(topic, topic.encode(), retain=True)
    got = subscribed(hub, topic_filter)
    assert sorted(m.topic for m in got) == sorted(expected)
    assert all(m.payload == m.topic.encode() for m in got)


@pytest.mark.clause("MQTT-3.3.2-5", "MQTT-3.3.2-6")
def test_a_retained_message_expires() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", b"x", 1, retain=True, properties=Properties(message_expiry_interval=100))
    hub.pass_time(40)
    (message,) = subscribed(hub, "a")
    assert message.properties.message_expiry_interval == 60
    (message,) = subscribed(hub.crash(), "a")
    assert message.properties.message_expiry_interval == 60
    hub.pass_time(61)
    assert subscribed(hub, "a") == []
    hub.pass_time(100)
    assert len(hub.broker.retained) == 0
    assert subscribed(hub.crash(), "a") == []
    assert hub.store.everything() == {"keys": [], "logs": {}}


@pytest.mark.clause("MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20")
@pytest.mark.parametrize("crash", [False, True])
def test_a_retained_message_keeps_its_properties(crash: bool) -> None:
    hub = Hub()
    properties = Properties(
        payload_format_indicator=1,
        content_type="application/json",
        response_topic="b",
        correlation_data=b"\x00",
        user_properties=[("k", "2"), ("k", "1"), ("j", "")],
    )
    hub.client("sensor").publish("a", b"{}", 1, retain=True, properties=properties)
    if crash:
        hub = hub.crash()
    (message,) = subscribed(hub, "a", 1)
    assert message.properties == properties


# Retain Handling and its like. ----------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11", "MQTT-3.8.4-4", "MQTT-3.8.4-3")
@pytest.mark.parametrize(("handling", "first", "second"), [(0, [b"x"], [b"x"]), (1, [b"x"], []), (2, [], [])])
def test_retain_handling_for_a_new_and_for_a_repeated_subscription(
    handling: int, first: list[bytes], second: list[bytes]
) -> None:
    hub = Hub()
    hub.client("sensor").publish("a", b"x", retain=True)
    office = hub.client("office")
    office.subscribe("a", retain_handling=handling)
    assert office.payloads() == first
    office.subscribe("a", retain_handling=handling)
    assert office.payloads() == second
    office.send(Unsubscribe(9, ["a"]))
    office.get()
    office.subscribe("a", retain_handling=handling)
    assert office.payloads() == first


@pytest.mark.clause("MQTT3-3.8.4-3")
@pytest.mark.parametrize("version", [3, 4])
def test_older_versions_get_them_at_every_subscribe(version: int) -> None:
    hub = Hub()
    hub.client("sensor").publish("a", b"x", retain=True)
    office = hub.client("office", version)
    for _ in range(2):
        office.subscribe("a")
        assert office.payloads() == [b"x"]


def test_retain_handling_1_knows_the_subscriptions_of_a_resumed_session() -> None:
    hub = Hub()
    hub.client("sensor").publish("a", b"x", retain=True)
    office = hub.durable("office")
    office.subscribe("a", retain_handling=1)
    assert office.payloads() == [b"x"]
    office.drop()
    office = hub.crash().durable("office")
    office.subscribe("a", retain_handling=1)
    assert office.payloads() == []


def test_a_shared_subscription_gets_no_retained_messages() -> None:
    hub = Hub()
    hub.client("sensor").publish("a", b"x", retain=True)
    office = hub.client("office")
    for handling in (0, 1):
        office.subscribe("$share/g/a", retain_handling=handling)
        assert office.get() == []


@pytest.mark.clause("MQTT-3.8.3-3")
def test_no_local_holds_for_what_the_client_itself_retained() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a/1", b"own", retain=True)
    hub.client("other").publish("a/2", b"other's", retain=True)
    sensor.subscribe("a/#", no_local=True)
    assert sensor.payloads() == [b"other's"]
    again = hub.crash().client("sensor")
    again.subscribe("a/#", no_local=True)
    assert again.payloads() == [b"other's"]


def test_the_subscription_identifier_comes_with_a_retained_message() -> None:
    hub = Hub()
    hub.client("sensor").publish("a", b"x", retain=True)
    office = hub.client("office")
    office.subscribe("a", identifier=7)
    (message,) = office.messages()
    assert message.properties.subscription_identifiers == [7]


# Many of them. --------------------------------------------------------------------------------------


def filled(hub: Hub, count: int, qos: int = 0) -> None:
    sensor = hub.client("sensor")
    for i in range(count):
        sensor.publish(f"many/{i}", str(i).encode(), qos, True, i + 1)
        if qos == 2:
            sensor.send(Pubrel(i + 1))
    sensor.disconnect()


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_many_retained_messages_come_through_a_small_window_and_a_small_queue(durable: bool, qos: int) -> None:
    limits = Limits()
    limits.queue_messages = 10
    hub = Hub(limits=limits)
    filled(hub, 500, qos)
    expiry = 100 if durable else None
    office = hub.client("office", properties=Properties(receive_maximum=4, session_expiry_interval=expiry))
    office.subscribe("many/#", qos)
    got: list[bytes] = []
    while packets := office.get():
        for packet in packets:
            if isinstance(packet, Publish):
                got.append(packet.payload)
                if packet.qos == 1:
                    office.send(Puback(packet.packet_id))
                elif packet.qos == 2:
                    office.send(Pubrec(packet.packet_id, codes.IMPLEMENTATION_SPECIFIC_ERROR))
    assert sorted(got, key=int) == [str(i).encode() for i in range(500)]
    assert hub.broker.counters.dropped_queue_full == 0


@pytest.mark.parametrize("qos", [0, 1])
def test_they_come_as_fast_as_a_slow_client_takes_them(qos: int) -> None:
    hub = Hub()
    hub.config.outbox_octets = 1000
    filled(hub, 500, qos)
    office = hub.peer("office")
    office.connect()
    office.stop_reading()
    office.send_octets(b"\x82\x0c\x00\x01\x00\x00\x06many/#" + bytes([qos]))
    assert len(office.backlog or b"") < 1200
    office.read_on()
    got = [packet.payload for packet in office.messages()]
    while more := office.messages():
        got += [packet.payload for packet in more]
    assert sorted(got, key=int) == [str(i).encode() for i in range(500)]
    assert hub.broker.counters.dropped_slow == 0


def test_unsubscribing_ends_a_replay_that_is_under_way() -> None:
    hub = Hub()
    filled(hub, 300, 1)
    office = hub.client("office", properties=Properties(receive_maximum=10))
    office.subscribe("many/#", 1)
    held = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert len(held) == 10
    office.send(Unsubscribe(2, ["many/#"]))
    office.get()
    office.send(*[Puback(packet.packet_id) for packet in held])
    assert office.get() == []


def test_subscribing_anew_begins_a_replay_anew_and_ends_the_one_under_way() -> None:
    hub = Hub()
    filled(hub, 100, 1)
    office = hub.client("office", properties=Properties(receive_maximum=10))
    office.subscribe("many/#", 1)
    first = office.messages()
    got = [packet.payload for packet in first]
    office.send(Subscribe(2, [SubscriptionRequest("many/#", 1)]))
    while more := office.messages():
        got += [packet.payload for packet in more]
    assert len(got) <= 100 + 30
    assert set(got) == {str(i).encode() for i in range(100)}


def test_a_message_that_is_set_during_a_replay_comes_once_and_its_older_one_not_after_it() -> None:
    hub = Hub()
    filled(hub, 100, 1)
    office = hub.client("office", properties=Properties(receive_maximum=1))
    office.subscribe("many/#", 1)
    sensor = hub.client("sensor")
    for i in range(100):
        sensor.publish(f"many/{i}", b"new", 1, retain=True)
    by_topic: dict[str, list[bytes]] = {}
    while more := office.messages():
        for packet in more:
            by_topic.setdefault(packet.topic, []).append(packet.payload)
    assert len(by_topic) == 100
    assert sum(len(got) for got in by_topic.values()) <= 101
    assert all(got[-1] == b"new" and got.count(b"new") == 1 for got in by_topic.values())


@pytest.mark.parametrize("qos", [1, 2])
def test_a_replay_goes_on_in_the_next_connection_of_the_session(qos: int) -> None:
    hub = Hub()
    filled(hub, 100, qos)
    office = hub.client("office", properties=Properties(receive_maximum=5, session_expiry_interval=100))
    office.subscribe("many/#", qos)
    office.drop()
    office = hub.durable("office")
    got: dict[int, bytes] = {}
    while packets := office.get():
        for packet in packets:
            if isinstance(packet, Publish):
                got[packet.packet_id] = packet.payload
                office.send(Puback(packet.packet_id) if qos == 1 else Pubrec(packet.packet_id, codes.QUOTA_EXCEEDED))
    assert sorted(got.values(), key=int) == [str(i).encode() for i in range(100)]


# Ceilings. ------------------------------------------------------------------------------------------


def answer(peer: Peer) -> int:
    packet = peer.get_one()
    assert isinstance(packet, Puback)
    return packet.reason_code


def test_the_ceiling_of_how_many() -> None:
    limits = Limits()
    limits.retained_messages = 2
    hub = Hub(limits=limits)
    sensor = hub.client("sensor")
    for topic, code in (("a", 0), ("b", 0), ("c", codes.QUOTA_EXCEEDED), ("a", 0)):
        sensor.publish(topic, b"x", 1, retain=True)
        assert answer(sensor) == code
    sensor.publish("a", b"", 1, retain=True)
    assert answer(sensor) == 0
    sensor.publish("c", b"x", 1, retain=True)
    assert answer(sensor) == 0


def test_the_ceiling_of_their_octets_holds_for_replacements_too() -> None:
    limits = Limits()
    limits.retained_octets = 116  # of packets, each with 8 octets beside its payload
    hub = Hub(limits=limits)
    sensor = hub.client("sensor")
    for topic, size, code in (
        ("a", 50, 0),
        ("b", 30, 0),
        ("a", 80, codes.QUOTA_EXCEEDED),
        ("a", 60, 0),
        ("c", 10, codes.QUOTA_EXCEEDED),
        ("a", 10, 0),
        ("c", 10, 0),
    ):
        sensor.publish(topic, b"x" * size, 1, retain=True)
        assert answer(sensor) == code, (topic, size)
    assert hub.broker.retained.octets == 74
    assert {m.topic: len(m.payload) for m in subscribed(hub, "#")} == {"a": 10, "b": 30, "c": 10}
