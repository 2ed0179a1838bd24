"""Records on disk: kept, shared between processes, never half written."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.credentials import CertificateRecord, PasswordRecord
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.records import Device, Role
from bridgehead.security.registry.database import Database
from bridgehead.security.registry.registry import DEVICE, ROLE, Registry
from tests.security.support import DAY, modes, publish, subscribe, umask

NOW = 1_800_000_000.0


@pytest.fixture
def registry(data: Path) -> Iterator[Registry]:
    found = Registry(data)
    yield found
    found.close()


def certificate(digit: str, until: float = NOW + DAY) -> CertificateRecord:
    return CertificateRecord(digit * 64, digit * 8, NOW, until)


def device(name: str = "sensor-7", *certificates: CertificateRecord, roles: tuple[str, ...] = ()) -> Device:
    password = PasswordRecord("$argon2id$hash", NOW)
    return Device(name, NOW, roles=roles, password=password, certificates=certificates, permissions=(publish("a"),))


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_all_its_files_are_private_under_any_umask(data: Path, mask: int) -> None:
    with umask(mask):
        registry = Registry(data)
        registry.add_device(device())
        found = modes(data.parent)
        registry.close()
    assert found == {
        "data": 0o700,
        "data/.identity.db.lock": 0o600,
        "data/identity.db": 0o600,
        "data/identity.db-shm": 0o600,
        "data/identity.db-wal": 0o600,
    }


def test_it_is_durable_by_wal_and_full_synchronisation(data: Path) -> None:
    database = Database(data)
    assert database.rows("PRAGMA journal_mode") == [("wal",)]
    assert database.rows("PRAGMA synchronous") == [(2,)]
    assert database.rows("PRAGMA foreign_keys") == [(1,)]
    database.close()


@pytest.mark.parametrize("loose", [0o640, 0o604])
def test_a_database_that_others_can_read_is_refused(data: Path, loose: int) -> None:
    Registry(data).close()
    (data / "identity.db").chmod(loose)
    with pytest.raises(
        SecurityError, match=rf"other users of this machine can open .*identity.db \(mode {loose:04o}\)"
    ):
        Registry(data)


def test_what_was_replaced_or_removed_is_overwritten_in_the_file(data: Path) -> None:
    registry = Registry(data)
    for name in ("replaced", "removed"):
        registry.add_device(replace(device(name), password=PasswordRecord(f"$argon2id$hash-{name}", NOW)))
    registry.update_device(replace(device("replaced"), password=PasswordRecord("$argon2id$other", NOW)), NOW)
    registry.remove_device("removed", NOW)
    registry.close()  # the last connection moves the write-ahead log into the file and deletes it
    left = b"".join(each.read_bytes() for each in data.rglob("*") if each.is_file())
    assert b"$argon2id$other" in left
    assert b"hash-replaced" not in left
    assert b"hash-removed" not in left


def test_a_device_is_kept(data: Path, registry: Registry) -> None:
    written = Device(
        "sensor-7",
        NOW,
        password=PasswordRecord("$argon2id$hash", NOW),
        certificates=(certificate("a"),),
        require="password+certificate",
        client_ids=("lab-*",),
        permissions=(publish("x/${device}/#", 1, False), subscribe("y", allow=False)),
        attributes={"room": "12"},
    )
    registry.add_device(written)
    again = Registry(data)
    assert again.device("sensor-7") == written
    assert again.devices() == [written]
    assert again.device_by_fingerprint("a" * 64) == written
    assert again.device_by_fingerprint("b" * 64) is None
    assert again.device("sensor-8") is None
    again.close()


def test_a_second_device_of_that_name_is_refused(registry: Registry) -> None:
    registry.add_device(device())
    with pytest.raises(NotAcceptable, match="there is a device 'sensor-7' already"):
        registry.add_device(Device("sensor-7", NOW + 1))
    assert registry.existing_device("sensor-7") == device()


def test_an_unknown_device_is_not_found_and_the_nearest_is_named(registry: Registry) -> None:
    registry.add_device(device())
    with pytest.raises(NotAcceptable, match=r"there is no device 'sensr-7': did you mean 'sensor-7'\?"):
        registry.existing_device("sensr-7")
    with pytest.raises(NotAcceptable, match="there is no device 'pump': `bridgehead device list` shows them"):
        registry.remove_device("pump", NOW)
    with pytest.raises(NotAcceptable, match="there is no role 'pump': `bridgehead role list` shows them"):
        registry.remove_role("pump")
    with pytest.raises(NotAcceptable):
        registry.update_device(device("pump"), NOW)


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        (replace(device(), name="a b"), "cannot be a device's name"),
        (replace(device(), permissions=(publish("a/#/b"),)), "is not a Topic Filter"),
        (replace(device(), client_ids=("a*b",)), r"has a \* inside"),
        (replace(device(), require="password+certificate"), "shall need password and certificate, and lacks one"),
        (device("sensor-7", replace(certificate("a"), fingerprint="A" * 64)), "is no SHA-256 fingerprint"),
        (device("sensor-7", replace(certificate("a"), fingerprint="a" * 63)), "is no SHA-256 fingerprint"),
        (device("sensor-7", certificate("c")), "a certificate of 'sensor-7' belongs to the device 'other' already"),
        (device(roles=("missing",)), "there is no role 'missing'"),
    ],
)
def test_a_wrong_record_is_refused_and_nothing_is_kept(registry: Registry, wrong: Device, because: str) -> None:
    registry.add_device(device("other", certificate("c")))
    before = registry.version(), registry.change_number()
    with pytest.raises(NotAcceptable, match=because):
        registry.add_device(wrong)
    assert [each.name for each in registry.devices()] == ["other"]
    assert registry.change_number() == before[1]


def test_a_failed_update_keeps_the_old_record(registry: Registry) -> None:
    registry.add_device(device("sensor-7", certificate("a")))
    with pytest.raises(NotAcceptable):
        registry.update_device(device("sensor-7", certificate("b"), roles=("missing",)), NOW)
    assert registry.device_by_fingerprint("a" * 64) == device("sensor-7", certificate("a"))
    assert registry.revoked_from("a" * 64) is None


# Revocation. ----------------------------------------------------------------------------------------


def test_removing_a_device_revokes_its_certificates(registry: Registry) -> None:
    registry.add_device(device("sensor-7", certificate("a"), certificate("b")))
    assert registry.remove_device("sensor-7", NOW + 5).name == "sensor-7"
    assert registry.device("sensor-7") is None
    assert registry.device_by_fingerprint("a" * 64) is None
    assert registry.revoked_from("a" * 64) == "sensor-7"
    assert [(each.serial, each.at) for each in registry.revoked(NOW)] == [
        (0xAAAAAAAA, NOW + 5),
        (0xBBBBBBBB, NOW + 5),
    ]


def test_a_certificate_that_leaves_a_record_is_revoked(registry: Registry) -> None:
    registry.add_device(device("sensor-7", certificate("a"), certificate("b")))
    registry.update_device(device("sensor-7", certificate("b"), certificate("c")), NOW)
    assert [each.serial for each in registry.revoked(NOW)] == [0xAAAAAAAA]
    assert registry.device_by_fingerprint("c" * 64) is not None


def test_a_revoked_certificate_does_not_come_back(registry: Registry) -> None:
    registry.add_device(device("sensor-7", certificate("a")))
    registry.remove_device("sensor-7", NOW)
    with pytest.raises(NotAcceptable, match="was revoked: issue another one"):
        registry.add_device(device("sensor-8", certificate("a")))


def test_an_expired_certificate_leaves_the_list_after_a_while(registry: Registry) -> None:
    registry.add_device(device("sensor-7", certificate("a", NOW + DAY)))
    registry.remove_device("sensor-7", NOW)
    assert len(registry.revoked(NOW + 30 * DAY)) == 1
    assert registry.revoked(NOW + 32 * DAY) == []
    assert registry.revoked_from("a" * 64) == "sensor-7"


# Roles. ---------------------------------------------------------------------------------------------


def test_roles_are_kept_and_give_their_permissions(registry: Registry) -> None:
    role = Role("reader", NOW, (subscribe("x/${device}/#"),))
    registry.add_role(role)
    registry.add_device(device(roles=("reader",)))
    assert registry.role("reader") == role
    assert registry.roles() == [role]
    assert registry.devices_with_role("reader") == ["sensor-7"]
    assert registry.permissions_of(device(roles=("reader",))) == [publish("a"), subscribe("x/${device}/#")]
    with pytest.raises(NotAcceptable, match="there is a role 'reader' already"):
        registry.add_role(role)
    registry.update_role(replace(role, permissions=(subscribe("z"),)))
    assert registry.permissions_of(device(roles=("reader",)))[1:] == [subscribe("z")]


def test_a_role_in_use_stays(registry: Registry) -> None:
    registry.add_role(Role("reader", NOW))
    for number in range(7):
        registry.add_device(device(f"sensor-{number}", roles=("reader",)))
    with pytest.raises(
        NotAcceptable, match=r"'reader' is still held by sensor-0, .*sensor-4 and 2 more: take it from them"
    ):
        registry.remove_role("reader")
    for number in range(7):
        registry.remove_device(f"sensor-{number}", NOW)
    assert registry.remove_role("reader") == Role("reader", NOW)
    assert registry.roles() == []


def test_a_role_is_checked(registry: Registry) -> None:
    with pytest.raises(NotAcceptable, match="cannot be a role's name"):
        registry.add_role(Role("a b", NOW))
    with pytest.raises(NotAcceptable, match="can never match"):
        registry.add_role(Role("a", NOW, (publish("a"), publish("#", allow=False))))


# Changes. -------------------------------------------------------------------------------------------


def test_the_version_differs_after_every_commit_of_anybody(data: Path, registry: Registry) -> None:
    other = Registry(data)
    first = registry.version()
    assert registry.version() == first
    registry.add_device(device())
    second = registry.version()
    other.add_device(device("sensor-8"))
    third = registry.version()
    assert len({first, second, third}) == 3
    assert registry.version() == third
    other.close()


def test_changes_are_told_by_name(data: Path, registry: Registry) -> None:
    start = registry.change_number()
    other = Registry(data)
    other.add_role(Role("reader", NOW))
    other.add_device(device())
    other.update_device(device(), NOW)
    other.remove_device("sensor-7", NOW)
    other.close()
    number, changes = registry.changes(start)
    assert changes is not None
    assert [(each.kind, each.name) for each in changes] == [(ROLE, "reader")] + 3 * [(DEVICE, "sensor-7")]
    assert registry.changes(number) == (number, [])


def test_too_many_changes_and_a_restored_file_mean_read_all(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridgehead.security.registry.base._CHANGES_KEPT", 3)
    for number in range(5):
        registry.add_device(device(f"sensor-{number}"))
    newest = registry.change_number()
    assert registry.changes(0) == (newest, None)
    assert registry.changes(newest + 100) == (newest, None)
    _, changes = registry.changes(newest - 3)
    assert changes is not None
    assert [each.name for each in changes] == ["sensor-2", "sensor-3", "sensor-4"]


def test_a_new_hash_of_the_same_password_replaces_the_one_it_was_made_for(registry: Registry) -> None:
    registry.add_device(device())
    assert not registry.renew_password_hash("sensor-7", "another hash", "new hash")
    assert not registry.renew_password_hash("sensor-8", "$argon2id$hash", "new hash")
    assert registry.renew_password_hash("sensor-7", "$argon2id$hash", "new hash")
    assert registry.existing_device("sensor-7").password == PasswordRecord("new hash", NOW)


# Transactions and faults. ---------------------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(registry: Registry) -> None:
    def interrupted() -> None:
        with registry.transaction():
            registry.add_device(device())
            registry.add_role(Role("reader", NOW))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert (registry.devices(), registry.roles()) == ([], [])
    with registry.transaction():
        registry.add_device(device())
        registry.add_role(Role("reader", NOW))
    assert len(registry.devices()) == len(registry.roles()) == 1


def test_a_second_writer_waits_and_then_says_so(data: Path, registry: Registry) -> None:
    other = Registry(data, busy_seconds=0.05)
    with (
        registry.transaction(),
        pytest.raises(SecurityError, match=r"another process has been writing to .* for 0\.05 s"),
    ):
        other.add_device(device())
    other.add_device(device())
    other.close()


def test_readers_do_not_wait_for_a_writer(data: Path, registry: Registry) -> None:
    other = Registry(data, busy_seconds=0.05)
    with registry.transaction():
        registry.add_device(device())
        assert other.devices() == []
    assert other.devices() == [device()]
    other.close()


def test_a_write_outside_of_a_transaction_is_our_own_fault(data: Path) -> None:
    database = Database(data)
    with pytest.raises(LocalMisuse):
        database.write("DELETE FROM devices")
    database.close()


def test_a_full_disk_is_a_sentence_and_keeps_what_was(data: Path, registry: Registry) -> None:
    registry.add_device(device())
    connection = registry._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    huge = Device("huge", NOW, client_ids=tuple(f"{number}-" + "y" * 50_000 for number in range(4)))
    with pytest.raises(SecurityError, match="the disk is full"):
        registry.add_device(huge)
    assert [each.name for each in registry.devices()] == ["sensor-7"]


@pytest.mark.parametrize("record", [b"{", b"{}", b'{"name":"sensor-7","created":1.0,"hours":"8-17"}', b'{"name":1}'])
def test_a_damaged_record_is_named_without_its_contents(data: Path, registry: Registry, record: bytes) -> None:
    registry.add_device(device())
    connection = sqlite3.connect(data / "identity.db")
    connection.execute("UPDATE devices SET record = ?", (record,))
    connection.commit()
    connection.close()
    with pytest.raises(SecurityError, match=r"the record of device 'sensor-7' in .*identity\.db is damaged") as caught:
        registry.device("sensor-7")
    assert "8-17" not in str(caught.value)


def _add(data: str, worker: int, count: int) -> None:
    registry = Registry(Path(data), busy_seconds=30)
    for number in range(count):
        registry.add_device(device(f"worker{worker}-{number}"))
        if number % 3 == 0:
            registry.remove_device(f"worker{worker}-{number}", NOW)
    registry.close()


def test_four_processes_write_at_once(data: Path) -> None:
    """They also race to make the file."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add, args=(str(data), worker, 15)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(50)
    assert [worker.exitcode for worker in workers] == [0] * 4
    registry = Registry(data)
    expected = {f"worker{worker}-{number}" for worker in range(4) for number in range(15) if number % 3}
    assert {each.name for each in registry.devices()} == expected
    assert registry.change_number() == 4 * (15 + 5)
    registry.close()
