"""Appends to the chain: one batch at a time, on disk when `append` returns. Several processes may, in turns.

Whoever appends holds the folder's lock and looks at the head first: if another process has written since, it goes on
from there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security.audit.folder import (
    FOLDER,
    HEAD,
    LOCK,
    SECTOR,
    Head,
    checkpoint_message,
    file_name,
    numbers,
    read_head,
)
from bridgehead.security.audit.line import Line, read, seal, timestamp
from bridgehead.security.audit.recovery import recover
from bridgehead.security.audit.settings import COMMAND_RULES, Rules
from bridgehead.security.audit.signing import Signer, open_signer
from bridgehead.security.audit.vocabulary import (
    ADMINISTRATION,
    BROKEN,
    CHECKPOINT,
    CLOCK_BACK,
    FILE_OPENED,
    FILE_REMOVED,
    kind_of,
)
from bridgehead.security.errors import SecurityError

_JUMP: Final = 1.0  # seconds that a clock may be corrected back by without a word
_RETENTION_INTERVAL: Final = 3600.0
_HEADER_LIMIT: Final = 64 * 1024

# (when, event, fields); when is in seconds since the epoch
Entry = tuple[float, str, Mapping[str, object]]


class Journal:
    """The chain of one data folder. Used by one thread at a time. Errors of every method: SecurityError; then nothing
    was appended, and the next try starts from what is on disk."""

    def __init__(self, data: Path, rules: Rules = COMMAND_RULES, clock: Callable[[], float] = time.time) -> None:
        self.folder: Final = data / FOLDER
        self.rules = rules
        self._clock: Final = clock
        self._head = Head()
        self._left = b""  # the head's octets as we left them
        self._last = (0, "")  # number and hash of the last line that we have signed
        self._file = -1
        self._open_number = 0
        self._buffer: list[bytes] = []
        self._retained = 0.0
        files.private_folder(data)
        files.private_folder(self.folder)
        with self._turn():
            self._signer: Signer
            self._signer, made = open_signer(self.folder)
            self._adopt(chain_expected=not made)
            self._flush()

    def close(self) -> None:
        """Signs what is not covered yet."""
        try:
            if self._head.number > self._head.checkpoint:
                with self._turn():
                    self._adopt()
                    self._checkpoint(self._clock())
                    self._flush()
        finally:
            self._close_file()

    def append(self, entries: Iterable[Entry]) -> list[bytes]:
        """Returns the lines of these entries, which are on disk now."""
        with self._turn():
            self._adopt()
            now = self._clock()
            if now < self._head.time - _JUMP:
                back = self._head.time - now
                because = f"the clock is {back:.1f} s behind the line before: lines count, not their times"
                self._add(now, CLOCK_BACK, {"seconds": round(back, 1), "because": because})
            if self._is_full(now):
                self._turn_over(now)
            removed = self._record_removals(now)
            first = len(self._buffer)
            for seconds, event, fields in entries:
                self._add(seconds, event, fields)
            lines = self._buffer[first:]
            if self._is_uncovered(now):
                self._checkpoint(now)
            self._flush()
            for path in removed:
                path.unlink(missing_ok=True)
        return lines

    def maintain(self) -> None:
        """Writes the checkpoint, the next file and the removals whose time has come. Costs nothing when none has."""
        now = self._clock()
        if self._is_uncovered(now) or self._is_full(now) or now >= self._retained + _RETENTION_INTERVAL:
            self.append(())

    # The turn. --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            with files.locked(self.folder / LOCK):
                yield
        except OSError as fault:
            self._forget()
            problem = (fault.strerror or str(fault)).lower()
            raise SecurityError(f"cannot write the audit log in {self.folder}: {problem}") from None
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """What we believed to have written does not count."""
        self._left = b""
        self._buffer = []
        self._close_file()

    def _adopt(self, chain_expected: bool = True) -> None:
        """Stand at the end of the chain, whoever wrote it."""
        try:
            octets = (self.folder / HEAD).read_bytes()
        except FileNotFoundError:
            octets = b""
        if not octets or octets != self._left:
            head = read_head(octets, self._signer.public)
        else:
            head = self._head
        if head is not None and head.file and self._stands(head):
            self._head = head
            self._open_file()
            number, digest = self._last
            if head.number < number or (head.number == number and head.digest != digest):
                because = f"the log was put back to line {head.number}, with its old head: it had {number} lines"
                self._last = (0, "")
                self._add(self._clock(), BROKEN, {"because": because})
            return
        recovered = recover(self.folder, head, chain_expected)
        self._head = recovered.head
        now = self._clock()
        if not self._head.file:
            self._begin_file(now)
        else:
            self._head.opened = self._head.opened or now
            self._open_file()
            if recovered.completion:
                self._head.size -= len(recovered.completion)
                self._buffer.append(recovered.completion)
        for event, fields in recovered.entries:
            self._add(now, event, fields)

    def _stands(self, head: Head) -> bool:
        """Whether the chain's last file ends where the head says, and the file that is open is that one still."""
        try:
            status = os.stat(self.folder / file_name(head.file))
        except FileNotFoundError:
            return False
        if self._file >= 0 and os.fstat(self._file).st_ino != status.st_ino:
            self._close_file()
        return status.st_size == head.size and not (self.folder / file_name(head.file + 1)).exists()

    def _open_file(self) -> None:
        if self._file >= 0 and self._open_number == self._head.file:
            return
        self._close_file()
        path = self.folder / file_name(self._head.file)
        files.check_private(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._open_number = self._head.file

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # Lines. -----------------------------------------------------------------------------------------

    def _add(self, seconds: float, event: str, fields: Mapping[str, object]) -> None:
        head = self._head
        kind = kind_of(event) or ADMINISTRATION
        line, head.digest = seal(head.number + 1, seconds, kind, event, fields, head.digest)
        head.number += 1
        self._buffer.append(line)

    def _is_uncovered(self, now: float) -> bool:
        """Whether a checkpoint is due; also when the clock went back behind the last one."""
        head, rules = self._head, self.rules
        open_lines = head.number - head.checkpoint
        if not open_lines:
            return False
        return open_lines >= rules.checkpoint_lines or not 0 <= now - head.checkpointed < rules.checkpoint_seconds

    def _checkpoint(self, now: float) -> None:
        head = self._head
        signature = self._signer.sign(checkpoint_message(head.number + 1, head.digest))
        self._add(now, CHECKPOINT, {"signature": signature})
        head.checkpoint = head.number
        head.checkpointed = now

    def _flush(self) -> None:
        """Lines first, on disk, then the head that promises them."""
        head = self._head
        data = b"".join(self._buffer)
        self._buffer = []
        if not data:
            return
        head.time = self._clock()
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
            os.fdatasync(self._file)
        except OSError:
            # Nothing of it was acknowledged: half a batch need not stay. What cannot be cut off is told as torn later.
            with contextlib.suppress(OSError):
                os.truncate(self._file, head.size)
            raise
        head.size += len(data)
        octets = head.octets(self._signer)
        self._write_head(octets)
        self._left = octets
        self._last = (head.number, head.digest)

    def _write_head(self, octets: bytes) -> None:
        path = self.folder / HEAD
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            files.write_whole(path, octets)
            return
        try:
            if os.fstat(descriptor).st_size != SECTOR:
                os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, octets, 0)
        finally:
            os.close(descriptor)

    # Files. -----------------------------------------------------------------------------------------

    def _is_full(self, now: float) -> bool:
        head, rules = self._head, self.rules
        return head.size >= rules.file_size or now - head.opened >= rules.file_age

    def _turn_over(self, now: float) -> None:
        self._checkpoint(now)
        self._flush()
        self._begin_file(now)

    def _begin_file(self, now: float) -> None:
        """The next file; its first line names the line that it follows."""
        head = self._head
        path = self.folder / file_name(head.file + 1)
        self._close_file()
        files.create_empty(path)
        files.sync_folder(self.folder)
        head.file, head.size, head.opened = head.file + 1, 0, now
        self._open_file()
        if os.fstat(self._file).st_size:
            raise SecurityError(f"{path} is not empty and does not belong to the chain: move it out of the folder")
        self._add(now, FILE_OPENED, {"file": path.name, "previous": head.digest})

    def _record_removals(self, now: float) -> list[Path]:
        """Say which files have been kept long enough; the caller removes them when that is on disk."""
        if not self.rules.keep or 0 <= now - self._retained < _RETENTION_INTERVAL:
            return []
        self._retained = now
        limit = timestamp(max(0.0, now - self.rules.keep))
        removed: list[Path] = []
        for number, following in itertools.pairwise(numbers(self.folder)):
            header = self._header(following)
            # A file's lines are all older than the first line of the next one.
            if header is None or header.text("time") >= limit:
                break
            fields = {
                "file": file_name(number),
                "last": header.number - 1,
                "last_hash": header.text("previous"),
                "because": f"older than {self.rules.keep:g} s, as configured",
            }
            self._add(now, FILE_REMOVED, fields)
            removed.append(self.folder / file_name(number))
        return removed

    def _header(self, number: int) -> Line | None:
        with (self.folder / file_name(number)).open("rb") as file:
            line = read(file.readline(_HEADER_LIMIT)[:-1], None)
        return line if line is not None and line.follows and line.event == FILE_OPENED else None


def append(data: Path, event: str, fields: Mapping[str, object], clock: Callable[[], float] = time.time) -> None:
    """One act, on disk and signed when this returns: for commands. Errors: SecurityError."""
    journal = Journal(data, clock=clock)
    try:
        journal.append([(clock(), event, fields)])
    finally:
        journal.close()
