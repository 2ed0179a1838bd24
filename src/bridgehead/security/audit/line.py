"""One line of the audit log: JSON in ASCII, bound to the line before it by a hash.

`{"n":17,"time":"...Z","kind":"log-in","event":"authentication.accepted",...,"hash":"<64 hexadecimal digits>"}`
The hash is SHA-256 over the 32 octets of the previous line's hash and the octets of this line before `,"hash":`.
It is taken over the octets as they stand, so there is nothing to canonicalize and no second spelling of a line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from bridgehead.security.audit.fields import clean

ORIGIN: Final = "0" * 64  # what the first line of a chain follows
LONGEST: Final = 1 << 20  # octets of a line that is looked at
_HASH: Final = b',"hash":"'
_END: Final = b'"}'
_TAIL: Final = len(_HASH) + 64 + len(_END)
_RESERVED: Final = frozenset(("n", "time", "kind", "event", "hash"))


class Line:
    """A line that was read: its number in the chain, its own hash, and all that it says. `follows`: it is whole, and
    made right after the line that it was held against."""

    def __init__(self, number: int, digest: str, content: dict[str, object], follows: bool) -> None:
        self.number: Final = number
        self.digest: Final = digest
        self.content: Final = content
        self.follows: Final = follows

    @property
    def event(self) -> str:
        return str(self.content.get("event", ""))

    def text(self, key: str) -> str:
        return str(self.content.get(key, ""))


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seal(
    number: int, seconds: float, kind: str, event: str, fields: Mapping[str, object], previous: str
) -> tuple[bytes, str]:
    """The line with its line feed, and its hash. `previous` is the hash of the line before."""
    content: dict[str, object] = {"n": number, "time": timestamp(seconds), "kind": kind, "event": event}
    for key, value in clean(fields).items():
        if key not in _RESERVED:
            content[key] = value
    body = json.dumps(content, separators=(",", ":")).encode("ascii")[:-1]
    digest = _digest(previous, body)
    return b"".join((body, _HASH, digest.encode("ascii"), _END, b"\n")), digest


def read(octets: bytes, previous: str | None) -> Line | None:
    """The line of `octets` (without its line feed) held against the hash before it; with None it is taken from the
    line's own field `previous`, as the first line of a file has it. None: this is no line of an audit log."""
    if not octets.endswith(_END) or octets[-_TAIL : -_TAIL + len(_HASH)] != _HASH:
        return None
    try:
        content = json.loads(octets)
        digest = octets[-_TAIL + len(_HASH) : -len(_END)].decode("ascii")
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    number = content.get("n")
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    before = previous if previous is not None else str(content.get("previous", ""))
    return Line(number, digest, content, _digest(before, octets[:-_TAIL]) == digest)


def _digest(previous: str, body: bytes) -> str:
    try:
        before = bytes.fromhex(previous)
    except ValueError:
        before = b""
    return hashlib.sha256(before + body).hexdigest()
