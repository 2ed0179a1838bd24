"""What one identity may make the hub hold over all of its sessions, and what its filters make of others' topics."""

from __future__ import annotations

from bridgehead.broker.limits import Limits
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Suback, Subscribe, SubscriptionRequest
from tests.mqtt.dialogue import Hub, Peer

KIB = b"x" * 1024


def subscribed(peer: Peer, filters: list[str]) -> int:
    """How many were granted."""
    granted = 0
    for at in range(0, len(filters), 500):
        peer.send(Subscribe(1, [SubscriptionRequest(each, 0, False, False, 2) for each in filters[at : at + 500]]))
        for packet in peer.get():
            if isinstance(packet, Suback):
                granted += sum(code == 0 for code in packet.reason_codes)
                assert set(packet.reason_codes) <= {0, codes.QUOTA_EXCEEDED}
    return granted


def test_deep_filters_do_not_hold_gigabytes() -> None:
    """A thousand filters of 128 levels in each of a thousand sessions."""
    limits = Limits()
    limits.subscription_octets_per_identity = 1024 * 1024
    hub = Hub(limits=limits)
    granted = 0
    for i in range(4):
        attacker = hub.client("attacker", client_id=f"a{i}", expiry=100)
        granted += subscribed(attacker, [f"{i}/{n}" + "/x" * 126 for n in range(100)])
    assert granted == 1024 * 1024 // (200 + 400 * 120 + 2 * (len("0/00") + 252))
    assert subscribed(hub.client("neighbour"), ["0/1" + "/x" * 125]) == 1
    attacker = hub.client("attacker", client_id="a0")  # Clean Start: the session's are given back
    assert subscribed(attacker, ["a" + "/x" * 126]) == 1


def test_the_ceiling_of_all_identities() -> None:
    limits = Limits()
    limits.subscription_octets = 100_000
    hub = Hub(limits=limits)
    granted = [subscribed(hub.client(f"a{i}"), [f"{i}" + "/x" * 127]) for i in range(4)]
    assert granted == [1, 1, 0, 0]


def test_what_is_given_back_can_be_taken_again() -> None:
    hub = Hub()
    office = hub.client("office")
    for _ in range(3):
        office.subscribe("a" + "/x" * 100, 1)
        office.subscribe("$share/g/b" + "/x" * 100, 1)
        office.subscribe("a" + "/x" * 100, 2)
        for key in list(hub.broker.sessions.of("office")[0].subscriptions):
            assert hub.broker.door.unsubscribe(hub.broker.sessions.of("office")[0], key)
    assert hub.broker.router.octets == 0
    assert hub.principals["office"].subscription_octets == 0


def test_ordinary_filters_are_counted_by_number_as_they_always_were() -> None:
    hub = Hub()
    assert subscribed(hub.client("office"), [f"plant/hall/{i}/line/+/state/x/y" for i in range(1000)]) == 1000
    assert hub.principals["office"].subscription_octets < 1000 * 300


def test_filters_of_two_kinds_of_level_make_a_topic_cost_no_more_than_they_weigh() -> None:
    """Every one of 2^depth filters of "a" and "+" matches a/a/a/...: as many as their owner may keep, and no more."""
    limits = Limits()
    limits.subscription_octets_per_identity = 256 * 1024
    hub = Hub(limits=limits)
    attacker = hub.client("attacker")
    filters = ["a/" * 20 + "/".join("+" if number >> bit & 1 else "a" for bit in range(12)) for number in range(1000)]
    granted = subscribed(attacker, filters)
    assert 0 < granted < 60
    hub.client("sensor").publish("/".join("a" * 32), b"x")
    assert len(attacker.payloads()) == 1


def test_queues_of_many_sessions_have_a_ceiling_together() -> None:
    limits = Limits()
    limits.queue_octets = 20 * 1024
    limits.queue_octets_per_identity = 50 * 1024
    hub = Hub(limits=limits)
    for i in range(10):
        away = hub.client("attacker", client_id=f"a{i}", expiry=100)
        away.subscribe("t", 1)
        away.drop()
    neighbour = hub.client("neighbour", expiry=100)
    neighbour.subscribe("t", 1)
    neighbour.drop()
    sensor = hub.client("sensor")
    for _ in range(30):
        sensor.publish("t", KIB, qos=1)
    held = [session.queued_octets for session in hub.broker.sessions.of("attacker")]
    assert sum(held) == hub.principals["attacker"].queued_octets <= 51 * 1024
    assert min(held) > 0  # an empty queue takes any message
    assert hub.broker.sessions.of("neighbour")[0].waiting() >= 18
    for i in range(5):
        assert len(hub.client("attacker", client_id=f"a{i}", clean_start=False, expiry=100).payloads()) > 0
    for session in hub.broker.sessions.of("attacker")[5:]:
        hub.broker.sessions.end(session, "given up")
    assert hub.principals["attacker"].queued_octets == 0
