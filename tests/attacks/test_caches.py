"""What the hub remembers of Topic Names, and what looking at one costs: a peer says a long one in a few octets."""

from __future__ import annotations

from bridgehead.core.filter_tree import FilterTree
from bridgehead.core.policy import Permission, Principal
from bridgehead.core.router import Router
from bridgehead.core.topic import has_more_levels, shown
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Puback, Publish
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub

LONG = "x" * 65_000


def octets(remembered: dict[str, object]) -> int:
    return sum(len(topic) for topic in remembered)


def test_long_topics_are_decided_and_not_remembered() -> None:
    principal = Principal.of("own", [Permission("own/#", True, True)], [])
    for i in range(100):
        assert principal.may_publish(f"own/{i}/{LONG}", 1, False)
        assert not principal.may_publish(f"other/{i}/{LONG}", 1, False)
    assert principal._remembered == {}


def test_long_topics_are_routed_and_not_remembered() -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("own/#")
    sensor = hub.client("sensor")
    for i in range(10):
        sensor.publish(f"own/{i}/{LONG}")
    assert len(office.messages()) == 10
    assert hub.broker.router._routes == {}


def test_the_hub_remembers_no_more_topic_aliases_than_it_lets_a_client_set() -> None:
    """A client may ask for 65,535, each for a topic of 65,535 octets: 4 GiB for one connection."""
    hub = Hub()
    office = hub.client("office", properties=Properties(topic_alias_maximum=65_535))
    office.subscribe("own/#")
    sensor = hub.client("sensor")
    for i in range(hub.config.topic_alias_maximum + 10):
        sensor.publish(f"own/{i}")
    assert office.connection._aliases is not None
    assert len(office.connection._aliases) == hub.config.topic_alias_maximum


def test_a_topic_of_thousands_of_levels_is_told_apart_no_deeper_than_the_filters() -> None:
    tree = FilterTree()
    tree.put("a/+/c", 1, "a/+/c")
    tree.put("a/#", 2, "a/#")
    tree.put("#", 3, "#")
    deep = "a/b/c" + "/" * 65_000
    assert sorted(map(str, tree.match(deep))) == ["#", "a/#"]
    assert sorted(map(str, tree.match("a/b/c"))) == ["#", "a/#", "a/+/c"]
    assert sorted(map(str, tree.match("a/b"))) == ["#", "a/#"]
    assert tree.match("$a/b/c") == []


def test_denied_and_too_deep_topics_by_alias_are_answered_with_short_sentences() -> None:
    hub = Hub(principals=[Principal.of("sensor", [Permission("own/#", True, False)], [])])
    sensor = hub.client("sensor")
    for topic, code in [("/" * 65_000, codes.NOT_AUTHORIZED), ("own" + "/" * 65_000, codes.TOPIC_NAME_INVALID)]:
        sensor.publish(topic, qos=1, properties=Properties(topic_alias=1))
        sensor.send(Publish("", b"", 1, False, False, 2, Properties(topic_alias=1)))
        for answer in sensor.get():
            assert isinstance(answer, Puback)
            assert answer.reason_code == code
            assert answer.properties.reason_string is not None
            assert len(answer.properties.reason_string) < 400


def test_levels_are_counted_up_to_the_limit() -> None:
    assert not has_more_levels("a/b/c", 3)
    assert has_more_levels("a/b/c/", 3)
    assert has_more_levels("///", 3)
    assert not has_more_levels("", 1)
    assert has_more_levels("/", 1)


def test_topics_in_sentences_are_cut() -> None:
    assert shown("a/b") == "'a/b'"
    assert shown("a" * 201) == f"'{'a' * 200}'... (201 characters)"


def test_router_and_tree_forget_filters_that_are_gone() -> None:
    assert Router().route("a/b").targets == []
    tree = FilterTree()
    tree.put("a/b/c", 1, 1)
    assert tree.discard("a/b/c", 1)
    assert tree.match("a/b/c") == []
    assert len(tree) == 0
