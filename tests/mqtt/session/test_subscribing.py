"""SUBSCRIBE and UNSUBSCRIBE: what is granted, refused, replaced and ended (sections 3.8 to 3.11)."""

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
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def suback(peer: Peer) -> Suback:
    answer = peer.get_one()
    assert isinstance(answer, Suback)
    return answer


def unsubscribe(peer: Peer, *topic_filters: str, packet_id: int = 9) -> list[int]:
    """The reason codes; none in older versions."""
    peer.send(Unsubscribe(packet_id, list(topic_filters)))
    answer = peer.received.pop(0)
    assert isinstance(answer, Unsuback)
    assert answer.packet_id == packet_id
    return answer.reason_codes


@pytest.mark.clause(
    "MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-3.8.4-5", "MQTT-3.8.4-6", "MQTT-3.8.4-7", "MQTT-3.9.3-1", "MQTT-2.2.1-6",
    "MQTT3-3.8.4-1", "MQTT3-3.8.4-2", "MQTT3-3.8.4-4", "MQTT3-3.8.4-5", "MQTT3-3.9.3-1", "MQTT3-2.3.1-7",
    "MQTT-3.9.3-2", "MQTT3-3.9.3-2",
)  # fmt: skip
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("packet_id", [1, 256, 65535])
def test_one_suback_with_a_code_for_each_filter_in_their_order(version: int, packet_id: int) -> None:
    hub = Hub(
        principals=[Principal.of("office", [Permission("a/#", False, True), Permission("b", False, True, 1)], [])]
    )
    office = hub.client("office", version)
    requests = [("a/1", 2), ("denied", 1), ("b", 2), ("a/#", 0), ("a/+/b", 1)]
    office.send(Subscribe(packet_id, [SubscriptionRequest(name, qos) for name, qos in requests]))
    answer = suback(office)
    assert answer.packet_id == packet_id
    denied = codes.NOT_AUTHORIZED if version == 5 else 0x80
    assert answer.reason_codes == [2, denied, 1, 0, 1]
    assert set(hub.broker.sessions.of("office")[0].subscriptions) == {"a/1", "b", "a/#", "a/+/b"}


@pytest.mark.clause("MQTT-3.8.4-5", "MQTT3-3.8.4-4")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_filter_that_comes_twice_in_one_subscribe_counts_as_two_subscribes(version: int) -> None:
    hub = Hub()
    office = hub.client("office", version)
    office.send(Subscribe(1, [SubscriptionRequest("a", 0), SubscriptionRequest("a", 2)]))
    assert suback(office).reason_codes == [0, 2]
    hub.client("sensor").publish("a", b"x", 2)
    (message,) = office.messages()
    assert message.qos == 2


@pytest.mark.clause("MQTT-3.9.3-2", "MQTT3-3.9.3-2")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "topic_filter",
    ["a/#/b", "a#", "a+", "+a/b", "#/", "", "/".join(["a"] * 129), "$share/", "$share/g", "$share/g/", "$share//a",
     "$share/+/a", "$share/g#/a", "$share/g/a#"],
)  # fmt: skip
def test_an_invalid_filter_is_refused_and_the_others_are_granted(version: int, topic_filter: str) -> None:
    hub = Hub()
    office = hub.client("office", version)
    requests = [SubscriptionRequest("a", 1), SubscriptionRequest(topic_filter, 1), SubscriptionRequest("b", 0)]
    office.send(Subscribe(1, requests))
    refused = codes.TOPIC_FILTER_INVALID if version == 5 else 0x80
    assert suback(office).reason_codes == [1, refused, 0]
    assert hub.broker.router.subscriptions == 2
    assert not office.closed


@pytest.mark.parametrize("topic_filter", ["#", "+", "a/+/#", "/", "//", "a b", "$a", "$share", "$SYS/#", "\ufeff"])
def test_unusual_filters_that_are_valid(topic_filter: str) -> None:
    everything = [Permission("#", True, True), Permission("$a", True, True), Permission("$SYS/#", True, True)]
    hub = Hub(principals=[Principal.of("office", [*everything, Permission("$share", True, True)], [])])
    assert hub.client("office").subscribe(topic_filter, 1) == [1]


