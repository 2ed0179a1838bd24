"""The identity database's schema: its versions, and how an older one becomes the newest.

Version N is what stands after the first N migrations. Migrations are never edited once released, only added.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from bridgehead.security.errors import SecurityError

APPLICATION_ID: Final = 0x42484944  # "BHID", in the file's header

Migration = Callable[[sqlite3.Connection], None]


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE devices (name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
    )
    connection.execute("CREATE TABLE roles (name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID")
    connection.execute(
        "CREATE TABLE certificates (fingerprint TEXT NOT NULL PRIMARY KEY, device TEXT NOT NULL "
        "REFERENCES devices (name) DEFERRABLE INITIALLY DEFERRED) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX certificates_of_device ON certificates (device)")
    connection.execute(
        "CREATE TABLE device_roles (role TEXT NOT NULL REFERENCES roles (name) DEFERRABLE INITIALLY DEFERRED, "
        "device TEXT NOT NULL REFERENCES devices (name) DEFERRABLE INITIALLY DEFERRED, "
        "PRIMARY KEY (role, device)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX roles_of_device ON device_roles (device)")
    connection.execute(
        "CREATE TABLE revocations (serial TEXT NOT NULL PRIMARY KEY, fingerprint TEXT NOT NULL, device TEXT NOT NULL, "
        "revoked_at REAL NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX revocations_by_fingerprint ON revocations (fingerprint)")
    # What changed since a reader looked last; AUTOINCREMENT: a number is never used twice.
    connection.execute(
        "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL)"
    )


def _second(connection: sqlite3.Connection) -> None:
    """Groups and the policy, look-ups by what a credential is known by, invitations, lock-outs."""
    connection.execute("CREATE TABLE groups (name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID")
    connection.execute(
        "CREATE TABLE device_groups (member_of TEXT NOT NULL REFERENCES groups (name) DEFERRABLE INITIALLY DEFERRED, "
        "device TEXT NOT NULL REFERENCES devices (name) DEFERRABLE INITIALLY DEFERRED, "
        "PRIMARY KEY (member_of, device)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX groups_of_device ON device_groups (device)")
    connection.execute("CREATE TABLE policy (one INTEGER PRIMARY KEY CHECK (one = 1), record BLOB NOT NULL)")
    # What a peer presents to say who it is, by kind. The primary key keeps it with one device.
    connection.execute(
        "CREATE TABLE identifiers (kind TEXT NOT NULL, value BLOB NOT NULL, device TEXT NOT NULL "
        "REFERENCES devices (name) DEFERRABLE INITIALLY DEFERRED, PRIMARY KEY (kind, value)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX identifiers_of_device ON identifiers (device)")
    # When the first of a device's old credentials ends: a rotation's overlap.
    connection.execute(
        "CREATE TABLE endings (device TEXT NOT NULL PRIMARY KEY REFERENCES devices (name) "
        "DEFERRABLE INITIALLY DEFERRED, at REAL NOT NULL) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX endings_by_time ON endings (at)")
    connection.execute(
        "CREATE TABLE invites (hash BLOB NOT NULL PRIMARY KEY, device TEXT NOT NULL REFERENCES devices (name) "
        "DEFERRABLE INITIALLY DEFERRED, made_at REAL NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX invites_of_device ON invites (device)")
    connection.execute(
        "CREATE TABLE lockouts (kind TEXT NOT NULL, key TEXT NOT NULL, until REAL NOT NULL, "
        "failures INTEGER NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID"
    )


def _third(connection: sqlite3.Connection) -> None:
    """Queues of the hub's owner."""
    connection.execute("CREATE TABLE queues (name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID")


MIGRATIONS: Final[tuple[Migration, ...]] = (_first, _second, _third)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> tuple[int, int]:
    """Bring the database to the newest version, all or nothing; returns (version before, version now).

    Concurrent callers take turns. Errors: SecurityError for a file that is not ours or that is newer than we.
    """
    newest = len(migrations)
    connection.execute("BEGIN IMMEDIATE")
    try:
        application = _pragma(connection, "application_id")
        version = _pragma(connection, "user_version")
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if application != APPLICATION_ID and (application or version or tables):
            raise SecurityError("it is a database of another program")
        if version > newest:
            raise SecurityError(
                f"a newer Bridgehead has written it (schema {version}, this one knows {newest}): update"
            )
        for migration in migrations[version:]:
            migration(connection)
        if version < newest:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {newest}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return version, newest


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    assert isinstance(value, int)
    return value
