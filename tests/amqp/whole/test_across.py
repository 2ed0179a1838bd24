"""MQTT, AMQP 1.0, AMQP 0-9-1 and CoAP at one hub, both ways, each by a client not written here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.amqp.whole.across import COAP, EVERY_DOOR, Paho, coap, pika, properties_of, proton
from tests.amqp.whole.office import OFFICE, Office
from tests.clients.readings import readings

pytestmark = [pytest.mark.peer(COAP), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("across"), listeners=EVERY_DOOR) as made:
        yield made


def address(topic: str) -> str:
    return "/topics/" + topic.replace("/", "%2F")


def test_every_protocol_hears_every_other(house: Office) -> None:
    """One topic, four publishers, three subscribers that hear all four."""
    topic = "across/all"
    with proton(house) as amqp, pika(house) as old, Paho(house) as paho:
        assert amqp.do(receive=address(topic)) == {"open": address(topic)}
        assert old.do(bind="across.all") == {"bound": "across.all"}
        assert paho.subscribe(topic) == 1
        paho.publish(topic, "by MQTT")
        assert amqp.do(send=address(topic), message={"data": "by AMQP 1.0"}) == {"sent": 1}
        assert old.do(send="across.all", body="by AMQP 0-9-1", properties={"delivery_mode": 2}) == {"sent": 1}
        assert coap(house, "post", topic, "-e", "by CoAP") == ""
        said = ["by MQTT", "by AMQP 1.0", "by AMQP 0-9-1", "by CoAP"]
        assert [each["body"] for each in amqp.do(take=4)] == said
        heard = old.do(take=4)
        assert [each["body"] for each in heard] == said
        assert {each["routing_key"] for each in heard} == {"across.all"}
        assert [paho.message().payload.decode() for _ in said] == said


def test_what_is_retained_comes_first_and_says_so(house: Office) -> None:
    with Paho(house) as paho:
        paho.publish("across/kept/mqtt", "21.5", retain=True, MessageExpiryInterval=3600)
    with pika(house) as old:
        old.do(send="across.kept.old", body="22.5", properties={"delivery_mode": 2, "headers": {"x-retain": True}})
    with proton(house) as amqp:
        kept = {"data": "23.5", "annotations": {"x-opt-retain": True}, "ttl": 3600}
        assert amqp.do(send=address("across/kept/new"), message=kept) == {"sent": 1}
    with proton(house) as amqp:
        amqp.do(receive=address("across/kept/%2B"))
        found = {each["annotations"]["x-opt-topic"]: each for each in amqp.do(take=3)}
        assert {topic: each["body"] for topic, each in found.items()} == {
            "across/kept/mqtt": "21.5",
            "across/kept/old": "22.5",
            "across/kept/new": "23.5",
        }
        assert all(each["annotations"]["x-opt-retain"] is True for each in found.values())
        # Proton has not said that its message is durable, so it is not told so either.
        assert [topic for topic, each in found.items() if not each["durable"]] == ["across/kept/new"]
        # Expiry is counted down on the way.
        assert 3000 < found["across/kept/mqtt"]["ttl"] < 3600
        assert 3000 < found["across/kept/new"]["ttl"] < 3600
        assert found["across/kept/old"]["ttl"] == 0  # Proton's word for none
        # And then what is published now.
        amqp.do(send=address("across/kept/new"), message={"data": "now"})
        live = amqp.take()
        assert (live["body"], live["annotations"]) == ("now", {"x-opt-topic": "across/kept/new"})
    for topic, value in (("mqtt", "21.5"), ("old", "22.5"), ("new", "23.5")):
        assert coap(house, "get", f"across/kept/{topic}") == value
    assert coap(house, "put", "across/kept/coap", "-e", "24.5") == ""
    with proton(house) as amqp:
        amqp.do(receive=address("across/kept/coap"))
        assert amqp.take()["body"] == "24.5"


def test_properties_from_mqtt(house: Office) -> None:
    topic = "across/properties"
    with proton(house) as amqp, pika(house) as old, Paho(house) as paho:
        amqp.do(receive=address(topic))
        old.do(bind="across.properties")
        paho.publish(
            topic,
            "{}",
            ContentType="application/json",
            ResponseTopic="across/answers",
            CorrelationData=b"\xff\x01",
            UserProperty=[("unit", "C"), ("place", "Büro")],
            MessageExpiryInterval=3600,
        )
        new = amqp.take()
        assert new["content_type"] == "application/json"
        assert new["reply_to"] == "/topics/across%2Fanswers"
        assert new["correlation_id"] == {"binary": "ff01"}
        assert new["properties"] == {"unit": "C", "place": "Büro"}
        assert 3000 < new["ttl"] <= 3600
        was = old.take()
        assert was["content_type"] == "application/json"
        assert was["reply_to"] == "/topics/across%2Fanswers"
        assert was["correlation_id"] == "AMQP_BINARY:ff01"
        assert was["headers"] == {"unit": "C", "place": "Büro"}
        assert 3_000_000 < int(was["expiration"]) <= 3_600_000
        assert was["delivery_mode"] == 2


def test_properties_to_mqtt(house: Office) -> None:
    topic = "across/back"
    with proton(house) as amqp, pika(house) as old, Paho(house) as paho:
        paho.subscribe(topic)
        fields: dict[str, Any] = {
            "content_type": "text/csv",
            "reply_to": "/topics/across%2Fanswers",
            "correlation_id": "c-7",
        }
        amqp.do(
            send=address(topic), message={"data": "1,2", "properties": {"unit": "C", "n": 7}, "ttl": 3600, **fields}
        )
        first = paho.message()
        fields["headers"] = {"unit": "C", "n": 7}
        old.do(send="across.back", body="1,2", properties={**fields, "expiration": "3600000"})
        second = paho.message()
        for message in (first, second):
            properties = properties_of(message)
            assert message.payload == b"1,2"
            assert properties.ContentType == "text/csv"
            assert properties.ResponseTopic == "across/answers"
            assert properties.CorrelationData == b"c-7"
            assert sorted(properties.UserProperty) == [("n", "7"), ("unit", "C")]
            assert 3000 < properties.MessageExpiryInterval <= 3600


@pytest.mark.parametrize("identifier", ["text", "AMQP_ULONG:x"])
def test_a_request_of_1_0_is_answered_by_mqtt(house: Office, identifier: str) -> None:
    """Who asks by AMQP finds its correlation-id as it was."""
    with proton(house) as amqp, Paho(house) as paho:
        paho.subscribe("across/ask")
        amqp.do(receive=address("across/answers/1"))
        request = {"data": "?", "reply_to": "/topics/across%2Fanswers%2F1", "correlation_id": identifier}
        amqp.do(send=address("across/ask"), message=request)
        asked = properties_of(paho.message())
        paho.publish(asked.ResponseTopic, "!", CorrelationData=asked.CorrelationData)
        answer = amqp.take()
        assert (answer["body"], answer["correlation_id"]) == ("!", identifier)


def test_a_request_of_mqtt_is_answered_by_0_9_1_and_1_0(house: Office) -> None:
    with proton(house) as amqp, pika(house) as old, Paho(house) as paho:
        paho.subscribe("across/answers/2")
        old.do(bind="across.ask2")
        amqp.do(receive=address("across/ask2"))
        paho.publish("across/ask2", "?", ResponseTopic="across/answers/2", CorrelationData=b"\x00\xfe")
        asked = old.take()
        properties = {"correlation_id": asked["correlation_id"]}
        old.do(send="across.answers.2", body="old", properties=properties)
        asked = amqp.take()
        assert asked["reply_to"] == address("across/answers/2")
        assert asked["correlation_id"] == {"binary": "00fe"}
        answers = [paho.message()]
        amqp.do(send=asked["reply_to"], message={"data": "new"})
        answers.append(paho.message())
        assert [each.payload for each in answers] == [b"old", b"new"]
        assert properties_of(answers[0]).CorrelationData == b"\x00\xfe"


def test_a_cloud_event_in_binary_mode_goes_through(house: Office) -> None:
    event = {"specversion": "1.0", "id": "7", "source": "/lobby", "type": "org.example.measured"}
    topic = "across/events"
    with proton(house) as amqp, pika(house) as old, Paho(house) as paho:
        paho.subscribe(topic)
        amqp.do(receive=address(topic))
        old.do(bind="across.events")
        prefixed = {"cloudEvents:" + name: value for name, value in event.items()}
        amqp.do(send=address(topic), message={"data": "{}", "content_type": "application/json", "properties": prefixed})
        found = properties_of(paho.message())
        assert (found.ContentType, dict(found.UserProperty)) == ("application/json", event)
        assert amqp.take()["properties"] == prefixed
        assert old.take()["headers"] == {"cloudEvents_" + name: value for name, value in event.items()}
        paho.publish(topic, "{}", ContentType="application/json", UserProperty=list(event.items()))
        assert amqp.take()["properties"] == {"cloudEvents_" + name: value for name, value in event.items()}


def test_a_queue_is_one_for_both_versions_and_fed_from_a_topic(house: Office) -> None:
    with proton(house) as amqp, pika(house) as old, Paho(house) as paho:
        old.do(declare="across/work", feed="across.jobs.#")
        paho.publish("across/jobs/1", "one", UserProperty=[("n", "1")])
        amqp.do(receive="/queues/across%2Fwork")
        first = amqp.take()
        assert (first["body"], first["properties"]) == ("one", {"n": "1"})
    with proton(house) as amqp, pika(house) as old:
        old.do(consume="across/work")
        amqp.do(send="/queues/across%2Fwork", message={"data": "two", "properties": {"n": 2}})
        second = old.take()
        assert (second["body"], second["headers"]) == ("two", {"n": "2"})
    with proton(house) as amqp, pika(house) as old:
        amqp.do(receive="/queues/across%2Fwork")
        old.do(send="across/work", exchange="", body="three", properties={"delivery_mode": 2, "headers": {"n": 3}})
        third = amqp.take()
        assert (third["body"], third["properties"], third["durable"]) == ("three", {"n": "3"}, True)


@pytest.mark.slow
def test_a_year_of_readings_arrives_everywhere_in_order(house: Office) -> None:
    topic = "across/Temperature"
    lines = readings()
    with proton(house) as sender, proton(house) as amqp, pika(house) as old, Paho(house) as paho:
        amqp.do(receive=address(topic))
        old.do(bind="across.Temperature")
        paho.subscribe(topic)
        for start in range(0, len(lines), 500):
            part = lines[start : start + 500]
            assert sender.do(lines=address(topic), bodies=part) == {"sent": len(part)}
            assert [each["body"] for each in amqp.do(take=len(part))] == part
            assert [each["body"] for each in old.do(take=len(part))] == part
            assert [paho.message().payload.decode() for _ in part] == part
    assert house.hub.events("authentication.refused") == []
    assert OFFICE in house.command("device", "list")
