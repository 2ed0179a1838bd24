"""One permission in words: `allow publish Office/# qos 1 payload 4 KiB when mechanism certificate`, and back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Final

from bridgehead.core.errors import Refusal
from bridgehead.core.topic import check_topic_filter
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.hours import Hours
from bridgehead.security.mechanisms import KINDS, PROTOCOLS
from bridgehead.security.policy.units import rate, rate_text, size, size_text
from bridgehead.security.records import PermissionRecord

ALLOW: Final = "allow"
DENY: Final = "deny"
VERBS: Final = {"publish": (True, False), "subscribe": (False, True), "both": (True, True)}
OPTIONS: Final = ("qos", "retain", "no-retain", "payload", "rate", "verified", "when")
CONDITIONS: Final = ("mechanism", "protocol", "hours")
# `${group}` stands for a whole level or a part of one; what it is replaced by holds no separator and no wildcard.
PLACEHOLDER: Final = re.compile(r"\$\{(device|group|(?!(?i:device|group)\})[A-Za-z][A-Za-z0-9_-]{0,31})\}")
_OPENING: Final = "${"

_TOKEN: Final = re.compile(r'[ \t]*(?:"((?:[^"\\]|\\.)*)"(?=[ \t,]|$)|([^ \t"][^ \t]*))')
_ESCAPE: Final = re.compile(r"\\(u\{([0-9a-fA-F]{1,6})\}|.)", re.DOTALL)
_PLAIN: Final = re.compile(r'[^\s"\\\x00-\x1f\x7f-\x9f\u2028\u2029]+')
_ESCAPES: Final = {"\\": "\\", '"': '"', "n": "\n", "r": "\r", "t": "\t"}


class Word(str):
    """A word of a line; `quoted` ones are never key words, and hold what they hold."""

    __slots__ = ("quoted",)

    def __new__(cls, text: str, quoted: bool = False) -> Word:
        word = super().__new__(cls, text)
        word.quoted = quoted
        return word

    quoted: bool


def words_of(line: str, filter_at: int = -1) -> list[Word]:
    """The words of a line up to its comment. `filter_at`: the word of that number may begin with `#`.

    A comma is a word of its own after the filter. Errors: NotAcceptable for quotes without an end.
    """
    words: list[Word] = []
    at = 0
    line = line.rstrip(" \t")
    while at < len(line):
        found = _TOKEN.match(line, at)
        if found is None:
            raise NotAcceptable('a quotation mark has no partner: write a filter with blanks as "Meeting Room/#"')
        at = found.end()
        quoted, plain = found.groups()
        if quoted is not None:
            words.append(Word(_ESCAPE.sub(_unescaped, quoted), True))
        elif plain.startswith("#") and len(words) != filter_at:
            break
        elif len(words) > filter_at >= 0 and "," in plain:
            for i, part in enumerate(plain.split(",")):
                words += [Word(",")] * (i > 0) + [Word(part)] * bool(part)
        else:
            words.append(Word(plain))
    return words


def _unescaped(found: re.Match[str]) -> str:
    text, number = found.groups()
    if number is not None:
        code = int(number, 16)
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code)
    elif text in _ESCAPES:
        return _ESCAPES[text]
    raise NotAcceptable(f'{found.group()!r} within quotes: only \\\\ \\" \\n \\r \\t and \\u{{...}} are known')


def quoted(text: str) -> str:
    """As `words_of` reads it; with quotes only where they are needed."""
    if _PLAIN.fullmatch(text) is not None:
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '\\"':
        return "\\" + character
    if character == " " or _PLAIN.fullmatch(character) is not None:
        return character
    return f"\\u{{{ord(character):x}}}"


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what is nearest, or what there is."""
    choices = list(known)
    near = difflib.get_close_matches(word.lower(), choices, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known are {', '.join(choices)}"


def permission(words: list[Word], source: str = "", verdict: str = "") -> tuple[PermissionRecord, list[str]]:
    """Of the words of one statement, and what is probably not meant about it. `verdict`: the first word when it
    stands elsewhere (an option of the command line). Errors: NotAcceptable.
    """
    rest = list(words)
    allow = (verdict or rest.pop(0)) == ALLOW
    if not rest or rest[0].quoted or rest[0] not in VERBS:
        unknown = f"`{rest[0]}` is no operation" if rest else "the operation is missing"
        raise NotAcceptable(f"{unknown}: {nearest(rest[0] if rest else '', VERBS)}")
    publish, subscribe = VERBS[rest.pop(0)]
    if not rest:
        raise NotAcceptable("the Topic Filter is missing: write for example `allow publish Office/#`")
    topic_filter = str(rest.pop(0))
    check_filter(topic_filter)
    statement = _Statement(rest, allow)
    record = PermissionRecord(
        topic_filter,
        publish,
        subscribe,
        max_qos=statement.qos,
        retain=statement.retain,
        allow=allow,
        max_payload=statement.payload,
        rate=statement.rate,
        verified=statement.verified,
        protocols=statement.protocols,
        mechanisms=statement.mechanisms,
        hours=statement.hours,
        source=source,
    )
    warnings = []
    bounds = [word for word in ("no-retain", "payload", "rate") if word in statement.seen]
    if bounds and not publish:
        warnings.append(f"`{bounds[0]}` says nothing about a subscription: it bounds what is published")
    return record, warnings


class _Statement:
    """What follows the filter."""

    def __init__(self, words: list[Word], allow: bool) -> None:
        self._words: Final = words
        self._at = 0
        self.qos = 2
        self.retain = True
        self.payload: int | None = None
        self.rate: float | None = None
        self.verified = False
        self.protocols: tuple[str, ...] = ()
        self.mechanisms: tuple[str, ...] = ()
        self.hours: tuple[str, ...] = ()
        self.seen: Final[set[str]] = set()
        while self._at < len(words):
            word = self._take()
            if word == ",":
                continue
            if word not in OPTIONS or word.quoted:
                raise NotAcceptable(f"`{word}` is unknown here: {nearest(word, OPTIONS)}")
            self._once(word)
            if word == "when":
                self._conditions()
                break
            if not allow:
                raise NotAcceptable(
                    f"a denial holds whatever the QoS, size and rate are: leave out `{word}`, or bound what is allowed"
                )
            self._option(word)

    def _take(self) -> Word:
        self._at += 1
        return self._words[self._at - 1]

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _value(self, option: str, example: str) -> str:
        if not self._peek() or self._peek() == ",":
            raise NotAcceptable(f"`{option}` needs a value: write for example `{example}`")
        return self._take()

    def _once(self, word: str) -> None:
        if word in self.seen:
            raise NotAcceptable(f"`{word}` stands twice in one statement")
        self.seen.add(word)

    def _option(self, word: str) -> None:
        if word == "qos":
            value = self._value(word, "qos 1")
            if value not in ("0", "1", "2"):
                raise NotAcceptable(f"`{value}` is no QoS: it is 0, 1 or 2")
            self.qos = int(value)
        elif word == "payload":
            value = self._value(word, "payload 4 KiB")
            if value.isdigit() and self._peek().isalpha() and self._peek() not in OPTIONS:
                value += self._take()
            self.payload = size(value)
        elif word == "rate":
            self.rate = rate(self._value(word, "rate 10/s"))
        elif word == "verified":
            self.verified = True
        else:
            if {"retain", "no-retain"} <= self.seen:
                raise NotAcceptable("`retain` and `no-retain` exclude each other")
            self.retain = word == "retain"

    def _conditions(self) -> None:
        """Up to the end of the line: all of them must hold, any value of each will do."""
        while True:
            word = self._take() if self._at < len(self._words) else Word("")
            if word not in CONDITIONS or word.quoted:
                raise NotAcceptable(
                    f"`{word}` is no condition: {nearest(word, CONDITIONS)}" if word else "a condition is missing"
                )
            self._once(word)
            values: list[str] = []
            while self._peek() not in ("", ","):
                values.append(self._take())
            if word == "mechanism":
                self.mechanisms = _choice(values, KINDS, word)
            elif word == "protocol":
                self.protocols = _choice(values, PROTOCOLS, word)
            else:
                windows = " ".join(values).split(" or ")
                self.hours = tuple(dict.fromkeys(str(Hours.parse(window)) for window in windows))
            if self._at == len(self._words):
                return
            self._take()  # the comma


def _choice(values: list[str], known: Collection[str], what: str) -> tuple[str, ...]:
    if not values:
        raise NotAcceptable(f"`{what}` needs a value: known are {', '.join(sorted(known))}")
    for value in values:
        if value not in known:
            raise NotAcceptable(f"`{value}` is no {what}: {nearest(value, sorted(known))}")
    return tuple(sorted({str(value) for value in values}))


def check_filter(topic_filter: str) -> None:
    """A valid Topic Filter that can match, placeholders in it. Errors: NotAcceptable."""
    if topic_filter == "$share" or topic_filter.startswith("$share/"):
        raise NotAcceptable(
            f"the filter {topic_filter!r} can never match: write the Topic Filter alone, "
            "whoever may subscribe to it may do so in a shared subscription too"
        )
    bare = PLACEHOLDER.sub("d", topic_filter)
    if _OPENING in bare:
        raise NotAcceptable(
            f"the filter {topic_filter!r} can never match: a placeholder is ${{device}}, ${{group}} or the name of an "
            "attribute in ${...}"
        )
    if any("\ud800" <= character <= "\udfff" for character in bare):
        raise NotAcceptable(f"the filter {topic_filter!r} is not UTF-8 and can never match")
    try:
        check_topic_filter(bare)
    except Refusal as refusal:
        raise NotAcceptable(f"{topic_filter!r} is not a Topic Filter: {refusal.because}") from None


def text_of(of: PermissionRecord) -> str:
    """In the words that `permission` reads, without its source."""
    verb = "both" if of.publish and of.subscribe else "publish" if of.publish else "subscribe"
    words = [ALLOW if of.allow else DENY, verb, quoted(of.topic_filter)]
    if of.allow:
        words += bounds_of(of)
    conditions = conditions_of(of)
    if conditions:
        words += ["when", ", ".join(conditions)]
    return " ".join(words)


def bounds_of(of: PermissionRecord) -> list[str]:
    bounds = []
    if of.max_qos != 2:
        bounds.append(f"qos {of.max_qos}")
    if not of.retain:
        bounds.append("no-retain")
    if of.max_payload is not None:
        bounds.append(f"payload {size_text(of.max_payload)}")
    if of.rate is not None:
        bounds.append(f"rate {rate_text(of.rate)}")
    if of.verified:
        bounds.append("verified")
    return bounds


def conditions_of(of: PermissionRecord) -> list[str]:
    conditions = []
    if of.mechanisms:
        conditions.append(f"mechanism {' '.join(sorted(set(of.mechanisms)))}")
    if of.protocols:
        conditions.append(f"protocol {' '.join(sorted(set(of.protocols)))}")
    if of.hours:
        conditions.append(f"hours {' or '.join(of.hours)}")
    return conditions
