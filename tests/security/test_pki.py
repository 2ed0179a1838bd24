"""The authority and the hub's own certificate over their life: made, kept, renewed, refused."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridgehead.security import pki
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.pki import Pki, certificates, ensure, open_authority
from bridgehead.security.pki.certificates import Revoked
from bridgehead.security.pki.machine import MachineNames
from tests.security.support import DAY, machine, modes, umask

NOW = 1_800_000_000.0


def hub(data: Path, *hosts: str, now: float = NOW, names: Callable[[], MachineNames] = machine) -> Pki:
    return ensure(data, hosts, now, names)


def contents(folder: Path) -> dict[str, bytes]:
    """Without the ledger, in which each attempt to sign may leave a line."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file() and name != "issued.db"}


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_the_first_start_makes_everything_for_its_owner_only(data: Path, mask: int) -> None:
    with umask(mask):
        hub(data)
    assert modes(data.parent) == {
        "data": 0o700,
        "data/pki": 0o700,
        "data/pki/.lock": 0o600,
        "data/pki/authorities": 0o700,
        "data/pki/authorities.json": 0o600,
        "data/pki/authorities/1": 0o700,
        "data/pki/authorities/1/issuing.key": 0o600,
        "data/pki/authorities/1/issuing.pem": 0o600,
        "data/pki/authorities/1/root.key": 0o600,
        "data/pki/authorities/1/root.pem": 0o600,
        "data/pki/ca.crl": 0o600,
        "data/pki/ca.pem": 0o600,
        "data/pki/issued.db": 0o600,
        "data/pki/server.pem": 0o600,
        "data/pki/trusted.pem": 0o600,
    }


def test_the_server_certificate_stands_for_the_machine_and_what_was_asked(data: Path) -> None:
    found = hub(data, "broker.example", "203.0.113.9").server_hosts()
    assert [str(each) for each in found] == [
        "hub",
        "hub.example",
        "broker.example",
        "localhost",
        "203.0.113.9",
        "127.0.0.1",
        "::1",
        "192.0.2.7",
    ]


def test_nothing_changes_while_nothing_has_to(data: Path) -> None:
    first = hub(data, "broker.example")
    before, stamp = contents(first.folder), first.stamp()
    second = hub(data, "broker.example", now=NOW + 14 * DAY)
    assert contents(second.folder) == before
    assert second.stamp() == stamp


def test_it_is_renewed_when_less_than_a_third_of_its_life_is_left(data: Path) -> None:
    first = hub(data).server_certificate()
    assert first is not None
    begin, end = certificates.not_before(first), certificates.not_after(first)
    due = end - (end - begin) / 3
    assert hub(data, now=due - 1).server_certificate() == first
    renewed = hub(data, now=due + 1).server_certificate()
    assert renewed is not None
    assert renewed != first
    assert certificates.not_before(renewed) > begin
    assert renewed.public_key() != first.public_key()


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        (["other.example"], machine()),
        ([], machine("hub", "hub.example", "127.0.0.1", "192.0.2.8")),
        ([], machine("hub2", "hub2.example")),
        ([], machine("hub", "hub.other")),
    ],
)
def test_it_is_renewed_when_names_or_addresses_changed(data: Path, hosts: list[str], names: MachineNames) -> None:
    first = hub(data)
    stamp = first.stamp()
    second = hub(data, *hosts, names=lambda: names)
    assert second.stamp() != stamp
    assert set(second.server_hosts()) == set(pki.wanted_hosts(hosts, names, ()))


def test_a_resolver_that_is_silent_today_changes_nothing(data: Path) -> None:
    stamp = hub(data).stamp()
    assert hub(data, names=lambda: machine("hub", None)).stamp() == stamp


def test_a_certificate_of_another_authority_is_replaced(data: Path, tmp_path: Path) -> None:
    first, other = hub(data), hub(tmp_path / "other")
    first.server_file.write_bytes(other.server_file.read_bytes())
    renewed = hub(data).server_certificate()
    assert renewed is not None
    renewed.verify_directly_issued_by(first.authority)


def test_a_host_that_is_none_is_refused(data: Path) -> None:
    with pytest.raises(NotAcceptable, match="'mqtts://hub' is neither a host name nor an IP address"):
        hub(data, "mqtts://hub")


def test_the_authority_lives_on_when_the_hub_restarts(data: Path) -> None:
    first = open_authority(data, NOW)
    assert first.server_certificate() is None
    assert first.server_hosts() == []
    assert hub(data).authority == first.authority == open_authority(data, NOW).authority


