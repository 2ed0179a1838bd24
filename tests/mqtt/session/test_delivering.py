"""PUBLISH to a client: QoS 0, 1 and 2 as the hub sends them, and how they are acknowledged (section 4.3)."""

from __future__ import annotations

import pytest

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def pair(version: int, qos: int, durable: bool = False, receive_maximum: int | None = None) -> tuple[Hub, Peer, Peer]:
    hub = Hub()
    expiry = 100 if durable else None
    properties = Properties(receive_maximum=receive_maximum, session_expiry_interval=expiry)
    office = hub.client("office", version, properties=properties, clean_start=not durable)
    office.subscribe("a/#", qos)
    return hub, hub.client("sensor"), office


def published(packet: Packet) -> Publish:
    assert isinstance(packet, Publish)
    return packet


@pytest.mark.clause("MQTT-3.8.4-8", "MQTT3-3.8.4-6", "MQTT-4.3.1-1", "MQTT3-4.3.1-1", "MQTT-2.2.1-2", "MQTT3-2.3.1-5")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("sent", [0, 1, 2])
def test_the_lower_of_published_and_granted_qos(version: int, durable: bool, granted: int, sent: int) -> None:
    _, sensor, office = pair(version, granted, durable)
    sensor.publish("a/b", b"x", sent)
    message = published(office.get_one())
    assert message.qos == min(granted, sent)
    assert not message.dup
    assert (message.packet_id == 0) is (message.qos == 0)
    assert message.payload == b"x"


@pytest.mark.clause("MQTT-3.8.4-8", "MQTT3-3.8.4-6")
def test_what_was_granted_bounds_also_topics_where_more_is_permitted() -> None:
    allowed = [Permission("a/#", True, True, max_qos=0), Permission("a/b", True, True, max_qos=2)]
    hub = Hub(principals=[Principal.of("office", allowed, [])])
    office = hub.client("office")
    assert office.subscribe("a/#", 2) == [0]
    hub.client("sensor").publish("a/b", b"x", 2)
    assert published(office.get_one()).qos == 0
    assert office.subscribe("a/b", 2) == [2]
    hub.client("sensor").publish("a/b", b"x", 2)
    assert published(office.get_one()).qos == 2


@pytest.mark.clause("MQTT-3.3.2-3", "MQTT3-3.3.2-3")
@pytest.mark.parametrize("topic", ["a", "a/", "a/b", "a//b", "a/\u00e9/\U0001f600", "a/b" * 50])
def test_the_topic_name_is_the_publishers(topic: str) -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("#")
    hub.client("sensor").publish(topic, b"x")
    assert published(office.get_one()).topic == topic


@pytest.mark.parametrize("sender", VERSIONS)
@pytest.mark.parametrize("receiver", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 20_000])
def test_payloads_of_every_size_between_versions(sender: int, receiver: int, qos: int, size: int) -> None:
    hub = Hub()
    office = hub.client("office", receiver)
    office.subscribe("a", qos)
    payload = bytes(i % 256 for i in range(size))
    hub.client("sensor", sender).publish("a", payload, qos)
    assert published(office.get_one()).payload == payload


# QoS 1. ---------------------------------------------------------------------------------------------


@pytest.mark.clause(
    "MQTT-4.3.2-1", "MQTT-4.3.2-2", "MQTT-4.3.2-3", "MQTT3-4.3.2-1", "MQTT-2.2.1-4", "MQTT3-2.3.1-1", "MQTT3-2.3.1-4"
)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_identifiers_in_flight_differ_and_are_never_0(version: int, qos: int) -> None:
    _, sensor, office = pair(version, qos)
    for i in range(500):
        sensor.publish("a/b", b"x", qos, packet_id=i + 1)
        sensor.send(Pubrel(i + 1))
    identifiers = [published(packet).packet_id for packet in office.get()]
    assert len(set(identifiers)) == 500
    assert 0 not in identifiers