# Replacing. -----------------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.8.4-3", "MQTT3-3.8.4-3")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("durable", [False, True])
def test_the_same_filter_again_replaces_the_subscription(version: int, durable: bool) -> None:
    hub = Hub()
    office = hub.durable("office", version) if durable else hub.client("office", version)
    sensor = hub.client("sensor")
    for packet_id, qos in enumerate((2, 0, 1), 1):
        assert office.subscribe("a/+", qos) == [qos]
        sensor.publish("a/b", b"x", 2, packet_id=packet_id)
        (message,) = office.messages()
        assert message.qos == qos
    assert hub.broker.router.subscriptions == 1
    if durable:
        office.drop()
        hub = hub.crash()
        hub.client("sensor").publish("a/b", b"x", 2)
        (message,) = [m for m in hub.durable("office", version).messages() if m.payload == b"x" and not m.dup]
        assert message.qos == 1


@pytest.mark.clause("MQTT-3.8.4-4")
def test_replacing_loses_no_message_that_is_on_its_way() -> None:
    hub = Hub()
    office = hub.client("office", properties=Properties(receive_maximum=1))
    office.subscribe("a", 1)
    sensor = hub.client("sensor")
    for i in range(5):
        sensor.publish("a", str(i).encode(), 1)
    office.send(Subscribe(2, [SubscriptionRequest("a", 1)]))
    for i in range(5, 10):
        sensor.publish("a", str(i).encode(), 1)
    got: list[bytes] = []
    while packets := office.messages():
        got += [packet.payload for packet in packets]
    assert got == [str(i).encode() for i in range(10)]


def test_a_new_identifier_replaces_the_old_one() -> None:
    hub = Hub()
    office = hub.client("office")
    sensor = hub.client("sensor")
    for identifier in (1, 268435455, None):
        office.subscribe("a", identifier=identifier)
        sensor.publish("a")
        (message,) = office.messages()
        assert message.properties.subscription_identifiers == ([identifier] if identifier else [])


# Overlapping subscriptions and Subscription Identifiers. --------------------------------------------


@pytest.mark.clause("MQTT-3.3.4-2", "MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT3-3.3.5-1")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_overlapping_subscriptions_get_one_copy_with_the_highest_qos_and_all_identifiers(
    version: int, qos: int
) -> None:
    hub = Hub()
    office = hub.client("office", version)
    office.subscribe("a/#", 0, identifier=10)
    office.subscribe("a/+", 2, identifier=20)
    office.subscribe("a/b", 1)
    office.subscribe("a/b/#", 1, identifier=10)
    office.subscribe("c", 2, identifier=99)
    hub.client("sensor").publish("a/b", b"x", qos)
    (message,) = office.messages()
    assert message.qos == qos
    expected = [10, 10, 20] if version == 5 else []
    assert sorted(message.properties.subscription_identifiers) == expected


@pytest.mark.clause("MQTT-3.3.4-4", "MQTT-3.3.4-3")
def test_identifiers_survive_a_queue_and_a_crash() -> None:
    hub = Hub()
    office = hub.durable("office")
    office.subscribe("a", 1, identifier=300)
    office.drop()
    hub.client("sensor").publish("a", b"1", 1)
    hub = hub.crash()
    hub.client("sensor").publish("a", b"2", 1)
    messages = hub.durable("office").messages()
    assert [(m.payload, m.properties.subscription_identifiers) for m in messages] == [(b"1", [300]), (b"2", [300])]


# No Local and Retain As Published. ------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.8.3-3")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("durable", [False, True])
def test_no_local_keeps_a_clients_own_messages_away(qos: int, durable: bool) -> None:
    hub = Hub()
    one = hub.durable("one") if durable else hub.client("one")
    two = hub.durable("two") if durable else hub.client("two")
    for peer in (one, two):
        peer.subscribe("a", 2, no_local=True)
    one.publish("a", b"from one", qos, packet_id=1)
    two.publish("a", b"from two", qos, packet_id=2)
    assert one.payloads() == [b"from two"]
    assert two.payloads() == [b"from one"]
    if durable:
        one.drop()
        one = hub.durable("one")
        one.get()
        one.publish("a", b"after", qos, packet_id=3)
        assert one.payloads() == []


@pytest.mark.clause("MQTT-3.8.3-3")
def test_no_local_on_one_of_two_overlapping_subscriptions() -> None:
    hub = Hub()
    one = hub.client("one")
    one.subscribe("a/#", 2, no_local=True, identifier=1)
    one.subscribe("a/b", 0, identifier=2)
    one.publish("a/b", b"own", 2)
    (own,) = one.messages()
    assert (own.qos, own.properties.subscription_identifiers) == (0, [2])
    hub.client("two").publish("a/b", b"other's", 2)
    (others,) = one.messages()
    assert (others.qos, sorted(others.properties.subscription_identifiers)) == (2, [1, 2])


