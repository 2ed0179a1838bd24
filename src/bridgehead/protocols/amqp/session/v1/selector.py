"""Selectors: conditions on messages in three-valued logic (docs/selectors.md), as values asked of each message.

A value of an expression is True, False, an int of 64 bits, a float, a str, or None: unknown. A message is selected
when the whole is True.
"""

from __future__ import annotations

import struct
from typing import Final

from bridgehead.protocols.amqp.codec.v1.types import Char, Float, Integer, Uuid
from bridgehead.protocols.amqp.session.v1.selector_fields import DERIVED, Fields, Place, derived

# What can be said of an expression before there is a message.
CONDITION: Final = 0
NUMBER: Final = 1
TEXT: Final = 2
ANY: Final = 3  # an identifier

EQUAL: Final = 0
UNEQUAL: Final = 1
LESS: Final = 2
AT_MOST: Final = 3
GREATER: Final = 4
AT_LEAST: Final = 5

PLUS: Final = 0
MINUS: Final = 1
TIMES: Final = 2
DIVIDE: Final = 3

_LOWEST: Final = -9_223_372_036_854_775_808
_HIGHEST: Final = 9_223_372_036_854_775_807
_STEPS: Final = 262_144  # comparisons of characters that one LIKE may take


class Expression:
    """`kind`: what its values are. `at`: where it begins in the selector, in characters."""

    def __init__(self, kind: int, at: int) -> None:
        self.kind: Final = kind
        self.at: Final = at

    def value(self, fields: Fields) -> object:
        raise NotImplementedError


class Literal(Expression):
    def __init__(self, kind: int, at: int, constant: object) -> None:
        super().__init__(kind, at)
        self.constant: Final = constant

    def value(self, fields: Fields) -> object:
        return self.constant


class Identifier(Expression):
    def __init__(self, at: int, place: Place) -> None:
        super().__init__(ANY, at)
        self.place: Final = place

    def value(self, fields: Fields) -> object:
        place = self.place
        if place.section == DERIVED:
            return derived(place.name, fields)
        return plain(fields.field(place.section, place.name))


