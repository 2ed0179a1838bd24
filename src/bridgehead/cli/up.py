"""`bridgehead up`: start the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridgehead.cli.identity_at import PassphraseFile, passphrase
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.node.configuration import Config


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", help="Data folder: certificates, identities, messages. Made at need."),
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Configuration (TOML). Without it: TLS only, ports 8883, 8884, 5671, 5684 and 8443.",
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the configuration.")] = False,
) -> int:
    """Start the hub; print a line beginning with "ready" once all listeners accept.

    SIGHUP reloads the configuration and certificates, SIGTERM or Ctrl-C stops in order, a second one at once.
    """
    from bridgehead.node.config import ConfigError, load

    try:
        settings = load(config, data)
    except ConfigError as fault:
        if not check:
            _record(data, str(fault))
        raise CommandError(str(fault), USAGE) from None
    if check:
        _check_files(settings)
        print(f"{config or 'the default configuration'}: correct")
        return 0
    from bridgehead.node.run import HubError, run

    try:
        run(settings, passphrase(passphrase_file))
    except HubError as fault:
        raise CommandError(str(fault)) from fault
    return 0


def _record(data: Path, because: str) -> None:
    """That the hub was to start and could not, in the audit log."""
    from bridgehead.node.audit import record_failed_start
    from bridgehead.security.errors import SecurityError

    try:
        record_failed_start(data, because)
    except SecurityError as fault:
        raise CommandError(f"{because}; besides, {fault}", USAGE) from None


def _check_files(config: Config) -> None:
    """Open what the listeners would: certificates, keys, client CAs."""
    import time

    from bridgehead.security.errors import SecurityError
    from bridgehead.security.tls.contexts import check_files

    for each in config.listeners:
        files = [Path(name) if name else None for name in (each.certificate, each.key, each.client_ca)]
        try:
            check_files(files[0], files[1], files[2], time.time())
        except SecurityError as fault:
            raise CommandError(str(fault), USAGE) from None
