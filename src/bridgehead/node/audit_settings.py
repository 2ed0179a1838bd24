"""The configuration's table `[audit]`: how the audit log is kept, and where it is sent."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

DAY: Final = 24 * 60 * 60


class Audit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[audit]`."""

    on_failure: Annotated[
        Literal["warn", "refuse"],
        Meta(
            description="while the audit log cannot be written: `warn` says so in the hub's log and goes on, `refuse` "
            "lets nobody new in"
        ),
    ] = "warn"
    file_size: Annotated[
        int, Meta(ge=4096, le=2**40, description="octets of a file of the audit log, then the next one is begun")
    ] = 16 * 1024 * 1024
    file_age: Annotated[
        float, Meta(gt=0, le=3650 * DAY, description="seconds until the next file is begun, however short this one is")
    ] = 7.0 * DAY
    keep: Annotated[
        float,
        Meta(ge=0, le=36500 * DAY, description="seconds for which files stay; each removal is recorded; 0: ever"),
    ] = 365.0 * DAY
    checkpoint_lines: Annotated[int, Meta(ge=1, le=1_000_000, description="lines between signed checkpoints")] = 1000
    checkpoint_seconds: Annotated[
        float, Meta(ge=1, le=DAY, description="seconds after which lines are covered by a signed checkpoint")
    ] = 60.0
    syslog: Annotated[
        str,
        Meta(
            description="where each line goes too (RFC 5424): `unix:/dev/log`, `udp:host:514`, `tcp:host:601` or "
            "`tls:host:6514`; empty: nowhere"
        ),
    ] = ""
    syslog_ca: Annotated[
        str, Meta(description="PEM file of the CA that signed the syslog collector's certificate; empty: the system's")
    ] = ""
