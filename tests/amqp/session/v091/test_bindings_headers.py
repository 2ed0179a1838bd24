"""Which bindings of a headers exchange match."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import CONFLICT, Refusal
from bridgehead.protocols.amqp.session.v091.header_matching import HeaderMatch, is_same_value

pytestmark = pytest.mark.clause("AMQP091-3.1.3.4")


@pytest.mark.parametrize(
    ("arguments", "headers", "matched"),
    [
        ({"x-match": "all", "a": 1, "b": "two"}, {"a": 1, "b": "two", "c": 3}, True),
        ({"x-match": "all", "a": 1, "b": "two"}, {"a": 1}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"x-match": "any", "a": 1, "b": "two"}, {"b": "two"}, True),
        ({"x-match": "any", "a": 1, "b": "two"}, {"a": 2, "c": 1}, False),
        ({"a": None}, {"a": b"whatever"}, True),
        ({"a": None}, {"b": 1}, False),
        ({}, {"b": 1}, True),
        ({"x-match": "any"}, {"b": 1}, False),
        # Names that begin with x- are not asked for, but where that is said.
        ({"x-match": "all", "x-tenant": "one"}, {}, True),
        ({"x-match": "all-with-x", "x-tenant": "one"}, {}, False),
        ({"x-match": "all-with-x", "x-tenant": "one"}, {"x-tenant": "one"}, True),
        ({"x-match": "any-with-x", "x-tenant": "one", "b": 1}, {"x-tenant": "one"}, True),
        ({"x-match": "any", "x-tenant": "one", "b": 1}, {"x-tenant": "one"}, False),
    ],
)
def test_matching(arguments: dict[str, object], headers: dict[str, object], matched: bool) -> None:
    assert HeaderMatch(arguments).matches(headers) is matched


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (True, True, True),
        (False, None, False),
        ("a", b"a", False),
        ([1, {"a": True}], [1, {"a": True}], True),
        ([1, {"a": True}], [1, {"a": 1}], False),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
    ],
)
def test_values(one: object, other: object, same: bool) -> None:
    assert is_same_value(one, other) is same
    assert is_same_value(other, one) is same


@pytest.mark.parametrize("way", ["some", 1, None, True])
def test_an_unknown_way_is_refused(way: object) -> None:
    with pytest.raises(Refusal, match="x-match") as refused:
        HeaderMatch({"x-match": way})
    assert refused.value.meaning == CONFLICT
