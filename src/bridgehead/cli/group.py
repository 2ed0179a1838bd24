"""`bridgehead group`: devices that belong together, a room or a plant."""

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
from bridgehead.cli.role_acts import GROUP, Allow, Deny, Keep, QuotaWords, given
from bridgehead.cli.role_acts import add as add_record
from bridgehead.cli.role_acts import change as change_record
from bridgehead.cli.role_acts import list_all as list_records
from bridgehead.cli.role_acts import remove as remove_record
from bridgehead.cli.role_acts import show as show_record


def register(app: typer.Typer) -> None:
    commands = typer.Typer(help="Groups: devices that belong together, a room or a plant.", no_args_is_help=True)
    commands.command("add")(add)
    commands.command("list")(list_groups)
    commands.command("show")(show)
    commands.command("set")(change)
    commands.command("remove")(remove)
    app.add_typer(commands, name=GROUP)


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
    """Make a group. Devices belong to it by `device add --group` or `device set --group`; ${group} stands for it."""
    wanted = given(allow, deny, publish, subscribe, deny_publish, deny_subscribe, max_qos, no_retain, quota)
    add_record(GROUP, name, data, wanted, as_json)


def list_groups(data: Data, as_json: Json = False) -> None:
    """All groups, by name."""
    list_records(GROUP, data, as_json)


def show(name: Name, data: Data, as_json: Json = False) -> None:
    """One group: its permissions, and who belongs to it."""
    show_record(GROUP, name, data, as_json)


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
    """Replace a group's permissions, its quota, or both. A running hub judges anew within a second."""
    wanted = given(allow, deny, publish, subscribe, deny_publish, deny_subscribe, max_qos, no_retain, quota)
    change_record(GROUP, name, data, wanted, keep, as_json)


def remove(name: Name, data: Data, as_json: Json = False) -> None:
    """Remove a group that no device belongs to any more."""
    remove_record(GROUP, name, data, as_json)
