"""Renewing, taking back, inviting: each act whole, told to the audit log, and never with a secret in it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.security import events
from bridgehead.security.credentials import ForeignCertificate, TokenSubject, oscore_context, otp_context, psk_context
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.wanted import Enrolled, Fresh, Wanted
from bridgehead.security.login.passwords import PasswordHasher
from bridgehead.security.otp import otp
from bridgehead.security.records import Device, Group, Quota
from bridgehead.security.registry.tokens import Lockout
from tests.security.support import Time, enrol, publish

HOUR = 3600.0
EVERYTHING = Fresh(password=b"a password", certificate=True, psk="", raw_key=True, oscore=True, otp=True, dds=True)


class Heard:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, fields: Mapping[str, object]) -> None:
        self.lines.append((event, dict(fields)))

    def names(self) -> list[str]:
        return [event for event, _ in self.lines]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def identity(data: Path, clock: Time, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identity]:
    monkeypatch.setattr("bridgehead.security.identity.identity._hash", PasswordHasher(1, 8, 1).hash)
    found = Identity(data, clock, heard)
    yield found
    found.close()


def rotate(
    identity: Identity, name: str, overlap: float = 0.0, which: list[str] | None = None, password: bytes | None = None
) -> Enrolled:
    with identity.rotating(name, overlap, which, password) as enrolled:
        return enrolled


def device(identity: Identity, name: str = "sensor-7") -> Device:
    return identity.registry.existing_device(name)


# Every kind of credential. --------------------------------------------------------------------------


def test_a_device_has_every_kind_of_credential(identity: Identity, heard: Heard) -> None:
    identity.registry.add_group(Group("lobby", 1.0))
    wanted = Wanted(
        "sensor-7",
        [publish("Office/${group}/#")],
        fresh=EVERYTHING,
        groups=["lobby"],
        attributes={"floor": "3"},
        quota=Quota(messages=5.0),
        foreign_certificates=[ForeignCertificate("uri", "urn:acme:7")],
        token_subjects=[TokenSubject("https://issuer", "seven")],
        kerberos_principals=["seven@EXAMPLE.COM"],
    )
    enrolled = enrol(identity, wanted)
    kept = device(identity)
    assert kept == enrolled.device
    assert (kept.groups, kept.attributes, kept.quota) == (("lobby",), {"floor": "3"}, Quota(messages=5.0))
    assert kept.password is not None
    assert {each.mechanism for each in kept.password.scram} == {"SCRAM-SHA-256", "SCRAM-SHA-512"}
    assert min(each.iterations for each in kept.password.scram) >= 4096  # RFC 7677 section 4
    psk, oscore, code = enrolled.psk, enrolled.oscore, enrolled.otp
    assert psk is not None
    assert oscore is not None
    assert code is not None
    opened = identity.vault.open_sealed(kept.pre_shared_keys[0].key, psk_context("sensor-7", "sensor-7"))
    assert (psk.identity, psk.key) == ("sensor-7", opened)
    assert len(opened) >= 16
    secret = identity.vault.open_sealed(kept.oscore[0].secret, oscore_context("sensor-7", oscore.sender_id))
    assert secret == bytes([len(oscore.secret)]) + oscore.secret + oscore.salt
    assert kept.otp is not None
    last = identity.vault.open_sealed(kept.otp.last, otp_context("sensor-7"))
    next_one = otp.compute(code.algorithm, code.pass_phrase, code.seed, code.sequence - 1)
    assert otp.folded(code.algorithm, next_one) == last  # RFC 2289: the next, hashed once, is the last
    assert enrolled.raw_key is not None
    assert kept.raw_public_keys[0].spki == enrolled.raw_key.spki
    assert enrolled.dds is not None
    assert kept.dds_identity is not None
    assert kept.dds_identity.fingerprint == enrolled.dds.fingerprint
    assert identity.registry.device_by_kerberos("seven@EXAMPLE.COM") == kept
    told = dict(heard.lines)[events.DEVICE_ADDED]
    assert told["kinds"] == "password certificate psk rpk oscore otp dds"


def test_no_secret_is_in_the_data_folder_or_in_what_is_told(identity: Identity, data: Path, heard: Heard) -> None:
    first = enrol(identity, Wanted("sensor-7", fresh=EVERYTHING))
    second = rotate(identity, "sensor-7", HOUR)
    token = identity.invite("sensor-7").token
    identity.revoke("sensor-7")
    secrets = [token.encode()]
    for each in (first, second):
        assert each.password is not None
        assert each.psk is not None
        assert each.oscore is not None
        assert each.otp is not None
        assert each.raw_key is not None
        assert each.certificate is not None
        assert each.dds is not None
        secrets += [each.password, each.psk.key, each.psk.key.hex().encode(), each.oscore.secret, each.oscore.salt]
        secrets += [each.oscore.secret.hex().encode(), each.otp.pass_phrase.encode()]
        secrets += [pem.splitlines()[1] for pem in (each.raw_key.key_pem, each.certificate.key_pem, each.dds.key_pem)]
        shown = repr((each, each.psk, each.oscore, each.otp, each.raw_key, each.certificate, each.device))
        assert not [secret for secret in secrets if secret.decode("latin-1") in shown]
    identity.registry._database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found = {path.name: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert len(found["identity.db"]) > 0
    for secret in secrets:
        assert [name for name, content in found.items() if secret in content] == []
        assert secret.decode("latin-1") not in repr(heard.lines)


# Rotation. ------------------------------------------------------------------------------------------


def test_a_rotation_overlaps_old_and_new(identity: Identity, clock: Time, heard: Heard) -> None:
    first = enrol(identity, Wanted("sensor-7", fresh=EVERYTHING))
    clock.now += 10
    second = rotate(identity, "sensor-7", HOUR)
    now = device(identity)
    until = clock.now + HOUR
    assert now.password is not None
    assert now.former_password is not None
    assert first.password is not None
    assert second.password is not None
    assert PasswordHasher().verify(now.password.encoded, second.password)
    assert PasswordHasher().verify(now.former_password.encoded, first.password)
    assert (now.password.until, now.former_password.until) == (None, until)
    assert [each.until for each in now.certificates] == [None, until]
    assert [each.until for each in now.pre_shared_keys] == [None, until]
    assert len({each.identity for each in now.pre_shared_keys}) == 2
    assert [each.until for each in now.raw_public_keys] == [None, until]
    assert [each.until for each in now.oscore] == [None, until]
    assert now.otp != first.device.otp
    # One of each, so the old DDS identity ends at once.
    assert first.dds is not None
    assert second.dds is not None
    assert now.dds_identity is not None
    assert now.dds_identity.fingerprint == second.dds.fingerprint
    assert identity.pki.revoked_serials() == {first.dds.serial}
    assert heard.lines[-1] == (
        events.DEVICE_ROTATED,
        {"principal": "sensor-7", "which": "password certificate psk rpk oscore otp dds", "overlap": HOUR},
    )


def test_an_overlap_ends(identity: Identity, clock: Time) -> None:
    first = enrol(identity, Wanted("sensor-7", fresh=EVERYTHING))
    rotate(identity, "sensor-7", HOUR)
    assert identity.registry.next_ending() == clock.now + HOUR
    clock.now += HOUR - 1
    assert identity.end_overlaps() == []
    clock.now += 1
    assert identity.end_overlaps() == ["sensor-7"]
    now = device(identity)
    assert now.former_password is None
    assert [len(each) for each in (now.certificates, now.pre_shared_keys, now.raw_public_keys, now.oscore)] == [1] * 4
    identity.publish_revocations()
    assert first.certificate is not None
    assert first.certificate.serial in identity.pki.revoked_serials()
    assert identity.registry.next_ending() is None
    assert identity.end_overlaps() == []


def test_a_second_rotation_prolongs_nothing(identity: Identity, clock: Time) -> None:
    enrol(identity, Wanted("sensor-7", fresh=Fresh(certificate=True, psk="x")))
    first_end = clock.now + HOUR
    rotate(identity, "sensor-7", HOUR)
    clock.now += 60
    rotate(identity, "sensor-7", 10 * HOUR)
    assert [each.until for each in device(identity).certificates] == [None, clock.now + 10 * HOUR, first_end]
    assert [each.until for each in device(identity).pre_shared_keys] == [None, clock.now + 10 * HOUR, first_end]


def test_a_clock_that_jumps_back_does_not_bring_an_ended_one_to_life(identity: Identity, clock: Time) -> None:
    enrol(identity, Wanted("sensor-7", fresh=Fresh(certificate=True)))
    rotate(identity, "sensor-7", HOUR)
    clock.now += 2 * HOUR
    identity.maintain([])
    clock.now -= 2 * HOUR + 60
    identity.maintain([])
    assert len(device(identity).certificates) == 1
    rotate(identity, "sensor-7", HOUR)
    assert [each.until for each in device(identity).certificates] == [None, clock.now + HOUR]


def test_without_an_overlap_the_old_ones_are_void_at_once(identity: Identity) -> None:
    first = enrol(identity, Wanted("sensor-7", fresh=Fresh(password=b"old password", certificate=True, psk="seven")))
    second = rotate(identity, "sensor-7")
    now = device(identity)
    assert now.former_password is None
    assert len(now.certificates) == len(now.pre_shared_keys) == 1
    assert first.certificate is not None
    assert second.psk is not None
    assert second.psk.identity == "seven"
    assert identity.pki.revoked_serials() == {first.certificate.serial}


def test_one_kind_alone_and_a_chosen_password(identity: Identity) -> None:
    before = enrol(identity, Wanted("sensor-7", fresh=Fresh(password=b"old password", certificate=True))).device
    rotate(identity, "sensor-7", 0.0, ["password"], b"new password")
    now = device(identity)
    assert now.certificates == before.certificates
    assert now.password is not None
    assert PasswordHasher().verify(now.password.encoded, b"new password")


def test_a_rotation_that_is_not_handed_over_has_not_happened(identity: Identity, heard: Heard) -> None:
    before = enrol(identity, Wanted("sensor-7", fresh=EVERYTHING)).device
    with pytest.raises(OSError, match="disk full"), identity.rotating("sensor-7", HOUR):
        raise OSError("disk full")
    assert device(identity) == before
    assert heard.names() == [events.DEVICE_ADDED]


@pytest.mark.parametrize(
    ("overlap", "which", "because"),
    [
        (-1.0, None, "an overlap is 0 s to 90 days long"),
        (91 * 86400.0, None, "an overlap is 0 s to 90 days long"),
        (float("nan"), None, "an overlap is 0 s to 90 days long"),
        (0.0, ["psk"], "the device 'sensor-7' has no psk to rotate: it has password"),
        (0.0, ["pasword"], "'pasword' is no kind of credential: password, certificate"),
    ],
)
def test_a_rotation_that_cannot_be_changes_nothing(
    identity: Identity, heard: Heard, overlap: float, which: list[str] | None, because: str
) -> None:
    before = enrol(identity, Wanted("sensor-7", password=b"password")).device
    with pytest.raises(NotAcceptable, match=because):
        rotate(identity, "sensor-7", overlap, which)
    assert device(identity) == before
    event, fields = heard.lines[-1]
    assert (event, fields["act"], fields["principal"]) == (events.ACT_REFUSED, "rotate", "sensor-7")


def test_what_is_made_elsewhere_cannot_be_rotated(identity: Identity) -> None:
    enrol(identity, Wanted("sensor-7", kerberos_principals=["a@B"]))
    with pytest.raises(NotAcceptable, match="has nothing that can be rotated: its credentials are made elsewhere"):
        rotate(identity, "sensor-7")


# Revocation. ----------------------------------------------------------------------------------------


def test_revoking_takes_everything_back_and_keeps_the_record(identity: Identity, clock: Time, heard: Heard) -> None:
    enrolled = enrol(
        identity, Wanted("sensor-7", [publish("a")], fresh=EVERYTHING, kerberos_principals=["seven@EXAMPLE.COM"])
    )
    token = identity.invite("sensor-7").token
    clock.now += 5
    assert identity.revoke("sensor-7") == enrolled.device
    kept = device(identity)
    assert kept == Device(
        "sensor-7", enrolled.device.created, enabled=False, permissions=(publish("a"),), revoked_at=clock.now
    )
    assert enrolled.certificate is not None
    assert enrolled.dds is not None
    assert identity.pki.revoked_serials() == {enrolled.certificate.serial, enrolled.dds.serial}
    assert identity.registry.device_by_kerberos("seven@EXAMPLE.COM") is None
    assert identity.registry.device_by_psk_identity("sensor-7") is None
    with pytest.raises(NotAcceptable):
        identity.redeem(token)
    assert (events.DEVICE_REVOKED, {"principal": "sensor-7", "certificates": 1}) in heard.lines


@pytest.mark.parametrize("act", ["revoke", "enable", "rotate", "set", "invite", "add"])
def test_a_revoked_device_stays_revoked(identity: Identity, act: str, heard: Heard) -> None:
    enrol(identity, Wanted("sensor-7", password=b"password"))
    identity.revoke("sensor-7")
    before = device(identity)
    acts: dict[str, Callable[[], object]] = {
        "revoke": lambda: identity.revoke("sensor-7"),
        "enable": lambda: identity.enable("sensor-7"),
        "rotate": lambda: rotate(identity, "sensor-7"),
        "set": lambda: identity.change("sensor-7", lambda found: replace(found, enabled=True)),
        "invite": lambda: identity.invite("sensor-7"),
        "add": lambda: enrol(identity, Wanted("sensor-7", password=b"password")),
    }
    with pytest.raises(NotAcceptable, match="revoked"):
        acts[act]()
    assert device(identity) == before
    assert heard.names()[-1] == events.ACT_REFUSED


def test_removed_after_a_revocation_the_name_is_free(identity: Identity, clock: Time) -> None:
    enrol(identity, Wanted("sensor-7", password=b"password"))
    identity.revoke("sensor-7")
    identity.remove_device("sensor-7")
    clock.now += 1
    again = enrol(identity, Wanted("sensor-7", password=b"password")).device
    assert again.revoked_at is None
    assert again.created == clock.now


def test_disable_and_enable(identity: Identity, heard: Heard) -> None:
    before = enrol(identity, Wanted("sensor-7", password=b"password")).device
    identity.disable("sensor-7")
    assert device(identity) == replace(before, enabled=False)
    identity.disable("sensor-7")
    identity.enable("sensor-7")
    assert device(identity) == before
    assert heard.names() == [events.DEVICE_ADDED, events.DEVICE_DISABLED, events.DEVICE_ENABLED]


def test_a_change_names_what_differs(identity: Identity, heard: Heard) -> None:
    enrol(identity, Wanted("sensor-7", password=b"password"))
    identity.change("sensor-7", lambda found: replace(found, attributes={"floor": "3"}, client_ids=("x",)))
    assert heard.lines[-1] == (events.DEVICE_CHANGED, {"principal": "sensor-7", "changed": "client_ids attributes"})
    with pytest.raises(NotAcceptable, match="there is no role 'x'"):
        identity.change("sensor-7", lambda found: replace(found, roles=("x",)))
    assert device(identity).attributes == {"floor": "3"}


def test_an_act_that_cannot_be_recorded_does_not_happen(
    data: Path, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridgehead.security.identity.identity._hash", PasswordHasher(1, 8, 1).hash)

    def full(event: str, fields: Mapping[str, object]) -> None:
        raise SecurityError("cannot write the audit log: the disk is full")

    identity = Identity(data, clock, full)
    with pytest.raises(SecurityError, match="the disk is full"):
        enrol(identity, Wanted("sensor-7", password=b"password"))
    assert identity.registry.devices() == []
    identity.close()


# Lock-outs. -----------------------------------------------------------------------------------------


def test_unlocking_by_name_by_address_and_by_both(identity: Identity, heard: Heard) -> None:
    enrol(identity, Wanted("sensor-7", password=b"password"))
    keys = ["sensor-7 192.0.2.1", "sensor-7 192.0.2.2", "sensor-8 192.0.2.1", "sensor-8 2001:db8::/64"]

    def lock() -> None:
        for key in keys:
            identity.registry.put_lockout(Lockout("identity", key, 1e12, 9))

    lock()
    assert identity.unlock("sensor-7", None) == [("sensor-7", "192.0.2.1"), ("sensor-7", "192.0.2.2")]
    lock()
    assert identity.unlock(None, "192.0.2.1") == [("sensor-7", "192.0.2.1"), ("sensor-8", "192.0.2.1")]
    assert identity.unlock(None, "2001:db8::99") == [("sensor-8", "2001:db8::/64")]
    lock()
    assert identity.unlock("sensor-7", "192.0.2.2") == [("sensor-7", "192.0.2.2")]
    assert identity.unlock("sensor-7", "192.0.2.9") == []
    assert heard.names().count(events.DEVICE_UNLOCKED) == 4
    with pytest.raises(NotAcceptable, match=r"there is no device 'sensor-9': did you mean"):
        identity.unlock("sensor-9", None)


# Invitations. ---------------------------------------------------------------------------------------


def test_an_invitation_is_redeemed_once(identity: Identity, clock: Time, heard: Heard) -> None:
    enrol(identity, Wanted("sensor-7", later=True))
    invitation = identity.invite("sensor-7", 900)
    assert (invitation.device, invitation.expires) == ("sensor-7", clock.now + 900)
    assert invitation.token not in repr(invitation)
    assert identity.redeem(invitation.token) == device(identity)
    said = set()
    expired = identity.invite("sensor-7", 60).token
    clock.now += 60
    for token in (invitation.token, expired, "unknown", "", "x" * 100_000, "\udcff"):
        with pytest.raises(NotAcceptable) as caught:
            identity.redeem(token)
        said.add(str(caught.value))
    assert said == {"this invitation is unknown, used or expired: ask for a new one (`device invite`)"}
    assert heard.names().count(events.INVITE_REDEEMED) == 1


def test_an_invitation_does_not_outlive_a_clock_that_jumps_back(identity: Identity, clock: Time) -> None:
    enrol(identity, Wanted("sensor-7", later=True))
    token = identity.invite("sensor-7", 60).token
    clock.now -= 10_000
    with pytest.raises(NotAcceptable):
        identity.redeem(token)


def test_a_disabled_device_redeems_nothing(identity: Identity) -> None:
    enrol(identity, Wanted("sensor-7", later=True))
    token = identity.invite("sensor-7").token
    identity.disable("sensor-7")
    with pytest.raises(NotAcceptable, match="is disabled: it cannot be invited"):
        identity.invite("sensor-7")
    with pytest.raises(NotAcceptable, match="unknown, used or expired"):
        identity.redeem(token)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 8 * 86400.0, float("nan")])
def test_an_invitation_holds_for_a_while(identity: Identity, seconds: float) -> None:
    enrol(identity, Wanted("sensor-7", later=True))
    with pytest.raises(NotAcceptable, match="at most 7 days"):
        identity.invite("sensor-7", seconds)


def test_an_enrolled_certificate_joins_the_record(identity: Identity, clock: Time) -> None:
    first = enrol(identity, Wanted("sensor-7", certificate=True))
    issued = identity.pki.issue_device("sensor-7", clock.now)
    identity.add_certificate("sensor-7", issued, HOUR)
    now = device(identity)
    assert [each.until for each in now.certificates] == [None, clock.now + HOUR]
    assert now.certificates[0].fingerprint == issued.fingerprint
    identity.add_certificate("sensor-7", identity.pki.issue_device("sensor-7", clock.now))
    assert len(device(identity).certificates) == 1
    assert first.certificate is not None
    assert identity.pki.revoked_serials() == {first.certificate.serial, issued.serial}


def _redeem(data: str, token: str, results: Connection) -> None:
    identity = Identity(Path(data), Time())
    results.send("ready")
    results.recv()
    try:
        results.send(identity.redeem(token).name)
    except NotAcceptable:
        results.send(None)
    identity.close()


def test_four_processes_redeem_one_token(identity: Identity, data: Path) -> None:
    enrol(identity, Wanted("sensor-7", later=True))
    token = identity.invite("sensor-7").token
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in range(4)]
    workers = [context.Process(target=_redeem, args=(str(data), token, theirs)) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    assert [ours.recv() for ours, _ in pipes] == ["ready"] * 4
    for ours, _ in pipes:
        ours.send("go")
    assert sorted([ours.recv() for ours, _ in pipes], key=str) == [None, None, None, "sensor-7"]
    for worker in workers:
        worker.join(30)
