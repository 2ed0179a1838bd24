"""The journal: group commit, who waits for what, and what a refused batch takes back and keeps."""

from __future__ import annotations

from collections import deque

from bridgehead.broker.counters import Counters
from bridgehead.broker.journal import RETRY_INTERVAL, Journal
from bridgehead.core.clock import Clock
from bridgehead.core.message import Message, Origin
from bridgehead.core.policy import Principal
from bridgehead.core.session import Delivery, Session
from tests.broker.fakes import FakeReceiver
from tests.mqtt.dialogue import ManualStore


class Desk:
    def __init__(self) -> None:
        self.store = ManualStore()
        self.clock = Clock(1000.0)
        self.wanted = 0
        self.events: list[str] = []
        self.journal = Journal(self.store, self.clock, Counters(), lambda name, _: self.events.append(name), self._want)
        self.session = Session(Principal.of("one", [], []), "one", Origin("one", "fake", True, "one"))
        self.session.log = "q1"

    def _want(self) -> None:
        self.wanted += 1

    def delivery(self, sequence: int) -> Delivery:
        return Delivery(sequence, Message("a", b"x", 1, False, self.session.origin), 1, False, (), "")


def test_the_changes_of_a_turn_are_one_batch() -> None:
    desk = Desk()
    desk.journal.delete("bucket", "a")
    desk.journal.put_received(desk.session, 5)
    desk.journal.append(desk.session, desk.delivery(1))
    assert desk.wanted == 1
    assert desk.journal.writes == 3
    desk.journal.flush()
    assert len(desk.store.waiting) == 1
    assert not desk.journal.idle
    assert desk.store.finish()
    assert desk.journal.idle
    assert desk.journal.durable == 1


def test_one_commit_is_under_way_at_a_time_and_the_next_batch_grows_meanwhile() -> None:
    desk = Desk()
    desk.journal.delete("bucket", "a")
    desk.journal.flush()
    for i in range(10):
        desk.journal.delete("bucket", str(i))
        desk.journal.flush()
    assert len(desk.store.waiting) == 1
    desk.store.finish()
    assert len(desk.store.waiting) == 1
    assert len(desk.store.waiting[0][0].deletes) == 10


def test_a_receiver_hears_of_the_batch_that_it_waits_for() -> None:
    desk = Desk()
    one, two, nobody = FakeReceiver(), FakeReceiver(), FakeReceiver()
    assert desk.journal.wait(nobody) == 0
    desk.journal.delete("bucket", "a")
    assert desk.journal.wait(one) == 1
    desk.journal.flush()
    assert desk.journal.wait(two) == 1  # under way, and nothing newer
    desk.journal.delete("bucket", "b")
    assert desk.journal.wait(two) == 2
    desk.store.finish()
    assert (one.tickets, two.tickets) == ([1], [1])
    desk.store.finish()
    assert (one.tickets, two.tickets, nobody.tickets) == ([1], [1, 2], [])


def test_waiting_for_a_certain_batch() -> None:
    desk = Desk()
    one = FakeReceiver()
    desk.journal.delete("bucket", "a")
    desk.journal.flush()
    desk.journal.delete("bucket", "b")
    assert desk.journal.wait_for(one, 1) == 1
    desk.store.finish()
    assert one.tickets == [1]
    assert desk.journal.wait_for(one, 1) == 0
    assert desk.journal.wait_for(one, 2) == 2
    desk.store.finish()
    assert one.tickets == [1, 2]


def test_the_last_word_on_a_key_counts() -> None:
    desk = Desk()
    desk.journal.put_received(desk.session, 5)
    desk.journal.delete_received(desk.session, 5)
    desk.journal.delete_received(desk.session, 6)
    desk.journal.put_received(desk.session, 6)
    desk.journal.flush()
    batch = desk.store.waiting[0][0]
    assert set(batch.puts) == {("received", "q1/6")}
    assert batch.deletes == {("received", "q1/5")}


