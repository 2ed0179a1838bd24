"""Connections that a test can hold up, watch, or make fail: given to SqliteStore as its `factory`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from typing import Any, ClassVar

from tests.store.harness import PATIENCE


class Watched(sqlite3.Connection):
    """Notes every statement, and the newest connection of its class."""

    newest: ClassVar[Watched]
    seen: ClassVar[list[str]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        type(self).newest = self
        type(self).seen = []

    def step(self, what: str) -> None:
        """Called before each statement."""
        self.seen.append(what)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self.step(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        self.step(sql)
        return super().executemany(sql, parameters)

    def commit(self) -> None:
        self.step("COMMIT")
        super().commit()

    def rollback(self) -> None:
        self.step("ROLLBACK")
        super().rollback()


class Gated(Watched):
    """Commits wait for the gate."""

    gate: ClassVar[threading.Event] = threading.Event()
    arrived: ClassVar[threading.Event] = threading.Event()

    def step(self, what: str) -> None:
        super().step(what)
        if what == "COMMIT":
            self.arrived.set()
            assert self.gate.wait(PATIENCE)


class Faulty(Watched):
    """Fails at the statements that the test chose, counted from `arm`."""

    fail_at: ClassVar[set[int]] = set()
    fault: ClassVar[sqlite3.Error]
    count: ClassVar[int] = -1

    @classmethod
    def arm(cls, fault: sqlite3.Error, *places: int) -> None:
        cls.fault = fault
        cls.fail_at = set(places)
        cls.count = -1

    def step(self, what: str) -> None:
        super().step(what)
        type(self).count += 1
        if self.count in self.fail_at:
            raise self.fault


def sqlite_fault(code: int, name: str, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    """As sqlite3 raises it."""
    fault = kind(f"injected {name}")
    fault.sqlite_errorcode = code
    fault.sqlite_errorname = name
    return fault
