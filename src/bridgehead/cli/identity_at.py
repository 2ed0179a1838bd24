"""The identities of a data folder, opened for a command: every act goes into the audit log as in the running hub."""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.identity.audit import Audit
    from bridgehead.security.identity.identity import Identity

_LONGEST: Final = 4096  # octets of a pass phrase

PassphraseFile = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE|-|FD",
        help="Where the master key's pass phrase is read from; a number is a file descriptor. Default: the terminal.",
    ),
]


@contextmanager
def sentences() -> Iterator[None]:
    """What the security room says, as the command's own error."""
    from bridgehead.security.errors import NotAcceptable, SecurityError

    try:
        yield
    except NotAcceptable as fault:
        raise CommandError(str(fault), USAGE) from None
    except SecurityError as fault:
        raise CommandError(str(fault)) from None


@contextmanager
def open_identity(
    data: Path, make: bool = False, passphrase_file: str | None = None, audit: Audit | None = None
) -> Iterator[Identity]:
    """`make`: also when there are none yet. `audit`: where acts are told instead of the folder's audit log."""
    from bridgehead.security.audit.acts import Acts
    from bridgehead.security.identity.identity import Identity
    from bridgehead.security.registry.database import FILE

    if not make and not (data / FILE).exists():
        raise CommandError(f"there are no identities in {data}: check --data, or begin with `device add`", USAGE)
    acts = Acts(data)
    with sentences(), contextlib.closing(acts):
        told = acts if audit is None else audit
        identity = Identity(data, audit=told, passphrase=passphrase(passphrase_file))
        try:
            yield identity
        finally:
            identity.close()


@contextmanager
def act_at(data: Path, act: str, make: bool = False, principal: str = "") -> Iterator[Identity]:
    """As `open_identity`, for one act; when it is refused, the audit log says so and why."""
    from bridgehead.security.identity.audit import refusals

    with open_identity(data, make) as identity, refusals(identity.audit, act, principal):
        yield identity


def passphrase(source: str | None) -> Callable[[], bytes] | None:
    """What asks for the master key's pass phrase when it is needed: a file, standard input (-), a file descriptor, or
    the terminal. None when nobody can be asked. It is never taken from the command line or the environment."""
    if source is None:
        return _from_terminal if sys.stdin is not None and sys.stdin.isatty() else None
    return lambda: _from(source)


def _from_terminal() -> bytes:
    return getpass.getpass("pass phrase of the master key: ").encode()


def _from(source: str) -> bytes:
    try:
        if source == "-":
            found = sys.stdin.buffer.readline(_LONGEST + 2)
        elif source.isdecimal():
            with os.fdopen(os.dup(int(source)), "rb") as file:
                found = file.readline(_LONGEST + 2)
        else:
            with Path(source).open("rb") as file:
                found = file.readline(_LONGEST + 2)
    except OSError as fault:
        raise CommandError(
            f"--passphrase-file {source} cannot be read: {(fault.strerror or '').lower()}", USAGE
        ) from None
    found = found.rstrip(b"\r\n")
    if not found or len(found) > _LONGEST:
        raise CommandError(f"there is no pass phrase in --passphrase-file {source}: write it there as one line", USAGE)
    return found
