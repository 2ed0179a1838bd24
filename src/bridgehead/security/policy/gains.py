"""What one holding permits that another does not, by set algebra: no topic is tried, and no gain is missed.

A permission permits a box: topics, times circumstances, times bounds (QoS, RETAIN, size, rate, origin). What another
holding permits shrinks as the bounds rise, so the highest message of a box is the one to ask about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bridgehead.security.policy.algebra import Index, Remainder, Span, Spans, covers, intersection, subtract, widest
from bridgehead.security.policy.holdings import UNBOUNDED, Held, Holding
from bridgehead.security.policy.statement import bounds_of, conditions_of, quoted
from bridgehead.security.policy.units import rate_text, size_text

PUBLISH: Final = "publish"
SUBSCRIBE: Final = "subscribe"
# Sets of circumstances that one permission is looked at under. Beyond that many they are looked at together, which may
# tell of a gain that is none, and never of none where there is one.
MOST_CELLS: Final = 256
_SHOWN: Final = 8  # exceptions in a sentence

_Test = Callable[[Held, Held], bool]
_PUBLISH_BOUNDS: Final[dict[str, _Test]] = {
    "qos": lambda wide, one: wide.record.max_qos >= one.record.max_qos,
    "retain": lambda wide, one: wide.record.retain or not one.record.retain,
    "payload": lambda wide, one: wide.payload >= one.payload,
    "rate": lambda wide, one: wide.rate >= one.rate,
    "verified": lambda wide, one: not wide.record.verified or one.record.verified,
}
_SUBSCRIBE_BOUNDS: Final[dict[str, _Test]] = {name: _PUBLISH_BOUNDS[name] for name in ("qos", "verified")}


class Gain:
    """A right that one side has and the other has not.

    `span` without `excepted` is where, `topic` an example. `held` is the permission that gives it. `only` names the
    bounds that alone make the difference ("up to QoS 2"); empty: the topics themselves are new. `whole`: the topics
    are not, but to subscribe to all of the filter at once is. `always`: under every circumstance in which the
    permission counts, else under some of them. `undenied`: a denial that one side has is all that it is; the other
    permits it where another permission does.
    """

    def __init__(
        self,
        operation: str,
        held: Held,
        left: Remainder,
        only: tuple[str, ...],
        whole: bool,
        always: bool,
        undenied: bool = False,
    ) -> None:
        self.operation: Final = operation
        self.held: Final = held
        self.span: Final = left.span
        self.excepted: Final = left.excepted
        self.topic: Final = left.topic
        self.only: Final = only
        self.whole: Final = whole
        self.always: Final = always
        self.undenied: Final = undenied

    def __str__(self) -> str:
        text = f"{self.operation} {quoted(str(self.span))}"
        if self.excepted:
            text += f" except {' '.join(quoted(str(each)) for each in self.excepted[:_SHOWN])}"
            if len(self.excepted) > _SHOWN:
                text += f" and {len(self.excepted) - _SHOWN} more filters"
        bounds = bounds_of(self.held.record)
        if bounds:
            text += f" {' '.join(bounds)}"
        conditions = conditions_of(self.held.record)
        if conditions:
            text += f" when {', '.join(conditions)}"
        if self.only:
            text += f" (what differs: {', '.join(self.only)})"
        if self.whole:
            text += " (as one subscription)"
        if not self.always:
            text += " (in some of the cases)"
        if self.undenied:
            text += " (not denied any more)"
        return text

    def key(self) -> tuple[object, ...]:
        return self.operation, self.held.key(), self.span, self.excepted, self.only, self.whole


def gains(new: Holding, old: Holding, operation: str) -> list[Gain]:
    """What `new` permits and `old` does not. Empty exactly when there is nothing."""
    if new.allow_keys == old.allow_keys and new.denial_keys == old.denial_keys:
        return []
    same_denials = new.denial_keys == old.denial_keys
    found: list[Gain] = []
    for each in new.allows:
        if not (same_denials and _has(old, new, each)):
            found += _Comparison(each, new, old, operation).gains()
    return _widest_of(found)


def undenied(new: Holding, old: Holding, operation: str) -> list[Gain]:
    """What `old` denies and `new` does not: somebody may gain it who is permitted it elsewhere."""
    found = gains(old.of_denials(), new.of_denials(), operation)
    return [
        Gain(operation, each.held, Remainder(each.span, each.excepted, each.topic), (), False, each.always, True)
        for each in found
        if not each.whole
    ]


def told_once(found: Iterable[Gain]) -> list[Gain]:
    """Without those not denied any more that are among what is gained."""
    every = list(found)
    plain = [each for each in every if not each.undenied]
    return [each for each in every if not each.undenied or not any(_tells(other, each) for other in plain)]


def _tells(gain: Gain, freed: Gain) -> bool:
    """Whether all of what is not denied any more is in the gain."""
    return (
        gain.operation == freed.operation
        and not gain.only
        and not gain.whole
        and not gain.excepted
        and covers(gain.span, freed.span)
        and not freed.held.when & ~gain.held.when
        and gain.always
    )


def _has(old: Holding, new: Holding, held: Held) -> bool:
    """Whether the old side has the very same, as often as the new one where that counts."""
    times = old.allow_keys[held.key()]
    return times > 0 and (held.rate == UNBOUNDED or times >= new.allow_keys[held.key()])


class _Comparison:
    """Of one permission with everything on the other side that concerns its topics."""

    def __init__(self, held: Held, new: Holding, old: Holding, operation: str) -> None:
        self._held: Final = held
        self._operation: Final = operation
        self._bounds: Final = _PUBLISH_BOUNDS if operation == PUBLISH else _SUBSCRIBE_BOUNDS
        self._new_denials: Final = new.denying(held.span)
        self._old_denials: Final = old.denying(held.span)
        self._old: Final = old.allowing(held.span)
        self._paced_now: Final = [each for each in new.allowing(held.span) if each.rate != UNBOUNDED]
        self._enough: Final = [each for each in self._old if self._is_enough(each, "")]

    def _is_enough(self, wide: Held, but: str) -> bool:
        """Whether it permits the highest that this one does, `but` one bound aside."""
        return all(test(wide, self._held) for name, test in self._bounds.items() if name != but)

    def _is_paced(self, cell: int) -> bool:
        """Whether those with a rate permit no more together than before: each is counted by itself, so they add up."""
        if self._operation == SUBSCRIBE:
            return True
        before = [
            each
            for each in self._old
            if each.when & cell == cell and covers(each.span, self._held.span) and self._is_enough(each, "rate")
        ]
        return _sum_of_rates(each for each in self._paced_now if each.when & cell) <= _sum_of_rates(before)

    def gains(self) -> list[Gain]:
        found: dict[tuple[object, ...], tuple[Gain, int]] = {}
        for cell in self._cells():
            for gain in self._under(cell):
                key = gain.key()
                found[key] = gain, cell | (found[key][1] if key in found else 0)
        return [
            Gain(
                gain.operation,
                gain.held,
                Remainder(gain.span, gain.excepted, gain.topic),
                gain.only,
                gain.whole,
                cells == self._held.when,
            )
            for gain, cells in found.values()
        ]

    def _cells(self) -> list[int]:
        """The circumstances in which it counts, in sets within which nothing that concerns it changes."""
        cells = [self._held.when] if self._held.when else []
        for when in dict.fromkeys(each.when for each in (*self._new_denials, *self._old_denials, *self._old)):
            if len(cells) > MOST_CELLS:
                break
            cells = [part for cell in cells for part in (cell & when, cell & ~when) if part]
        return cells

    def _under(self, cell: int) -> list[Gain]:
        one = self._held.span
        denied = [each.span for each in self._new_denials if each.when & cell == cell]
        were_denied = [each.span for each in self._old_denials if each.when & cell]
        enough = [each for each in self._enough if each.when & cell == cell]
        if not self._is_paced(cell):
            enough = [each for each in enough if each.rate == UNBOUNDED]
        allowed = [each.span for each in enough]
        found: list[Gain] = []
        left = subtract(one, denied + allowed)
        if left is not None:
            found.append(self._gain(left, self._only(cell, denied)))
        # What was denied, within what would have been allowed: the rest is among what is left already.
        if were_denied:
            pieces = Spans(widest(met for met in (intersection(one, each) for each in allowed) if met is not None))
            still = Spans(denied)
            for denial in widest(were_denied):
                for wide in pieces.near(denial):
                    met = intersection(wide, denial)
                    freed = None if met is None else subtract(met, still.near(met))
                    if freed is not None:
                        found.append(self._gain(freed, ()))
        if not found and self._operation == SUBSCRIBE:
            found += self._as_one(cell, denied, were_denied, allowed)
        return found

    def _as_one(self, cell: int, denied: list[Span], were_denied: list[Span], allowed: list[Span]) -> list[Gain]:
        """A subscription needs one permission that covers all of its filter, and no denial that does."""
        one = self._held.span
        now = not any(covers(each, one) for each in denied)
        before = any(covers(each, one) for each in allowed) and not any(covers(each, one) for each in were_denied)
        if not now or before:
            return []
        return [self._gain(Remainder(one, (), str(one)), (), True)]

    def _gain(self, left: Remainder, only: tuple[str, ...], whole: bool = False) -> Gain:
        return Gain(self._operation, self._held, left, only, whole, True)

    def _only(self, cell: int, denied: list[Span]) -> tuple[str, ...]:
        """The bounds that make the difference, when the topics themselves were permitted within others."""
        one = self._held.span
        allowing = [each for each in self._old if each.when & cell == cell]
        if not allowing or subtract(one, denied + [each.span for each in allowing]) is not None:
            return ()
        slow = [each for each in allowing if each.rate == UNBOUNDED or self._is_paced(cell)]
        alone = []
        for name in self._bounds:
            wide = [each.span for each in (allowing if name == "rate" else slow) if self._is_enough(each, name)]
            if subtract(one, denied + wide) is None:
                alone.append(name)
        failing = [name for name, test in self._bounds.items() if any(not test(each, self._held) for each in allowing)]
        return tuple(self._in_words(name) for name in (alone or failing))

    def _in_words(self, bound: str) -> str:
        record = self._held.record
        if bound == "qos":
            return f"up to QoS {record.max_qos}"
        if bound == "retain":
            return "retained"
        if bound == "payload":
            return "any size" if record.max_payload is None else f"up to {size_text(record.max_payload)}"
        if bound == "rate":
            return "any rate" if record.rate is None else f"up to {rate_text(record.rate)}"
        return "unverified too"


def _sum_of_rates(held: Iterable[Held]) -> float:
    return sum(each.rate for each in held if each.rate != UNBOUNDED)


def _widest_of(found: Sequence[Gain]) -> list[Gain]:
    """Without those that another one says already."""
    index = Index()
    for i, gain in enumerate(found):
        index.put(gain.span, i)
    dropped: set[int] = set()
    for i, gain in enumerate(found):
        for other in index.overlapping(gain.span):
            if other != i and other not in dropped and _says(found[other], gain):
                dropped.add(i)
                break
    return [gain for i, gain in enumerate(found) if i not in dropped]


def _says(wide: Gain, narrow: Gain) -> bool:
    """Whether all that `narrow` tells follows from `wide`."""
    if wide.whole != narrow.whole or wide.only != narrow.only or not covers(wide.span, narrow.span):
        return False
    for each in wide.excepted:
        missing = intersection(each, narrow.span)
        if missing is not None and not any(covers(other, missing) for other in narrow.excepted):
            return False
    if not wide.always:
        return wide.held.key() == narrow.held.key()
    return not narrow.held.when & ~wide.held.when and all(
        test(wide.held, narrow.held) for test in _PUBLISH_BOUNDS.values()
    )
