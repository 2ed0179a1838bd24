"""`bridgehead device`: who may connect, with which credentials, and do what."""

from __future__ import annotations

import typer

from bridgehead.cli.device_acts import disable, enable, invite, list_devices, remove, revoke, show, unlock
from bridgehead.cli.device_add import add, rotate
from bridgehead.cli.device_export import export
from bridgehead.cli.device_import import import_devices
from bridgehead.cli.device_master_key import protect, rekey
from bridgehead.cli.device_set import change


def register(app: typer.Typer) -> None:
    devices = typer.Typer(help="Devices: who may connect, with which credentials, and do what.", no_args_is_help=True)
    devices.command("add")(add)
    devices.command("list")(list_devices)
    devices.command("show")(show)
    devices.command("set")(change)
    devices.command("rotate")(rotate)
    devices.command("revoke")(revoke)
    devices.command("enable")(enable)
    devices.command("disable")(disable)
    devices.command("remove")(remove)
    devices.command("export")(export)
    devices.command("invite")(invite)
    devices.command("unlock")(unlock)
    devices.command("import")(import_devices)
    devices.command("protect")(protect)
    devices.command("rekey")(rekey)
    app.add_typer(devices, name="device")
