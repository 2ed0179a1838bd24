"""`bridgehead policy explain` and `what-if`: what a device may do, by which line, and what it would gain and lose."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.device_options import Data, Json
from bridgehead.cli.identity_at import sentences
from bridgehead.cli.main import USAGE, CommandError
from bridgehead.cli.policy_files import PolicyFile, read_policy, registry_of

if TYPE_CHECKING:
    from bridgehead.security.policy.document import Document
    from bridgehead.security.policy.standing import Answer, Question
    from bridgehead.security.records import Device

DENIED: Final = 1
OPERATIONS: Final = ("publish", "subscribe", "receive")

DeviceName = Annotated[str, typer.Argument(metavar="DEVICE", show_default=False)]
Operation = Annotated[str, typer.Argument(metavar="publish|subscribe|receive", show_default=False)]
Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="Topic Name, or Topic Filter to subscribe to.")]
Qos = Annotated[int, typer.Option("--qos", metavar="0|1|2", help="QoS of the message.")]
Retain = Annotated[bool, typer.Option("--retain", help="The message is to be retained.")]
Payload = Annotated[int | None, typer.Option("--payload", metavar="N", help="Its size in octets.")]
Unverified = Annotated[bool, typer.Option("--unverified", help="It comes over a connection without protection.")]
Protocol = Annotated[str, typer.Option("--protocol", metavar="NAME", help="Protocol of the connection.")]
Mechanism = Annotated[
    list[str] | None,
    typer.Option("--mechanism", metavar="KIND", help="How the identity was proven; default: what its record has."),
]
Tag = Annotated[
    list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="A data tag that it bears; may be given again.")
]
At = Annotated[str | None, typer.Option("--at", metavar="TIME", help="ISO 8601, UTC without a zone; default: now.")]


def register(commands: typer.Typer) -> None:
    commands.command("explain")(explain)
    commands.command("what-if")(what_if)


def explain(
    device: DeviceName,
    operation: Operation,
    topic: Topic,
    data: Data,
    qos: Qos = 0,
    retain: Retain = False,
    payload: Payload = None,
    unverified: Unverified = False,
    protocol: Protocol = "mqtt",
    mechanism: Mechanism = None,
    tag: Tag = None,
    at: At = None,
    as_json: Json = False,
) -> int:
    """May the device do it, and by which line; if not, what is nearest to permitting it. 0: it may, 1: it may not."""
    from bridgehead.security.policy.apply import in_force

    with sentences(), registry_of(data) as registry:
        known = registry.existing_device(device)
        question = _question(known, operation, topic, qos, retain, payload, unverified, protocol, mechanism, tag, at)
        return _tell(in_force(registry), known, question, as_json)


def what_if(
    file: PolicyFile,
    device: DeviceName,
    data: Data,
    operation: Annotated[str | None, typer.Argument(metavar="[publish|subscribe|receive")] = None,
    topic: Annotated[str | None, typer.Argument(metavar="TOPIC]", help="Without it: all it gains and loses.")] = None,
    qos: Qos = 0,
    retain: Retain = False,
    payload: Payload = None,
    unverified: Unverified = False,
    protocol: Protocol = "mqtt",
    mechanism: Mechanism = None,
    tag: Tag = None,
    at: At = None,
    as_json: Json = False,
) -> int:
    """As `explain`, as if FILE were applied; without an operation, all that the device would gain and lose."""
    from bridgehead.security.policy.apply import attribute_names, completed, in_force

    with sentences(), registry_of(data) as registry:
        known = registry.existing_device(device)
        current = in_force(registry)
        document, _ = read_policy(file, attribute_names(registry.devices()))
        wanted = completed(document, current, False)
        if operation is None:
            return _change(current, wanted, known, as_json)
        if topic is None:
            raise CommandError(f"what shall it {operation}? Give a topic after it", USAGE)
        question = _question(known, operation, topic, qos, retain, payload, unverified, protocol, mechanism, tag, at)
        return _tell(wanted, known, question, as_json)


def _question(
    device: Device,
    operation: str,
    topic: str,
    qos: int,
    retain: bool,
    payload: int | None,
    unverified: bool,
    protocol: str,
    mechanism: list[str] | None,
    tag: list[str] | None,
    at: str | None,
) -> Question:
    from bridgehead.core.errors import Refusal
    from bridgehead.core.policy import Context
    from bridgehead.core.topic import check_topic_filter, check_topic_name
    from bridgehead.security.mechanisms import KINDS, PROTOCOLS
    from bridgehead.security.policy.standing import Question, usual_context
    from bridgehead.security.policy.statement import nearest

    if operation not in OPERATIONS:
        raise CommandError(f"`{operation}` is no operation: {nearest(operation, OPERATIONS)}", USAGE)
    if qos not in (0, 1, 2):
        raise CommandError(f"--qos {qos} is no QoS: it is 0, 1 or 2", USAGE)
    if protocol not in PROTOCOLS:
        raise CommandError(f"--protocol {protocol} is unknown: {nearest(protocol, sorted(PROTOCOLS))}", USAGE)
    for kind in mechanism or ():
        if kind not in KINDS:
            raise CommandError(f"--mechanism {kind} is unknown: {nearest(kind, sorted(KINDS))}", USAGE)
    try:
        if operation == "subscribe":
            check_topic_filter(topic)
        else:
            check_topic_name(topic)
    except Refusal as refusal:
        raise CommandError(f"{topic!r}: {refusal.because}", USAGE) from None
    tags = tuple(_tag(each, operation) for each in tag or ())
    context = Context(protocol, tuple(mechanism)) if mechanism else usual_context(device, protocol)
    size = -1 if payload is None else payload
    return Question(operation, topic, context, _moment(at), qos, retain, size, not unverified, tags)


def _tag(text: str, operation: str) -> str:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise CommandError(f"--tag {text!r} is no data tag: write it as classification=secret", USAGE)
    if operation == "subscribe":
        raise CommandError("a data tag refuses no subscription, it decides at each delivery: ask for `receive`", USAGE)
    return text


def _moment(at: str | None) -> float:
    if at is None:
        return time.time()
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise CommandError(f"--at {at!r} is no time: write it as 2026-11-22T18:30:00+01:00", USAGE) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _tell(document: Document, device: Device, question: Question, as_json: bool) -> int:
    from bridgehead.cli.device_show import print_json
    from bridgehead.cli.policy_view import print_lines
    from bridgehead.security.policy.standing import answer, line_of
    from bridgehead.security.policy.units import quota_text

    found = answer(document, device, question)
    decision = found.decision
    if as_json:
        named = decision.permission if decision.permission is not None else decision.nearest
        print_json(
            {
                "device": device.name,
                "enabled": device.enabled,
                "operation": question.operation,
                "topic": question.topic,
                "permitted": decision.permit,
                "because": decision.because,
                "holder": decision.rights,
                "permission": None if decision.permission is None else str(decision.permission),
                "nearest": None if decision.nearest is None else str(decision.nearest),
                "source": "" if named is None else named.source,
                "protocol": question.context.protocol,
                "mechanisms": list(question.context.mechanisms),
                "at": _utc(question.at),
                "tags": [
                    {"tag": tag, "permitted": each.permit, "because": each.because, "holder": each.rights}
                    for tag, each in found.tags
                ],
                "rates": [{"holder": holder, "permission": str(each)} for holder, each in found.rates],
                "quotas": [{"holder": holder, "quota": quota_text(each)} for holder, each in found.quotas],
                "outside_hours": [
                    {"permission": line_of(holder, each), "until": None if until == float("inf") else _utc(until)}
                    for holder, each, until in found.resting
                ],
            }
        )
    else:
        print_lines(_lines(found, question))
    return 0 if decision.permit else DENIED


def _lines(found: Answer, question: Question) -> list[str]:
    from bridgehead.core.clearance import because_of
    from bridgehead.security.policy.standing import line_of
    from bridgehead.security.policy.units import quota_text, rate_text

    decision = found.decision
    lines = [f"{'+ permitted' if decision.permit else '- denied'}: {decision.because}"]
    lines.append(f"  asked for a connection over {question.context}, at {_utc(question.at)}")
    lines += [f"  {because_of(tag, each)}" for tag, each in found.tags if each.permit]
    for name, permission in found.rates:
        lines.append(f"  as long as it keeps to {rate_text(permission.rate)}: {permission} ({name})")
    for name, quota in found.quotas:
        lines.append(f"  as long as all that it publishes keeps to {quota_text(quota)}: the quota of {name}")
    for holder, each, until in found.resting:
        when = "" if until == float("inf") else f", next time at {_utc(until)}"
        lines.append(f"  outside its hours{when}: {line_of(holder, each)}")
    return lines


def _change(current: Document, wanted: Document, device: Device, as_json: bool) -> int:
    from bridgehead.cli.device_show import print_json
    from bridgehead.cli.policy_view import change_lines, change_value, print_lines
    from bridgehead.security.policy.compare import compare

    difference = compare(current, wanted, time.time(), [device], apart=True)
    changes = difference.devices or ()
    if as_json:
        print_json({"device": device.name, "changes": [change_value(each) for each in changes]})
    elif changes:
        print_lines([line for change in changes for line in change_lines(change)])
    else:
        print(f"{device.name} would gain and lose nothing")
    return 1 if changes else 0


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
