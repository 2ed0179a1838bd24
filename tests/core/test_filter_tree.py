"""The tree of Topic Filters against a list of filters that is asked one by one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridgehead.core.filter_tree import FilterTree
from tests.core.naive import filters, naive_matches, topics

keys = st.integers(0, 3)


class TreeAgainstList(RuleBasedStateMachine):
    """Whatever is put and taken away, the tree answers as a list of (filter, key) would."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = FilterTree()
        self.model: dict[tuple[str, int], object] = {}
        self.serial = 0

    @rule(topic_filter=filters(), key=keys)
    def put(self, topic_filter: str, key: int) -> None:
        self.serial += 1
        self.tree.put(topic_filter, key, self.serial)
        self.model[topic_filter, key] = self.serial

    @rule(topic_filter=filters(), key=keys)
    def discard(self, topic_filter: str, key: int) -> None:
        was_there = self.model.pop((topic_filter, key), None) is not None
        assert self.tree.discard(topic_filter, key) is was_there

    @rule(topic_filter=filters(), key=keys)
    def get(self, topic_filter: str, key: int) -> None:
        assert self.tree.get(topic_filter, key) == self.model.get((topic_filter, key))

    @rule(topic=topics)
    def match(self, topic: str) -> None:
        expected = [value for (f, _), value in self.model.items() if naive_matches(f, topic)]
        assert sorted(map(repr, self.tree.match(topic))) == sorted(map(repr, expected))

    @invariant()
    def counts(self) -> None:
        assert len(self.tree) == len(self.model)

    def teardown(self) -> None:
        for topic_filter, key in list(self.model):
            assert self.tree.discard(topic_filter, key)
        assert len(self.tree) == 0
        assert self.tree.match("a/b") == []


TestTreeAgainstList = TreeAgainstList.TestCase
TestTreeAgainstList.settings = settings(max_examples=40, stateful_step_count=30)


@given(st.lists(filters(), max_size=30), topics)
def test_each_filter_is_found_by_what_it_matches(topic_filters: list[str], topic: str) -> None:
    tree = FilterTree()
    for i, topic_filter in enumerate(topic_filters):
        tree.put(topic_filter, i, i)
    expected = [i for i, f in enumerate(topic_filters) if naive_matches(f, topic)]
    assert sorted(map(str, tree.match(topic))) == sorted(map(str, expected))


def test_a_filter_and_the_same_with_a_hash_are_two() -> None:
    tree = FilterTree()
    tree.put("a", "k", 1)
    tree.put("a/#", "k", 2)
    assert sorted(map(str, tree.match("a"))) == ["1", "2"]
    assert tree.discard("a", "k")
    assert tree.match("a") == [2]
    assert not tree.discard("a", "k")
    assert not tree.discard("a/b/c", "k")
    assert tree.get("a/b/#", "k") is None


def test_tens_of_thousands_of_levels_need_no_recursion() -> None:
    tree = FilterTree()
    deep = "/".join(["x"] * 32000)
    tree.put(deep, "exact", 1)
    tree.put("/".join(["+"] * 32000), "plus", 2)
    tree.put("x/" * 16000 + "#", "below", 3)
    assert sorted(map(str, tree.match(deep))) == ["1", "2", "3"]
    for topic_filter, key in ((deep, "exact"), ("/".join(["+"] * 32000), "plus"), ("x/" * 16000 + "#", "below")):
        assert tree.discard(topic_filter, key)
    assert len(tree) == 0
    assert tree.match(deep) == []
