"""What the dissectors of both versions of AMQP share."""

from __future__ import annotations

from typing import Final

from bridgehead.wire.dissection import Dissected

V1: Final = "AMQP 1.0"
V091: Final = "AMQP 0-9-1"
UNKNOWN: Final = ""
HEADER: Final = "protocol header"
_LONGEST: Final = 400


class DissectedFrame(Dissected):
    """One protocol header or frame. `version` is V1, V091, or UNKNOWN where nothing tells it."""

    def __init__(self, name: str, offset: int, version: str) -> None:
        super().__init__(name, offset)
        self.version = version


def printable(text: str) -> str:
    """Nothing that steers a terminal, and no more than a few lines of it."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
    if cut.isprintable():
        return cut
    return "".join([letter if letter.isprintable() else ascii(letter)[1:-1] for letter in cut])
