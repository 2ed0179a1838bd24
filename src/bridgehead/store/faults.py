"""From SQLite's result codes (https://sqlite.org/rescode.html) to the reasons of StoreError, with what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final

from bridgehead.broker.ports import (
    CONFLICT,
    DAMAGED,
    DISK_FULL,
    FAILED,
    IN_USE,
    IO_ERROR,
    READ_ONLY,
    StoreError,
)

_FULL_ERRNOS: Final = {
    errno.ENOSPC: "no space is left on its disk",
    errno.EDQUOT: "the quota of its disk is used up",
    errno.EFBIG: "it would pass the limit on the size of a file",
}
_BY_CODE: Final = {
    sqlite3.SQLITE_FULL: (DISK_FULL, "no space is left on its disk: free some, the hub then goes on by itself"),
    sqlite3.SQLITE_IOERR: (IO_ERROR, "its disk refused to read or write: look at the system's log"),
    sqlite3.SQLITE_READONLY: (
        READ_ONLY,
        "it cannot be written: look at its mode, its owner and how its disk is mounted",
    ),
    sqlite3.SQLITE_CANTOPEN: (IO_ERROR, "it cannot be opened: look at the mode and owner of the data folder"),
    sqlite3.SQLITE_PERM: (READ_ONLY, "its mode forbids it: look at its owner and mode"),
    sqlite3.SQLITE_AUTH: (READ_ONLY, "its mode forbids it: look at its owner and mode"),
    sqlite3.SQLITE_CORRUPT: (
        DAMAGED,
        "its content is damaged: stop the hub, keep a copy of the data folder, then restore a backup",
    ),
    sqlite3.SQLITE_NOTADB: (
        DAMAGED,
        "it is not a database, or its first page is damaged: restore a backup, or move it away to begin anew",
    ),
    sqlite3.SQLITE_BUSY: (IN_USE, "another program holds it locked: end that program"),
    sqlite3.SQLITE_LOCKED: (IN_USE, "another program holds it locked: end that program"),
    sqlite3.SQLITE_CONSTRAINT: (CONFLICT, "a number was appended to a log that holds it already"),
}
_PROBE: Final = b"\0" * 65_536


def translate(fault: Exception, file: Path) -> StoreError:
    """The StoreError for a fault that came up while `file` was read or written."""
    code = getattr(fault, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return StoreError(f"{file}: {fault}", FAILED)
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_IOERR:
        # SQLite knows a full disk by ENOSPC alone; a quota or a file size limit is a plain I/O error to it.
        meaning = _FULL_ERRNOS.get(_errno_of_a_write(file))
        if meaning is not None:
            return StoreError(f"{file}: {meaning}: make room, the hub then goes on by itself", DISK_FULL)
    reason, sentence = _BY_CODE.get(primary, (FAILED, str(fault)))
    name = getattr(fault, "sqlite_errorname", code)
    return StoreError(f"{file}: {sentence} ({name})", reason)


def _errno_of_a_write(file: Path) -> int:
    """The errno with which a new file beside `file` refuses octets at the offset that `file` has reached; 0: none."""
    probe = file.with_name(f"{file.name}-probe")
    try:
        offset = max([part.stat().st_size for part in (file, file.with_name(f"{file.name}-wal")) if part.exists()])
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (OSError, ValueError) as fault:
        return getattr(fault, "errno", None) or 0
    try:
        os.pwrite(descriptor, _PROBE, offset)
        os.fsync(descriptor)
    except OSError as fault:
        return fault.errno or 0
    finally:
        os.close(descriptor)
        probe.unlink(missing_ok=True)
    return 0
