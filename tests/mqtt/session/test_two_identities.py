"""Two identities: every way around the policy that a protocol with sessions, Wills and shared groups offers, tried."""

from __future__ import annotations

import pytest

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Puback,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]
# The subscription to plant/# stays, and nothing of the sensor's comes by it.
NOT_THE_SENSOR = [Permission("plant/#", False, True), Permission("plant/sensor/#", False, True, allow=False)]


def house() -> Hub:
    """The sensor owns what is below plant/sensor, the intruder what is below plant/intruder; office sees all of it."""
    return Hub(
        principals=[
            Principal.of("sensor", [Permission("plant/sensor/#", True, True)], ["*"]),
            Principal.of("intruder", [Permission("plant/intruder/#", True, True)], ["*"]),
            Principal.of("office", [Permission("plant/#", False, True)], ["*"]),
        ]
    )


def publishes(peer: Peer) -> list[Publish]:
    return [packet for packet in peer.get() if isinstance(packet, Publish)]


def withdraw(hub: Hub, name: str, *left: Permission) -> None:
    hub.principals[name].permit(list(left), ["*"])
    hub.broker.permissions_changed()
    hub.settle()


# Publishing on another's topic. ---------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize(
    "topic", ["plant/sensor/1", "plant", "plant/", "plant/Intruder/1", "$SYS/hub", "$share/g/plant/sensor/1", "/plant"]
)
def test_by_publish(version: int, qos: int, retain: bool, topic: str) -> None:
    hub = house()
    office = hub.client("office")
    office.subscribe("plant/#", 2)
    office.subscribe("$SYS/#", 2)
    intruder = hub.client("intruder", version)
    intruder.publish(topic, b"forged", qos, retain)
    assert publishes(office) == []
    assert len(hub.broker.retained) == 0
    assert len(hub.named("publish.denied")) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("retain", [False, True])
def test_by_a_will(version: int, retain: bool) -> None:
    hub = house()
    office = hub.client("office")
    office.subscribe("plant/#")
    intruder = hub.peer("intruder", version)
    assert intruder.connect(will=Will("plant/sensor/1", b"forged", 0, retain)).reason_code != 0
    intruder.drop()
    assert publishes(office) == []


def test_by_a_will_that_was_allowed_when_it_was_made() -> None:
    hub = house()
    office = hub.durable("office")
    office.subscribe("plant/#", 1)
    for i, delay in enumerate((0, 10)):
        will = Will("plant/intruder/1", b"late", 1, True, Properties(will_delay_interval=delay))
        hub.client("intruder", client_id=f"i{i}", expiry=100, will=will)
    withdraw(hub, "intruder")
    crashed = hub.crash()
    for peer in hub.peers[1:]:
        peer.drop()
    hub.pass_time(20)
    crashed.pass_time(200)
    for one in (hub, crashed):
        assert len(one.broker.retained) == 0
        assert len(one.named("will.denied")) == 2
    assert publishes(office) == []


def test_by_clearing_anothers_retained_message() -> None:
    hub = house()
    hub.client("sensor").publish("plant/sensor/1", b"true", 1, retain=True)
    hub.client("intruder").publish("plant/sensor/1", b"", 1, retain=True)
    office = hub.client("office")
    office.subscribe("plant/#")
    assert office.payloads() == [b"true"]


def test_by_a_topic_alias_of_another_connection_or_topic() -> None:
    hub = house()
    office = hub.client("office")
    office.subscribe("plant/#", 1)
    hub.client("sensor").publish("plant/sensor/1", b"true", properties=Properties(topic_alias=1))
    intruder = hub.client("intruder")
    intruder.publish("plant/sensor/1", b"forged", 1, properties=Properties(topic_alias=1))
    intruder.publish("", b"forged", 1, properties=Properties(topic_alias=1))
    intruder.publish("plant/intruder/1", b"own", 1, properties=Properties(topic_alias=1))
    assert [m.payload for m in publishes(office)] == [b"true", b"own"]
    again = hub.client("intruder", client_id="other")
    again.publish("", b"forged", 1, properties=Properties(topic_alias=2))
    assert again.closed


