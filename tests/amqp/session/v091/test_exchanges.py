"""Exchanges: the four types, what is predeclared, equivalence, deletion, bindings between exchanges, alternates."""

from __future__ import annotations

import pytest

from bridgehead.broker.door import NOBODY
from bridgehead.core.errors import CONFLICT, IN_USE, NOT_AUTHORIZED, NOT_FOUND, QUOTA_EXCEEDED, Refusal
from bridgehead.protocols.amqp.config import AmqpConfig
from tests.amqp.session.v091.hall import Hall, Person, refused


@pytest.fixture
def hall() -> Hall:
    return Hall()


@pytest.fixture
def me(hall: Hall) -> Person:
    return hall.who()


# The types. -----------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-3.1.3.1")
def test_direct_goes_by_the_key(hall: Hall, me: Person) -> None:
    me.exchange("ex")
    for name in ("one", "two", "three"):
        me.queue(name)
    me.bind("one", "ex", "red")
    me.bind("two", "ex", "red")
    me.bind("three", "ex", "green")
    assert me.publish("ex", "red", b"r") >= 0
    assert me.publish("ex", "blue", b"b") == NOBODY
    assert [hall.waiting(name) for name in ("one", "two", "three")] == [[b"r"], [b"r"], []]


@pytest.mark.clause("AMQP091-3.1.3.2")
def test_fanout_goes_everywhere(hall: Hall, me: Person) -> None:
    me.exchange("ex", "fanout")
    for name in ("one", "two"):
        me.queue(name)
        me.bind(name, "ex", name)
    me.publish("ex", "whatever", b"all")
    me.bind("one", "ex", "again")
    me.publish("ex", "", b"once each")
    assert hall.waiting("one") == hall.waiting("two") == [b"all", b"once each"]


@pytest.mark.clause("AMQP091-3.1.3.3")
def test_topic_goes_by_words(hall: Hall, me: Person) -> None:
    me.exchange("ex", "topic")
    me.queue("q")
    me.bind("q", "ex", "kern.*")
    me.bind("q", "ex", "#.critical")
    me.publish("ex", "kern.critical", b"both, and once")
    me.publish("ex", "auth.login.critical", b"one")
    assert me.publish("ex", "auth.login", b"none") == NOBODY
    assert hall.waiting("q") == [b"both, and once", b"one"]
    me.unbind("q", "ex", "#.critical")
    assert me.publish("ex", "auth.critical") == NOBODY


@pytest.mark.clause("AMQP091-3.1.3.4")
def test_headers_go_by_headers(hall: Hall, me: Person) -> None:
    me.exchange("ex", "headers")
    me.queue("all")
    me.queue("any")
    me.bind("all", "ex", "", {"x-match": "all", "type": "pdf", "year": 2026})
    me.bind("any", "ex", "", {"x-match": "any", "type": "pdf", "year": 2026})
    me.publish("ex", "", b"1", {"type": "pdf", "year": 2026})
    me.publish("ex", "", b"2", {"type": "pdf"})
    assert me.publish("ex", "", b"3", {"type": "txt"}) == NOBODY
    assert hall.waiting("all") == [b"1"]
    assert hall.waiting("any") == [b"1", b"2"]
    assert hall.vhost.routing.needs_headers("ex")


@pytest.mark.clause("AMQP091-3.1.3.1")
def test_the_default_exchange_is_every_queue_by_its_name(hall: Hall, me: Person) -> None:
    me.queue("q")
    assert me.publish("", "q", b"here") >= 0
    assert me.publish("", "nobody") == NOBODY
    assert hall.waiting("q") == [b"here"]


@pytest.mark.clause("AMQP091-3.1.3")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("amq.direct", "direct"),
        ("amq.fanout", "fanout"),
        ("amq.topic", "topic"),
        ("amq.headers", "headers"),
        ("amq.match", "headers"),
    ],
)
def test_what_every_server_has(hall: Hall, me: Person, name: str, kind: str) -> None:
    assert hall.vhost.exchanges.known(me.principal, me.origin, name).kind == kind
    me.exchange(name, kind, durable=True)
    with refused(CONFLICT, "'type'"):
        me.exchange(name, "fanout" if kind != "fanout" else "direct", durable=True)
    with refused(NOT_AUTHORIZED, "hub's own"):
        me.delete_exchange(name)