@pytest.mark.parametrize("lost", ["authorities.json", "ca.pem", "trusted.pem", "ca.crl"])
def test_an_interrupted_first_start_is_taken_up(data: Path, lost: str) -> None:
    """What follows from another file is made anew; authorities that nobody has been given are too."""
    folder = hub(data).folder
    root = (folder / "authorities/1/root.pem").read_bytes()
    (folder / lost).unlink()
    if lost == "authorities.json":
        (folder / "ca.pem").unlink()
    second = hub(data)
    assert second.authority_file.read_bytes() == (folder / "authorities/1/root.pem").read_bytes()
    assert (second.authority_file.read_bytes() == root) is (lost != "authorities.json")
    server = second.server_certificate()
    assert server is not None
    server.verify_directly_issued_by(second.authority)


def test_what_says_which_authorities_there_are_is_not_made_up(data: Path) -> None:
    folder = hub(data).folder
    (folder / "authorities.json").unlink()
    with pytest.raises(SecurityError, match=r"authorities\.json, which says what authorities there are, is not there"):
        hub(data)
    (folder / "authorities.json").write_bytes(b"{")
    with pytest.raises(SecurityError, match=r"authorities\.json cannot be read: restore it from a backup"):
        hub(data)


def test_clients_trust_the_root_alone_and_get_the_chain(data: Path) -> None:
    found = hub(data)
    roots = certificates.read_certificates(found.authority_file.read_bytes(), "")
    leaf, issuing = certificates.read_certificates(found.server_file.read_bytes(), "")
    assert len(roots) == 1
    assert issuing == found.authority
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(roots[0])


# Folders of the first version. ----------------------------------------------------------------------


def first_version(data: Path, now: float = NOW) -> Path:
    """One authority, in ca.pem and ca.key."""
    folder = data / "pki"
    folder.mkdir(parents=True)
    data.chmod(0o700)
    folder.chmod(0o700)
    key = certificates.new_key()
    for name, pem in (
        ("ca.key", certificates.key_pem(key)),
        ("ca.pem", certificates.certificate_pem(certificates.make_root(key, now))),
    ):
        (folder / name).write_bytes(pem)
        (folder / name).chmod(0o600)
    return folder


def test_a_folder_of_the_first_version_goes_on(data: Path) -> None:
    folder = first_version(data)
    before = contents(folder)
    found = hub(data)
    issued = found.issue_device("sensor-7", NOW)
    issued.certificate.verify_directly_issued_by(found.authority)
    assert issued.certificate_pem.count(b"BEGIN CERTIFICATE") == 1
    server = found.server_certificate()
    assert server is not None
    server.verify_directly_issued_by(found.authority)
    assert {name: data for name, data in contents(folder).items() if name in before} == before
    assert not (folder / "authorities.json").exists()


def test_a_first_start_of_the_first_version_that_was_interrupted_keeps_its_key(data: Path) -> None:
    folder = first_version(data)
    (folder / "ca.pem").unlink()
    key = (folder / "ca.key").read_bytes()
    assert certificates.read_key(key, "").public_key() == hub(data).authority.public_key()
    assert (folder / "ca.key").read_bytes() == key


# Devices. -------------------------------------------------------------------------------------------


def test_a_devices_certificate_matches_its_key(data: Path) -> None:
    issued = open_authority(data, NOW).issue_device("sensor-7", NOW)
    certificate = certificates.read_certificate(issued.certificate_pem, "")
    assert certificates.read_key(issued.key_pem, "").public_key() == certificate.public_key()
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert issued.fingerprint == certificates.fingerprint(der)
    assert issued.serial == certificate.serial_number
    assert (issued.not_before, issued.not_after) == (NOW - 3600, NOW - 3600 + 90 * DAY)


# Revocation. ----------------------------------------------------------------------------------------


def test_the_list_is_there_from_the_start_and_empty(data: Path) -> None:
    assert open_authority(data, NOW).revoked_serials() == set()


def test_the_list_follows_what_is_revoked(data: Path) -> None:
    found = open_authority(data, NOW)
    assert found.publish_revocations(lambda: [Revoked(5, NOW)], NOW)
    assert found.revoked_serials() == {5}
    assert not found.publish_revocations(lambda: [Revoked(5, NOW)], NOW)
    assert found.publish_revocations(lambda: [Revoked(5, NOW), Revoked(6, NOW)], NOW)
    assert found.revoked_serials() == {5, 6}


def number(found: Pki) -> int:
    crl = certificates.read_revocation_list(found.revocation_file.read_bytes(), "")
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_its_number_grows_also_when_the_clock_went_back_or_the_file_was_lost(data: Path) -> None:
    found = open_authority(data, NOW)
    first = number(found)
    found.publish_revocations(lambda: [Revoked(5, NOW)], NOW - DAY)
    second = number(found)
    found.revocation_file.unlink()
    open_authority(data, NOW + 60)
    assert first < second < number(found)


