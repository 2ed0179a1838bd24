"""Set algebra on Topic Filters against brute force: every topic of a small alphabet, and every filter over it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core import topic as core
from bridgehead.security.policy.algebra import (
    Index,
    Span,
    covers,
    intersection,
    overlaps,
    span,
    subtract,
    widest,
    witness,
)

# Filters name a, b, $s and the empty level in three levels at most. z and y are named by nobody, and no filter has a
# fourth level: topics that none of them tells apart stand for all the others.
NAMED = ("a", "b", "")
TOPICS = [
    "/".join(levels)
    for depth in range(1, 5)
    for levels in itertools.product(
        *[("a", "b", "", "z", "$s") if i == 0 else ("a", "b", "", "z") for i in range(depth)]
    )
    if levels != ("",)
]


@st.composite
def filters(draw: st.DrawFn) -> str:
    depth = draw(st.integers(0, 3))
    levels = [draw(st.sampled_from((*NAMED, "+", "$s") if i == 0 else (*NAMED, "+"))) for i in range(depth)]
    if depth == 0 or draw(st.booleans()):
        levels.append("#")
    return "/".join(levels) or "/"


def matched(*topic_filters: str) -> set[str]:
    return {name for name in TOPICS if any(core.matches(each, name) for each in topic_filters)}


@given(filters())
def test_a_span_is_the_filter(topic_filter: str) -> None:
    assert span(str(span(topic_filter))) == span(topic_filter)
    assert matched(str(span(topic_filter))) == matched(topic_filter)


@given(filters(), filters())
def test_cover_overlap_and_intersection_are_exact(one: str, other: str) -> None:
    met = intersection(span(one), span(other))
    assert (set() if met is None else matched(str(met))) == matched(one) & matched(other)
    assert intersection(span(other), span(one)) == met
    assert overlaps(span(one), span(other)) == bool(matched(one) & matched(other))
    assert covers(span(one), span(other)) == (matched(other) <= matched(one))


@given(filters(), st.lists(filters(), max_size=6))
def test_what_a_union_leaves_of_a_filter_is_exact(one: str, without: list[str]) -> None:
    left = matched(one) - matched(*without)
    found = subtract(span(one), [span(each) for each in without])
    assert (found is not None) == bool(left)
    if found is not None:
        core.check_topic_name(found.topic)
        assert core.matches(one, found.topic)
        assert not any(core.matches(each, found.topic) for each in without)
        assert matched(one) - matched(*map(str, found.excepted)) == left


@given(filters(), st.lists(filters(), max_size=8))
def test_the_index_finds_what_overlaps_and_nothing_else(one: str, many: list[str]) -> None:
    index = Index()
    for number, each in enumerate(many):
        index.put(span(each), number)
    expected = [number for number, each in enumerate(many) if overlaps(span(one), span(each))]
    assert index.overlapping(span(one)) == expected


def test_wildcards_stay_away_from_reserved_topics() -> None:
    assert not overlaps(span("#"), span("$SYS/#"))
    assert not covers(span("+/info"), span("$SYS/info"))
    assert witness(span("$SYS/#"), [span("#")]) == "$SYS"


def test_the_parent_level_belongs_to_a_multi_level_wildcard() -> None:
    assert covers(span("Office/#"), span("Office"))
    assert witness(span("Office/#"), [span("Office/+/#")]) == "Office"
    assert witness(span("Office/#"), [span("Office"), span("Office/+/#")]) is None


def test_everything_in_parts_of_each_length() -> None:
    assert witness(span("#"), [span("+"), span("+/+"), span("+/+/+/#")]) is None
    assert witness(span("#"), [span("+"), span("+/+/+/#")]) == "any/any"


def test_examples_avoid_what_is_named() -> None:
    assert witness(span("+"), [span("any"), span("other"), span("some"), span("other-3")]) == "other-4"


def test_the_widest_remain() -> None:
    assert widest([span("a/b"), span("a/#"), span("c"), span("a/#")]) == [span("a/#"), span("c")]


def test_a_remainder_reads_well() -> None:
    found = subtract(span("Office/#"), [span("+/Lobby/#"), span("Office/Lobby/Door")])
    assert str(found) == "Office/# except Office/Lobby/#"
    assert str(Span((None,), True)) == "#"
