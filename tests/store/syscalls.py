"""Faults of the disk itself: SQLite's write calls fail with an errno that a test chooses.

SQLite's Unix file system keeps its system calls in a table that can be changed (sqlite3_vfs.xSetSystemCall,
https://sqlite.org/c3ref/vfs.html), so what follows is SQLite's own handling of a real failure.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_POINTERS_BEFORE = 14  # from pAppData to xCurrentTimeInt64
_WRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, use_errno=True)
_PWRITE = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", ctypes.c_void_p),
        ("zName", ctypes.c_char_p),
        ("others", ctypes.c_void_p * _POINTERS_BEFORE),
        (
            "xSetSystemCall",
            ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p),
        ),
    )


class FailingDisk:
    """Lets `passes` writes through, then fails each with `errno`, until `heal`."""

    def __init__(self) -> None:
        self.errno = 0
        self.passes = 0
        self.failed = 0

    def fail(self, errno: int, after: int = 0) -> None:
        self.passes = after
        self.errno = errno

    def heal(self) -> None:
        self.errno = 0

    def refuses(self) -> bool:
        if not self.errno:
            return False
        if self.passes:
            self.passes -= 1
            return False
        self.failed += 1
        ctypes.set_errno(self.errno)
        return True


@contextmanager
def failing_disk() -> Iterator[FailingDisk]:
    """All writes of SQLite in this process pass here while it lasts."""
    library = ctypes.CDLL(_sqlite3.__file__)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.write.restype = libc.pwrite.restype = ctypes.c_ssize_t
    libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    libc.pwrite.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
    vfs = library.sqlite3_vfs_find(None)
    disk = FailingDisk()

    def write(*call: Any) -> int:
        return -1 if disk.refuses() else int(libc.write(*call))

    def pwrite(*call: Any) -> int:
        return -1 if disk.refuses() else int(libc.pwrite(*call))

    calls = {b"write": _WRITE(write), b"pwrite": _PWRITE(pwrite), b"pwrite64": _PWRITE(pwrite)}
    # Builds of SQLite differ in which of these they use; an unused one is refused or never called.
    taken = [
        name
        for name, function in calls.items()
        if vfs.contents.xSetSystemCall(vfs, name, ctypes.cast(function, ctypes.c_void_p)) == 0
    ]
    assert b"write" in taken
    try:
        yield disk
    finally:
        for name in taken:
            vfs.contents.xSetSystemCall(vfs, name, None)
