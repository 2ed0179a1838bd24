"""PUBLISH from a client: QoS 0, 1 and 2 as the hub receives them (section 4.3)."""

from __future__ import annotations

import pytest

from bridgehead.broker.journal import BEHIND
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.config import MqttConfig
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def subscribed(hub: Hub, topic_filter: str = "a/#", qos: int = 2) -> Peer:
    office = hub.client("office")
    office.subscribe(topic_filter, qos)
    return office


def pair(version: int, durable: bool = False) -> tuple[Hub, Peer, Peer]:
    hub = Hub()
    office = subscribed(hub)
    sensor = hub.durable("sensor", version) if durable else hub.client("sensor", version)
    return hub, sensor, office


# QoS 0. ---------------------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.3.4-1", "MQTT3-3.3.4-1", "MQTT-4.5.0-1", "MQTT3-4.5.0-1")
@pytest.mark.parametrize("version", VERSIONS)
def test_qos_0_is_not_answered(version: int) -> None:
    _, sensor, office = pair(version)
    sensor.publish("a/b", b"x")
    assert sensor.get() == []
    assert office.payloads() == [b"x"]


# QoS 1. ---------------------------------------------------------------------------------------------


@pytest.mark.clause(
    "MQTT-3.3.4-1", "MQTT3-3.3.4-1", "MQTT-4.3.2-4", "MQTT3-4.3.2-2", "MQTT-2.2.1-5", "MQTT3-2.3.1-6", "MQTT-3.4.2-1"
)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("packet_id", [1, 255, 256, 65535])
def test_qos_1_is_answered_by_puback_with_its_identifier(version: int, packet_id: int) -> None:
    _, sensor, office = pair(version)
    sensor.publish("a/b", b"x", 1, packet_id=packet_id)
    assert sensor.get_one() == Puback(packet_id)
    assert office.payloads() == [b"x"]


@pytest.mark.clause("MQTT-4.3.2-5", "MQTT3-4.3.2-2")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("dup", [False, True])
def test_after_puback_the_same_identifier_is_a_new_message_whatever_dup_says(version: int, dup: bool) -> None:
    _, sensor, office = pair(version)
    sensor.publish("a/b", b"1", 1, packet_id=7)
    sensor.publish("a/b", b"2", 1, packet_id=7, dup=dup)
    assert sensor.get() == [Puback(7), Puback(7)]
    assert office.payloads() == [b"1", b"2"]


@pytest.mark.clause("MQTT-3.3.1-3", "MQTT3-3.3.1-3")
@pytest.mark.parametrize("qos", [1, 2])
def test_the_publishers_dup_does_not_travel_on(qos: int) -> None:
    _, sensor, office = pair(5)
    sensor.publish("a/b", b"x", qos, dup=True)
    (message,) = office.get()
    assert isinstance(message, Publish)
    assert not message.dup


@pytest.mark.clause("MQTT-4.6.0-2", "MQTT3-4.6.0-2", "MQTT-4.3.2-4")
@pytest.mark.parametrize("version", VERSIONS)
def test_pubacks_come_in_the_order_of_publish_also_when_only_some_wait_for_the_disk(version: int) -> None:
    hub = Hub()
    keeper = hub.durable("keeper")
    keeper.subscribe("kept", 1)
    subscribed(hub)
    sensor = hub.client("sensor", version)
    hub.store.automatic = False
    sensor.send(
        Publish("kept", b"x", 1, packet_id=1),
        Publish("a/b", b"x", 1, packet_id=2),
        Publish("kept", b"x", 1, packet_id=3),
    )
    assert sensor.get() == []
    hub.commit()
    sensor.send(Publish("a/b", b"x", 1, packet_id=4))
    assert [packet.packet_id for packet in sensor.get() if isinstance(packet, Puback)] == [1, 2, 3, 4]


