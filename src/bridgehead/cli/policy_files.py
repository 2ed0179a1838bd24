"""Where the policy commands read from: files, standard input, and what is in force."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.device_options import note
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.policy.document import Document
    from bridgehead.security.registry.registry import Registry

CURRENT: Final = ("current", "-")

PolicyFile = Annotated[str, typer.Argument(metavar="FILE", help="Policy file; - reads standard input.")]
MaybeData = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The hub's data folder: its devices are looked at too.")
]


@contextmanager
def registry_of(data: Path) -> Iterator[Registry]:
    """The registry of the data folder, to read from. Errors: SecurityError; CommandError when there is none."""
    from bridgehead.security.registry.database import FILE
    from bridgehead.security.registry.registry import Registry

    if not (data / FILE).exists():
        raise CommandError(f"there are no identities in {data}: check --data, or begin with `device add`", USAGE)
    registry = Registry(data)
    try:
        yield registry
    finally:
        registry.close()


def read_octets(file: str) -> tuple[bytes, str]:
    """(the file's octets, its name for sentences)."""
    from bridgehead.security.policy.text import LARGEST

    if file == "-":
        return sys.stdin.buffer.read(LARGEST + 1), "standard input"
    try:
        with Path(file).open("rb") as opened:
            return opened.read(LARGEST + 1), Path(file).name
    except OSError as fault:
        raise CommandError(f"{file} cannot be read: {(fault.strerror or '').lower()}", USAGE) from None


def read_policy(file: str, attributes: frozenset[str] | None = None) -> tuple[Document, str]:
    """(the policy, its file's name); warnings go to standard error. Errors: NotAcceptable."""
    from bridgehead.security.policy.document import place
    from bridgehead.security.policy.text import decode, parse

    octets, name = read_octets(file)
    document, warnings = parse(decode(octets, name), name, attributes)
    for warning in warnings:
        note(f"{place(name, warning)}: {warning.text}")
    return document, name
