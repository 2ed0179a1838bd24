"""Whole acts: enrolment and removal happen entirely or not at all, also with several processes at once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.login.passwords import PasswordHasher
from bridgehead.security.pki import certificates
from bridgehead.security.records import Role
from tests.security.support import DAY, Time, der, enrol, machine, modes, publish, subscribe, umask


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_everything_in_a_new_data_folder_is_its_owners_only(data: Path, clock: Time, mask: int) -> None:
    with umask(mask):
        identity = Identity(data, clock)
        enrol(identity, Wanted("sensor-7", password=b"password", certificate=True))
        identity.maintain([], machine)
        found = modes(data.parent)
        identity.close()
    assert {name: mode for name, mode in found.items() if mode not in (0o600, 0o700)} == {}
    assert {name for name, mode in found.items() if mode == 0o700} == {
        "data",
        "data/pki",
        "data/pki/authorities",
        "data/pki/authorities/1",
    }


def test_a_device_is_enrolled_with_password_and_certificate(identity: Identity, clock: Time) -> None:
    identity.add_role("reader", [subscribe("cmd/#")])
    wanted = Wanted(
        "sensor-7",
        [publish("Office/${device}/#")],
        ["reader", "reader"],
        ["lab-*"],
        "password+certificate",
        b"password",
        True,
    )
    enrolled = enrol(identity, wanted)
    kept = identity.registry.existing_device("sensor-7")
    assert kept == enrolled.device
    assert (kept.roles, kept.client_ids, kept.require) == (("reader",), ("lab-*",), "password+certificate")
    assert (kept.created, kept.enabled) == (clock.now, True)
    assert kept.password is not None
    assert kept.password.encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PasswordHasher().verify(kept.password.encoded, b"password")
    (certificate,) = kept.certificates
    assert certificate.fingerprint == certificates.fingerprint(der(enrolled.certificate))
    assert enrolled.certificate is not None
    assert int(certificate.serial, 16) == enrolled.certificate.serial
    assert certificate.not_after == clock.now - 3600 + 90 * DAY
    assert enrolled.permissions == [publish("Office/${device}/#"), subscribe("cmd/#")]
    assert enrolled.authority_pem == identity.pki.authority_file.read_bytes()


def test_when_the_handing_over_fails_there_is_no_device(identity: Identity) -> None:
    with pytest.raises(OSError, match="disk full"), identity.enrolling(Wanted("sensor-7", certificate=True)):
        raise OSError("disk full")
    assert identity.registry.devices() == []
    assert identity.registry.change_number() == 0
    enrol(identity, Wanted("sensor-7", certificate=True))


@pytest.mark.parametrize(
    ("wanted", "because"),
    [
        (Wanted("a b", certificate=True), "cannot be a device's name"),
        (Wanted("sensor-7"), "needs a credential: a password, a certificate, or both"),
        (Wanted("sensor-7", [publish("a#")], certificate=True), "is not a Topic Filter"),
        (Wanted("sensor-7", client_ids=["a*b"], certificate=True), r"has a \* inside"),
        (Wanted("sensor-7", roles=["missing"], certificate=True), "there is no role 'missing'"),
        (Wanted("sensor-7", require="password+certificate", password=b"x"), "lacks one of them"),
        (Wanted("taken", certificate=True), "there is a device 'taken' already"),
    ],
)
def test_what_cannot_be_changes_nothing(identity: Identity, wanted: Wanted, because: str) -> None:
    enrol(identity, Wanted("taken", password=b"password"))
    before = identity.registry.devices()
    with pytest.raises(NotAcceptable, match=because):
        enrol(identity, wanted)
    assert identity.registry.devices() == before


def test_removing_takes_everything_back(identity: Identity) -> None:
    enrolled = enrol(identity, Wanted("sensor-7", password=b"password", certificate=True))
    kept = enrol(identity, Wanted("sensor-8", certificate=True))
    assert identity.remove_device("sensor-7") == enrolled.device
    assert enrolled.certificate is not None
    assert identity.pki.revoked_serials() == {enrolled.certificate.serial}
    assert identity.registry.revoked_from(enrolled.certificate.fingerprint) == "sensor-7"
    assert [each.name for each in identity.registry.devices()] == [kept.device.name]


def test_a_list_that_cannot_be_signed_does_not_keep_a_device(identity: Identity) -> None:
    enrol(identity, Wanted("sensor-7", certificate=True))
    identity.pki.authority_key_file.unlink()
    with pytest.raises(
        SecurityError, match="'sensor-7' is removed and its credentials are void, but the revocation list"
    ):
        identity.remove_device("sensor-7")
    assert identity.registry.devices() == []


def test_maintaining_makes_the_hubs_certificate_and_keeps_the_list_whole(identity: Identity, clock: Time) -> None:
    enrolled = enrol(identity, Wanted("sensor-7", certificate=True))
    assert enrolled.certificate is not None
    # As after a crash between the commit and the writing of the list.
    identity.registry.remove_device("sensor-7", clock())
    assert identity.pki.revoked_serials() == set()
    stamp = identity.maintain(["broker.example"], machine)
    assert identity.pki.revoked_serials() == {enrolled.certificate.serial}
    assert "broker.example" in identity.pki.server_hosts()
    assert identity.maintain(["broker.example"], machine) == stamp
    clock.now += 20 * DAY  # the list is signed anew
    later = identity.maintain(["broker.example"], machine)
    assert later != stamp
    assert identity.pki.revoked_serials() == {enrolled.certificate.serial}
    clock.now += 300 * DAY  # the hub's certificate too
    assert identity.maintain(["broker.example"], machine)[1] != later[1]


def test_a_failure_to_open_leaves_no_connection_open(data: Path, clock: Time) -> None:
    Identity(data, clock).close()
    (data / "pki/authorities/1/issuing.key").chmod(0o644)
    with pytest.raises(SecurityError, match="other users of this machine can open"):
        Identity(data, clock)
    assert not (data / "identity.db-wal").exists()


def _enrol(data: str, worker: int) -> None:
    identity = Identity(Path(data), Time())
    for number in range(4):
        enrol(identity, Wanted(f"worker{worker}-{number}", roles=[], password=b"password", certificate=True))
    identity.remove_device(f"worker{worker}-0")
    identity.close()


def test_four_processes_enrol_at_once_into_a_folder_that_none_has_made(data: Path, clock: Time) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_enrol, args=(str(data), worker)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(50)
    assert [worker.exitcode for worker in workers] == [0] * 4
    identity = Identity(data, clock)
    devices = identity.registry.devices()
    assert {each.name for each in devices} == {f"worker{w}-{n}" for w in range(4) for n in (1, 2, 3)}
    # One authority for all, and a list with every removal on it, whoever wrote last.
    assert len(identity.pki.revoked_serials()) == 4
    assert identity.pki.revoked_serials() == {each.serial for each in identity.registry.revoked(clock())}
    identity.close()


def test_roles_are_added(identity: Identity, clock: Time) -> None:
    assert identity.add_role("reader", [subscribe("a")]) == Role("reader", clock.now, (subscribe("a"),))
    with pytest.raises(NotAcceptable):
        identity.add_role("reader", [])
