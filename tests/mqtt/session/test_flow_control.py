"""The client's Receive Maximum and Maximum Packet Size, and a client that reads slowly (sections 4.9, 3.1.2.11)."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import (
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.config import MqttConfig
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def receiver(hub: Hub, receive_maximum: int, durable: bool, qos: int = 2) -> Peer:
    expiry = 1000 if durable else None
    office = hub.client(
        "office", properties=Properties(receive_maximum=receive_maximum, session_expiry_interval=expiry)
    )
    office.subscribe("a/#", qos)
    return office


def published(packets: list[Packet]) -> list[Publish]:
    return [packet for packet in packets if isinstance(packet, Publish)]


# Receive Maximum. -----------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.3.4-9", "MQTT-4.9.0-1", "MQTT-4.9.0-2")
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("receive_maximum", [1, 2, 7])
def test_no_more_than_the_receive_maximum_is_in_flight(receive_maximum: int, qos: int, durable: bool) -> None:
    hub = Hub()
    office = receiver(hub, receive_maximum, durable)
    sensor = hub.client("sensor")
    for i in range(20):
        sensor.publish("a/b", str(i).encode(), qos, packet_id=i + 1)
        sensor.send(Pubrel(i + 1))
    got: list[bytes] = []
    in_flight: list[Publish] = published(office.get())
    while in_flight:
        assert len(in_flight) == min(receive_maximum, 20 - len(got))
        packet = in_flight.pop(0)
        got.append(packet.payload)
        if qos == 1:
            office.send(Puback(packet.packet_id))
        else:
            office.send(Pubrec(packet.packet_id))
            assert office.get_one() == Pubrel(packet.packet_id)  # PUBREC alone makes no room
            office.send(Pubcomp(packet.packet_id))
        in_flight += published(office.get())
    assert got == [str(i).encode() for i in range(20)]


@pytest.mark.clause("MQTT-3.3.4-10", "MQTT-4.9.0-3")
def test_a_full_window_delays_nothing_but_publish_of_qos_1_and_2() -> None:
    hub = Hub()
    office = receiver(hub, 1, durable=False)
    sensor = hub.client("sensor")
    sensor.publish("a/b", b"1", 2, packet_id=1)
    (held,) = published(office.get())
    sensor.publish("a/b", b"2", 1, packet_id=2)
    sensor.publish("a/b", b"at most once", 0)
    (message,) = published(office.get())
    assert message.payload == b"at most once"
    office.send(Pingreq(), Subscribe(5, [SubscriptionRequest("b")]), Publish("c", b"x", 1, packet_id=1), Pubrel(77))
    answers = [type(packet) for packet in office.get()]
    assert answers == [Pingresp, Suback, Puback, Pubcomp]
    office.send(Pubrec(held.packet_id))
    assert office.get_one() == Pubrel(held.packet_id)


def test_a_refusal_makes_room() -> None:
    hub = Hub()
    office = receiver(hub, 1, durable=False)
    sensor = hub.client("sensor")
    for i in (1, 2, 3):
        sensor.publish("a/b", b"x", 2, packet_id=i)
    for _ in range(3):
        (packet,) = published(office.get())
        office.send(Pubrec(packet.packet_id, codes.QUOTA_EXCEEDED))
    assert office.get() == []


@pytest.mark.clause("MQTT-3.3.4-9")
def test_a_new_connection_may_bring_a_smaller_window() -> None:
    hub = Hub()
    office = receiver(hub, 10, durable=True)
    sensor = hub.client("sensor")
    for i in range(10):
        sensor.publish("a/b", b"x", 2, packet_id=i + 1)
    first = published(office.get())
    office.send(Pubrec(first[0].packet_id))
    office.get()
    office.drop()
    office = hub.client("office", clean_start=False, properties=Properties(receive_maximum=2))
    released, *again = office.get()
    assert released == Pubrel(first[0].packet_id)
    assert [packet.packet_id for packet in published(again)] == [first[1].packet_id]
    office.send(Pubcomp(first[0].packet_id))
    assert [packet.packet_id for packet in published(office.get())] == [first[2].packet_id]


def test_stray_acknowledgements_make_no_room() -> None:
    hub = Hub()
    office = receiver(hub, 1, durable=False)
    sensor = hub.client("sensor")
    for i in (1, 2, 3):
        sensor.publish("a/b", b"x", 1, packet_id=i)
    (held,) = published(office.get())
    office.send(Puback(held.packet_id + 1), Pubcomp(held.packet_id), Pubrec(999), Puback(held.packet_id + 2))
    assert published(office.get()) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_hubs_own_window_holds_for_all(version: int) -> None:
    config = MqttConfig()
    config.in_flight = 5
    hub = Hub(config=config)
    office = hub.client("office", version)
    office.subscribe("a", 1)
    sensor = hub.client("sensor")
    for i in range(20):
        sensor.publish("a", b"x", 1, packet_id=i + 1)
    assert len(published(office.get())) == 5


# Maximum Packet Size. -------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.1.2-24", "MQTT-3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("durable", [False, True])
def test_what_is_too_large_for_a_client_is_dropped_as_if_it_had_been_sent(qos: int, durable: bool) -> None:
    hub = Hub()
    expiry = 1000 if durable else None
    office = hub.client("office", properties=Properties(maximum_packet_size=100, session_expiry_interval=expiry))
    office.subscribe("a", 2)
    other = hub.client("other")
    other.subscribe("a", 2)
    sensor = hub.client("sensor")
    overhead = 2 + 2 + 1 + 1 + (2 if qos else 0)
    for i, size in enumerate((100 - overhead, 101 - overhead, 1000, 1), 1):
        sensor.publish("a", b"x" * size, qos, packet_id=i)
    assert [len(packet.payload) for packet in published(office.get())] == [100 - overhead, 1]
    assert len(published(other.get())) == 4
    assert hub.broker.counters.dropped_too_large == 2
    if qos:
        assert len(hub.broker.sessions.of("office")[0].in_flight) == 2


@pytest.mark.clause("MQTT-3.1.2-24")
def test_properties_and_identifiers_count_too() -> None:
    hub = Hub()
    office = hub.client("office", properties=Properties(maximum_packet_size=100))
    office.subscribe("a", 0, identifier=268435455)
    sensor = hub.client("sensor")
    for size in range(60, 100):
        sensor.publish("a", b"x" * size, properties=Properties(content_type="text"))
    before = office.octets
    sizes = [len(packet.payload) for packet in published(office.get())]
    assert max(sizes) == 100 - (2 + 2 + 1 + 1 + 5 + 7)
    assert before == office.octets


def test_a_session_that_comes_back_with_less_room_goes_on_with_what_fits() -> None:
    hub = Hub()
    office = hub.durable("office")
    office.subscribe("a", 1)
    sensor = hub.client("sensor")
    for i, size in enumerate((10, 500, 20), 1):
        sensor.publish("a", b"x" * size, 1, packet_id=i)
    assert len(office.get()) == 3
    office.drop()
    office = hub.client("office", clean_start=False, properties=Properties(maximum_packet_size=100))
    assert [len(packet.payload) for packet in office.messages()] == [10, 20]
    assert hub.broker.sessions.of("office")[0].in_flight == {}


def test_a_retained_message_that_is_too_large() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    for i, size in enumerate((10, 500, 20)):
        sensor.publish(f"a/{i}", b"x" * size, i, retain=True)
    office = hub.client("office", properties=Properties(maximum_packet_size=100))
    office.subscribe("a/#", 2)
    assert [len(packet.payload) for packet in published(office.get())] == [10, 20]


# A client that reads slowly. ------------------------------------------------------------------------


def slow(hub: Hub, version: int = 5, durable: bool = False) -> Peer:
    office = hub.durable("office", version) if durable else hub.client("office", version)
    office.subscribe("a/#", 2)
    office.stop_reading()
    return office


@pytest.mark.parametrize("version", VERSIONS)
def test_qos_0_is_dropped_and_counted_when_the_outbox_is_full(version: int) -> None:
    hub = Hub()
    hub.config.outbox_octets = 10_000
    office = slow(hub, version)
    sensor = hub.client("sensor")
    for i in range(200):
        sensor.publish("a/b", str(i).encode() * 40)
    assert len(office.backlog or b"") <= 10_200
    assert hub.named("outbox.full")  # it may never read again
    office.read_on()
    got = published(office.get())
    assert 80 < len(got) < 200
    assert hub.broker.counters.dropped_slow == 200 - len(got)
    (begun,) = hub.named("outbox.full")
    (ended,) = hub.named("outbox.drained")
    assert begun["principal"] == ended["principal"] == "office"
    assert ended["dropped"] == 200 - len(got)
    sensor.publish("a/b", b"again")
    assert office.payloads() == [b"again"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("qos", [1, 2])
def test_qos_1_and_2_wait_in_the_queue(version: int, durable: bool, qos: int) -> None:
    hub = Hub()
    hub.config.outbox_octets = 5_000
    office = slow(hub, version, durable)
    sensor = hub.client("sensor")
    for i in range(200):
        sensor.publish("a/b", str(i).encode() * 40, qos, packet_id=i + 1)
        sensor.send(Pubrel(i + 1))
    assert len(office.backlog or b"") <= 5_300
    office.read_on()
    assert [packet.payload for packet in published(office.get())] == [str(i).encode() * 40 for i in range(200)]
    assert hub.broker.counters.dropped_slow == 0


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("connected", [False, True])
def test_the_queue_has_a_ceiling_of_messages(durable: bool, connected: bool) -> None:
    limits = Limits()
    limits.queue_messages = 10
    hub = Hub(limits=limits)
    office = receiver(hub, 5, durable=True) if durable else receiver(hub, 5, durable=False)
    if durable and not connected:
        office.drop()
    sensor = hub.client("sensor")
    for i in range(30):
        sensor.publish("a/b", str(i).encode(), 1, packet_id=i + 1)
        assert sensor.get_one() == Puback(i + 1)  # the publisher is not to blame
    room = 10 if durable and not connected else 15
    assert hub.broker.counters.dropped_queue_full == 30 - room
    (told,) = hub.named("queue.full")
    assert told["client_id"] == "office"
    if durable and not connected:
        office = hub.durable("office")
    got: list[bytes] = []
    while packets := office.messages():
        got += [packet.payload for packet in packets]
    assert got == [str(i).encode() for i in range(room)]


def test_the_queue_has_a_ceiling_of_octets() -> None:
    limits = Limits()
    limits.queue_octets = 10 * 1011  # a PUBLISH with 1000 octets of payload
    hub = Hub(limits=limits)
    office = receiver(hub, 1, durable=True)
    office.drop()
    sensor = hub.client("sensor")
    for i in range(30):
        sensor.publish("a/b", b"x" * 1000, 1, packet_id=i + 1)
    assert hub.broker.sessions.of("office")[0].queued_octets == 10 * 1011
    assert hub.broker.counters.dropped_queue_full == 20
    assert len(hub.durable("office").messages()) == 10


def test_topics_and_properties_count_as_well_as_payloads() -> None:
    limits = Limits()
    limits.queue_octets = 100_000
    hub = Hub(limits=limits)
    office = hub.durable("office")
    office.subscribe("#", 1)
    office.drop()
    sensor = hub.client("sensor")
    for i, (topic, properties) in enumerate(
        [
            ("t" * 60_000, Properties()),
            ("a", Properties(user_properties=[("", "")] * 150)),
            ("t" * 10_000, Properties()),
            ("a", Properties(correlation_data=b"x" * 10_000)),
            ("a", Properties(content_type="x" * 10_000, response_topic="x" * 10_000)),
            ("a", Properties()),
        ],
        1,
    ):
        sensor.publish(topic, b"", 1, packet_id=i, properties=properties)
    assert hub.broker.counters.dropped_queue_full == 3
    assert len(hub.durable("office").messages()) == 3


def test_what_has_expired_makes_room_in_a_full_queue() -> None:
    limits = Limits()
    limits.queue_messages = 10
    hub = Hub(limits=limits)
    office = receiver(hub, 5, durable=True)
    office.drop()
    sensor = hub.client("sensor")
    for i in range(10):
        sensor.publish("a/b", b"old", 1, packet_id=i + 1, properties=Properties(message_expiry_interval=5))
    hub.pass_time(6)
    for i in range(10):
        sensor.publish("a/b", b"new", 1, packet_id=i + 1)
    hub = hub.crash()
    assert [packet.payload for packet in hub.durable("office").messages()] == [b"new"] * 10
    assert hub.store.records.get("q1", {}) == {}


def test_a_client_that_asks_for_ever_and_never_reads_is_read_no_further() -> None:
    hub = Hub()
    hub.config.outbox_octets = 1000
    peer = hub.client("sensor")
    peer.stop_reading()
    asked = 0
    while not peer.connection.is_congested():
        peer.send(Pingreq())
        asked += 1
        assert asked <= 2000
    assert len(peer.backlog or b"") <= 2004
    peer.read_on()
    assert not peer.connection.is_congested()
    assert len(peer.get()) == asked


def test_a_slow_receiver_is_still_read_so_that_it_can_acknowledge() -> None:
    hub = Hub()
    hub.config.outbox_octets = 1000
    office = slow(hub)
    sensor = hub.client("sensor")
    for i in range(100):
        sensor.publish("a/b", b"x" * 300, i % 2, packet_id=i + 1)
    assert not office.connection.is_congested()


def test_one_slow_receiver_holds_up_nobody_else() -> None:
    hub = Hub()
    hub.config.outbox_octets = 1000
    slow(hub)
    quick = hub.client("quick")
    quick.subscribe("a/#", 1)
    sensor = hub.client("sensor")
    for i in range(100):
        sensor.publish("a/b", str(i).encode() * 20, 1, packet_id=i + 1)
        sensor.publish("a/b", str(i).encode() * 20, 0)
    assert len(published(quick.get())) == 200


# How fast a client may publish. ---------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1])
def test_a_client_that_publishes_too_fast_is_read_slower_and_loses_nothing(version: int, qos: int) -> None:
    config = MqttConfig()
    config.publish_rate = 10.0
    config.publish_burst = 20
    hub = Hub(config=config)
    office = hub.client("office")
    office.subscribe("a", 0)
    sensor = hub.client("sensor", version)
    sensor.send(*[Publish("a", b"x", qos, packet_id=i + 1 if qos else 0) for i in range(20)])
    assert not sensor.connection.is_congested()
    sensor.send(*[Publish("a", b"x", qos, packet_id=i + 1 if qos else 0) for i in range(30)])
    assert sensor.connection.is_congested()
    assert sensor.connection.next_timeout() <= hub.clock.now + 3.01
    hub.pass_time(2.9)
    assert sensor.connection.is_congested()
    hub.pass_time(0.2)
    assert not sensor.connection.is_congested()
    assert len(office.get()) == 50


def test_the_rate_is_a_long_terms_average_with_a_bounded_burst() -> None:
    config = MqttConfig()
    config.publish_rate = 10.0
    config.publish_burst = 20
    hub = Hub(config=config)
    sensor = hub.client("sensor")
    sensor.publish("a")
    hub.pass_time(1000)
    sensor.send(*[Publish("a", b"x")] * 20)
    assert not sensor.connection.is_congested()
    sensor.publish("a")
    assert sensor.connection.is_congested()


def test_a_changed_rate_holds_for_those_who_are_connected() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.send(*[Publish("a", b"x")] * 5000)
    assert not sensor.connection.is_congested()
    hub.config.publish_rate, hub.config.publish_burst = 1.0, 10
    sensor.send(*[Publish("a", b"x")] * 11)
    assert sensor.connection.is_congested()
    hub.config.publish_rate = 0.0
    hub.pass_time(2)
    sensor.send(*[Publish("a", b"x")] * 5000)
    assert not sensor.connection.is_congested()
