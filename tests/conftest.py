"""What every test shares: the flavour of the code, slow tests, foreign peers, the record of proved clauses."""

from __future__ import annotations

import importlib
import json
import os
import shutil
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from tests.secrets.plugin import SecretWatch

COMPILED: Final = "compiled"
INTERPRETED: Final = "interpreted"
# One module tells for all: the rooms are compiled as one group.
WITNESS: Final = "bridgehead.core.errors"
# tools/conformance.py reads what is recorded here.
RECORDS: Final = Path(__file__).parent.parent / "build" / "conformance"
CLAUSE: Final = "clause"


def running_flavour() -> str:
    """`compiled` when the pure rooms come from shared objects, else `interpreted`."""
    file = importlib.import_module(WITNESS).__file__ or ""
    return COMPILED if file.endswith(tuple(EXTENSION_SUFFIXES)) else INTERPRETED


def pytest_configure(config: pytest.Config) -> None:
    asked = os.environ.get("BRIDGEHEAD_FLAVOUR", "")
    if asked and asked != running_flavour():
        raise pytest.UsageError(
            f"BRIDGEHEAD_FLAVOUR={asked}, but {WITNESS} is {running_flavour()}: "
            "run `python tools/compile.py` and put build/compiled first on PYTHONPATH, or unset both"
        )
    # No deadlines: a verdict must not hang on how busy the machine is. The fast suite tries the same examples each run;
    # `--slow` tries new ones, and more.
    slow = bool(config.getoption("--slow"))
    hypothesis.settings.register_profile("fast", deadline=None, derandomize=True)
    hypothesis.settings.register_profile("slow", deadline=None, max_examples=1000, print_blob=True)
    hypothesis.settings.load_profile("slow" if slow else "fast")
    # Debian keeps daemons such as mosquitto outside an ordinary user's PATH.
    sslyze = Path(__file__).parent / "peers" / "sslyze" / "venv" / "bin"
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:{sslyze}"
    config.pluginmanager.register(SecretWatch(), "secret-watch")


def pytest_report_header(config: pytest.Config) -> str:
    file = importlib.import_module("bridgehead").__file__ or ""
    return f"bridgehead: {running_flavour()}, from {os.path.dirname(file)}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption("--clause-marks", metavar="FILE", help="write the marks of the collected tests to FILE (JSON)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests are left out (deselected, not skipped) unless `--slow` or `-m` speaks about them."""
    if config.getoption("--slow") or "slow" in config.getoption("-m"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A peer that is not there: skipped on somebody's own machine, a failure where CI=true."""
    for mark in item.iter_markers("peer"):
        program = str(mark.args[0])
        if shutil.which(program) is None:
            missing = f"the peer `{program}` is not installed: run `make setup`"
            if os.environ.get("CI") == "true":
                pytest.fail(missing, pytrace=False)
            pytest.skip(missing)


@pytest.fixture(scope="session")
def flavour() -> str:
    """`compiled` or `interpreted`."""
    return running_flavour()


# --- which test proves which clause -----------------------------------------------------------------------------------


def clauses_of(item: pytest.Item) -> list[str]:
    return [str(name) for mark in item.iter_markers(CLAUSE) for name in mark.args]


def name_of(nodeid: str) -> str:
    """A test's name without its parameters, relative to tests/: a clause is proved by the whole table of cases."""
    return nodeid.split("[", 1)[0].removeprefix("tests/")


def pytest_collection_finish(session: pytest.Session) -> None:
    if target := session.config.getoption("--clause-marks"):
        marks: dict[str, list[str]] = {}
        for item in session.items:
            for clause in clauses_of(item):
                names = marks.setdefault(clause, [])
                if name_of(item.nodeid) not in names:
                    names.append(name_of(item.nodeid))
        Path(target).write_text(json.dumps(marks))


class ClauseRecorder:
    """Keeps, from run to run, how each marked test ended last. Sits where the reports of all workers arrive."""

    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not any(name == CLAUSE for name, _ in report.user_properties):
            return
        name = name_of(report.nodeid)
        # The worst part of a test counts: one failed case, or a clean-up that failed, and it is not proved.
        if report.failed:
            self.outcomes[name] = "failed"
        elif report.skipped:
            self.outcomes.setdefault(name, "skipped")
        elif report.when == "call" and self.outcomes.get(name) != "failed":
            self.outcomes[name] = "passed"

    def pytest_sessionfinish(self) -> None:
        if self.outcomes:
            RECORDS.mkdir(parents=True, exist_ok=True)
            file = RECORDS / f"{self.flavour}.json"
            before = json.loads(file.read_text()) if file.exists() else {}
            file.write_text(json.dumps({**before, **self.outcomes}, indent=1, sort_keys=True))


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # xdist's workers report to the session that started them
        session.config.pluginmanager.register(ClauseRecorder(running_flavour()), "clause-recorder")


def pytest_itemcollected(item: pytest.Item) -> None:
    item.user_properties.extend((CLAUSE, clause) for clause in clauses_of(item))
