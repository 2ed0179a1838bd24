"""Every order of events in a small world, with crashes of the hub before and after each commit: nothing that was
acknowledged is lost, nothing of QoS 2 comes twice, and nothing is left over."""

from __future__ import annotations

import pytest

from tests.mqtt.session.small_world import World


def explore(
    published: int, subscribed: int, messages: int, version: int, crashes: int, drops: int, refusals: int
) -> int:
    """Visit each reachable state once, and let each come to its good end. Returns how many there were."""

    def replayed(schedule: tuple[str, ...]) -> World:
        world = World(published, subscribed, messages, version, crashes, drops, refusals)
        for action in schedule:
            world.act(action)
        return world

    seen: set[object] = set()
    to_visit: list[tuple[str, ...]] = [()]
    while to_visit:
        schedule = to_visit.pop()
        world = replayed(schedule)
        fingerprint = world.fingerprint()
        if fingerprint in seen:
            continue
        seen.add(fingerprint)
        to_visit += [(*schedule, action) for action in world.actions()]
        try:
            check_end(world, min(published, subscribed), ordered=refusals == 0)
        except AssertionError as error:
            raise AssertionError(f"after {list(schedule)}: {error}") from error
    return len(seen)


def check_end(world: World, qos: int, ordered: bool) -> None:
    """`ordered`: a message that was refused and is sent again may come behind later ones."""
    world.finish()
    owned, got = world.publisher.owned, world.subscriber.got
    assert set(owned) <= set(got), f"acknowledged and lost: {owned}, received {got}"
    if qos == 2:
        assert len(got) == len(set(got)), f"twice: {got}"
    firsts = list(dict.fromkeys(got))
    assert firsts == sorted(firsts) or not ordered, f"out of order: {got}"
    assert not world.publisher.unacknowledged
    assert not world.publisher.releasing
    for session in world.hub.broker.sessions.all():
        assert not session.queue, "left in a queue"
        assert not session.in_flight, "left in flight"
        assert not session.received, "an identifier is left"
        assert session.uncommitted == 0
        assert session.queued_octets == 0
    held = world.hub.store.everything()
    assert held["logs"] == {}, held
    assert {bucket for bucket, _ in world.hub.store.buckets} == {"session", "subscription"}


pytestmark = pytest.mark.clause(
    "MQTT-4.3.2-3", "MQTT-4.3.3-3", "MQTT-4.3.3-5", "MQTT-4.3.3-6", "MQTT-4.3.3-10", "MQTT-4.4.0-1", "MQTT-4.5.0-1",
    "MQTT3-4.4.0-1", "MQTT3-4.3.3-2", "MQTT3-4.5.0-1",
)  # fmt: skip


@pytest.mark.parametrize(("published", "subscribed"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_a_crash_at_every_step(published: int, subscribed: int) -> None:
    assert explore(published, subscribed, messages=1, version=5, crashes=1, drops=0, refusals=0) > 20


@pytest.mark.parametrize("qos", [1, 2])
def test_a_lost_connection_at_every_step(qos: int) -> None:
    assert explore(qos, qos, messages=1, version=4, crashes=0, drops=1, refusals=0) > 20


@pytest.mark.parametrize("qos", [1, 2])
def test_a_refused_commit_at_every_step(qos: int) -> None:
    assert explore(qos, qos, messages=1, version=5, crashes=0, drops=0, refusals=1) > 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("published", "subscribed"), [(1, 1), (1, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize(
    ("messages", "crashes", "drops", "refusals"), [(1, 2, 0, 0), (1, 1, 1, 0), (1, 1, 0, 1), (2, 1, 0, 0), (2, 0, 1, 1)]
)
def test_two_of_everything_at_every_step(
    published: int, subscribed: int, messages: int, crashes: int, drops: int, refusals: int
) -> None:
    assert explore(published, subscribed, messages, 5, crashes, drops, refusals) > 50