def test_no_local_is_about_the_client_identifier_not_the_identity() -> None:
    hub = Hub()
    one = hub.client("one", client_id="one-1")
    other = hub.client("one", client_id="one-2")
    one.subscribe("a", no_local=True)
    other.publish("a", b"x")
    assert one.payloads() == [b"x"]


@pytest.mark.clause("MQTT-3.3.1-12", "MQTT-3.3.1-13")
@pytest.mark.parametrize("option", [False, True])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_retain_as_published(option: bool, retain: bool, qos: int) -> None:
    hub = Hub()
    office = hub.durable("office")
    office.subscribe("a", 2, retain_as_published=option)
    office.subscribe("a/#", 1)
    sensor = hub.client("sensor")
    sensor.publish("a", b"1", qos, retain, packet_id=1)
    (message,) = office.messages()
    assert message.retain is (option and retain)
    office.drop()
    sensor.publish("a", b"2", qos, retain, packet_id=2)
    again = [m for m in hub.crash().durable("office").messages() if m.payload == b"2"]
    assert [m.retain for m in again] == ([option and retain] if qos else [])


# UNSUBSCRIBE. ---------------------------------------------------------------------------------------


@pytest.mark.clause(
    "MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-3.10.4-6", "MQTT-3.11.3-1",
    "MQTT-3.11.3-2", "MQTT-2.2.1-6", "MQTT3-3.10.4-1", "MQTT3-3.10.4-2", "MQTT3-3.10.4-4", "MQTT3-3.10.4-5",
    "MQTT3-3.10.4-6", "MQTT3-2.3.1-7",
)  # fmt: skip
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("durable", [False, True])
def test_one_unsuback_and_the_filters_are_compared_character_by_character(version: int, durable: bool) -> None:
    hub = Hub()
    office = hub.durable("office", version) if durable else hub.client("office", version)
    for topic_filter in ("a/+", "a/b", "c"):
        office.subscribe(topic_filter, 1)
    answer = unsubscribe(office, "a/#", "a/+", "A/B", "a/+", "a#")
    if version == 5:
        missing = codes.NO_SUBSCRIPTION_EXISTED
        assert answer == [missing, codes.SUCCESS, missing, missing, codes.TOPIC_FILTER_INVALID]
    sensor = hub.client("sensor")
    sensor.publish("a/x", b"gone", 1)
    sensor.publish("a/b", b"stays", 1)
    assert office.payloads() == [b"stays"]
    if durable:
        office.drop()
        hub = hub.crash()
        sensor = hub.client("sensor")
        sensor.publish("a/x", b"gone", 1)
        sensor.publish("c", b"stays", 1)
        assert hub.durable("office", version).payloads() == [b"stays"]


@pytest.mark.clause("MQTT-3.10.4-3", "MQTT3-3.10.4-3")
@pytest.mark.parametrize("version", VERSIONS)
def test_deliveries_that_have_begun_are_completed(version: int) -> None:
    hub = Hub()
    office = hub.durable("office", version)
    office.subscribe("a", 2)
    sensor = hub.client("sensor")
    sensor.publish("a", b"1", 1, packet_id=1)
    sensor.publish("a", b"2", 2, packet_id=2)
    one, two = office.get()
    assert isinstance(one, Publish)
    assert isinstance(two, Publish)
    unsubscribe(office, "a")
    office.send(Pubrec(two.packet_id))
    assert office.get_one() == Pubrel(two.packet_id)
    office.drop()
    office = hub.durable("office", version)
    assert office.get()[0] == Pubrel(two.packet_id)
    assert hub.broker.sessions.of("office")[0].in_flight


def test_a_shared_subscription_ends_by_its_whole_filter() -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("$share/g/a", 1)
    assert unsubscribe(office, "a", "$share/h/a", "$share/g", "$share/g/a") == [
        codes.NO_SUBSCRIPTION_EXISTED,
        codes.NO_SUBSCRIPTION_EXISTED,
        codes.TOPIC_FILTER_INVALID,
        codes.SUCCESS,
    ]
    hub.client("sensor").publish("a", b"x", 1)
    assert office.get() == []


# SUBACK waits for the disk where it promises something that lasts. ----------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_suback_and_unsuback_come_once_they_last(version: int) -> None:
    hub = Hub()
    office = hub.durable("office", version)
    hub.store.automatic = False
    office.send(Subscribe(1, [SubscriptionRequest("a", 1)]))
    assert office.get() == []
    hub.commit()
    assert isinstance(office.get_one(), Suback)
    office.send(Unsubscribe(2, ["a"]))
    assert office.get() == []
    hub.commit()
    assert isinstance(office.get_one(), Unsuback)
    passing = hub.client("passing", version)
    passing.send(Subscribe(1, [SubscriptionRequest("a", 1)]))
    assert isinstance(passing.get_one(), Suback)


