"""From records to what the core enforces: permissions within their hours, quotas, the values of placeholders, and which
credentials of a device are in force."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from bridgehead.core.policy import Bindings, Permission
from bridgehead.core.rights import UNLIMITED
from bridgehead.security.credentials import PasswordRecord
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.hours import Hours
from bridgehead.security.mechanisms import (
    CERTIFICATE,
    DDS,
    KERBEROS,
    NTLM,
    OSCORE,
    OTP,
    PASSWORD,
    PRE_SHARED_KEY,
    RAW_PUBLIC_KEY,
    SCRAM,
    TOKEN,
)
from bridgehead.security.records import Device, PermissionRecord, Quota

NEVER: Final = float("inf")


@lru_cache(maxsize=4096)
def _hours(text: str) -> Hours | None:
    """None: this machine does not know the zone, though the one did on which it was written."""
    try:
        return Hours.parse(text)
    except NotAcceptable:
        return None


def permission_from(record: PermissionRecord) -> Permission:
    """With its placeholders; whether it is within its hours is asked before."""
    return Permission(
        record.topic_filter,
        record.publish,
        record.subscribe,
        record.max_qos,
        record.retain,
        record.allow,
        -1 if record.max_payload is None else record.max_payload,
        0.0 if record.rate is None else record.rate,
        record.verified,
        record.protocols,
        record.mechanisms,
        record.source,
    )


def _within_hours(record: PermissionRecord, now: float) -> tuple[bool, float]:
    """Whether it holds, and when that changes. Of hours that cannot be read a denial holds, and a permission not."""
    if not record.hours:
        return True, NEVER
    holds, until = False, NEVER
    for text in record.hours:
        hours = _hours(text)
        if hours is None:
            return not record.allow, NEVER
        holds = holds or hours.holds(now)
        until = min(until, hours.next_change(now))
    return holds, until


def in_force(records: Iterable[PermissionRecord], now: float) -> tuple[list[Permission], float]:
    """The permissions that hold now, and until when these are the ones (seconds since the epoch)."""
    found: list[Permission] = []
    until = NEVER
    for record in records:
        holds, changes = _within_hours(record, now)
        until = min(until, changes)
        if holds:
            found.append(permission_from(record))
    return found, until


def quota_from(quota: Quota | None) -> tuple[float, float]:
    """Messages and octets per second."""
    if quota is None:
        return UNLIMITED, UNLIMITED
    messages = UNLIMITED if quota.messages is None else quota.messages
    return messages, UNLIMITED if quota.octets is None else quota.octets


def bindings_of(device: Device) -> Bindings:
    """What the placeholders in a permission stand for."""
    found: Bindings = {name: (value,) for name, value in device.attributes.items()}
    found["device"] = (device.name,)
    found["group"] = device.groups
    return found


def mark_of(kind: str, text: str) -> str:
    """What a connection remembers of the credential that proved it: nothing secret."""
    return f"{kind} {text}"


def mark_of_password(kind: str, record: PasswordRecord) -> str:
    """`kind`: PASSWORD, SCRAM or NTLM."""
    return mark_of(kind, f"{record.set_at}")


def credentials_in_force(device: Device, now: float) -> tuple[dict[str, set[str]], float]:
    """What the device can prove itself by now, by the kind of proof, and until when these are all. What is not a
    credential any more, or another one, is missing or has another text."""
    found: dict[str, set[str]] = {}
    until = NEVER

    def add(text: str, end: float | None, *kinds: str) -> None:
        nonlocal until
        if end is not None:
            if end <= now:
                return
            until = min(until, end)
        for kind in kinds:
            found.setdefault(kind, set()).add(text)

    for password in (device.password, device.former_password):
        if isinstance(password, PasswordRecord):
            add(f"{password.set_at}", password.until, PASSWORD, SCRAM, NTLM)
    for certificate in device.certificates:
        add(certificate.fingerprint, certificate.until, CERTIFICATE)
    for foreign in device.foreign_certificates:
        add(f"{foreign.kind} {foreign.value}", None, CERTIFICATE)
    for psk in device.pre_shared_keys:
        add(f"{psk.identity} {psk.set_at}", psk.until, PRE_SHARED_KEY)
    for key in device.raw_public_keys:
        add(f"{key.fingerprint} {key.set_at}", key.until, RAW_PUBLIC_KEY)
    for context in device.oscore:
        add(f"{context.sender_id.hex()} {context.set_at}", context.until, OSCORE)
    for subject in device.token_subjects:
        add(f"{subject.issuer} {subject.subject}", None, TOKEN)
    for name in device.kerberos_principals:
        add(name, None, KERBEROS)
    if device.otp is not None:
        add("otp", None, OTP)  # its number goes down with each log-in, and a new seed is no new credential
    if device.dds_identity is not None:
        add(device.dds_identity.fingerprint, device.dds_identity.until, DDS)
    return found, until


def is_barred(device: Device) -> bool:
    """It has no rights, whatever its record says."""
    return not device.enabled or device.revoked_at is not None
