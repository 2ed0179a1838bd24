"""The data folder: for its owner only, and for one hub at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from bridgehead.security.errors import SecurityError
from bridgehead.security.files import private_folder

_LOCK: Final = "hub.lock"


class FolderError(Exception):
    """The data folder cannot be used; the text is a sentence that says what to do."""


class DataFolder:
    """A data folder that this process holds until `close`. The lock ends with the process, however it ends."""

    def __init__(self, path: Path) -> None:
        """Make `path` (0700) at need, check who may read it, lock it. Errors: FolderError."""
        self.path: Final = path.absolute()
        try:
            private_folder(self.path)
            self._check_owner()
            self._lock: int = self._locked()
        except SecurityError as fault:
            raise FolderError(str(fault)) from None
        except OSError as fault:
            where = fault.filename or self.path
            raise FolderError(f"the data folder {self.path} cannot be used: {where}: {fault.strerror}") from None

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _check_owner(self) -> None:
        owner = self.path.stat().st_uid
        if owner != os.geteuid():
            raise FolderError(
                f"the data folder {self.path} belongs to user {owner}, and this is user {os.geteuid()}: "
                "start the hub as its owner, or name another folder"
            )

    def _locked(self) -> int:
        lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode("ascii", "replace").strip()
            os.close(lock)
            raise FolderError(
                f"another hub (process {holder or 'unknown'}) runs on the data folder {self.path}: "
                "stop it, or name another folder"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        return lock
