"""Two hubs never write the same store: a lock that ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bridgehead.broker.ports import IN_USE, StoreError


class StoreLock:
    """Holds `file` (flock, 0600) until `release`. The file stays; its text is the process id of the last holder."""

    def __init__(self, file: Path) -> None:
        """Raises StoreError (IN_USE, names the process) when another holds it, OSError when it can't be made."""
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StoreError(
                f"another hub (process {holder or 'unknown'}) has the store in {file.parent} open: "
                "stop it, or name another data folder",
                IN_USE,
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)
