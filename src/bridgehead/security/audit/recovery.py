"""Finds the end of the chain when it is not where the head says: after a crash, or after somebody touched the files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from bridgehead.security.audit.folder import Head, file_name, numbers
from bridgehead.security.audit.scan import Scan, scan
from bridgehead.security.audit.vocabulary import BROKEN, TORN

Entry = tuple[str, dict[str, object]]


class Recovered:
    """Where to go on, the octets to complete a torn line with, and what has to be said first."""

    def __init__(self, head: Head, completion: bytes, entries: list[Entry]) -> None:
        self.head: Final = head
        self.completion: Final = completion
        self.entries: Final = entries


def recover(folder: Path, head: Head | None, chain_expected: bool) -> Recovered:
    """`head` is the one that was read, None when there is none that counts. `chain_expected`: the key is older than
    this moment, so there was a chain. Returns a head with file 0 where a new chain begins. Errors: OSError.

    What was in writing when the process was killed stands beyond the head: whole lines of it count, an incomplete one
    is kept and told. A head that promises more than there is means that somebody took lines away.
    """
    found = numbers(folder)
    if not found:
        entries = [_broken("all files of the audit log are gone: this is a new chain")] if chain_expected else []
        return Recovered(Head(), b"", entries)
    if head is None:
        entries = [_broken("the file that says where the chain ends is missing or not signed with this key")]
        ends = Head()
        ends.file = found[-1]
        return _ended(folder, ends, scan(folder / file_name(found[-1])), entries)
    ends = head.copy()
    path = folder / file_name(head.file)
    entries = []
    if head.file not in found:
        ends.file = found[-1]
        entries.append(_broken(f"{file_name(head.file)} is missing, with lines up to {head.number}"))
        last = scan(folder / file_name(ends.file))
    elif path.stat().st_size < head.size:
        last = scan(path)
        missing = f"lines {last.number + 1} to {head.number} are missing from {file_name(head.file)}"
        entries.append(_broken(missing))
    else:
        last = scan(path, head.size, head.number, head.digest)
    for number in (each for each in found if each > ends.file):
        # A crash between two files: the later one was begun, and the head not yet written.
        if not (folder / file_name(number)).stat().st_size:
            continue
        following = scan(folder / file_name(number), 0, last.number, last.digest)
        if last.rest:
            entries.append(_broken(f"{file_name(number)} does not follow {file_name(ends.file)}"))
        ends.file = number
        last = following
    return _ended(folder, ends, last, entries)


def _ended(folder: Path, head: Head, last: Scan, entries: list[Entry]) -> Recovered:
    head.number, head.digest, head.size = last.number, last.digest, last.size
    if not last.rest:
        return Recovered(head, b"", entries)
    if not _is_ours(last):
        entries.append(_broken(f"what stands after line {last.number} in {file_name(head.file)} is not the hub's"))
    completion = b"" if last.rest.endswith(b"\n") else b"\n"
    torn = last.rest + completion
    head.size += len(torn)
    fields: dict[str, object] = {
        "octets": len(torn),
        "digest": hashlib.sha256(torn).hexdigest(),
        "because": "a line was cut off while it was written: the hub or a command was killed, or the machine went down",
    }
    return Recovered(head, completion, [(TORN, fields), *entries])


def _is_ours(last: Scan) -> bool:
    """Whether what follows the last line can be the beginning of the next one, or of blocks that a file system which
    went down has promised and not written."""
    beginning = b'{"n":%d,"time":"' % (last.number + 1)
    length = min(len(beginning), len(last.rest))
    return last.rest[:length] == beginning[:length] or not last.rest.strip(b"\0")


def _broken(because: str) -> Entry:
    return BROKEN, {"because": because}
