"""The audit folder: the numbered files of the chain, and the head, which says where the chain ends.

The head is signed and written after each batch of lines is on disk. So lines cut off at the end are missed, also those
after the last checkpoint. It stands in one disk sector and is overwritten in place.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Final

from bridgehead.security.audit.line import ORIGIN
from bridgehead.security.audit.signing import Signer, Verifier

FOLDER: Final = "audit"
HEAD: Final = "head"
LOCK: Final = ".lock"
SECTOR: Final = 512
_NAME: Final = re.compile(r"audit-(\d{6,12})\.jsonl")


def file_name(number: int) -> str:
    return f"audit-{number:06d}.jsonl"


def numbers(folder: Path) -> list[int]:
    """The numbers of the chain's files, in order. Errors: OSError."""
    return sorted(int(found[1]) for entry in os.scandir(folder) if (found := _NAME.fullmatch(entry.name)))


class Head:
    """Where the chain ends: file and its size, the last line's number and hash, the last checkpoint's line and time,
    when the file was begun, and the clock at the last writing. Times in seconds since the epoch."""

    def __init__(self) -> None:
        self.file = 0
        self.size = 0
        self.number = 0
        self.digest = ORIGIN
        self.checkpoint = 0
        self.checkpointed = 0.0
        self.opened = 0.0
        self.time = 0.0

    def copy(self) -> Head:
        other = Head()
        vars(other).update(vars(self))
        return other

    def message(self) -> str:
        """What is signed."""
        return (
            f"bridgehead audit head 1\n{self.file} {self.size} {self.number} {self.digest} {self.checkpoint} "
            f"{self.checkpointed:.3f} {self.opened:.3f} {self.time:.3f}\n"
        )

    def octets(self, signer: Signer) -> bytes:
        text = json.dumps({**vars(self), "signature": signer.sign(self.message())}, separators=(",", ":"))
        return text.encode().ljust(SECTOR - 1) + b"\n"


def read_head(octets: bytes, verifier: Verifier) -> Head | None:
    """None: not a head, or signed by another key."""
    try:
        content = json.loads(octets)
        signature = str(content.pop("signature"))
        head = Head()
        if {key: type(value) for key, value in content.items()} != {k: type(v) for k, v in vars(head).items()}:
            return None
    except (ValueError, AttributeError, KeyError):
        return None
    vars(head).update(content)
    return head if verifier.holds(head.message(), signature) else None


def checkpoint_message(number: int, previous: str) -> str:
    """What a checkpoint's signature covers: the number of its line and the hash before it, hence all that is before."""
    return f"bridgehead audit checkpoint 1\n{number} {previous}\n"
