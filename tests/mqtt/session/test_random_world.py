"""Random histories of a whole hub: clients of all versions connect, publish, subscribe, drop and come back; crashes,
a slow and a full disk, permissions that change. Whatever happens, nothing acknowledged is lost, nothing of QoS 2 comes
twice, the order holds, nothing passes the policy, the books are right, and in the end nothing is left."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.mqtt.session.books import same_as_after_a_crash
from tests.mqtt.session.random_world import FILTERS, TOPICS, Client, RandomWorld

who = st.sampled_from(["d5", "d4", "c5", "e5"])


class RandomHistory(RuleBasedStateMachine):
    refuses = False

    @initialize(
        receive_maximum=st.sampled_from([None, 1, 3]),
        first=st.lists(st.tuples(who, st.sampled_from(FILTERS), st.integers(1, 2)), min_size=2, max_size=6),
    )
    def begin(self, receive_maximum: int | None, first: list[tuple[str, str, int]]) -> None:
        clients = [Client("d5", 5, True), Client("d4", 4, True), Client("c5", 5, False), Client("e5", 5, True)]
        self.world = RandomWorld(clients, receive_maximum)
        for client in clients:
            self.world.connect(client, True)
            self.world.read(client, 10)
        for name, topic_filter, qos in first:
            self.world.subscribe(self.client(name), topic_filter, qos, False, 0)
            self.world.read(self.client(name), 10)

    def client(self, name: str) -> Client:
        return self.world.clients[name]

    @rule(clean_start=st.integers(0, 19).map(lambda n: n == 7), reads=st.integers(0, 10))
    def everybody_connects(self, clean_start: bool, reads: int) -> None:
        for client in self.world.clients.values():
            if not client.connected:
                self.world.connect(client, clean_start)
                self.world.read(client, reads)

    @rule(name=who)
    def take_over(self, name: str) -> None:
        client = self.client(name)
        if client.connected and client.accepted and client.durable:
            self.world.gone(client)
            self.world.connect(client, False)

    @rule(
        name=who,
        topic_filter=st.sampled_from(FILTERS),
        qos=st.integers(0, 2),
        no_local=st.booleans(),
        handling=st.integers(0, 2),
    )
    def subscribe(self, name: str, topic_filter: str, qos: int, no_local: bool, handling: int) -> None:
        self.world.subscribe(self.client(name), topic_filter, qos, no_local, handling)

    @rule(name=who, topic_filter=st.sampled_from(FILTERS))
    def unsubscribe(self, name: str, topic_filter: str) -> None:
        self.world.unsubscribe(self.client(name), topic_filter)

    @rule(
        name=who,
        topic=st.sampled_from(TOPICS),
        qos=st.integers(0, 2),
        retain=st.integers(0, 5).map(lambda n: n == 0),
        count=st.integers(1, 5),
    )
    def publish(self, name: str, topic: str, qos: int, retain: bool, count: int) -> None:
        for _ in range(count):
            self.world.publish(self.client(name), topic, qos, retain)

    @rule(
        topics=st.lists(st.tuples(who, st.sampled_from(TOPICS), st.integers(1, 2)), min_size=1, max_size=10),
    )
    def everybody_publishes(self, topics: list[tuple[str, str, int]]) -> None:
        for name, topic, qos in topics:
            self.world.publish(self.client(name), topic, qos, False)

    @rule(name=who, count=st.integers(1, 5))
    def read(self, name: str, count: int) -> None:
        self.world.read(self.client(name), count)

    @rule(count=st.integers(1, 3))
    def everybody_reads(self, count: int) -> None:
        for client in self.world.clients.values():
            self.world.read(client, count)

    @rule(name=who, reads=st.booleans(), orderly=st.booleans())
    def drop(self, name: str, reads: bool, orderly: bool) -> None:
        self.world.drop(self.client(name), reads, orderly)

    @rule(seconds=st.sampled_from([0.5, 10.0, 400.0]))
    def pass_time(self, seconds: float) -> None:
        # Never so long that a session that is away could expire: that has tests of its own.
        if all(client.connected or not client.has_session for client in self.world.clients.values()):
            self.world.pass_time(seconds)
        else:
            self.world.pass_time(0.5)

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule()
    def the_disk_is_slow(self) -> None:
        self.world.hub.store.automatic = False

    @rule()
    def one_commit(self) -> None:
        if self.world.hub.store.waiting:
            self.world.hub.commit()

    @rule()
    def the_disk_is_quick_again(self) -> None:
        self.world.hub.store.automatic = True
        self.world.hub.settle()

    @rule(name=who, secret=st.booleans(), rest=st.integers(0, 4).map(lambda n: n > 0))
    def amend(self, name: str, secret: bool, rest: bool) -> None:
        self.world.amend(self.client(name), secret, rest)

    @invariant()
    def nothing_passes_the_policy(self) -> None:
        if hasattr(self, "world"):
            self.world.check_policy()
            self.world.check_counters()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.settle_everything()
        world.check_debts()
        world.check_counters()
        same_as_after_a_crash(world.hub)
        for client in world.clients.values():
            assert not client.unacknowledged
            assert not client.releasing
            assert not client.asked
            world.drop(client, True, True)
        world.hub.pass_time(2000)
        assert len(world.hub.broker.sessions) == 0
        assert world.hub.broker.router.subscriptions == 0
        assert world.hub.broker.counters.connections == 0
        left = world.hub.store.everything()
        assert left["logs"] == {}
        assert {bucket for bucket, _ in world.hub.store.buckets} <= {"retained"}


class RandomHistoryWithAFullDisk(RandomHistory):
    """As before, and the disk fills up at times."""

    @initialize()
    def refusals_happen(self) -> None:
        self.refuses = True

    @rule()
    def the_disk_is_full(self) -> None:
        self.world.hub.store.full = True
        self.world.refusals = True

    @rule()
    def the_disk_has_room(self) -> None:
        self.world.hub.store.full = False
        self.world.hub.pass_time(1.5)


FAST = settings(max_examples=60, stateful_step_count=40, deadline=None)
SLOW = settings(max_examples=1500, stateful_step_count=80, deadline=None)

TestRandomHistory = RandomHistory.TestCase
TestRandomHistory.settings = FAST
TestRandomHistoryWithAFullDisk = RandomHistoryWithAFullDisk.TestCase
TestRandomHistoryWithAFullDisk.settings = FAST


class LongRandomHistory(RandomHistory):
    """The same, for `--slow`."""


class LongRandomHistoryWithAFullDisk(RandomHistoryWithAFullDisk):
    """The same, for `--slow`."""


LongRandomHistory.TestCase.settings = SLOW
LongRandomHistoryWithAFullDisk.TestCase.settings = SLOW
an_hour = pytest.mark.timeout(3600)
TestLongRandomHistory = pytest.mark.slow(an_hour(LongRandomHistory.TestCase))
TestLongRandomHistoryWithAFullDisk = pytest.mark.slow(an_hour(LongRandomHistoryWithAFullDisk.TestCase))
