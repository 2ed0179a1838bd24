"""Sender Sequence Numbers that are never used twice, whatever happens to the process (RFC 8613 section 7.2, B.1.1).

A number is an epoch and a count. The epoch of the whole hub is one number in a file: it grows, durably, before the
first number of a run is used, and whenever a context has counted to the end of its epoch. So nothing is written
for a message, and a file of a few octets is all that must last.

The epoch is also never behind the clock, as far as that reaches: when the folder comes back from a backup, or the file
is lost, the numbers used since lie below. Only epochs in the lower half follow the clock, so that one that is wrong by
decades leaves the other half.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security.errors import SecurityError

FILE: Final = "oscore.epoch"
COUNT_BITS: Final = 16
EPOCHS: Final = 1 << (40 - COUNT_BITS)  # section 7.2.1: less than 2^40 numbers
_SINCE: Final = 1_767_225_600.0  # 2026-01-01
_NOT_YET: Final = -1
_TICK: Final = 64.0  # seconds: with 2^23 of them the clock is followed until 2043


class Sequences:
    """One for the data folder while the hub runs. `now` is in seconds since the epoch of POSIX. The file is not touched
    before a number is needed: a hub without OSCORE starts on a full disk, too."""

    def __init__(self, data: Path, now: float) -> None:
        self._path: Final = data / FILE
        self._remedy: Final = (
            "rotate every device's OSCORE context (bridgehead device rotate NAME --oscore --overlap 0), then remove "
            f"{self._path}"
        )
        self.exhausted: Final = f"all OSCORE sequence numbers are used: {self._remedy}"
        self._floor: Final = min(max(int((now - _SINCE) // _TICK), 0), EPOCHS // 2)
        self._epoch = _NOT_YET
        self._next: dict[str, int] = {}  # by context; as many as contexts that have needed one in this run

    def next(self, context: str) -> int | None:
        """A number that this context has never used. None: there are none left.

        `context` names its keys. Errors: SecurityError, and nothing is used."""
        if self._epoch == _NOT_YET:
            self._advance(max(self._read() + 1, self._floor))
        number = self._next.get(context, self._epoch << COUNT_BITS)
        if number & ((1 << COUNT_BITS) - 1) == 0 and context in self._next:
            # Counted to the end: this number begins an epoch that is the context's only if the file says so.
            if number >> COUNT_BITS > self._epoch:
                self._advance(self._epoch + 1)
            number = self._epoch << COUNT_BITS
        if number >> COUNT_BITS >= EPOCHS:
            return None
        self._next[context] = number + 1
        return number

    def _advance(self, epoch: int) -> None:
        if epoch <= EPOCHS:
            files.write_whole(self._path, b"%d\n" % epoch)
        self._epoch = min(epoch, EPOCHS)

    def _read(self) -> int:
        if not self._path.exists():
            return 0
        files.check_private(self._path)
        text = files.read(self._path).strip()
        if not text.isdigit() or len(text) > 9:
            raise SecurityError(f"{self._path} is damaged: {self._remedy}")
        return int(text)
