"""DDS domains for tests: each is taken by one test of this machine at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

LAST = 99


@contextlib.contextmanager
def free_domain() -> Iterator[int]:
    """A domain id of 1 to 99 that nobody else uses until the block ends."""
    folder = Path(tempfile.gettempdir()) / f"bridgehead-dds-domains-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in range(1, LAST + 1):
        with (folder / str(number)).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise AssertionError(f"all of the {LAST} domains are taken")
