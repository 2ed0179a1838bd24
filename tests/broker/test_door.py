"""The door, asked by a protocol that is not MQTT: publishing, subscribing, Wills, and what is told of them."""

from __future__ import annotations

import pytest

from bridgehead.broker.door import NOBODY
from bridgehead.broker.limits import Limits
from bridgehead.core.errors import (
    FILTER_INVALID,
    NAME_INVALID,
    NOT_AUTHORIZED,
    PAYLOAD_FORMAT_INVALID,
    QUOTA_EXCEEDED,
    Refusal,
)
from bridgehead.core.message import Message, MessageProperties, Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.core.session import Will
from tests.broker.fakes import FakeReceiver, House


def refused(house: House, message: Message) -> str:
    with pytest.raises(Refusal) as refusal:
        house.publish(message)
    return refusal.value.meaning


def test_what_publishing_returns() -> None:
    house = House()
    publisher = FakeReceiver()
    assert house.publish(house.message("a"), publisher) == NOBODY
    near, far = FakeReceiver(), FakeReceiver()
    passing = house.session("one", 0.0, near)
    house.subscribe(passing, "a")
    assert house.publish(house.message("a"), publisher) == 0
    assert [delivery.message.payload for delivery in near.offered] == [b"x"]
    kept = house.session("two", 100.0, far)
    house.subscribe(kept, "a")
    house.turn()
    ticket = house.publish(house.message("a"), publisher)
    assert ticket > 0
    assert publisher.tickets == []
    house.turn()
    assert publisher.tickets == [ticket]
    assert len(near.offered) == 2
    assert kept.waiting() == 1
    assert house.publish(house.message("b", retain=True), publisher) > 0
    assert house.publish(house.message("b", qos=0, retain=True), publisher) == 0  # nobody waits for QoS 0


def test_at_most_once_goes_to_who_is_there_and_touches_no_disk() -> None:
    house = House()
    there = FakeReceiver()
    house.subscribe(house.session("one", 100.0, there), "a", 2)
    gone = house.session("two", 100.0)
    house.subscribe(gone, "a", 2)
    receiver = gone.receiver
    assert receiver is not None
    house.broker.detach(gone, receiver, False)
    house.turn()
    before = house.broker.journal.writes
    house.publish(house.message("a", qos=0))
    assert there.transmitted == [b"x"]
    assert gone.waiting() == 0
    assert house.broker.journal.writes == before


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (("", b"x", False), NAME_INVALID),
        (("a/+", b"x", False), NAME_INVALID),
        (("a\0", b"x", False), NAME_INVALID),
        (("/".join(["a"] * 129), b"x", False), NAME_INVALID),
        (("$share/g/a", b"x", False), NAME_INVALID),
        (("a", b"\xff", True), PAYLOAD_FORMAT_INVALID),
        (("other", b"x", False), NOT_AUTHORIZED),
    ],
)
def test_what_is_not_let_in(message: tuple[str, bytes, bool], meaning: str) -> None:
    house = House()
    house.principals["one"].permit(
        [Permission("#", True, True), Permission("$share/#", True, True), Permission("other", True, True, allow=False)],
        [],
    )
    receiver = FakeReceiver()
    house.subscribe(house.session("two", 0.0, receiver), "#")
    topic, payload, is_text = message
    said = house.message(topic, payload, retain=True, properties=MessageProperties(is_text=is_text))
    assert refused(house, said) == meaning
    assert refused(house, said) == meaning  # also when the topic is known
    assert receiver.offered == []
    assert len(house.broker.retained) == 0
    assert house.broker.counters.messages_refused == 2
    name = "publish.denied" if meaning == NOT_AUTHORIZED else "publish.refused"
    assert [fields["topic"] for fields in house.named(name)] == [topic, topic]
    assert house.named(name)[0]["because"]


def test_the_hub_itself_publishes_through_the_same_door() -> None:
    house = House()
    hub = Principal.of("$hub", [Permission("$SYS/#", True, False)], [])
    watcher = FakeReceiver()
    house.subscribe(house.session("one", 0.0, watcher), "$SYS/#", 0)
    origin = Origin("$hub", "hub", True)
    house.broker.door.publish(hub, Message("$SYS/hub/uptime", b"1", 0, True, origin), None)
    assert watcher.transmitted == [b"1"]
    with pytest.raises(Refusal):
        house.broker.door.publish(hub, Message("plant/1", b"1", 0, True, origin), None)


# Exactly once. --------------------------------------------------------------------------------------