def test_by_a_response_topic_nothing_is_published() -> None:
    hub = house()
    office = hub.client("office")
    office.subscribe("plant/#", 1)
    intruder = hub.client("intruder")
    intruder.publish("plant/intruder/1", b"ask", 1, properties=Properties(response_topic="plant/sensor/1"))
    assert [m.topic for m in publishes(office)] == ["plant/intruder/1"]


def test_by_repeating_a_refused_exchange_after_the_permission_changed() -> None:
    """What was refused once within an exchange is not let in under its identifier (MQTT 3), or judged anew (5.0)."""
    hub = house()
    office = hub.client("office")
    office.subscribe("plant/#", 2)
    old = hub.client("intruder", 4)
    old.publish("plant/sensor/1", b"forged", 2, packet_id=5)
    old.send(Pubrel(5))
    old.publish("plant/sensor/1", b"forged", 2, packet_id=5, dup=True)
    assert publishes(office) == []


# Receiving what is another's. -----------------------------------------------------------------------

WAYS_IN = [
    "#", "+/#", "plant/#", "plant/+/1", "plant/sensor/1", "+/sensor/1", "plant/sensor/#", "$share/g/plant/sensor/1",
    "$share/g/#", "$share/g/plant/#", "$share/plant/plant/+/1", "$SYS/#", "$SYS/hub/+", "+", "/#",
]  # fmt: skip


@pytest.mark.parametrize("topic_filter", WAYS_IN)
@pytest.mark.parametrize("handling", [0, 1, 2])
@pytest.mark.parametrize("version", VERSIONS)
def test_by_a_subscription(topic_filter: str, handling: int, version: int) -> None:
    hub = house()
    sensor = hub.client("sensor")
    sensor.publish("plant/sensor/1", b"kept", 1, retain=True)
    intruder = hub.client("intruder", version)
    code = codes.NOT_AUTHORIZED if version == 5 else 0x80
    assert intruder.subscribe(topic_filter, 1, retain_handling=handling) == [code]
    sensor.publish("plant/sensor/1", b"live", 1)
    assert publishes(intruder) == []
    assert hub.broker.sessions.of("intruder")[0].subscriptions == {}


@pytest.mark.parametrize("share", ["", "$share/g/"])
@pytest.mark.parametrize("handling", [0, 1])
def test_by_a_denial_inside_an_allowed_wildcard(share: str, handling: int) -> None:
    allowed = [Permission("plant/#", False, True), Permission("plant/+/secret", False, True, allow=False)]
    hub = Hub(principals=[Principal.of("office", allowed, [])])
    sensor = hub.client("sensor")
    for topic in ("plant/1/secret", "plant/1/open"):
        sensor.publish(topic, topic.encode(), 1, retain=True)
    office = hub.durable("office")
    assert office.subscribe(f"{share}plant/#", 1, retain_handling=handling) == [1]
    other = hub.client("office", client_id="office-2")
    assert other.subscribe(f"{share}plant/+/secret", 1) == [codes.NOT_AUTHORIZED]
    for topic in ("plant/1/secret", "plant/1/open"):
        for qos in (0, 1):
            sensor.publish(topic, topic.encode(), qos)
    assert {m.topic for m in office.messages()} == {"plant/1/open"}
    assert publishes(other) == []
    office.drop()
    sensor.publish("plant/1/secret", b"x", 1)
    assert [m.topic for m in hub.crash().durable("office").messages()] == []


