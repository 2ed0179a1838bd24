"""pika against the real hub, over TLS: its blocking and its select connection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.amqp.whole.office import SENSOR, Office


def told(lines: list[Any]) -> dict[str, Any]:
    return {line["what"]: line["told"] for line in lines}


@pytest.mark.clause("AMQP091-basic.publish", "AMQP091-basic.get", "AMQP091-basic.nack", "AMQP091-basic.return")
def test_messages_come_as_they_went(office: Office) -> None:
    said = told(office.python("pika_blocking.py", "publish_and_get").lines())
    message = said["message"]
    assert message["body"] == '{"a": 1}'
    assert message["headers"] == {"number": 7, "flag": True, "text": "ü", "list": [1, "a"], "inside": {"x": 1}}
    assert message["properties"] == [
        "application/json", 2, 3, "c-1", "answers", "m-1", "order", "shop", 1_700_000_000
    ]  # fmt: skip
    assert message["redelivered"] == [False, True]
    assert (message["exchange"], message["key"], message["empty"]) == ("", "pika/one", True)
    assert said["returned"] == [312, "pika/nobody"]
    assert said["closed"] is True


@pytest.mark.clause("AMQP091-exchange.declare", "AMQP091-queue.bind", "AMQP091-exchange.bind")
def test_exchanges_of_every_type(office: Office) -> None:
    said = told(office.python("pika_blocking.py", "exchanges").lines())
    assert said["routed"] == {
        "pika.topic": ["pika.topic kern.alarm"],
        "pika.headers": ["pika.headers "],
        "pika.direct": ["pika.direct all"],
    }


@pytest.mark.clause("AMQP091-queue.declare", "AMQP091-channel.close")
def test_errors_have_rabbitmqs_codes(office: Office) -> None:
    said = told(office.python("pika_blocking.py", "errors").lines())
    assert said["codes"] == {
        "declare": 0,
        "other length": 406,
        "other durability": 406,
        "bad argument": 406,
        "passive, none": 404,
        "passive, there": 0,
        "reserved queue": 403,
        "reserved exchange": 403,
        "no exchange": 404,
        "other type": 406,
        "bind to nothing": 404,
        "get from nothing": 404,
        "unknown tag": 406,
        "default exchange": 403,
        "delete": 0,
        "delete again": 0,
    }


@pytest.mark.clause("AMQP091-basic.reject")
def test_dead_letters_tell_of_what_they_died(office: Office) -> None:
    said = told(office.python("pika_blocking.py", "dead_letters").lines())
    assert said["dead"] == {
        "rejected": ["pika/work", "rejected", 1, "", ["pika/work"], "rejected", 1],
        "late": ["pika/short", "expired", 1, "", ["pika/short"], "expired", None],
    }


@pytest.mark.clause("AMQP091-queue.delete", "AMQP091-basic.cancel")
def test_ends_of_queues_and_the_notice_to_their_consumers(office: Office) -> None:
    said = told(office.python("pika_blocking.py", "ends_of_queues").lines())
    assert said["ended"] == [404, 404, True]


@pytest.mark.clause("AMQP091-3.1.3.3")
def test_amq_topic_is_the_topics_of_mqtt(office: Office) -> None:
    mqtt = office.mqtt()
    mqtt.subscribe("Office/Pika/#")
    with office.python("pika_blocking.py", "topics") as script:
        assert script.line()["told"].startswith("amq.gen-office/")
        mqtt.publish("Office/Kitchen/Temperature", "21.5")
        script.say("go on")
        assert script.line() == {
            "what": "fed", "told": ["amq.topic", "Office.Kitchen.Temperature", "21.5", None]
        }  # fmt: skip
        assert mqtt.message() == ("Office/Pika/Said", "from pika")
    mqtt.close()


@pytest.mark.clause("AMQP091-confirm.select", "AMQP091-basic.qos", "AMQP091-basic.ack")
def test_the_select_connection_confirms_and_consumes_in_order(office: Office) -> None:
    (said,) = office.python("pika_select.py", "300").lines()
    assert said == {
        "confirmed": 300,
        "in order": True,
        "closed": "ConnectionClosedByClient: (200) 'Normal shutdown'",
    }


@pytest.mark.clause("AMQP091-4.7")
def test_another_identity_gets_nowhere(office: Office) -> None:
    """`office` holds a queue, a private queue and an exchange; `sensor` may use the topics below Office and one queue
    of another name."""
    with office.python("pika_blocking.py", "holds") as holder:
        own = holder.line()["told"]
        with office.python("pika_blocking.py", "attacks", name=SENSOR) as attacker:
            attacker.say(json.dumps(own))
            codes = attacker.line()["told"]
        holder.say("stop")
        assert holder.line() == {"what": "left", "told": [1, ["still here"]]}
    permitted = {"as oneself": 0, "their consumer tag": 0}
    assert {what: code for what, code in codes.items() if what in permitted} == permitted
    # 405: what is another connection's own is locked, whoever asks and may know of it.
    assert {code for what, code in codes.items() if what not in permitted} <= {403, 405}, codes
    assert len(codes) == 27
