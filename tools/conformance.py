"""Writes docs/conformance/mqtt.md: each normative statement of MQTT, the tests that prove it, and how they ended last.

    python tools/conformance.py           # writes the table
    python tools/conformance.py --check   # exit code 1 when the committed table says something else

The statements stand in docs/conformance/mqtt-clauses.csv, the tests carry `@pytest.mark.clause(...)`, and
tests/conftest.py records how each marked test ended in the last run of each flavour.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CLAUSES = ROOT / "docs" / "conformance" / "mqtt-clauses.csv"
TABLE = ROOT / "docs" / "conformance" / "mqtt.md"
RECORDS = ROOT / "build" / "conformance"

Marks = dict[str, list[str]]  # clause -> names of tests
Outcomes = dict[str, str]  # name of a test -> passed, failed, skipped

PROVED = "proved"
FAILED = "failed"
NOT_RUN = "not run"
CLIENTS = "the client's"
OPEN = "open"


class Clause(NamedTuple):
    name: str
    binds: str  # server, client or both
    summary: str


def read_clauses(path: Path = CLAUSES) -> list[Clause]:
    with path.open(newline="", encoding="utf-8") as file:
        return [Clause(row["clause"], row["binds"], row["summary"]) for row in csv.DictReader(file)]


def collect_marks() -> Marks:
    """What pytest finds, slow tests included. Raises RuntimeError with pytest's words when a test file doesn't load."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "marks.json"
        command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "--slow", "-p", "no:cacheprovider"]
        run = subprocess.run(
            [*command, f"--clause-marks={target}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if run.returncode not in (0, 5):  # 5: no test collected
            raise RuntimeError(run.stdout + run.stderr)
        marks: Marks = json.loads(target.read_text())
        return marks


def read_outcomes(folder: Path = RECORDS) -> Outcomes:
    """The worse of the flavours' outcomes of each test."""
    worst: Outcomes = {}
    order = ["failed", "skipped", "passed"]
    for file in sorted(folder.glob("*.json")):
        for name, outcome in json.loads(file.read_text()).items():
            if name not in worst or order.index(outcome) < order.index(worst[name]):
                worst[name] = outcome
    return worst


def unknown_clauses(clauses: list[Clause], marks: Marks) -> list[str]:
    known = {clause.name for clause in clauses}
    return [f"{name} (in {', '.join(tests)})" for name, tests in sorted(marks.items()) if name not in known]


def state(clause: Clause, tests: list[str], outcomes: Outcomes) -> str:
    """`outcomes` holds at least one passed test and no failed one: proved."""
    if not tests:
        return CLIENTS if clause.binds == "client" else OPEN
    ended = [outcomes.get(test) for test in tests]
    if "failed" in ended:
        return FAILED
    return PROVED if "passed" in ended else NOT_RUN


def render(clauses: list[Clause], marks: Marks, outcomes: Outcomes) -> str:
    """The table. Depends on nothing but its arguments, so that a test can see whether the committed one is current."""
    lines = [
        "# MQTT, clause by clause",
        "",
        "Made by `make conformance` from `mqtt-clauses.csv` (the normative statements, summed up in our words), the",
        "tests' `@pytest.mark.clause(...)` and how those tests ended, interpreted and compiled. Don't edit it by hand.",
        "",
        f"*{PROVED}*: its tests passed. *{CLIENTS}*: binds clients, and has no test here. *{OPEN}*: no test yet.",
        "",
        "| version | statements | " + " | ".join((PROVED, CLIENTS, OPEN, FAILED, NOT_RUN)) + " |",
        "|---|---|---|---|---|---|---|",
    ]
    versions = (("5.0", "MQTT-"), ("3.1.1", "MQTT3-"))
    for version, prefix in versions:
        of_version = [clause for clause in clauses if clause.name.startswith(prefix)]
        states = [state(clause, marks.get(clause.name, []), outcomes) for clause in of_version]
        counts = " | ".join(str(states.count(each)) for each in (PROVED, CLIENTS, OPEN, FAILED, NOT_RUN))
        lines.append(f"| {version} | {len(of_version)} | {counts} |")
    for version, prefix in versions:
        lines += [
            "",
            f"## MQTT {version}",
            "",
            "| clause | binds | what it asks | tests | state |",
            "|---|---|---|---|---|",
        ]
        for clause in clauses:
            if clause.name.startswith(prefix):
                tests = sorted(marks.get(clause.name, []))
                shown = "<br>".join(f"`{test}`" for test in tests)
                ended = state(clause, tests, outcomes)
                lines.append(f"| {clause.name} | {clause.binds} | {clause.summary} | {shown} | {ended} |")
    return "\n".join(lines) + "\n"


def all_passed(marks: Marks) -> Outcomes:
    """The outcomes that a committed table must show."""
    return {test: "passed" for tests in marks.values() for test in tests}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/conformance/mqtt.md from marks and results.")
    parser.add_argument("--check", action="store_true", help="only say whether the committed table is current")
    arguments = parser.parse_args()
    clauses = read_clauses()
    try:
        marks = collect_marks()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if unknown := unknown_clauses(clauses, marks):
        print("marks that name no clause of mqtt-clauses.csv:\n  " + "\n  ".join(unknown), file=sys.stderr)
        return 1
    if arguments.check:
        current = TABLE.exists() and TABLE.read_text(encoding="utf-8") == render(clauses, marks, all_passed(marks))
        print("docs/conformance/mqtt.md is current" if current else "run `make conformance` and commit the table")
        return 0 if current else 1
    outcomes = read_outcomes()
    TABLE.write_text(render(clauses, marks, outcomes), encoding="utf-8")
    states = [state(clause, marks.get(clause.name, []), outcomes) for clause in clauses]
    print(", ".join(f"{states.count(each)} {each}" for each in (PROVED, CLIENTS, OPEN, FAILED, NOT_RUN)))
    if FAILED in states or NOT_RUN in states:
        print("run `make test-all` first: the table says what was seen, and some tests failed or were not run")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
