"""Which authorities there are: DATA/pki/authorities.json, and the files that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import authority, certificates
from bridgehead.security.pki.authority import Authority

FILE: Final = "authorities.json"
FOLDERS: Final = "authorities"


class Former(Struct, frozen=True, forbid_unknown_fields=True):
    """One that signs no devices any more and is accepted until a moment."""

    name: str
    until: float


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """`current` signs; `former` are still accepted, the oldest first; `last` is the highest number given."""

    current: str
    former: tuple[Former, ...] = ()
    last: int = 1


def read_state(folder: Path) -> State | None:
    """None: the folder was made by the first version, or nothing is in it yet. Errors: SecurityError."""
    path = folder / FILE
    if not path.exists():
        if (folder / "ca.pem").exists() and not (folder / "ca.key").exists() and (folder / FOLDERS).exists():
            raise SecurityError(
                f"{path}, which says what authorities there are, is not there: restore it from a backup"
            )
        return None
    try:
        return msgspec.json.decode(files.read(path), type=State)
    except msgspec.MsgspecError:
        raise SecurityError(f"{path} cannot be read: restore it from a backup") from None


def write_state(folder: Path, state: State) -> None:
    files.write_whole(folder / FILE, msgspec.json.encode(state))


def read_authorities(folder: Path) -> list[Authority]:
    """The one that signs first, then those still accepted, the newest of them first. Errors: SecurityError."""
    state = read_state(folder)
    if state is None:
        return [authority.single(folder)]
    found = [authority.read(folder / FOLDERS / state.current, None)]
    return found + [authority.read(folder / FOLDERS / each.name, each.until) for each in reversed(state.former)]


def write_bundles(folder: Path, found: Sequence[Authority]) -> None:
    """ca.pem and trusted.pem say what authorities.json says. The first version's ca.pem is a source itself."""
    if found[0].name:
        roots = list(dict.fromkeys(each.root for each in found))
        _replace(folder / "ca.pem", certificates.certificate_pem(*roots))
    everybody = dict.fromkeys(each for one in found for each in (one.root, *one.chain))
    _replace(folder / "trusted.pem", certificates.certificate_pem(*everybody))


def _replace(path: Path, data: bytes) -> None:
    if not path.exists() or files.read(path) != data:
        files.write_whole(path, data)
