"""The identity database's file and connection: private, durable, shared between processes. Faults become sentences."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.registry.schema import migrate

FILE: Final = "identity.db"
BUSY_SECONDS: Final = 10.0  # how long one writer waits for another


class Database:
    """One connection. Used on the thread that made it. Errors of every method: SecurityError."""

    def __init__(self, data: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path: Final = data / FILE
        self._busy_seconds: Final = busy_seconds
        files.private_folder(data)
        # SQLite gives its -wal and -shm files the mode of the database itself.
        with files.locked(data / f".{FILE}.lock"), self.faults():
            files.create_empty(self.path)
            files.check_private(self.path)
            self._connection: Final = sqlite3.connect(self.path, timeout=busy_seconds, isolation_level=None)
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute("PRAGMA foreign_keys = ON")
                self._connection.execute("PRAGMA trusted_schema = OFF")
                # What verifies a password that was replaced is not left in free pages, for whoever gets an old copy.
                self._connection.execute("PRAGMA secure_delete = ON")
                self._migrate()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        self._connection.close()

    def _migrate(self) -> None:
        try:
            migrate(self._connection)
        except SecurityError as fault:
            raise SecurityError(f"cannot use {self.path}: {fault}") from None

    def _in_transaction(self) -> bool:
        return self._connection.in_transaction

    def version(self) -> tuple[int, int]:
        """Differs after any commit, by another connection (first number) or this one (second)."""
        try:  # not by `faults`, which takes as long as the question: each log-in asks several times
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as fault:
            raise self._told(fault) from None
        assert isinstance(version, int)
        return version, self._connection.total_changes

    def rows(self, statement: str, *values: str | int | float | bytes) -> list[tuple[object, ...]]:
        with self.faults():
            return list(self._connection.execute(statement, values))

    def write(self, statement: str, *values: str | int | float | bytes) -> int:
        """Inside of a transaction only. Returns how many rows it touched."""
        if not self._in_transaction():
            raise LocalMisuse("a write to the identity database outside of a transaction")
        with self.faults():
            return self._connection.execute(statement, values).rowcount

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; other writers wait. Inside another transaction it is part of that one."""
        if self._in_transaction():
            yield
            return
        with self.faults():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self.faults():
                self._connection.execute("COMMIT")
        except BaseException:
            if self._in_transaction():
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        """SQLite's errors as sentences. Their texts never hold the values of a statement."""
        try:
            yield
        except sqlite3.Error as fault:
            raise self._told(fault) from None

    def _told(self, fault: sqlite3.Error) -> SecurityError:
        name = str(getattr(fault, "sqlite_errorname", ""))
        if name.startswith("SQLITE_BUSY"):
            text = f"another process has been writing to {self.path} for {self._busy_seconds:g} s: try again"
        elif name.startswith("SQLITE_FULL"):
            text = f"cannot write {self.path}: the disk is full"
        elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            text = f"{self.path} is damaged ({fault}): restore it from a backup"
        else:
            text = f"cannot use {self.path}: {fault}"
        return SecurityError(text)
