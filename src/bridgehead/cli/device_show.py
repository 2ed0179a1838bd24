"""How records are shown: as text for people, as plain values for scripts. Never a secret, never a hash."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from bridgehead.security.credentials import CertificateRecord
from bridgehead.security.policy.statement import text_of
from bridgehead.security.policy.units import quota_text
from bridgehead.security.records import DEVICE_PLACEHOLDER, Device, PermissionRecord
from bridgehead.security.registry.registry import Registry

Value = dict[str, object]


def print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


class Effective:
    """The permissions of many devices: what they share is read once."""

    def __init__(self, registry: Registry) -> None:
        self._roles = {each.name: each.permissions for each in registry.roles()}
        self._groups = {each.name: each.permissions for each in registry.groups()}
        self._everyone = registry.policy().permissions

    def of(self, device: Device) -> list[PermissionRecord]:
        """As Registry.permissions_of."""
        found = list(device.permissions)
        for name in dict.fromkeys(device.roles):
            found += self._roles.get(name, ())
        for name in dict.fromkeys(device.groups):
            found += self._groups.get(name, ())
        return found + list(self._everyone)


def state_of(device: Device) -> str:
    if device.revoked_at is not None:
        return "revoked"
    return "enabled" if device.enabled else "disabled"


def device_value(device: Device, effective: Iterable[PermissionRecord]) -> Value:
    """`effective`: the device's own permissions and those of its roles, its groups and everyone."""
    quota = device.quota
    return {
        "name": device.name,
        "enabled": device.enabled,
        "state": state_of(device),
        "created": utc(device.created),
        "revoked_at": _utc_or_none(device.revoked_at),
        "roles": list(device.roles),
        "groups": list(device.groups),
        "credentials": _credentials_value(device),
        "require": device.require,
        "client_ids": list(device.client_ids),
        "quota": None if quota is None else {"messages_per_second": quota.messages, "octets_per_second": quota.octets},
        "permissions": permission_values(device.permissions),
        "effective_permissions": permission_values(effective),
        "attributes": device.attributes,
    }


def _credentials_value(device: Device) -> Value:
    password, former, otp = device.password, device.former_password, device.otp
    return {
        "password": password is not None,
        "password_set_at": None if password is None else utc(password.set_at),
        "former_password_until": None if former is None else _utc_or_none(former.until),
        "scram": [] if password is None else [each.mechanism for each in password.scram],
        "ntlm": password is not None and password.ntlm is not None,
        "certificates": [_certificate_value(each) for each in device.certificates],
        "foreign_certificates": [{"kind": each.kind, "value": each.value} for each in device.foreign_certificates],
        "psk": [
            {"identity": each.identity, "set_at": utc(each.set_at), "until": _utc_or_none(each.until)}
            for each in device.pre_shared_keys
        ],
        "raw_public_keys": [
            {"fingerprint": each.fingerprint, "set_at": utc(each.set_at), "until": _utc_or_none(each.until)}
            for each in device.raw_public_keys
        ],
        "oscore": [
            {"sender_id": each.sender_id.hex(), "id_context": each.id_context.hex(), "until": _utc_or_none(each.until)}
            for each in device.oscore
        ],
        "token_subjects": [{"issuer": each.issuer, "subject": each.subject} for each in device.token_subjects],
        "kerberos": list(device.kerberos_principals),
        "otp": None if otp is None else {"algorithm": otp.algorithm, "sequence": otp.sequence, "seed": otp.seed},
        "dds_identity": None if device.dds_identity is None else _certificate_value(device.dds_identity),
    }


def _certificate_value(of: CertificateRecord) -> Value:
    return {
        "fingerprint": of.fingerprint,
        "serial": of.serial,
        "not_before": utc(of.not_before),
        "not_after": utc(of.not_after),
        "until": _utc_or_none(of.until),
    }


def permission_values(permissions: Iterable[PermissionRecord]) -> list[Value]:
    return [
        {
            "filter": each.topic_filter,
            "publish": each.publish,
            "subscribe": each.subscribe,
            "max_qos": each.max_qos,
            "retain": each.retain,
            "allow": each.allow,
            **_bounds(each),
        }
        for each in permissions
    ]


