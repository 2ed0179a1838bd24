"""The process of the hub: what it sets, and that a defect ends it instead of leaving half a hub."""

from __future__ import annotations

import asyncio
import builtins
import gc
import json
import os
import resource
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from bridgehead.node import run as run_module
from bridgehead.node.configuration import Config, ConfigFile, Limits, Listener, Log, StoreSettings
from bridgehead.node.identities import Identities
from bridgehead.node.process import RESERVED_FILES, loop_factory, raise_open_files, settle_memory
from bridgehead.node.run import HubError, run
from bridgehead.security.errors import SecurityError


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """The test's own process is as it was afterwards."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    umask = os.umask(0o022)
    thresholds = gc.get_threshold()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.umask(umask)
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


def config(folder: Path, limits: Limits | None = None) -> Config:
    settings = ConfigFile(
        listeners=[Listener(bind="127.0.0.1:0")],
        log=Log(format="json", file=str(folder / "log")),
        store=StoreSettings(kind="memory"),
        limits=limits or Limits(),
    )
    return Config(folder / "data", None, settings)


def events(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines()]


@pytest.mark.usefixtures("undisturbed")
def test_a_defect_ends_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Identities) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(Identities, "follow", broken)
    with pytest.raises(HubError, match="a defect ended the hub: ZeroDivisionError"):
        run(config(tmp_path))
    (defect,) = [line for line in events(tmp_path) if line["event"] == "node.defect"]
    assert "ZeroDivisionError: a defect" in defect["traceback"]


@pytest.mark.usefixtures("undisturbed")
def test_a_registry_that_cannot_be_read_for_a_while_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def unreadable(self: Identities) -> None:
        tries.append(1)
        if len(tries) == 3:
            signal.raise_signal(signal.SIGTERM)
        raise SecurityError("the registry is locked")

    monkeypatch.setattr(Identities, "follow", unreadable)
    run(config(tmp_path))
    names = [line["event"] for line in events(tmp_path)]
    assert names.count("identity.registry-unreadable") == 3
    assert names[-1] == "node.stopped"


@pytest.mark.usefixtures("undisturbed")
def test_more_connections_than_open_files_are_not_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "raise_open_files", lambda: 900)
    monkeypatch.setattr(Identities, "follow", lambda self: signal.raise_signal(signal.SIGTERM))
    run(config(tmp_path, Limits(connections=1000)))
    (line,) = [line for line in events(tmp_path) if line["event"] == "node.ceiling-lowered"]
    assert line["because"].startswith("the system permits 900 connections, limits.connections is 1000: raise")


@pytest.mark.usefixtures("undisturbed")
def test_open_files_are_raised_to_what_the_system_permits() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    connections = raise_open_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    assert connections == hard - RESERVED_FILES


@pytest.mark.usefixtures("undisturbed")
def test_what_lives_until_the_end_is_not_looked_at_again() -> None:
    settle_memory()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] > 10_000
    assert gc.isenabled()


def test_uvloop_where_it_is_to_be_had_else_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop_factory().__module__.startswith("uvloop")
    real = builtins.__import__

    def without_uvloop(
        name: str,
        module_globals: Mapping[str, object] | None = None,
        module_locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if name == "uvloop":
            raise ImportError(name)
        return real(name, module_globals, module_locals, fromlist or (), level)

    monkeypatch.setattr(builtins, "__import__", without_uvloop)
    assert loop_factory() is asyncio.new_event_loop


@pytest.mark.usefixtures("undisturbed")
def test_the_hub_runs_on_asyncios_loop_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "loop_factory", lambda: asyncio.new_event_loop)
    monkeypatch.setattr(Identities, "follow", lambda self: signal.raise_signal(signal.SIGTERM))
    run(config(tmp_path))
    assert events(tmp_path)[-1]["event"] == "node.stopped"
