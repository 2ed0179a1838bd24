"""What every test shares: which flavour of the code runs, and the rules for slow tests and for foreign peers."""

from __future__ import annotations

import importlib
import os
import shutil
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

COMPILED = "compiled"
INTERPRETED = "interpreted"
# One module of every compiled group is enough to tell: a group is built as a whole.
WITNESS = "bridgehead.core.errors"


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


def pytest_report_header(config: pytest.Config) -> str:
    return (
        f"bridgehead: {running_flavour()}, from {os.path.dirname(importlib.import_module('bridgehead').__file__ or '')}"
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


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
