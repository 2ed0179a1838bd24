"""`bridgehead dds`: look into DDS domains, and write the signed documents that protect them."""

from __future__ import annotations

import typer

from bridgehead.cli.dds_discover import discover
from bridgehead.cli.dds_governance import governance
from bridgehead.cli.dds_permissions import permissions


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="DDS domains: who is there, and the documents that protect them.", no_args_is_help=True)
    group.command("discover")(discover)
    group.command("governance")(governance)
    group.command("permissions")(permissions)
    app.add_typer(group, name="dds")