def test_device_names_stand_in_for_the_device() -> None:
    """`${device}` was replaced by the name when the permissions were read: it is no wildcard, and no topic either."""
    hub = Hub(
        principals=[Principal.of(name, [Permission(f"state/{name}/#", True, True)], ["*"]) for name in ("a", "b")]
    )
    a, b = hub.client("a"), hub.client("b")
    assert a.subscribe("state/b/#") == [codes.NOT_AUTHORIZED]
    assert a.subscribe("state/${device}/#") == [codes.NOT_AUTHORIZED]
    assert a.subscribe("state/a/#") == [0]
    b.publish("state/a/1", b"forged", 1)
    answer = b.get_one()
    assert isinstance(answer, Puback)
    assert answer.reason_code == codes.NOT_AUTHORIZED
    assert publishes(a) == []


# Another's session. ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("clean_start", [False, True])
def test_by_anothers_client_identifier(version: int, connected: bool, clean_start: bool) -> None:
    hub = house()
    sensor = hub.durable("sensor", client_id="shared-id")
    sensor.subscribe("plant/sensor/#", 2)
    writer = hub.client("sensor", client_id="writer")
    writer.publish("plant/sensor/1", b"1", 2, packet_id=1)
    held = publishes(sensor)
    assert len(held) == 1
    if not connected:
        sensor.drop()
        writer.publish("plant/sensor/1", b"2", 1, packet_id=2)
    intruder = hub.peer("intruder", version)
    answer = intruder.connect("shared-id", clean_start=clean_start, expiry=100 if version == 5 else None)
    assert (answer.reason_code, answer.session_present) == (0, False)
    writer.publish("plant/sensor/1", b"3", 1, packet_id=3)
    # What the intruder acknowledges, releases or unsubscribes is its own.
    intruder.send(Pubrec(held[0].packet_id), Puback(1), Puback(2), Pubrel(1))
    intruder.send_octets(b"\xa2\x13\x00\x01" + (b"\x00" if version == 5 else b"") + b"\x00\x0eplant/sensor/#"[:16])
    assert publishes(intruder) == []
    assert sensor.closed is not connected
    if not connected:
        sensor = hub.durable("sensor", client_id="shared-id")
        again = publishes(sensor)
        assert [m.payload for m in again] == [b"1", b"2", b"3"]
        assert again[0].packet_id == held[0].packet_id
    else:
        assert [m.payload for m in publishes(sensor)] == [b"3"]
    assert hub.named("session.taken-over") == []


def test_by_anothers_client_identifier_after_a_crash() -> None:
    hub = house()
    sensor = hub.durable("sensor", client_id="shared-id")
    sensor.subscribe("plant/sensor/#", 1)
    sensor.drop()
    hub.client("sensor", client_id="writer").publish("plant/sensor/1", b"1", 1)
    hub = hub.crash()
    intruder = hub.peer("intruder")
    assert not intruder.connect("shared-id", clean_start=False, expiry=100).session_present
    assert publishes(intruder) == []
    assert [m.payload for m in publishes(hub.durable("sensor", client_id="shared-id"))] == [b"1"]


@pytest.mark.parametrize(("one", "other"), [("a", "a/b"), ("a/b", "a"), ("sensor", "sensor/x"), ("x\0y", "x")])
def test_by_a_client_identifier_that_looks_like_another_key(one: str, other: str) -> None:
    """Sessions are kept by principal and Client Identifier; neither can spell the other's key."""
    hub = house()
    first = hub.client("sensor", client_id="x" if "\0" in one else one, expiry=100)
    first.subscribe("plant/sensor/1", 1)
    for name, client_id in (("intruder", one.replace("\0", "")), ("intruder", other), ("sensor", other + "2")):
        peer = hub.peer(name)
        assert not peer.connect(client_id, clean_start=False, expiry=100).session_present
    hub = hub.crash()
    sessions = {session.key: set(session.subscriptions) for session in hub.broker.sessions.all()}
    assert [key for key, subscriptions in sessions.items() if subscriptions] == [first.hub.broker.sessions.all()[0].key]


