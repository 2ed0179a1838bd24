"""`bridgehead policy`: check, show, compare and apply the policy, and ask what follows from it."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.device_options import Data, Json, note
from bridgehead.cli.identity_at import open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError
from bridgehead.cli.policy_files import CURRENT, MaybeData, PolicyFile, read_octets, read_policy, registry_of

if TYPE_CHECKING:
    from bridgehead.security.policy.apply import Applied
    from bridgehead.security.policy.document import Document
    from bridgehead.security.records import Device

DIFFERS: Final = 1
GAINED: Final = 3

Side = Annotated[
    str,
    typer.Argument(metavar="OLD|NEW", help="Policy file; `current` (or -) is what is in force.", show_default=False),
]
AllDevices = Annotated[
    bool, typer.Option("--devices", help="Devices that the file does not name lose their own permissions.")
]


def register(app: typer.Typer) -> None:
    from bridgehead.cli import policy_explain, policy_import

    commands = typer.Typer(
        help="The policy: who may publish and receive what, and why. Ask and compare before it is in force.",
        no_args_is_help=True,
    )
    commands.command("check")(check)
    commands.command("show")(show)
    commands.command("diff")(diff)
    commands.command("apply")(apply)
    policy_explain.register(commands)
    policy_import.register(commands)
    app.add_typer(commands, name="policy")


def check(file: PolicyFile, data: MaybeData = None, as_json: Json = False) -> int:
    """Is the file a policy? Tells every fault with its line. 0: it is one, 2: it is none."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.cli.policy_view import fault_lines, fault_values, print_lines
    from bridgehead.security.policy.apply import attribute_names, misfits
    from bridgehead.security.policy.document import PolicyFaults
    from bridgehead.security.policy.text import decode, parse

    devices: list[Device] | None = None
    if data is not None:
        with sentences(), registry_of(data) as registry:
            devices = registry.devices()
    octets, name = read_octets(file)
    try:
        document, faults = parse(decode(octets, name), name, None if devices is None else attribute_names(devices))
        if devices is not None:
            faults = sorted([*faults, *misfits(document, devices)], key=lambda fault: fault.line)
    except PolicyFaults as fault:
        faults = fault.faults
    correct = all(fault.warning for fault in faults)
    if as_json:
        print_json({"file": name, "correct": correct, "faults": fault_values(faults)})
    elif correct:
        print_lines([*fault_lines(name, faults), f"{name}: correct"])
    else:
        for line in fault_lines(name, faults):
            print(line, file=sys.stderr)
    return 0 if correct else USAGE


def show(data: Data, as_json: Json = False) -> None:
    """The policy in force, as the text that `apply` takes."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.cli.policy_view import document_value, print_lines
    from bridgehead.security.policy.apply import in_force
    from bridgehead.security.policy.printer import print_policy

    with sentences(), registry_of(data) as registry, registry.transaction():
        document, policy = in_force(registry), registry.policy()
    if as_json:
        print_json(document_value(document, policy))
    else:
        print_lines([f"# revision {policy.revision}", "", *print_policy(document).splitlines()])


def diff(
    old: Side,
    new: Side,
    data: MaybeData = None,
    fail_on_gain: Annotated[
        list[str] | None,
        typer.Option("--fail-on-gain", metavar="FILTER", help="Exit with 3 when anybody gains a right within it."),
    ] = None,
    all_devices: AllDevices = False,
    as_json: Json = False,
) -> int:
    """Who gains and loses which rights between two policies. 0: nobody, 1: somebody, 2: an error, 3: --fail-on-gain."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.cli.policy_view import difference_lines, difference_value, gain_text, print_lines
    from bridgehead.security.policy.apply import attribute_names, completed, in_force
    from bridgehead.security.policy.compare import compare
    from bridgehead.security.policy.statement import check_filter

    with sentences():
        for topic_filter in fail_on_gain or ():
            check_filter(topic_filter)
        current: Document | None = None
        devices: list[Device] | None = None
        if data is not None:
            with registry_of(data) as registry, registry.transaction():
                current, devices = in_force(registry), registry.devices()
        elif old in CURRENT or new in CURRENT:
            raise CommandError("what is in force is in the hub's data folder: give --data DIR", USAGE)
        attributes = None if devices is None else attribute_names(devices)
        sides: list[Document] = []
        for side in (old, new):
            if side in CURRENT and current is not None:
                sides.append(current)
                continue
            document, _ = read_policy(side, attributes)
            sides.append(document if current is None else completed(document, current, all_devices))
        difference = compare(sides[0], sides[1], time.time(), devices, fail_on_gain or ())
    gained = [
        (topic_filter, *found) for topic_filter in fail_on_gain or () for found in difference.gains_within(topic_filter)
    ]
    if as_json:
        value = difference_value(difference)
        value["failing"] = [
            {"filter": topic_filter, "kind": change.kind, "names": list(change.names), "gain": str(gain)}
            for topic_filter, change, gain in gained
        ]
        print_json(value)
    else:
        print_lines(difference_lines(difference))
        for topic_filter, change, gain in gained:
            print(f"bridgehead policy: {change} gains within {topic_filter}: {gain_text(gain)}", file=sys.stderr)
    unsure = [change for change in difference.blocks if change.unsure and devices is None] if fail_on_gain else []
    for change in unsure:
        note(f"{change} may gain more for some names than was looked at: give --data, and each device is")
    return GAINED if gained or unsure else 0 if difference.is_none() else DIFFERS


def apply(
    file: PolicyFile,
    data: Data,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    if_revision: Annotated[
        int | None, typer.Option("--if-revision", metavar="N", help="Only when revision N is the one in force.")
    ] = None,
    all_devices: AllDevices = False,
    as_json: Json = False,
) -> None:
    """Put a policy in force, all of it or nothing. A running hub judges everything anew within a second."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.cli.policy_view import counts, difference_lines, difference_value, print_lines
    from bridgehead.security.identity.audit import refusals
    from bridgehead.security.policy.apply import apply as put_in_force
    from bridgehead.security.policy.apply import attribute_names, prepare
    from bridgehead.security.policy.events import POLICY_APPLIED

    with open_identity(data) as identity, refusals(identity.audit, "policy apply", file):
        document, name = read_policy(file, attribute_names(identity.registry.devices()))
        done: Applied | None = None
        now = time.time()
        prepared = prepare(identity.registry, document, now, all_devices)
        with contextlib.suppress(_TriedOnly), identity.registry.transaction():
            done = put_in_force(
                identity.registry,
                document,
                name,
                now,
                if_revision=if_revision,
                all_devices=all_devices,
                prepared=prepared,
            )
            if dry_run:
                raise _TriedOnly
            gaining, losing = counts(done.difference)
            identity.audit(
                POLICY_APPLIED,
                {"source": name, "revision": done.revision, "gaining": gaining, "losing": losing},
            )
        assert done is not None
    if as_json:
        value = difference_value(done.difference)
        value["revision"] = done.before if dry_run else done.revision
        value["applied"] = not dry_run
        print_json(value)
        return
    print_lines(difference_lines(done.difference))
    gaining, losing = counts(done.difference)
    print(f"{gaining} device(s) gain rights, {losing} lose some")
    if dry_run:
        note(f"nothing is changed: revision {done.before} stays in force")
    else:
        print(f"applied: revision {done.revision}, after {done.before}")


class _TriedOnly(Exception):
    """Takes back what was done within the transaction."""
