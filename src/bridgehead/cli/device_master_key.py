"""`bridgehead device protect` and `device rekey`: the master key, under which devices' keys are sealed."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from bridgehead.cli.device_options import Data, note
from bridgehead.cli.identity_at import PassphraseFile, open_identity, passphrase
from bridgehead.cli.main import USAGE, CommandError

_SHORT = 12


def protect(
    data: Data,
    new_passphrase_file: Annotated[
        str | None,
        typer.Option(
            "--new-passphrase-file", metavar="FILE|-|FD", help="The new pass phrase; default: asked on the terminal."
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="No pass phrase any more.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Put the master key under a pass phrase. The hub asks for it at its start."""
    if none and new_passphrase_file is not None:
        raise CommandError("--none and --new-passphrase-file exclude each other: give one of them", USAGE)
    phrase = None if none else _new(new_passphrase_file)
    with open_identity(data, passphrase_file=passphrase_file) as identity:
        identity.protect(phrase)
    if phrase is None:
        print("the master key needs no pass phrase")
    else:
        print("the master key opens with the pass phrase only: a start of the hub needs it too")


def rekey(data: Data, passphrase_file: PassphraseFile = None) -> None:
    """Make a new master key and seal all stored keys anew under it. A running hub follows."""
    with open_identity(data, passphrase_file=passphrase_file) as identity:
        count = identity.rekey()
    print(f"{count} stored keys are under a new master key")


def _new(source: str | None) -> bytes:
    if source is None:
        if not sys.stdin.isatty():
            raise CommandError("say under which pass phrase: --new-passphrase-file FILE, or --none", USAGE)
        found = getpass.getpass("new pass phrase of the master key: ").encode()
        if getpass.getpass("once more: ").encode() != found:
            raise CommandError("the two pass phrases differ: nothing was changed", USAGE)
        if not found:
            raise CommandError("an empty pass phrase protects nothing: give one, or --none", USAGE)
    else:
        asked = passphrase(source)
        assert asked is not None
        found = asked()
    if len(found) < _SHORT:
        note("this pass phrase is short: whoever copies the data folder can try many")
    return found
