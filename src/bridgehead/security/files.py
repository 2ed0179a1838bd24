"""Files and folders for their owner only: private from the moment they exist, replaced whole, durable."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridgehead.security.errors import SecurityError

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def _failure(what: str, path: Path, fault: OSError) -> SecurityError:
    return SecurityError(f"{what} {path}: {(fault.strerror or str(fault)).lower()}")


def private_folder(path: Path) -> None:
    """Make the folder and its missing parents (0700), or see that nobody else can reach into it.

    An empty folder is closed to others; one that holds something and stood open is refused, because only a
    person can judge what has been read or planted there. Errors: SecurityError.
    """
    try:
        if not path.is_dir():
            if not path.parent.exists():
                private_folder(path.parent)
            with contextlib.suppress(FileExistsError):  # another process was quicker
                os.mkdir(path, FOLDER_MODE)
                os.chmod(path, FOLDER_MODE)  # a umask can take bits of the owner's away
                _inherit_owner(path, path.parent)
        mode = stat.S_IMODE(path.stat().st_mode)
        if not mode & _OTHERS:
            return
        if any(path.iterdir()):
            raise SecurityError(
                f"other users can reach into the folder {path} (mode {mode:04o}), which is not empty: "
                f"see that nothing in it is foreign, then run: chmod -R go= {path}"
            )
        path.chmod(FOLDER_MODE)
    except OSError as fault:
        raise _failure("cannot use the folder", path, fault) from None


def output_folder(path: Path) -> None:
    """Make the folder that secrets are handed out in (0700), or take an empty one of our own. A link, or a folder that
    another user has put there, is refused: what is written there would be his. Errors: SecurityError."""
    try:
        if not path.parent.exists():
            private_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, FOLDER_MODE)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or any(path.iterdir()):
            raise SecurityError(f"{path} is a link, another user's folder or not empty: name a new folder")
        path.chmod(FOLDER_MODE)
    except OSError as fault:
        raise _failure("cannot make the folder", path, fault) from None


def check_private(path: Path) -> None:
    """Refuse a file that holds secrets and that others than its owner can open. Errors: SecurityError."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as fault:
        raise _failure("cannot look at", path, fault) from None
    if mode & _OTHERS:
        raise SecurityError(
            f"other users of this machine can open {path} (mode {mode:04o}), which holds secrets: "
            f"replace what it holds if they may have read it, then run: chmod 0600 {path}"
        )


def create_empty(path: Path) -> None:
    """Make an empty file (0600) unless there is one."""
    try:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, _CREATE, FILE_MODE)
            try:
                _settle(descriptor, path.parent)
            finally:
                os.close(descriptor)
    except OSError as fault:
        raise _failure("cannot make", path, fault) from None


def write_whole(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Put `data` in place of what `path` held, at once and durably: a reader sees the old file or the new one.

    Errors: SecurityError, and then the old file is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, _CREATE, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                _settle(file.fileno(), path.parent, mode)
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as fault:
        raise _failure("cannot write", path, fault) from None


def sync_folder(path: Path) -> None:
    """Make durable which files the folder holds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """Errors: SecurityError."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise _failure("cannot read", path, fault) from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time, whatever it is called: waits for the lock file `path`, and holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    except OSError as fault:
        raise _failure("cannot lock", path, fault) from None
    try:
        _settle(descriptor, path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _settle(descriptor: int, folder: Path, mode: int = FILE_MODE) -> None:
    """The exact mode, whatever the umask; and the folder's owner when root works in somebody's data folder."""
    os.fchmod(descriptor, mode)
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _inherit_owner(path: Path, folder: Path) -> None:
    """As `_settle`, for a new folder inside of a data folder (0700). A folder elsewhere stays with who made it."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0 and not stat.S_IMODE(owner.st_mode) & _OTHERS:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
