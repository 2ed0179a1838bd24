"""Which bindings of a headers exchange a message's headers match (AMQP 0-9-1 section 3.1.3.4)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import CONFLICT, Refusal

X_MATCH: Final = "x-match"
WAYS: Final = ("all", "any", "all-with-x", "any-with-x")


class HeaderMatch:
    """A binding's arguments, as they are asked of headers.

    `x-match` says whether all of them must be met or any. A header whose name begins with `x-` belongs to brokers and
    is not asked for, but by the two ways that end in `-with-x`. An argument without a value asks only that the header
    be there. Raises Refusal for an unknown way.
    """

    def __init__(self, arguments: dict[str, object]) -> None:
        way = arguments.get(X_MATCH, "all")
        if not isinstance(way, str) or way not in WAYS:
            raise Refusal(
                CONFLICT,
                f"the argument x-match is {way!r:.60} and must be one of {', '.join(WAYS)}: correct the binding",
            )
        self.all: Final = way.startswith("all")
        with_x = way.endswith("-with-x")
        self.asked: Final = [
            (name, value)
            for name, value in arguments.items()
            if name != X_MATCH and (with_x or not name.startswith("x-"))
        ]

    def matches(self, headers: dict[str, object]) -> bool:
        for name, value in self.asked:
            met = name in headers and (value is None or is_same_value(headers[name], value))
            if met is not self.all:
                return met
        return self.all


def is_same_value(one: object, other: object) -> bool:
    """Whether two field values are equal: numbers by what they amount to, however they were encoded; a truth value is
    no number, and octets are no text."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return _are_same_lists(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and _are_same_lists(list(one.values()), [other[key] for key in one])
    return one == other


def _are_same_lists(ones: list[object], others: list[object]) -> bool:
    if len(ones) != len(others):
        return False
    for i in range(len(ones)):
        if not is_same_value(ones[i], others[i]):
            return False
    return True
