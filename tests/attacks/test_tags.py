"""Data tags: who has no clearance gets nothing, in none of the ways out, and nobody tags who may not."""

from __future__ import annotations

import pytest

from bridgehead.core.clearance import is_cleared, tag_topic
from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
from bridgehead.core.message import Message, Origin
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal, Rights
from bridgehead.core.session import Session
from tests.broker.fakes import EVERYTHING, FakeReceiver, House
from tests.broker.queues.fakes import FakeConsumer, declared

SECRET = ("classification=secret",)
BOTH = (*SECRET, "site=north")
QUEUES = [Permission("$QUEUE/#", True, True)]


def opened(*names: str) -> House:
    """`one` may tag everything, `cleared` may read what is secret, `plain` may read everything but that."""
    house = House(None, None, "one", *names)
    house.principals["one"] = Principal.of("one", [*EVERYTHING, *QUEUES, Permission("$TAG/#", True, False)], ["*"])
    secret = Permission("$TAG/classification/secret", False, True)
    house.principals["cleared"] = Principal.of("cleared", [*EVERYTHING, *QUEUES, secret], ["*"])
    house.principals["plain"] = Principal.of("plain", [*EVERYTHING, *QUEUES], ["*"])
    house.broker.recover(list(house.principals.values()))
    return house


def tagged(house: House, payload: bytes, tags: tuple[str, ...] = SECRET, qos: int = 1, retain: bool = False) -> Message:
    return Message("t", payload, qos, retain, Origin("one", "dds", True, "one", "", tags))


def got(house: House, session: Session) -> list[bytes]:
    house.turn()
    receiver = session.receiver
    assert isinstance(receiver, FakeReceiver)
    dispatcher = house.broker.dispatcher
    session.replay_steps = 1000
    while (delivery := dispatcher.next_replay(session)) is not None:
        receiver.offered.append(delivery)
    house.turn()
    while (delivery := dispatcher.next_delivery(session)) is not None:
        receiver.offered.append(delivery)
    return [*receiver.transmitted, *(each.message.payload for each in receiver.offered)]


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.clause("DDSSEC-8.7")
def test_live_only_who_is_cleared_gets_it(qos: int) -> None:
    house = opened()
    sessions = {name: house.session(name) for name in ("cleared", "plain")}
    for session in sessions.values():
        house.subscribe(session, "#", qos=2)
    house.publish(tagged(house, b"secret", qos=qos))
    house.publish(tagged(house, b"both", BOTH, qos))
    house.publish(tagged(house, b"open", (), qos))
    assert got(house, sessions["cleared"]) == [b"secret", b"open"]
    assert got(house, sessions["plain"]) == [b"open"]


def test_of_a_group_only_a_cleared_member_is_chosen() -> None:
    house = opened()
    sessions = {name: house.session(name) for name in ("plain", "cleared")}
    for session in sessions.values():
        house.subscribe(session, "t", share="g")
    for _ in range(4):
        house.publish(tagged(house, b"secret"))
    assert got(house, sessions["cleared"]) == [b"secret"] * 4
    assert got(house, sessions["plain"]) == []


def test_what_is_retained_is_shown_to_the_cleared_only() -> None:
    house = opened()
    house.publish(tagged(house, b"secret", retain=True))
    door = house.broker.door
    origin = Origin("plain", "fake", True)
    assert door.read(house.principals["plain"], "t", origin) is None
    assert door.browse(house.principals["plain"], "#", 10, 1000) == ([], True)
    found = door.read(house.principals["cleared"], "t", origin)
    assert found is not None
    assert found.payload == b"secret"
    replayed = {name: house.session(name) for name in ("cleared", "plain")}
    for session in replayed.values():
        house.subscribe(session, "#")
    assert got(house, replayed["plain"]) == []
    assert got(house, replayed["cleared"]) == [b"secret"]


