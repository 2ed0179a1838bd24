"""The records of devices, roles, groups and the policy: what they hold, and what may stand in them.

One device record names all credentials of the device. New fields come with a default, so that older records stay
readable. Times are seconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from bridgehead.broker.queues.names import check_name as check_queue_name
from bridgehead.core.errors import Refusal
from bridgehead.core.policy import Permission
from bridgehead.core.topic import check_topic_filter, covers
from bridgehead.security.credentials import (
    CertificateRecord,
    ForeignCertificate,
    OscoreRecord,
    OtpRecord,
    PasswordRecord,
    PreSharedKeyRecord,
    RawPublicKeyRecord,
    TokenSubject,
)
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.hours import Hours
from bridgehead.security.mechanisms import KINDS, PROTOCOLS

MOST_PRIORITIES: Final = 255
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLACEHOLDER: Final = re.compile(r"\$\{[^}]*\}?")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
DEVICE_PLACEHOLDER: Final = "${device}"
CLIENT_ID_OCTETS: Final = 65535
ATTRIBUTE_OCTETS: Final = 256
_RESERVED: Final = ("device", "group")  # placeholders with a meaning of their own

Requirement = Literal["any", "password+certificate"]


class PermissionRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """As core.policy.Permission, with `${device}`, `${group}` and `${attribute}` not yet replaced in `topic_filter`.

    `max_payload` is in octets, `rate` in messages a second (with a burst of one second's worth, at least one);
    None: no limit. `verified`: only messages whose origin proved itself over a protected transport. The permission
    holds under any of `protocols` ("mqtt", ...) and of `mechanisms` (security.mechanisms), within any of `hours`
    ("Mon-Fri 07:00-19:00 Europe/Berlin", UTC when no zone is named); empty: always. `source` is the line that it
    was written in ("office.policy:12"), for explanations.
    """

    topic_filter: str
    publish: bool
    subscribe: bool
    max_qos: int = 2
    retain: bool = True
    allow: bool = True
    max_payload: int | None = None
    rate: float | None = None
    verified: bool = False
    protocols: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    source: str = ""


class Quota(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one device may publish in all, per second; None: no limit of its own."""

    messages: float | None = None
    octets: float | None = None


class Device(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`client_ids` are patterns as core.policy.Principal knows them; empty: NAME, or NAME- and anything.

    `former_password` counts beside `password` until its `until`: that is how a rotation overlaps.
    """

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
    groups: tuple[str, ...] = ()
    quota: Quota | None = None
    former_password: PasswordRecord | None = None
    foreign_certificates: tuple[ForeignCertificate, ...] = ()
    pre_shared_keys: tuple[PreSharedKeyRecord, ...] = ()
    raw_public_keys: tuple[RawPublicKeyRecord, ...] = ()
    oscore: tuple[OscoreRecord, ...] = ()
    token_subjects: tuple[TokenSubject, ...] = ()
    kerberos_principals: tuple[str, ...] = ()
    otp: OtpRecord | None = None
    dds_identity: CertificateRecord | None = None
    revoked_at: float | None = None


class Role(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Permissions that several devices have; `${device}` stands for each one's own name."""

    name: str
    created: float
    permissions: tuple[PermissionRecord, ...] = ()
    quota: Quota | None = None


class Group(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Devices that belong together, a room or a plant: `${group}` in a permission stands for each group of a device.
    A group's own permissions hold for its members; `${group}` in them stands for this group alone."""

    name: str
    created: float
    permissions: tuple[PermissionRecord, ...] = ()
    quota: Quota | None = None


class Policy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds for everyone. `retained_of_revoked`: what becomes of retained messages that a device wrote whose
    credentials are revoked: kept, hidden while it is revoked, or purged. `revision` grows with each `apply`."""

    permissions: tuple[PermissionRecord, ...] = ()
    quota: Quota | None = None
    retained_of_revoked: Literal["keep", "hide", "purge"] = "keep"
    revision: int = 0
    applied_at: float = 0.0


class QueueRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A queue of the hub's owner. `feeds` are the Topic Filters whose messages come into it. A time is in seconds; 0 is
    no limit of its own. `dead_letter`: the queue that gets what was rejected, expired, pushed out or failed too often;
    "": that is gone."""

    name: str
    created: float
    feeds: tuple[str, ...] = ()
    durable: bool = True
    message_ttl: float = 0.0
    max_messages: int = 0
    max_octets: int = 0
    overflow: Literal["reject", "drop-head"] = "reject"
    dead_letter: str = ""
    max_priority: int = 0
    max_deliveries: int = 0
    single_active: bool = False


def check_queue(queue: QueueRecord) -> None:
    """Errors: NotAcceptable."""
    try:
        check_queue_name(queue.name)
        if queue.dead_letter:
            check_queue_name(queue.dead_letter)
        for topic_filter in queue.feeds:
            check_topic_filter(topic_filter)
            if topic_filter.startswith("$"):
                raise NotAcceptable(f"{topic_filter!r} cannot feed a queue: what begins with $ are the hub's own names")
    except Refusal as refusal:
        raise NotAcceptable(refusal.because) from None
    if queue.dead_letter == queue.name:
        raise NotAcceptable(f"the queue {queue.name!r} cannot get its own dead letters: name another one")
    if not 0 <= queue.max_priority <= MOST_PRIORITIES:
        raise NotAcceptable(f"a queue has at most {MOST_PRIORITIES} priorities: give a smaller number")
    if min(queue.message_ttl, queue.max_messages, queue.max_octets, queue.max_deliveries) < 0:
        raise NotAcceptable("the numbers of a queue are not negative: leave out what has no limit")


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def check_name(text: str, kind: str) -> None:
    """`kind` is "device", "role" or "group". The rule keeps names whole in topics, certificates, URNs and file names.

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
    if not pattern or not pattern.isprintable() or len(pattern.encode()) > CLIENT_ID_OCTETS:
        raise NotAcceptable(f"{pattern!r} cannot be a client identifier: give a text, with * at its end for anything")
    if "*" in pattern[:-1]:
        raise NotAcceptable(f"the client identifier {pattern!r} has a * inside: it means anything at the end only")


def check_permissions(permissions: Iterable[PermissionRecord]) -> None:
    """Every filter is a valid Topic Filter that can match, and no denial makes a permission void.

    Errors: NotAcceptable.
    """
    known = list(permissions)
    allowed: dict[str, list[PermissionRecord]] = {}
    for each in known:
        _check_permission(each)
        if each.allow:
            allowed.setdefault(each.topic_filter, []).append(each)
    for denial in known:
        if denial.allow or denial.protocols or denial.mechanisms or denial.hours or denial.verified:
            continue
        name = denial.topic_filter
        # Without wildcards it covers itself alone: a long list is not compared each with each.
        near = [f for f in allowed if covers(name, f)] if "+" in name or "#" in name else [name]
        for topic_filter in near:
            for each in allowed.get(topic_filter, ()):
                if (each.publish and denial.publish) or (each.subscribe and denial.subscribe):
                    raise NotAcceptable(
                        f"the permission for {topic_filter!r} can never match: "
                        f"the denial of {name!r} covers all of it; leave one of them out"
                    )


def check_quota(quota: Quota | None) -> None:
    """Errors: NotAcceptable."""
    if quota is None:
        return
    for each in (quota.messages, quota.octets):
        if each is not None and not 0 < each < float("inf"):
            raise NotAcceptable(f"a quota of {each:g} per second lets nothing through: give a number above 0")


def check_attributes(attributes: Mapping[str, str]) -> None:
    """A value takes a placeholder's place: it stays within its level and widens no filter. Errors: NotAcceptable."""
    for name, value in attributes.items():
        if not _ATTRIBUTE.fullmatch(name) or name.lower() in _RESERVED:
            raise NotAcceptable(
                f"{name[:80]!r} cannot be an attribute's name: use letters, digits, _ and -, begin with a letter, "
                "and leave device and group to their own meaning"
            )
        if not value or not value.isprintable() or len(value.encode()) > ATTRIBUTE_OCTETS or set(value) & set("/+#$"):
            raise NotAcceptable(
                f"the attribute {name} cannot be {value[:80]!r}: give 1 to {ATTRIBUTE_OCTETS} octets without / + # $ "
                "and control characters"
            )


def check_device(device: Device, complete: bool = True) -> None:
    """What can be said of a record without looking at others; `complete`: that it has what it requires is too.

    Errors: NotAcceptable.
    """
    check_name(device.name, "device")
    check_permissions(device.permissions)
    check_attributes(device.attributes)
    check_quota(device.quota)
    for pattern in device.client_ids:
        check_client_id(pattern)
    _check_shown(device)
    certified = device.certificates or device.foreign_certificates
    if complete and device.require == "password+certificate" and (device.password is None or not certified):
        raise NotAcceptable(f"the device {device.name!r} shall need password and certificate, and lacks one of them")
    fingerprints = [each.fingerprint for each in device.certificates]
    fingerprints += [each.fingerprint for each in device.raw_public_keys]
    fingerprints += [each.value for each in device.foreign_certificates if each.kind == "fingerprint"]
    for fingerprint in fingerprints:
        if not _SHA256.fullmatch(fingerprint):
            raise NotAcceptable(f"{fingerprint[:80]!r} is no SHA-256 fingerprint: 64 digits of 0-9 a-f")


def _check_permission(permission: PermissionRecord) -> None:
    topic_filter = permission.topic_filter
    if not permission.publish and not permission.subscribe:
        raise NotAcceptable(f"the permission for {topic_filter!r} is neither to publish nor to subscribe")
    if permission.max_qos not in (0, 1, 2):
        raise NotAcceptable(f"{permission.max_qos} is no QoS: it is 0, 1 or 2")
    _check_conditions(permission)
    for placeholder in _PLACEHOLDER.findall(topic_filter):
        name = placeholder[2:-1]
        known = placeholder.endswith("}") and _ATTRIBUTE.fullmatch(name)
        if not known or (name.lower() in _RESERVED and name not in _RESERVED):
            raise NotAcceptable(
                f"the filter {topic_filter!r} has the unknown placeholder {placeholder}: "
                "write ${device}, ${group}, or ${NAME} for the attribute of that name"
            )
    if not _is_text(topic_filter):
        raise NotAcceptable(f"the filter {topic_filter!r} is not UTF-8 and can never match")
    if topic_filter == "$share" or topic_filter.startswith("$share/"):
        raise NotAcceptable(
            f"the filter {topic_filter!r} can never match: write the Topic Filter alone, "
            "whoever may subscribe to it may do so in a shared subscription too"
        )
    try:
        check_topic_filter(_PLACEHOLDER.sub("d", topic_filter))
    except Refusal as refusal:
        raise NotAcceptable(f"the filter {topic_filter!r} is not a Topic Filter: {refusal.because}") from None


def _check_conditions(permission: PermissionRecord) -> None:
    topic_filter = permission.topic_filter
    if permission.max_payload is not None and permission.max_payload < 0:
        raise NotAcceptable(f"the permission for {topic_filter!r} allows a payload of {permission.max_payload} octets")
    if permission.rate is not None and not 0 < permission.rate < float("inf"):
        raise NotAcceptable(
            f"the permission for {topic_filter!r} allows {permission.rate:g} messages a second: give more than 0"
        )
    for given, known, kind in (
        (permission.mechanisms, KINDS, "mechanism"),
        (permission.protocols, PROTOCOLS, "protocol"),
    ):
        for each in given:
            if each not in known:
                raise NotAcceptable(
                    f"the permission for {topic_filter!r} names the unknown {kind} {each[:80]!r}: "
                    f"known are {', '.join(sorted(known))}"
                )
    for text in permission.hours:
        Hours.parse(text)


def _check_shown(device: Device) -> None:
    """What is shown on terminals and written into configurations makes no line of its own and moves no cursor."""
    texts = [each.identity for each in device.pre_shared_keys] + list(device.kerberos_principals)
    texts += [each.value for each in device.foreign_certificates]
    texts += [text for each in device.token_subjects for text in (each.issuer, each.subject)]
    for text in texts:
        if not text.isprintable():
            raise NotAcceptable(f"{text[:80]!r} holds control characters: no credential is known by such a name")


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
