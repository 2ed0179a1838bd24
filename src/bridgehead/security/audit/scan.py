"""Walks over the lines of one file of the chain, as far as they hold together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridgehead.security.audit.line import LONGEST, ORIGIN, read


class Scan:
    """How far the chain goes in a file: the last good line's number and hash, the octet after it, what follows."""

    def __init__(self, number: int, digest: str, size: int, rest: bytes) -> None:
        self.number: Final = number
        self.digest: Final = digest
        self.size: Final = size
        self.rest: Final = rest


def scan(path: Path, offset: int = 0, number: int = 0, digest: str | None = None) -> Scan:
    """From `offset` on, where the line after `number` begins. Without `digest` it is a whole file, whose first line
    says what it follows. Errors: OSError.
    """
    with path.open("rb") as file:
        file.seek(offset)
        while octets := file.readline(LONGEST):
            line = read(octets[:-1], digest) if octets.endswith(b"\n") else None
            if line is None or not line.follows or (digest is not None and line.number != number + 1):
                return Scan(number, digest or ORIGIN, offset, octets + file.read())
            number, digest = line.number, line.digest
            offset += len(octets)
    return Scan(number, digest or ORIGIN, offset, b"")