def test_what_was_queued_is_withheld_when_the_clearance_is_withdrawn() -> None:
    house = opened()
    receiver = FakeReceiver()
    receiver.credit = 0
    session = house.session("cleared", receiver=receiver)
    house.subscribe(session, "t")
    house.publish(tagged(house, b"secret"))
    house.turn()
    cleared = house.principals["cleared"]
    cleared.rights[0] = Principal.of("cleared", [*EVERYTHING], ["*"]).rights[0]
    cleared.forget()
    house.broker.permissions_changed(["cleared"])
    assert session.waiting() == 1
    receiver.credit = 10
    assert got(house, session) == []
    assert session.waiting() == 0


def test_a_restart_forgets_no_tag() -> None:
    house = opened()
    house.publish(tagged(house, b"secret", retain=True))
    house.turn()
    again = House(house.store, None, "one", "cleared", "plain", now=house.clock.now)
    kept = again.broker.retained.get("t")
    assert kept is not None
    assert kept.origin.tags == SECRET
    assert again.broker.door.browse(again.principals["plain"], "#", 10, 1000) == ([], True)


def test_a_queue_gives_it_to_the_cleared_only_whoever_came_first() -> None:
    house = opened()
    queue = declared(house)
    plain = FakeConsumer(house, "plain")
    house.broker.queues.attach(plain, queue)
    message = tagged(house, b"secret")
    house.broker.queues.publish(house.principals["one"], message, "jobs", None)
    house.turn()
    queues = house.broker.queues
    origin = Origin("plain", "fake", True)
    assert plain.payloads() == []
    assert queues.get(house.principals["plain"], origin, queue, False) is None
    assert queues.browse(house.principals["plain"], origin, queue, 0, 10) == []
    cleared = FakeConsumer(house, "cleared")
    queues.attach(cleared, queue)
    assert cleared.payloads() == [b"secret"]
    queues.publish(house.principals["one"], house.message("t", b"open"), "jobs", None)
    house.turn()
    assert sorted([*plain.payloads(), *cleared.payloads()]) == [b"open", b"secret"]


def test_who_may_not_tag_is_refused_and_nobody_gets_it() -> None:
    house = opened()
    session = house.session("cleared")
    house.subscribe(session, "#")
    message = Message("t", b"x", 1, False, Origin("plain", "dds", True, "plain", "", SECRET))
    with pytest.raises(Refusal, match="classification=secret") as caught:
        house.broker.door.publish(house.principals["plain"], message, None)
    assert caught.value.meaning == NOT_AUTHORIZED
    assert got(house, session) == []


@pytest.mark.parametrize("verified", [True, False])
def test_a_quota_takes_no_tag_away_and_verified_holds_for_tags(verified: bool) -> None:
    house = opened()
    tagging = [Permission("$TAG/site/+", True, False), Permission("$TAG/class/+", True, False, verified=True)]
    rights = [Rights("everyone", EVERYTHING, messages=100.0), Rights("device bounded", tagging)]
    house.principals["bounded"] = bounded = Principal("bounded", rights, {}, ["*"])
    session = house.session("one")
    house.subscribe(session, "#")
    house.principals["one"].permit([*EVERYTHING, Permission("$TAG/#", False, True)], ["*"])

    def publish(tag: str) -> None:
        origin = Origin("bounded", "dds", verified, "bounded", "", (tag,))
        house.broker.door.publish(bounded, Message("t", tag.encode(), 1, False, origin), None)

    publish("site=north")
    if verified:
        publish("class=secret")
    else:
        with pytest.raises(Refusal, match=r"class=secret: .* verified origins only"):
            publish("class=secret")
    assert got(house, session) == [b"site=north", b"class=secret"][: 1 + verified]


def test_a_tag_is_a_topic_below_its_root() -> None:
    assert tag_topic("classification=secret") == "$TAG/classification/secret"
    everything = Principal.of("x", [Permission("#", True, True)], ["*"])
    assert not is_cleared(everything, SECRET)