def plain(value: object) -> object:
    """A value of AMQP's types as one of a selector; octets, decimals, lists and maps are unknown."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return _fitting(value)
    if isinstance(value, Char):
        return chr(value.value)
    if isinstance(value, Integer):
        return _fitting(value.value)
    if isinstance(value, Float):
        single: float = struct.unpack(">f", value.octets)[0]
        return single
    if isinstance(value, Uuid):
        return str(value)
    return None


def _fitting(value: int) -> object:
    return value if _LOWEST <= value <= _HIGHEST else None


class And(Expression):
    """False when one is, else unknown when one is."""

    def __init__(self, at: int, parts: list[Expression]) -> None:
        super().__init__(CONDITION, at)
        self.parts: Final = parts

    def value(self, fields: Fields) -> object:
        unknown = False
        for part in self.parts:
            value = part.value(fields)
            if value is False:
                return False
            if value is not True:
                unknown = True
        return None if unknown else True


class Or(Expression):
    """True when one is, else unknown when one is."""

    def __init__(self, at: int, parts: list[Expression]) -> None:
        super().__init__(CONDITION, at)
        self.parts: Final = parts

    def value(self, fields: Fields) -> object:
        unknown = False
        for part in self.parts:
            value = part.value(fields)
            if value is True:
                return True
            if value is not False:
                unknown = True
        return None if unknown else False


class Not(Expression):
    def __init__(self, at: int, part: Expression) -> None:
        super().__init__(CONDITION, at)
        self.part: Final = part

    def value(self, fields: Fields) -> object:
        value = self.part.value(fields)
        if value is True:
            return False
        if value is False:
            return True
        return None


class Comparison(Expression):
    def __init__(self, at: int, operator: int, left: Expression, right: Expression) -> None:
        super().__init__(CONDITION, at)
        self.operator: Final = operator
        self.left: Final = left
        self.right: Final = right

    def value(self, fields: Fields) -> object:
        return compare(self.operator, self.left.value(fields), self.right.value(fields))


def compare(operator: int, left: object, right: object) -> object:
    """Values of unlike types are not comparable: that is false (JMS 2.0 section 3.8.1.2), also as "unequal"."""
    if left is None or right is None:
        return None
    if isinstance(left, bool) or isinstance(right, bool):
        if not isinstance(left, bool) or not isinstance(right, bool):
            return False
        if operator == EQUAL:
            return left == right
        return left != right if operator == UNEQUAL else False
    if isinstance(left, str):
        return isinstance(right, str) and _ordered(operator, 1 if left > right else -1 if left < right else 0)
    if isinstance(right, str) or left != left or right != right:  # not a number
        return False
    # An int and a float are compared exactly, as Python does.
    if isinstance(left, int):
        if isinstance(right, int):
            return _ordered(operator, 1 if left > right else -1 if left < right else 0)
        assert isinstance(right, float)
        return _ordered(operator, 1 if left > right else -1 if left < right else 0)
    assert isinstance(left, float)
    if isinstance(right, int):
        return _ordered(operator, 1 if left > right else -1 if left < right else 0)
    assert isinstance(right, float)
    return _ordered(operator, 1 if left > right else -1 if left < right else 0)


def _ordered(operator: int, order: int) -> bool:
    """`order` is -1, 0 or 1: less, equal, greater."""
    if operator == EQUAL:
        return order == 0
    if operator == UNEQUAL:
        return order != 0
    if operator == LESS:
        return order < 0
    if operator == AT_MOST:
        return order <= 0
    return order > 0 if operator == GREATER else order >= 0


class Between(Expression):
    def __init__(self, at: int, subject: Expression, low: Expression, high: Expression) -> None:
        super().__init__(CONDITION, at)
        self.subject: Final = subject
        self.low: Final = low
        self.high: Final = high

    def value(self, fields: Fields) -> object:
        subject = self.subject.value(fields)
        least = compare(AT_LEAST, subject, self.low.value(fields))
        if least is False:
            return False
        most = compare(AT_MOST, subject, self.high.value(fields))
        if most is False:
            return False
        return True if least is True and most is True else None


class In(Expression):
    """One of a list of literals."""

    def __init__(self, at: int, subject: Expression, constants: list[object]) -> None:
        super().__init__(CONDITION, at)
        self.subject: Final = subject
        self._texts: Final = frozenset([constant for constant in constants if isinstance(constant, str)])
        self._others: Final = [constant for constant in constants if not isinstance(constant, str)]

    def value(self, fields: Fields) -> object:
        subject = self.subject.value(fields)
        if subject is None:
            return None
        if isinstance(subject, str):
            return subject in self._texts
        for other in self._others:
            if compare(EQUAL, subject, other) is True:
                return True
        return False


class IsNull(Expression):
    def __init__(self, at: int, subject: Expression) -> None:
        super().__init__(CONDITION, at)
        self.subject: Final = subject

    def value(self, fields: Fields) -> object:
        return self.subject.value(fields) is None


class Like(Expression):
    """`runs` are the pieces of the pattern between its `%`: each a list of characters, "" for any one (`_`)."""

    def __init__(self, at: int, subject: Expression, runs: list[list[str]]) -> None:
        super().__init__(CONDITION, at)
        self.subject: Final = subject
        self._runs: Final = runs
        self._length: Final = sum([len(run) for run in runs])

    def value(self, fields: Fields) -> object:
        subject = self.subject.value(fields)
        if subject is None:
            return None
        if not isinstance(subject, str):
            return False
        if len(subject) < self._length:
            return False
        return self._matches(subject)

    def _matches(self, text: str) -> object:
        runs = self._runs
        first = runs[0]
        if not _at(text, 0, first):
            return False
        if len(runs) == 1:
            return len(text) == len(first)
        last = runs[-1]
        end = len(text) - len(last)
        if not _at(text, end, last):
            return False
        position = len(first)
        steps = _STEPS
        for run in runs[1:-1]:
            # The leftmost place leaves most to what follows, so no other needs to be tried.
            while not _at(text, position, run):
                position += 1
                steps -= len(run)
                if position + len(run) > end:
                    return False
                if steps < 0:
                    return None
            position += len(run)
            if position > end:
                return False
        return True


def _at(text: str, position: int, run: list[str]) -> bool:
    """Whether the run is at that position."""
    if position + len(run) > len(text):
        return False
    for character in run:
        if character and text[position] != character:
            return False
        position += 1
    return True


class Arithmetic(Expression):
    """Whole numbers stay whole, and are unknown beyond 64 bits; a division of them drops the rest, as in Java."""

    def __init__(self, at: int, operator: int, left: Expression, right: Expression) -> None:
        super().__init__(NUMBER, at)
        self.operator: Final = operator
        self.left: Final = left
        self.right: Final = right

    def value(self, fields: Fields) -> object:
        left = self.left.value(fields)
        right = self.right.value(fields)
        if isinstance(left, bool) or isinstance(right, bool):
            return None
        if isinstance(left, int) and isinstance(right, int):
            return _whole(self.operator, left, right)
        if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
            return None
        return _floating(self.operator, float(left), float(right))


def _whole(operator: int, left: int, right: int) -> object:
    if operator == PLUS:
        return _fitting(left + right)
    if operator == MINUS:
        return _fitting(left - right)
    if operator == TIMES:
        return _fitting(left * right)
    if right == 0:
        return None
    quotient = abs(left) // abs(right)
    return _fitting(quotient if (left < 0) == (right < 0) else -quotient)


def _floating(operator: int, left: float, right: float) -> object:
    if operator == PLUS:
        return left + right
    if operator == MINUS:
        return left - right
    if operator == TIMES:
        return left * right
    return None if right == 0.0 else left / right


class Negative(Expression):
    def __init__(self, at: int, part: Expression) -> None:
        super().__init__(NUMBER, at)
        self.part: Final = part

    def value(self, fields: Fields) -> object:
        value = self.part.value(fields)
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            return _fitting(-value)
        return -value if isinstance(value, float) else None


class Selector:
    """A condition, and the text that it was written as."""

    def __init__(self, text: str, condition: Expression) -> None:
        self.text: Final = text
        self.condition: Final = condition

    def selects(self, fields: Fields) -> bool:
        return self.condition.value(fields) is True
