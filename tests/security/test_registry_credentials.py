"""Whose is what a peer presents: look-ups by every kind of credential, invitations, lock-outs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from bridgehead.security.credentials import (
    CertificateRecord,
    ForeignCertificate,
    OscoreRecord,
    PasswordRecord,
    PreSharedKeyRecord,
    RawPublicKeyRecord,
    Sealed,
    TokenSubject,
)
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import Device
from bridgehead.security.registry.registry import Registry
from bridgehead.security.registry.tokens import Lockout

NOW = 1_800_000_000.0
SEALED = Sealed("k", b"box")


@pytest.fixture
def registry(data: Path) -> Iterator[Registry]:
    found = Registry(data)
    yield found
    found.close()


def full(name: str = "sensor-7") -> Device:
    return Device(
        name,
        NOW,
        foreign_certificates=(
            ForeignCertificate("uri", "urn:acme:7"),
            ForeignCertificate("dns", "seven.example"),
            ForeignCertificate("fingerprint", "e" * 64),
        ),
        pre_shared_keys=(PreSharedKeyRecord("seven-é", SEALED, NOW),),
        raw_public_keys=(RawPublicKeyRecord("f" * 64, b"spki", NOW),),
        oscore=(OscoreRecord(b"\x01", b"\x02", b"", SEALED, NOW),),
        token_subjects=(TokenSubject("https://issuer", "seven"),),
        kerberos_principals=("seven@EXAMPLE.COM",),
        dds_identity=CertificateRecord("d" * 64, "dd", NOW, NOW + 1),
    )


def test_a_device_is_found_by_each_of_its_credentials(registry: Registry) -> None:
    device = full()
    registry.add_device(device)
    assert registry.device_by_psk_identity("seven-é") == device
    assert registry.device_by_token_subject("https://issuer", "seven") == device
    assert registry.device_by_kerberos("seven@EXAMPLE.COM") == device
    assert registry.device_by_foreign("uri", "urn:acme:7") == device
    assert registry.device_by_foreign("dns", "seven.example") == device
    assert registry.device_by_foreign("fingerprint", "e" * 64) == device
    assert registry.device_by_raw_key("f" * 64) == device
    assert registry.device_by_oscore(b"\x01", b"") == device
    assert registry.device_by_dds("d" * 64) == device


def test_nothing_is_found_by_what_only_looks_alike(registry: Registry) -> None:
    registry.add_device(full())
    assert registry.device_by_psk_identity("seven-e") is None
    assert registry.device_by_psk_identity("SEVEN-é") is None
    assert registry.device_by_token_subject("https://issuer", "Seven") is None
    assert registry.device_by_token_subject("https://issuer\x00seven", "") is None
    assert registry.device_by_kerberos("seven@example.com") is None
    assert registry.device_by_foreign("dns", "urn:acme:7") is None
    assert registry.device_by_foreign("uri", "urn:acme:77") is None
    assert registry.device_by_raw_key("e" * 64) is None
    assert registry.device_by_oscore(b"", b"\x01") is None
    assert registry.device_by_psk_identity("\udcff") is None


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"pre_shared_keys": (PreSharedKeyRecord("seven-é", SEALED, NOW),)}, "the pre-shared key identity 'seven-é'"),
        ({"token_subjects": (TokenSubject("https://issuer", "seven"),)}, "the token subject 'seven'"),
        ({"kerberos_principals": ("seven@EXAMPLE.COM",)}, "the Kerberos principal 'seven@EXAMPLE.COM'"),
        ({"foreign_certificates": (ForeignCertificate("uri", "urn:acme:7"),)}, "the foreign certificate 'urn:acme:7'"),
        ({"raw_public_keys": (RawPublicKeyRecord("f" * 64, b"x", NOW),)}, "the raw public key 'ffff"),
        ({"oscore": (OscoreRecord(b"\x01", b"", b"", SEALED, NOW),)}, "the OSCORE identifier '01'"),
    ],
)
def test_two_devices_do_not_share_what_they_are_known_by(
    registry: Registry, changes: dict[str, tuple[Struct, ...]], because: str
) -> None:
    registry.add_device(full())
    other = replace(Device("sensor-8", NOW), **changes)
    with pytest.raises(NotAcceptable, match=rf"{because}.* belongs to the device 'sensor-7' already"):
        registry.add_device(other)
    registry.add_device(Device("sensor-8", NOW))
    with pytest.raises(NotAcceptable, match=because):
        registry.update_device(other, NOW)
    registry.remove_device("sensor-7", NOW)
    registry.update_device(other, NOW)


def test_what_leaves_a_record_finds_it_no_more(registry: Registry) -> None:
    registry.add_device(full())
    registry.update_device(Device("sensor-7", NOW), NOW)
    assert registry.device_by_psk_identity("seven-é") is None
    assert registry.device_by_kerberos("seven@EXAMPLE.COM") is None
    registry.update_device(full(), NOW)
    registry.remove_device("sensor-7", NOW)
    assert registry.device_by_psk_identity("seven-é") is None


def test_the_end_of_an_overlap_is_known(registry: Registry) -> None:
    assert registry.next_ending() is None
    old = PasswordRecord("old", NOW, until=NOW + 50)
    keys = (PreSharedKeyRecord("a", SEALED, NOW, NOW + 20), PreSharedKeyRecord("b", SEALED, NOW))
    registry.add_device(Device("sensor-7", NOW, former_password=old, pre_shared_keys=keys))
    registry.add_device(Device("sensor-8", NOW, former_password=old))
    registry.add_device(Device("sensor-9", NOW))
    assert registry.next_ending() == NOW + 20
    assert registry.devices_with_ended(NOW + 19) == []
    assert registry.devices_with_ended(NOW + 20) == ["sensor-7"]
    assert registry.devices_with_ended(NOW + 50) == ["sensor-7", "sensor-8"]
    registry.update_device(Device("sensor-7", NOW), NOW)
    assert registry.next_ending() == NOW + 50


# Invitations. ---------------------------------------------------------------------------------------


def test_an_invitation_counts_once(registry: Registry) -> None:
    registry.add_device(Device("sensor-7", NOW))
    registry.put_invite(b"hash", "sensor-7", NOW, NOW + 900)
    assert registry.invite_of("sensor-7") == NOW + 900
    assert registry.take_invite(b"other", NOW) is None
    assert registry.take_invite(b"hash", NOW + 899) == "sensor-7"
    assert registry.take_invite(b"hash", NOW + 899) is None
    assert registry.invite_of("sensor-7") is None


@pytest.mark.parametrize("at", [NOW + 900, NOW + 10_000, NOW - 1])
def test_an_invitation_that_is_not_in_force_is_spent(registry: Registry, at: float) -> None:
    """Also under a clock that was set back: it must not count again later."""
    registry.add_device(Device("sensor-7", NOW))
    registry.put_invite(b"hash", "sensor-7", NOW, NOW + 900)
    assert registry.take_invite(b"hash", at) is None
    assert registry.take_invite(b"hash", NOW) is None


def test_a_new_invitation_voids_the_earlier_one_and_a_removed_device_has_none(registry: Registry) -> None:
    registry.add_device(Device("sensor-7", NOW))
    registry.put_invite(b"first", "sensor-7", NOW, NOW + 900)
    registry.put_invite(b"second", "sensor-7", NOW, NOW + 900)
    assert registry.take_invite(b"first", NOW) is None
    registry.remove_device("sensor-7", NOW)
    assert registry.take_invite(b"second", NOW) is None
    with pytest.raises(NotAcceptable, match="there is no device 'sensor-7'"):
        registry.put_invite(b"third", "sensor-7", NOW, NOW + 900)


def _redeem(data: str, results: Connection) -> None:
    registry = Registry(Path(data), busy_seconds=30)
    results.send("ready")
    results.recv()
    results.send(registry.take_invite(b"hash", NOW))
    registry.close()


def test_four_processes_redeem_one_invitation_at_once(data: Path, registry: Registry) -> None:
    registry.add_device(Device("sensor-7", NOW))
    registry.put_invite(b"hash", "sensor-7", NOW, NOW + 900)
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in range(4)]
    workers = [context.Process(target=_redeem, args=(str(data), theirs)) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    assert [ours.recv() for ours, _ in pipes] == ["ready"] * 4
    for ours, _ in pipes:
        ours.send("go")
    assert sorted([ours.recv() for ours, _ in pipes], key=str) == [None, None, None, "sensor-7"]
    for worker in workers:
        worker.join(30)


# Lock-outs. -----------------------------------------------------------------------------------------


def test_lockouts_are_kept_replaced_and_lifted(data: Path, registry: Registry) -> None:
    registry.put_lockout(Lockout("address", "192.0.2.7", NOW + 5, 3))
    registry.put_lockout(Lockout("address", "192.0.2.7", NOW + 9, 4))
    registry.put_lockout(Lockout("identity", "sensor-7 192.0.2.7", NOW + 60, 9))
    other = Registry(data)
    assert repr(other.lockouts()) == repr(
        [Lockout("address", "192.0.2.7", NOW + 9, 4), Lockout("identity", "sensor-7 192.0.2.7", NOW + 60, 9)]
    )
    assert [each.key for each in other.lockouts("address")] == ["192.0.2.7"]
    found = other.lockout("address", "192.0.2.7")
    assert found is not None
    assert (found.until, found.failures) == (NOW + 9, 4)
    assert other.remove_lockout("address", "192.0.2.7")
    assert not other.remove_lockout("address", "192.0.2.7")
    other.close()
    assert registry.lockout("address", "192.0.2.7") is None
    assert registry.forget_lockouts(NOW + 60) == 0
    assert registry.forget_lockouts(NOW + 61) == 1
    assert registry.lockouts() == []
