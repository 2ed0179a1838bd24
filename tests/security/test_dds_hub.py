"""The hub's own DDS identity and documents: made, kept, renewed in time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bridgehead.security.dds import documents
from bridgehead.security.dds.explain import why_refused
from bridgehead.security.dds.hub import HubParticipant
from bridgehead.security.dds.routes import UNROUTED, RouteGrant, Routing
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.identity import Identity
from bridgehead.security.records import is_name
from tests.security.support import DAY, Time, dds_identity

LIFE = DAY
ROUTING = Routing({3: "sign"}, [RouteGrant(3, "Secret", "", "Office/+/Secret", "", True, True)])


@pytest.fixture
def hub(identity: Identity) -> HubParticipant:
    identity.publish_revocations()
    return HubParticipant(identity)


def certificate_of(hub: HubParticipant) -> x509.Certificate:
    return x509.load_pem_x509_certificate(hub.files.certificate.read_bytes())


def revocations(path: Path | None) -> x509.CertificateRevocationList:
    assert path is not None
    return x509.load_pem_x509_crl(path.read_bytes())


def test_its_files_are_for_their_owner_only(hub: HubParticipant, clock: Time, data: Path) -> None:
    files = hub.make(clock.now, ROUTING, LIFE)
    folder = data / "dds" / "hub"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.parent for path in vars(files).values()} == {folder}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert why_refused(files, clock.now) == ""
    assert repr(hub) == f"HubParticipant({str(folder)!r})"


def test_its_name_is_no_device_s_and_its_guid_low(hub: HubParticipant, clock: Time) -> None:
    hub.make(clock.now, ROUTING, LIFE)
    subject = certificate_of(hub).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    assert isinstance(subject, str)
    assert not is_name(subject)
    assert hub.guid_prefix[:2] == b"\x80\x00"
    assert f"<subject_name>CN={subject}</subject_name>".encode() in hub.files.permissions.read_bytes()


def test_its_permissions_name_no_topic_and_only_its_domains(hub: HubParticipant, clock: Time) -> None:
    text = hub.make(clock.now, ROUTING, LIFE).permissions.read_text()
    assert "Secret" not in text
    assert text.count("<id>3</id>") == 1
    assert "<id_range>" not in text
    assert "<default>DENY</default>" in text


@pytest.mark.clause("DDSSEC-9.4.1.2.6")
def test_governance_says_how_each_domain_protects_submessages(hub: HubParticipant, clock: Time) -> None:
    text = hub.make(clock.now, ROUTING, LIFE).governance.read_text()
    rules = text.split("<domain_rule>")[1:]
    assert ["<id>3</id>" in each for each in rules] == [True, False]
    assert "<metadata_protection_kind>SIGN" in rules[0]
    assert "<metadata_protection_kind>ENCRYPT" in rules[1]
    for each in rules:
        assert "<allow_unauthenticated_participants>false" in each
        for kind in ("discovery", "liveliness", "data"):
            assert f"<{kind}_protection_kind>ENCRYPT" in each


def test_it_is_renewed_at_half_of_the_permissions_life(hub: HubParticipant, clock: Time) -> None:
    assert hub.due(clock.now)
    hub.make(clock.now, ROUTING, LIFE)
    assert not hub.due(clock.now)
    assert not hub.due(clock.now + LIFE / 2 - 1)
    assert hub.due(clock.now + LIFE / 2)
    before = certificate_of(hub)
    clock.now += LIFE / 2
    files = hub.make(clock.now, ROUTING, LIFE)
    assert not hub.due(clock.now)
    assert certificate_of(hub) == before
    assert why_refused(files, clock.now + LIFE - 60) == ""


def test_the_identity_is_renewed_and_keeps_its_guid(hub: HubParticipant, clock: Time) -> None:
    hub.make(clock.now, ROUTING, LIFE)
    before, prefix = certificate_of(hub), hub.guid_prefix
    clock.now += 61 * DAY
    assert hub.due(clock.now)
    files = hub.make(clock.now, ROUTING, LIFE)
    assert certificate_of(hub).serial_number != before.serial_number
    assert hub.guid_prefix == prefix
    assert why_refused(files, clock.now + DAY / 2) == ""


def test_permissions_do_not_outlive_the_identity(hub: HubParticipant, clock: Time) -> None:
    files = hub.make(clock.now, ROUTING, 365 * DAY)
    end = certificate_of(hub).not_valid_after_utc
    assert f"<not_after>{end:%Y-%m-%dT%H:%M:%S}</not_after>" in files.permissions.read_text()
    assert hub.due(clock.now + 46 * DAY)


def test_another_process_goes_on_with_the_same_identity(hub: HubParticipant, identity: Identity, clock: Time) -> None:
    hub.make(clock.now, ROUTING, LIFE)
    serial = certificate_of(hub).serial_number
    other = HubParticipant(identity)
    with pytest.raises(SecurityError, match="make"):
        _ = other.guid_prefix
    other.make(clock.now, UNROUTED, LIFE)
    assert certificate_of(other).serial_number == serial
    assert other.guid_prefix == hub.guid_prefix


def test_a_key_that_was_lost_gives_a_new_identity(hub: HubParticipant, clock: Time) -> None:
    hub.make(clock.now, ROUTING, LIFE)
    serial = certificate_of(hub).serial_number
    hub.files.key.unlink()
    assert why_refused(hub.make(clock.now, ROUTING, LIFE), clock.now) == ""
    assert certificate_of(hub).serial_number != serial


def test_a_revoked_device_stands_on_the_list_and_makes_the_hub_due(
    hub: HubParticipant, identity: Identity, clock: Time
) -> None:
    made = dds_identity(identity, "robot-1")
    files = hub.make(clock.now, ROUTING, LIFE)
    assert revocations(files.crl).get_revoked_certificate_by_serial_number(made.serial) is None
    identity.revoke("robot-1")
    assert hub.due(clock.now)
    files = hub.make(clock.now, ROUTING, LIFE)
    assert not hub.due(clock.now)
    listed = revocations(files.crl)
    assert listed.get_revoked_certificate_by_serial_number(made.serial) is not None
    # In force for longer than the permissions, or nobody would be let in.
    assert listed.next_update_utc is not None
    assert listed.next_update_utc.timestamp() > clock.now + LIFE


def test_the_list_is_of_the_authority_that_participants_are_given(
    hub: HubParticipant, identity: Identity, clock: Time
) -> None:
    files = hub.make(clock.now, ROUTING, LIFE)
    authority = x509.load_pem_x509_certificate(files.identity_ca.read_bytes())
    key = authority.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    listed = revocations(files.crl)
    assert listed.issuer == authority.subject
    assert listed.is_signature_valid(key)
    assert authority.issuer == authority.subject


def test_a_governance_is_the_same_for_everybody(hub: HubParticipant, clock: Time) -> None:
    text = hub.make(clock.now, ROUTING, LIFE).governance.read_text()
    assert documents.governance(ROUTING.metadata).decode() in text.replace("\r\n", "\n")
