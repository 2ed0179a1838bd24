"""docs/events.md, made from the code: `python -m tests.audit.events_table` writes it, a test holds both together."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from bridgehead.node.vocabulary import VOCABULARY
from bridgehead.security.audit.vocabulary import AUDITED, NOT_AUDITED

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "events.md"
BEGIN = "<!-- made by tests/audit/events_table.py -->\n"
SOURCES = (
    "broker/events.py",
    "security/events.py",
    "security/audit/events.py",
    "security/audit/vocabulary.py",
    "security/policy/events.py",
    "protocols/dds/events.py",
    "transport/events.py",
    "node/vocabulary.py",
)
_CONSTANT = re.compile(r'^[A-Z_]+: Final = "([a-z-]+\.[a-z-]+)"(?:\s+# (.*))?$')


def notes() -> dict[str, str]:
    """What the source says of an event: behind its name, or in the comment above."""
    found: dict[str, str] = {}
    for source in SOURCES:
        above: list[str] = []
        for line in (ROOT / "src" / "bridgehead" / source).read_text().splitlines():
            if line.startswith("# "):
                above.append(line[2:])
            elif constant := _CONSTANT.match(line):
                behind = (constant[2] or "").partition("noqa")[0].strip(" #")
                found[constant[1]] = behind or " ".join(above)
                above = []
            else:
                above = []
    return found


def table() -> str:
    told = notes()
    rows = ["| event | log | audit log | what it tells |", "|---|---|---|---|"]
    for event in sorted({*VOCABULARY, *AUDITED, *NOT_AUDITED}):
        level = logging.getLevelName(VOCABULARY[event].level).lower() if event in VOCABULARY else "-"
        kept = AUDITED.get(event) or f"no: {NOT_AUDITED[event]}"
        rows.append(f"| `{event}` | {level} | {kept} | {told.get(event, '')} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(BEGIN) + len(BEGIN)] + "\n" + table())


if __name__ == "__main__":
    main()
