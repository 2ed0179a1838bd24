"""A full disk: what needs it is refused by its reason code, all the rest goes on, and afterwards nothing is amiss."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import (
    Disconnect,
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
    Unsuback,
    Unsubscribe,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer
from tests.mqtt.session.books import same_as_after_a_crash

OLD = [3, 4]


def kept(hub: Hub, qos: int = 2) -> Peer:
    """A durable subscriber that is away."""
    keeper = hub.durable("keeper")
    keeper.subscribe("kept/#", qos)
    keeper.drop()
    return keeper


# PUBLISH. -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("qos", "packet_type"), [(1, Puback), (2, Pubrec)])
@pytest.mark.parametrize("durable", [False, True])
def test_a_message_that_cannot_be_kept_is_refused(qos: int, packet_type: type[Puback | Pubrec], durable: bool) -> None:
    hub = Hub()
    kept(hub)
    sensor = hub.durable("sensor") if durable else hub.client("sensor")
    hub.store.full = True
    for i in (1, 2):
        sensor.publish("kept/a", b"refused", qos, packet_id=i)
        answer = sensor.get_one()
        assert isinstance(answer, packet_type)
        assert (answer.packet_id, answer.reason_code) == (i, codes.QUOTA_EXCEEDED)
        assert "store" in (answer.properties.reason_string or "")
    assert not sensor.closed
    assert len(hub.named("store.commit-failed")) == 1
    hub.store.full = False
    sensor.publish("kept/a", b"kept", qos, packet_id=1)
    assert sensor.get_one() == packet_type(1)
    assert len(hub.named("store.commit-recovered")) == 1
    same_as_after_a_crash(hub)
    assert hub.crash().durable("keeper").payloads() == [b"kept"]


@pytest.mark.clause("MQTT3-4.8.0-2")
@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("qos", [1, 2])
def test_older_versions_are_closed_because_they_cannot_be_told(version: int, qos: int) -> None:
    hub = Hub()
    kept(hub)
    sensor = hub.durable("sensor", version)
    hub.store.full = True
    sensor.publish("kept/a", b"x", qos)
    assert sensor.get() == []
    assert sensor.closed
    hub.store.full = False
    sensor = hub.durable("sensor", version)
    sensor.publish("kept/a", b"x", qos, dup=True)
    assert sensor.get_one() == (Puback(1) if qos == 1 else Pubrec(1))
    assert len(hub.durable("keeper").messages()) == 1


@pytest.mark.parametrize("version", [3, 4, 5])
def test_what_needs_no_disk_goes_on(version: int) -> None:
    hub = Hub()
    kept(hub)
    office = hub.client("office", version)
    hub.store.full = True
    hub.client("another", version)
    assert office.subscribe("a", 2) == [2]
    sensor = hub.client("sensor", version)
    sensor.publish("a", b"0", 0)
    sensor.publish("a", b"1", 1, packet_id=1)
    sensor.publish("a", b"2", 2, packet_id=2)
    sensor.send(Pubrel(2), Pingreq())
    assert [type(packet) for packet in sensor.get()] == [Puback, Pubrec, Pubcomp, Pingresp]
    assert office.payloads() == [b"0", b"1", b"2"]
    sensor.publish("kept/a", b"0", 0)
    assert not sensor.closed
    assert hub.named("store.commit-failed") == []


def test_a_durable_client_goes_on_with_what_needs_no_disk() -> None:
    """Its steps that wait for the disk hold up none of its answers."""
    hub = Hub()
    office = hub.durable("office")
    office.subscribe("kept/#", 2)
    passing = hub.client("passing")
    passing.subscribe("a", 2)
    sensor = hub.client("sensor")
    sensor.publish("kept/a", b"1", 2)
    message = office.messages()[0]
    office.publish("kept/b", b"2", 2, packet_id=9)
    office.get()
    hub.store.full = True
    office.send(Pubrec(message.packet_id), Pubrel(9), Unsubscribe(5, ["kept/#"]))
    assert office.get() == []
    office.publish("a", b"x", 1, packet_id=10)
    assert office.get_one() == Puback(10)
    office.publish("kept/a", b"x", 1, packet_id=11)
    hub.pass_time(5)
    office.send(Pingreq())
    answers = office.get()
    assert [type(packet) for packet in answers] == [Puback, Pingresp]
    assert passing.payloads() == [b"x"]
    hub.store.full = False
    hub.pass_time(2)
    assert [type(packet) for packet in office.get()] == [Pubrel, Pubcomp, Unsuback]
    same_as_after_a_crash(hub)


# CONNECT. -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "code"), [(3, 3), (4, 3), (5, codes.QUOTA_EXCEEDED)])
def test_a_session_that_cannot_be_kept_is_refused_and_is_not_there(version: int, code: int) -> None:
    hub = Hub()
    hub.store.full = True
    office = hub.peer("office", version)
    answer = office.connect(clean_start=False, expiry=100 if version == 5 else None)
    assert (answer.reason_code, answer.session_present) == (code, False)
    assert office.closed
    assert len(hub.broker.sessions) == 0
    hub.store.full = False
    hub.pass_time(2)
    again = hub.peer("office", version)
    answer = again.connect(clean_start=False, expiry=100 if version == 5 else None)
    assert (answer.reason_code, answer.session_present) == (0, False)
    same_as_after_a_crash(hub)


def test_a_session_that_was_there_before_stays() -> None:
    hub = Hub()
    kept(hub)
    hub.client("sensor").publish("kept/a", b"x", 1)
    hub.store.full = True
    keeper = hub.peer("keeper")
    assert keeper.connect(clean_start=False, expiry=1000).reason_code == codes.QUOTA_EXCEEDED
    assert keeper.get() == []
    hub.store.full = False
    hub.pass_time(2)
    again = hub.peer("keeper")
    assert again.connect(clean_start=False, expiry=1000).session_present
    assert again.payloads() == [b"x"]
    same_as_after_a_crash(hub)


def test_a_resumed_session_survives_its_interval_being_ended_on_a_full_disk() -> None:
    hub = Hub()
    keeper = hub.durable("keeper")
    keeper.subscribe("kept/#", 1)
    hub.store.full = True
    keeper.disconnect(0, Properties(session_expiry_interval=0))
    assert len(hub.broker.sessions) == 0
    hub.store.full = False
    hub.pass_time(2)
    assert hub.store.everything() == {"keys": [], "logs": {}}


# SUBSCRIBE and UNSUBSCRIBE. -------------------------------------------------------------------------


@pytest.mark.parametrize("version", [3, 4, 5])
def test_a_subscription_that_cannot_be_kept_is_refused_and_is_not_there(version: int) -> None:
    hub = Hub()
    office = hub.durable("office", version)
    office.subscribe("a", 1)
    hub.store.full = True
    office.send(Subscribe(7, [SubscriptionRequest("a", 2), SubscriptionRequest("b", 1), SubscriptionRequest("#/", 1)]))
    answer = office.get_one()
    assert isinstance(answer, Suback)
    full, invalid = (codes.QUOTA_EXCEEDED, codes.TOPIC_FILTER_INVALID) if version == 5 else (0x80, 0x80)
    assert answer.reason_codes == [full, full, invalid]
    assert {key: s.qos for key, s in hub.broker.sessions.of("office")[0].subscriptions.items()} == {"a": 1}
    hub.store.full = False
    same_as_after_a_crash(hub)
    assert office.subscribe("b", 1) == [1]
    same_as_after_a_crash(hub)


def test_no_retained_messages_come_for_a_subscription_that_was_refused() -> None:
    hub = Hub()
    hub.client("sensor").publish("a", b"kept", 1, retain=True)
    office = hub.durable("office")
    hub.store.full = True
    office.send(Subscribe(1, [SubscriptionRequest("a", 1)]))
    assert len(office.get()) == 1
    hub.store.full = False
    hub.pass_time(2)
    assert office.get() == []
    office.send(Subscribe(2, [SubscriptionRequest("a", 1)]))
    assert [type(packet) for packet in office.get()] == [Suback, Publish]


def test_retained_messages_come_in_the_end_although_the_disk_filled_up_amid_them() -> None:
    hub = Hub()
    hub.limits.queue_messages = 20
    sensor = hub.client("sensor")
    for i in range(50):
        sensor.publish(f"a/{i}", str(i).encode(), 1, retain=True)
    office = hub.client("office", properties=Properties(receive_maximum=5, session_expiry_interval=1000))
    office.subscribe("a/#", 1)
    got = [packet.payload for packet in office.messages()]
    hub.store.full = True
    while more := office.messages():
        got += [packet.payload for packet in more]
    assert len(got) < 50
    hub.store.full = False
    hub.pass_time(3)
    while more := office.messages():
        got += [packet.payload for packet in more]
    assert sorted(got, key=int) == [str(i).encode() for i in range(50)]
    same_as_after_a_crash(hub)


def test_unsuback_comes_once_it_lasts_and_the_subscription_does_not_come_back() -> None:
    hub = Hub()
    office = hub.durable("office")
    office.subscribe("a", 1)
    hub.store.full = True
    office.send(Unsubscribe(3, ["a"]))
    assert office.get() == []
    hub.store.full = False
    hub.pass_time(2)
    assert isinstance(office.get_one(), Unsuback)
    same_as_after_a_crash(hub)


def test_an_unsuback_that_had_nothing_to_keep_is_not_forgotten() -> None:
    """It waited for a batch of others, of which nothing is tried again."""
    hub = Hub()
    kept(hub)
    office = hub.durable("office")
    sensor = hub.client("sensor")
    hub.store.automatic = False
    sensor.publish("kept/a", b"x", 1)
    office.send(Unsubscribe(3, ["nothing"]))
    hub.store.full = True
    hub.commit()
    assert isinstance(office.get_one(), Unsuback)
    answer = sensor.get_one()
    assert isinstance(answer, Puback)
    assert answer.reason_code == codes.QUOTA_EXCEEDED


@pytest.mark.parametrize("again", [False, True])
def test_a_refused_resubscription_behind_an_unsubscription_leaves_nothing(again: bool) -> None:
    hub = Hub()
    office = hub.durable("office")
    office.subscribe("a", 1)
    hub.store.automatic = False
    hub.client("other").publish("kept/x")
    office.connection.receive(b"\xa2\x06\x00\x03\x00\x00\x01a")
    office.connection.receive(b"\x82\x07\x00\x04\x00\x00\x01a\x01")
    hub.settle()
    hub.store.full = True
    hub.commit()
    answer = office.get_one()
    assert isinstance(answer, Suback)
    assert answer.reason_codes == [codes.QUOTA_EXCEEDED]
    hub.store.full = False
    hub.store.automatic = True
    hub.pass_time(2)
    assert isinstance(office.get_one(), Unsuback)
    if again:
        assert office.subscribe("a", 2) == [2]
    same_as_after_a_crash(hub)


# Retained messages. ---------------------------------------------------------------------------------


def retained(hub: Hub) -> list[bytes]:
    late = hub.client("late")
    late.subscribe("a")
    return late.payloads()


def test_a_retained_message_that_cannot_be_kept_is_refused_and_the_old_one_stays() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", b"old", 1, retain=True)
    hub.store.full = True
    sensor.publish("a", b"new", 1, retain=True)
    sensor.publish("b", b"new", 1, retain=True)
    answers = [packet.reason_code for packet in sensor.get() if isinstance(packet, Puback)]
    assert answers == [0, codes.QUOTA_EXCEEDED, codes.QUOTA_EXCEEDED]
    assert retained(hub) == [b"old"]
    hub.store.full = False
    hub.pass_time(2)
    same_as_after_a_crash(hub)
    assert retained(hub.crash()) == [b"old"]


def test_a_retained_qos_0_message_that_nobody_can_be_told_of_is_kept_once_there_is_room() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", b"old", 1, retain=True)
    hub.store.full = True
    sensor.publish("a", b"new", 0, retain=True)
    assert retained(hub) == [b"new"]
    hub.store.full = False
    hub.pass_time(2)
    same_as_after_a_crash(hub)
    assert retained(hub.crash()) == [b"new"]


@pytest.mark.parametrize(
    ("first", "second"), [(1, 1), (0, 1), (1, 0), (0, 0)], ids=["told-told", "kept-told", "told-kept", "kept-kept"]
)
@pytest.mark.parametrize("same_batch", [False, True])
@pytest.mark.parametrize("before", [b"", b"old"])
def test_a_refused_retained_message_does_not_undo_a_later_one(
    first: int, second: int, same_batch: bool, before: bytes
) -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", before, 1, retain=True)
    hub.store.automatic = False
    hub.store.full = True
    if same_batch:
        sensor.send(
            Publish("a", b"1", first, True, packet_id=1 if first else 0),
            Publish("a", b"2", second, True, packet_id=2 if second else 0),
        )
        hub.commit()
    else:
        sensor.publish("a", b"1", first, True, packet_id=1)
        sensor.publish("a", b"2", second, True, packet_id=2)
        hub.commit()
        held = hub.broker.retained.get("a")
        assert held is not None
        assert held.payload == b"2"
        hub.pass_time(2)
        while hub.store.waiting:
            hub.commit()
    expected = b"2" if second == 0 else b"1" if first == 0 else before
    assert retained(hub) == ([expected] if expected else [])
    hub.store.full = False
    hub.store.automatic = True
    hub.pass_time(3)
    same_as_after_a_crash(hub)
    assert retained(hub) == ([expected] if expected else [])


def test_clearing_is_done_once_there_is_room() -> None:
    hub = Hub()
    sensor = hub.client("sensor")
    sensor.publish("a", b"old", 1, retain=True)
    hub.store.full = True
    sensor.publish("a", b"", 0, retain=True)
    hub.store.full = False
    hub.pass_time(2)
    assert hub.store.everything() == {"keys": [], "logs": {}}


# Wills and shared groups: nobody can be told, so they are tried again. ------------------------------


@pytest.mark.parametrize("delay", [0, 10])
def test_a_will_that_falls_due_on_a_full_disk_is_delivered_when_there_is_room(delay: int) -> None:
    hub = Hub()
    kept(hub)
    properties = Properties(will_delay_interval=delay)
    sensor = hub.client("sensor", expiry=100, will=Will("kept/sensor", b"gone", 1, True, properties))
    hub.store.full = True
    sensor.drop()
    hub.pass_time(30)
    assert len(hub.named("will.published")) == 1
    hub.store.full = False
    hub.pass_time(2)
    same_as_after_a_crash(hub)
    hub = hub.crash()
    late = hub.client("late")
    late.subscribe("kept/#")
    assert late.payloads() == [b"gone"]
    assert hub.durable("keeper").payloads() == [b"gone"]
    hub.pass_time(1000)
    assert hub.named("will.published") == []


def test_what_is_handed_over_on_a_full_disk_is_not_lost() -> None:
    hub = Hub()
    one = hub.client("one", properties=Properties(receive_maximum=1, session_expiry_interval=1000))
    one.subscribe("$share/g/jobs", 1)
    sensor = hub.client("sensor")
    for i in range(5):
        sensor.publish("jobs", str(i).encode(), 1, packet_id=i + 1)
    two = hub.durable("two")
    two.subscribe("$share/g/jobs", 1)
    hub.store.full = True
    one.drop()
    hub.pass_time(3)
    hub.store.full = False
    hub.pass_time(3)
    same_as_after_a_crash(hub)
    assert two.payloads() == [b"1", b"2", b"3", b"4"]
    assert hub.durable("one").payloads() == [b"0"]


def test_a_farewell_on_a_full_disk_leaves_the_session_as_it_is() -> None:
    hub = Hub()
    keeper = hub.durable("keeper")
    keeper.subscribe("kept/#", 1)
    hub.store.full = True
    keeper.disconnect()
    hub.store.full = False
    hub.pass_time(2)
    same_as_after_a_crash(hub)
    hub.client("sensor").publish("kept/a", b"x", 1)
    assert hub.crash().durable("keeper").payloads() == [b"x"]


# What was being acknowledged. -----------------------------------------------------------------------


@pytest.mark.parametrize("qos", [1, 2])
def test_acknowledgements_that_could_not_be_written_are_written_later(qos: int) -> None:
    hub = Hub()
    office = hub.durable("office")
    office.subscribe("a", 2)
    hub.client("sensor").publish("a", b"x", qos)
    (message,) = [packet for packet in office.get() if isinstance(packet, Publish)]
    hub.store.full = True
    if qos == 1:
        office.send(Puback(message.packet_id))
        hub.store.full = False
        hub.pass_time(2)
    else:
        office.send(Pubrec(message.packet_id))
        assert office.get() == []
        hub.store.full = False
        hub.pass_time(2)
        assert office.get_one() == Pubrel(message.packet_id)
        hub.store.full = True
        office.send(Pubcomp(message.packet_id))
        hub.store.full = False
        hub.pass_time(2)
    same_as_after_a_crash(hub)
    assert hub.store.records.get("q1", {}) == {}
    hub = hub.crash()
    assert hub.durable("office").get() == []


def test_an_identifier_that_is_reused_while_its_release_is_not_written_yet() -> None:
    hub = Hub()
    kept(hub)
    sensor = hub.durable("sensor")
    sensor.publish("kept/a", b"1", 2, packet_id=7)
    sensor.get()
    hub.store.full = True
    sensor.send(Pubrel(7), Publish("kept/a", b"2", 2, packet_id=7))
    answer = sensor.get_one()
    assert isinstance(answer, Pubrec)
    assert answer.reason_code == codes.QUOTA_EXCEEDED
    hub.store.full = False
    hub.pass_time(2)
    assert sensor.get_one() == Pubcomp(7)
    same_as_after_a_crash(hub)
    hub = hub.crash()
    sensor = hub.durable("sensor")
    sensor.publish("kept/a", b"3", 2, packet_id=7)
    assert sensor.get_one() == Pubrec(7)
    assert [packet.payload for packet in hub.durable("keeper").messages()] == [b"1", b"3"]


def test_the_hub_tries_again_each_second_and_no_more_often() -> None:
    hub = Hub()
    office = hub.durable("office")
    office.subscribe("a", 1)
    hub.store.full = True
    office.send(Unsubscribe(3, ["a"]))
    before = hub.broker.counters.commits_failed
    hub.pass_time(10.5)
    assert hub.broker.counters.commits_failed - before == 10
    assert not any(isinstance(packet, Disconnect) for packet in office.get())
