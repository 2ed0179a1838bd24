"""`bridgehead policy import-mosquitto`: a Mosquitto's users, passwords and access control, as devices and roles."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.device_options import Data, Json, note
from bridgehead.cli.identity_at import open_identity
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.policy.moving import Moving
    from bridgehead.security.registry.registry import Registry

LARGEST: Final = 64 << 20  # octets of one file

_FILE: Final = "FILE"


def register(commands: typer.Typer) -> None:
    commands.command("import-mosquitto")(import_mosquitto)


def import_mosquitto(
    data: Data,
    acl: Annotated[Path | None, typer.Option("--acl", metavar=_FILE, help="Its acl_file.")] = None,
    passwords: Annotated[Path | None, typer.Option("--passwords", metavar=_FILE, help="Its password_file.")] = None,
    dynamic_security: Annotated[
        Path | None, typer.Option("--dynamic-security", metavar=_FILE, help="The plug-in's JSON file.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar=_FILE, help="mosquitto.conf: names the files above.")
    ] = None,
    any_client_id: Annotated[
        bool, typer.Option("--any-client-id", help="Devices may use any client identifier, as they might there.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Print the permissions as a policy.")] = False,
    as_json: Json = False,
) -> None:
    """Take over a Mosquitto's users, with their passwords, and what they may. Tells line by line what is not as it was:
    nobody may more than before. All of it is taken over, or nothing."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.security.identity.audit import refusals
    from bridgehead.security.policy.events import POLICY_IMPORTED
    from bridgehead.security.policy.printer import print_policy

    now = time.time()
    with open_identity(data, make=True) as identity, refusals(identity.audit, "policy import-mosquitto", ""):
        moving, sources = _read(acl, passwords, dynamic_security, config)
        with contextlib.suppress(_TriedOnly), identity.registry.transaction():
            devices, roles = _put(identity.registry, moving, now, any_client_id)
            if dry_run:
                raise _TriedOnly
            identity.audit(POLICY_IMPORTED, {"source": " ".join(sources), "devices": devices, "roles": roles})
    names = list(moving.accounts)
    if as_json:
        print_json(
            {
                "imported": not dry_run,
                "devices": names,
                "roles": list(moving.role_permissions),
                "groups": moving.group_names,
                "report": [
                    {"file": each.file, "line": each.line, "level": each.level, "text": each.text}
                    for each in moving.remarks
                ],
                "policy": print_policy(moving.document()),
            }
        )
        return
    for remark in moving.remarks:
        print(remark, file=sys.stderr)
    if text:
        print(print_policy(moving.document()), end="")
    done = "would be imported" if dry_run else "imported"
    note(f"{len(names)} device(s) and {len(moving.role_permissions)} role(s) {done}")


class _TriedOnly(Exception):
    """Takes back what was done within the transaction."""


def _put(registry: Registry, moving: Moving, now: float, any_client_id: bool) -> tuple[int, int]:
    """(how many devices, how many roles). Errors: NotAcceptable, when one of the name is there already."""
    roles, devices = moving.roles(now), moving.devices(now, any_client_id)
    for role in roles:
        registry.add_role(role)
    for group in moving.groups(now):
        registry.add_group(group)
    for device in devices:
        registry.add_device(device)
    return len(devices), len(roles)


def _read(
    acl: Path | None, passwords: Path | None, dynamic_security: Path | None, config: Path | None
) -> tuple[Moving, list[str]]:
    from bridgehead.security.policy.mosquitto import give_patterns, read_acl, read_passwords
    from bridgehead.security.policy.mosquitto_conf import read_configuration
    from bridgehead.security.policy.mosquitto_dynamic import read_dynamic_security
    from bridgehead.security.policy.moving import Moving

    moving = Moving()
    sources: list[str] = []
    if config is not None:
        named = read_configuration(moving, _text(config), config.name, config.parent)
        sources.append(config.name)
        acl, passwords = acl or named.acl, passwords or named.passwords
        dynamic_security = dynamic_security or named.dynamic_security
    if passwords is None and dynamic_security is None:
        raise CommandError("say where the users are: --passwords, --dynamic-security or --config FILE", USAGE)
    if acl is not None and dynamic_security is not None:
        raise CommandError("--acl and --dynamic-security decide each in its own way: import one of them", USAGE)
    if passwords is not None:
        read_passwords(moving, _text(passwords), passwords.name)
        sources.append(passwords.name)
    if dynamic_security is not None:
        read_dynamic_security(moving, _octets(dynamic_security), dynamic_security.name)
        sources.append(dynamic_security.name)
    if acl is not None:
        read_acl(moving, _text(acl), acl.name)
        sources.append(acl.name)
    elif dynamic_security is None:
        moving.remark(
            sources[-1], 0, "narrower", "without an acl_file everybody may do everything; here nobody may anything"
        )
    moving.finish(sources[-1])
    give_patterns(moving)
    return moving, sources


def _octets(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            octets = opened.read(LARGEST + 1)
    except OSError as fault:
        raise CommandError(f"{file} cannot be read: {(fault.strerror or '').lower()}", USAGE) from None
    if len(octets) > LARGEST:
        raise CommandError(f"{file} is larger than {LARGEST} octets", USAGE)
    return octets


def _text(file: Path) -> str:
    octets = _octets(file)
    try:
        return octets.decode()
    except UnicodeDecodeError as fault:
        line = octets.count(b"\n", 0, fault.start) + 1
        raise CommandError(f"{file}:{line}: this line is not UTF-8 text", USAGE) from None
