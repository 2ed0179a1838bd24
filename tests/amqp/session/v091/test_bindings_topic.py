"""Which binding keys a routing key matches, checked against the definition read literally."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.amqp.session.v091.topic_matching import TopicTree, pattern_of

pytestmark = pytest.mark.clause("AMQP091-3.1.3.3")


def means(pattern: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """The sentence of the standard, word by word: slow, and with every choice tried."""
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(means(rest, words[i:]) for i in range(len(words) + 1))
    return bool(words) and first in ("*", words[0]) and means(rest, words[1:])


def words(key: str) -> tuple[str, ...]:
    return tuple(key.split(".")) if key else ()


KEYS = st.lists(st.sampled_from(["a", "b", "", "stock"]), max_size=5).map(".".join)
PATTERNS = st.lists(st.sampled_from(["a", "b", "", "*", "#", "stock"]), max_size=6).map(".".join)


@given(st.lists(PATTERNS, min_size=1, max_size=8, unique=True), KEYS)
def test_matches_what_the_definition_says(patterns: list[str], key: str) -> None:
    tree: TopicTree[str] = TopicTree()
    for pattern in patterns:
        tree.add(pattern, pattern)
    expected = {pattern for pattern in patterns if means(words(pattern), words(key))}
    assert set(tree.match(key)) == expected


@given(PATTERNS, KEYS)
def test_the_one_form_of_a_key_means_the_same(pattern: str, key: str) -> None:
    assert means(words(pattern), words(key)) == means(pattern_of(pattern), words(key))


@given(st.lists(PATTERNS, min_size=1, max_size=6), st.data())
def test_what_is_removed_is_matched_no_more(patterns: list[str], data: st.DataObject) -> None:
    tree: TopicTree[int] = TopicTree()
    for i, pattern in enumerate(patterns):
        tree.add(pattern, i)
    order = list(range(len(patterns)))
    random.Random(data.draw(st.integers(0, 999))).shuffle(order)
    left = set(order)
    for i in order:
        tree.remove(patterns[i], i)
        left.discard(i)
        for key in ("", "a", "a.b", "stock.a.b"):
            assert set(tree.match(key)) == {j for j in left if means(words(patterns[j]), words(key))}
    assert tree._root.is_empty()


@pytest.mark.parametrize(
    ("key", "routing_key", "matched"),
    [
        ("*.stock.#", "usd.stock", True),
        ("*.stock.#", "eur.stock.db", True),
        ("*.stock.#", "stock.nasdaq", False),
        ("#", "", True),
        ("*", "", False),
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.*", "a.", True),
    ],
)
def test_the_standards_examples(key: str, routing_key: str, matched: bool) -> None:
    tree: TopicTree[str] = TopicTree()
    tree.add(key, "here")
    assert tree.match(routing_key) == (["here"] if matched else [])


def test_a_row_of_wildcards_has_one_form() -> None:
    assert pattern_of("#.*.#.*.a.#.#") == ("*", "*", "#", "a", "#")


def test_many_wildcards_and_a_long_key_stay_cheap() -> None:
    """Trying every choice would take more steps than there are atoms."""
    tree: TopicTree[int] = TopicTree()
    tree.add(".".join(["#.a"] * 60), 1)
    tree.add(".".join(["#.a"] * 60) + ".z", 2)
    assert tree.match(".".join(["a"] * 127)) == [1]
