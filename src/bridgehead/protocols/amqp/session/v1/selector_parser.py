"""From the text of a selector to the condition that it states: docs/selectors.md by recursive descent."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.session.v1 import selector as conditions
from bridgehead.protocols.amqp.session.v1.selector import (
    CONDITION,
    NUMBER,
    TEXT,
    And,
    Arithmetic,
    Between,
    Comparison,
    Expression,
    Identifier,
    In,
    IsNull,
    Like,
    Literal,
    Negative,
    Not,
    Or,
    Selector,
)
from bridgehead.protocols.amqp.session.v1.selector_fields import Place, place
from bridgehead.protocols.amqp.session.v1.selector_lexer import (
    END,
    FLOATING,
    KEYWORD,
    LONGEST,
    NAME,
    SIGN,
    WHOLE,
    Lexer,
    Word,
    fault,
)
from bridgehead.protocols.amqp.session.v1.selector_lexer import TEXT as QUOTED

DEEPEST: Final = 32  # parentheses, NOTs and signs within one another
_OVER_64: Final = 9_223_372_036_854_775_808

_COMPARISONS: Final[dict[str, int]] = {
    "=": conditions.EQUAL,
    "<>": conditions.UNEQUAL,
    "!=": conditions.UNEQUAL,
    "<": conditions.LESS,
    "<=": conditions.AT_MOST,
    ">": conditions.GREATER,
    ">=": conditions.AT_LEAST,
}
_SUMS: Final[dict[str, int]] = {"+": conditions.PLUS, "-": conditions.MINUS}
_PRODUCTS: Final[dict[str, int]] = {"*": conditions.TIMES, "/": conditions.DIVIDE}


def parse_selector(text: str, longest: int = LONGEST) -> Selector:
    """`longest`: characters that are taken.

    Raises AmqpError (amqp:invalid-field), whose text names the place and what is wrong there."""
    parser = Parser(text, longest)
    condition = parser.whole()
    return Selector(text, condition)


class Parser:
    """`word` is the one that is looked at."""

    def __init__(self, text: str, longest: int) -> None:
        self._lexer: Final = Lexer(text, longest)
        self._word = self._lexer.next()
        self._depth = 0

    def whole(self) -> Expression:
        condition = self._condition(self._or())
        if self._word.kind != END:
            raise fault(f"AND, OR or the end should follow, and {self._word.shown()} does", self._word.at)
        return condition

    # Words. -----------------------------------------------------------------------------------------

    def _next(self) -> Word:
        word = self._word
        self._word = self._lexer.next()
        return word

    def _is(self, kind: int, text: str) -> bool:
        return self._word.kind == kind and self._word.text == text

    def _took(self, kind: int, text: str) -> bool:
        if not self._is(kind, text):
            return False
        self._next()
        return True

    def _take(self, kind: int, text: str) -> None:
        if not self._took(kind, text):
            raise fault(f"{text} should be here, and {self._word.shown()} is", self._word.at)

    def _deeper(self, at: int) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise fault(f"it is nested more than {DEEPEST} deep", at)

    # Kinds. -----------------------------------------------------------------------------------------

    def _condition(self, part: Expression) -> Expression:
        if part.kind == NUMBER or part.kind == TEXT:
            what = "number" if part.kind == NUMBER else "text"
            raise fault(f"a condition should be here, and a {what} is: compare it with something", part.at)
        return part

    def _number(self, part: Expression) -> Expression:
        if part.kind == CONDITION or part.kind == TEXT:
            what = "condition" if part.kind == CONDITION else "text"
            raise fault(f"a number should be here, and a {what} is", part.at)
        return part

    # The grammar. -----------------------------------------------------------------------------------

    def _or(self) -> Expression:
        first = self._and()
        if not self._is(KEYWORD, "OR"):
            return first
        parts = [self._condition(first)]
        while self._took(KEYWORD, "OR"):
            parts.append(self._condition(self._and()))
        return Or(first.at, parts)

    def _and(self) -> Expression:
        first = self._not()
        if not self._is(KEYWORD, "AND"):
            return first
        parts = [self._condition(first)]
        while self._took(KEYWORD, "AND"):
            parts.append(self._condition(self._not()))
        return And(first.at, parts)

    def _not(self) -> Expression:
        if not self._is(KEYWORD, "NOT"):
            return self._predicate()
        at = self._next().at
        self._deeper(at)
        part = self._condition(self._not())
        self._depth -= 1
        return Not(at, part)

    def _predicate(self) -> Expression:
        subject = self._sum()
        word = self._word
        if word.kind == SIGN:
            operator = _COMPARISONS.get(word.text)
            if operator is None:
                return subject
            self._next()
            return Comparison(subject.at, operator, subject, self._sum())
        if word.kind != KEYWORD:
            return subject
        if word.text == "IS":
            self._next()
            negated = self._took(KEYWORD, "NOT")
            self._take(KEYWORD, "NULL")
            return self._maybe_not(negated, IsNull(subject.at, subject))
        negated = self._took(KEYWORD, "NOT")
        if self._took(KEYWORD, "BETWEEN"):
            low = self._sum()
            self._take(KEYWORD, "AND")
            return self._maybe_not(negated, Between(subject.at, subject, low, self._sum()))
        if self._took(KEYWORD, "IN"):
            return self._maybe_not(negated, In(subject.at, subject, self._literals()))
        if self._took(KEYWORD, "LIKE"):
            return self._maybe_not(negated, Like(subject.at, subject, self._pattern()))
        if negated:
            raise fault(f"BETWEEN, IN or LIKE should follow NOT, and {self._word.shown()} does", self._word.at)
        return subject

    def _maybe_not(self, negated: bool, part: Expression) -> Expression:
        return Not(part.at, part) if negated else part

    def _sum(self) -> Expression:
        left = self._product()
        while self._word.kind == SIGN:
            operator = _SUMS.get(self._word.text)
            if operator is None:
                break
            self._next()
            left = Arithmetic(left.at, operator, self._number(left), self._number(self._product()))
        return left

    def _product(self) -> Expression:
        left = self._factor()
        while self._word.kind == SIGN:
            operator = _PRODUCTS.get(self._word.text)
            if operator is None:
                break
            self._next()
            left = Arithmetic(left.at, operator, self._number(left), self._number(self._factor()))
        return left

    def _factor(self) -> Expression:
        word = self._word
        if word.kind != SIGN or word.text not in _SUMS:
            return self._primary()
        self._next()
        self._deeper(word.at)
        if word.text == "-" and self._word.kind in (WHOLE, FLOATING):
            number = self._next()
            self._depth -= 1
            return Literal(NUMBER, word.at, -number.number)
        part = self._number(self._factor())
        self._depth -= 1
        return Negative(word.at, part) if word.text == "-" else part

    def _primary(self) -> Expression:
        word = self._next()
        if word.kind == NAME:
            found = place(word.parts, word.quoted)
            if isinstance(found, Place):
                return Identifier(word.at, found)
            raise fault(found, word.at)
        if word.kind == SIGN and word.text == "(":
            self._deeper(word.at)
            part = self._or()
            self._take(SIGN, ")")
            self._depth -= 1
            return part
        literal = self._literal(word)
        if literal is None:
            raise fault(f"a value or ( should be here, and {word.shown()} is", word.at)
        return literal

    def _literal(self, word: Word) -> Literal | None:
        if word.kind == QUOTED:
            return Literal(TEXT, word.at, word.text)
        if word.kind == FLOATING:
            return Literal(NUMBER, word.at, word.number)
        if word.kind == WHOLE:
            if word.number == _OVER_64:
                raise fault("a whole number has at most 64 bits", word.at)
            return Literal(NUMBER, word.at, word.number)
        if word.kind == KEYWORD and word.text in ("TRUE", "FALSE"):
            return Literal(CONDITION, word.at, word.text == "TRUE")
        return None

    def _literals(self) -> list[object]:
        self._take(SIGN, "(")
        constants: list[object] = []
        while True:
            word = self._word
            constant = self._factor()
            if not isinstance(constant, Literal):
                raise fault("IN takes literals only", word.at)
            constants.append(constant.constant)
            if not self._took(SIGN, ","):
                break
        self._take(SIGN, ")")
        return constants

    def _pattern(self) -> list[list[str]]:
        """As Like wants it."""
        word = self._next()
        if word.kind != QUOTED:
            raise fault(f"a pattern in single quotation marks should be here, and {word.shown()} is", word.at)
        escape = ""
        if self._took(KEYWORD, "ESCAPE"):
            mark = self._next()
            if mark.kind != QUOTED or len(mark.text) != 1:
                raise fault("ESCAPE takes one character in single quotation marks", mark.at)
            escape = mark.text
        runs: list[list[str]] = [[]]
        escaped = False
        for character in word.text:
            if escaped:
                runs[-1].append(character)
                escaped = False
            elif character == escape:
                escaped = True
            elif character == "%":
                runs.append([])
            else:
                runs[-1].append("" if character == "_" else character)
        if escaped:
            raise fault("the pattern ends with its escape character, which should be followed by one", word.at)
        return runs
