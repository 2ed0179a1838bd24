"""Schema versions: the way from each to the next, files of other releases and other programs, damaged files."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bridgehead.broker.ports import DAMAGED, TOO_NEW, StoreError
from bridgehead.store import database
from bridgehead.store.schema import APPLICATION_ID, MIGRATIONS, Migration
from bridgehead.store.sqlite import SqliteStore
from tests.store.crash_child import load
from tests.store.faulty import Watched
from tests.store.harness import Turns, batch, keep, records, state

ROOT = Path(__file__).parents[2]
VERSION_1 = Path(__file__).with_name("version_1.sql")
HELD_BY_VERSION_1 = (
    {
        ("session", "sensor/sensor-1"): b"\x94\xa2l1",
        ("retained", "Office/Meetingroom/Temperature"): b"21.5",
        ("retained", "Büro/Temperatur"): b"",
    },
    {"l1": {7: b"seven", 9: b"nine", 2**32 + 5: b"far"}, "l2": {1: b""}},
)


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """The folder of a hub of the first release."""
    connection = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    connection.close()
    return tmp_path


def look(folder: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "hub.db", isolation_level=None)
    rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


def schema(folder: Path) -> list[tuple[object, ...]]:
    return look(folder, "SELECT type, name, sql FROM sqlite_master ORDER BY name")


def test_a_new_file_has_the_newest_version(tmp_path: Path, turns: Turns) -> None:
    SqliteStore(tmp_path, turns.schedule).close()
    assert look(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert look(tmp_path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert look(tmp_path, "PRAGMA auto_vacuum") == [(0,)]


def test_a_file_of_version_1_opens_with_all_it_holds(version_1: Path, turns: Turns) -> None:
    store = SqliteStore(version_1, turns.schedule)
    assert state(store, ["session", "retained"]) == HELD_BY_VERSION_1
    keep(store, turns, batch(appends=[("l1", 2**32 + 6, b"next"), ("l3", 1, b"new")], removes=[("l1", 7)]))
    assert records(store)["l1"] == {9: b"nine", 2**32 + 5: b"far", 2**32 + 6: b"next"}
    store.close()
    assert look(version_1, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_the_fixture_of_version_1_is_what_version_1_makes(version_1: Path, tmp_path: Path, turns: Turns) -> None:
    made = tmp_path / "made"
    SqliteStore(made, turns.schedule, migrations=MIGRATIONS[:1]).close()
    assert schema(version_1) == schema(made)
    assert look(version_1, "PRAGMA application_id") == look(made, "PRAGMA application_id")


def test_opening_again_changes_nothing(version_1: Path, turns: Turns) -> None:
    SqliteStore(version_1, turns.schedule).close()
    before = (version_1 / "hub.db").read_bytes()
    SqliteStore(version_1, turns.schedule).close()
    assert (version_1 / "hub.db").read_bytes() == before


def add_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE bucket ADD COLUMN revision INTEGER NOT NULL DEFAULT 0")


def fill_column(connection: sqlite3.Connection) -> None:
    for (key,) in connection.execute("SELECT key FROM bucket").fetchall():
        connection.execute("UPDATE bucket SET revision = ? WHERE key = ?", (len(key), key))


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE bucket SET revision = 99")
    connection.execute("CREATE TABLE half (done)")
    connection.execute("INSERT INTO nowhere VALUES (1)")


def test_later_versions_are_reached_step_by_step(version_1: Path, turns: Turns) -> None:
    store = SqliteStore(version_1, turns.schedule, migrations=[*MIGRATIONS, add_column, fill_column])
    assert state(store, ["session", "retained"]) == HELD_BY_VERSION_1
    store.close()
    assert look(version_1, "PRAGMA user_version") == [(len(MIGRATIONS) + 2,)]
    assert look(version_1, "SELECT length(key) - revision FROM bucket") == [(0,)] * 3


def test_a_migration_runs_once(version_1: Path, turns: Turns) -> None:
    steps: Sequence[Migration] = [*MIGRATIONS, add_column]
    for _ in range(3):
        SqliteStore(version_1, turns.schedule, migrations=steps).close()
    assert look(version_1, "PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]


def test_a_migration_that_fails_leaves_the_version_before_it(version_1: Path, turns: Turns) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        SqliteStore(version_1, turns.schedule, migrations=[*MIGRATIONS, add_column, fail])
    assert look(version_1, "PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]
    assert look(version_1, "SELECT count(*) FROM bucket WHERE revision = 0") == [(3,)]
    assert look(version_1, "SELECT count(*) FROM sqlite_master WHERE name = 'half'") == [(0,)]
    store = SqliteStore(version_1, turns.schedule, migrations=[*MIGRATIONS, add_column])
    assert state(store, ["session", "retained"]) == HELD_BY_VERSION_1
    store.close()


def test_a_file_of_a_later_release_is_left_alone(version_1: Path, turns: Turns) -> None:
    SqliteStore(version_1, turns.schedule, migrations=[*MIGRATIONS, add_column]).close()
    before = (version_1 / "hub.db").read_bytes()
    later = len(MIGRATIONS) + 1
    with pytest.raises(StoreError, match=rf"later release \(schema {later}.*up to {later - 1}.*start that") as raised:
        SqliteStore(version_1, turns.schedule)
    assert raised.value.reason == TOO_NEW
    assert (version_1 / "hub.db").read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE other (a)",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 252006673; CREATE TABLE extent (id)",
    ],
)
def test_a_database_of_another_program_is_left_alone(tmp_path: Path, turns: Turns, sql: str) -> None:
    connection = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    connection.executescript(sql)
    connection.close()
    before = (tmp_path / "hub.db").read_bytes()
    with pytest.raises(StoreError, match="another program: move it away") as raised:
        SqliteStore(tmp_path, turns.schedule)
    assert raised.value.reason == DAMAGED
    assert (tmp_path / "hub.db").read_bytes() == before


def test_a_file_that_is_no_database(tmp_path: Path, turns: Turns) -> None:
    (tmp_path / "hub.db").write_bytes(b"To be, or not to be. " * 500)
    with pytest.raises(StoreError, match=rf"^{re.escape(str(tmp_path / 'hub.db'))}: it is not a database") as raised:
        SqliteStore(tmp_path, turns.schedule)
    assert raised.value.reason == DAMAGED


def damaged(folder: Path) -> None:
    """Nonsense over the middle of every page but the first four: those hold the schema."""
    with (folder / "hub.db").open("r+b") as file:
        for page in range(4, (folder / "hub.db").stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 2000)


def test_damage_that_is_met_while_reading(tmp_path: Path, turns: Turns) -> None:
    store = SqliteStore(tmp_path, turns.schedule)
    keep(
        store,
        turns,
        batch(
            appends=[("l", number, b"x" * 200) for number in range(1000)],
            puts={("b", str(number)): b"x" * 200 for number in range(1000)},
        ),
    )
    store.close()
    damaged(tmp_path)
    store = SqliteStore(tmp_path, turns.schedule)
    for read in (lambda: store.read("l", 500, 100), lambda: list(store.scan("b")), lambda: store.get("b", "77")):
        with pytest.raises(StoreError, match=r"damaged.*restore a backup") as raised:
            read()
        assert raised.value.reason == DAMAGED
    store.close()


@pytest.mark.parametrize("is_large", [False, True])
def test_after_an_unclean_end_a_small_file_is_checked(
    tmp_path: Path, turns: Turns, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """A large file is not read whole: the hub must be ready soon."""
    store = SqliteStore(tmp_path / "hub", turns.schedule, factory=Watched)
    keep(store, turns, batch(appends=[("l", number, b"x" * 200) for number in range(1000)]))
    Watched.newest.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    keep(store, turns, batch(puts={("b", "k"): b""}))
    # As a crash leaves them. Not copied by this process, where SQLite has them open.
    subprocess.run(["cp", "-r", tmp_path / "hub", tmp_path / "crashed"], check=True)
    store.close()
    damaged(tmp_path / "crashed")
    if is_large:
        monkeypatch.setattr(database, "_CHECKED_WHOLE", 4096)
        SqliteStore(tmp_path / "crashed", turns.schedule).close()
        return
    with pytest.raises(StoreError, match=r"damaged.*backup \(") as raised:
        SqliteStore(tmp_path / "crashed", turns.schedule)
    assert raised.value.reason == DAMAGED


def test_after_an_unclean_end_a_sound_file_opens(tmp_path: Path, turns: Turns) -> None:
    command = [sys.executable, "-m", "tests.store.crash_child", str(tmp_path / "hub"), "5"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(5)]
        child.kill()
    assert lines[-1] == b"5\n"
    assert (tmp_path / "hub" / "hub.db-wal").stat().st_size > 0
    store = SqliteStore(tmp_path / "hub", turns.schedule, factory=Watched)
    assert "PRAGMA quick_check(1)" in Watched.seen
    keep(store, turns, load(6))
    store.close()
    shutil.copytree(tmp_path / "hub", tmp_path / "again")
    store = SqliteStore(tmp_path / "again", turns.schedule, factory=Watched)
    assert "PRAGMA quick_check(1)" not in Watched.seen
    store.close()
