"""Dead letters through exchanges, and the headers that tell of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pamqp import commands

from bridgehead.core.entry import Death, Entry
from bridgehead.core.errors import NOT_AUTHORIZED
from bridgehead.core.message import Origin
from bridgehead.core.permission import Permission
from bridgehead.protocols.amqp.mapping.message_v091 import message_from_v091, read_properties, v091_content
from bridgehead.protocols.amqp.session.v091.dead_letters import death_headers, headers_of_dead
from tests.amqp.session.v091.hall import ALL, Hall, Person, make, refused, send, take
from tests.broker.fakes import FakeReceiver


def first(hall: Hall, person: Person, name: str) -> Entry:
    entry = hall.broker.queues.get(person.principal, person.origin, hall.queue(name), False)
    assert entry is not None
    return entry


def reject(hall: Hall, person: Person, name: str) -> Entry:
    entry = first(hall, person, name)
    hall.broker.queues.reject(hall.queue(name), entry)
    return entry


@pytest.fixture
def hall() -> Hall:
    return Hall()


@pytest.fixture
def me(hall: Hall) -> Person:
    return hall.who()


@pytest.mark.clause("AMQP091-basic.reject")
def test_rejected_goes_through_the_exchange_with_the_key_it_came_by(hall: Hall, me: Person) -> None:
    me.exchange("dlx", "topic")
    me.queue("dead")
    me.bind("dead", "dlx", "orders.*")
    me.exchange("ex", "topic")
    me.queue("work", arguments={"x-dead-letter-exchange": "dlx"})
    me.bind("work", "ex", "#")
    me.publish("ex", "orders.new", b"bad")
    reject(hall, me, "work")
    entry = first(hall, me, "dead")
    assert entry.message.payload == b"bad"
    assert death_headers(entry.deaths) == {
        "x-death": [
            {
                "count": 1,
                "reason": "rejected",
                "queue": "work",
                "time": datetime.fromtimestamp(1_000_000, UTC),
                "exchange": "ex",
                "routing-keys": ["orders.new"],
            }
        ],
        "x-first-death-reason": "rejected",
        "x-first-death-queue": "work",
        "x-first-death-exchange": "ex",
    }


def test_with_another_key_and_through_the_default_exchange(hall: Hall, me: Person) -> None:
    me.queue("dead")
    me.queue("work", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    me.publish("", "work", b"1")
    reject(hall, me, "work")
    assert hall.waiting("dead") == [b"1"]


def test_retry_by_two_queues_counts(hall: Hall, me: Person) -> None:
    """Rejected to a waiting room, from where it comes back after its time: RabbitMQ's way to try again later."""
    me.queue("work", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "later"})
    me.queue(
        "later",
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work", "x-message-ttl": 1000},
    )
    me.publish("", "work", b"again")
    for round_ in range(1, 4):
        reject(hall, me, "work")
        assert hall.waiting("work") == []
        hall.after(1.5)
        (entry,) = hall.queue("work").all_waiting()
        tables = death_headers(entry.deaths)["x-death"]
        assert isinstance(tables, list)
        assert [(table["queue"], table["reason"], table["count"]) for table in tables] == [
            ("later", "expired", round_),
            ("work", "rejected", round_),
        ]


def test_pushed_out_and_delivered_too_often(hall: Hall, me: Person) -> None:
    me.exchange("dlx", "fanout")
    me.queue("dead")
    me.bind("dead", "dlx")
    me.queue("short", arguments={"x-dead-letter-exchange": "dlx", "x-max-length": 1})
    me.publish("", "short", b"old")
    me.publish("", "short", b"new")
    me.queue("limited", arguments={"x-dead-letter-exchange": "dlx", "x-delivery-limit": 1})
    me.publish("", "limited", b"fails")
    for _ in range(2):
        entry = first(hall, me, "limited")
        hall.broker.queues.release(hall.queue("limited"), entry, failed=True)
    reasons = [entry.deaths[0].reason for entry in hall.queue("dead").all_waiting()]
    assert hall.waiting("dead") == [b"old", b"fails"]
    assert reasons == ["maxlen", "delivery_limit"]


