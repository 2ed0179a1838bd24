"""What one identity holds, as sets: each of its permissions with its Topic Filter, its bounds, and when it counts.

When a permission counts (protocol, kind of proof, hours) is a set of circumstances, kept as the bits of a number. The
circumstances are as many as two policies can tell apart: each protocol that one names and any other, each proof by one
or two of the kinds that one names, and each stretch of time in which the same hours hold. Proofs by three kinds tell no
more apart: one kind is enough for what is allowed, and one for what was denied.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from bridgehead.core.rights import resolved
from bridgehead.security.hours import Hours
from bridgehead.security.policy.algebra import Index, Span, span
from bridgehead.security.policy.document import Section
from bridgehead.security.records import PermissionRecord

Bindings = Mapping[str, tuple[str, ...]]
UNBOUNDED: Final = float("inf")
OTHER: Final = ""
DAYS_COMPARED: Final = 400


class Circumstances:
    """Of all permissions that are to be compared. `now`: the day from which hours are compared, for a year and more."""

    def __init__(self, permissions: Iterable[PermissionRecord], now: float) -> None:
        protocols = {OTHER}
        kinds = {OTHER}
        windows: set[str] = set()
        for each in permissions:
            protocols.update(each.protocols)
            kinds.update(each.mechanisms)
            windows.update(each.hours)
        proofs = [frozenset(proof) for size in (1, 2) for proof in itertools.combinations(sorted(kinds), size)]
        times = _stretches(sorted(windows), now)
        # Bit `i * width + t`: the connection number i, the stretch of time number t.
        self._connections: Final = list(itertools.product(sorted(protocols), proofs))
        self._width: Final = len(times)
        self._any_time: Final = (1 << len(times)) - 1
        self._times: Final = {text: sum(1 << t for t, each in enumerate(times) if text in each) for text in windows}
        self.always: Final = (1 << len(self._connections) * self._width) - 1
        self._known: Final[dict[tuple[tuple[str, ...], ...], int]] = {((), (), ()): self.always}

    def when(self, permission: PermissionRecord) -> int:
        """The circumstances under which it counts, one bit for each."""
        key = permission.protocols, permission.mechanisms, permission.hours
        known = self._known.get(key)
        if known is None:
            times = 0 if permission.hours else self._any_time
            for text in permission.hours:
                times |= self._times[text]
            known = 0
            for i, (protocol, proof) in enumerate(self._connections):
                if (not permission.protocols or protocol in permission.protocols) and (
                    not permission.mechanisms or not proof.isdisjoint(permission.mechanisms)
                ):
                    known |= times << i * self._width
            self._known[key] = known
        return known


def _stretches(windows: Sequence[str], now: float) -> list[frozenset[str]]:
    """Which of the hours hold at the same time, once for each combination that occurs."""
    if not windows:
        return [frozenset()]
    edges: dict[float, list[tuple[str, bool]]] = {}
    holding: set[str] = set()
    end = now + DAYS_COMPARED * 86400
    for text in windows:
        hours = Hours.parse(text)
        holds = hours.holds(now)
        if holds:
            holding.add(text)
        at = hours.next_change(now)
        while at < end:
            holds = not holds
            edges.setdefault(at, []).append((text, holds))
            at = hours.next_change(at)
    found = {frozenset(holding): None}
    for at in sorted(edges):
        for text, holds in edges[at]:
            (holding.add if holds else holding.discard)(text)
        found[frozenset(holding)] = None
    return list(found)


class Held:
    """One permission of one holder with its placeholders replaced. `holder`: "role sensor"."""

    def __init__(self, record: PermissionRecord, one: Span, when: int, holder: str) -> None:
        self.record: Final = record
        self.span: Final = one
        self.when: Final = when
        self.holder: Final = holder
        self.payload: Final[float] = UNBOUNDED if record.max_payload is None else record.max_payload
        self.rate: Final[float] = UNBOUNDED if record.rate is None else record.rate

    def key(self) -> tuple[object, ...]:
        """The same for two that permit or deny the same, wherever they are written."""
        record = self.record
        if not record.allow:
            return self.span, self.when
        bounds = record.max_qos, record.retain, self.payload, self.rate, record.verified
        return self.span, self.when, *bounds


class Holding:
    """All that an identity holds for one operation: what allows and what denies, each found by its filter."""

    def __init__(self, held: Sequence[Held], publish: bool) -> None:
        self._publish: Final = publish
        mine = [each for each in held if (each.record.publish if publish else each.record.subscribe)]
        self.allows: Final = [each for each in mine if each.record.allow]
        self.denials: Final = [each for each in mine if not each.record.allow]
        # Each permission with a rate is counted by itself: two that say the same permit twice as much.
        self.allow_keys: Final = Counter(each.key() for each in self.allows)
        self.denial_keys: Final = frozenset(each.key() for each in self.denials)
        self._allow_index: Final = _index(self.allows)
        self._denial_index: Final = _index(self.denials)

    def of_denials(self) -> Holding:
        """As if what is denied were all that is allowed."""
        made = [Held(replace(each.record, allow=True), each.span, each.when, each.holder) for each in self.denials]
        return Holding(made, self._publish)

    def allowing(self, one: Span) -> list[Held]:
        return [self.allows[i] for i in self._allow_index.overlapping(one)]

    def denying(self, one: Span) -> list[Held]:
        if not self.denials:
            return []
        return [self.denials[i] for i in self._denial_index.overlapping(one)]


def _index(held: Sequence[Held]) -> Index:
    index = Index()
    for i, each in enumerate(held):
        index.put(each.span, i)
    return index


def bind(section: Section, holder: str, bindings: Bindings, circumstances: Circumstances) -> list[Held]:
    """What the section gives to an identity with these bindings: one for each combination of values."""
    values = dict(bindings)
    return [
        Held(each, span(topic_filter), circumstances.when(each), holder)
        for each in section.permissions
        for topic_filter in resolved(each.topic_filter, values)
    ]
