"""Arguments of queue.declare: their types and ranges, what they set, and when two declarations differ."""

from __future__ import annotations

import pytest

from bridgehead.broker.queues.settings import DROP_HEAD, REJECT, DeadLetter, QueueSettings
from bridgehead.core.errors import CONFLICT, LOCKED, Refusal
from bridgehead.protocols.amqp.session.v091.arguments import (
    Arguments,
    alternate_exchange,
    check_same_queue,
    queue_settings,
)

pytestmark = pytest.mark.clause("AMQP091-queue.declare")


def settings(**arguments: object) -> QueueSettings:
    return queue_settings({name.replace("_", "-"): value for name, value in arguments.items()}, True, "", False)


def test_every_argument_sets_its_own() -> None:
    got = queue_settings(
        {
            "x-message-ttl": 1500,
            "x-expires": 60_000,
            "x-max-length": 10,
            "x-max-length-bytes": 4096,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": "dead",
            "x-dead-letter-routing-key": "letters",
            "x-max-priority": 9,
            "x-delivery-limit": 3,
            "x-single-active-consumer": True,
            "x-queue-type": "quorum",
            "x-nobody-knows": [1, 2],
        },
        True,
        "",
        True,
    )
    wanted = QueueSettings(
        True, "", True, 1.5, 60.0, 10, 4096, REJECT, DeadLetter(exchange="dead", routing_key="letters"), 9, 4, True
    )
    assert got.named() == wanted.named()


def test_nothing_said_is_a_plain_queue_that_drops_its_head() -> None:
    assert settings().named() == QueueSettings(True, overflow=DROP_HEAD).named()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-message-ttl", -1),
        ("x-message-ttl", "1000"),
        ("x-message-ttl", True),
        ("x-message-ttl", 1 << 32),
        ("x-expires", 0),
        ("x-expires", 1.5),
        ("x-max-length", -1),
        ("x-max-length-bytes", "many"),
        ("x-overflow", "explode"),
        ("x-overflow", 1),
        ("x-dead-letter-exchange", 5),
        ("x-dead-letter-routing-key", "without its exchange"),
        ("x-max-priority", 256),
        ("x-max-priority", -1),
        ("x-delivery-limit", -1),
        ("x-single-active-consumer", "yes"),
        ("x-queue-type", "stream"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(Refusal, match=name) as refused:
        queue_settings({name: value}, True, "", False)
    assert refused.value.meaning == CONFLICT


def test_a_quorum_queue_lasts() -> None:
    with pytest.raises(Refusal, match="durable"):
        queue_settings({"x-queue-type": "quorum"}, False, "", False)


def test_dead_letters_to_the_bridge_need_a_topic() -> None:
    got = settings(x_dead_letter_exchange="amq.topic", x_dead_letter_routing_key="dead.letters").dead_letter
    assert got is not None
    assert got.topic == "dead/letters"
    with pytest.raises(Refusal, match="x-dead-letter-routing-key"):
        settings(x_dead_letter_exchange="amq.topic")


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({"x-message-ttl": 1000}, {"x-message-ttl": 2000}, "'x-message-ttl'.*received '2000'.*current is '1000'"),
        ({"x-message-ttl": 1000}, {}, "'x-message-ttl'.*received none.*current is '1000'"),
        ({}, {"x-expires": 1000}, "'x-expires'.*received '1000'.*current is none"),
        ({"x-max-priority": 5}, {"x-max-priority": 6}, "'x-max-priority'.*received '6'.*current is '5'"),
        (
            {"x-overflow": "reject-publish"},
            {"x-overflow": "drop-head"},
            "'x-overflow'.*received 'drop-head'.*current is 'reject-publish'",
        ),
        (
            {"x-dead-letter-exchange": "a"},
            {"x-dead-letter-exchange": ""},
            "'x-dead-letter-exchange'.*received ''.*current is 'a'",
        ),
        ({"x-delivery-limit": 2}, {"x-delivery-limit": 3}, "'x-delivery-limit'.*received '3'.*current is '2'"),
        ({"x-single-active-consumer": True}, {}, "received 'false'.*current is 'true'"),
    ],
)
def test_what_differs_is_named_with_both_values(first: Arguments, second: Arguments, named: str) -> None:
    known = queue_settings(first, True, "", False)
    with pytest.raises(Refusal, match=named) as refused:
        check_same_queue("work", known, queue_settings(second, True, "", False), second)
    assert refused.value.meaning == CONFLICT
    assert "queue 'work'" in refused.value.because


@pytest.mark.parametrize(
    ("durable", "exclusive", "auto_delete", "named"),
    [(False, "", False, "durable"), (True, "", True, "auto_delete")],
)
def test_so_are_the_bits(durable: bool, exclusive: str, auto_delete: bool, named: str) -> None:
    known = queue_settings({}, True, "", False)
    with pytest.raises(Refusal, match=f"'{named}'.*received '(true|false)' but current is '(true|false)'"):
        check_same_queue("work", known, queue_settings({}, durable, exclusive, auto_delete), {})


def test_whose_it_is_is_a_lock() -> None:
    known = queue_settings({}, False, "me/1", False)
    with pytest.raises(Refusal, match="exclusive") as refused:
        check_same_queue("work", known, queue_settings({}, False, "", False), {})
    assert refused.value.meaning == LOCKED


def test_a_queue_of_an_administrator_can_be_declared_without_knowing_what_it_does_when_full() -> None:
    known = QueueSettings(durable=True, overflow=REJECT)
    check_same_queue("work", known, queue_settings({}, True, "", False), {})


def test_the_same_again_is_no_contradiction() -> None:
    arguments: Arguments = {"x-message-ttl": 33, "x-expires": 1, "x-max-priority": 0}
    check_same_queue("work", queue_settings(arguments, True, "", False), queue_settings(arguments, True, "", False), {})


def test_the_alternate_exchange_is_a_name() -> None:
    assert alternate_exchange({}) == ""
    assert alternate_exchange({"alternate-exchange": "rest"}) == "rest"
    with pytest.raises(Refusal, match="alternate-exchange"):
        alternate_exchange({"alternate-exchange": 1})
