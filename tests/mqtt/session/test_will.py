"""The Will Message: when it is published, with what, and when it is not (section 3.1.2.5)."""

from __future__ import annotations

import pytest

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Connect, Disconnect, Pingreq, Publish, Suback, Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def watched(hub: Hub) -> Peer:
    watcher = hub.client("watcher")
    watcher.subscribe("state/#", 2, retain_as_published=True)
    return watcher


def drop(peer: Peer) -> None:
    peer.drop()


def protocol_error(peer: Peer) -> None:
    peer.send(Connect(peer.version, True, 0, "sensor"))


def malformed(peer: Peer) -> None:
    peer.send_octets(b"\x00\x00")


def keep_alive_timeout(peer: Peer) -> None:
    peer.hub.pass_time(100)


def wrong_packet(peer: Peer) -> None:
    if peer.version == 5:
        peer.send(Suback(1, [0]))
    else:
        peer.send_octets(b"\x90\x03\x00\x01\x00")


def revoked_credentials(peer: Peer) -> None:
    peer.hub.broker.disconnect("sensor", "its password was changed")
    peer.hub.settle()


ENDINGS = [drop, protocol_error, malformed, keep_alive_timeout, wrong_packet, revoked_credentials]


@pytest.mark.clause("MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT3-3.1.2-8")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_connection_that_ends_without_farewell_publishes_its_will(version: int, ending: object) -> None:
    hub = Hub()
    watcher = watched(hub)
    sensor = hub.client("sensor", version, keep_alive=60, will=Will("state/sensor", b"gone", 1))
    assert watcher.get() == []
    assert callable(ending)
    ending(sensor)
    assert sensor.closed
    (message,) = watcher.messages()
    assert (message.topic, message.payload, message.qos) == ("state/sensor", b"gone", 1)
    hub.pass_time(1000)
    assert watcher.get() == []


@pytest.mark.clause("MQTT-3.14.4-3", "MQTT-3.1.2-10", "MQTT3-3.1.2-10", "MQTT3-3.14.4-3", "MQTT-3.14.4-2")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("expiry", [0, 100])
def test_an_orderly_disconnect_discards_the_will(version: int, expiry: int) -> None:
    hub = Hub()
    watcher = watched(hub)
    sensor = hub.client("sensor", version, will=Will("state/sensor", b"gone"), expiry=expiry if version == 5 else None)
    sensor.disconnect()
    sensor.drop()
    hub.pass_time(1000)
    assert watcher.get() == []
    hub = hub.crash()
    hub.pass_time(1000)
    assert hub.named("will.published") == []


@pytest.mark.clause("MQTT-3.1.2-8")
@pytest.mark.parametrize(
    "code", [codes.DISCONNECT_WITH_WILL, codes.UNSPECIFIED_ERROR, codes.MALFORMED_PACKET, codes.PACKET_TOO_LARGE]
)
def test_a_disconnect_with_another_reason_keeps_the_will(code: int) -> None:
    hub = Hub()
    watcher = watched(hub)
    sensor = hub.client("sensor", will=Will("state/sensor", b"gone"))
    sensor.disconnect(code)
    assert watcher.payloads() == [b"gone"]


@pytest.mark.clause("MQTT3-3.1.2-12")
@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_will_nothing_is_published(version: int) -> None:
    hub = Hub()
    watcher = hub.client("watcher")
    watcher.subscribe("#")
    hub.client("sensor", version).drop()
    assert watcher.get() == []
    assert hub.named("will.published") == []


@pytest.mark.clause("MQTT-3.1.2-10", "MQTT3-3.1.2-10")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_will_is_published_once_and_is_not_the_next_connections(version: int) -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", version, clean_start=False, will=Will("state/sensor", b"gone")).drop()
    assert watcher.payloads() == [b"gone"]
    hub.client("sensor", version, clean_start=False).drop()
    assert watcher.get() == []


@pytest.mark.clause("MQTT-3.1.2-14", "MQTT-3.1.2-15", "MQTT3-3.1.2-16", "MQTT3-3.1.2-17")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("retain", [False, True])
def test_a_retained_will_is_retained(version: int, retain: bool) -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", version, will=Will("state/sensor", b"gone", 1, retain)).drop()
    (message,) = watcher.messages()
    assert message.retain is retain
    late = watched(hub)
    assert late.payloads() == ([b"gone"] if retain else [])


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_will_has_its_quality_of_service(qos: int) -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", will=Will("state/sensor", b"gone", qos)).drop()
    (message,) = watcher.messages()
    assert message.qos == qos


