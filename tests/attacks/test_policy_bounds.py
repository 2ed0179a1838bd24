"""Payload, rate, quota and verified origins: every way around them that a second look at the protocol offers."""

from __future__ import annotations

import pytest

from bridgehead.core.policy import Permission, Principal, Rights
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Puback, Publish, Pubrec, Pubrel, Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

SMALL = b"1234"
LARGE = b"12345"


def house(*permissions: Permission, quota: float = float("inf"), octets: float = float("inf")) -> Hub:
    """The sensor may what is said; the office hears everything."""
    rights = Rights("device sensor", list(permissions), None, quota, octets)
    sensor = Principal("sensor", [rights], {"device": ("sensor",)}, ["*"])
    return Hub(principals=[sensor, Principal.of("office", [Permission("#", False, True)], ["*"])])


def hearing(hub: Hub) -> Peer:
    office = hub.client("office")
    office.subscribe("#", 2)
    return office


def answer(peer: Peer) -> int:
    packet = peer.get_one()
    assert isinstance(packet, Puback | Pubrec)
    return packet.reason_code


# Payload. -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("version", [4, 5])
def test_a_payload_that_is_too_large_reaches_nobody(qos: int, retain: bool, version: int) -> None:
    hub = house(Permission("a/#", True, False, max_payload=4))
    office = hearing(hub)
    sensor = hub.client("sensor", version)
    sensor.publish("a/b", LARGE, qos, retain)
    if qos and version == 5:
        assert answer(sensor) == codes.QUOTA_EXCEEDED
    assert office.payloads() == []
    assert len(hub.broker.retained) == 0
    assert len(hub.named("publish.refused")) == 1
    sensor = hub.client("sensor", version)
    sensor.publish("a/b", SMALL, qos, retain)
    assert office.payloads() == [SMALL]


def test_a_topic_alias_or_a_property_does_not_hide_the_payload() -> None:
    hub = house(Permission("a", True, False, max_payload=4))
    office = hearing(hub)
    sensor = hub.client("sensor")
    sensor.publish("a", SMALL, 1, properties=Properties(topic_alias=1))
    assert answer(sensor) == codes.SUCCESS
    sensor.publish("", LARGE, 1, properties=Properties(topic_alias=1))
    assert answer(sensor) == codes.QUOTA_EXCEEDED
    sensor.publish("a", LARGE, 1, properties=Properties(user_properties=[("a", "b")], payload_format_indicator=1))
    assert answer(sensor) == codes.QUOTA_EXCEEDED
    assert office.payloads() == [SMALL]


@pytest.mark.parametrize("version", [4, 5])
def test_a_will_is_no_way_for_a_large_payload(version: int) -> None:
    hub = house(Permission("a", True, False, max_payload=4))
    office = hearing(hub)
    peer = hub.peer("sensor", version)
    assert peer.connect(will=Will("a", LARGE, 1, True)).reason_code == (codes.PACKET_TOO_LARGE if version == 5 else 3)
    peer = hub.client("sensor", version, will=Will("a", SMALL, 1, True))
    hub.principals["sensor"].permit([Permission("a", True, False, max_payload=3)], ["*"])
    peer.drop()  # what it may is judged when the Will is due
    assert office.payloads() == []
    assert len(hub.broker.retained) == 0
    assert len(hub.named("will.denied")) == 2


def test_a_permission_without_a_bound_beside_it_permits_and_costs_no_second_look() -> None:
    hub = house(Permission("a/#", True, False, max_payload=4), Permission("a/b", True, False, 0))
    office = hearing(hub)
    sensor = hub.client("sensor")
    sensor.publish("a/b", LARGE, 0)
    sensor.publish("a/b", LARGE, 1)  # the one without a bound is for QoS 0
    sensor.publish("a/c", LARGE, 0)
    assert office.payloads() == [LARGE]


# Rate and quota. ------------------------------------------------------------------------------------


def test_several_connections_of_an_identity_share_one_rate() -> None:
    hub = house(Permission("a/#", True, False, rate=3.0))
    office = hearing(hub)
    connections = [hub.client("sensor", client_id=f"c{i}", mechanisms=(by,)) for i, by in enumerate(["psk", "scram"])]
    for i in range(6):
        connections[i % 2].publish(f"a/{i}", str(i).encode(), 1)
    assert office.payloads() == [b"0", b"1", b"2"]
    codes_sent = [[p.reason_code for p in peer.get() if isinstance(p, Puback)] for peer in connections]
    assert codes_sent == [[0, 0, codes.QUOTA_EXCEEDED], [0, codes.QUOTA_EXCEEDED, codes.QUOTA_EXCEEDED]]
    hub.clock.now += 1.0
    for i in range(6):
        connections[i % 2].publish("a/x", str(i).encode(), 0)
    assert office.payloads() == [b"0", b"1", b"2"]


def test_a_new_session_or_a_will_does_not_start_the_second_anew() -> None:
    hub = house(Permission("a", True, False, rate=1.0))
    office = hearing(hub)
    for i in range(5):
        sensor = hub.client("sensor", will=Will("a", b"will", 0, False))
        sensor.publish("a", str(i).encode(), 0)
        sensor.drop()
    assert office.payloads() == [b"0"]
    assert len(hub.named("will.denied")) == 5


def test_a_repeated_qos_2_message_is_counted_once_and_never_delivered_twice() -> None:
    hub = house(Permission("a", True, False, rate=2.0))
    office = hearing(hub)
    sensor = hub.client("sensor")
    for _ in range(5):
        sensor.publish("a", b"1", 2, packet_id=1, dup=True)
    sensor.send(Pubrel(1))
    sensor.get()
    sensor.publish("a", b"2", 2, packet_id=1)
    assert answer(sensor) == codes.SUCCESS
    got = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert [packet.payload for packet in got] == [b"1", b"2"]