# Declaring. -----------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-exchange.declare")
def test_the_same_again_is_no_matter_and_another_is_refused_naming_both_values(me: Person) -> None:
    me.exchange("ex", "topic", durable=True, arguments={"alternate-exchange": "amq.fanout"})
    me.exchange("ex", "topic", durable=True, arguments={"alternate-exchange": "amq.fanout"})
    alternate = {"alternate-exchange": "amq.fanout"}
    with refused(CONFLICT, "'type' for exchange 'ex': received 'direct' but current is 'topic'"):
        me.exchange("ex", "direct", True, arguments=dict(alternate))
    with refused(CONFLICT, "'durable' for exchange 'ex': received 'false' but current is 'true'"):
        me.exchange("ex", "topic", False, arguments=dict(alternate))
    with refused(CONFLICT, "'auto_delete'"):
        me.exchange("ex", "topic", True, True, arguments=dict(alternate))
    with refused(CONFLICT, "'internal'"):
        me.exchange("ex", "topic", True, False, True, arguments=dict(alternate))
    with refused(CONFLICT, "'alternate-exchange' for exchange 'ex': received none but current is 'amq.fanout'"):
        me.exchange("ex", "topic", True)


@pytest.mark.clause("AMQP091-exchange.declare")
def test_names_that_are_not_to_be_had(me: Person) -> None:
    with refused(NOT_AUTHORIZED, "amq"):
        me.exchange("amq.mine")
    with refused(NOT_AUTHORIZED, "default exchange"):
        me.exchange("")
    with refused(NOT_AUTHORIZED, "default exchange"):
        me.exchange("amq.default")
    with refused(CONFLICT, "invalid exchange type 'sieve'"):
        me.exchange("ex", "sieve")


@pytest.mark.clause("AMQP091-exchange.declare")
def test_passive_tells_whether_it_is_there(hall: Hall, me: Person) -> None:
    with refused(NOT_FOUND, "no exchange 'ex'"):
        hall.vhost.exchanges.known(me.principal, me.origin, "ex")
    with refused(NOT_AUTHORIZED, "default exchange"):
        hall.vhost.exchanges.known(me.principal, me.origin, "")
    me.exchange("ex")
    assert hall.vhost.exchanges.known(me.principal, me.origin, "ex").name == "ex"


@pytest.mark.clause("AMQP091-exchange.delete")
def test_deleting(hall: Hall, me: Person) -> None:
    me.exchange("ex")
    me.queue("q")
    me.bind("q", "ex", "k")
    with refused(IN_USE, "in use"):
        me.delete_exchange("ex", if_unused=True)
    me.delete_exchange("ex")
    me.delete_exchange("ex")
    with refused(NOT_FOUND):
        me.publish("ex", "k")
    assert [event["exchange"] for event in hall.named("exchange.deleted")] == ["ex"]


@pytest.mark.clause("AMQP091-exchange.declare")
def test_auto_delete_goes_with_the_last_binding(hall: Hall, me: Person) -> None:
    me.exchange("ex", "fanout", auto_delete=True)
    me.queue("one")
    me.queue("two")
    me.bind("one", "ex")
    me.bind("two", "ex")
    me.unbind("one", "ex")
    assert hall.vhost.exchanges.find("ex") is not None
    hall.vhost.declaring.delete(me.principal, me.origin, "two", False, False)
    assert hall.vhost.exchanges.find("ex") is None


@pytest.mark.clause("AMQP091-basic.publish")
def test_an_internal_exchange_takes_from_exchanges_only(hall: Hall, me: Person) -> None:
    me.exchange("inner", "fanout", internal=True)
    me.exchange("outer", "fanout")
    me.queue("q")
    me.bind("q", "inner")
    me.join("inner", "outer")
    with refused(NOT_AUTHORIZED, "internal"):
        me.publish("inner", "k")
    me.publish("outer", "k", b"through")
    assert hall.waiting("q") == [b"through"]


def test_how_many_one_identity_may_declare_and_bind() -> None:
    config = AmqpConfig()
    config.exchanges = 2
    config.bindings = 2
    me = Hall(config=config).who()
    me.exchange("one")
    me.exchange("two")
    with refused(QUOTA_EXCEEDED, "exchanges"):
        me.exchange("three")
    me.delete_exchange("one")
    me.exchange("three")
    me.queue("q")
    me.bind("q", "two", "a")
    me.bind("q", "two", "b")
    me.bind("q", "two", "b")
    with refused(QUOTA_EXCEEDED, "bindings"):
        me.bind("q", "two", "c")
    me.unbind("q", "two", "a")
    me.bind("q", "two", "c")


