"""What `role` and `group` share: permissions from the command line, how they are shown, and acts on their records."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.device_options import note, permissions
from bridgehead.cli.identity_at import open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError
from bridgehead.cli.policy_files import registry_of
from bridgehead.security.policy import events

if TYPE_CHECKING:
    from bridgehead.security.identity.identity import Identity
    from bridgehead.security.records import Group, PermissionRecord, Quota, Role

ROLE: Final = "role"
GROUP: Final = "group"
_ADDED: Final = {ROLE: events.ROLE_ADDED, GROUP: events.GROUP_ADDED}
_CHANGED: Final = {ROLE: events.ROLE_CHANGED, GROUP: events.GROUP_CHANGED}
_REMOVED: Final = {ROLE: events.ROLE_REMOVED, GROUP: events.GROUP_REMOVED}

Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="WORDS", help="As in a policy file: 'publish Office/# qos 1 no-retain'."),
]
Deny = Annotated[
    list[str] | None, typer.Option("--deny", metavar="WORDS", help="As in a policy file: 'subscribe $SYS/#'.")
]
QuotaWords = Annotated[
    str | None,
    typer.Option("--quota", metavar="WORDS", help="'100 messages/s 64 KiB/s' for each device; 'none' takes it away."),
]
Keep = Annotated[bool, typer.Option("--keep", help="Add to the permissions that it has instead of replacing them.")]


class Given:
    """What the options say. `quota`: None when nothing was said, "" for none."""

    def __init__(self, granted: list[PermissionRecord], quota: str | None) -> None:
        self.granted: Final = granted
        self.quota: Final = quota

    def is_nothing(self) -> bool:
        return not self.granted and self.quota is None


def given(
    allow: list[str] | None,
    deny: list[str] | None,
    publish: list[str] | None,
    subscribe: list[str] | None,
    deny_publish: list[str] | None,
    deny_subscribe: list[str] | None,
    max_qos: int,
    no_retain: bool,
    quota: str | None,
) -> Given:
    """Errors: CommandError."""
    from bridgehead.security.policy.statement import ALLOW, DENY, permission, words_of
    from bridgehead.security.records import check_permissions

    found: list[PermissionRecord] = []
    with sentences():
        for verdict, statements in ((ALLOW, allow), (DENY, deny)):
            for statement in statements or ():
                record, warnings = permission(words_of(statement, 1), verdict=verdict)
                found.append(record)
                for warning in warnings:
                    note(warning)
        found += permissions(publish, subscribe, deny_publish, deny_subscribe, max_qos, no_retain)
        check_permissions(found)
        _quota(quota)
    return Given(found, quota)


def _quota(words: str | None) -> Quota | None:
    from bridgehead.security.policy.units import quota

    return None if words is None or words == "none" else quota(words.split())


def add(kind: str, name: str, data: Path, wanted: Given, as_json: bool) -> None:
    from bridgehead.security.records import Group, Role, check_name

    with sentences():
        check_name(name, kind)
    with open_identity(data, make=True) as identity:
        made = (Role if kind == ROLE else Group)(name, time.time(), tuple(wanted.granted), _quota(wanted.quota))
        _act(identity, f"{kind} add", _ADDED[kind], made, True)
        _print(kind, made, [], as_json)


def change(kind: str, name: str, data: Path, wanted: Given, keep: bool, as_json: bool) -> None:
    from msgspec.structs import replace

    if wanted.is_nothing():
        raise CommandError(f"say what the {kind} shall be: --allow, --deny, --publish, --subscribe or --quota", USAGE)
    with open_identity(data) as identity, identity.registry.transaction():
        old = _existing(identity, kind, name)
        granted = (*old.permissions, *wanted.granted) if keep or not wanted.granted else tuple(wanted.granted)
        quota = old.quota if wanted.quota is None else _quota(wanted.quota)
        made = replace(old, permissions=tuple(dict.fromkeys(granted)), quota=quota)
        _act(identity, f"{kind} set", _CHANGED[kind], made, False)
        _print(kind, made, _holders(identity, kind, name), as_json)


def remove(kind: str, name: str, data: Path, as_json: bool) -> None:
    from bridgehead.cli.device_show import print_json
    from bridgehead.security.identity.audit import refusals

    with open_identity(data) as identity:
        registry = identity.registry
        with refusals(identity.audit, f"{kind} remove", name), registry.transaction():
            removed = registry.remove_role(name) if kind == ROLE else registry.remove_group(name)
            identity.audit(_REMOVED[kind], {"name": name, "permissions": len(removed.permissions)})
    if as_json:
        print_json({"removed": removed.name})
    else:
        print(f"removed {removed.name}")


def show(kind: str, name: str, data: Path, as_json: bool) -> None:
    with sentences(), registry_of(data) as registry:
        if kind == ROLE:
            _print(kind, registry.existing_role(name), registry.devices_with_role(name), as_json)
        else:
            _print(kind, registry.existing_group(name), registry.devices_in_group(name), as_json)


def list_all(kind: str, data: Path, as_json: bool) -> None:
    from bridgehead.cli.device_show import print_json, print_table

    with sentences(), registry_of(data) as registry:
        records: Sequence[Role | Group] = registry.roles() if kind == ROLE else registry.groups()
        holders = {
            each.name: registry.devices_with_role(each.name) if kind == ROLE else registry.devices_in_group(each.name)
            for each in records
        }
    if as_json:
        print_json([_value(each, holders[each.name]) for each in records])
        return
    rows = [(each.name, str(len(each.permissions)), str(len(holders[each.name]))) for each in records]
    print_table(f"{len(records)} {kind}s", ("name", "permissions", "devices"), rows)


def _act(identity: Identity, act: str, event: str, made: Role | Group, new: bool) -> None:
    from bridgehead.security.identity.audit import refusals
    from bridgehead.security.records import Role

    registry = identity.registry
    with refusals(identity.audit, act, made.name), registry.transaction():
        if isinstance(made, Role):
            (registry.add_role if new else registry.update_role)(made)
        else:
            (registry.add_group if new else registry.update_group)(made)
        identity.audit(event, {"name": made.name, "permissions": len(made.permissions)})


def _existing(identity: Identity, kind: str, name: str) -> Role | Group:
    return identity.registry.existing_role(name) if kind == ROLE else identity.registry.existing_group(name)


def _holders(identity: Identity, kind: str, name: str) -> list[str]:
    registry = identity.registry
    return registry.devices_with_role(name) if kind == ROLE else registry.devices_in_group(name)


def _print(kind: str, record: Role | Group, holders: Sequence[str], as_json: bool) -> None:
    from bridgehead.cli.device_show import print_json
    from bridgehead.security.policy.statement import text_of
    from bridgehead.security.policy.units import quota_text

    if as_json:
        print_json(_value(record, holders))
        return
    lines = [f"{kind:<12} {record.name}", f"created      {_utc(record.created)}"]
    if record.quota is not None:
        lines.append(f"quota        {quota_text(record.quota)}")
    lines += [f"may          {text_of(each)}" for each in record.permissions]
    if not record.permissions:
        lines.append("may          nothing")
    lines.append(f"devices      {' '.join(holders) if holders else 'none'}")
    print("\n".join(lines))


def _value(record: Role | Group, holders: Sequence[str]) -> dict[str, object]:
    from bridgehead.cli.device_show import permission_values
    from bridgehead.security.policy.statement import text_of
    from bridgehead.security.policy.units import quota_text

    values = permission_values(record.permissions)
    for value, each in zip(values, record.permissions, strict=True):
        value["text"] = text_of(each)
    return {
        "name": record.name,
        "created": _utc(record.created),
        "quota": None if record.quota is None else quota_text(record.quota),
        "permissions": values,
        "devices": list(holders),
    }


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