@pytest.mark.clause("MQTT-4.3.2-4", "MQTT-4.3.3-8")
@pytest.mark.parametrize(("qos", "answer"), [(1, Puback(1)), (2, Pubrec(1))])
def test_the_hub_answers_once_it_owns_the_message_and_not_before(qos: int, answer: object) -> None:
    hub = Hub()
    keeper = hub.durable("keeper")
    keeper.subscribe("a", 2)
    sensor = hub.client("sensor")
    hub.store.automatic = False
    sensor.publish("a", b"x", qos)
    assert sensor.get() == []
    assert keeper.get() == []
    hub.commit()
    assert sensor.get_one() == answer
    assert len(keeper.get()) == 1


# QoS 2. ---------------------------------------------------------------------------------------------


@pytest.mark.clause(
    "MQTT-4.3.3-8", "MQTT-4.3.3-10", "MQTT-4.3.3-11", "MQTT-4.3.3-12", "MQTT3-4.3.3-2", "MQTT-2.2.1-5",
    "MQTT-3.5.2-1", "MQTT-3.7.2-1", "MQTT3-2.3.1-6",
)  # fmt: skip
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("durable", [False, True])
def test_qos_2_is_let_in_once_for_each_exchange(version: int, durable: bool) -> None:
    _, sensor, office = pair(version, durable)
    sensor.publish("a/b", b"1", 2, packet_id=7)
    assert sensor.get_one() == Pubrec(7)
    sensor.publish("a/b", b"1", 2, packet_id=7, dup=True)
    assert sensor.get_one() == Pubrec(7)
    sensor.send(Pubrel(7))
    assert sensor.get_one() == Pubcomp(7)
    sensor.publish("a/b", b"2", 2, packet_id=7)
    assert sensor.get_one() == Pubrec(7)
    assert office.payloads() == [b"1", b"2"]


@pytest.mark.clause("MQTT-4.3.3-10", "MQTT3-4.3.3-2", "MQTT-4.4.0-1")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_reconnected_publisher_is_not_taken_for_a_new_one(version: int) -> None:
    hub, sensor, office = pair(version, durable=True)
    sensor.publish("a/b", b"1", 2, packet_id=7)
    sensor.drop()
    sensor = hub.durable("sensor", version)
    sensor.publish("a/b", b"1", 2, packet_id=7, dup=True)
    assert sensor.get_one() == Pubrec(7)
    sensor.drop()
    sensor = hub.durable("sensor", version)
    sensor.send(Pubrel(7))
    assert sensor.get_one() == Pubcomp(7)
    assert office.payloads() == [b"1"]


@pytest.mark.parametrize("version", VERSIONS)
def test_pubrel_of_an_unknown_identifier(version: int) -> None:
    _, sensor, _ = pair(version)
    sensor.send(Pubrel(9))
    expected = Pubcomp(9, codes.PACKET_IDENTIFIER_NOT_FOUND) if version == 5 else Pubcomp(9)
    assert sensor.get_one() == expected
    assert not sensor.closed


@pytest.mark.parametrize("version", VERSIONS)
def test_no_pubcomp_before_the_release_lasts(version: int) -> None:
    """Not for a repeated PUBREL either: the client may use the identifier at once for another message, which a crash
    must not turn into a duplicate."""
    hub, sensor, _ = pair(version, durable=True)
    sensor.publish("a/b", b"1", 2, packet_id=7)
    sensor.get()
    hub.store.automatic = False
    sensor.send(Pubrel(7))
    sensor.send(Pubrel(7))
    assert sensor.get() == []
    hub.commit()
    assert [type(packet) for packet in sensor.get()] == [Pubcomp, Pubcomp]


