"""The tables of hub.db, their version, and the way from each version to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bridgehead.broker.ports import DAMAGED, TOO_NEW, StoreError

# PRAGMA application_id: tells hub.db from any other SQLite file.
APPLICATION_ID: Final = int.from_bytes(b"BHub")

# One migration takes the file from one version to the next; it runs inside a transaction and does not end it.
Migration = Callable[[sqlite3.Connection], None]


def _version_1(connection: sqlite3.Connection) -> None:
    # A record's id is (extent.id << 32) + (number & 0xFFFF_FFFF). An extent holds the numbers of one log that have
    # number >> 32 = high, so a log has one unless it lives very long. Why not PRIMARY KEY (log, number) WITHOUT ROWID:
    # such a b-tree keeps whole rows in its inner nodes and spills rows above a quarter of a page. It was measured 1.1
    # times slower with records of 150 octets, 4 times with 1,000.
    connection.execute(
        "CREATE TABLE extent ("
        " id INTEGER PRIMARY KEY,"  # 1 to 2**31 - 1
        " log TEXT NOT NULL,"
        " high INTEGER NOT NULL,"
        " UNIQUE (log, high))"
    )
    connection.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, record BLOB NOT NULL)")
    connection.execute(
        "CREATE TABLE bucket ("
        " id INTEGER PRIMARY KEY,"
        " bucket TEXT NOT NULL,"
        " key TEXT NOT NULL,"
        " value BLOB NOT NULL,"
        " UNIQUE (bucket, key))"
    )


# MIGRATIONS[n] takes a file from version n to n + 1. Released ones are never changed, only followed by others.
MIGRATIONS: Final[Sequence[Migration]] = (_version_1,)


def identify(connection: sqlite3.Connection, file: Path, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """The schema version of the file, 0 of an empty one. Writes nothing.

    Raises StoreError when it is not the hub's file (DAMAGED) or a later release wrote it (TOO_NEW).
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    assert isinstance(found, int)
    if application != APPLICATION_ID and (application or found or tables):
        raise StoreError(f"{file} is a database of another program: move it away, or name another data folder", DAMAGED)
    if found > len(migrations):
        raise StoreError(
            f"{file} was written by a later release (schema {found}, this one knows schemas up to {len(migrations)}): "
            "start that release, or restore the copy of the data folder from before the update",
            TOO_NEW,
        )
    return found


def migrate(connection: sqlite3.Connection, found: int, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the file from version `found` to the newest, one transaction for each step.

    Raises sqlite3.Error when a step fails; the file then stays at the version before that step.
    """
    for version in range(found, len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        with connection:  # commits, or rolls back
            migrations[version](connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version + 1}")
