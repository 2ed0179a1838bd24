"""Writes docs/conformance/*.md: what each clause asks, the tests that prove it, and how they ended last.

    python tools/conformance.py           # writes the tables
    python tools/conformance.py --check   # exit code 1 when a committed table says something else

The clauses stand in docs/conformance/*-clauses.csv, the tests carry `@pytest.mark.clause(...)`, and
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
FOLDER = ROOT / "docs" / "conformance"
RECORDS = ROOT / "build" / "conformance"

Marks = dict[str, list[str]]  # clause -> names of tests
Outcomes = dict[str, str]  # name of a test -> passed, failed, skipped

PROVED = "proved"
FAILED = "failed"
NOT_RUN = "not run"
CLIENTS = "the client's"
OPEN = "open"


class Catalogue(NamedTuple):
    """One table. `parts` are its headings with the beginnings of their clauses' names."""

    name: str
    title: str
    what: str
    parts: tuple[tuple[str, str], ...]

    @property
    def clauses(self) -> Path:
        return FOLDER / f"{self.name}-clauses.csv"

    @property
    def table(self) -> Path:
        return FOLDER / f"{self.name}.md"


MQTT = Catalogue(
    "mqtt",
    "MQTT",
    "the normative statements, summed up in our words",
    (("MQTT 5.0", "MQTT-"), ("MQTT 3.1.1", "MQTT3-")),
)
COAP = Catalogue(
    "coap",
    "CoAP",
    "the sections with rules for what the hub does, summed up in our words",
    (
        ("RFC 7252, CoAP", "RFC7252-"),
        ("RFC 6690, link-format", "RFC6690-"),
        ("RFC 7641, Observe", "RFC7641-"),
        ("RFC 7959, block-wise transfer", "RFC7959-"),
        ("RFC 9177, Q-Block", "RFC9177-"),
        ("RFC 9175, Echo, Request-Tag and tokens", "RFC9175-"),
        ("RFC 7967, No-Response", "RFC7967-"),
        ("RFC 8132, FETCH, PATCH and iPATCH", "RFC8132-"),
        ("RFC 8323, TCP, TLS and WebSocket", "RFC8323-"),
        ("RFC 8613, OSCORE", "RFC8613-"),
        ("RFC 8768, Hop-Limit", "RFC8768-"),
        ("RFC 9176, resource directory", "RFC9176-"),
        ("RFC 8075, HTTP and CoAP", "RFC8075-"),
        ("RFC 6347, DTLS 1.2", "RFC6347-"),
        ("RFC 7925, profiles of TLS and DTLS", "RFC7925-"),
        ("RFC 9146, Connection ID", "RFC9146-"),
    ),
)
AMQP = Catalogue(
    "amqp",
    "AMQP 1.0",
    "the sections with rules for what the hub does, summed up in our words",
    (
        ("Part 1, types", "AMQP-1."),
        ("Part 2, transport", "AMQP-2."),
        ("Part 3, messaging", "AMQP-3."),
        ("Part 4, transactions", "AMQP-4."),
        ("Part 5, security", "AMQP-5."),
        ("WebSocket binding", "AMQPWS-"),
        ("Anonymous terminus", "AMQPANON-"),
        ("Claims-based security", "AMQPCBS-"),
    ),
)
AMQP091 = Catalogue(
    "amqp091",
    "AMQP 0-9-1",
    "the sections and methods with rules for what the hub does, summed up in our words",
    (("AMQP 0-9-1, and the extensions that its clients use", "AMQP091-"),),
)
DDS = Catalogue(
    "dds",
    "DDS",
    "the sections with rules for what the hub itself does, summed up in our words; discovery and transport on the wire "
    "are Cyclone DDS's",
    (
        ("DDS 1.4, data-centric publish-subscribe", "DDS-"),
        ("DDS-XTypes 1.3, types and their representation", "XTYPES-"),
        ("DDS Security 1.1", "DDSSEC-"),
        ("DDSI-RTPS 2.3", "RTPS-"),
    ),
)
CATALOGUES = (MQTT, COAP, AMQP, AMQP091, DDS)


class Clause(NamedTuple):
    name: str
    binds: str  # server, client, both or proxy
    summary: str


def read_clauses(catalogue: Catalogue) -> list[Clause]:
    with catalogue.clauses.open(newline="", encoding="utf-8") as file:
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


def render(catalogue: Catalogue, clauses: list[Clause], marks: Marks, outcomes: Outcomes) -> str:
    """The table. Depends on nothing but its arguments, so that a test can see whether the committed one is current."""
    states = (PROVED, CLIENTS, OPEN, FAILED, NOT_RUN)
    lines = [
        f"# {catalogue.title}, clause by clause",
        "",
        f"Made by `make conformance` from `{catalogue.name}-clauses.csv` ({catalogue.what}), the",
        "tests' `@pytest.mark.clause(...)` and how those tests ended, interpreted and compiled. Don't edit it by hand.",
        "",
        f"*{PROVED}*: its tests passed. *{CLIENTS}*: binds clients, and has no test here. *{OPEN}*: no test yet.",
        "",
        "| standard | clauses | " + " | ".join(states) + " |",
        "|---|---|---|---|---|---|---|",
    ]
    for heading, prefix in catalogue.parts:
        of_part = [clause for clause in clauses if clause.name.startswith(prefix)]
        of_each = [state(clause, marks.get(clause.name, []), outcomes) for clause in of_part]
        counts = " | ".join(str(of_each.count(each)) for each in states)
        lines.append(f"| {heading} | {len(of_part)} | {counts} |")
    for heading, prefix in catalogue.parts:
        lines += [
            "",
            f"## {heading}",
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


def check(marks: Marks) -> int:
    stale = [
        catalogue.table.name
        for catalogue in CATALOGUES
        if not catalogue.table.exists()
        or catalogue.table.read_text(encoding="utf-8")
        != render(catalogue, read_clauses(catalogue), marks, all_passed(marks))
    ]
    print(f"run `make conformance` and commit {', '.join(stale)}" if stale else "the tables are current")
    return 1 if stale else 0


def write(marks: Marks, outcomes: Outcomes) -> int:
    wrong = False
    for catalogue in CATALOGUES:
        clauses = read_clauses(catalogue)
        catalogue.table.write_text(render(catalogue, clauses, marks, outcomes), encoding="utf-8")
        states = [state(clause, marks.get(clause.name, []), outcomes) for clause in clauses]
        counts = ", ".join(f"{states.count(each)} {each}" for each in (PROVED, CLIENTS, OPEN, FAILED, NOT_RUN))
        print(f"{catalogue.title}: {counts}")
        wrong = wrong or FAILED in states or NOT_RUN in states
    if wrong:
        print("run `make test-all` first: the tables say what was seen, and some tests failed or were not run")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/conformance/*.md from marks and results.")
    parser.add_argument("--check", action="store_true", help="only say whether the committed tables are current")
    arguments = parser.parse_args()
    try:
        marks = collect_marks()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if unknown := unknown_clauses([clause for each in CATALOGUES for clause in read_clauses(each)], marks):
        print("marks that name no clause of docs/conformance:\n  " + "\n  ".join(unknown), file=sys.stderr)
        return 1
    return check(marks) if arguments.check else write(marks, read_outcomes())


if __name__ == "__main__":
    sys.exit(main())