@pytest.mark.clause("MQTT-4.3.3-13")
def test_the_exchange_of_an_expired_message_is_completed() -> None:
    hub, sensor, office = pair(5, durable=True)
    sensor.publish("a/b", b"x", 2, packet_id=7, properties=Properties(message_expiry_interval=1))
    assert sensor.get_one() == Pubrec(7)
    hub.pass_time(10)
    sensor.publish("a/b", b"x", 2, packet_id=7, dup=True, properties=Properties(message_expiry_interval=1))
    assert sensor.get_one() == Pubrec(7)
    sensor.send(Pubrel(7))
    assert sensor.get_one() == Pubcomp(7)
    assert len(office.get()) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_many_exchanges_at_once(version: int) -> None:
    _, sensor, office = pair(version)
    sensor.send(*[Publish("a/b", str(i).encode(), 2, packet_id=i) for i in range(1, 201)])
    assert sensor.get() == [Pubrec(i) for i in range(1, 201)]
    sensor.send(*[Pubrel(i) for i in range(1, 201)])
    assert sensor.get() == [Pubcomp(i) for i in range(1, 201)]
    assert office.payloads() == [str(i).encode() for i in range(1, 201)]


# Refused by the policy. -----------------------------------------------------------------------------


def limited() -> Hub:
    allowed = [Permission("a/#", True, True), Permission("a/low", True, True, max_qos=0, retain=False)]
    return Hub(principals=[Principal.of("sensor", allowed, [])])


@pytest.mark.clause("MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-4.3.3-9")
def test_a_denied_publish_of_5_0_is_told_by_its_reason_code() -> None:
    hub = limited()
    office = subscribed(hub, "#")
    sensor = hub.client("sensor")
    sensor.publish("b", b"x", 1, packet_id=3)
    answer = sensor.get_one()
    assert isinstance(answer, Puback)
    assert (answer.packet_id, answer.reason_code) == (3, codes.NOT_AUTHORIZED)
    assert "no permission of 'sensor' covers publish 'b'" in (answer.properties.reason_string or "")
    sensor.publish("b", b"x", 2, packet_id=4)
    refused = sensor.get_one()
    assert isinstance(refused, Pubrec)
    assert (refused.packet_id, refused.reason_code) == (4, codes.NOT_AUTHORIZED)
    # The identifier is free: the next message under it is a new one.
    sensor.publish("a/b", b"allowed", 2, packet_id=4)
    assert sensor.get_one() == Pubrec(4)
    sensor.publish("b", b"x", 0)
    assert sensor.get() == []
    assert not sensor.closed
    assert office.payloads() == [b"allowed"]
    assert len(hub.named("publish.denied")) == 3
    assert hub.broker.counters.messages_refused == 3


@pytest.mark.clause("MQTT3-3.3.5-2")
@pytest.mark.parametrize("version", [3, 4])
def test_a_denied_publish_of_older_versions_is_acknowledged_as_normal(version: int) -> None:
    hub = limited()
    office = subscribed(hub, "#")
    sensor = hub.client("sensor", version)
    sensor.publish("b", b"x", 1, packet_id=3)
    assert sensor.get_one() == Puback(3)
    sensor.publish("b", b"x", 2, packet_id=4)
    assert sensor.get_one() == Pubrec(4)
    sensor.send(Pubrel(4))
    assert sensor.get_one() == Pubcomp(4)
    assert office.get() == []
    assert len(hub.named("publish.denied")) == 2


@pytest.mark.clause("MQTT3-3.3.5-2")
@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_or_the_connection_is_closed_where_the_owner_wants_it(version: int, qos: int) -> None:
    config = MqttConfig()
    config.denied_publish_v3 = "close"
    hub = Hub(config=config, principals=limited().principals.values())
    office = subscribed(hub, "#")
    sensor = hub.client("sensor", version)
    sensor.publish("b", b"x", qos)
    assert sensor.closed
    assert sensor.get() == []
    assert office.get() == []


def test_a_refused_qos_2_message_of_3_1_1_is_not_let_in_later() -> None:
    """Its exchange goes on, and a second attempt within it is not judged anew."""
    hub = limited()
    office = subscribed(hub, "#")
    sensor = hub.client("sensor", 4)
    sensor.publish("b", b"x", 2, packet_id=4)
    hub.principals["sensor"].permit([Permission("#", True, True)], [])
    hub.broker.permissions_changed()
    sensor.publish("b", b"x", 2, packet_id=4, dup=True)
    assert sensor.get() == [Pubrec(4), Pubrec(4)]
    assert office.get() == []


