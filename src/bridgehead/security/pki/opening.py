"""Open DATA/pki, and make what is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bridgehead.security import files
from bridgehead.security.pki import authority, certificates, revocation, state
from bridgehead.security.pki.hub import FOLDER, Pki
from bridgehead.security.pki.machine import MachineNames, machine_names
from bridgehead.security.pki.state import FOLDERS, State


def open_authority(data: Path, now: float | None = None) -> Pki:
    """The authorities of the data folder with their revocation lists; made when there are none."""
    moment = time.time() if now is None else now
    folder = _folder(data)
    with files.locked(folder / ".lock"):
        return _open(folder, moment)


def ensure(
    data: Path,
    hosts: Sequence[str],
    now: float | None = None,
    names: Callable[[], MachineNames] = machine_names,
) -> Pki:
    """As `open_authority`, and the hub's own certificate is there, lasts, and stands for the machine's names and
    addresses and for `hosts`. Call it at the start, at every reload, and once an hour while the hub runs.

    Errors: SecurityError; NotAcceptable when one of `hosts` is no host.
    """
    moment = time.time() if now is None else now
    folder = _folder(data)
    machine = names()
    with files.locked(folder / ".lock"):
        pki = _open(folder, moment)
        pki.signer.check_validity(moment)
        pki.renew_server(hosts, machine, moment)
        return pki


def _folder(data: Path) -> Path:
    files.private_folder(data)
    folder = data / FOLDER
    files.private_folder(folder)
    return folder


def _open(folder: Path, now: float) -> Pki:
    for path in (folder / "ca.key", folder / "server.pem"):
        if path.exists():
            files.check_private(path)
    if state.read_state(folder) is None and not (folder / "ca.pem").exists():
        _make(folder, now)
    pki = Pki(folder)
    state.write_bundles(folder, pki.authorities)
    revocation.keep(pki, now)
    return pki


def _make(folder: Path, now: float) -> None:
    if (folder / "ca.key").exists():
        # The first version was interrupted in its first start: a key that is there is never thrown away.
        key = certificates.read_key(files.read(folder / "ca.key"), str(folder / "ca.key"))
        files.write_whole(folder / "ca.pem", certificates.certificate_pem(certificates.make_root(key, now)))
        return
    # What lies there without authorities.json is of a first start that was interrupted: nobody has been given any.
    files.private_folder(folder / FOLDERS)
    authority.make(folder / FOLDERS / "1", now)
    state.write_state(folder, State("1"))
