"""What lasts of exchanges and bindings over a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bridgehead.broker.door import NOBODY
from bridgehead.broker.records import CorruptRecord
from bridgehead.protocols.amqp.session.v091.bindings import fingerprint
from tests.amqp.session.v091.hall import ALL, Hall, Person, take

pytestmark = pytest.mark.clause("AMQP091-3.1.4")


@pytest.fixture
def hall() -> Hall:
    return Hall({"owner": ALL, "other": ALL})


@pytest.fixture
def me(hall: Hall) -> Person:
    return hall.who()


def test_what_is_durable_is_there_again(hall: Hall, me: Person) -> None:
    me.exchange("rest", "fanout", durable=True)
    me.exchange("ex", "topic", durable=True, arguments={"alternate-exchange": "rest"})
    me.exchange("inner", "direct", durable=True, auto_delete=True, internal=True)
    me.queue("q", durable=True)
    me.queue("r", durable=True)
    me.bind("q", "inner", "a.b")
    me.join("inner", "ex", "a.#")
    me.bind("r", "rest")
    later = hall.again()
    person = later.who()
    person.publish("ex", "a.b", b"through")
    person.publish("ex", "z", b"alternate")
    assert later.waiting("q") == [b"through"]
    assert later.waiting("r") == [b"alternate"]
    inner = later.vhost.exchanges.find("inner")
    assert inner is not None
    assert (inner.kind, inner.durable, inner.auto_delete, inner.internal) == ("direct", True, True, True)
    person.unbind("q", "inner", "a.b")
    assert later.vhost.exchanges.find("inner") is None
    assert later.again().vhost.exchanges.find("inner") is None


def test_what_is_not_is_not(hall: Hall, me: Person) -> None:
    me.exchange("passing", "fanout")
    me.exchange("lasting", "fanout", durable=True)
    me.queue("short")
    me.queue("long", durable=True)
    for queue in ("short", "long"):
        for exchange in ("passing", "lasting"):
            me.bind(queue, exchange)
    later = hall.again()
    assert later.vhost.exchanges.find("passing") is None
    lasting = later.vhost.exchanges.find("lasting")
    assert lasting is not None
    assert [binding.key.split("\0")[1] for binding in lasting.bindings.values()] == ["qlong"]


def test_what_was_undone_stays_so(hall: Hall, me: Person) -> None:
    me.exchange("ex", "direct", durable=True)
    me.exchange("gone", "direct", durable=True)
    me.queue("q", durable=True)
    me.queue("dropped", durable=True)
    me.bind("q", "ex", "a")
    me.bind("q", "ex", "b")
    me.bind("dropped", "ex", "a")
    me.bind("q", "gone", "a")
    hall.turn()
    me.unbind("q", "ex", "a")
    me.delete_exchange("gone")
    hall.vhost.declaring.delete(me.principal, me.origin, "dropped", False, False)
    later = hall.again()
    assert later.vhost.exchanges.find("gone") is None
    assert later.who().publish("ex", "a") == NOBODY
    assert later.who().publish("ex", "b") >= 0
    assert not [key for key, _ in later.broker.stored("binding") if "\0qdropped\0" in key or key.startswith("gone")]


def test_arguments_keep_their_types(hall: Hall, me: Person) -> None:
    arguments: dict[str, object] = {
        "flag": True,
        "number": 1,
        "text": "ü",
        "octets": b"\xff\x00",
        "price": Decimal("1.25"),
        "when": datetime(2026, 11, 23, tzinfo=UTC),
        "inside": {"list": [1, True, "a"]},
        "present": None,
    }
    me.exchange("ex", "headers", durable=True)
    me.queue("q", durable=True)
    me.bind("q", "ex", "", arguments)
    later = hall.again()
    there = later.vhost.exchanges.find("ex")
    assert there is not None
    (binding,) = there.bindings.values()
    assert fingerprint(binding.arguments) == fingerprint(arguments)
    assert later.who().publish("ex", "", headers={**arguments, "more": 1}) >= 0
    assert later.who().publish("ex", "", headers={**arguments, "flag": 1}) == NOBODY


def test_bindings_belong_to_who_made_them(hall: Hall, me: Person) -> None:
    other = hall.who("other")
    me.exchange("ex", "fanout", durable=True)
    me.queue("q", durable=True)
    other.queue("o", durable=True)
    me.bind("q", "ex")
    other.bind("o", "ex")
    hall.turn()
    # Removed and added again under the same name while the hub was down: it is another identity.
    hall.created = {"other": 2.0}
    later = hall.again()
    later.who().publish("ex", "", b"1")
    assert later.waiting("q") == [b"1"]
    assert later.waiting("o") == []
    assert len(later.broker.stored("binding")) == 1


def test_rights_of_today_hold(hall: Hall) -> None:
    other = hall.who("other")
    hall.who().exchange("ex", "fanout", durable=True)
    other.queue("o", durable=True)
    other.bind("o", "ex")
    later = hall.again({"owner": ALL, "other": [take("$QUEUE/#")]})
    assert later.who().publish("ex", "") == NOBODY


@pytest.mark.parametrize("bucket", ["exchange", "binding"])
def test_a_record_that_cannot_be_read_stops_the_hub_at_its_start(hall: Hall, me: Person, bucket: str) -> None:
    me.exchange("ex", "fanout", durable=True)
    me.queue("q", durable=True)
    me.bind("q", "ex")
    hall.turn()
    key, _ = hall.broker.stored(bucket)[0]
    hall.broker.journal.put(bucket, key, b"\x93\x01\x02", True)
    with pytest.raises(CorruptRecord):
        hall.again()


def test_a_commit_that_fails_is_tried_again(hall: Hall, me: Person) -> None:
    me.exchange("ex", "fanout", durable=True)
    hall.store.full = True
    hall.broker.journal.flush()
    assert hall.store.finish()
    hall.store.full = False
    hall.after(2)
    assert hall.again().vhost.exchanges.find("ex") is not None