def test_deliveries_may_go_out_after_their_commit() -> None:
    desk = Desk()
    receiver = FakeReceiver()
    desk.session.receiver = receiver
    delivery = desk.delivery(1)
    assert desk.journal.append(desk.session, delivery) == 1
    assert (delivery.ticket, desk.session.uncommitted) == (1, 1)
    desk.journal.flush()
    desk.store.finish()
    assert (delivery.ticket, desk.session.uncommitted) == (0, 0)
    assert receiver.tickets == [1]


def test_of_a_refused_batch_what_must_last_is_tried_each_second() -> None:
    desk = Desk()
    desk.journal.put_received(desk.session, 5)
    desk.journal.delete("bucket", "a")
    waiting = FakeReceiver()
    desk.journal.wait(waiting)
    desk.journal.flush()
    desk.store.full = True
    desk.store.finish()
    assert waiting.failures == [(1, 2)]
    assert desk.events == ["store.commit-failed"]
    assert desk.journal.failing
    assert desk.journal.retry_at == 1000.0 + RETRY_INTERVAL
    assert desk.store.waiting == []
    desk.clock.now = desk.journal.retry_at
    desk.journal.flush()
    batch = desk.store.waiting[0][0]
    assert (batch.puts, batch.deletes) == ({}, {("bucket", "a")})
    desk.store.full = False
    desk.store.finish()
    assert waiting.tickets == [2]
    assert desk.events == ["store.commit-failed", "store.commit-recovered"]
    assert not desk.journal.failing


def test_who_waits_for_a_refused_batch_of_which_nothing_is_left_is_told_so() -> None:
    desk = Desk()
    waiting = FakeReceiver()
    desk.journal.put_received(desk.session, 5)
    desk.journal.wait(waiting)
    desk.journal.flush()
    desk.store.full = True
    desk.store.finish()
    assert waiting.failures == [(1, 0)]
    assert desk.journal.idle


def test_refused_deliveries_leave_the_queue() -> None:
    desk = Desk()
    desk.store.full = True
    deliveries = [desk.delivery(i) for i in range(1, 6)]
    desk.session.queue = deque(deliveries)
    desk.session.queued_octets = sum(delivery.message.weight for delivery in deliveries)
    for delivery in deliveries:
        if delivery.sequence == 3:
            desk.journal.keeping = True
        desk.journal.append(desk.session, delivery)
        desk.journal.keeping = False
    desk.journal.flush()
    desk.store.finish()
    assert [delivery.sequence for delivery in desk.session.queue] == [3]
    assert desk.session.queued_octets == deliveries[2].message.weight
    assert desk.session.uncommitted == 1
    assert deliveries[2].ticket == 2
    desk.store.full = False
    desk.journal.flush()
    desk.store.finish()
    assert (deliveries[2].ticket, desk.session.uncommitted) == (0, 0)
    assert sorted(desk.store.records["q1"]) == [3]


def test_what_was_kept_and_is_removed_meanwhile_is_not_written_any_more() -> None:
    desk = Desk()
    desk.store.full = True
    delivery = desk.delivery(1)
    desk.journal.keeping = True
    desk.journal.append(desk.session, delivery)
    desk.journal.keeping = False
    desk.journal.remove(desk.session, delivery)
    desk.journal.flush()
    desk.store.finish()
    desk.store.full = False
    desk.journal.flush()
    while desk.store.finish():
        pass
    assert desk.store.records.get("q1", {}) == {}
    assert desk.session.uncommitted == 0


def test_a_session_that_is_dropped_while_its_commit_fails_leaves_nothing() -> None:
    desk = Desk()
    desk.store.full = True
    desk.journal.put_session(desk.session, None)
    desk.journal.append(desk.session, desk.delivery(1))
    desk.journal.flush()
    desk.journal.drop_session(desk.session)
    desk.store.finish()
    desk.store.full = False
    desk.journal.flush()
    while desk.store.finish():
        pass
    assert desk.store.everything() == {"keys": [], "logs": {}}
