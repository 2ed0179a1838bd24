"""`$SYS`: the figures, through a real broker and its door."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.broker.ports import Batch, StoreError
from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.clock import Clock
from bridgehead.core.errors import Refusal
from bridgehead.core.message import Message
from bridgehead.core.policy import Permission, Principal
from bridgehead.core.session import Receiver, Session, Subscription, Target
from bridgehead.node.system_topics import ROOT, Load, SystemTopics


class NoStore:
    """A store for tests that keep nothing: takes every batch and holds nothing."""

    def submit(self, batch: Batch, done: Callable[[StoreError | None], None]) -> None:
        done(None)

    def scan(self, bucket: str) -> Iterable[tuple[str, bytes]]:
        return []

    def get(self, bucket: str, key: str) -> bytes | None:
        return None

    def logs(self) -> Iterable[str]:
        return []

    def read(self, log: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        return []

    def close(self) -> None:
        pass


class Reader(Receiver):
    def __init__(self) -> None:
        self.got: dict[str, bytes] = {}

    def transmit(self, message: Message, target: Target) -> None:
        self.got[message.topic] = message.payload


def make_broker(now: float = 1000.0) -> Broker:
    return Broker(NoStore(), Clock(now), Limits(), lambda name, fields: None, lambda: None)


def connect(broker: Broker, principal: Principal, client_id: str) -> tuple[Session, Reader]:
    broker.admit(principal)
    reader = Reader()
    session, _ = broker.attach(principal, client_id, "mqtt", True, True, 0.0, None, reader)
    return session, reader


def watcher(broker: Broker) -> tuple[Session, Reader]:
    return connect(broker, Principal.of("watch", [Permission("$SYS/#", publish=False, subscribe=True)], []), "watch")


async def test_who_is_permitted_reads_the_figures() -> None:
    broker = make_broker()
    topics = SystemTopics(broker, started=1000.0)
    session, reader = watcher(broker)
    broker.door.subscribe(Subscription(session, "$SYS/#", 0))
    broker.clock.now = 1090.5
    broker.counters.messages_received = 12
    broker.counters.dropped_slow = 2
    broker.counters.dropped_expired = 3
    await topics.publish()
    assert reader.got[ROOT + "uptime"] == b"90 seconds"
    assert reader.got[ROOT + "version"].startswith(b"bridgehead ")
    assert reader.got[ROOT + "clients/connected"] == b"1"
    assert reader.got[ROOT + "publish/messages/received"] == b"12"
    assert reader.got[ROOT + "publish/messages/dropped"] == b"5"
    assert reader.got[ROOT + "subscriptions/count"] == b"1"


async def test_only_changes_are_published_again() -> None:
    broker = make_broker()
    topics = SystemTopics(broker, started=1000.0)
    session, reader = watcher(broker)
    broker.door.subscribe(Subscription(session, "$SYS/#", 0))
    await topics.publish()
    reader.got.clear()
    broker.clock.now = 1000.9
    broker.counters.octets_sent = 5
    await topics.publish()
    changed = {topic for topic in reader.got if "/load/" not in topic}
    # The first publication retained the figures themselves.
    retained = {ROOT + "retained messages/count", ROOT + "retained messages/bytes"}
    assert changed - retained == {ROOT + "bytes/sent"}


async def test_the_figures_are_no_traffic_of_their_own() -> None:
    broker = make_broker()
    topics = SystemTopics(broker, started=1000.0)
    for now in (1010.0, 1020.0, 1030.0):
        broker.clock.now = now
        await topics.publish()
    received = broker.retained.get(ROOT + "publish/messages/received")
    assert received is not None
    assert received.payload == b"0"
    assert broker.counters.messages_received > 0


async def test_everything_but_sys_does_not_cover_sys() -> None:
    broker = make_broker()
    topics = SystemTopics(broker, started=1000.0)
    session, reader = connect(broker, Principal.of("all", [Permission("#", publish=True, subscribe=True)], []), "all")
    broker.door.subscribe(Subscription(session, "#", 0))
    with pytest.raises(Refusal):
        broker.door.subscribe(Subscription(session, "$SYS/#", 0))
    with pytest.raises(Refusal):
        broker.door.publish(session.principal, Message(ROOT + "version", b"forged", 0, True, session.origin), None)
    await topics.publish()
    assert reader.got == {}


async def test_sessions_are_counted_with_what_waits_for_them() -> None:
    broker = make_broker()
    topics = SystemTopics(broker, started=1000.0)
    principal = Principal.of("a", [Permission("t", publish=True, subscribe=True)], ["*"])
    broker.admit(principal)
    receiver = Reader()
    session, _ = broker.attach(principal, "a", "mqtt", True, True, 60.0, None, receiver)
    broker.door.subscribe(Subscription(session, "t", 1))
    broker.detach(session, receiver, False)
    broker.door.publish(principal, Message("t", b"12345", 1, False, session.origin), None)
    survey = await topics.survey()
    assert (survey.sessions, survey.connected, survey.queued) == (1, 0, 1)
    assert survey.queued_octets >= 5


def test_load_is_mosquittos_weighted_average() -> None:
    load = Load()
    load.update("x", 100, 10.0)  # 600 a minute
    first = 600 * (1 - math.exp(-10 / 60))
    assert load.figures()["load/x/1min"] == f"{first:.2f}"
    load.update("x", 100, 10.0)
    assert load.figures()["load/x/1min"] == f"{first * math.exp(-10 / 60):.2f}"
    for _ in range(1000):
        load.update("y", 0, 10.0)
    total = 0
    for _ in range(1000):
        total += 50
        load.update("y", total, 10.0)
    assert [load.figures()[f"load/y/{minutes}min"] for minutes in (1, 5, 15)] == ["300.00"] * 3


async def test_every_topic_is_documented() -> None:
    broker = make_broker()
    broker.queues.establish("NAME", QueueSettings())
    topics = SystemTopics(broker, started=0.0)
    names = set(topics.figures(await topics.survey(), 1000.0))
    page = (Path(__file__).parents[2] / "docs" / "system-topics.md").read_text()
    documented = set()
    for name in re.findall(r"^\| `([^`]+)`", page, re.MULTILINE):
        documented |= {name.replace("{1,5,15}", str(minutes)) for minutes in (1, 5, 15)}
    assert names == documented


async def test_a_queue_of_any_name_has_figures_and_leaves_none_behind() -> None:
    broker = make_broker()
    topics = SystemTopics(broker, started=0.0)
    broker.queues.establish("a+b/#", QueueSettings())
    await topics.publish()
    figure = ROOT + "queues/a%2Bb/%23/messages"
    message = broker.retained.get(figure)
    assert message is not None
    assert message.payload == b"0"
    broker.queues.remove("a+b/#")
    await topics.publish()
    assert broker.retained.get(figure) is None