def test_another_topic_of_the_same_permission_is_no_second_bucket() -> None:
    hub = house(Permission("a/#", True, False, rate=2.0))
    office = hearing(hub)
    sensor = hub.client("sensor")
    for i in range(10):
        sensor.publish(f"a/{i}", b"x", 0)
    assert len(office.payloads()) == 2


def test_a_quota_counts_what_properties_weigh_and_every_connection() -> None:
    hub = house(Permission("#", True, True), octets=10_000.0)
    office = hearing(hub)
    heavy = Properties(user_properties=[("a", "b")] * 30)
    peers = [hub.client("sensor", client_id=f"c{i}") for i in range(2)]
    for i in range(6):
        peers[i % 2].publish("a", b"", 0, properties=heavy)
    assert len(office.payloads()) == 1  # each weighs more than 6,000 octets
    hub.clock.now += 1.0
    peers[0].publish("a", b"light", 0)
    assert office.payloads() == [b"light"]


def test_a_quota_of_messages_is_told_with_its_reason() -> None:
    hub = house(Permission("#", True, True), quota=1.0)
    sensor = hub.client("sensor")
    sensor.publish("a", b"1", 1)
    sensor.get()
    sensor.publish("a", b"2", 1, packet_id=2)
    packet = sensor.get_one()
    assert isinstance(packet, Puback)
    assert packet.reason_code == codes.QUOTA_EXCEEDED
    assert packet.properties.reason_string is not None
    assert "quota is 1 messages a second" in packet.properties.reason_string


def test_one_identity_s_quota_is_not_another_s() -> None:
    hub = house(Permission("#", True, True), quota=1.0)
    hub.principals["office"].permit([Permission("#", True, True)], ["*"])
    office = hearing(hub)
    sensor = hub.client("sensor")
    for _ in range(5):
        sensor.publish("a", b"sensor", 0)
        office.publish("a", b"office", 0)
    assert office.payloads().count(b"office") == 5


# Verified origins. ----------------------------------------------------------------------------------


def test_publishing_that_needs_a_verified_connection() -> None:
    hub = house(Permission("a", True, False, verified=True))
    office = hearing(hub)
    plain = hub.client("sensor", client_id="p", verified=False)
    plain.publish("a", b"plain", 1)
    assert answer(plain) == codes.NOT_AUTHORIZED
    refused = hub.peer("sensor")
    refused.verified = False
    assert refused.connect("w", will=Will("a", b"will", 0, False)).reason_code == codes.NOT_AUTHORIZED
    protected = hub.client("sensor", client_id="t")
    protected.publish("a", b"protected", 1)
    assert answer(protected) == codes.SUCCESS
    assert office.payloads() == [b"protected"]


def test_a_session_that_was_verified_once_is_not_for_ever() -> None:
    """The session is resumed over a connection that is not: what it publishes is not verified any more."""
    hub = house(Permission("a", True, False, verified=True))
    office = hearing(hub)
    hub.client("sensor", expiry=100, verified=True).drop()
    again = hub.client("sensor", clean_start=False, expiry=100, verified=False)
    again.publish("a", b"x", 1)
    assert answer(again) == codes.NOT_AUTHORIZED
    assert office.payloads() == []


@pytest.mark.parametrize("share", ["", "$share/g/"])
def test_a_subscriber_who_may_hear_verified_origins_only(share: str) -> None:
    """Live, retained, queued, after a crash: the origin stays what it was."""
    hub = house(Permission("#", True, True))
    hub.principals["office"].permit([Permission("#", False, True, verified=True)], ["*"])
    office = hub.client("office", expiry=1000)
    assert office.subscribe(share + "a/#", 1) == [1]
    forger, sensor = hub.client("sensor", client_id="p", verified=False), hub.client("sensor", client_id="t")
    for qos in (0, 1):
        forger.publish("a/x", b"forged", qos, retain=True)
        sensor.publish("a/y", b"true", qos, retain=True)
    assert office.payloads() == [b"true", b"true"]
    office.drop()
    forger.publish("a/x", b"forged", 1)
    sensor.publish("a/y", b"queued", 1)
    hub = hub.crash()
    office = hub.client("office", clean_start=False, expiry=1000)
    assert office.payloads() == [b"queued"]
    office.subscribe("a/+", 1)
    assert office.payloads() == [b"true"]


def test_who_may_hear_everyone_is_not_touched_by_a_neighbour_s_condition() -> None:
    hub = Hub(
        principals=[
            Principal.of("careful", [Permission("a", False, True, verified=True)], []),
            Principal.of(
                "mixed", [Permission("a", False, True, 1, verified=True), Permission("a", False, True, 0)], []
            ),
        ]
    )
    careful, mixed, open_ = hub.client("careful"), hub.client("mixed"), hub.client("open")
    for peer in (careful, mixed, open_):
        peer.subscribe("a", 2)
    hub.client("sensor", verified=False).publish("a", b"x", 1)
    assert [[packet.qos for packet in peer.messages()] for peer in (careful, mixed, open_)] == [[], [0], [1]]
    hub.client("sensor", client_id="t").publish("a", b"y", 1)
    assert [[packet.qos for packet in peer.messages()] for peer in (careful, mixed, open_)] == [[1], [1], [1]]


def test_an_old_client_is_closed_by_a_bound_where_the_listener_says_so() -> None:
    hub = house(Permission("a", True, False, max_payload=4))
    hub.config.denied_publish_v3 = "close"
    sensor = hub.client("sensor", 4)
    sensor.publish("a", LARGE, 0)
    assert sensor.closed
    assert not any(isinstance(packet, Disconnect) for packet in sensor.get())
