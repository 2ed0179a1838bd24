"""From one authority to the next while the hub runs, with a time in which both are accepted; root keys kept offline.

During the overlap the new authority signs devices and both are verified; the hub shows its certificate from the old
one, because clients may not have the new root yet (ca.pem holds both). At its end the old one is forgotten. What that
means for records is in security/identity/authorities.py. Errors: SecurityError, NotAcceptable; then nothing has
changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.pki import authority, certificates, profiles, revocation, state
from bridgehead.security.pki.authority import Authority, date
from bridgehead.security.pki.hub import Pki
from bridgehead.security.pki.machine import machine_names
from bridgehead.security.pki.state import FOLDERS, Former, State

Maker = Callable[[Path], None]
_ADOPTED: Final = "1"


def roll_over(pki: Pki, make: Maker, overlap: float, now: float) -> Authority:
    """Put a new authority in force; the present one is accepted for `overlap` seconds more. `make` fills its folder."""
    folder = pki.folder
    with files.locked(folder / ".lock"):
        present = state.read_state(folder)
        if present is not None and present.former:
            until = date(max(each.until for each in present.former))
            raise NotAcceptable(
                f"a roll-over is under way until {until}: wait, or end it with `bridgehead ca roll-over --finish`"
            )
        known = State(_ADOPTED) if present is None else present
        name = str(known.last + 1)
        files.private_folder(folder / FOLDERS)
        made = folder / FOLDERS / name
        shutil.rmtree(made, ignore_errors=True)  # of one that was interrupted: nobody has been given anything of it
        try:
            make(made)
            authority.read(made, None).check_validity(now)
            if present is None:
                _adopt(folder)
            after = State(name, (Former(known.current, now + overlap),), known.last + 1)
            state.write_state(folder, after)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        (folder / "ca.key").unlink(missing_ok=True)
        _follow(pki, now)
        return pki.signer


def _adopt(folder: Path) -> None:
    """The first version's single authority moves to a folder of its own."""
    old = folder / FOLDERS / _ADOPTED
    files.private_folder(old)
    pem = files.read(folder / "ca.pem")
    files.write_whole(old / "root.pem", pem)
    files.write_whole(old / "issuing.pem", pem)
    if (folder / "ca.key").exists():
        files.write_whole(old / "issuing.key", files.read(folder / "ca.key"))


def finish(pki: Pki, now: float, *, early: bool = False) -> list[Authority]:
    """Accept no more what a roll-over has left behind, at the end of its overlap or `early`. Returns what was retired;
    its keys are deleted."""
    folder = pki.folder
    with files.locked(folder / ".lock"):
        present = state.read_state(folder)
        if present is None:
            return []
        ended = [each for each in present.former if early or each.until <= now]
        if not ended:
            return []
        retired = [authority.read(folder / FOLDERS / each.name, each.until) for each in ended]
        kept = tuple(each for each in present.former if each not in ended)
        state.write_state(folder, State(present.current, kept, present.last))
        _follow(pki, now)
        _move_server(pki, now)
        for each in retired:
            for path in (each.key_file, each.root_key_file, each.responder_file):
                path.unlink(missing_ok=True)
        return retired


def _follow(pki: Pki, now: float) -> None:
    state.write_bundles(pki.folder, pki.authorities)
    revocation.keep(pki, now)


def _move_server(pki: Pki, now: float) -> None:
    """The hub's own certificate from an authority that is still accepted, for the same hosts."""
    present = pki.server_certificate()
    if present is None or any(certificates.is_issued_by(present, each.certificate) for each in pki.authorities):
        return
    hosts = pki.server_hosts() or [machine_names().host_name]
    key = certificates.new_key()
    by = pki.server_signer
    issued = pki.issue(profiles.SERVER, hosts, key.public_key(), now, certificates.key_pem(key), by)
    files.write_whole(pki.server_file, issued.key_pem + issued.certificate_pem)


# What the next authority can be. --------------------------------------------------------------------


def with_new_root(now: float) -> Maker:
    return lambda folder: authority.make(folder, now)


def with_same_root(pki: Pki, root_key_file: Path | None, passphrase: bytes | None, now: float) -> Maker:
    """Another issuing authority below the present root, so that clients need no new ca.pem. `root_key_file`: where the
    root's key is when it is not in its place."""
    present = pki.signer
    if not present.name or not present.chain:
        raise NotAcceptable("there is no issuing authority below this root: leave --keep-root out")
    path = present.root_key_file if root_key_file is None else root_key_file
    if not path.exists():
        raise NotAcceptable(f"the root's key is not in {path}: name the file that it was moved to with --root-key")
    key = certificates.read_key(files.read(path), str(path), passphrase)
    if key.public_key() != present.root.public_key():
        raise NotAcceptable(f"{path} is not the key of the root {present.root.subject.rfc4514_string()}")
    return lambda folder: authority.make_below(folder, present.root, key, root_key_file is None, now)


# The root's key elsewhere. --------------------------------------------------------------------------


def offline_root(pki: Pki, to: Path, passphrase: bytes | None) -> None:
    """Move the root's key to a new file `to`, read it back, then delete it here. Everything but a new issuing
    authority below the same root goes on without it."""
    with files.locked(pki.folder / ".lock"):
        present = pki.signer
        if not present.name or not present.chain:
            raise NotAcceptable(
                "this folder's authority signs devices itself, so its key is needed: "
                "make a root and an issuing authority first with `bridgehead ca roll-over`"
            )
        if not present.root_key_file.exists():
            raise NotAcceptable("the root's key is not in the data folder: it was moved already, or never was here")
        if to.exists():
            raise NotAcceptable(f"{to} exists already: name a new file")
        files.check_private(present.root_key_file)
        key = certificates.read_key(files.read(present.root_key_file), str(present.root_key_file))
        files.write_whole(to, certificates.key_pem(key, passphrase))
        again = certificates.read_key(files.read(to), str(to), passphrase)
        if again.public_key() != present.root.public_key():
            raise SecurityError(f"{to} does not hold the root's key after it was written: use another medium")
        present.root_key_file.unlink()
        files.sync_folder(present.folder)
