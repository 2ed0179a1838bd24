"""Who asks the real hub to keep more and more: subscriptions, retained messages, sessions, queues, to the ceiling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
    Connack,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    NOT_AUTHORIZED,
    PAYLOAD_FORMAT_INVALID,
    QUOTA_EXCEEDED,
    TOPIC_NAME_INVALID,
)
from tests.hostile.field import MIB, SLACK, Witness, bounded, resident
from tests.peers.raw import Raw
from tests.peers.town import Town, may_both

pytestmark = pytest.mark.timeout(180)

PER_SESSION: Final = 60_000
ALL: Final = 150_000
SUBSCRIPTION: Final = 1200  # octets that one may cost, its share of the tree included
RETAINED: Final = 5_000
RETAINED_OCTETS: Final = 8 * MIB
SESSIONS: Final = 50
QUEUE: Final = 2_000
POURED: Final = 150  # messages of a megabyte from each of two clients
MORE = f"""
[limits]
subscriptions_per_session = {PER_SESSION}
subscriptions = {ALL}
retained_messages = {RETAINED}
retained_bytes = {RETAINED_OCTETS}
sessions_per_identity = {SESSIONS}
queue_messages = {QUEUE}
[system_topics]
interval = 0
"""


def subscribe_many(raw: Raw, filters: Iterator[str], count: int) -> Counter[int]:
    """How often each Reason Code was the answer."""
    codes: Counter[int] = Counter()
    while count:
        size = min(count, 2000)
        requests = [SubscriptionRequest(next(filters), 1) for _ in range(size)]
        raw.send(Subscribe(raw.next_identifier(), requests, NO_PROPERTIES))
        answer = raw.receive()
        assert isinstance(answer, Suback)
        codes.update(answer.reason_codes)
        count -= size
    return codes


def names(kind: str) -> Iterator[str]:
    """Topic Filters without end, of every shape."""
    number = 0
    while True:
        number += 1
        yield f"bomb/{kind}/{number}" + ("", "/+/x", "/#", "/a/b/c/d/e")[number % 4]


def test_subscriptions_of_one_and_of_many_end_at_the_ceilings(town: Town, witness: Witness) -> None:
    with bounded(town, ALL * SUBSCRIPTION + SLACK):
        left = ALL - 1  # the witness has one
        raws: list[Raw] = []
        for number in range(3):
            name = f"bomber-{number}"
            town.add(name, may_both("bomb/#"))
            raw = town.client(name)
            raws.append(raw)
            codes = subscribe_many(raw, names(name), PER_SESSION + 5000)
            granted = min(PER_SESSION, left)
            assert codes == Counter({1: granted, QUOTA_EXCEEDED: PER_SESSION + 5000 - granted})
            left -= granted
            witness.beat()
        assert left == 0
        newcomer = town.client("bomber-0", "bomber-0-newcomer")
        assert newcomer.subscribe("bomb/new") == QUOTA_EXCEEDED
        witness.beat()
        raws[0].disconnect()
        raws[1].ping()
        town.hub.await_event("connection.ended")
        assert newcomer.subscribe("bomb/new") == 0
        assert newcomer.publish("bomb/new", b"works") == 0
        assert newcomer.message().payload == b"works"
        for raw in raws[1:]:
            raw.disconnect()
        witness.beat()


def publish_many(raw: Raw, topics: list[str], payload: bytes, retain: bool = True) -> Counter[int]:
    """QoS 1, some hundred in flight; how often each Reason Code was the answer."""
    codes: Counter[int] = Counter()
    for begin in range(0, len(topics), 500):
        batch = topics[begin : begin + 500]
        raw.send(*[Publish(topic, payload, 1, retain, False, raw.next_identifier(), NO_PROPERTIES) for topic in batch])
        for _ in batch:
            answer = raw.receive()
            assert isinstance(answer, Acknowledgement)
            codes[int(answer.reason_code)] += 1
    return codes


def test_retained_messages_end_at_both_ceilings(town: Town, witness: Witness) -> None:
    town.add("hoarder", may_both("hoard/#"))
    raw = town.client("hoarder")
    with bounded(town, 6 * RETAINED_OCTETS + SLACK):
        topics = [f"hoard/{number}" for number in range(RETAINED + 1000)]
        assert publish_many(raw, topics, b"x" * 64) == Counter({0: RETAINED, QUOTA_EXCEEDED: 1000})
        witness.beat()
        # What is there can be replaced, up to the octets; what is cleared makes room.
        large = bytes(100_000)
        codes: Counter[int] = Counter()
        for begin in range(0, 400, 50):
            codes += publish_many(raw, topics[begin : begin + 50], large)
        assert codes[0] + codes[QUOTA_EXCEEDED] == 400
        assert 70 <= codes[0] <= RETAINED_OCTETS // len(large)
        witness.beat()
        assert publish_many(raw, topics[:RETAINED], b"") == Counter({0: RETAINED})
        assert publish_many(raw, topics[RETAINED:], b"room") == Counter({0: 1000})
        assert publish_many(raw, topics[RETAINED:], b"") == Counter({0: 1000})
    witness.beat()


@pytest.mark.parametrize("version", [4, 5])
def test_sessions_of_one_identity_end_at_the_ceiling(town: Town, witness: Witness, version: int) -> None:
    name = f"legion-{version}"
    town.add(name, may_both("legion/#"))
    with bounded(town):
        codes: Counter[int] = Counter()
        for number in range(SESSIONS + 10):
            raw = Raw(town.tls(name), version)
            answer = raw.connect(f"{name}-{number}", clean_start=False, expiry=3600)
            assert isinstance(answer, Connack)
            codes[answer.reason_code] += 1
            raw.close()
        assert codes == Counter({0: SESSIONS, QUOTA_EXCEEDED if version == 5 else 3: 10})
        witness.beat()
        raw = Raw(town.tls(name), version)
        assert raw.connect(f"{name}-7", clean_start=False, expiry=3600).session_present


def test_a_queue_that_nobody_fetches_ends_at_the_ceiling(town: Town, witness: Witness) -> None:
    town.add("absent", may_both("queue/#"))
    absent = town.client("absent", clean_start=False, expiry=3600)
    assert absent.subscribe("queue/#", 1) == 1
    absent.disconnect()
    town.add("talker", may_both("queue/#"))
    talker = town.client("talker")
    with bounded(town, QUEUE * 4096 + SLACK):
        codes = publish_many(talker, [f"queue/{number}" for number in range(3 * QUEUE)], b"x" * 1000, retain=False)
        assert codes == Counter({0: 3 * QUEUE})  # the publisher is not to blame, nor to wait
        witness.beat()
    line = town.hub.await_event("queue.full")
    assert (line["principal"], line["client_id"]) == ("absent", "absent")
    assert len(town.hub.events("queue.full")) == 1
    absent = town.client("absent", clean_start=False, expiry=3600)
    assert [absent.message().topic for _ in range(QUEUE)] == [f"queue/{number}" for number in range(QUEUE)]
    absent.ping()


def test_what_waits_for_the_disk_is_bounded_however_much_is_sent(town: Town, witness: Witness) -> None:
    """A client may have a thousand messages of a megabyte each in flight. It is read no faster than the disk takes
    them."""
    town.add("cellar", may_both("cellar/#"))
    cellar = town.client("cellar", clean_start=False, expiry=3600)
    assert cellar.subscribe("cellar/#", 1) == 1
    cellar.disconnect()
    town.add("firehose", may_both("cellar/#"))
    hoses = [town.guest("firehose", f"firehose-{number}") for number in range(2)]
    payload = bytes(1_000_000)

    def pour(raw: Raw) -> None:
        for number in range(1, POURED + 1):
            raw.send(Publish("cellar/a", payload, 1, False, False, number, NO_PROPERTIES))
        for _ in range(POURED):
            answer = raw.receive()
            assert isinstance(answer, Acknowledgement)
            assert answer.reason_code == 0

    largest = before = resident(town.pid)
    with ThreadPoolExecutor() as pool:
        pouring = [pool.submit(pour, raw) for raw in hoses]
        while not all(each.done() for each in pouring):
            witness.beat()
            largest = max(largest, resident(town.pid))
        for each in pouring:
            each.result()
    assert largest - before <= 160 * MIB


def test_what_is_refused_leaves_nothing_behind(town: Town, witness: Witness) -> None:
    """300 MB that are refused for three reasons, one after the other."""
    town.add("refused", may_both("refused/#"))
    raw = town.client("refused")
    payload = b"\xff" * 100_000
    text = Properties(payload_format_indicator=1)
    refusals = [
        (Publish("forbidden/a", payload, 1, False, False, 1, NO_PROPERTIES), NOT_AUTHORIZED),
        (Publish("refused/a", payload, 1, False, False, 1, text), PAYLOAD_FORMAT_INVALID),
        (Publish("refused/" + "a/" * 200, payload, 1, False, False, 1, NO_PROPERTIES), TOPIC_NAME_INVALID),
    ]
    with bounded(town):
        for packet, code in refusals:
            for _ in range(100):
                raw.send(*[packet] * 10)
                for _ in range(10):
                    answer = raw.receive()
                    assert isinstance(answer, Acknowledgement)
                    assert answer.reason_code == code
            witness.beat()


def test_who_leaves_leaves_nothing_behind(town: Town, witness: Witness) -> None:
    """Most of a packet of a megabyte, or a fault behind one, two hundred times each."""
    town.add("leaver", may_both("left/#"))
    town.guest("leaver")  # the password is remembered from now on
    octets = encode(Publish("left/a", bytes(1_000_000), 0, False, False, 0, NO_PROPERTIES), 5)
    with bounded(town):
        for number in range(200):
            raw = town.guest("leaver", f"leaver-{number}")
            raw.send_octets(octets[:-1])
            raw.close()
            raw = town.guest("leaver", f"leaver-{number}")
            raw.send_octets(octets + b"\xf7\x00")
            raw.rest()
            raw.close()
            if number % 20 == 0:
                witness.beat()
        witness.beat()
