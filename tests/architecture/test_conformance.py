"""The table of clauses is current, its marks name clauses that exist, and it shows what it was given."""

from __future__ import annotations

import re

import pytest

from tools.conformance import (
    CATALOGUES,
    MQTT,
    Catalogue,
    Clause,
    all_passed,
    collect_marks,
    read_clauses,
    render,
    state,
    unknown_clauses,
)

FORM = re.compile(
    r"MQTT3?-\d+\.\d+(\.\d+)?-\d+|RFC\d{4}-([A-C]|\d+)(\.\d+){0,3}"
    r"|AMQP(WS|ANON|CBS)?-\d+(\.\d+){0,3}|AMQP091-(\d+(\.\d+){0,4}|[a-z]+\.[a-z-]+)"
    r"|(DDS|XTYPES|DDSSEC|RTPS)-\d+(\.\d+){0,6}"
)
EACH = pytest.mark.parametrize("catalogue", CATALOGUES, ids=[each.name for each in CATALOGUES])


@pytest.fixture(scope="module")
def marks() -> dict[str, list[str]]:
    return collect_marks()


@EACH
def test_clauses_are_well_formed_and_named_once(catalogue: Catalogue) -> None:
    clauses = read_clauses(catalogue)
    assert len({clause.name for clause in clauses}) == len(clauses)
    for clause in clauses:
        assert FORM.fullmatch(clause.name), clause.name
        assert sum(clause.name.startswith(prefix) for _, prefix in catalogue.parts) == 1, clause.name
        assert clause.binds in ("server", "client", "both", "proxy"), clause.name
        assert clause.summary, clause.name
        assert "|" not in clause.summary, clause.name


def test_mqtts_statements_are_all_there() -> None:
    assert len(read_clauses(MQTT)) == 251 + 141


def test_no_mark_names_an_unknown_clause(marks: dict[str, list[str]]) -> None:
    assert unknown_clauses([clause for each in CATALOGUES for clause in read_clauses(each)], marks) == []


@EACH
def test_the_committed_table_is_current(marks: dict[str, list[str]], catalogue: Catalogue) -> None:
    """All tests that a committed table rests on passed: any other state in it makes this fail too."""
    current = render(catalogue, read_clauses(catalogue), marks, all_passed(marks))
    committed = set(catalogue.table.read_text(encoding="utf-8").splitlines())
    missing = [line for line in current.splitlines() if line not in committed]
    assert not missing, f"run `make test-all`, then `make conformance`: {len(missing)} lines differ, as {missing[0]}"
    assert catalogue.table.read_text(encoding="utf-8") == current, "run `make conformance`"


def test_states() -> None:
    both = Clause("MQTT-1.0.0-1", "both", "a rule")
    client = Clause("MQTT-1.0.0-2", "client", "a client's rule")
    assert state(both, [], {}) == "open"
    assert state(client, [], {}) == "the client's"
    assert state(both, ["a.py::test"], {}) == "not run"
    assert state(both, ["a.py::test"], {"a.py::test": "passed"}) == "proved"
    assert state(both, ["a.py::test", "a.py::other"], {"a.py::test": "passed", "a.py::other": "failed"}) == "failed"


def test_an_unknown_clause_is_told_with_its_tests() -> None:
    clauses = [Clause("MQTT-1.0.0-1", "both", "a rule")]
    assert unknown_clauses(clauses, {"MQTT-1.0.0-1": ["a"], "MQTT-9.9.9-9": ["b.py::test"]}) == [
        "MQTT-9.9.9-9 (in b.py::test)"
    ]


def test_render_counts_and_lists() -> None:
    clauses = [Clause("MQTT-1.0.0-1", "both", "a rule"), Clause("MQTT3-1.0.0-1", "server", "another")]
    text = render(MQTT, clauses, {"MQTT-1.0.0-1": ["a.py::test"]}, {"a.py::test": "passed"})
    assert "| MQTT 5.0 | 1 | 1 | 0 | 0 | 0 | 0 |" in text
    assert "| MQTT 3.1.1 | 1 | 0 | 0 | 1 | 0 | 0 |" in text
    assert "| MQTT-1.0.0-1 | both | a rule | `a.py::test` | proved |" in text
