"""`bridgehead role`: permissions that several devices have."""

from __future__ import annotations

import typer

from bridgehead.cli.device_options import (
    Data,
    DenyPublish,
    DenySubscribe,
    Json,
    MaxQos,
    Name,
    NoRetain,
    Publish,
    Subscribe,
)
from bridgehead.cli.main import USAGE, CommandError
from bridgehead.cli.role_acts import ROLE, Allow, Deny, Keep, QuotaWords, given
from bridgehead.cli.role_acts import add as add_record
from bridgehead.cli.role_acts import change as change_record
from bridgehead.cli.role_acts import list_all as list_records
from bridgehead.cli.role_acts import remove as remove_record
from bridgehead.cli.role_acts import show as show_record


def register(app: typer.Typer) -> None:
    commands = typer.Typer(help="Roles: permissions that several devices have.", no_args_is_help=True)
    commands.command("add")(add)
    commands.command("list")(list_roles)
    commands.command("show")(show)
    commands.command("set")(change)
    commands.command("remove")(remove)
    app.add_typer(commands, name=ROLE)


def add(
    name: Name,
    data: Data,
    allow: Allow = None,
    deny: Deny = None,
    publish: Publish = None,
    subscribe: Subscribe = None,
    deny_publish: DenyPublish = None,
    deny_subscribe: DenySubscribe = None,
    max_qos: MaxQos = 2,
    no_retain: NoRetain = False,
    quota: QuotaWords = None,
    as_json: Json = False,
) -> None:
    """Make a role. Devices get it by `device add --role`."""
    wanted = given(allow, deny, publish, subscribe, deny_publish, deny_subscribe, max_qos, no_retain, quota)
    if not wanted.granted:
        raise CommandError("a role is its permissions: give --allow, --publish, --subscribe or a denial", USAGE)
    add_record(ROLE, name, data, wanted, as_json)


def list_roles(data: Data, as_json: Json = False) -> None:
    """All roles, by name."""
    list_records(ROLE, data, as_json)


def show(name: Name, data: Data, as_json: Json = False) -> None:
    """One role: its permissions, and who has it."""
    show_record(ROLE, name, data, as_json)


def change(
    name: Name,
    data: Data,
    allow: Allow = None,
    deny: Deny = None,
    publish: Publish = None,
    subscribe: Subscribe = None,
    deny_publish: DenyPublish = None,
    deny_subscribe: DenySubscribe = None,
    max_qos: MaxQos = 2,
    no_retain: NoRetain = False,
    quota: QuotaWords = None,
    keep: Keep = False,
    as_json: Json = False,
) -> None:
    """Replace a role's permissions, its quota, or both. A running hub judges anew within a second."""
    wanted = given(allow, deny, publish, subscribe, deny_publish, deny_subscribe, max_qos, no_retain, quota)
    change_record(ROLE, name, data, wanted, keep, as_json)


def remove(name: Name, data: Data, as_json: Json = False) -> None:
    """Remove a role that no device has any more."""
    remove_record(ROLE, name, data, as_json)