def _bounds(of: PermissionRecord) -> Value:
    """Those that there are."""
    found: Value = {
        "max_payload": of.max_payload,
        "rate": of.rate,
        "verified": of.verified,
        "protocols": list(of.protocols),
        "mechanisms": list(of.mechanisms),
        "hours": list(of.hours),
    }
    return {name: value for name, value in found.items() if value}


def device_lines(device: Device, effective: Sequence[PermissionRecord]) -> list[str]:
    """The device in full. Permissions are shown with its name in them."""
    state = state_of(device)
    lines = [
        f"device       {device.name}{'' if state == 'enabled' else f'   ({state})'}",
        f"created      {utc(device.created)}",
    ]
    if device.revoked_at is not None:
        lines.append(f"revoked      {utc(device.revoked_at)}")
    lines.append(f"credentials  {credentials(device)}")
    lines += _credential_lines(device)
    identifiers = device.client_ids or (device.name, f"{device.name}-*")
    lines.append(f"client ids   {' '.join(identifiers)}")
    if device.roles:
        lines.append(f"roles        {' '.join(device.roles)}")
    if device.groups:
        lines.append(f"groups       {' '.join(device.groups)}")
    if device.quota is not None:
        lines.append(f"quota        {quota_text(device.quota)}")
    lines += [f"may          {_permission_text(each, device.name)}" for each in effective]
    if not effective:
        lines.append("may          nothing")
    lines += [f"attribute    {key} = {value}" for key, value in sorted(device.attributes.items())]
    return lines


def _credential_lines(device: Device) -> list[str]:
    lines = [
        f"certificate  {each.fingerprint} until {utc(min(each.not_after, each.until or each.not_after))}"
        for each in device.certificates
    ]
    if device.former_password is not None:
        lines.append(f"password     the former one{_until(device.former_password.until)}")
    lines += [f"foreign      {each.kind}:{each.value}" for each in device.foreign_certificates]
    lines += [f"psk          {each.identity}{_until(each.until)}" for each in device.pre_shared_keys]
    lines += [f"raw key      {each.fingerprint}{_until(each.until)}" for each in device.raw_public_keys]
    lines += [f"oscore       {each.sender_id.hex()}{_until(each.until)}" for each in device.oscore]
    lines += [f"token        {each.issuer} {each.subject}" for each in device.token_subjects]
    lines += [f"kerberos     {each}" for each in device.kerberos_principals]
    if device.otp is not None:
        lines.append(f"otp          {device.otp.algorithm}, {device.otp.sequence} left, seed {device.otp.seed}")
    if device.dds_identity is not None:
        lines.append(f"dds          {device.dds_identity.fingerprint} until {utc(device.dds_identity.not_after)}")
    return lines


def _permission_text(permission: PermissionRecord, device: str) -> str:
    return text_of(replace(permission, topic_filter=permission.topic_filter.replace(DEVICE_PLACEHOLDER, device)))


def credentials(device: Device) -> str:
    """Which kinds, in words."""
    both = ["password"] if device.password is not None else []
    own = len(device.certificates)
    if own:
        both.append("certificate" if own == 1 else f"{own} certificates")
    if device.foreign_certificates:
        both.append("foreign certificate")
    kinds = [(" and " if device.require != "any" else " or ").join(both)] if both else []
    others = (
        ("psk", device.pre_shared_keys),
        ("raw key", device.raw_public_keys),
        ("oscore", device.oscore),
        ("token", device.token_subjects),
        ("kerberos", device.kerberos_principals),
        ("otp", device.otp),
        ("dds", device.dds_identity),
    )
    return " or ".join([*kinds, *(word for word, present in others if present)]) or "none"


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; elsewhere lines of columns with tabs between them, without a head."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _until(seconds: float | None) -> str:
    return "" if seconds is None else f" until {utc(seconds)}"


def _utc_or_none(seconds: float | None) -> str | None:
    return None if seconds is None else utc(seconds)


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
