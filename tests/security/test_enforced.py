"""From records to what the core enforces: hours, quotas, placeholders, and which credentials are in force."""

from __future__ import annotations

import pytest

from bridgehead.core.rights import UNLIMITED
from bridgehead.security.credentials import (
    CertificateRecord,
    ForeignCertificate,
    OtpRecord,
    PasswordRecord,
    PreSharedKeyRecord,
    Sealed,
    TokenSubject,
)
from bridgehead.security.records import Device, PermissionRecord, Quota
from bridgehead.security.rights.enforced import (
    NEVER,
    bindings_of,
    credentials_in_force,
    in_force,
    is_barred,
    permission_from,
    quota_from,
)

NOON = 1_767_614_400.0  # Monday, 2026-01-05 12:00 UTC
HOUR = 3600.0
SEALED = Sealed("k", b"box")


def at(*hours: str, allow: bool = True) -> PermissionRecord:
    return PermissionRecord("a", publish=True, subscribe=False, allow=allow, hours=hours)


@pytest.mark.parametrize(
    ("record", "holds", "until"),
    [
        (at(), True, NEVER),
        (at("Mon 11:00-13:00"), True, NOON + HOUR),
        (at("13:00-14:00"), False, NOON + HOUR),
        (at("13:00-14:00", "11:00-12:30"), True, NOON + HOUR / 2),
        (at("Mon 11:00-13:00 Nowhere/City"), False, NEVER),
        (at("Mon 11:00-13:00 Nowhere/City", allow=False), True, NEVER),
        (at("13:00-14:00", allow=False), False, NOON + HOUR),
    ],
)
def test_a_permission_within_its_hours(record: PermissionRecord, holds: bool, until: float) -> None:
    """Of hours that this machine cannot read a denial holds, and a permission does not."""
    permissions, changes = in_force([record], NOON)
    assert (len(permissions) == 1, changes) == (holds, until)


def test_every_field_of_a_record_reaches_the_core() -> None:
    record = PermissionRecord(
        "a/${device}", True, True, 1, False, True, 10, 2.5, True, ("mqtt",), ("scram",), (), "office.policy:3"
    )
    made = permission_from(record)
    fields = ("topic_filter", "publish", "subscribe", "max_qos", "retain", "allow", "max_payload", "rate", "verified")
    for field in (*fields, "protocols", "mechanisms", "source"):
        assert getattr(made, field) == getattr(record, field), field
    plain = permission_from(PermissionRecord("a", True, False))
    assert (plain.max_payload, plain.rate) == (-1, 0.0)


def test_quotas() -> None:
    assert quota_from(None) == quota_from(Quota()) == (UNLIMITED, UNLIMITED)
    assert quota_from(Quota(messages=5.0)) == (5.0, UNLIMITED)
    assert quota_from(Quota(octets=7.0)) == (UNLIMITED, 7.0)


def test_placeholders_and_no_attribute_takes_the_name_of_the_device() -> None:
    device = Device("s", NOON, groups=("g", "h"), attributes={"room": "12", "device": "other"})
    assert bindings_of(device) == {"device": ("s",), "group": ("g", "h"), "room": ("12",)}


def test_who_is_barred() -> None:
    assert not is_barred(Device("s", NOON))
    assert is_barred(Device("s", NOON, enabled=False))
    assert is_barred(Device("s", NOON, revoked_at=NOON))


def kinds(device: Device, now: float) -> dict[str, int]:
    return {kind: len(held) for kind, held in credentials_in_force(device, now)[0].items()}


def test_credentials_end_each_at_its_time() -> None:
    device = Device(
        "s",
        NOON,
        password=PasswordRecord("$y", 2.0),
        former_password=PasswordRecord("$x", 1.0, NOON + HOUR),
        certificates=(
            CertificateRecord("a" * 64, "1", NOON, NOON + HOUR),
            CertificateRecord("b" * 64, "2", NOON, NOON + HOUR, until=NOON + 2 * HOUR),
        ),
        foreign_certificates=(ForeignCertificate("dns", "s.example"),),
        pre_shared_keys=(PreSharedKeyRecord("s", SEALED, NOON, NOON + 3 * HOUR),),
        token_subjects=(TokenSubject("issuer", "s"),),
        kerberos_principals=("s@EXAMPLE",),
        otp=OtpRecord("otp-md5", 99, "seed", SEALED, NOON),
    )
    always = {"token": 1, "kerberos": 1, "otp": 1}
    passwords = {"password": 2, "scram": 2, "ntlm": 2}
    assert credentials_in_force(device, NOON)[1] == NOON + HOUR
    assert kinds(device, NOON) == {**passwords, "certificate": 3, "psk": 1, **always}
    one = dict.fromkeys(passwords, 1)
    assert kinds(device, NOON + HOUR) == {**one, "certificate": 3, "psk": 1, **always}
    assert kinds(device, NOON + 2 * HOUR) == {**one, "certificate": 2, "psk": 1, **always}
    assert kinds(device, NOON + 3 * HOUR) == {**one, "certificate": 2, **always}
    assert credentials_in_force(device, NOON + 3 * HOUR)[1] == NEVER