@pytest.mark.clause("MQTT-2.2.1-4", "MQTT-4.3.2-1")
def test_an_identifier_that_is_still_in_flight_is_not_given_again() -> None:
    """One message is never acknowledged while the identifiers go round."""
    _, sensor, office = pair(4, 1)
    sensor.publish("a/stuck", b"x", 1)
    stuck = published(office.get_one()).packet_id
    seen = 0
    for _ in range(140):
        sensor.send(*[Publish("a/b", b"x", 1, packet_id=i) for i in range(1, 501)])
        got = [published(packet).packet_id for packet in office.get()]
        seen += len(got)
        assert stuck not in got
        office.send(*[Puback(packet_id) for packet_id in got])
    assert seen < 70_000
    office.send(Puback(stuck))
    more = [published(packet).packet_id for packet in office.get()]
    assert more[0] == stuck  # free now, and its turn
    assert len(set(more)) == len(more)


@pytest.mark.parametrize("version", VERSIONS)
def test_acknowledgements_of_nothing_harm_nobody(version: int) -> None:
    hub, sensor, office = pair(version, 1)
    office.send(Puback(1), Pubcomp(1), Puback(65535))
    assert office.get() == []
    sensor.publish("a/b", b"x", 1)
    packet = published(office.get_one())
    office.send(Pubcomp(packet.packet_id))  # not what a QoS 1 message is acknowledged with
    assert len(hub.broker.sessions.of("office")[0].in_flight) == 1
    office.send(Puback(packet.packet_id), Puback(packet.packet_id))
    assert hub.broker.sessions.of("office")[0].in_flight == {}
    assert not office.closed


def test_a_stray_acknowledgement_is_cheap_also_in_an_old_session() -> None:
    hub, sensor, office = pair(4, 1)
    hub.broker.sessions.of("office")[0].next_sequence = 1 << 55
    office.send(Puback(5))
    sensor.publish("a/b", b"x", 1)
    packet = published(office.get_one())
    office.send(Puback(packet.packet_id))
    assert hub.broker.sessions.of("office")[0].in_flight == {}


@pytest.mark.clause("MQTT-4.4.0-2", "MQTT-4.3.2-3")
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("code", [codes.UNSPECIFIED_ERROR, codes.NOT_AUTHORIZED, codes.QUOTA_EXCEEDED])
def test_a_message_that_the_client_refuses_is_over(qos: int, code: int) -> None:
    hub, sensor, office = pair(5, qos, durable=True, receive_maximum=1)
    sensor.publish("a/b", b"refused", qos, packet_id=1)
    sensor.publish("a/b", b"next", qos, packet_id=2)
    first = published(office.get_one())
    office.send(Puback(first.packet_id, code) if qos == 1 else Pubrec(first.packet_id, code))
    second = published(office.get_one())  # no PUBREL, and room for the next one
    assert second.payload == b"next"
    office.drop()
    office = hub.durable("office")
    assert [published(packet).payload for packet in office.get()] == [b"next"]


@pytest.mark.clause("MQTT-4.3.2-3", "MQTT-4.4.0-1")
def test_a_positive_code_other_than_success_acknowledges_too() -> None:
    hub, sensor, office = pair(5, 1, durable=True)
    sensor.publish("a/b", b"x", 1)
    office.send(Puback(published(office.get_one()).packet_id, codes.NO_MATCHING_SUBSCRIBERS))
    office.drop()
    assert hub.durable("office").get() == []


@pytest.mark.clause("MQTT-4.4.0-1", "MQTT-4.3.2-3")
@pytest.mark.parametrize("qos", [1, 2])
def test_nothing_is_sent_again_within_a_connection(qos: int) -> None:
    hub, sensor, office = pair(5, qos, durable=True)
    sensor.publish("a/b", b"x", qos)
    assert len(office.get()) == 1
    hub.pass_time(1000)
    sensor.publish("a/b", b"y", 0)
    assert [published(packet).payload for packet in office.get()] == [b"y"]


