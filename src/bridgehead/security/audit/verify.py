"""Holds a whole audit log against its hashes, its checkpoints and its head, and names each line that is not right."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security.audit.folder import HEAD, LOCK, Head, checkpoint_message, file_name, numbers, read_head
from bridgehead.security.audit.line import LONGEST, ORIGIN, Line, read
from bridgehead.security.audit.signing import PUBLIC, Verifier, open_verifier
from bridgehead.security.audit.vocabulary import BROKEN, CHECKPOINT, FILE_REMOVED, TORN
from bridgehead.security.errors import SecurityError

FINDINGS: Final = 100  # then it is plain enough
_LARGEST_PIECE: Final = 4 * LONGEST


class Finding:
    """What is not as it was written. `line` is counted from 1 in its file, 0 where no line can be named."""

    def __init__(self, file: str, line: int, because: str) -> None:
        self.file: Final = file
        self.line: Final = line
        self.because: Final = because

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return place + self.because


class Report:
    """`uncovered`: lines that stand after the last good checkpoint. `number` and `digest` name the last line."""

    def __init__(self) -> None:
        self.files = 0
        self.lines = 0
        self.checkpoints = 0
        self.uncovered = 0
        self.number = 0
        self.digest = ORIGIN
        self.findings: list[Finding] = []
        self.notices: list[Finding] = []

    @property
    def intact(self) -> bool:
        return not self.findings


def verify(folder: Path, public_key: Path | None = None, expected: tuple[int, str] | None = None) -> Report:
    """`expected` is a line's number and hash that were noted elsewhere and must be in the log. It reads what stood
    there when it began; the hub may go on writing. Errors: SecurityError."""
    if not folder.is_dir():
        raise SecurityError(f"there is no audit log in {folder.parent}: name the hub's data folder with --data")
    key = open_verifier(public_key if public_key is not None else folder / PUBLIC)
    try:
        with _quiet(folder):
            sizes = {number: (folder / file_name(number)).stat().st_size for number in numbers(folder)}
            octets = (folder / HEAD).read_bytes() if (folder / HEAD).exists() else b""
        return _Walk(folder, key, sizes, read_head(octets, key), expected).report
    except OSError as fault:
        raise SecurityError(
            f"cannot read the audit log in {folder}: {(fault.strerror or str(fault)).lower()}"
        ) from None


@contextlib.contextmanager
def _quiet(folder: Path) -> Iterator[None]:
    """Nobody writes meanwhile; a copy that cannot be written to is quiet by itself."""
    if (folder / LOCK).exists() and os.access(folder / LOCK, os.W_OK):
        with files.locked(folder / LOCK):
            yield
    else:
        yield


class _Walk:
    """Over all files, in order."""

    def __init__(
        self,
        folder: Path,
        key: Verifier,
        sizes: dict[int, int],
        head: Head | None,
        expected: tuple[int, str] | None,
    ) -> None:
        self.report: Final = Report()
        self._folder: Final = folder
        self._key: Final = key
        self._head: Final = head
        self._expected: Final = expected
        self._number = 0
        self._digest: str | None = None
        self._before: str | None = None  # the hash before the last line
        self._covered = 0
        self._met: set[tuple[int, str]] = set()  # of the lines that are looked for, those that are there
        self._removed: set[tuple[int, str]] = set()
        self._origin: tuple[int, str] = (0, ORIGIN)
        self._unread = b""  # what is no line, until a line tells that it was cut off in writing
        self._unread_at = 0
        if not sizes:
            self._find("", 0, "there is no file of the audit log: all lines are missing")
        for index, (number, size) in enumerate(sizes.items()):
            self._file(number, size, index == len(sizes) - 1)
        self._judge_whole()

    def _find(self, file: str, line: int, because: str) -> None:
        if len(self.report.findings) < FINDINGS:
            self.report.findings.append(Finding(file, line, because))

    def _notice(self, file: str, line: int, because: str) -> None:
        self.report.notices.append(Finding(file, line, because))

    def _file(self, number: int, size: int, is_last: bool) -> None:
        name = file_name(number)
        self.report.files += 1
        left, place = size, 0
        with (self._folder / name).open("rb") as file:
            while left and (octets := file.readline(min(LONGEST, left))):
                left -= len(octets)
                place += 1
                line = read(octets[:-1], self._digest) if octets.endswith(b"\n") else None
                if line is not None:
                    self._line(name, place, line)
                else:
                    self._no_line(name, place, octets)
        if self._unread:
            begins = size - len(self._unread)
            if is_last and self._head is not None and self._head.file == number and begins >= self._head.size:
                self._notice(name, self._unread_at, "this line was cut off in writing: the next start will tell of it")
            else:
                self._find(name, self._unread_at, "this is no line of an audit log: it was changed, or put there")
            self._unread = b""

    def _no_line(self, name: str, place: int, octets: bytes) -> None:
        if not self._unread:
            self._unread_at = place
        self._unread += octets
        if len(self._unread) > _LARGEST_PIECE:
            self._find(name, self._unread_at, "this is no line of an audit log: it was changed, or put there")
            self._unread = b""

    def _line(self, name: str, place: int, line: Line) -> None:
        self.report.lines += 1
        if self._unread:
            self._judge_unread(name, line)
        if self._digest is None:
            self._begins(name, place, line)
        elif not line.follows or line.number != self._number + 1:
            self._find(name, place, self._out_of_order(name, line))
        self._before = self._digest
        self._number, self._digest = line.number, line.digest
        this = (line.number, line.digest)
        if this == self._expected or (self._head is not None and this == (self._head.number, self._head.digest)):
            self._met.add(this)
        if line.event == CHECKPOINT:
            self._checkpoint(name, place, line)
        elif line.event == FILE_REMOVED:
            last = line.content.get("last")
            self._removed.add((last if isinstance(last, int) else 0, line.text("last_hash")))
        elif line.event == BROKEN:
            self._find(name, place, f"here the hub found the chain broken: {line.text('because')}")

    def _judge_unread(self, name: str, line: Line) -> None:
        told = (TORN, len(self._unread), hashlib.sha256(self._unread).hexdigest())
        if (line.event, line.content.get("octets"), line.text("digest")) == told:
            self._notice(name, self._unread_at, f"{len(self._unread)} octets of a line that was cut off in writing")
        else:
            self._find(name, self._unread_at, "this is no line of an audit log: it was changed, or put there")
        self._unread = b""

    def _begins(self, name: str, place: int, line: Line) -> None:
        """The very first line: of a new chain, or after files that retention has removed."""
        self._origin = (line.number - 1, line.text("previous"))
        if not line.follows:
            self._find(name, place, "this line was changed, or lines before it are missing")

    def _out_of_order(self, name: str, line: Line) -> str:
        first = self._number + 1
        if line.number > first:
            missing = f"line {first}" if line.number == first + 1 else f"lines {first} to {line.number - 1}"
            return f"{missing} of the chain stood before this one, {line.number}, and are missing"
        if line.number < first:
            return f"line {line.number} of the chain is out of order: it stands after {self._number}"
        return f"line {line.number} of the chain was changed, or the one before it: it does not follow from that"

    def _checkpoint(self, name: str, place: int, line: Line) -> None:
        # The hash before is in the line's own hash, which was looked at already.
        if self._before is not None and self._key.holds(
            checkpoint_message(line.number, self._before), line.text("signature")
        ):
            self.report.checkpoints += 1
            self._covered = line.number
        else:
            self._find(name, place, "this checkpoint's signature is not right: somebody else made lines before it")

    def _judge_whole(self) -> None:
        report, head = self.report, self._head
        report.number, report.digest = self._number, self._digest or ORIGIN
        report.uncovered = self._number - self._covered
        if self._origin != (0, ORIGIN) and self._origin not in self._removed:
            because = f"lines 1 to {self._origin[0]} are missing, and no line tells that they were removed by retention"
            self._find("", 0, because)
        if head is None:
            because = f"the file {HEAD} is missing or not signed with this key: lines may be missing at the end"
            self._find("", 0, because)
        elif (head.number, head.digest) not in self._met:
            if head.number > self._number:
                because = f"lines {self._number + 1} to {head.number} are missing at the end"
            else:
                because = f"line {head.number} is not the one that was written"
            self._find("", 0, because)
        if self._expected is not None and self._expected not in self._met:
            self._find("", 0, f"line {self._expected[0]} with the hash that was given is not in the log")
