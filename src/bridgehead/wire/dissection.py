"""What a dissector finds, whatever the protocol: named fields with their places, and what is wrong."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr


class Field:
    """One field: `offset` from the packet's first octet and `length` in octets.

    Several fields can share one octet; `note` then names the bits. `clause` is "MQTT 5.0 3.3.1.2" or "RFC 7252 3".
    `part` is the part of the packet that it belongs to, as a heading.
    """

    def __init__(self, name: str, value: str, offset: int, length: int, clause: str, note: str, part: str) -> None:
        self.name: Final = name
        self.value: Final = value
        self.offset: Final = offset
        self.length: Final = length
        self.clause: Final = clause
        self.note: Final = note
        self.part: Final = part


@mypyc_attr(allow_interpreted_subclasses=True)
class Dissected:
    """One packet or message. `offset` is where it begins in the data, `length` its octets there.

    `fault` says what is wrong with it, None when nothing is; `fault_clause`, `fault_code` (the protocol's own number
    for it, 0 for none) and `fault_offset` (-1 for nowhere) belong to it.
    """

    def __init__(self, name: str, offset: int) -> None:
        self.name = name
        self.offset = offset
        self.length = 0
        self.fields: list[Field] = []
        self.fault: str | None = None
        self.fault_clause = ""
        self.fault_code = 0
        self.fault_offset = -1


_SHOWN_CHARACTERS: Final = 200
_SHOWN_OCTETS: Final = 32


def count(octets: int) -> str:
    """A number of octets in words."""
    return "1 octet" if octets == 1 else f"{octets} octets"


def shown_text(text: str) -> str:
    """A text in quotes, cut when it is long."""
    if len(text) > _SHOWN_CHARACTERS:
        return f"{text[:_SHOWN_CHARACTERS]!r}... ({len(text)} characters)"
    return repr(text)


def shown_octets(octets: bytes) -> str:
    """Octets as text where they are text that can be shown, in hex where not."""
    if not octets:
        return "(empty)"
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    return shown_text(text) if text and text.isprintable() else shown_hex(octets)


def shown_hex(octets: bytes) -> str:
    """In hex, cut when it is long."""
    if not octets:
        return "(empty)"
    shown = octets[:_SHOWN_OCTETS].hex(" ")
    return f"{shown} ... ({len(octets)} octets)" if len(octets) > _SHOWN_OCTETS else shown