# QoS 2. ---------------------------------------------------------------------------------------------


@pytest.mark.clause(
    "MQTT-4.3.3-1", "MQTT-4.3.3-2", "MQTT-4.3.3-3", "MQTT-4.3.3-4", "MQTT-4.3.3-5", "MQTT3-4.3.3-1", "MQTT-3.6.1-1",
    "MQTT3-3.6.1-1", "MQTT-2.2.1-5", "MQTT-3.6.2-1",
)  # fmt: skip
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("durable", [False, True])
def test_the_four_packets(version: int, durable: bool) -> None:
    hub, sensor, office = pair(version, 2, durable)
    sensor.publish("a/b", b"x", 2)
    packet_id = published(office.get_one()).packet_id
    office.send(Pubrec(packet_id))
    assert office.get_one() == Pubrel(packet_id)
    assert office.octets.endswith(bytes([0x62, 2, packet_id >> 8, packet_id & 255]))
    assert len(hub.broker.sessions.of("office")[0].in_flight) == 1
    office.send(Pubcomp(packet_id))
    assert office.get() == []
    assert hub.broker.sessions.of("office")[0].in_flight == {}
    assert hub.store.records.get("q1", {}) == {}


@pytest.mark.clause("MQTT-4.3.3-6", "MQTT3-4.3.3-1", "MQTT-4.4.0-1", "MQTT3-4.4.0-1", "MQTT-4.3.3-5")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("crash", [False, True])
def test_after_pubrel_only_pubrel_is_sent_again(version: int, crash: bool) -> None:
    hub, sensor, office = pair(version, 2, durable=True)
    sensor.publish("a/b", b"x", 2)
    packet_id = published(office.get_one()).packet_id
    office.send(Pubrec(packet_id))
    assert office.get_one() == Pubrel(packet_id)
    for _ in range(3):
        office.drop()
        if crash:
            hub = hub.crash()
        office = hub.durable("office", version)
        assert office.get_one() == Pubrel(packet_id)
    office.send(Pubrec(packet_id))  # it may come again as well
    assert office.get_one() == Pubrel(packet_id)
    office.send(Pubcomp(packet_id))
    office.drop()
    assert hub.durable("office", version).get() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_pubrec_of_an_unknown_identifier(version: int) -> None:
    _, _, office = pair(version, 2)
    office.send(Pubrec(9))
    expected = Pubrel(9, codes.PACKET_IDENTIFIER_NOT_FOUND) if version == 5 else Pubrel(9)
    assert office.get_one() == expected
    office.send(Pubcomp(9))
    assert not office.closed


def test_a_refusing_pubrec_of_an_unknown_identifier_is_not_answered() -> None:
    _, _, office = pair(5, 2)
    office.send(Pubrec(9, codes.UNSPECIFIED_ERROR))
    assert office.get() == []


def test_a_pubcomp_that_comes_too_early_completes_nothing() -> None:
    hub, sensor, office = pair(5, 2, durable=True)
    sensor.publish("a/b", b"x", 2)
    packet_id = published(office.get_one()).packet_id
    office.send(Pubcomp(packet_id))
    office.drop()
    office = hub.durable("office")
    assert published(office.get_one()).packet_id == packet_id


@pytest.mark.clause("MQTT-4.3.3-4")
def test_pubrel_goes_out_once_it_lasts_that_the_client_has_the_message() -> None:
    """Else a crash would send the PUBLISH again to a client that no longer knows the identifier."""
    hub, sensor, office = pair(5, 2, durable=True)
    sensor.publish("a/b", b"x", 2)
    packet_id = published(office.get_one()).packet_id
    hub.store.automatic = False
    office.send(Pubrec(packet_id))
    assert office.get() == []
    hub.commit()
    assert office.get_one() == Pubrel(packet_id)