# Bindings. ------------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-queue.bind")
def test_a_binding_is_known_by_key_and_arguments(hall: Hall, me: Person) -> None:
    me.exchange("ex", "headers")
    me.queue("q")
    me.bind("q", "ex", "k", {"a": 1})
    me.bind("q", "ex", "k", {"a": 1})
    me.bind("q", "ex", "k", {"a": True})
    there = hall.vhost.exchanges.find("ex")
    assert there is not None
    assert len(there.bindings) == 2
    me.unbind("q", "ex", "k", {"a": True})
    me.unbind("q", "ex", "k", {"a": True})
    assert [binding.arguments for binding in there.bindings.values()] == [{"a": 1}]


@pytest.mark.clause("AMQP091-queue.bind")
def test_binding_what_is_not_there(me: Person) -> None:
    me.exchange("ex")
    me.queue("q")
    with refused(NOT_FOUND, "no queue 'none'"):
        me.bind("none", "ex", "k")
    with refused(NOT_FOUND, "no exchange 'none'"):
        me.bind("q", "none", "k")
    with refused(NOT_FOUND, "no exchange 'none'"):
        me.join("none", "ex")
    with refused(NOT_AUTHORIZED, "default exchange"):
        me.bind("q", "", "k")
    with refused(CONFLICT, "amq.topic"):
        me.join("ex", "amq.topic", "k")


@pytest.mark.clause("AMQP091-queue.unbind", "AMQP091-exchange.unbind")
def test_unbinding_what_is_not_there_is_no_matter(me: Person) -> None:
    me.exchange("ex")
    me.queue("q")
    me.unbind("q", "ex", "k")
    me.unbind("none", "ex", "k")
    me.unbind("q", "none", "k")
    me.part("none", "ex", "k")
    me.part("ex", "none", "k")


def test_how_many_bindings_are_held_against_headers(me: Person) -> None:
    me.exchange("ex", "headers")
    me.queue("q")
    for number in range(1000):
        me.bind("q", "ex", "", {"n": number})
    with refused(QUOTA_EXCEEDED, "declare another"):
        me.bind("q", "ex", "", {"n": 1000})


def test_rings_end(hall: Hall, me: Person) -> None:
    for name in ("a", "b", "c"):
        me.exchange(name, "fanout")
        me.queue(f"q{name}")
        me.bind(f"q{name}", name)
    me.join("b", "a")
    me.join("c", "b")
    me.join("a", "c")
    me.join("a", "a")
    me.publish("a", "", b"round")
    assert [hall.waiting(f"q{name}") for name in "abc"] == [[b"round"]] * 3
    me.part("b", "a")
    me.publish("a", "", b"alone")
    assert hall.waiting("qb") == [b"round"]
    me.delete_exchange("c")
    assert hall.waiting("qa") == [b"round", b"alone"]


def test_a_queue_that_is_full_refuses_and_the_others_have_it(hall: Hall, me: Person) -> None:
    me.exchange("ex", "fanout")
    me.queue("small", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    me.queue("large")
    me.bind("small", "ex")
    me.bind("large", "ex")
    me.publish("ex", "", b"1")
    with pytest.raises(Refusal):
        me.publish("ex", "", b"2")
    assert hall.waiting("small") == [b"1"]
    assert hall.waiting("large") == [b"1", b"2"]


# Alternate exchanges. -------------------------------------------------------------------------------


def test_what_is_not_routed_goes_to_the_alternate(hall: Hall, me: Person) -> None:
    me.exchange("rest", "fanout")
    me.exchange("ex", arguments={"alternate-exchange": "rest"})
    me.queue("q")
    me.queue("others")
    me.bind("q", "ex", "known")
    me.bind("others", "rest")
    me.publish("ex", "known", b"1")
    me.publish("ex", "unknown", b"2")
    assert hall.waiting("q") == [b"1"]
    assert hall.waiting("others") == [b"2"]


def test_alternates_in_a_ring_end(me: Person) -> None:
    me.exchange("a", arguments={"alternate-exchange": "b"})
    me.exchange("b", arguments={"alternate-exchange": "a"})
    assert me.publish("a", "k") == NOBODY
    me.delete_exchange("b")
    assert me.publish("a", "k") == NOBODY