def test_to_a_topic_of_the_hub(hall: Hall, me: Person) -> None:
    receiver = FakeReceiver()
    session = hall.broker.attach(me.principal, "reader", "fake", True, True, 0.0, None, receiver)[0]
    from bridgehead.core.session import Subscription

    hall.broker.door.subscribe(Subscription(session, "dead/#", 0))
    me.queue("work", arguments={"x-dead-letter-exchange": "amq.topic", "x-dead-letter-routing-key": "dead.work"})
    me.publish("", "work", b"gone", qos=0)
    reject(hall, me, "work")
    assert receiver.transmitted == [b"gone"]


def test_the_expiration_that_it_had_is_told_with_its_first_death() -> None:
    content = commands.Basic.Properties(expiration="500", headers={"own": 1}).marshal()
    message = message_from_v091("$QUEUE/q", content, b"x", Origin("owner", "amqp", True, "1"), 10.0)
    entry = Entry(1, message)
    assert headers_of_dead(entry) is None
    entry.deaths = (Death("b", "rejected", 1, 5.0, "", ("b",)), Death("a", "expired", 1, 4.0, "", ("a",)))
    headers = headers_of_dead(entry)
    assert headers is not None
    tables = headers["x-death"]
    assert isinstance(tables, list)
    assert [table.get("original-expiration") for table in tables] == [None, "500"]
    again = read_properties(v091_content(message, 10.0, headers))
    assert again.expiration is None
    assert (again.headers or {})["own"] == 1


def test_deaths_are_the_latest_first_and_the_first_is_told_apart() -> None:
    deaths = (Death("b", "expired", 2, 5.9, "amq.default", ("k",)), Death("a", "rejected", 1, 4.2, "ex", ("x", "y")))
    headers = death_headers(deaths)
    tables = headers["x-death"]
    assert isinstance(tables, list)
    assert [table["exchange"] for table in tables] == ["", "ex"]
    assert tables[0]["time"] == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert headers["x-first-death-queue"] == "a"


# Rights. --------------------------------------------------------------------------------------------

MINE = [make("$QUEUE/mine/#"), take("$QUEUE/mine/#"), make("$EXCHANGE/mine/#")]


def with_rights(*more: Permission) -> tuple[Hall, Person]:
    hall = Hall({"mallory": [*MINE, *more], "owner": ALL})
    hall.who("owner").queue("secret")
    hall.who("owner").exchange("vault", "fanout")
    hall.who("owner").bind("secret", "vault")
    return hall, hall.who("mallory")


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-dead-letter-exchange": "vault"},
        {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "secret"},
        {"x-dead-letter-exchange": "amq.topic", "x-dead-letter-routing-key": "plant.valve"},
    ],
)
def test_nobody_declares_a_queue_whose_dead_letters_go_where_it_may_not_send(arguments: dict[str, object]) -> None:
    hall, mallory = with_rights()
    with refused(NOT_AUTHORIZED):
        mallory.queue("mine/q", arguments=arguments)
    assert hall.broker.queues.find("mine/q") is None
    assert hall.named("publish.denied")[-1]["principal"] == "mallory"


def test_a_target_that_only_the_message_names_is_asked_for_when_it_dies() -> None:
    hall, mallory = with_rights(make("$EXCHANGE/amq.fanout"), take("$EXCHANGE/amq.fanout"))
    mallory.queue("mine/q", arguments={"x-dead-letter-exchange": ""})
    mallory.bind("mine/q", "amq.fanout", "")
    mallory.publish("amq.fanout", "secret", b"forged")
    reject(hall, mallory, "mine/q")
    assert hall.waiting("secret") == []
    assert "secret" in str(hall.named("publish.denied")[-1]["topic"])
    assert len(hall.named("queue.dead-letter-lost")) == 1


def test_a_right_that_has_ended_sends_no_dead_letters() -> None:
    hall, mallory = with_rights(send("$EXCHANGE/vault"))
    mallory.queue("mine/q", arguments={"x-dead-letter-exchange": "vault"})
    mallory.publish("", "mine/q", b"one")
    reject(hall, mallory, "mine/q")
    assert hall.waiting("secret") == [b"one"]
    mallory.principal.permit(MINE, ["*"])
    hall.broker.permissions_changed(["mallory"])
    mallory.publish("", "mine/q", b"two")
    reject(hall, mallory, "mine/q")
    assert hall.waiting("secret") == [b"one"]
