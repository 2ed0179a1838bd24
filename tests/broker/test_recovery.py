"""What a new run takes back from the store, and what it clears away."""

from __future__ import annotations

import pytest

from bridgehead.broker import records
from bridgehead.broker.limits import Limits
from bridgehead.broker.records import CorruptRecord
from bridgehead.core.message import MessageProperties
from bridgehead.core.policy import Principal
from bridgehead.core.session import RELEASED, Will
from tests.broker.fakes import EVERYTHING, FakeReceiver, House
from tests.mqtt.dialogue import ManualStore


def filled(count: int = 3) -> House:
    """A hub that has one of everything on its disk: `one` is connected with a Will, `two` is away with a queue."""
    limits = Limits()
    limits.queue_messages = count + 10
    house = House(None, limits)
    will = Will("will", b"gone", 1, True, MessageProperties(), None, 20)
    one = house.session("one", 100.0, FakeReceiver(), will)
    receiver = FakeReceiver()
    two = house.session("two", 200.0, receiver)
    house.subscribe(two, "a/#", 2, identifier=9)
    house.subscribe(two, "a/b", 1, share="g")
    house.turn()
    house.broker.detach(two, receiver, False)
    house.turn()
    publisher = one.receiver
    assert publisher is not None
    house.broker.door.publish_once(one, house.message("a/1", b"once", qos=2), 77, publisher)
    for i in range(count - 1):
        house.publish(house.message("a/1", str(i).encode(), 1 + i % 2), publisher)
    house.publish(house.message("kept", b"retained", 1, True), publisher)
    house.turn()
    return house


def again(house: House, *names: str) -> House:
    other = House(house.store.copy(), Limits(), *(names or ("one", "two")))
    other.clock.now = house.clock.now
    return other


def test_everything_is_back() -> None:
    before = filled()
    house = again(before)
    (told,) = house.named("store.recovered")
    assert told == {"sessions": 2, "deliveries": 3, "retained": 1, "dropped": 0}
    one, two = house.broker.sessions.find("one", "one"), house.broker.sessions.find("two", "two")
    assert one is not None
    assert two is not None
    assert one.principal is house.principals["one"]
    assert set(one.received or ()) == {77}
    assert {key: (s.qos, s.identifier) for key, s in two.subscriptions.items()} == {
        "a/#": (2, 9), "$share/g/a/b": (1, 0)
    }  # fmt: skip
    assert [(d.sequence, d.message.payload, d.qos, d.again) for d in two.queue or ()] == [
        (1, b"once", 2, False), (2, b"0", 1, False), (3, b"1", 2, False)
    ]  # fmt: skip
    assert two.next_sequence == 4
    assert two.queued_octets == sum(d.message.weight for d in two.queue or ())
    kept = house.broker.retained.get("kept")
    assert kept is not None
    assert kept.payload == b"retained"
    assert (one.expires_at, two.expires_at) == (house.clock.now + 100, before.clock.now + 200)


def test_a_second_run_begins_where_the_first_one_did() -> None:
    once = again(filled())
    twice = again(once)
    assert once.store.everything() == twice.store.everything()
    assert once.named("store.recovered") == twice.named("store.recovered")


def test_a_will_of_a_connection_that_the_crash_broke_is_due_after_its_delay() -> None:
    house = again(filled())
    house.clock.now += 19
    house.broker.handle_timeout()
    assert house.named("will.published") == []
    house.clock.now += 1
    house.broker.handle_timeout()
    assert len(house.named("will.published")) == 1
    assert house.broker.retained.get("will") is not None


def test_what_belongs_to_identities_that_are_gone_is_cleared_away() -> None:
    house = again(filled(), "three")
    assert len(house.broker.sessions) == 0
    house.turn()
    left = house.store.everything()
    assert left == {"keys": [("retained", "kept")], "logs": {}}
    house.clock.now += 1000
    house.broker.handle_timeout()
    assert house.named("will.published") == []


def test_what_expired_while_the_hub_was_down_is_cleared_away() -> None:
    before = filled()
    house = House(before.store.copy(), now=before.clock.now + 300)
    assert house.broker.sessions.find("two", "two") is None
    assert house.broker.sessions.find("one", "one") is not None  # it was connected: its time begins now
    assert house.broker.router.subscriptions == 0
    assert house.store.records.get("q2", {}) == {}
    assert not any(bucket == "subscription" for bucket, _ in house.store.buckets)


def test_long_queues_are_read_page_by_page() -> None:
    house = again(filled(2500))
    two = house.broker.sessions.find("two", "two")
    assert two is not None
    assert [d.sequence for d in two.queue or ()] == list(range(1, 2501))
    assert two.next_sequence == 2501


def test_what_was_released_is_in_flight_and_not_in_the_queue() -> None:
    before = filled()
    two = before.broker.sessions.find("two", "two")
    assert two is not None
    receiver = FakeReceiver()
    before.session("two", 200.0, receiver)
    first = before.broker.dispatcher.next_delivery(two)
    assert first is not None
    before.broker.dispatcher.released(two, first, receiver)
    before.turn()
    house = again(before)
    restored = house.broker.sessions.find("two", "two")
    assert restored is not None
    assert {s: d.state for s, d in restored.in_flight.items()} == {1: RELEASED}
    assert [d.again for d in restored.queue or ()] == [True, True]  # it was connected: anything may have been sent


def test_identifiers_go_on_where_they_were() -> None:
    """Else the number of a message that was acknowledged would be given again too soon."""
    before = filled()
    two = before.broker.sessions.find("two", "two")
    assert two is not None
    receiver = FakeReceiver()
    before.session("two", 200.0, receiver)
    while (delivery := before.broker.dispatcher.next_delivery(two)) is not None:
        before.broker.dispatcher.acknowledged(two, delivery.sequence)
    before.broker.detach(two, receiver, False)
    before.turn()
    house = again(before)
    restored = house.broker.sessions.find("two", "two")
    assert restored is not None
    assert restored.next_sequence == 4


def test_logs_get_numbers_that_no_earlier_run_used() -> None:
    before = filled()
    house = again(before)
    three = Principal.of("three", EVERYTHING, [])
    house.principals["three"] = three
    house.broker.admit(three)
    session = house.session("three")
    assert session.log not in {"q1", "q2"}


def test_orphans_are_cleared_away() -> None:
    store = ManualStore()
    house = House(store)
    message = house.message("a")
    record = records.write_delivery(message, 1, False, (), "")
    store.records["q7"] = {1: record}
    store.buckets["received", "q7/5"] = b""
    store.buckets["released", "q7/1"] = b""
    store.buckets["subscription", "nobody/x\0a"] = b"\x97\xa1a\x01\xc2\xc2\x00\x00\xa0"
    after = House(store)
    after.turn()
    assert store.everything() == {"keys": [], "logs": {}}
    assert after.session("one").log == "q8"


@pytest.mark.parametrize("bucket", ["session", "subscription", "retained", "will"])
@pytest.mark.parametrize("record", [b"", b"\xc1", b"\x90", b"\x91\x01", b"not msgpack", b"\xc0"])
def test_a_record_that_is_not_what_it_should_be_stops_the_start(bucket: str, record: bytes) -> None:
    before = filled()
    store = before.store.copy()
    where = next(where for where in store.buckets if where[0] == bucket)
    store.buckets[where] = record
    with pytest.raises(CorruptRecord):
        House(store)


def test_a_damaged_delivery_stops_the_start() -> None:
    store = filled().store.copy()
    log = next(log for log, held in store.records.items() if held)
    store.records[log][1] = b"\x91\x01"
    with pytest.raises(CorruptRecord):
        House(store)
