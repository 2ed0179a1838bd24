"""Acts of administration, written by whoever does them: on disk and signed before the act is acknowledged."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bridgehead.security.audit.journal import Journal


class Acts:
    """Called with each event before the act counts; close it when the act is over. Where nothing is told, nothing is
    written. Errors of every method: SecurityError."""

    def __init__(self, data: Path, by: str = "", clock: Callable[[], float] = time.time) -> None:
        """`by` says who acts; without it, the user of this process."""
        self._clock: Final = clock
        self._by: Final = by or operator()
        self._data: Final = data
        self._journal: Journal | None = None

    def __call__(self, event: str, fields: Mapping[str, object]) -> None:
        if self._journal is None:
            self._journal = Journal(self._data, clock=self._clock)
        self._journal.append([(self._clock(), event, {**fields, "by": self._by})])

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()


def operator() -> str:
    """`root (uid 0)`; with sudo: who asked for it too."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "?"
    asked = os.environ.get("SUDO_USER", "")
    behalf = f", for {asked}" if uid == 0 and asked and asked != name else ""
    return f"{name} (uid {uid}){behalf}"
