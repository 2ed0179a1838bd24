"""How records are shown: as text for people, as plain values for scripts. Never a secret, never a hash."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from bridgehead.security.records import Device, PermissionRecord, permission_of

Value = dict[str, object]


def print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def device_value(device: Device, effective: Iterable[PermissionRecord]) -> Value:
    """`effective`: the device's own permissions and those of its roles."""
    return {
        "name": device.name,
        "enabled": device.enabled,
        "created": _utc(device.created),
        "roles": list(device.roles),
        "credentials": {
            "password": device.password is not None,
            "certificates": [
                {
                    "fingerprint": each.fingerprint,
                    "serial": each.serial,
                    "not_before": _utc(each.not_before),
                    "not_after": _utc(each.not_after),
                }
                for each in device.certificates
            ],
        },
        "require": device.require,
        "client_ids": list(device.client_ids),
        "permissions": permission_values(device.permissions),
        "effective_permissions": permission_values(effective),
        "attributes": device.attributes,
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
        }
        for each in permissions
    ]


def device_lines(device: Device, effective: Sequence[PermissionRecord]) -> list[str]:
    """The device in full. Permissions are shown as they are enforced, with its name in them."""
    lines = [
        f"device       {device.name}{'' if device.enabled else '   (disabled)'}",
        f"created      {_utc(device.created)}",
    ]
    lines.append(f"credentials  {credentials(device)}")
    lines += [f"certificate  {each.fingerprint} until {_utc(each.not_after)}" for each in device.certificates]
    identifiers = device.client_ids or (device.name, f"{device.name}-*")
    lines.append(f"client ids   {' '.join(identifiers)}")
    if device.roles:
        lines.append(f"roles        {' '.join(device.roles)}")
    lines += [f"may          {permission_of(each, device.name)}" for each in effective]
    if not effective:
        lines.append("may          nothing")
    lines += [f"attribute    {key} = {value}" for key, value in sorted(device.attributes.items())]
    return lines


def credentials(device: Device) -> str:
    """Which kinds, in words."""
    kinds = ["password"] if device.password is not None else []
    if device.certificates:
        kinds.append("certificate" if len(device.certificates) == 1 else f"{len(device.certificates)} certificates")
    return (" and " if device.require != "any" else " or ").join(kinds) or "none"


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


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
