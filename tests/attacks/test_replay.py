"""Retained messages as a lever: a few octets of SUBSCRIBE that make the hub look at, or keep, very many."""

from __future__ import annotations

import pytest

from bridgehead.core.message import Message, Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.core.retained import Retained, Walk
from bridgehead.protocols.mqtt.codec.packets import Puback, Publish, Suback, Subscribe, SubscriptionRequest, Unsubscribe
from tests.mqtt.dialogue import Hub, Peer

MANY = 5_000


@pytest.fixture
def hub() -> Hub:
    hub = Hub()
    plant = hub.client("plant")
    for i in range(MANY):
        plant.publish(f"plant/{i}/state", b"on", retain=True)
    plant.drop()
    return hub


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps all walks have made; interpreted only, a compiled method cannot be replaced."""
    counted = [0]
    step = Walk.step

    def count(walk: Walk) -> str | None:
        counted[0] += 1
        return step(walk)

    try:
        monkeypatch.setattr(Walk, "step", count)
    except TypeError:
        counted[0] = -(10**12)
    return counted


def request(topic_filter: str) -> SubscriptionRequest:
    return SubscriptionRequest(topic_filter, 0, False, False, 0)


def replays(peer: Peer) -> int:
    session = peer.connection.session
    assert session is not None
    return 0 if session.replay is None else len(session.replay)


def test_one_packet_with_the_same_filter_thousands_of_times(hub: Hub, steps: list[int]) -> None:
    attacker = hub.client("attacker")
    attacker.stop_reading()
    attacker.send(Subscribe(1, [request("plant/#")] * 10_000))
    assert replays(attacker) == 1
    assert steps[0] <= 2 * MANY


def test_subscribing_and_unsubscribing_without_end_keeps_nothing(hub: Hub, steps: list[int]) -> None:
    attacker = hub.client("attacker")
    attacker.stop_reading()
    for i in range(100):
        attacker.connection.receive(b"")
        attacker.send(Subscribe(1, [request(f"plant/+/{i}")]), Unsubscribe(1, [f"plant/+/{i}"]))
    assert replays(attacker) == 0
    assert steps[0] <= 100 * 1000


def test_a_filter_that_matches_nothing_lets_others_have_their_turn(hub: Hub) -> None:
    """A wildcard over thousands of branches none of which goes on as the filter does: looked at in slices."""
    attacker = hub.client("attacker")
    attacker.connection.receive(b"")
    outbox = attacker.connection.outbox
    attacker.send(Subscribe(1, [request("plant/+/nothing")]))  # settles: as many turns as it takes
    assert replays(attacker) == 0
    assert not outbox.parts
    session = attacker.connection.session
    assert session is not None
    attacker.connection.receive(b"\x82\x15\x00\x02\x00\x00\x0fplant/+/nothing\x00")
    attacker.connection.pump()
    assert replays(attacker) == 1
    assert session.replay_steps == 0
    hub.settle()
    assert replays(attacker) == 0


def test_all_of_them_come_once_whoever_subscribes_again_meanwhile(hub: Hub) -> None:
    office = hub.client("office")
    office.send(Subscribe(1, [request("plant/+/state"), request("plant/7/#"), request("plant/+/state")]))
    topics = [packet.topic for packet in office.get() if isinstance(packet, Publish)]
    assert len(topics) == MANY + 1
    assert set(topics) == {f"plant/{i}/state" for i in range(MANY)}


def test_a_right_that_is_withdrawn_ends_a_replay_that_has_begun() -> None:
    principal = Principal.of("office", [Permission("plant/#", False, True)], [])
    hub = Hub(principals=[principal])
    plant = hub.client("plant")
    for i in range(2_500):
        plant.publish(f"plant/{i}", b"on", qos=1, retain=True)
    office = hub.client("office")
    office.send(Subscribe(1, [SubscriptionRequest("plant/#", 1, False, False, 0)]))
    first = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert len(first) == 1000  # the Receive Maximum
    principal.permit([], [])
    hub.broker.permissions_changed()
    office.send(*[Puback(packet.packet_id) for packet in first])
    assert office.messages() == []


def test_a_walk_outlives_whatever_happens_to_the_tree() -> None:
    retained = Retained()
    origin = Origin("plant", "mqtt", True)
    for topic in ["a/1", "a/2", "a/2/x", "b", "$SYS/x"]:
        retained.put(Message(topic, b"1", 0, True, origin))
    walk = retained.walk("#")
    found: list[str] = []
    while not walk.is_over():
        reached = walk.step()
        if reached is not None:
            found.append(reached)
            retained.discard("a/2")
            retained.put(Message(f"new/{reached}", b"1", 0, True, origin))
            retained.put(Message("$SYS/y", b"1", 0, True, origin))
    assert found == ["a/1", "a/2/x", "b"]
    assert sorted(retained.matching("#")) == ["a/1", "a/2/x", "b", "new/a/1", "new/a/2/x", "new/b"]


def test_suback_comes_before_retained_messages(hub: Hub) -> None:
    office = hub.client("office")
    office.send(Subscribe(1, [request("plant/7/#")]))
    assert [type(packet) for packet in office.get()] == [Suback, Publish]