@pytest.mark.clause(
    "MQTT-3.1.3-10", "MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18",
    "MQTT-3.3.2-20",
)  # fmt: skip
@pytest.mark.parametrize("crash", [False, True])
def test_a_wills_properties_reach_the_subscriber(crash: bool) -> None:
    hub = Hub()
    watcher = hub.durable("watcher")
    watcher.subscribe("state/#", 1)
    pairs = [("b", "2"), ("a", "1"), ("b", "2"), ("", "")]
    properties = Properties(
        payload_format_indicator=1,
        message_expiry_interval=30,
        content_type="text/plain",
        response_topic="state/sensor/answer",
        correlation_data=b"\x00\xff",
        user_properties=pairs,
    )
    sensor = hub.client("sensor", will=Will("state/sensor", "weg \u2716".encode(), 1, properties=properties))
    if crash:
        hub = hub.crash()
        watcher = hub.durable("watcher")
        hub.pass_time(0)
    else:
        sensor.drop()
    (message,) = watcher.messages()
    assert message.properties == properties
    assert message.payload.decode() == "weg \u2716"


def test_a_wills_expiry_counts_from_its_publication() -> None:
    hub = Hub()
    properties = Properties(message_expiry_interval=10, will_delay_interval=50)
    hub.client("sensor", expiry=100, will=Will("state/sensor", b"gone", retain=True, properties=properties)).drop()
    hub.pass_time(55)
    watcher = watched(hub)
    (message,) = watcher.messages()
    assert message.properties.message_expiry_interval == 5
    hub.pass_time(6)
    assert watched(hub).get() == []


def test_a_will_reaches_the_durable_session_of_the_client_itself() -> None:
    hub = Hub()
    sensor = hub.client("sensor", expiry=100, will=Will("state/sensor", b"gone", 1))
    sensor.subscribe("state/#", 1)
    sensor.drop()
    assert hub.durable("sensor").payloads() == [b"gone"]


@pytest.mark.clause("MQTT-3.8.3-3")
@pytest.mark.parametrize("crash", [False, True])
def test_no_local_holds_for_the_clients_own_will(crash: bool) -> None:
    hub = Hub()
    sensor = hub.client("sensor", expiry=100, will=Will("state/sensor", b"gone", 1))
    sensor.subscribe("state/#", 1, no_local=True)
    if crash:
        hub = hub.crash()
        hub.pass_time(0)
    else:
        sensor.drop()
    assert hub.named("will.published")
    assert hub.durable("sensor").get() == []


def test_a_will_that_its_principal_may_no_longer_publish_is_not_published() -> None:
    hub = Hub(principals=[Principal.of("sensor", [Permission("state/#", True, True)], [])])
    watcher = watched(hub)
    sensor = hub.client("sensor", will=Will("state/sensor", b"gone", retain=True))
    hub.principals["sensor"].permit([Permission("state/#", False, True)], [])
    hub.broker.permissions_changed()
    sensor.drop()
    assert watcher.get() == []
    assert len(hub.named("will.denied")) == 1
    assert len(hub.broker.retained) == 0


def test_an_identity_that_is_gone_leaves_no_will() -> None:
    hub = Hub()
    watcher = watched(hub)
    sensor = hub.client("sensor", expiry=100, will=Will("state/sensor", b"gone"))
    delayed = Will("state/sensor", b"delayed", properties=Properties(will_delay_interval=50))
    hub.client("sensor", client_id="sensor-2", expiry=100, will=delayed).drop()
    hub.broker.revoke("sensor", "the device was removed")
    hub.settle()
    farewell = sensor.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.NOT_AUTHORIZED
    # Somebody else gets the name.
    hub.broker.admit(Principal.of("sensor", [Permission("#", True, True)], []))
    hub.pass_time(1000)
    assert watcher.get() == []
    assert hub.store.everything() == {"keys": [], "logs": {}}


def test_a_will_whose_connack_was_never_sent_is_not_published() -> None:
    """The CONNECT was rejected because it could not be kept: there was no connection that could break."""
    hub = Hub()
    watcher = watched(hub)
    hub.store.full = True
    sensor = hub.peer("sensor")
    assert sensor.connect(will=Will("state/sensor", b"gone")).reason_code == codes.QUOTA_EXCEEDED
    hub.store.full = False
    hub.pass_time(100)
    assert watcher.get() == []
    assert hub.store.everything() == {"keys": [], "logs": {}}


def test_pings_keep_the_will_away() -> None:
    hub = Hub()
    watcher = watched(hub)
    sensor = hub.client("sensor", keep_alive=10, will=Will("state/sensor", b"gone"))
    for _ in range(20):
        hub.pass_time(14)
        sensor.send(Pingreq())
    assert watcher.get() == []
    assert not sensor.closed
    assert isinstance(watcher, Peer)
    hub.pass_time(16)
    (message,) = watcher.get()
    assert isinstance(message, Publish)
