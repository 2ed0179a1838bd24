"""What a policy says in vain: permissions that a denial voids altogether, placeholders that nothing is bound to."""

from __future__ import annotations

import difflib
from typing import Final

from bridgehead.security.policy.algebra import Index, Span, span, witness
from bridgehead.security.policy.document import EVERYONE, Document, Fault, Section
from bridgehead.security.policy.statement import PLACEHOLDER, text_of
from bridgehead.security.records import PermissionRecord

BOUND_ALWAYS: Final = frozenset({"device", "group"})


class _Denials:
    """Of one block, for one operation. A denial under a condition voids nothing for good, unless the permission has
    the same condition."""

    def __init__(self, permissions: tuple[PermissionRecord, ...], publish: bool) -> None:
        denials = [each for each in permissions if not each.allow and (each.publish if publish else each.subscribe)]
        self._denials: Final = denials
        self._spans: Final[list[Span]] = [span(each.topic_filter) for each in denials]
        self._index: Final = Index()
        for number, each in enumerate(self._spans):
            self._index.put(each, number)

    def near(self, one: Span, permission: PermissionRecord) -> list[int]:
        if not self._denials:
            return []
        return [i for i in self._index.overlapping(one) if _holds_whenever(self._denials[i], permission)]

    def denial(self, number: int) -> PermissionRecord:
        return self._denials[number]

    def span(self, number: int) -> Span:
        return self._spans[number]


def _holds_whenever(denial: PermissionRecord, permission: PermissionRecord) -> bool:
    """Whether the denial is in force whenever the permission is, as far as their words tell."""
    if denial.protocols and not (permission.protocols and set(permission.protocols) <= set(denial.protocols)):
        return False
    if denial.mechanisms and not (permission.mechanisms and set(permission.mechanisms) <= set(denial.mechanisms)):
        return False
    return not denial.hours or (bool(permission.hours) and set(permission.hours) <= set(denial.hours))


def check_sense(document: Document, attributes: frozenset[str] | None) -> list[Fault]:
    """`attributes`: the names of those that some device has, None: not known. In no particular order."""
    faults: list[Fault] = []
    for publish in (True, False):
        everyones = _Denials(document.everyone.permissions, publish)
        for kind, _, section in document.sections():
            own = _Denials(section.permissions, publish)
            faults += _void(section, publish, [own] if kind == EVERYONE else [own, everyones])
    for _, _, section in document.sections():
        for permission in section.permissions:
            faults += _unbound(permission, section, attributes)
    return list(dict.fromkeys(faults))


def _void(section: Section, publish: bool, denials: list[_Denials]) -> list[Fault]:
    faults: list[Fault] = []
    for permission in section.permissions:
        if not permission.allow or not (permission.publish if publish else permission.subscribe):
            continue
        one = span(permission.topic_filter)
        near = [(each, number) for each in denials for number in each.near(one, permission)]
        if near and witness(one, [each.span(number) for each, number in near]) is None:
            said = [each.denial(number) for each, number in near]
            shown = " and ".join(f"`{text_of(each)}`{_where(each)}" for each in said[:3])
            faults.append(
                Fault(
                    line_of(permission, section),
                    f"`{text_of(permission)}` can never match: all of it is denied by {shown}; leave one of them out",
                )
            )
    return faults


def _unbound(permission: PermissionRecord, section: Section, attributes: frozenset[str] | None) -> list[Fault]:
    if "${" not in permission.topic_filter:
        return []
    faults = []
    for name in PLACEHOLDER.findall(permission.topic_filter):
        if name in BOUND_ALWAYS or (attributes is not None and name in attributes):
            continue
        near = difflib.get_close_matches(name, [*sorted(BOUND_ALWAYS | (attributes or frozenset()))], n=1)
        guess = f": did you mean ${{{near[0]}}}?" if near else ", so this permission matches nothing as yet"
        if attributes is not None:
            faults.append(Fault(line_of(permission, section), f"no device has an attribute `{name}`{guess}", True))
        elif near:
            faults.append(Fault(line_of(permission, section), f"the attribute `{name}` looks like a slip{guess}", True))
    return faults


def line_of(permission: PermissionRecord, section: Section) -> int:
    """Where it was written, as far as its source tells."""
    number = permission.source.rpartition(":")[2]
    return int(number) if section.line and number.isdigit() else section.line


def _where(denial: PermissionRecord) -> str:
    return f" ({denial.source})" if denial.source else ""
