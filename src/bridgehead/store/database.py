"""Opening hub.db: file modes, settings of the connections, the check after an unclean end."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bridgehead.broker.ports import DAMAGED, IO_ERROR, StoreError
from bridgehead.store.schema import MIGRATIONS, Migration, identify, migrate

_SIBLINGS: Final = ("", "-wal", "-shm")
# A write-ahead log of this many pages is copied into the file by the commit that reaches it.
_CHECKPOINT_PAGES: Final = 1000
# A log that one large transaction has made longer is cut to this when it starts again from the top. Not to 0: octets
# that are already the file's are written faster, and can be written on a full disk.
_WAL_KEPT: Final = 8 * 1024 * 1024
_WRITER_CACHE_KIB: Final = 16_384
_READER_CACHE_KIB: Final = 2_048
_BUSY_SECONDS: Final = 5.0
# Reading a file this large whole takes about 0.1 s; a larger one is checked page by page as it is used.
_CHECKED_WHOLE: Final = 64 * 1024 * 1024


def _prepare(file: Path) -> None:
    """`file` exists and is its owner's only; SQLite gives the -wal and -shm files it makes the same mode."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for suffix in _SIBLINGS:
        part = file.with_name(file.name + suffix)
        if part.exists() and part.stat().st_mode & 0o077:
            part.chmod(0o600)


def _ended_uncleanly(file: Path) -> bool:
    """Who closes the file in order leaves no write-ahead log."""
    log = file.with_name(f"{file.name}-wal")
    return log.exists() and log.stat().st_size > 0


def open_writer(
    file: Path,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> sqlite3.Connection:
    """The connection that writes, of the newest schema; begins transactions by itself. One thread at a time may use it.

    The folder exists. Raises StoreError, sqlite3.Error, OSError; then nothing stays open.
    """
    _prepare(file)
    suspicious = _ended_uncleanly(file) and file.stat().st_size <= _CHECKED_WHOLE
    connection = sqlite3.connect(
        file, timeout=_BUSY_SECONDS, isolation_level="IMMEDIATE", check_same_thread=False, factory=factory
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        found = identify(connection, file, migrations)
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        # What is deleted is overwritten: no difference was measured, for its pages are written anyway.
        connection.execute("PRAGMA secure_delete = ON")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(
                f"{file} cannot have a write-ahead log (journal mode {mode}): its file system gives no shared memory. "
                "Name a data folder on a local disk",
                IO_ERROR,
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
        if suspicious:
            _check(connection, file)
        migrate(connection, found, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(file: Path) -> sqlite3.Connection:
    """A connection that can only read."""
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    return connection


def _check(connection: sqlite3.Connection, file: Path) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise StoreError(
            f"{file}: its content is damaged: keep a copy of the data folder, then restore a backup ({found})",
            DAMAGED,
        )
