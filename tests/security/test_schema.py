"""The identity database's versions."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.security.errors import SecurityError
from bridgehead.security.records import Group, PermissionRecord, Policy
from bridgehead.security.registry.database import Database
from bridgehead.security.registry.registry import Registry
from bridgehead.security.registry.schema import APPLICATION_ID, MIGRATIONS, migrate


def connect(path: Path | str = ":memory:") -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    return {str(name) for (name,) in rows}


def add_hours(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE devices ADD COLUMN hours TEXT NOT NULL DEFAULT 'always'")


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half_done (x)")
    raise sqlite3.OperationalError("no more")


def test_a_new_database_gets_the_newest_version() -> None:
    connection = connect()
    assert migrate(connection) == (0, len(MIGRATIONS))
    assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    first = {"devices", "roles", "certificates", "device_roles", "revocations", "changes"}
    second = {"groups", "device_groups", "policy", "identifiers", "endings", "invites", "lockouts"}
    assert tables(connection) == first | second | {"queues"}
    assert migrate(connection) == (len(MIGRATIONS), len(MIGRATIONS))


def test_an_older_one_keeps_its_records() -> None:
    connection = connect()
    migrate(connection)
    connection.execute("INSERT INTO devices VALUES ('sensor-7', x'7b7d')")
    assert migrate(connection, [*MIGRATIONS, add_hours]) == (len(MIGRATIONS), len(MIGRATIONS) + 1)
    assert connection.execute("SELECT name, record, hours FROM devices").fetchall() == [("sensor-7", b"{}", "always")]


def test_a_file_of_the_first_release_opens_with_all_that_it_held(data: Path) -> None:
    """tests/security/version_1.sql was written by that release."""
    data.mkdir(mode=0o700)
    connection = connect(data / "identity.db")
    connection.executescript((Path(__file__).parent / "version_1.sql").read_text())
    connection.close()
    (data / "identity.db").chmod(0o600)
    registry = Registry(data)
    assert [each.name for each in registry.devices()] == ["pump", "sensor-7"]
    sensor = registry.existing_device("sensor-7")
    assert (sensor.created, sensor.roles, sensor.require) == (1_800_000_000.0, ("reader",), "password+certificate")
    assert (sensor.client_ids, sensor.attributes, sensor.groups) == (("lab-*",), {"room": "12"}, ())
    assert sensor.permissions == (
        PermissionRecord("Office/${device}/#", True, False, 1, False),
        PermissionRecord("Office/secret", True, True, allow=False),
    )
    assert sensor.password is not None
    assert (sensor.password.set_at, sensor.password.until, sensor.password.scram) == (1_800_000_000.0, None, ())
    assert registry.device_by_fingerprint("b" * 64) == sensor
    assert not registry.existing_device("pump").enabled
    assert registry.devices_with_role("reader") == ["sensor-7"]
    assert registry.revoked_from("d" * 64) == "gone"
    assert registry.change_number() == 5
    assert registry.policy() == Policy()
    # And the new tables work on it.
    registry.add_group(Group("lobby", 1.0))
    registry.update_device(replace(sensor, groups=("lobby",), kerberos_principals=("s7@EXAMPLE.COM",)), 1.0)
    assert registry.devices_in_group("lobby") == ["sensor-7"]
    registry.close()
    again = Registry(data)
    found = again.device_by_kerberos("s7@EXAMPLE.COM")
    assert found is not None
    assert found.name == "sensor-7"
    again.close()


def test_a_failed_migration_leaves_everything_as_it_was() -> None:
    connection = connect()
    migrate(connection)
    before = tables(connection)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [*MIGRATIONS, add_hours, fail])
    assert version(connection) == len(MIGRATIONS)
    assert tables(connection) == before
    assert "hours" not in [row[1] for row in connection.execute("PRAGMA table_info(devices)")]
    assert not connection.in_transaction


def test_a_newer_one_is_refused(data: Path) -> None:
    Registry(data).close()
    connection = connect(data / "identity.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(
        SecurityError, match=r"cannot use .*identity\.db: a newer Bridgehead has written it \(schema 99"
    ):
        Registry(data)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 3"]
)
def test_another_programs_database_is_refused_and_left_alone(data: Path, statement: str) -> None:
    data.mkdir(mode=0o700)
    path = data / "identity.db"
    connection = connect(path)
    connection.execute(statement)
    connection.close()
    path.chmod(0o600)
    with pytest.raises(SecurityError, match="it is a database of another program"):
        Database(data)
    assert "devices" not in tables(connect(path))


def test_what_is_no_database_is_refused(data: Path) -> None:
    data.mkdir(mode=0o700)
    path = data / "identity.db"
    path.write_bytes(b"no database at all, whatever its name says" * 100)
    path.chmod(0o600)
    with pytest.raises(SecurityError, match=rf"{path} is damaged .*: restore it from a backup"):
        Database(data)
