"""From a device's permissions to the rules of its permissions document: never more than the hub itself would allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bridgehead.core.rights import Bindings, resolved
from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.names import ANY, Expression
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.algebra import overlaps, span
from bridgehead.security.records import PermissionRecord

DDS: Final = "dds"
Naming = Callable[[str, bool], list[Expression] | None]


class Grants:
    """`rules` in the order in which they decide. `left_out`: the filters that are not in them, with the reason."""

    def __init__(self, rules: list[Rule], left_out: list[tuple[str, str]]) -> None:
        self.rules: Final = rules
        self.left_out: Final = left_out


def grants(permissions: Sequence[PermissionRecord], bindings: Bindings, naming: Naming) -> Grants:
    """`permissions`: all that hold for the device. DDS participants judge each other, and the hub is not between them:
    what needs somebody to count or to look at a clock is left out.

    Errors: NotAcceptable for a denial that DDS cannot say.
    """
    denied: list[tuple[str, PermissionRecord]] = []
    allowed: list[tuple[str, PermissionRecord]] = []
    for each in permissions:
        (allowed if each.allow else denied).extend((found, each) for found in resolved(each.topic_filter, bindings))
    rules = [_denial(topic_filter, each, naming) for topic_filter, each in denied if not _elsewhere(each)]
    left_out: list[tuple[str, str]] = []
    for topic_filter, each in allowed:
        found = naming(topic_filter, False)
        because = _reason(each) if found is not None else "DDS has no expression that matches exactly this"
        if not because and found is not None and any(ANY in expression.partition for expression in found):
            # A reader may itself ask for the partition "Office/*": no denial of one room would match that.
            because = _denied_inside(topic_filter, each, denied)
        if because or found is None:
            left_out.append((topic_filter, because))
        else:
            rules.append(Rule(True, found if each.publish else [], found if each.subscribe else []))
    return Grants(rules, left_out)


def _denial(topic_filter: str, record: PermissionRecord, naming: Naming) -> Rule:
    found = naming(topic_filter, True)
    if found is None:
        if topic_filter.startswith("$"):
            return Rule(False, [], [])  # no name in DDS begins so, and no rule allows one
        raise NotAcceptable(
            f"the denial of {topic_filter!r} cannot be said in DDS: give its levels names of letters, digits and _"
        )
    return Rule(False, found if record.publish else [], found if record.subscribe else [])


def _elsewhere(denial: PermissionRecord) -> bool:
    """It holds for other protocols or proofs only. What it says about hours counts always here."""
    if denial.protocols and DDS not in denial.protocols:
        return True
    return bool(denial.mechanisms) and DDS not in denial.mechanisms


def _reason(record: PermissionRecord) -> str:
    if record.protocols and DDS not in record.protocols:
        return f"it holds over {' and '.join(record.protocols)} only"
    if record.mechanisms and DDS not in record.mechanisms:
        return f"it holds for whoever is proven by {' or '.join(record.mechanisms)} only"
    if record.hours:
        return "participants do not keep hours"
    if record.publish and (record.rate is not None or record.max_payload is not None):
        return "participants do not count messages or octets"
    return ""


def _denied_inside(topic_filter: str, record: PermissionRecord, denied: Sequence[tuple[str, PermissionRecord]]) -> str:
    mine = span(topic_filter)
    for other, denial in denied:
        same = (record.publish and denial.publish) or (record.subscribe and denial.subscribe)
        if same and overlaps(mine, span(other)):
            return f"the denial of {other} cannot be kept up inside of it"
    return ""
