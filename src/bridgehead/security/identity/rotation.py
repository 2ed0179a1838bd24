"""A record with new credentials in it, and what becomes of the old ones: nothing here but values."""

from __future__ import annotations

from typing import Final, TypeVar

from msgspec.structs import replace

from bridgehead.security.credentials import (
    CertificateRecord,
    OscoreRecord,
    PasswordRecord,
    PreSharedKeyRecord,
    RawPublicKeyRecord,
)
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.identity.credentials import Made
from bridgehead.security.mechanisms import (
    CERTIFICATE,
    DDS,
    KINDS,
    OSCORE,
    OTP,
    PASSWORD,
    PRE_SHARED_KEY,
    RAW_PUBLIC_KEY,
)
from bridgehead.security.records import Device

# What we make, so what we can make anew. A foreign certificate, a token's subject, a Kerberos principal are not ours.
ROTATABLE: Final = (PASSWORD, CERTIFICATE, PRE_SHARED_KEY, RAW_PUBLIC_KEY, OSCORE, OTP, DDS)

_Ending = TypeVar("_Ending", CertificateRecord, PasswordRecord, PreSharedKeyRecord, RawPublicKeyRecord, OscoreRecord)


def kinds_of(device: Device) -> list[str]:
    """Which of ROTATABLE the device has."""
    present = {
        PASSWORD: device.password is not None,
        CERTIFICATE: bool(device.certificates),
        PRE_SHARED_KEY: bool(device.pre_shared_keys),
        RAW_PUBLIC_KEY: bool(device.raw_public_keys),
        OSCORE: bool(device.oscore),
        OTP: device.otp is not None,
        DDS: device.dds_identity is not None,
    }
    return [kind for kind in ROTATABLE if present[kind]]


def check_kinds(device: Device, which: list[str]) -> None:
    """Errors: NotAcceptable."""
    if device.revoked_at is not None:
        raise NotAcceptable(
            f"the device {device.name!r} was revoked: remove it and add it again, then nothing old comes back with it"
        )
    present = kinds_of(device)
    for kind in which:
        if kind not in KINDS:
            raise NotAcceptable(f"{kind!r} is no kind of credential: {', '.join(ROTATABLE)} can be rotated")
        if kind not in present:
            shown = ", ".join(present) or "nothing that can be rotated"
            raise NotAcceptable(f"the device {device.name!r} has no {kind} to rotate: it has {shown}")
    if not which:
        raise NotAcceptable(
            f"the device {device.name!r} has nothing that can be rotated: its credentials are made elsewhere"
        )


def rotated(device: Device, made: Made, now: float, overlap: float) -> Device:
    """Of each kind that was made, the old ones count until `now + overlap`, or no more at all when it is 0.

    A device has one former password: an older one ends at once. One-time passwords and the DDS identity have no
    overlap: there is one of each.
    """
    until = now + overlap if overlap > 0 else None
    changed = device
    if made.password is not None:
        former = None if until is None or device.password is None else _ending(device.password, until)
        changed = replace(changed, password=made.password, former_password=former)
    if made.certificate is not None:
        changed = replace(changed, certificates=(made.certificate, *_all_ending(device.certificates, until, now)))
    if made.psk is not None:
        kept = [each for each in device.pre_shared_keys if each.identity != made.psk.identity]
        changed = replace(changed, pre_shared_keys=(made.psk, *_all_ending(kept, until, now)))
    if made.raw_key is not None:
        raw = [each for each in device.raw_public_keys if each.fingerprint != made.raw_key.fingerprint]
        changed = replace(changed, raw_public_keys=(made.raw_key, *_all_ending(raw, until, now)))
    if made.oscore is not None:
        changed = replace(changed, oscore=(made.oscore, *_all_ending(device.oscore, until, now)))
    if made.otp is not None:
        changed = replace(changed, otp=made.otp)
    if made.dds is not None:
        changed = replace(changed, dds_identity=made.dds)
    return changed


def without_ended(device: Device, now: float) -> Device:
    """The record without the credentials whose time is over. It needs what it needed before."""
    password = _living(device.password, now)
    former = _living(device.former_password, now)
    certificates = tuple(each for each in device.certificates if _lives(each.until, now))
    changed = replace(
        device,
        password=password,
        former_password=former,
        certificates=certificates,
        pre_shared_keys=tuple(each for each in device.pre_shared_keys if _lives(each.until, now)),
        raw_public_keys=tuple(each for each in device.raw_public_keys if _lives(each.until, now)),
        oscore=tuple(each for each in device.oscore if _lives(each.until, now)),
    )
    return device if changed == device else changed


def without_credentials(device: Device, now: float) -> Device:
    """What stays of a revoked device: its name, what it was permitted, and when it ended."""
    return Device(
        name=device.name,
        created=device.created,
        enabled=False,
        roles=device.roles,
        client_ids=device.client_ids,
        permissions=device.permissions,
        attributes=device.attributes,
        groups=device.groups,
        quota=device.quota,
        revoked_at=now,
    )


def _living(password: PasswordRecord | None, now: float) -> PasswordRecord | None:
    return password if password is not None and _lives(password.until, now) else None


def _lives(until: float | None, now: float) -> bool:
    return until is None or now < until


def _ending(record: _Ending, until: float) -> _Ending:
    """Whatever had to end earlier still does: a second rotation prolongs nothing."""
    return replace(record, until=until if record.until is None else min(record.until, until))


def _all_ending(records: list[_Ending] | tuple[_Ending, ...], until: float | None, now: float) -> list[_Ending]:
    if until is None:
        return []
    return [_ending(each, until) for each in records if _lives(each.until, now)]
