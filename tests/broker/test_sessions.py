"""Sessions by themselves: who holds them, when they end, and what the clock has to do with it."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.core.errors import BUSY, NOT_AUTHORIZED, QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import NEVER, MessageProperties
from bridgehead.core.session import Will
from tests.broker.fakes import FakeReceiver, House


def test_a_second_receiver_takes_the_session_over() -> None:
    house = House()
    first, second = FakeReceiver(), FakeReceiver()
    session = house.session("one", 100.0, first)
    assert house.session("one", 100.0, second) is session
    assert [meaning for meaning, _ in first.dismissals] == [BUSY]
    assert session.receiver is second
    house.broker.detach(session, first, True)  # too late
    assert session.receiver is second


def test_a_session_that_does_not_last_is_gone_with_its_receiver() -> None:
    house = House()
    receiver = FakeReceiver()
    session = house.session("one", 0.0, receiver)
    house.subscribe(session, "a")
    house.broker.detach(session, receiver, False)
    assert session.ended
    assert house.broker.sessions.find("one", "one") is None
    assert house.broker.router.subscriptions == 0
    assert house.session("one", 0.0) is not session


def test_next_timeout_is_the_earliest_thing_to_do() -> None:
    house = House()
    sessions = house.broker.sessions
    assert sessions.next_timeout() == NEVER
    receivers = {name: FakeReceiver() for name in ("one", "two")}
    will = Will("a", b"x", 0, False, MessageProperties(), None, 30)
    one = house.session("one", 50.0, receivers["one"], will)
    two = house.session("two", 200.0, receivers["two"])
    house.broker.detach(two, receivers["two"], False)
    assert sessions.next_timeout() == house.clock.now + 200
    house.broker.detach(one, receivers["one"], True)
    assert sessions.next_timeout() == house.clock.now + 30
    house.clock.now += 30
    house.broker.handle_timeout()
    assert len(house.named("will.published")) == 1
    assert sessions.next_timeout() == house.clock.now + 20


def test_very_many_that_are_due_at_once_are_ended_in_portions() -> None:
    limits = Limits()
    limits.sessions_per_principal = 10_000
    house = House(None, limits)
    for i in range(5000):
        receiver = FakeReceiver()
        session, _ = house.broker.attach(house.principals["one"], f"one-{i}", "fake", True, False, 50.0, None, receiver)
        house.broker.detach(session, receiver, False)
    house.clock.now += 50
    calls = 0
    while house.broker.next_timeout() <= house.clock.now:
        house.broker.handle_timeout()
        calls += 1
    assert calls == 3
    assert len(house.broker.sessions) == 0
    house.turn()
    assert house.store.everything() == {"keys": [], "logs": {}}


def test_the_ceiling_of_sessions_is_each_principals_own() -> None:
    limits = Limits()
    limits.sessions_per_principal = 2
    house = House(None, limits)
    attach = house.broker.attach
    one = house.principals["one"]
    receiver = FakeReceiver()
    session, _ = attach(one, "a", "fake", True, False, 100.0, None, receiver)
    attach(one, "b", "fake", True, False, 0.0, None, FakeReceiver())
    with pytest.raises(Refusal) as refusal:
        attach(one, "c", "fake", True, False, 0.0, None, FakeReceiver())
    assert refusal.value.meaning == QUOTA_EXCEEDED
    house.session("two")
    house.broker.detach(session, receiver, False)
    attach(one, "a", "fake", True, True, 100.0, None, FakeReceiver())  # in place of its old one
    assert len(house.broker.sessions.of("one")) == 2


@pytest.mark.parametrize("connected", [False, True])
def test_revoking_an_identity(connected: bool) -> None:
    house = House()
    receiver, other = FakeReceiver(), FakeReceiver()
    session = house.session("one", 100.0, receiver, Will("a", b"x", 1, False, MessageProperties(), None, 50))
    house.subscribe(session, "a")
    house.subscribe(house.session("two", 0.0, other), "a")
    if not connected:
        house.broker.detach(session, receiver, True)
    house.broker.revoke("one", "the device was removed")
    assert [meaning for meaning, _ in receiver.dismissals] == ([NOT_AUTHORIZED] if connected else [])
    assert session.ended
    assert house.broker.sessions.of("one") == []
    assert house.broker.door.principal("one") is None
    house.clock.now += 1000
    house.broker.handle_timeout()
    assert other.offered == []
    house.turn()
    assert house.store.everything() == {"keys": [], "logs": {}}


def test_what_is_told_of_a_sessions_life() -> None:
    house = House()
    receiver = FakeReceiver()
    session = house.session("one", 100.0, receiver)
    house.broker.detach(session, receiver, False)
    house.session("one", 100.0, receiver)
    house.broker.detach(session, receiver, False)
    house.clock.now += 100
    house.broker.handle_timeout()
    told = [name for name, _ in house.events if name.startswith("session.")]
    assert told == ["session.created", "session.resumed", "session.ended"]
    assert house.named("session.ended")[0]["because"] == "Session Expiry Interval passed"
