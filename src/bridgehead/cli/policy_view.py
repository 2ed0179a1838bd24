"""How policies and their differences are shown: as text for people, coloured on a terminal, and as plain values."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from bridgehead.cli.device_show import Value
from bridgehead.security.policy.compare import Change, Difference
from bridgehead.security.policy.document import DEVICE, Document, Fault, place
from bridgehead.security.policy.gains import Gain
from bridgehead.security.policy.statement import text_of
from bridgehead.security.policy.units import quota_text
from bridgehead.security.records import Policy

_SHOWN: Final = 8  # devices in a line
_STYLES: Final = {"+": "green", "-": "red", "~": "yellow", "#": "dim"}


def print_lines(lines: Iterable[str]) -> None:
    """Coloured by its first sign on a terminal."""
    if not sys.stdout.isatty():
        for line in lines:
            print(line)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line in lines:
        start = line.strip()[:1]
        style = _STYLES.get(start, "bold" if line and not line.startswith(" ") else "")
        console.print(Text(line, style=style), soft_wrap=True)


def fault_lines(name: str, faults: Iterable[Fault]) -> list[str]:
    return [f"{place(name, each)}: {'warning: ' if each.warning else ''}{each.text}" for each in faults]


def fault_values(faults: Iterable[Fault]) -> list[Value]:
    return [{"line": each.line, "text": each.text, "warning": each.warning} for each in faults]


def document_value(document: Document, policy: Policy) -> Value:
    applied = datetime.fromtimestamp(policy.applied_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "revision": policy.revision,
        "applied_at": applied if policy.revision else None,
        "retained_of_revoked": document.retained_of_revoked,
        "blocks": [
            {
                "kind": kind,
                "name": name,
                "quota": None if section.quota is None else quota_text(section.quota),
                "permissions": [{"text": text_of(each), "source": each.source} for each in section.permissions],
            }
            for kind, name, section in document.sections()
        ],
    }


# Differences. ---------------------------------------------------------------------------------------


def difference_lines(difference: Difference) -> list[str]:
    lines: list[str] = []
    if difference.of_revoked is not None:
        lines.append(f"~ retained-of-revoked {difference.of_revoked[0]} -> {difference.of_revoked[1]}")
    if difference.blocks:
        lines.append("in the policy")
        lines += [line for change in difference.blocks for line in change_lines(change)]
    if difference.devices:
        lines.append("for devices")
        lines += [line for change in difference.devices for line in change_lines(change)]
    if difference.is_none():
        lines.append("no difference: both permit the same")
    elif difference.devices is not None and not difference.devices:
        lines.append("no device gains or loses anything")
    return lines


def change_lines(change: Change) -> list[str]:
    lines = [f"  {_holder(change)}"]
    if change.quota is not None:
        lines.append(f"    ~ quota {change.quota[0] or 'none'} -> {change.quota[1] or 'none'}")
    lines += [f"    + {gain_text(gain)}" for gain in change.gained]
    lines += [f"    - {gain_text(gain)}" for gain in change.lost]
    if change.reworded:
        lines.append("    # otherwise worded, and the same rights")
    if change.unsure:
        lines.append("    ~ for some names the rights may differ in yet another way: look at it with --data")
    return lines


def gain_text(gain: Gain) -> str:
    text = str(gain)
    return text if gain.whole or gain.topic == str(gain.span) else f"{text}   e.g. {gain.topic}"


def _holder(change: Change) -> str:
    if change.kind != DEVICE or len(change.names) == 1:
        return str(change)
    rest = len(change.names) - _SHOWN
    shown = ", ".join(change.names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
    return f"{len(change.names)} devices: {shown}"


def difference_value(difference: Difference) -> Value:
    return {
        "differs": not difference.is_none(),
        "retained_of_revoked": None if difference.of_revoked is None else list(difference.of_revoked),
        "blocks": [change_value(each) for each in difference.blocks],
        "devices": None if difference.devices is None else [change_value(each) for each in difference.devices],
    }


def change_value(change: Change) -> Value:
    return {
        "kind": change.kind,
        "names": list(change.names),
        "gained": [gain_value(each) for each in change.gained],
        "lost": [gain_value(each) for each in change.lost],
        "quota": None if change.quota is None else {"before": change.quota[0], "after": change.quota[1]},
        "reworded": change.reworded,
        "unsure": change.unsure,
    }


def gain_value(gain: Gain) -> Value:
    return {
        "operation": gain.operation,
        "filter": str(gain.span),
        "except": [str(each) for each in gain.excepted],
        "example": gain.topic,
        "differs_in": list(gain.only),
        "as_one_subscription": gain.whole,
        "always": gain.always,
        "permission": text_of(gain.held.record),
        "holder": gain.held.holder,
        "source": gain.held.record.source,
    }


def counts(difference: Difference) -> tuple[int, int]:
    """How many devices gain something, and how many lose something."""
    changes: Sequence[Change] = difference.devices or ()
    return (
        sum(len(each.names) for each in changes if each.gained),
        sum(len(each.names) for each in changes if each.lost),
    )