def test_an_identity_that_takes_an_old_name_gets_nothing_of_the_old_one() -> None:
    hub = house()
    sensor = hub.durable("sensor")
    sensor.subscribe("plant/sensor/#", 1)
    sensor.drop()
    hub.client("sensor", client_id="writer").publish("plant/sensor/1", b"old", 1)
    hub.broker.revoke("sensor", "the device was removed")
    hub.settle()
    hub.principals["sensor"] = Principal.of("sensor", [Permission("plant/sensor/#", True, True)], ["*"])
    for one in (hub, hub.crash()):
        new = one.peer("sensor")
        assert not new.connect(clean_start=False, expiry=100).session_present
        assert new.get() == []


# A permission that is withdrawn. --------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("share", ["", "$share/g/"])
def test_live_messages_stop_at_once(qos: int, share: str) -> None:
    hub = house()
    office = hub.client("office")
    office.subscribe(f"{share}plant/#", 2)
    sensor = hub.client("sensor")
    sensor.publish("plant/sensor/1", b"before", qos, packet_id=1)
    assert len(publishes(office)) == 1
    withdraw(hub, "office", *NOT_THE_SENSOR)
    sensor.publish("plant/sensor/1", b"after", qos, packet_id=2)
    assert publishes(office) == []
    withdraw(hub, "office", Permission("plant/#", False, True))
    sensor.publish("plant/sensor/1", b"again", qos, packet_id=3)
    assert [m.payload for m in publishes(office)] == [b"again"]


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("crash", [False, True])
def test_what_is_queued_is_not_delivered(qos: int, crash: bool) -> None:
    hub = house()
    office = hub.durable("office")
    office.subscribe("plant/#", 2)
    office.drop()
    sensor = hub.client("sensor")
    for i in range(3):
        sensor.publish(f"plant/sensor/{i}", str(i).encode(), qos, packet_id=i + 1)
    withdraw(hub, "office", Permission("plant/#", False, True), Permission("plant/sensor/1", False, True, allow=False))
    if crash:
        hub = hub.crash()
    office = hub.durable("office")
    assert [m.payload for m in publishes(office)] == [b"0", b"2"]
    assert hub.broker.counters.dropped_not_permitted == 1
    hub.crash()
    assert len(hub.store.records["q1"]) == 2


@pytest.mark.parametrize("qos", [1, 2])
def test_what_waits_for_room_is_not_delivered(qos: int) -> None:
    hub = house()
    office = hub.client("office", properties=Properties(receive_maximum=1))
    office.subscribe("plant/#", 2)
    sensor = hub.client("sensor")
    for i in range(3):
        sensor.publish("plant/sensor/1", str(i).encode(), qos, packet_id=i + 1)
    (first,) = publishes(office)
    withdraw(hub, "office")
    office.send(Puback(first.packet_id) if qos == 1 else Pubrec(first.packet_id, codes.UNSPECIFIED_ERROR))
    assert publishes(office) == []


def test_what_was_being_committed_is_not_delivered() -> None:
    hub = house()
    office = hub.durable("office")
    office.subscribe("plant/#", 1)
    hub.store.automatic = False
    sensor = hub.client("sensor")
    sensor.publish("plant/sensor/1", b"x", 1)
    withdraw(hub, "office")
    hub.commit()
    assert sensor.get_one() == Puback(1)
    assert publishes(office) == []


