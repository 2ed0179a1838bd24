"""`bridgehead ca status` and `ca list`: the expiry calendar, and what was issued."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bridgehead.cli.device_options import Data, Json
from bridgehead.cli.main import USAGE, CommandError

EXPIRING = 3  # the exit code of --fail-within


def day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def status(
    data: Data,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The hub's: its listeners' files are looked at too.")
    ] = None,
    fail_within: Annotated[
        float | None,
        typer.Option("--fail-within", metavar="DAYS", help="Exit code 3 when something ends within so many days."),
    ] = None,
    as_json: Json = False,
) -> int:
    """When every certificate and revocation list ends that the hub knows of, what ends first comes first."""
    from bridgehead.cli.device_show import print_json, print_table
    from bridgehead.cli.identity_at import open_identity
    from bridgehead.node.config import ConfigError, load
    from bridgehead.node.renewal import listener_files
    from bridgehead.security.pki.calendar import calendar

    try:
        files = listener_files(load(config, data))
    except ConfigError as fault:
        raise CommandError(str(fault), USAGE) from None
    with open_identity(data) as identity:
        now = identity.now()
        found = calendar(identity.pki, identity.registry.each_device(), files, now)
        authorities = [
            {"subject": each.certificate.subject.rfc4514_string(), "signs": each.until is None, "until": each.until}
            for each in identity.pki.authorities
        ]
    late = [each for each in found if fail_within is not None and each.ends - now <= fail_within * 86400]
    if as_json:
        endings = [
            {
                "what": each.what,
                "name": each.name,
                "ends": each.ends,
                "days": round((each.ends - now) / 86400, 2),
                "renewed_by_hub": bool(each.renewed_at),
                "warning": each.warning(now),
            }
            for each in found
        ]
        print_json({"authorities": authorities, "endings": endings})
    else:
        rows = [
            (each.what, each.name, day(each.ends), f"{(each.ends - now) / 86400:.0f} days", _note(each.warning(now)))
            for each in found
        ]
        print_table(f"{len(found)} endings", ("what", "name", "ends", "left", "note"), rows)
    return EXPIRING if late else 0


def _note(warning: int | None) -> str:
    if warning is None:
        return "-"
    return "has ended" if warning == 0 else f"within {warning} days"


def list_issued(data: Data, as_json: Json = False) -> None:
    """Certificates that are neither expired nor revoked by `ca revoke`."""
    from bridgehead.cli.device_show import print_json, print_table
    from bridgehead.cli.identity_at import open_identity

    with open_identity(data) as identity:
        found = identity.pki.ledger.living(identity.now())
    if as_json:
        print_json([vars(each) for each in found])
        return
    rows = [(each.profile, each.subject, day(each.not_after), each.serial) for each in found]
    print_table(f"{len(found)} certificates", ("profile", "subject", "until", "serial"), rows)
