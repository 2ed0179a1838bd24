"""DISCONNECT from the hub: each reason for it, what it says, and that nothing follows (section 3.14)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridgehead.core.errors import UNAVAILABLE
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Connect,
    Disconnect,
    Packet,
    Pingresp,
    Publish,
    Subscribe,
    SubscriptionRequest,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.config import MqttConfig
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def octets(*packets: Packet) -> Callable[[Peer], None]:
    return lambda peer: peer.send_octets(b"".join([encode(packet, peer.version) for packet in packets]))


def raw(data: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.send_octets(data)


# What the client does, the reason code of 5.0, and whether the same is a fault in 3.1.1.
FAULTS: list[tuple[str, Callable[[Peer], None], int, bool]] = [
    ("a second CONNECT", octets(Connect(5, True, 0, "x")), codes.PROTOCOL_ERROR, False),
    ("a server's packet", octets(Pingresp()), codes.PROTOCOL_ERROR, True),
    ("SUBACK", raw(b"\x90\x04\x00\x01\x00\x00"), codes.PROTOCOL_ERROR, True),
    ("reserved packet type", raw(b"\x00\x00"), codes.MALFORMED_PACKET, True),
    ("flags of SUBSCRIBE", raw(b"\x80\x06\x00\x01\x00\x00\x01a"), codes.MALFORMED_PACKET, True),
    ("flags of PUBREL", raw(b"\x60\x02\x00\x01"), codes.MALFORMED_PACKET, True),
    ("flags of UNSUBSCRIBE", raw(b"\xa0\x06\x00\x01\x00\x00\x01a"), codes.MALFORMED_PACKET, True),
    ("flags of DISCONNECT", raw(b"\xe1\x00"), codes.MALFORMED_PACKET, True),
    ("QoS 3", raw(b"\x36\x06\x00\x01a\x00\x01\x00"), codes.MALFORMED_PACKET, True),
    ("DUP with QoS 0", raw(b"\x38\x04\x00\x01a\x00"), codes.MALFORMED_PACKET, True),
    ("Packet Identifier 0", raw(b"\x32\x06\x00\x01a\x00\x00\x00"), codes.PROTOCOL_ERROR, True),
    ("a wildcard in a Topic Name", raw(b"\x30\x05\x00\x02a#\x00"), codes.TOPIC_NAME_INVALID, True),
    ("bad UTF-8", raw(b"\x30\x05\x00\x02\xc3\x28\x00"), codes.MALFORMED_PACKET, True),
    ("a null character", raw(b"\x30\x05\x00\x02a\x00\x00"), codes.MALFORMED_PACKET, True),
    ("a surrogate", raw(b"\x30\x06\x00\x03\xed\xa0\x80\x00"), codes.MALFORMED_PACKET, True),
    ("Remaining Length of five octets", raw(b"\x30\xff\xff\xff\xff\x01"), codes.MALFORMED_PACKET, True),
    ("a packet cut short inside", raw(b"\x30\x02\x00\x05"), codes.MALFORMED_PACKET, True),
    ("SUBSCRIBE without a filter", raw(b"\x82\x03\x00\x01\x00"), codes.PROTOCOL_ERROR, False),
    ("UNSUBSCRIBE without a filter", raw(b"\xa2\x03\x00\x01\x00"), codes.PROTOCOL_ERROR, False),
    ("reserved Subscription Options", raw(b"\x82\x07\x00\x01\x00\x00\x01a\xc0"), codes.MALFORMED_PACKET, False),
    ("Subscription Options with QoS 3", raw(b"\x82\x07\x00\x01\x00\x00\x01a\x03"), codes.PROTOCOL_ERROR, False),
    ("Retain Handling 3", raw(b"\x82\x07\x00\x01\x00\x00\x01a\x30"), codes.PROTOCOL_ERROR, False),
    ("No Local on a shared one", raw(b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04"), codes.PROTOCOL_ERROR, False),
    ("a topic with neither name nor alias", raw(b"\x30\x03\x00\x00\x00"), codes.PROTOCOL_ERROR, True),
    ("an unknown property", raw(b"\x30\x06\x00\x01a\x02\x7f\x00"), codes.MALFORMED_PACKET, False),
    ("a property twice", raw(b"\x30\x08\x00\x01a\x04\x01\x00\x01\x00"), codes.PROTOCOL_ERROR, False),
    ("a client's Subscription Identifier", raw(b"\x30\x06\x00\x01a\x02\x0b\x01"), codes.PROTOCOL_ERROR, False),
]
OLD_FAULTS = [fault for fault in FAULTS if fault[3]]


@pytest.mark.clause(
    "MQTT-4.13.1-1", "MQTT3-4.8.0-1", "MQTT-3.14.2-1", "MQTT-4.13.2-1", "MQTT-3.14.4-2", "MQTT-3.8.3-5",
    "MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1", "MQTT-3.8.3-4", "MQTT-3.3.1-4",
    "MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-3.3.2-2",
)  # fmt: skip
@pytest.mark.parametrize(("name", "fault", "code", "v3"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_of_the_client_is_told_by_its_reason_code(
    name: str, fault: Callable[[Peer], None], code: int, v3: bool
) -> None:
    hub = Hub()
    other = hub.client("other")
    peer = hub.client("sensor")
    fault(peer)
    farewell = peer.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == code
    assert farewell.properties.reason_string
    assert peer.closed
    assert not other.closed
    (fault_reported,) = hub.named("connection.peer-error")
    assert fault_reported["principal"] == "sensor"
    assert not hub.named("connection.ended")


@pytest.mark.clause(
    "MQTT3-4.8.0-1", "MQTT3-2.2.2-2", "MQTT3-3.3.1-4", "MQTT3-1.5.3-1", "MQTT3-1.5.3-2", "MQTT3-3.14.1-1",
    "MQTT3-3.6.1-1", "MQTT3-3.8.1-1", "MQTT3-3.10.1-1",
)  # fmt: skip
@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(("name", "fault", "code", "v3"), OLD_FAULTS, ids=[fault[0] for fault in OLD_FAULTS])
def test_older_versions_are_closed_without_a_word(
    name: str, fault: Callable[[Peer], None], code: int, v3: bool, version: int
) -> None:
    hub = Hub()
    peer = hub.client("sensor", version)
    before = peer.octets
    fault(peer)
    assert peer.closed
    assert peer.octets == before
    assert len(hub.named("connection.peer-error")) == 1


@pytest.mark.clause("MQTT3-3.8.3-4")
@pytest.mark.parametrize("options", [0x03, 0x04, 0x80])
def test_reserved_bits_of_a_3_1_1_subscription_close(options: int) -> None:
    peer = Hub().client("sensor", 4)
    peer.send_octets(b"\x82\x06\x00\x01\x00\x01a" + bytes([options]))
    assert peer.closed


def test_what_came_before_the_fault_is_done() -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("a")
    peer = hub.client("sensor")
    peer.send_octets(encode(Publish("a", b"good"), 5) + b"\x00\x00" + encode(Publish("a", b"after"), 5))
    assert office.payloads() == [b"good"]
    assert peer.closed


@pytest.mark.clause("MQTT-3.14.4-1")
def test_nothing_is_sent_after_disconnect() -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("a")
    office.send_octets(b"\x00\x00")
    assert isinstance(office.get_one(), Disconnect)
    hub.client("sensor").publish("a")
    office.send_octets(b"\xc0\x00")
    assert office.get() == []


# What the hub's owner does. -------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_hub_stops(version: int) -> None:
    hub = Hub()
    peer = hub.client("sensor", version)
    peer.connection.dismiss(UNAVAILABLE, "the hub is stopping")
    hub.settle()
    assert peer.closed
    if version == 5:
        farewell = peer.get_one()
        assert isinstance(farewell, Disconnect)
        assert farewell.reason_code == codes.SERVER_SHUTTING_DOWN
        assert farewell.properties.reason_string == "the hub is stopping"


def test_the_hub_stops_while_an_identity_is_being_proven() -> None:
    hub = Hub()
    peer = hub.peer("sensor", 5)
    peer.proves_itself = False
    peer.send(Connect(5, True, 0, "sensor"))
    peer.connection.dismiss(UNAVAILABLE, "the hub is stopping")
    hub.settle()
    (answer,) = peer.get()
    assert answer.content()["reason_code"] == codes.SERVER_UNAVAILABLE
    assert peer.closed


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("durable", [False, True])
def test_a_revoked_identity_is_sent_away_and_nothing_of_it_stays(version: int, durable: bool) -> None:
    hub = Hub()
    peer = hub.durable("office", version) if durable else hub.client("office", version)
    peer.subscribe("a", 1)
    absent = hub.client("office", client_id="office-2", expiry=100)
    absent.subscribe("a", 1)
    absent.drop()
    hub.client("sensor").publish("a", b"x", 1)
    peer.get()
    hub.broker.revoke("office", "the device was removed")
    hub.settle()
    assert peer.closed
    if version == 5:
        farewell = peer.get_one()
        assert isinstance(farewell, Disconnect)
        assert farewell.reason_code == codes.NOT_AUTHORIZED
    assert hub.broker.sessions.of("office") == []
    assert hub.broker.router.subscriptions == 0
    assert hub.store.everything() == {"keys": [], "logs": {}}


def test_changed_credentials_close_connections_and_keep_sessions() -> None:
    hub = Hub()
    peer = hub.durable("office")
    peer.subscribe("a", 1)
    hub.broker.disconnect("office", "its password was changed")
    hub.settle()
    farewell = peer.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.NOT_AUTHORIZED
    hub.client("sensor").publish("a", b"x", 1)
    assert hub.durable("office").payloads() == [b"x"]


# What it says, and how long. ------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.14.2-3", "MQTT-3.14.2-4", "MQTT-3.1.2-24")
@pytest.mark.parametrize("room", [0, 10])
def test_a_reason_string_that_does_not_fit_is_left_out(room: int) -> None:
    hub = Hub()
    size = len(hub.client("other").octets) + room
    peer = hub.client("sensor", properties=Properties(maximum_packet_size=size))
    peer.send(Subscribe(1, [SubscriptionRequest("a")]))
    peer.get()
    before = len(peer.octets)
    peer.send_octets(b"\x30\x05\x00\x02\xc3\x28\x00")
    farewell = peer.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.properties.reason_string is None
    assert len(peer.octets) - before <= size


@pytest.mark.clause("MQTT-3.1.2-29")
def test_who_wants_no_problem_information_gets_the_bare_code() -> None:
    peer = Hub().client("sensor", properties=Properties(request_problem_information=0))
    peer.send_octets(b"\x00\x00")
    farewell = peer.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.properties.reason_string is None
    assert peer.octets.endswith(b"\xe0\x01\x81")


@pytest.mark.clause("MQTT-3.14.2-2")
def test_the_hubs_disconnect_has_no_session_expiry_interval() -> None:
    peer = Hub().client("sensor", expiry=100)
    peer.send_octets(b"\x00\x00")
    farewell = peer.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.properties.session_expiry_interval is None


def test_a_packet_above_the_hubs_maximum_is_refused_as_soon_as_its_length_is_known() -> None:
    config = MqttConfig()
    config.maximum_packet_size = 1000
    hub = Hub(config=config)
    for version in VERSIONS:
        peer = hub.client("sensor", version)
        peer.send_octets(b"\x30\xe6\x07")  # 998 octets and 3 of fixed header
        assert peer.closed
        if version == 5:
            farewell = peer.get_one()
            assert isinstance(farewell, Disconnect)
            assert farewell.reason_code == codes.PACKET_TOO_LARGE
        exact = hub.client("sensor", version)
        payload = b"x" * (1000 - 6 - (version == 5))
        exact.send_octets(encode(Publish("a", payload), version))
        assert not exact.closed
        exact.send_octets(encode(Publish("a", payload + b"x"), version))
        assert exact.closed


def test_an_answer_of_many_codes_that_the_client_could_not_take() -> None:
    """SUBACK cannot be made shorter, so nothing is subscribed and the client is told why."""
    hub = Hub()
    size = len(hub.client("other").octets)
    peer = hub.client("sensor", properties=Properties(maximum_packet_size=size))
    peer.send(Subscribe(1, [SubscriptionRequest(f"a/{i}") for i in range(size)]))
    farewell = peer.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.PACKET_TOO_LARGE
    assert hub.broker.router.subscriptions == 0
