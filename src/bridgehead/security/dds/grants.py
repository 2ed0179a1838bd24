"""From a device's permissions to the rules of its permissions document: never more than the hub itself would allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from bridgehead.core.rights import Bindings, resolved
from bridgehead.security import mechanisms
from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.names import ANY, Expression
from bridgehead.security.dds.routes import OWNER, TAG, UNROUTED, Routing, device_rules
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.algebra import overlaps, span, witness
from bridgehead.security.records import PermissionRecord

DDS: Final = "dds"
_PROVEN: Final = frozenset((mechanisms.DDS, mechanisms.CERTIFICATE))  # what a participant shows is both
Naming = Callable[[str, bool], list[Expression] | None]


class Grants:
    """`rules` in the order in which they decide. `left_out`: the filters that are not in them, with the reason."""

    def __init__(self, rules: list[Rule], left_out: list[tuple[str, str]]) -> None:
        self.rules: Final = rules
        self.left_out: Final = left_out


def grants(
    permissions: Sequence[PermissionRecord], bindings: Bindings, naming: Naming, routing: Routing = UNROUTED
) -> Grants:
    """`permissions`: all that hold for the device. DDS participants judge each other, and the hub is not between them:
    what needs somebody to count or to look at a clock is left out.

    Errors: NotAcceptable for a denial that DDS cannot say.
    """
    denied: list[tuple[str, PermissionRecord]] = []
    allowed: list[tuple[str, PermissionRecord]] = []
    for each in permissions:
        (allowed if each.allow else denied).extend((found, each) for found in resolved(each.topic_filter, bindings))
    denied = [(topic_filter, each) for topic_filter, each in denied if not _elsewhere(each)]
    routed = Coverage(allowed, denied)
    rules = device_rules(routing, routed)
    wide: list[Rule] = []
    for topic_filter, each in denied:
        found = _denied(topic_filter, naming)
        # Cyclone DDS judges topics before their partitions: to deny every topic in one is to deny all topics.
        named = [expression for expression in found if expression.topic != ANY]
        rules.append(_rule(False, named, each))
        wide.append(_rule(False, [expression for expression in found if expression.topic == ANY], each))
    left_out: list[tuple[str, str]] = []
    for topic_filter, each in allowed:
        if topic_filter.startswith((OWNER, TAG)):
            continue  # the name of a right, in routes' rules
        expressions = naming(topic_filter, False)
        because = _reason(each) if expressions else "DDS has no expression that matches exactly this"
        if not expressions or because:
            left_out.append((topic_filter, because))
            continue
        because = _denied_inside(topic_filter, each, denied)
        if because:
            # A reader may itself ask for the partition "Office/*": no denial of one room would match that.
            safe = [expression for expression in expressions if not _is_open(expression, wide)]
            if len(safe) < len(expressions):
                left_out.append((topic_filter, because))
            expressions = safe
        if expressions:
            rules.append(_rule(True, expressions, each))
    return Grants(rules, left_out)


class Coverage:
    """Whether what a device may do covers all of a Topic Filter: for routes."""

    def __init__(
        self, allowed: Sequence[tuple[str, PermissionRecord]], denied: Sequence[tuple[str, PermissionRecord]]
    ) -> None:
        self._allowed: Final = [(span(found), each) for found, each in allowed if not _reason(each)]
        self._denied: Final = [(span(found), each) for found, each in denied]

    def __call__(self, topic_filter: str, publishes: bool) -> bool:
        wanted = span(topic_filter)
        allowed = [one for one, each in self._allowed if (each.publish if publishes else each.subscribe)]
        denied = [one for one, each in self._denied if (each.publish if publishes else each.subscribe)]
        return witness(wanted, allowed) is None and not any(overlaps(wanted, one) for one in denied)


def _rule(allow: bool, expressions: Sequence[Expression], record: PermissionRecord) -> Rule:
    return Rule(allow, expressions if record.publish else [], expressions if record.subscribe else [])


def _denied(topic_filter: str, naming: Naming) -> list[Expression]:
    found = naming(topic_filter, True)
    if found is not None:
        return found
    if topic_filter.startswith("$"):
        return []  # no name in DDS begins so, and no rule allows one
    raise NotAcceptable(
        f"the denial of {topic_filter!r} cannot be said in DDS: give its levels names of letters, digits and _"
    )


def _is_open(expression: Expression, wide: Sequence[Rule]) -> bool:
    """Whether it reaches into partitions that are denied as a whole, or that a denial could not keep apart."""
    if ANY in expression.partition:
        return True
    denied = [each for rule in wide for each in (*rule.publish, *rule.subscribe)]
    return any(fnmatchcase(expression.partition, each.partition) for each in denied)


def _elsewhere(denial: PermissionRecord) -> bool:
    """It holds for other protocols or proofs only. What it says about hours counts always here."""
    if denial.protocols and DDS not in denial.protocols:
        return True
    return bool(denial.mechanisms) and not _PROVEN & set(denial.mechanisms)


def _reason(record: PermissionRecord) -> str:
    if record.protocols and DDS not in record.protocols:
        return f"it holds over {' and '.join(record.protocols)} only"
    if record.mechanisms and not _PROVEN & set(record.mechanisms):
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
            return f"in part, because the denial of {other} could be got round there"
    return ""