@pytest.mark.parametrize("crash", [False, True])
def test_qos_2_that_had_begun_is_completed_without_being_sent_again(crash: bool) -> None:
    """The client may wait for PUBREL: without it, the identifier would make a later message look like a duplicate."""
    hub = house()
    office = hub.durable("office")
    office.subscribe("plant/#", 2)
    hub.client("sensor").publish("plant/sensor/1", b"x", 2)
    (begun,) = publishes(office)
    office.drop()
    withdraw(hub, "office", *NOT_THE_SENSOR)
    if crash:
        hub = hub.crash()
    office = hub.durable("office")
    assert office.get_one() == Pubrel(begun.packet_id)


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_replay_of_retained_messages_stops_in_its_midst(durable: bool, qos: int) -> None:
    hub = house()
    sensor = hub.client("sensor")
    for i in range(100):
        sensor.publish(f"plant/sensor/{i}", b"x" * 100, qos, retain=True, packet_id=i + 1)
    hub.config.outbox_octets = 1000
    hub.limits.queue_messages = 20
    expiry = 100 if durable else None
    office = hub.client("office", properties=Properties(receive_maximum=5, session_expiry_interval=expiry))
    office.connection.receive(encode(Subscribe(1, [SubscriptionRequest("plant/#", qos)]), 5))
    if not durable:
        for outbox in hub.turn.take():
            office.deliver(outbox.take())  # SUBACK; what the retained messages begin with is in the outbox now
    office.stop_reading()
    hub.settle()
    withdraw(hub, "office")
    office.read_on()
    got = publishes(office)
    office.send(*[Puback(m.packet_id) for m in got if m.qos])
    assert 0 < len(got) < 20
    assert publishes(office) == []


def test_what_waits_for_a_member_of_a_group_goes_to_nobody_who_may_not_have_it() -> None:
    hub = Hub(principals=[Principal.of(name, [Permission("jobs/#", False, True)], ["*"]) for name in ("one", "two")])
    one = hub.durable("one")
    one.subscribe("$share/g/jobs/#", 1)
    one.drop()
    hub.client("boss").publish("jobs/1", b"x", 1)
    withdraw(hub, "two", Permission("jobs/#", False, True), Permission("jobs/1", False, True, allow=False))
    two = hub.client("two")
    assert two.subscribe("$share/g/jobs/#", 1) == [1]
    assert publishes(two) == []
    assert [m.payload for m in publishes(hub.durable("one"))] == [b"x"]


def test_a_lowered_qos_holds_for_the_next_message() -> None:
    hub = house()
    office = hub.client("office")
    office.subscribe("plant/#", 2)
    withdraw(hub, "office", Permission("plant/#", False, True, max_qos=0))
    hub.client("sensor").publish("plant/sensor/1", b"x", 2)
    (message,) = publishes(office)
    assert message.qos == 0


def test_publishing_stops_at_once_also_within_a_connection_and_under_cached_routes() -> None:
    hub = house()
    office = hub.client("office")
    office.subscribe("plant/#", 1)
    sensor = hub.client("sensor")
    for i in range(3):
        sensor.publish("plant/sensor/1", b"x", 1, packet_id=i + 1)
    assert len(publishes(office)) == 3
    withdraw(hub, "sensor")
    sensor.publish("plant/sensor/1", b"x", 1, packet_id=4)
    assert publishes(office) == []


# $SYS. ----------------------------------------------------------------------------------------------


def test_system_topics_are_for_those_permitted_and_written_by_the_hub_alone() -> None:
    watcher = Principal.of("watcher", [Permission("$SYS/#", False, True)], [])
    hub = Hub(principals=[*house().principals.values(), watcher])
    eyes = hub.client("watcher")
    assert eyes.subscribe("$SYS/#") == [0]
    for name in ("intruder", "office"):
        peer = hub.client(name)
        assert peer.subscribe("$SYS/#") == [codes.NOT_AUTHORIZED]
        peer.publish("$SYS/hub/version", b"forged", 0, retain=True)
    eyes.publish("$SYS/hub/version", b"forged", 1)
    assert publishes(eyes) == []
    everything = Principal.of("greedy", [Permission("#", True, True)], [])
    hub.principals["greedy"] = everything
    greedy = hub.client("greedy")
    assert greedy.subscribe("#") == [0]
    greedy.publish("$SYS/hub/version", b"forged", 0)
    assert publishes(eyes) == []