@pytest.mark.clause("MQTT-4.3.3-7", "MQTT-4.3.3-13")
def test_a_message_that_was_sent_does_not_expire() -> None:
    hub, sensor, office = pair(5, 2, durable=True)
    sensor.publish("a/b", b"x", 2, properties=Properties(message_expiry_interval=10))
    packet_id = published(office.get_one()).packet_id
    office.drop()
    hub.pass_time(50)
    office = hub.durable("office")
    again = published(office.get_one())
    assert (again.packet_id, again.dup) == (packet_id, True)
    assert again.properties.message_expiry_interval == 0


# Order. ---------------------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-4.6.0-5", "MQTT-4.6.0-6", "MQTT3-4.6.0-5", "MQTT3-4.6.0-6")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_keep_their_order_through_a_narrow_window(version: int, durable: bool, qos: int) -> None:
    hub, sensor, office = pair(version, qos, durable, receive_maximum=3 if version == 5 else None)
    got: list[bytes] = []
    for i in range(50):
        sensor.publish("a/b", str(i).encode(), qos, packet_id=i + 1)
        sensor.send(Pubrel(i + 1))
        if i == 25 and durable:
            office.drop()
            office = hub.durable("office", version)
    for _ in range(200):
        packets = office.get()
        for packet in packets:
            if isinstance(packet, Publish):
                if not packet.dup or packet.payload not in got:
                    got.append(packet.payload)
                if packet.qos:
                    office.send(Puback(packet.packet_id) if qos == 1 else Pubrec(packet.packet_id))
            elif isinstance(packet, Pubrel):
                office.send(Pubcomp(packet.packet_id))
    assert got == sorted(got, key=int)
    assert len(got) == 50 or (qos == 0 and durable)


@pytest.mark.clause("MQTT-4.4.0-1", "MQTT3-4.4.0-1", "MQTT3-2.3.1-3", "MQTT-3.3.1-1", "MQTT3-3.3.1-1")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("crash", [False, True])
def test_what_was_not_acknowledged_comes_again_first_and_in_its_order(version: int, crash: bool) -> None:
    hub, sensor, office = pair(version, 2, durable=True)
    for i, qos in enumerate([1, 2, 1, 2, 1, 2]):
        sensor.publish("a/b", str(i).encode(), qos, packet_id=i + 1)
    sent = [published(packet) for packet in office.get()]
    office.send(Puback(sent[0].packet_id), Pubrec(sent[3].packet_id))
    assert office.get_one() == Pubrel(sent[3].packet_id)
    office.drop()
    sensor.publish("a/b", b"new", 1, packet_id=100)
    if crash:
        hub = hub.crash()
    office = hub.durable("office", version)
    resent = office.get()
    assert resent[0] == Pubrel(sent[3].packet_id)
    assert [(published(p).payload, published(p).packet_id, published(p).dup) for p in resent[1:-1]] == [
        (sent[i].payload, sent[i].packet_id, True) for i in (1, 2, 4, 5)
    ]
    assert (published(resent[-1]).payload, published(resent[-1]).dup) == (b"new", False)


@pytest.mark.clause("MQTT-4.3.2-2", "MQTT-4.3.3-2", "MQTT-3.3.1-1")
@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_never_sent_has_dup_0_also_after_a_crash(qos: int) -> None:
    hub, sensor, office = pair(5, qos, durable=True)
    office.drop()
    sensor.publish("a/b", b"x", qos)
    hub = hub.crash().crash()
    office = hub.durable("office")
    assert not published(office.get_one()).dup
    office.drop()
    hub = hub.crash()
    office = hub.durable("office")
    assert published(office.get_one()).dup


@pytest.mark.parametrize("version", VERSIONS)
def test_a_disconnect_in_mid_exchange_loses_nothing(version: int) -> None:
    hub, sensor, office = pair(version, 2, durable=True)
    sensor.publish("a/b", b"1", 1, packet_id=1)
    sensor.publish("a/b", b"2", 2, packet_id=2)
    office.send(Disconnect())
    office = hub.durable("office", version)
    assert [published(packet).payload for packet in office.get()] == [b"1", b"2"]
