"""Shared subscriptions: fair, to connected members, nothing lost when one dies, never past the policy (4.8.2)."""

from __future__ import annotations

from itertools import chain

import pytest

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

GROUP = "$share/g/jobs/#"


def members(hub: Hub, count: int, qos: int = 1, durable: bool = False, topic_filter: str = GROUP) -> list[Peer]:
    made: list[Peer] = []
    for i in range(count):
        name = f"worker{i}"
        peer = hub.durable(name) if durable else hub.client(name)
        peer.subscribe(topic_filter, qos)
        made.append(peer)
    return made


def publishes(packets: object) -> list[Publish]:
    assert isinstance(packets, list)
    return [packet for packet in packets if isinstance(packet, Publish)]


def send(hub: Hub, count: int, qos: int = 1, begin: int = 0, topic: str = "jobs/x") -> None:
    sensor = hub.client("sensor")
    for i in range(begin, begin + count):
        sensor.publish(topic, str(i).encode(), qos, packet_id=i + 1)
        if qos == 2:
            sensor.send(Pubrel(i + 1))
    sensor.disconnect()


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member_and_each_has_its_turn(qos: int, durable: bool) -> None:
    hub = Hub()
    workers = members(hub, 4, 2, durable)
    send(hub, 40, qos)
    got = [[packet.payload for packet in publishes(worker.get())] for worker in workers]
    assert [len(payloads) for payloads in got] == [10, 10, 10, 10]
    assert sorted(chain.from_iterable(got), key=int) == [str(i).encode() for i in range(40)]


def test_two_groups_and_a_plain_subscription_each_get_a_copy() -> None:
    hub = Hub()
    one = hub.client("one")
    one.subscribe("$share/g/jobs/#")
    one.subscribe("$share/h/jobs/#")
    one.subscribe("jobs/+")
    send(hub, 1, 0)
    assert one.payloads() == [b"0"] * 3


@pytest.mark.clause("MQTT-4.8.2-3")
def test_each_members_granted_qos_is_respected() -> None:
    hub = Hub()
    workers = [hub.client(f"worker{qos}") for qos in (0, 1, 2)]
    for qos, worker in enumerate(workers):
        worker.subscribe(GROUP, qos)
    send(hub, 9, 2)
    for qos, worker in enumerate(workers):
        packets = publishes(worker.get())
        assert len(packets) == 3
        assert {packet.qos for packet in packets} == {qos}


@pytest.mark.clause("MQTT-4.8.2-1", "MQTT-4.8.2-2")
def test_share_names_are_their_groups_and_filters_too() -> None:
    hub = Hub()
    workers = [hub.client(f"worker{i}") for i in range(4)]
    for worker, topic_filter in zip(
        workers, ["$share/g/jobs/x", "$share/g/jobs/+", "$share/G/jobs/x", "$share/g/jobs/x"], strict=True
    ):
        worker.subscribe(topic_filter)
    send(hub, 6, 0)
    assert [len(worker.get()) for worker in workers] == [3, 6, 6, 3]


def test_the_members_subscription_identifier_comes_with_it() -> None:
    hub = Hub()
    for i in (1, 2):
        hub.client(f"worker{i}").subscribe(GROUP, identifier=i)
    send(hub, 4, 0)
    for i in (1, 2):
        packets = publishes(hub.peers[i - 1].get())
        assert [packet.properties.subscription_identifiers for packet in packets] == [[i], [i]]


def test_a_member_with_much_to_do_is_passed_over() -> None:
    hub = Hub()
    slow = hub.client("slow", properties=Properties(receive_maximum=1))
    quick = hub.client("quick")
    slow.subscribe(GROUP, 1)
    quick.subscribe(GROUP, 1)
    send(hub, 10)
    assert len(publishes(slow.get())) == 1
    assert len(publishes(quick.get())) in (8, 9)


# Only to connected members. -------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_only_connected_members_are_chosen(qos: int) -> None:
    hub = Hub()
    workers = members(hub, 3, 2, durable=True)
    workers[0].drop()
    workers[2].drop()
    send(hub, 10, qos)
    assert len(publishes(workers[1].get())) == 10