@pytest.mark.parametrize("expiry", [0.0, 100.0])
def test_an_identifier_is_let_in_once_until_it_is_released(expiry: float) -> None:
    house = House()
    publisher, receiver = FakeReceiver(), FakeReceiver()
    session = house.session("one", expiry, publisher)
    house.subscribe(house.session("two", 0.0, receiver), "a", 2)
    house.turn()
    door = house.broker.door
    for _ in range(3):
        door.publish_once(session, house.message("a", qos=2), 7, publisher)
    house.turn()
    assert len(receiver.offered) == (1 if expiry == 0 else 0)
    target = house.broker.sessions.find("two", "two")
    assert target is not None
    assert len(receiver.offered) + target.waiting() == 1
    assert (door.release(session, 7, publisher) > 0) is (expiry > 0)
    assert door.release(session, 7, publisher) == -1
    door.publish_once(session, house.message("a", qos=2), 7, publisher)
    house.turn()
    assert len(receiver.offered) + target.waiting() == 2


# Subscribing. ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic_filter", "meaning"),
    [
        ("", FILTER_INVALID),
        ("a#", FILTER_INVALID),
        ("/".join(["+"] * 129), FILTER_INVALID),
        ("closed/x", NOT_AUTHORIZED),
        ("+/x", NOT_AUTHORIZED),
    ],
)
def test_a_filter_that_is_refused(topic_filter: str, meaning: str) -> None:
    house = House()
    house.principals["one"].permit([Permission("open/#", True, True), Permission("a/#", True, True)], [])
    session = house.session("one")
    with pytest.raises(Refusal) as refusal:
        house.subscribe(session, topic_filter)
    assert refusal.value.meaning == meaning
    assert session.subscriptions == {}
    assert (len(house.named("subscribe.denied")) == 1) is (meaning == NOT_AUTHORIZED)


def test_the_granted_qos_is_what_is_kept() -> None:
    house = House()
    house.principals["one"].permit([Permission("a/#", True, True, 1)], [])
    session = house.session("one")
    assert house.subscribe(session, "a/b", 2, identifier=5) == 1
    held = session.subscriptions["a/b"]
    assert (held.qos, held.identifier) == (1, 5)


def test_ceilings_of_subscriptions() -> None:
    limits = Limits()
    limits.subscriptions_per_session = 2
    limits.subscriptions = 3
    house = House(None, limits)
    one, two = house.session("one"), house.session("two")
    for session, topic_filter, fits in (
        (one, "a", True), (one, "b", True), (one, "c", False), (one, "a", True), (two, "a", True), (two, "b", False)
    ):  # fmt: skip
        if fits:
            house.subscribe(session, topic_filter)
        else:
            with pytest.raises(Refusal) as refusal:
                house.subscribe(session, topic_filter)
            assert refusal.value.meaning == QUOTA_EXCEEDED


def test_unsubscribing() -> None:
    house = House()
    session = house.session("one")
    house.subscribe(session, "a")
    house.turn()
    assert not house.broker.door.unsubscribe(session, "b")
    assert house.broker.door.unsubscribe(session, "a")
    assert not house.broker.door.unsubscribe(session, "a")
    house.turn()
    assert not any(bucket == "subscription" for bucket, _ in house.store.buckets)


# Wills and retained messages. -----------------------------------------------------------------------


def test_a_will_is_asked_of_the_door_before_anything_is_begun() -> None:
    house = House()
    house.principals["one"].permit([Permission("a", True, True, 0)], [])
    receiver = FakeReceiver()
    with pytest.raises(Refusal):
        house.session("one", 100.0, receiver, Will("a", b"x", 1, False, MessageProperties(), None, 0))
    assert len(house.broker.sessions) == 0
    session = house.session("one", 100.0, receiver, Will("a", b"x", 0, False, MessageProperties(), None, 0))
    house.broker.detach(session, receiver, True)
    assert house.named("will.published") == [{"principal": "one", "client_id": "one", "protocol": "fake", "topic": "a"}]


def test_expired_retained_messages_are_swept_in_portions() -> None:
    house = House()
    now = house.clock.now
    for i in range(25_000):
        expires_at = now + 10 if i % 2 else float("inf")
        house.broker.retained.put(house.message(f"t/{i}", retain=True, expires_at=expires_at))
    house.clock.now += 60
    calls = 0
    while house.broker.next_timeout() <= house.clock.now:
        house.broker.handle_timeout()
        calls += 1
    assert calls == 3
    assert len(house.broker.retained) == 12_500
    assert house.broker.counters.dropped_expired == 12_500
    assert house.broker.next_timeout() == house.clock.now + 60


def test_a_change_of_permissions_holds_for_the_next_message() -> None:
    house = House()
    receiver = FakeReceiver()
    house.subscribe(house.session("two", 0.0, receiver), "a")
    house.publish(house.message("a"))
    house.principals["two"].permit([], [])
    house.broker.permissions_changed()
    assert house.publish(house.message("a")) == NOBODY
    assert len(receiver.offered) == 1
