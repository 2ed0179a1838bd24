"""How two policies differ: for each block of the text, and for each device that exists.

The names that placeholders stand for are not tried one by one. A value that no filter names is like any other such
value, so devices with the same roles and groups share one comparison; a device whose name or attribute occurs in a
filter is looked at by itself.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bridgehead.security.policy.algebra import Span, overlaps, span
from bridgehead.security.policy.document import DEVICE, EVERYONE, GROUP, NOTHING, ROLE, Document, Section, normal
from bridgehead.security.policy.gains import PUBLISH, SUBSCRIBE, Gain, gains, told_once, undenied
from bridgehead.security.policy.holdings import Bindings, Circumstances, Held, Holding, bind
from bridgehead.security.policy.statement import PLACEHOLDER
from bridgehead.security.policy.units import quota_text
from bridgehead.security.records import Device, PermissionRecord, Quota

# Names for the placeholders of a block that are looked at beside "whichever": those that occur in its own filters.
MOST_NAMES: Final = 256
_SECOND: Final = "\u2060"  # tells the second of two groups from the first


class Change:
    """What one holder or device gains and loses. `names`: the devices, or the block's name alone; "" for everyone.
    `quota` is (before, after) in words where it differs. `reworded`: other statements, the same rights. `unsure`: that
    is all as far as was looked, but there are more combinations of names than were tried."""

    def __init__(
        self,
        kind: str,
        names: Sequence[str],
        gained: Sequence[Gain],
        lost: Sequence[Gain],
        quota: tuple[str, str] | None,
        reworded: bool = False,
        unsure: bool = False,
    ) -> None:
        self.kind: Final = kind
        self.names: Final = names
        self.gained: Final = gained
        self.lost: Final = lost
        self.quota: Final = quota
        self.reworded: Final = reworded
        self.unsure: Final = unsure

    def differs(self) -> bool:
        return bool(self.gained or self.lost or self.quota is not None or self.unsure)

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(self.names)}".strip()


class Difference:
    """`blocks` by block of the text, `devices` by device or by devices that change alike; None when they were not
    given. `of_revoked` is (before, after) where it differs."""

    def __init__(
        self, blocks: Sequence[Change], devices: Sequence[Change] | None, of_revoked: tuple[str, str] | None
    ) -> None:
        self.blocks: Final = blocks
        self.devices: Final = devices
        self.of_revoked: Final = of_revoked

    def is_none(self) -> bool:
        """Whether both policies permit the same."""
        changes = [*self.blocks, *(self.devices or ())]
        return self.of_revoked is None and not any(change.differs() for change in changes)

    def gains_within(self, topic_filter: str) -> list[tuple[Change, Gain]]:
        """What anybody gains that overlaps the filter, which is one of `also`: devices, or blocks, for whichever
        name, when devices were not given. `#` means whatever is gained, also of topics that begin with `$`."""
        if topic_filter == "#":
            changes = self.blocks if self.devices is None else self.devices
            return [(change, each) for change in changes for each in change.gained]
        asked = span(topic_filter)
        if self.devices is not None:
            return [(change, each) for change in self.devices for each in change.gained if overlaps(each.span, asked)]
        return [
            (change, each) for change in self.blocks for each in change.gained if overlaps(_any_name(each.span), asked)
        ]


def _any_name(one: Span) -> Span:
    """A level with a placeholder may be any."""
    return Span(tuple(None if level is not None and "${" in level else level for level in one.levels), one.open)


def compare(
    old: Document,
    new: Document,
    now: float,
    devices: Iterable[Device] | None = None,
    also: Sequence[str] = (),
    apart: bool = False,
) -> Difference:
    """`now`: from when on hours are compared. `devices` hold under both policies what their records say; the
    permissions of their own are those of the documents. `also`: filters whose names matter beside those of the
    policies. `apart`: each device by itself, with its own name in the filters."""
    comparison = _Comparison(old, new, now, also, apart)
    changes = None if devices is None else comparison.devices(devices)
    of_revoked = None
    if old.retained_of_revoked != new.retained_of_revoked:
        of_revoked = old.retained_of_revoked, new.retained_of_revoked
    return Difference(comparison.blocks(), changes, of_revoked)


class _Comparison:
    def __init__(self, old: Document, new: Document, now: float, also: Sequence[str], apart: bool) -> None:
        self._old: Final = old
        self._new: Final = new
        self._apart: Final = apart
        every = [
            each for document in (old, new) for _, _, section in document.sections() for each in section.permissions
        ]
        self._circumstances: Final = Circumstances(every, now)
        filters = [*(each.topic_filter for each in every), *also]
        levels = {level for each in filters for level in each.split("/")}
        self._literals: Final = frozenset(level for level in levels if "${" not in level)
        self._literal_text: Final = "\n".join(sorted(self._literals))
        patterns = levels - self._literals
        self._names: Final = frozenset(name for each in patterns for name in PLACEHOLDER.findall(each))
        # Two levels such as a-${device} and ${device}-a can be equal for a certain device only.
        parts = [each for each in patterns if PLACEHOLDER.fullmatch(each) is None]
        self._in_parts: Final = bool(parts)
        self._mixed: Final = len(parts) > 1
        self._bound: Final[dict[tuple[object, ...], list[Held]]] = {}

    # Blocks. ----------------------------------------------------------------------------------------

    def blocks(self) -> list[Change]:
        """In the order of a file; only those that differ or are worded otherwise."""
        found = [self._block(EVERYONE, "", self._old.everyone, self._new.everyone)]
        for kind, old, new in (
            (ROLE, self._old.roles, self._new.roles),
            (GROUP, self._old.groups, self._new.groups),
            (DEVICE, self._old.devices, self._new.devices),
        ):
            for name in sorted({*old, *new}):
                found.append(self._block(kind, name, old.get(name, NOTHING), new.get(name, NOTHING)))
        return [change for change in found if change.differs() or change.reworded]

    def _block(self, kind: str, name: str, old: Section, new: Section) -> Change:
        names = [name] if name else []
        if _meaning(old) == _meaning(new):
            return Change(kind, names, [], [], None)
        fixed: dict[str, tuple[str, ...]] = {}
        if kind == GROUP:
            fixed["group"] = (name,)
        elif kind == DEVICE:
            fixed["device"] = (name,)
        gained: dict[str, Gain] = {}
        lost: dict[str, Gain] = {}
        rows, exact = _bindings_of_interest((*old.permissions, *new.permissions), fixed)
        for bindings in rows:
            before = bind(old, f"{kind} {name}".strip(), bindings, self._circumstances)
            after = bind(new, f"{kind} {name}".strip(), bindings, self._circumstances)
            mine, theirs = _both(after, before, True)
            for found, each in [(gained, gain) for gain in mine] + [(lost, gain) for gain in theirs]:
                found.setdefault(str(each).replace(_SECOND, ""), each)
        quota = None if old.quota == new.quota else (_quota_words(old.quota), _quota_words(new.quota))
        same = not gained and not lost and quota is None
        changes = told_once(gained.values()), told_once(lost.values())
        return Change(kind, names, *changes, quota, reworded=same and exact, unsure=not exact)

    # Devices. ---------------------------------------------------------------------------------------

    def devices(self, devices: Iterable[Device]) -> list[Change]:
        """Devices that change, those that do so in the same way together."""
        alike: dict[tuple[object, ...], list[str]] = {}
        samples: dict[tuple[object, ...], Device] = {}
        for device in devices:
            if not self._touches(device):
                continue
            key = self._key(device)
            alike.setdefault(key, []).append(device.name)
            samples.setdefault(key, device)
        found = [self._device(samples[key], key, names) for key, names in alike.items()]
        return sorted((change for change in found if change.differs()), key=lambda change: change.names[0])

    def _sections(self, document: Document, device: Device) -> list[tuple[str, Section]]:
        found = [(EVERYONE, document.everyone)]
        found += [(f"{ROLE} {name}", document.roles.get(name, NOTHING)) for name in dict.fromkeys(device.roles)]
        found += [(f"{GROUP} {name}", document.groups.get(name, NOTHING)) for name in dict.fromkeys(device.groups)]
        found.append((f"{DEVICE} {device.name}", document.devices.get(device.name, NOTHING)))
        return found

    def _touches(self, device: Device) -> bool:
        """Whether any block of the device is not the same in both."""
        old, new = self._sections(self._old, device), self._sections(self._new, device)
        return any(_meaning(one) != _meaning(other) for (_, one), (_, other) in zip(old, new, strict=True))

    def _key(self, device: Device) -> tuple[object, ...]:
        """The same for devices that change in the same way."""
        own = device.name in self._old.devices or device.name in self._new.devices
        bindings = self._bindings(device)
        return (
            device.name if own else "",
            tuple(sorted(set(device.roles))),
            tuple(sorted(set(device.groups))),
            tuple(sorted(bindings.items())),
        )

    def _bindings(self, device: Device) -> dict[str, tuple[str, ...]]:
        values = {**device.attributes, "device": device.name}
        used = {name: value for name, value in values.items() if name in self._names}
        found: dict[str, tuple[str, ...]] = {"group": tuple(dict.fromkeys(device.groups))}
        for name, value in used.items():
            others = [*(other for key, other in used.items() if key != name), *device.groups]
            found[name] = (value if self._is_special(value, others) else "${" + name + "}",)
        return found

    def _is_special(self, value: str, others: Sequence[str]) -> bool:
        """Whether a filter, or another value of the device, may make a level that is equal to one with this value."""
        if self._apart or value in self._literals or value in others:
            return True
        if not self._in_parts:
            return False
        near = any(value in other or (other and other in value) for other in others)
        return self._mixed or near or value in self._literal_text

    def _device(self, device: Device, key: tuple[object, ...], names: list[str]) -> Change:
        bindings = self._bindings(device)
        before = self._held(self._old, device, bindings, key)
        after = self._held(self._new, device, bindings, key)
        gained, lost = _both(after, before)
        quotas = [self._quota(document, device) for document in (self._old, self._new)]
        quota = None if quotas[0] == quotas[1] else (_quota_words(quotas[0]), _quota_words(quotas[1]))
        return Change(DEVICE, names, gained, lost, quota)

    def _held(
        self, document: Document, device: Device, bindings: dict[str, tuple[str, ...]], key: tuple[object, ...]
    ) -> list[Held]:
        found: list[Held] = []
        bound_key = key[3]
        for holder, section in self._sections(document, device):
            mine = bindings
            if holder.startswith(f"{GROUP} "):
                mine = {**bindings, "group": (holder.removeprefix(f"{GROUP} "),)}
            at = (document is self._new, holder, bound_key)
            known = self._bound.get(at)
            if known is None:
                known = bind(section, holder, mine, self._circumstances)
                self._bound[at] = known
            found += known
        return found

    def _quota(self, document: Document, device: Device) -> Quota | None:
        """The smallest of all that it has."""
        quotas = [section.quota for _, section in self._sections(document, device) if section.quota is not None]
        messages = min((each.messages for each in quotas if each.messages is not None), default=None)
        octets = min((each.octets for each in quotas if each.octets is not None), default=None)
        return None if messages is None and octets is None else Quota(messages, octets)


def _both(after: list[Held], before: list[Held], alone: bool = False) -> tuple[list[Gain], list[Gain]]:
    """(gained, lost). `alone`: they are not all that somebody holds, so that a denial tells by itself."""
    gained: list[Gain] = []
    lost: list[Gain] = []
    for operation, publish in ((PUBLISH, True), (SUBSCRIBE, False)):
        new, old = Holding(after, publish), Holding(before, publish)
        for found, mine, theirs in ((gained, new, old), (lost, old, new)):
            found += gains(mine, theirs, operation)
            if alone:
                found += undenied(mine, theirs, operation)
    return gained, lost


def _meaning(section: Section) -> tuple[object, ...]:
    # Of those with a rate two permit twice as much.
    counted = Counter(normal(each) for each in section.permissions)
    return frozenset((each, 1 if each.rate is None else times) for each, times in counted.items()), section.quota


def _quota_words(quota: Quota | None) -> str:
    return quota_text(quota) if quota is not None else ""


def _bindings_of_interest(
    permissions: Sequence[PermissionRecord], fixed: Mapping[str, tuple[str, ...]]
) -> tuple[list[Bindings], bool]:
    """For a block by itself: each placeholder as whichever name, and as each that a filter has in its place. The
    second value: whether there are no others that matter."""
    filters = [each.topic_filter.split("/") for each in permissions]
    parts = {level for levels in filters for level in levels if "${" in level and PLACEHOLDER.fullmatch(level) is None}
    exact = len(parts) < 2 and not any(len(PLACEHOLDER.findall(level)) > 1 for level in parts)
    choices: dict[str, dict[tuple[str, ...], None]] = {}
    for levels in filters:
        for depth, level in enumerate(levels):
            for name in PLACEHOLDER.findall(level):
                if name in fixed:
                    continue
                symbol = "${" + name + "}"
                usual = (symbol, symbol + _SECOND) if name == "group" else (symbol,)
                known = choices.setdefault(name, {usual: None})
                for other in filters:
                    literal = other[depth] if depth < len(other) else "+"
                    if literal not in ("+", "#") and "${" not in literal:
                        value = _value_in(level, symbol, literal)
                        if value:
                            known[(value, usual[0]) if name == "group" else (value,)] = None
    names = list(choices)
    total = 1
    for name in names:
        total *= len(choices[name])
    if total <= MOST_NAMES:
        rows = itertools.product(*choices.values())
        return [{**fixed, **dict(zip(names, row, strict=True))} for row in rows], exact
    usuals = {name: next(iter(choices[name])) for name in names}
    single = [{**fixed, **usuals, name: value} for name in names for value in choices[name]]
    return [{**fixed, **usuals}, *single], False


def _value_in(level: str, symbol: str, literal: str) -> str:
    """What the placeholder must stand for so that the level is `literal`; empty: it can't, or it is not so simple."""
    before, _, after = level.partition(symbol)
    if "${" in before or "${" in after or len(literal) <= len(before) + len(after):
        return ""
    if literal.startswith(before) and literal.endswith(after):
        return literal[len(before) : len(literal) - len(after)]
    return ""
