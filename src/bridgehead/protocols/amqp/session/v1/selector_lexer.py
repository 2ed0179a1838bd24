"""The words of a selector (docs/selectors.md): literals, identifiers, keywords and operators, each with its place."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, AmqpError

LONGEST: Final = 8192  # characters
WORDS: Final = 512

KEYWORD: Final = 0
NAME: Final = 1
TEXT: Final = 2
WHOLE: Final = 3
FLOATING: Final = 4
SIGN: Final = 5
END: Final = 6

_KEYWORDS: Final = frozenset(["AND", "OR", "NOT", "BETWEEN", "LIKE", "IN", "IS", "NULL", "ESCAPE", "TRUE", "FALSE"])
_SIGNS: Final = ("<>", "!=", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "(", ")", ",")
_DIGITS: Final = "0123456789"
_HIGHEST: Final = 9_223_372_036_854_775_808  # with a minus sign before it, it fits into 64 bits
_SHOWN: Final = 32


class Word:
    """`text` is a keyword in capitals, a sign, or the literal's or the name's own text; `parts` are a name's between
    its dots, and `quoted` says whether the first was in quotation marks."""

    def __init__(self, kind: int, text: str, at: int, parts: list[str] | None = None, quoted: bool = False) -> None:
        self.kind: Final = kind
        self.text: Final = text
        self.at: Final = at
        self.parts: Final[list[str]] = parts if parts is not None else []
        self.quoted: Final = quoted
        self.number: int | float = 0

    def shown(self) -> str:
        """For a sentence."""
        if self.kind == END:
            return "the end"
        return repr(self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN]}...")


def fault(because: str, at: int) -> AmqpError:
    """The selector is none; `at` counts characters, and people count from 1."""
    return AmqpError(INVALID_FIELD, f"the selector is not valid at character {at + 1}: {because}", clause="AMQP-3.5.8")


class Lexer:
    """Gives the words of one selector, END last and for ever."""

    def __init__(self, text: str, longest: int) -> None:
        if len(text) > longest:
            raise fault(f"it has {len(text)} characters, at most {longest} are taken", longest)
        self._text: Final = text
        self._at = 0
        self._words = 0

    def next(self) -> Word:
        text = self._text
        while self._at < len(text) and text[self._at] in " \t\r\n\f":
            self._at += 1
        at = self._at
        if at >= len(text):
            return Word(END, "", at)
        self._words += 1
        if self._words > WORDS:
            raise fault(f"it has more than {WORDS} words", at)
        first = text[at]
        if first == "'":
            return Word(TEXT, self._quoted("'"), at)
        if first == '"' or _begins_name(first):
            return self._name()
        if first in _DIGITS or (first == "." and self._digit(at + 1)):
            return self._number()
        for sign in _SIGNS:
            if text.startswith(sign, at):
                self._at = at + len(sign)
                return Word(SIGN, sign, at)
        raise fault(f"{first!r} begins no word of a selector", at)

    def _digit(self, at: int) -> bool:
        return at < len(self._text) and self._text[at] in _DIGITS

    def _quoted(self, mark: str) -> str:
        """What is between two marks; a doubled mark stands for one."""
        text = self._text
        begin = self._at
        parts: list[str] = []
        at = begin + 1
        while True:
            end = text.find(mark, at)
            if end < 0:
                raise fault(f"the {mark} that opens here is never closed", begin)
            parts.append(text[at:end])
            at = end + 1
            if text[at : at + 1] != mark:
                break
            parts.append(mark)
            at += 1
        self._at = at
        return "".join(parts)

    def _name(self) -> Word:
        text = self._text
        begin = self._at
        quoted = text[begin] == '"'
        parts: list[str] = []
        while True:
            part = self._quoted('"') if text[self._at] == '"' else self._plain()
            if not part:
                raise fault("a name has at least one character", begin)
            parts.append(part)
            at = self._at
            if text[at : at + 1] != "." or not (text[at + 1 : at + 2] == '"' or _begins_name(text[at + 1 : at + 2])):
                break
            self._at = at + 1
        if len(parts) == 1 and not quoted:
            capitals = parts[0].upper()
            if capitals in _KEYWORDS:
                return Word(KEYWORD, capitals, begin)
        return Word(NAME, text[begin : self._at], begin, parts, quoted)

    def _plain(self) -> str:
        text = self._text
        begin = self._at
        at = begin
        while at < len(text) and (_begins_name(text[at]) or text[at] in _DIGITS):
            at += 1
        self._at = at
        return text[begin:at]

    def _number(self) -> Word:
        """12, 12L, 0x1F, 1.5, .5, 1e-3, 1.5F, 1.5D: JMS has Java's literals, but for octal ones."""
        text = self._text
        begin = self._at
        at = begin
        floating = False
        if text[at : at + 2] in ("0x", "0X"):
            at += 2
            while at < len(text) and text[at] in "0123456789abcdefABCDEF":
                at += 1
            if at == begin + 2:
                raise fault("0x is followed by hexadecimal digits", begin)
            value: int | float = int(text[begin + 2 : at], 16)
        else:
            at = self._digits(at)
            if text[at : at + 1] == ".":
                floating = True
                at = self._digits(at + 1)
            if text[at : at + 1] in ("e", "E"):
                exponent = at + 2 if text[at + 1 : at + 2] in ("+", "-") else at + 1
                if self._digit(exponent):
                    floating = True
                    at = self._digits(exponent)
            value = float(text[begin:at]) if floating else int(text[begin:at])
            if text[at : at + 1] in ("f", "F", "d", "D"):
                floating = True
                value = float(text[begin:at])
                at += 1
        if not floating and text[at : at + 1] in ("l", "L"):
            at += 1
        if at < len(text) and (_begins_name(text[at]) or text[at] in _DIGITS):
            raise fault(f"{text[begin : at + 1][:_SHOWN]!r} is no number", begin)
        if not floating and value > _HIGHEST:
            raise fault("a whole number has at most 64 bits", begin)
        self._at = at
        word = Word(FLOATING if floating else WHOLE, text[begin:at], begin)
        word.number = value
        return word

    def _digits(self, at: int) -> int:
        while self._digit(at):
            at += 1
        return at


def _begins_name(character: str) -> bool:
    return character.isalpha() or character == "_" or character == "$"