@pytest.mark.clause("MQTT-3.4.2-2", "MQTT-3.4.2-3", "MQTT-3.5.2-2", "MQTT-3.5.2-3", "MQTT-3.1.2-24")
@pytest.mark.parametrize(("qos", "packet_type"), [(1, Puback), (2, Pubrec)])
def test_a_reason_string_that_does_not_fit_is_left_out(qos: int, packet_type: type[Puback | Pubrec]) -> None:
    hub = limited()
    sensor = hub.client("sensor", properties=Properties(maximum_packet_size=40))
    sensor.publish("b", b"x", qos)
    answer = sensor.get_one()
    assert isinstance(answer, packet_type)
    assert (answer.reason_code, answer.properties.reason_string) == (codes.NOT_AUTHORIZED, None)


@pytest.mark.clause("MQTT-3.1.2-29")
@pytest.mark.parametrize(("qos", "packet_type"), [(1, Puback), (2, Pubrec)])
def test_who_wants_no_problem_information_gets_none(qos: int, packet_type: type[Puback | Pubrec]) -> None:
    hub = limited()
    sensor = hub.client("sensor", properties=Properties(request_problem_information=0))
    sensor.publish("b", b"x", qos)
    answer = sensor.get_one()
    assert isinstance(answer, packet_type)
    assert (answer.reason_code, answer.properties.reason_string) == (codes.NOT_AUTHORIZED, None)


@pytest.mark.parametrize(("qos", "retain", "allowed"), [(0, False, True), (1, False, False), (0, True, False)])
def test_the_permissions_highest_qos_and_retain(qos: int, retain: bool, allowed: bool) -> None:
    hub = Hub(principals=[Principal.of("sensor", [Permission("a", True, True, max_qos=0, retain=False)], [])])
    office = subscribed(hub, "#")
    sensor = hub.client("sensor")
    sensor.publish("a", b"x", qos, retain)
    assert office.payloads() == ([b"x"] if allowed else [])
    assert len(hub.broker.retained) == 0


# Topic Names and payloads that are refused. ---------------------------------------------------------


@pytest.mark.parametrize("topic", ["/".join(["a"] * 129), "$share/g/a"])
def test_a_topic_name_that_the_hub_does_not_take(topic: str) -> None:
    everything = [Permission("#", True, True), Permission("$share/#", True, True)]
    hub = Hub(principals=[Principal.of("sensor", everything, [])])
    sensor = hub.client("sensor")
    for _ in range(2):
        sensor.publish(topic, b"x", 1)
        answer = sensor.get_one()
        assert isinstance(answer, Puback)
        assert answer.reason_code == codes.TOPIC_NAME_INVALID
    assert not sensor.closed
    assert len(hub.named("publish.refused")) == 2


@pytest.mark.parametrize(("qos", "packet_type"), [(1, Puback), (2, Pubrec)])
def test_a_payload_that_is_not_the_text_it_says_to_be(qos: int, packet_type: type[Puback | Pubrec]) -> None:
    hub = Hub()
    office = subscribed(hub, "#")
    sensor = hub.client("sensor")
    text = Properties(payload_format_indicator=1)
    sensor.publish("a", b"\xff", qos, packet_id=1, properties=text)
    answer = sensor.get_one()
    assert isinstance(answer, packet_type)
    assert answer.reason_code == codes.PAYLOAD_FORMAT_INVALID
    sensor.publish("a", b"\xff", 0, properties=text)
    sensor.publish("a", b"\xff", qos, packet_id=2, properties=Properties(payload_format_indicator=0))
    sensor.publish("a", "\u2713".encode(), qos, packet_id=3, properties=text)
    assert [packet.payload for packet in office.messages()] == [b"\xff", "\u2713".encode()]