@pytest.mark.parametrize("qos", [1, 2])
def test_when_all_are_away_a_kept_session_keeps_it_and_whoever_comes_first_gets_it(qos: int) -> None:
    hub = Hub()
    workers = members(hub, 3, 2, durable=True)
    for worker in workers:
        worker.drop()
    send(hub, 10, qos)
    first = hub.durable("worker1")
    got = [packet.payload for packet in publishes(first.get())]
    assert sorted(got, key=int) == [str(i).encode() for i in range(10)]
    assert publishes(hub.durable("worker0").get()) == []
    assert publishes(hub.durable("worker2").get()) == []


@pytest.mark.parametrize("qos", [1, 2])
def test_a_new_member_gets_what_waits_for_absent_ones(qos: int) -> None:
    hub = Hub()
    (worker,) = members(hub, 1, 2, durable=True)
    worker.drop()
    send(hub, 5, qos)
    new = hub.client("new")
    new.subscribe(GROUP, 2)
    assert sorted(packet.payload for packet in publishes(new.get())) == [b"0", b"1", b"2", b"3", b"4"]
    assert publishes(hub.durable("worker0").get()) == []


def test_what_waits_across_a_crash_of_the_hub_comes_to_whoever_is_first_too() -> None:
    hub = Hub()
    for worker in members(hub, 2, 2, durable=True):
        worker.drop()
    send(hub, 10, 1)
    hub = hub.crash()
    first = hub.durable("worker1")
    assert len(publishes(first.get())) == 10


@pytest.mark.parametrize("qos", [1, 2])
def test_what_a_member_had_not_been_sent_goes_to_another_when_it_leaves(qos: int) -> None:
    hub = Hub()
    narrow = hub.client("narrow", properties=Properties(receive_maximum=1, session_expiry_interval=1000))
    narrow.subscribe(GROUP, 2)
    send(hub, 5, qos)
    begun = publishes(narrow.get())
    assert [packet.payload for packet in begun] == [b"0"]
    other = hub.client("other")
    other.subscribe(GROUP, 2)
    narrow.drop()
    assert [packet.payload for packet in publishes(other.get())] == [b"1", b"2", b"3", b"4"]
    assert [packet.payload for packet in publishes(hub.durable("narrow").get())] == [b"0"]


def test_what_was_being_committed_for_a_member_goes_to_another_when_it_leaves() -> None:
    hub = Hub()
    leaving = hub.durable("leaving")
    leaving.subscribe(GROUP, 1)
    hub.store.automatic = False
    sensor = hub.client("sensor")
    sensor.publish("jobs/x", b"x", 1)
    other = hub.client("other")
    other.subscribe(GROUP, 1)
    leaving.drop()
    assert other.get() == []
    hub.store.automatic = True
    hub.settle()
    assert sensor.get_one() == Puback(1)
    assert [packet.payload for packet in publishes(other.get())] == [b"x"]
    assert publishes(hub.durable("leaving").get()) == []


# A member dies. -------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [False, True])
def test_qos_1_that_was_not_acknowledged_goes_to_another_when_the_session_ends(durable: bool) -> None:
    hub = Hub()
    workers = members(hub, 2, 1, durable)
    send(hub, 10)
    held = publishes(workers[0].get())
    assert len(held) == 5
    workers[0].send(Puback(held[0].packet_id))
    before = [packet.payload for packet in publishes(workers[1].get())]
    workers[0].drop()
    if durable:
        assert workers[1].get() == []  # it may come back
        hub.pass_time(1001)
    after = [packet.payload for packet in publishes(workers[1].get())]
    assert sorted(before + after + [held[0].payload], key=int) == [str(i).encode() for i in range(10)]


@pytest.mark.clause("MQTT-4.8.2-4")
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("released", [False, True])
def test_qos_2_that_has_begun_is_completed_with_the_same_member(crash: bool, released: bool) -> None:
    hub = Hub()
    workers = members(hub, 2, 2, durable=True)
    send(hub, 1, 2)
    worker, other = workers if workers[0].received else reversed(workers)
    name = worker.name
    (begun,) = publishes(worker.get())
    if released:
        worker.send(Pubrec(begun.packet_id))
        assert worker.get_one() == Pubrel(begun.packet_id)
    worker.drop()
    assert publishes(other.get()) == []
    if crash:
        hub = hub.crash()
    again = hub.durable(name)
    if released:
        assert again.get_one() == Pubrel(begun.packet_id)
    else:
        (resent,) = publishes(again.get())
        assert (resent.payload, resent.packet_id, resent.dup) == (b"0", begun.packet_id, True)
        again.send(Pubrec(begun.packet_id))
        again.get()
    again.send(Pubcomp(begun.packet_id))
    assert hub.broker.sessions.of(name)[0].in_flight == {}


