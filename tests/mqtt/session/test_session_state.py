"""Sessions: begun, resumed, expired; what is kept of them and for how long (section 4.1)."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Puback, Publish
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def leave(peer: Peer, orderly: bool) -> None:
    if orderly:
        peer.disconnect()
    else:
        peer.drop()


@pytest.mark.clause(
    "MQTT-3.1.2-5", "MQTT-3.1.2-6", "MQTT-3.1.2-23", "MQTT-3.2.2-3", "MQTT-4.1.0-1", "MQTT-3.1.3-2",
    "MQTT3-3.1.2-4", "MQTT3-3.1.2-5", "MQTT3-3.2.2-2", "MQTT3-3.2.2-3", "MQTT3-4.1.0-1", "MQTT3-3.1.3-2",
)  # fmt: skip
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("orderly", [True, False])
def test_a_session_is_resumed_with_its_subscriptions_and_messages(version: int, orderly: bool) -> None:
    hub = Hub()
    office = hub.peer("office", version)
    assert not office.connect(clean_start=False, expiry=100 if version == 5 else None).session_present
    office.subscribe("Office/#", 1)
    leave(office, orderly)
    sensor = hub.client("sensor")
    sensor.publish("Office/Door", b"stored", 1)
    sensor.publish("Office/Door", b"at most once", 0)
    office = hub.peer("office", version)
    assert office.connect(clean_start=False).session_present is (version > 3)  # 3.1 has no such flag
    assert office.payloads() == [b"stored"]
    sensor.publish("Office/Door", b"live", 1)
    assert office.payloads() == [b"live"]


@pytest.mark.clause("MQTT-3.1.2-4", "MQTT-3.2.2-2", "MQTT-3.1.4-4", "MQTT3-3.1.2-6", "MQTT3-3.2.2-1", "MQTT3-3.1.4-3")
@pytest.mark.parametrize("version", VERSIONS)
def test_clean_start_discards_everything_of_the_session(version: int) -> None:
    hub = Hub()
    office = hub.durable("office", version)
    office.subscribe("Office/#", 2)
    office.drop()
    hub.client("sensor").publish("Office/Door", b"old", 2)
    office = hub.peer("office", version)
    assert not office.connect(clean_start=True).session_present
    assert office.get() == []
    hub.client("sensor").publish("Office/Door", b"new", 2)
    assert office.get() == []
    assert hub.broker.router.subscriptions == 0


@pytest.mark.clause("MQTT3-3.1.2-6", "MQTT-3.1.2-23")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("orderly", [True, False])
def test_a_session_without_expiry_ends_with_its_connection(version: int, orderly: bool) -> None:
    hub = Hub()
    office = hub.client("office", version)
    office.subscribe("a", 1)
    leave(office, orderly)
    assert len(hub.broker.sessions) == 0
    assert hub.broker.router.subscriptions == 0
    assert hub.store.everything() == {"keys": [], "logs": {}}
    assert not hub.peer("office", version).connect(clean_start=False).session_present


@pytest.mark.clause("MQTT-3.1.2-23", "MQTT-4.1.0-2")
def test_a_session_expires_after_its_interval_and_not_before() -> None:
    hub = Hub()
    for seconds, present in ((99, True), (101, False)):
        office = hub.client("office", expiry=100, clean_start=True)
        office.subscribe("a", 1)
        office.drop()
        hub.pass_time(seconds)
        again = hub.peer("office")
        assert again.connect(clean_start=False).session_present is present
        again.drop()
    assert hub.broker.router.subscriptions == 0
    assert hub.store.everything() == {"keys": [], "logs": {}}


@pytest.mark.clause("MQTT-4.1.0-1", "MQTT3-4.1.0-2")
def test_the_interval_counts_from_the_disconnection() -> None:
    hub = Hub()
    office = hub.client("office", expiry=100)
    office.subscribe("a", 1)
    hub.pass_time(500)
    office.drop()
    hub.pass_time(99)
    office = hub.peer("office")
    assert office.connect(clean_start=False, expiry=100).session_present
    hub.pass_time(500)
    hub.client("sensor").publish("a", b"x", 1)
    assert office.payloads() == [b"x"]


def test_a_new_connection_brings_its_own_interval() -> None:
    hub = Hub()
    hub.client("office", expiry=100).drop()
    hub.client("office", expiry=1000, clean_start=False).drop()
    hub.pass_time(999)
    office = hub.peer("office")
    assert office.connect(clean_start=False).session_present
    office.drop()  # with an interval of 0
    assert not hub.peer("office").connect(clean_start=False).session_present


@pytest.mark.parametrize("asked", [1001, 0xFFFFFFFF])
def test_the_ceiling_of_the_interval(asked: int) -> None:
    limits = Limits()
    limits.session_expiry_interval = 1000
    hub = Hub(limits=limits)
    hub.client("office", expiry=asked).drop()
    hub.pass_time(999)
    assert len(hub.broker.sessions) == 1
    hub.pass_time(2)
    assert len(hub.broker.sessions) == 0


def test_older_versions_have_the_ceiling_as_their_interval() -> None:
    limits = Limits()
    limits.session_expiry_interval = 1000
    hub = Hub(limits=limits)
    hub.durable("office", 4).drop()
    hub.pass_time(999)
    assert hub.peer("office", 4).connect(clean_start=False).session_present
    hub.peers[-1].drop()
    hub.pass_time(1001)
    assert not hub.peer("office", 4).connect(clean_start=False).session_present


# The interval in DISCONNECT (3.14.2.2.2). -----------------------------------------------------------


def test_disconnect_can_shorten_and_lengthen_the_interval() -> None:
    hub = Hub()
    for new, seconds, present in ((10, 11, False), (1000, 999, True), (0xFFFFFFFF, 6 * 24 * 3600, True)):
        hub.client("office", expiry=100).disconnect(0, Properties(session_expiry_interval=new))
        hub.pass_time(seconds)
        assert hub.peer("office").connect(clean_start=False).session_present is present


def test_disconnect_can_end_the_session() -> None:
    hub = Hub()
    office = hub.client("office", expiry=100)
    office.subscribe("a", 2)
    hub.client("sensor").publish("a", b"x", 2)
    office.disconnect(0, Properties(session_expiry_interval=0))
    assert len(hub.broker.sessions.of("office")) == 0
    assert hub.store.everything() == {"keys": [], "logs": {}}


def test_disconnect_cannot_raise_an_interval_of_0() -> None:
    hub = Hub()
    office = hub.client("office")
    office.send(Disconnect(0, Properties(session_expiry_interval=10)))
    farewell = office.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.PROTOCOL_ERROR
    assert office.closed
    assert len(hub.broker.sessions) == 0


def test_disconnect_may_say_0_again() -> None:
    hub = Hub()
    hub.client("office").disconnect(0, Properties(session_expiry_interval=0))
    assert len(hub.broker.sessions) == 0


# What a session's state is made of. -----------------------------------------------------------------


def test_a_resumed_session_with_interval_0_goes_on_and_leaves_nothing_on_the_disk() -> None:
    hub = Hub()
    office = hub.client("office", expiry=100)
    office.subscribe("a", 1)
    office.drop()
    sensor = hub.client("sensor")
    sensor.publish("a", b"1", 1)
    office = hub.client("office", clean_start=False)
    assert office.payloads() == [b"1"]
    sensor.publish("a", b"2", 1)
    assert office.payloads() == [b"2"]
    assert hub.store.everything() == {"keys": [], "logs": {}}
    office.drop()
    assert len(hub.broker.sessions.of("office")) == 0


@pytest.mark.clause("MQTT3-3.1.2-7")
def test_retained_messages_are_no_part_of_a_session() -> None:
    hub = Hub()
    sensor = hub.client("sensor", 4)
    sensor.publish("a", b"kept", 1, retain=True)
    sensor.disconnect()
    office = hub.client("office")
    office.subscribe("a")
    assert office.payloads() == [b"kept"]


@pytest.mark.clause("MQTT-3.1.3-2", "MQTT3-3.1.3-2")
def test_each_client_identifier_has_its_own_session() -> None:
    hub = Hub()
    hub.client("office", client_id="office-1", expiry=100).subscribe("a", 1)
    hub.client("office", client_id="office-2", expiry=100).subscribe("b", 1)
    for peer in list(hub.peers):
        peer.drop()
    hub.client("sensor").publish("a", b"for 1", 1)
    hub.client("sensor").publish("b", b"for 2", 1)
    two = hub.client("office", client_id="office-2", clean_start=False)
    one = hub.client("office", client_id="office-1", clean_start=False)
    assert (one.payloads(), two.payloads()) == ([b"for 1"], [b"for 2"])


def test_clients_that_come_and_go_leave_no_timers_behind() -> None:
    """A session that is resumed ten thousand times waits for one expiry, not for ten thousand."""
    hub = Hub()
    for _ in range(10_000):
        office = hub.peer("office")
        office.connect(clean_start=False, expiry=100_000)
        office.drop()
        hub.peers.clear()
    assert len(hub.broker.sessions._expiring) < 3000
    hub.pass_time(99_000)
    assert hub.peer("office").connect(clean_start=False).session_present


@pytest.mark.parametrize("version", VERSIONS)
def test_a_message_that_was_not_acknowledged_waits_for_the_next_connection(version: int) -> None:
    hub = Hub()
    office = hub.durable("office", version)
    office.subscribe("a", 1)
    hub.client("sensor").publish("a", b"x", 1)
    first = office.get_one()
    assert isinstance(first, Publish)
    assert not first.dup
    office.drop()
    office = hub.durable("office", version)
    again = office.get_one()
    assert isinstance(again, Publish)
    assert (again.payload, again.packet_id, again.dup) == (b"x", first.packet_id, True)
    office.send(Puback(again.packet_id))
    office.drop()
    assert hub.durable("office", version).get() == []
