"""Topic Names and Topic Filters: what is valid, what matches, what covers what."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given

from bridgehead.core.errors import FILTER_INVALID, NAME_INVALID, Refusal
from bridgehead.core.topic import check_topic_filter, check_topic_name, covers, is_reserved, matches
from tests.core.naive import filters, naive_matches, topics

# Sections 4.7.1.2 and 4.7.1.3, with every example that stands there.
MATCHES = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/#", "sport", True),
    ("#", "anything/at/all", True),
    ("#", "/", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("+/tennis/#", "sport/tennis", True),
    ("sport/+/player1", "sport/tennis/player1", True),
    ("ACCOUNTS", "Accounts", False),
    ("Accounts payable", "Accounts payable", True),
    ("/A", "A", False),
]


@pytest.mark.clause("MQTT-4.7.1-1", "MQTT3-4.7.1-2", "MQTT-4.7.1-2", "MQTT3-4.7.1-3")
@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES)
def test_the_standards_examples_of_matching(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


@pytest.mark.clause("MQTT-4.7.2-1", "MQTT3-4.7.2-1")
@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("#", False),
        ("+/monitor/Clients", False),
        ("+/#", False),
        ("$SYS/#", True),
        ("$SYS/monitor/+", True),
        ("$SYS/+/Clients", True),
    ],
)
def test_a_leading_wildcard_stays_away_from_dollar_topics(topic_filter: str, expected: bool) -> None:
    assert matches(topic_filter, "$SYS/monitor/Clients") is expected
    assert is_reserved("$SYS/monitor/Clients")


@pytest.mark.clause("MQTT-4.7.3-4", "MQTT3-4.7.3-4")
@pytest.mark.parametrize(
    ("one", "other"),
    [("Caf\u00e9", "Cafe\u0301"), ("a", "A"), ("a ", "a"), ("a", "a/"), ("\ufeffa", "a"), ("\u212b", "\u00c5")],
)
def test_names_are_compared_code_point_by_code_point(one: str, other: str) -> None:
    assert not matches(one, other)
    assert matches(one, one)


@pytest.mark.clause("MQTT-4.7.3-1", "MQTT3-4.7.3-1", "MQTT-4.7.3-2", "MQTT3-4.7.3-2", "MQTT-4.7.3-3", "MQTT3-4.7.3-3")
@pytest.mark.parametrize("bad", ["", "\0", "a/\0/b", "a" * 65536, "\u20ac" * 21846, "\U0001f600" * 16384])
def test_empty_null_and_too_long(bad: str) -> None:
    with pytest.raises(Refusal) as name:
        check_topic_name(bad)
    assert name.value.meaning == NAME_INVALID
    with pytest.raises(Refusal) as topic_filter:
        check_topic_filter(bad)
    assert topic_filter.value.meaning == FILTER_INVALID


@pytest.mark.parametrize("good", ["/", " ", "a" * 65535, "\u20ac" * 21845, "a//b", "$", "\ufeff"])
def test_what_is_unusual_and_allowed(good: str) -> None:
    check_topic_name(good)
    check_topic_filter(good)


@pytest.mark.clause("MQTT-4.7.0-1", "MQTT3-4.7.1-1", "MQTT-3.3.2-2", "MQTT3-3.3.2-2")
@pytest.mark.parametrize("bad", ["+", "#", "a/+", "a/#", "a+b", "#a"])
def test_a_topic_name_has_no_wildcard(bad: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_topic_name(bad)
    assert refusal.value.meaning == NAME_INVALID


@pytest.mark.clause("MQTT-4.7.1-1", "MQTT3-4.7.1-2", "MQTT-4.7.1-2", "MQTT3-4.7.1-3")
@pytest.mark.parametrize(
    "bad", ["sport/tennis#", "sport/tennis/#/ranking", "#/a", "##", "sport+", "+a", "a/b+/c", "a/+#", "+#", "a/++"]
)
def test_a_wildcard_takes_a_whole_level(bad: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_topic_filter(bad)
    assert refusal.value.meaning == FILTER_INVALID


@pytest.mark.parametrize("good", ["#", "+", "+/tennis/#", "sport/+/player1", "/+", "+/+", "/#", "//#"])
def test_valid_filters(good: str) -> None:
    check_topic_filter(good)


@given(filters(), topics)
def test_matches_is_the_standards_sentence(topic_filter: str, topic: str) -> None:
    assert matches(topic_filter, topic) is naive_matches(topic_filter, topic)


# Every filter and topic of up to three levels over a small alphabet; "x" stands for any level that no filter names.
_LEVELS = ["a", "$", "+"]
FILTERS = sorted(
    {"/".join(levels) for n in (1, 2, 3) for levels in product(_LEVELS, repeat=n)}
    | {"/".join([*levels, "#"]) for n in (0, 1, 2) for levels in product(_LEVELS, repeat=n)}
)
TOPICS = ["/".join(levels) for n in (1, 2, 3, 4) for levels in product(["a", "$", "x"], repeat=n)]


def test_covers_is_inclusion_of_what_matches() -> None:
    """By brute force: `covers` holds exactly when every topic of the one is a topic of the other."""
    matched = {f: frozenset(t for t in TOPICS if naive_matches(f, t)) for f in FILTERS}
    wrong = [
        (wide, narrow)
        for wide in FILTERS
        for narrow in FILTERS
        if covers(wide, narrow) is not (matched[narrow] <= matched[wide])
    ]
    assert wrong == []


def test_thousands_of_levels() -> None:
    topic = "/".join(["a"] * 30000)
    assert matches("#", topic)
    assert matches("a/" * 10000 + "#", topic)
    assert matches("/".join(["+"] * 30000), topic)
    assert not matches("/".join(["+"] * 29999), topic)
    assert covers("/".join(["+"] * 29999) + "/#", topic)