@pytest.mark.clause("MQTT-4.8.2-5")
@pytest.mark.parametrize("durable", [False, True])
def test_qos_2_that_has_begun_goes_to_nobody_else_when_the_session_ends(durable: bool) -> None:
    hub = Hub()
    workers = members(hub, 2, 2, durable)
    send(hub, 1, 2)
    worker, other = workers if workers[0].received else reversed(workers)
    worker.drop()
    hub.pass_time(1001)
    assert publishes(other.get()) == []


@pytest.mark.clause("MQTT-4.8.2-6")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_members_refusal_discards_the_message_for_the_whole_group(qos: int) -> None:
    hub = Hub()
    workers = members(hub, 2, qos, durable=True)
    send(hub, 1, qos)
    worker, other = workers if workers[0].received else reversed(workers)
    (packet,) = publishes(worker.get())
    refusal = codes.IMPLEMENTATION_SPECIFIC_ERROR
    worker.send(Puback(packet.packet_id, refusal) if qos == 1 else Pubrec(packet.packet_id, refusal))
    worker.drop()
    hub.pass_time(1001)
    assert other.get() == []
    assert publishes(hub.durable(worker.name).get()) == []


def test_a_member_that_unsubscribes_gets_no_more() -> None:
    hub = Hub()
    workers = members(hub, 2)
    workers[0].send_octets(b"\xa2\x14\x00\x01\x00\x00\x0f" + GROUP.encode())
    workers[0].get()
    send(hub, 4)
    assert workers[0].get() == []
    assert len(publishes(workers[1].get())) == 4


def test_a_member_that_is_gone_leaves_no_group_behind() -> None:
    hub = Hub()
    members(hub, 2)
    for peer in hub.peers:
        peer.drop()
    assert hub.broker.router.group(GROUP) is None
    send(hub, 1)
    assert hub.broker.router.subscriptions == 0


@pytest.mark.parametrize("qos", [0, 1])
def test_a_thousand_members_of_whom_one_is_connected(qos: int) -> None:
    hub = Hub()
    hub.limits.sessions_per_principal = 2000
    for i in range(1000):
        peer = hub.durable("worker", client_id=f"worker-{i}")
        peer.subscribe(GROUP, 1)
        if i != 777:
            peer.drop()
    send(hub, 50, qos)
    assert len(publishes(hub.peers[777].get())) == 50


# Never past the policy. -----------------------------------------------------------------------------


def test_a_member_that_may_not_receive_a_topic_is_not_chosen_for_it() -> None:
    allowed = [Permission("jobs/#", False, True)]
    denied = [*allowed, Permission("jobs/secret", False, True, allow=False)]
    hub = Hub(principals=[Principal.of("worker0", allowed, []), Principal.of("worker1", denied, [])])
    trusted, other = members(hub, 2)
    send(hub, 6, topic="jobs/secret")
    send(hub, 6, topic="jobs/open")
    assert [packet.topic for packet in publishes(other.get())] == ["jobs/open"] * 3
    assert [packet.topic for packet in publishes(trusted.get())].count("jobs/secret") == 6


def test_what_is_handed_over_goes_only_to_those_who_may_receive_it() -> None:
    allowed = [Permission("jobs/#", False, True)]
    denied = [*allowed, Permission("jobs/secret", False, True, allow=False)]
    hub = Hub(principals=[Principal.of("worker0", allowed, []), Principal.of("worker1", denied, [])])
    trusted, other = members(hub, 2)
    send(hub, 4, topic="jobs/secret")
    trusted.get()
    trusted.drop()
    assert other.get() == []


def test_the_filter_inside_is_what_must_be_permitted() -> None:
    hub = Hub(
        principals=[Principal.of("office", [Permission("a/#", False, True), Permission("$share/#", True, True)], [])]
    )
    office = hub.client("office")
    for topic_filter in ("$share/a/b", "$share/g/#", "$share/a/$SYS/#", "$share/g/+/a"):
        assert office.subscribe(topic_filter) == [codes.NOT_AUTHORIZED]
    assert office.subscribe("$share/g/a/b") == [0]


def test_a_share_inside_a_share_opens_nothing() -> None:
    hub = Hub()
    office = hub.client("office")
    assert office.subscribe("$share/g/$share/h/a") == [codes.NOT_AUTHORIZED]
