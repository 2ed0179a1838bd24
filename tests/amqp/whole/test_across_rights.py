"""What a device may not over MQTT it may not over AMQP, in either version and under any spelling."""

from __future__ import annotations

from typing import Any

import pytest

from bridgehead.security.records import PermissionRecord
from tests.amqp.whole.across import Paho, pika, proton
from tests.amqp.whole.office import SENSOR, STRANGER, Office

UNAUTHORIZED = "amqp:unauthorized-access"
REFUSED = 403
FOREIGN = ["secret/x", "#", "+/x", "Office", "Offices/x", "office/x"]


def address(name: str) -> str:
    return "/topics/" + name.replace("#", "%23").replace("+", "%2B").replace("/", "%2F")


def binding(topic_filter: str) -> str:
    return topic_filter.replace("/", ".").replace("+", "*")


def refused(answer: Any, code: str | int) -> bool:
    assert answer.get("refused") == code, answer
    return "permission" in answer["because"] or SENSOR in answer["because"] or STRANGER in answer["because"]


@pytest.mark.parametrize("name", [SENSOR, STRANGER])
def test_nobody_reads_by_amqp_what_it_may_not_by_mqtt(office: Office, name: str) -> None:
    with Paho(office, name) as paho, proton(office, name) as amqp, pika(office, name) as old:
        for topic_filter in FOREIGN:
            if name == SENSOR and topic_filter == "Office":
                continue  # Office/# covers it
            assert paho.subscribe(topic_filter) == 0x87, topic_filter
            assert refused(amqp.do(receive=address(topic_filter)), UNAUTHORIZED), topic_filter
            assert refused(old.do(bind=binding(topic_filter)), REFUSED), topic_filter


@pytest.mark.parametrize("name", [SENSOR, STRANGER])
def test_nobody_writes_by_amqp_what_it_may_not_by_mqtt(office: Office, name: str) -> None:
    with Paho(office) as watcher, proton(office, name) as amqp, pika(office, name) as old:
        watcher.subscribe("secret/#")
        for spelled in ("/topics/secret%2Fx", "/topics/secret/x", "/topics/%73ecret%2fx", "secret/x"):
            answer = amqp.do(send=spelled, message={"data": "leak"})
            assert answer.get("refused") == UNAUTHORIZED, answer
        assert refused(old.do(send="secret.x", body="leak", properties={"delivery_mode": 2}), REFUSED)
        watcher.publish("secret/x", "mine")
        assert watcher.message().payload == b"mine"


def test_queues_and_exchanges_are_decided_on_as_topics(office: Office) -> None:
    with pika(office) as owner:
        for name in ("orders", "wages"):
            assert owner.do(declare=name) == {"declared": name}
    with proton(office, SENSOR) as amqp, pika(office, SENSOR) as old:
        # It may send to `orders` and take nothing out of it; of `wages` it may nothing.
        assert amqp.do(send="/queues/orders", message={"data": "1"}) == {"sent": 1}
        assert old.do(send="orders", exchange="", body="2", properties={"delivery_mode": 2}) == {"sent": 1}
        assert amqp.do(receive="/queues/orders")["refused"] == UNAUTHORIZED
        assert old.do(consume="orders")["refused"] == REFUSED
        for answer in (amqp.do(send="/queues/wages", message={"data": "1"}), amqp.do(receive="/queues/wages")):
            assert answer["refused"] == UNAUTHORIZED
        assert old.do(consume="wages")["refused"] == REFUSED
        assert old.do(send="wages", exchange="", body="x")["refused"] == REFUSED
        # The policy's name of a queue is no address of it.
        assert "refused" in amqp.do(receive="/topics/%24QUEUE%2Fwages")
    with pika(office) as owner:
        owner.do(consume="orders")
        assert [each["body"] for each in owner.do(take=2)] == ["1", "2"]


def test_what_may_not_be_kept_is_not_kept(office: Office) -> None:
    name = "fleeting"
    office.add(name, PermissionRecord("fleeting/#", publish=True, subscribe=True, retain=False))
    with proton(office, name) as amqp, pika(office, name) as old:
        kept = amqp.do(send=address("fleeting/x"), message={"data": "1", "annotations": {"x-opt-retain": True}})
        assert kept == {"outcome": "rejected"}
        answer = old.do(send="fleeting.x", body="2", properties={"delivery_mode": 2, "headers": {"x-retain": True}})
        assert answer["refused"] == REFUSED
        assert amqp.do(send=address("fleeting/y"), message={"data": "3"}) == {"sent": 1}
    with Paho(office) as watcher:
        watcher.publish("fleeting/end", "end", retain=True)
        watcher.subscribe("fleeting/#")
        assert watcher.message().payload == b"end"


def test_a_message_cannot_say_that_another_sent_it(office: Office) -> None:
    with proton(office, SENSOR) as amqp, pika(office, SENSOR) as old:
        assert amqp.do(send=address("Office/who"), message={"data": "x", "user": SENSOR}) == {"sent": 1}
        lie = amqp.do(send=address("Office/who"), message={"data": "x", "user": "office"})
        assert lie == {"outcome": "rejected"}
        answer = old.do(send="Office.who", body="x", properties={"user_id": "office", "delivery_mode": 2})
        assert answer["refused"] in (REFUSED, 406)
        assert old.do(send="Office.who", body="x", properties={"user_id": SENSOR, "delivery_mode": 2}) == {"sent": 1}
