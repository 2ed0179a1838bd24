"""Writes a policy as text: always the same text for the same policy, and read again it is the same policy."""

from __future__ import annotations

from collections.abc import Mapping

from bridgehead.security.policy.document import DEVICE, EVERYONE, GROUP, NOTHING, ROLE, Document, Section
from bridgehead.security.policy.statement import text_of
from bridgehead.security.policy.text import OF_REVOKED
from bridgehead.security.policy.units import quota_text


def print_policy(document: Document) -> str:
    """Blocks in the order everyone, roles, groups, devices, each by name; permissions in their own order."""
    lines: list[str] = []
    if document.retained_of_revoked != "keep":
        lines += [f"{OF_REVOKED} {document.retained_of_revoked}", ""]
    if document.everyone.permissions or document.everyone.quota is not None:
        lines += [*block(EVERYONE, document.everyone), ""]
    for kind, sections in ((ROLE, document.roles), (GROUP, document.groups), (DEVICE, document.devices)):
        lines += _blocks(kind, sections)
    return "\n".join(lines).rstrip("\n") + "\n" if lines else ""


def _blocks(kind: str, sections: Mapping[str, Section]) -> list[str]:
    lines: list[str] = []
    for name in sorted(sections):
        lines += [*block(f"{kind} {name}", sections.get(name, NOTHING)), ""]
    return lines


def block(head: str, section: Section) -> list[str]:
    lines = [head]
    if section.quota is not None and quota_text(section.quota):
        lines.append(f"  quota {quota_text(section.quota)}")
    lines += [f"  {text_of(each)}" for each in section.permissions]
    return lines
