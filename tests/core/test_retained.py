"""Retained messages: set, replace, clear, find by filter; against a plain dictionary."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridgehead.core.message import Message, Origin
from bridgehead.core.retained import Retained
from tests.core.naive import filters, naive_matches, topics

ORIGIN = Origin("sensor", "mqtt", True)


def message(topic: str, payload: bytes = b"21.5") -> Message:
    return Message(topic, payload, 0, True, ORIGIN)


class RetainedAgainstDictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.retained = Retained()
        self.model: dict[str, Message] = {}
        self.set_at: dict[str, int] = {}

    @rule(topic=topics)
    def put(self, topic: str) -> None:
        new = message(topic, b"x" * len(self.model))
        assert self.retained.put(new) is self.model.get(topic)
        self.model[topic] = new
        self.set_at[topic] = self.retained.revision

    @rule(topic=topics)
    def discard(self, topic: str) -> None:
        assert self.retained.discard(topic) is self.model.pop(topic, None)

    @rule(topic_filter=filters())
    def find(self, topic_filter: str) -> None:
        found = self.retained.matching(topic_filter)
        assert len(found) == len(set(found))
        assert set(found) == {topic for topic in self.model if naive_matches(topic_filter, topic)}

    @rule(topic=topics)
    def as_of(self, topic: str) -> None:
        now = self.retained.revision
        assert self.retained.get_as_of(topic, now) is self.model.get(topic)
        if topic in self.model:
            assert self.retained.get_as_of(topic, self.set_at[topic] - 1) is None

    @invariant()
    def counts(self) -> None:
        assert len(self.retained) == len(self.model)
        assert sorted(self.retained.topics()) == sorted(self.model)
        assert self.retained.octets == sum(len(topic) + m.payload_length for topic, m in self.model.items())

    def teardown(self) -> None:
        for topic in list(self.model):
            self.retained.discard(topic)
        assert self.retained.octets == 0
        assert self.retained.matching("#") == []


TestRetainedAgainstDictionary = RetainedAgainstDictionary.TestCase
TestRetainedAgainstDictionary.settings = settings(max_examples=40, stateful_step_count=30)


def test_a_wildcard_finds_among_very_many_only_its_own() -> None:
    retained = Retained()
    for building in range(100):
        for room in range(100):
            retained.put(message(f"building/{building}/room/{room}"))
    assert len(retained.matching("building/7/#")) == 100
    assert len(retained.matching("building/+/room/7")) == 100
    assert len(retained.matching("#")) == 10_000
    assert retained.matching("building/7/room/7") == ["building/7/room/7"]


def test_tens_of_thousands_of_levels_need_no_recursion() -> None:
    retained = Retained()
    deep = "/".join(["x"] * 32000)
    retained.put(message(deep))
    assert retained.matching("#") == [deep]
    assert retained.matching("/".join(["+"] * 32000)) == [deep]
    assert retained.matching("x/" * 16000 + "#") == [deep]
    assert retained.discard(deep) is not None
    assert retained.matching("#") == []
