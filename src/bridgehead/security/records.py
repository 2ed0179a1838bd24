"""The records of devices and roles: what they hold, and what may stand in them.

One device record names all credentials of the device. Later protocols add fields here, each with a default, so that
older records stay readable. Times are seconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from bridgehead.core.errors import Refusal
from bridgehead.core.policy import Permission
from bridgehead.core.topic import check_topic_filter, covers
from bridgehead.security.errors import NotAcceptable

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLACEHOLDER: Final = re.compile(r"\$\{[^}]*\}?")
DEVICE_PLACEHOLDER: Final = "${device}"
CLIENT_ID_OCTETS: Final = 65535

Requirement = Literal["any", "password+certificate"]


class PermissionRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """As core.policy.Permission, with `${device}` not yet replaced in `topic_filter`."""

    topic_filter: str
    publish: bool
    subscribe: bool
    max_qos: int = 2
    retain: bool = True
    allow: bool = True


class PasswordRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """`encoded` is the Argon2 hash in its own text form. `set_at`: when the password was chosen; hashing the same
    password anew does not change it."""

    encoded: str
    set_at: float

    def __repr__(self) -> str:
        return f"PasswordRecord(set_at={self.set_at!r})"


class CertificateRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """`fingerprint`: SHA-256 of the DER encoding, in hexadecimal. `serial`: the serial number, in hexadecimal."""

    fingerprint: str
    serial: str
    not_before: float
    not_after: float


class Device(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`client_ids` are patterns as core.policy.Principal knows them; empty: NAME, or NAME- and anything."""

    name: str
    created: float
    enabled: bool = True
    roles: tuple[str, ...] = ()
    password: PasswordRecord | None = None
    certificates: tuple[CertificateRecord, ...] = ()
    require: Requirement = "any"
    client_ids: tuple[str, ...] = ()
    permissions: tuple[PermissionRecord, ...] = ()
    attributes: dict[str, str] = {}


class Role(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Permissions that several devices have; `${device}` stands for each one's own name."""

    name: str
    created: float
    permissions: tuple[PermissionRecord, ...] = ()


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def check_name(text: str, kind: str) -> None:
    """`kind` is "device" or "role". The rule keeps names whole in topics, certificates, URNs and file names.

    Errors: NotAcceptable.
    """
    if not is_name(text):
        shown = repr(text if len(text) <= 80 else text[:80] + "...")
        raise NotAcceptable(
            f"{shown} cannot be a {kind}'s name: use 1 to 64 of the characters A-Z a-z 0-9 . _ - "
            "and begin with a letter or a digit"
        )


def check_client_id(pattern: str) -> None:
    """Errors: NotAcceptable."""
    if not pattern or "\x00" in pattern or not _is_text(pattern) or len(pattern.encode()) > CLIENT_ID_OCTETS:
        raise NotAcceptable(f"{pattern!r} cannot be a client identifier: give a text, with * at its end for anything")
    if "*" in pattern[:-1]:
        raise NotAcceptable(f"the client identifier {pattern!r} has a * inside: it means anything at the end only")


def check_permissions(permissions: Iterable[PermissionRecord]) -> None:
    """Every filter is a valid Topic Filter that can match, and no denial makes a permission void.

    Errors: NotAcceptable.
    """
    known = list(permissions)
    for each in known:
        _check_permission(each)
    for denial in known:
        if denial.allow:
            continue
        for each in known:
            same = (each.publish and denial.publish) or (each.subscribe and denial.subscribe)
            if each.allow and same and covers(denial.topic_filter, each.topic_filter):
                raise NotAcceptable(
                    f"the permission for {each.topic_filter!r} can never match: "
                    f"the denial of {denial.topic_filter!r} covers all of it; leave one of them out"
                )


def _check_permission(permission: PermissionRecord) -> None:
    topic_filter = permission.topic_filter
    if not permission.publish and not permission.subscribe:
        raise NotAcceptable(f"the permission for {topic_filter!r} is neither to publish nor to subscribe")
    if permission.max_qos not in (0, 1, 2):
        raise NotAcceptable(f"{permission.max_qos} is no QoS: it is 0, 1 or 2")
    for placeholder in _PLACEHOLDER.findall(topic_filter):
        if placeholder != DEVICE_PLACEHOLDER:
            raise NotAcceptable(
                f"the filter {topic_filter!r} has the unknown placeholder {placeholder}: "
                f"only {DEVICE_PLACEHOLDER} is known"
            )
    if not _is_text(topic_filter):
        raise NotAcceptable(f"the filter {topic_filter!r} is not UTF-8 and can never match")
    if topic_filter == "$share" or topic_filter.startswith("$share/"):
        raise NotAcceptable(
            f"the filter {topic_filter!r} can never match: write the Topic Filter alone, "
            "whoever may subscribe to it may do so in a shared subscription too"
        )
    try:
        check_topic_filter(topic_filter.replace(DEVICE_PLACEHOLDER, "d"))
    except Refusal as refusal:
        raise NotAcceptable(f"the filter {topic_filter!r} is not a Topic Filter: {refusal.because}") from None


def _is_text(text: str) -> bool:
    """Command lines carry octets that are not UTF-8 as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def permission_of(record: PermissionRecord, device: str) -> Permission:
    """As the core enforces it, for the device of that name."""
    return Permission(
        record.topic_filter.replace(DEVICE_PLACEHOLDER, device),
        record.publish,
        record.subscribe,
        record.max_qos,
        record.retain,
        record.allow,
    )