def test_who_publishes_to_nobody_is_told_so() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", b"x", 1)
    assert sensor.get_one() == Puback(1, codes.NO_MATCHING_SUBSCRIBERS)
    sensor.publish("a", b"x", 2)
    assert sensor.get_one() == Pubrec(1, codes.NO_MATCHING_SUBSCRIBERS)
    sensor.send(Pubrel(1))
    assert sensor.get_one() == Pubcomp(1)
    sensor.publish("a", b"x", 1, retain=True)
    assert sensor.get_one() == Puback(1)
    old = hub.client("old", 4)
    old.publish("b", b"x", 1)
    assert old.get_one() == Puback(1)


# The hub's Receive Maximum. -------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.3.4-7")
@pytest.mark.parametrize("qos", [1, 2])
def test_more_than_the_hubs_receive_maximum_is_refused(qos: int) -> None:
    config = MqttConfig()
    config.receive_maximum = 3
    hub = Hub(config=config)
    keeper = hub.durable("keeper")
    keeper.subscribe("a", 2)
    sensor = hub.client("sensor")
    hub.store.automatic = False
    for i in (1, 2, 3):
        sensor.publish("a", b"x", qos, packet_id=i)
    assert not sensor.closed
    sensor.publish("a", b"x", 0)
    assert not sensor.closed
    sensor.publish("a", b"x", qos, packet_id=4)
    assert sensor.closed
    farewell = sensor.get()[-1]
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.RECEIVE_MAXIMUM_EXCEEDED


def test_what_is_answered_frees_the_receive_maximum() -> None:
    config = MqttConfig()
    config.receive_maximum = 3
    hub = Hub(config=config)
    keeper = hub.durable("keeper")
    keeper.subscribe("a", 2)
    sensor = hub.client("sensor")
    for round_ in range(5):
        sensor.send(*[Publish("a", b"x", 1, packet_id=i) for i in (1, 2, 3)])
        sensor.send(*[Publish("a", b"x", 2, packet_id=i) for i in (4, 5, 6)])
        sensor.send(Publish("a", b"x", 2, False, True, 4))  # again, within the exchange
        sensor.send(*[Pubrel(i) for i in (4, 5, 6)])
        assert not sensor.closed, round_


@pytest.mark.parametrize("version", VERSIONS)
def test_who_publishes_faster_than_the_disk_takes_it_is_read_no_further(version: int) -> None:
    hub = Hub()
    hub.limits.queue_octets = 10 * BEHIND
    keeper = hub.durable("keeper")
    keeper.subscribe("a", 1)
    sensor = hub.client("sensor", version)
    other = hub.client("other", version)
    hub.store.automatic = False
    payload = bytes(1_000_000)
    sent = 0
    while not sensor.connection.is_congested():
        sent += 1
        assert sent < 100
        sensor.send(Publish("a", payload, 1, packet_id=sent))
    assert sent * len(payload) > BEHIND
    # Who waits for nothing goes on.
    other.publish("b", payload)
    assert not other.connection.is_congested()
    hub.commit()
    hub.commit()
    assert not sensor.connection.is_congested()
    assert sensor.get() == [Puback(number) for number in range(1, sent + 1)]


@pytest.mark.parametrize("version", [3, 4])
def test_older_versions_have_no_receive_maximum_and_are_read_no_further_instead(version: int) -> None:
    config = MqttConfig()
    config.receive_maximum = 3
    hub = Hub(config=config)
    keeper = hub.durable("keeper")
    keeper.subscribe("a", 2)
    sensor = hub.client("sensor", version)
    hub.store.automatic = False
    sensor.send(*[Publish("a", b"x", 1, packet_id=i) for i in range(1, 11)])
    assert not sensor.closed
    assert sensor.connection.is_congested()
    hub.commit()
    assert not sensor.connection.is_congested()
    assert sensor.get() == [Puback(i) for i in range(1, 11)]
