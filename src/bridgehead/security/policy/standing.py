"""What one device may do under a policy, at a time and over a connection: decided by the core, told with its line."""

from __future__ import annotations

from typing import Final

from bridgehead.core.clearance import because_of, explain_clearance, explain_tagging, tag_topic
from bridgehead.core.policy import Context, Decision, Permission, Principal, Rights
from bridgehead.core.rights import resolved
from bridgehead.core.topic import covers
from bridgehead.security.hours import Hours
from bridgehead.security.mechanisms import CERTIFICATE, PASSWORD
from bridgehead.security.policy.document import DEVICE, EVERYONE, GROUP, NOTHING, ROLE, Document, Section
from bridgehead.security.policy.statement import text_of
from bridgehead.security.records import Device, PermissionRecord, Quota
from bridgehead.security.rights.enforced import bindings_of, in_force, is_barred

PUBLISH: Final = "publish"
SUBSCRIBE: Final = "subscribe"
RECEIVE: Final = "receive"
OPERATIONS: Final = (PUBLISH, SUBSCRIBE, RECEIVE)


class Question:
    """What is asked. `payload` in octets; `verified`: whether the message's origin proved itself over a protected
    transport; `tags`: its data tags ("NAME=VALUE"); `at`: seconds since the epoch."""

    def __init__(
        self,
        operation: str,
        topic: str,
        context: Context,
        at: float,
        qos: int = 0,
        retain: bool = False,
        payload: int = -1,
        verified: bool = True,
        tags: tuple[str, ...] = (),
    ) -> None:
        self.operation: Final = operation
        self.topic: Final = topic
        self.context: Final = context
        self.at: Final = at
        self.qos: Final = qos
        self.retain: Final = retain
        self.payload: Final = payload
        self.verified: Final = verified
        self.tags: Final = tags


class Answer:
    """`resting`: permissions that cover it and are outside their hours, each with when that changes. Of what may be
    published, `rates`: the lines that permit it, when each of them has a rate (whose it is, the permission); `quotas`:
    those that count it (whose it is, the quota). `tags`: what is decided for each data tag, as far as it was asked."""

    def __init__(
        self,
        decision: Decision,
        resting: list[tuple[str, PermissionRecord, float]],
        rates: list[tuple[str, Permission]],
        quotas: list[tuple[str, Quota]],
        tags: list[tuple[str, Decision]],
    ) -> None:
        self.decision: Final = decision
        self.resting: Final = resting
        self.rates: Final = rates
        self.quotas: Final = quotas
        self.tags: Final = tags


def sections_of(document: Document, device: Device) -> list[tuple[str, Section, dict[str, tuple[str, ...]]]]:
    """(holder, section, the placeholders that have a value of their own there) of all that the device has."""
    found: list[tuple[str, Section, dict[str, tuple[str, ...]]]] = [(EVERYONE, document.everyone, {})]
    for name in dict.fromkeys(device.roles):
        found.append((f"{ROLE} {name}", document.roles.get(name, NOTHING), {}))
    for name in dict.fromkeys(device.groups):
        found.append((f"{GROUP} {name}", document.groups.get(name, NOTHING), {"group": (name,)}))
    found.append((f"{DEVICE} {device.name}", document.devices.get(device.name, NOTHING), {}))
    return found


def usual_context(device: Device, protocol: str) -> Context:
    """The connection that the record is made for: by certificate where it has one, else by password."""
    certified = bool(device.certificates or device.foreign_certificates)
    if device.require == "password+certificate":
        return Context(protocol, (PASSWORD, CERTIFICATE))
    return Context(protocol, (CERTIFICATE,) if certified else (PASSWORD,))


def principal_of(document: Document, device: Device, at: float) -> Principal:
    """As the hub makes it, with what holds at that time."""
    rights = [
        Rights(
            holder,
            in_force(section.permissions, at)[0],
            bindings,
        )
        for holder, section, bindings in sections_of(document, device)
    ]
    return Principal(device.name, rights, bindings_of(device), list(device.client_ids), device.created)


def answer(document: Document, device: Device, question: Question) -> Answer:
    """`question.topic` is a valid Topic Name, or a Topic Filter for SUBSCRIBE."""
    if is_barred(device):
        state = "is disabled" if device.revoked_at is None else "was revoked"
        return Answer(
            Decision(False, f"{device.name!r} {state}: as it is, it may nothing at all", None), [], [], [], []
        )
    view = principal_of(document, device, question.at).under(question.context)
    rates: list[tuple[str, Permission]] = []
    quotas: list[tuple[str, Quota]] = []
    tags: list[tuple[str, Decision]] = []
    if question.operation == PUBLISH:
        decision = _publish(view, question)
    elif question.operation == SUBSCRIBE:
        decision = view.explain_subscribe(question.topic, thorough=True)
    else:
        decision = view.explain_receive(question.topic, question.verified, thorough=True)
    for tag in question.tags:
        if decision.permit:
            found = _tag(view, question, tag)
            tags.append((tag, found))
            if not found.permit:
                because = because_of(tag, found)
                decision = Decision(False, because, found.permission, found.rights, found.meaning, found.nearest)
    if question.operation == PUBLISH and decision.permit:
        rates = _rates(view, question)
        quotas = [
            (holder, section.quota) for holder, section, _ in sections_of(document, device) if section.quota is not None
        ]
    return Answer(decision, _resting(document, device, question), rates, quotas, tags)


def _tag(view: Principal, question: Question, tag: str) -> Decision:
    """A subscription is made whatever tags there are: they decide at each delivery."""
    if question.operation == PUBLISH:
        return explain_tagging(view, tag, question.verified, thorough=True)
    return explain_clearance(view, tag, thorough=True)


def _publish(view: Principal, question: Question) -> Decision:
    return view.explain_publish(
        question.topic, question.qos, question.retain, question.payload, question.verified, thorough=True
    )


def _rates(view: Principal, question: Question) -> list[tuple[str, Permission]]:
    """Takes away one line with a rate after the other, until one without permits the message or none is left."""
    found: list[tuple[str, Permission]] = []
    rights = view.rights
    while (decision := _publish(view, question)).permit:
        taken = decision.permission
        if taken is None or taken.rate <= 0:
            return []
        found.append((decision.rights, taken))
        rights = [
            Rights(each.name, [one for one in each.permissions if one is not taken], each.bindings) for each in rights
        ]
        view = Principal(view.name, rights, view.bindings, view.client_ids, view.created).under(question.context)
    return found


def _resting(document: Document, device: Device, question: Question) -> list[tuple[str, PermissionRecord, float]]:
    values = bindings_of(device)
    topics = (question.topic, *map(tag_topic, question.tags))
    found: list[tuple[str, PermissionRecord, float]] = []
    for holder, section, own in sections_of(document, device):
        for each in section.permissions:
            if in_force([each], question.at)[0] or not (
                each.publish if question.operation == PUBLISH else each.subscribe
            ):
                continue
            filters = resolved(each.topic_filter, values, own)
            if any(covers(topic_filter, topic) for topic_filter in filters for topic in topics):
                changes = min(Hours.parse(text).next_change(question.at) for text in each.hours)
                found.append((holder, each, changes))
    return found


def line_of(holder: str, permission: PermissionRecord) -> str:
    return f"{text_of(permission)} ({holder}{', ' if permission.source else ''}{permission.source})"
