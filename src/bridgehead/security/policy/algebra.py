"""Sets of Topic Names as Topic Filters describe them: cover, overlap, intersection, what one union leaves of another.

All of it is exact, and decided without trying names. Why that is cheap: a filter that does not name a certain level
matches there whatever nobody has named. So a filter lies within a union of others if, for each number of levels, its
topic of levels that nobody has named is matched by one of them; beyond the longest of them the answer stays the same.
The work for one filter is the number of filters times the number of levels, and there is no bound to run into.

A level with a placeholder in it is a literal here, equal to itself alone: `bindings` says when that may be done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

# Levels for examples: the first that no filter names.
_WORDS: Final = ("any", "other", "some")
_EMPTY: Final = ("",)


class Span(NamedTuple):
    """A Topic Filter: one entry for each level, None for `+`. `open`: `#` follows, which stands for the parent level
    and anything below. `#` alone is `+/#`, as every topic has a first level, and `/#` is `/+/#`, as no topic is the
    empty text. `+` and `#` match no first level that begins with `$` (MQTT 5.0 section 4.7.2)."""

    levels: tuple[str | None, ...]
    open: bool

    def __str__(self) -> str:
        if self.open and self.levels in ((None,), ("", None)):
            return "#" if self.levels[0] is None else "/#"
        return "/".join("+" if level is None else level for level in self.levels) + ("/#" if self.open else "")


def span(topic_filter: str) -> Span:
    """Of a valid Topic Filter, or of a Topic Name."""
    parts = topic_filter.split("/")
    is_open = parts[-1] == "#"
    if is_open:
        parts.pop()
    levels = tuple(None if part == "+" else part for part in parts) or (None,)
    return Span(("", None) if is_open and levels == _EMPTY else levels, is_open)


def _is_reserved(level: str) -> bool:
    """Whether wildcards keep away from topics that begin with it. No placeholder's value begins with `$`."""
    return level.startswith("$") and not level.startswith("${")


def intersection(one: Span, other: Span) -> Span | None:
    """What both match: one filter again, or nothing."""
    short, long = (one, other) if len(one.levels) <= len(other.levels) else (other, one)
    if len(short.levels) < len(long.levels) and not short.open:
        return None
    levels: list[str | None] = []
    for i, theirs in enumerate(long.levels):
        mine = short.levels[i] if i < len(short.levels) else None
        if mine is None or theirs is None:
            met = theirs if mine is None else mine
            if i == 0 and met is not None and _is_reserved(met):
                return None  # [MQTT-4.7.2-1]
        elif mine == theirs:
            met = mine
        else:
            return None
        levels.append(met)
    found = Span(tuple(levels), one.open and other.open)
    return None if found.levels == _EMPTY else found  # [MQTT-4.7.3-1]


def overlaps(one: Span, other: Span) -> bool:
    return intersection(one, other) is not None


def covers(wide: Span, narrow: Span) -> bool:
    """Whether `wide` matches all that `narrow` matches."""
    return intersection(wide, narrow) == narrow


def witness(one: Span, without: Sequence[Span]) -> str | None:
    """A Topic Name that `one` matches and none of `without` does; None: they match all of it together."""
    near = [each for each in without if overlaps(one, each)]
    if any(covers(each, one) for each in near):
        return None
    topic = [_unnamed(i, near) if level is None else level for i, level in enumerate(one.levels)]
    longest = max((len(each.levels) for each in near), default=0)
    while True:
        name = Span(tuple(topic), False)
        if not any(overlaps(each, name) for each in near):
            return str(name)
        if not one.open or len(topic) > longest:
            return None
        topic.append(_unnamed(len(topic), near))


def _unnamed(i: int, spans: Iterable[Span]) -> str:
    named = {each.levels[i] for each in spans if i < len(each.levels)}
    number = 0
    while True:
        word = _WORDS[number] if number < len(_WORDS) else f"other-{number}"
        if word not in named:
            return word
        number += 1


class Remainder:
    """What is left of a filter: `span` without `excepted`, which all lie within it. `topic` is an example."""

    def __init__(self, span: Span, excepted: tuple[Span, ...], topic: str) -> None:
        self.span: Final = span
        self.excepted: Final = excepted
        self.topic: Final = topic

    def __str__(self) -> str:
        return str(self.span) + (f" except {' '.join(map(str, self.excepted))}" if self.excepted else "")


def subtract(one: Span, without: Sequence[Span]) -> Remainder | None:
    """`one` minus the union of `without`. None: nothing is left."""
    topic = witness(one, without)
    if topic is None:
        return None
    inside = [met for met in (intersection(one, each) for each in without) if met is not None]
    return Remainder(one, tuple(widest(inside)), topic)


def widest(spans: Iterable[Span]) -> list[Span]:
    """Without those that another one covers, in their order."""
    distinct = Spans(dict.fromkeys(spans))
    return [
        each
        for each in distinct.all
        if not any(other is not each and covers(other, each) for other in distinct.near(each))
    ]


class Index:
    """Finds those of many spans that overlap one, without looking at all. Each has a number of the caller's."""

    def __init__(self) -> None:
        self._root: Final = _Level()

    def put(self, one: Span, number: int) -> None:
        at = self._root
        for level in one.levels:
            at = at.below.setdefault(level, _Level())
        (at.open if one.open else at.closed).append(number)

    def overlapping(self, one: Span) -> list[int]:
        """In ascending order."""
        found: list[int] = []
        last = len(one.levels)
        waiting = [(self._root, 0)]
        while waiting:
            at, depth = waiting.pop()
            found += at.open
            if depth >= last:
                if depth == last or one.open:
                    found += at.closed
                if one.open:
                    waiting += [(next_level, depth + 1) for next_level in at.below.values()]
                continue
            level = one.levels[depth]
            if level is None:
                waiting += [
                    (next_level, depth + 1)
                    for name, next_level in at.below.items()
                    if depth > 0 or name is None or not _is_reserved(name)
                ]
            else:
                for name in (level, None):
                    next_level = at.below.get(name)
                    if next_level is not None and (name is not None or depth > 0 or not _is_reserved(level)):
                        waiting.append((next_level, depth + 1))
        return sorted(found)


class Spans:
    """Many spans, of which those near to one are wanted again and again."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.all: Final = list(spans)
        self._index: Final = Index()
        for number, each in enumerate(self.all):
            self._index.put(each, number)

    def near(self, one: Span) -> list[Span]:
        """Those that overlap it."""
        return [self.all[number] for number in self._index.overlapping(one)]


class _Level:
    def __init__(self) -> None:
        self.below: dict[str | None, _Level] = {}
        self.open: list[int] = []
        self.closed: list[int] = []