# Reasons and sizes. ---------------------------------------------------------------------------------


def test_suback_says_why_a_filter_was_refused() -> None:
    hub = Hub(principals=[Principal.of("office", [Permission("a", False, True)], [])])
    office = hub.client("office")
    office.send(Subscribe(1, [SubscriptionRequest("b"), SubscriptionRequest("a"), SubscriptionRequest("c/#")]))
    reason = suback(office).properties.reason_string or ""
    assert "covers subscribe 'b'" in reason
    assert "covers subscribe 'c/#'" in reason
    assert [fields["filter"] for fields in hub.named("subscribe.denied")] == ["b", "c/#"]


@pytest.mark.clause("MQTT-3.9.2-1", "MQTT-3.9.2-2", "MQTT-3.1.2-24", "MQTT-3.1.2-29")
@pytest.mark.parametrize("properties", [Properties(maximum_packet_size=60), Properties(request_problem_information=0)])
def test_no_reason_string_where_it_does_not_fit_or_is_not_wanted(properties: Properties) -> None:
    hub = Hub(principals=[Principal.of("office", [], [])])
    office = hub.client("office", properties=properties)
    office.send(Subscribe(1, [SubscriptionRequest("b"), SubscriptionRequest("a")]))
    answer = suback(office)
    assert answer.reason_codes == [codes.NOT_AUTHORIZED] * 2
    assert answer.properties.reason_string is None


@pytest.mark.clause("MQTT-3.11.2-1", "MQTT-3.11.2-2")
def test_unsuback_has_neither_reason_string_nor_user_properties() -> None:
    office = Hub().client("office")
    office.send(Unsubscribe(1, ["a", "a#"]))
    answer = office.get_one()
    assert isinstance(answer, Unsuback)
    assert answer.properties == Properties()


# Ceilings. ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_ceiling_of_a_session(version: int) -> None:
    limits = Limits()
    limits.subscriptions_per_session = 3
    hub = Hub(limits=limits)
    office = hub.client("office", version)
    office.send(Subscribe(1, [SubscriptionRequest(f"a/{i}", 1) for i in range(5)]))
    full = codes.QUOTA_EXCEEDED if version == 5 else 0x80
    assert suback(office).reason_codes == [1, 1, 1, full, full]
    assert office.subscribe("a/1", 0) == [0]  # replacing needs no room
    unsubscribe(office, "a/0")
    assert office.subscribe("a/9", 2) == [2]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_ceiling_of_the_hub(version: int) -> None:
    limits = Limits()
    limits.subscriptions = 3
    hub = Hub(limits=limits)
    one = hub.client("one", version)
    one.send(Subscribe(1, [SubscriptionRequest("a"), SubscriptionRequest("$share/g/a"), SubscriptionRequest("b")]))
    assert suback(one).reason_codes == [0, 0, 0]
    two = hub.client("two", version)
    full = codes.QUOTA_EXCEEDED if version == 5 else 0x80
    assert two.subscribe("a") == [full]
    one.drop()
    assert two.subscribe("a") == [0]


def test_subscriptions_by_the_million_from_one_client_are_bounded() -> None:
    hub = Hub()
    office = hub.client("office")
    for i in range(100):
        office.send(Subscribe(1, [SubscriptionRequest(f"a/{i}/{j}") for j in range(1000)]))
    granted = sum(answer.reason_codes.count(0) for answer in office.get() if isinstance(answer, Suback))
    assert granted == hub.broker.router.subscriptions == hub.limits.subscriptions_per_session
    assert not office.closed


def test_a_message_that_matches_a_thousand_subscriptions_of_one_client_goes_out_once() -> None:
    hub = Hub()
    office = hub.client("office")
    filters = ["/".join(["+" if (i >> bit) & 1 else "a" for bit in range(10)]) for i in range(999)]
    for i, topic_filter in enumerate(filters, 1):
        office.subscribe(topic_filter, 1, identifier=i)
    hub.client("sensor").publish("/".join(["a"] * 10), b"x", 1)
    (message,) = office.messages()
    assert sorted(message.properties.subscription_identifiers) == list(range(1, 1000))
    office.send(Puback(message.packet_id))