def test_it_is_signed_anew_before_it_ends_with_all_that_is_on_it(data: Path) -> None:
    found = open_authority(data, NOW)
    found.publish_revocations(lambda: [Revoked(5, NOW)], NOW)
    before = found.revocation_file.read_bytes()
    assert open_authority(data, NOW + 14 * DAY).revocation_file.read_bytes() == before
    assert open_authority(data, NOW + 16 * DAY).revocation_file.read_bytes() != before
    assert found.revoked_serials() == {5}


# What is refused. -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["authorities/1/issuing.key", "authorities/1/root.key", "server.pem", "issued.db"])
@pytest.mark.parametrize("loose", [0o640, 0o604])
def test_a_key_that_others_can_open_stops_the_start(data: Path, name: str, loose: int) -> None:
    path = hub(data).folder / name
    path.chmod(loose)
    with pytest.raises(SecurityError, match=rf"other users of this machine can open {path} \(mode {loose:04o}\)"):
        hub(data)


def test_a_folder_that_others_can_reach_into_stops_the_start(data: Path) -> None:
    folder = hub(data).folder
    folder.chmod(0o755)
    with pytest.raises(SecurityError, match=rf"other users can reach into the folder {folder} \(mode 0755\)"):
        hub(data)


def test_with_the_authoritys_key_kept_elsewhere_the_hub_goes_on_with_what_is_in_force(data: Path) -> None:
    found = hub(data, "broker.example")
    found.authority_key_file.unlink()
    before = contents(found.folder)
    hub(data, "broker.example", now=NOW + 29 * DAY, names=lambda: machine("hub", "hub.example", "192.0.2.99"))
    assert contents(found.folder) == before
    missing = r"issuing\.key, the key of the hub's authority, is not there: put it back"
    with pytest.raises(SecurityError, match=missing):
        found.issue_device("sensor-7", NOW)
    with pytest.raises(SecurityError, match=missing):  # a name that somebody asked for
        hub(data, "broker.example", "new.example", now=NOW + 29 * DAY)
    with pytest.raises(SecurityError, match=missing):  # the revocation list has ended: TLS would refuse every device
        hub(data, "broker.example", now=NOW + 31 * DAY)
    assert contents(found.folder) == before


def test_the_key_of_another_authority_is_refused(data: Path, tmp_path: Path) -> None:
    found, other = hub(data), hub(tmp_path / "other")
    found.authority_key_file.write_bytes(other.authority_key_file.read_bytes())
    with pytest.raises(
        SecurityError, match=r"issuing\.key is not the key of .*issuing\.pem: restore both from one backup"
    ):
        found.issue_device("sensor-7", NOW)


@pytest.mark.parametrize("name", ["authorities/1/root.pem", "authorities/1/issuing.pem", "ca.crl", "server.pem"])
def test_a_broken_file_is_named_and_left_alone(data: Path, name: str) -> None:
    folder = hub(data).folder
    (folder / name).write_bytes(b"-----BEGIN CERTIFICATE-----\nbroken\n")
    before = contents(folder)
    with pytest.raises(SecurityError, match=rf"{folder / name} holds no readable"):
        hub(data)
    assert contents(folder) == before


def test_a_broken_authority_key_is_named(data: Path) -> None:
    found = hub(data)
    found.authority_key_file.write_bytes(b"broken")
    with pytest.raises(SecurityError, match=r"issuing\.key holds no readable private key: restore it from a backup"):
        found.issue_device("sensor-7", NOW)


def test_an_expired_authority_and_one_from_the_future_are_refused(data: Path) -> None:
    found = hub(data)
    with pytest.raises(SecurityError, match=r"has expired on 2037-.* make another one with `bridgehead ca roll-over"):
        hub(data, now=NOW + 3654 * DAY)
    with pytest.raises(SecurityError, match=r"valid from 2027-.* this machine's clock says 2027-.*: set the clock"):
        hub(data, now=NOW - 2 * DAY)
    with pytest.raises(SecurityError, match="set the clock"):
        found.issue_device("sensor-7", NOW - 2 * DAY)


def _start(data: str) -> None:
    hub(Path(data))


def test_processes_that_start_at_once_share_one_authority(data: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_start, args=(str(data),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    found = hub(data)
    server = found.server_certificate()
    assert server is not None
    server.verify_directly_issued_by(found.authority)
    assert found.issue_device("sensor-7", NOW).serial
    assert not [name for name in os.listdir(found.folder) if name.count(".") > 1]
