"""Headers of parameters: those of XCDR1 (section 7.4.1.2.1) and of XCDR2 (section 7.4.3.4.2)."""

from __future__ import annotations

import struct
from typing import Final

from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable
from bridgehead.protocols.dds.codec.stream import Sink, Source

EXTENDED: Final = 0x3F01  # PID_EXTENDED: the id and the length follow in 32 bits each
SENTINEL: Final = 0x3F02  # PID_LIST_END
_SENTINEL_OF_RTPS: Final = 1  # PID_SENTINEL, which some send instead
_IGNORED: Final = 0x3F03  # PID_IGNORE
_SHORT: Final = 0x3F00  # ids below it fit into a short header
MUST_UNDERSTAND: Final = 0x4000
_ID: Final = 0x3FFF
_LONG_ID: Final = 0x0FFF_FFFF
_EXTENDED_HEADER: Final = struct.Struct("<HHII")

_MUST_UNDERSTAND2: Final = 0x8000_0000
_OWN_LENGTH: Final = 4  # LC from which on the member's own length stands behind the header
_FACTORS: Final = {5: 1, 6: 4, 7: 8}


def read_header1(source: Source, listed: bool) -> tuple[int, int, int]:
    """Id, octets, flags; the id is SENTINEL at the list's end. `listed`: in a list, not before an optional member of a
    plain structure, where no end can come."""
    while True:
        source.align(4)
        first = source.u16()
        length = source.u16()
        number = first & _ID
        if listed and (number == SENTINEL or (first == _SENTINEL_OF_RTPS and length == 0)):
            return SENTINEL, 0, 0
        if number == EXTENDED:
            if length != 8:
                raise CdrError(f"an extended header says {length} octets instead of 8", at=source.at - 2)
            return source.u32() & _LONG_ID, source.u32(), first
        if number != _IGNORED:
            return number, length, first
        source.need(length)


def read_header2(source: Source) -> tuple[int, int, bool]:
    """EMHEADER1 and NEXTINT: id, octets, whether it must be understood."""
    header = source.u32()
    code = header >> 28 & 7
    number = header & _LONG_ID
    must_understand = bool(header & _MUST_UNDERSTAND2)
    if code < _OWN_LENGTH:
        return number, 2**code, must_understand
    if code == _OWN_LENGTH:
        return number, source.u32(), must_understand
    # The member's own first four octets are its length, in units of the code's factor.
    at = source.at
    length = 4 + source.u32() * _FACTORS[code]
    source.at = at
    return number, length, must_understand


class OpenHeader:
    """A header of XCDR1 whose length is known when the member was written."""

    def __init__(self, sink: Sink, long: bool) -> None:
        self._sink: Final = sink
        self._long: Final = long
        self._begin: Final = len(sink.out)

    def fill(self) -> None:
        """What is too long for a short header gets an extended one: alignment counts from the member's begin, so that
        nothing in it changes. Errors: Unencodable, when it is too long for that too."""
        out, begin = self._sink.out, self._begin
        length = len(out) - begin
        if self._long:
            out[begin - 4 : begin] = length.to_bytes(4, "little")
        elif length > 0xFFFFFFFF:
            raise Unencodable("it is larger than a sample may be")
        elif length > 0xFFFF:
            first = int.from_bytes(out[begin - 4 : begin - 2], "little")
            out[begin - 4 : begin] = _EXTENDED_HEADER.pack(EXTENDED | first & MUST_UNDERSTAND, 8, first & _ID, length)
        else:
            out[begin - 2 : begin] = length.to_bytes(2, "little")


def write_header1(sink: Sink, number: int, must_understand: bool) -> OpenHeader:
    flags = MUST_UNDERSTAND if must_understand else 0
    sink.align(4)
    if number < _SHORT or number == SENTINEL:
        sink.u16(number | flags)
        sink.u16(0)
        return OpenHeader(sink, False)
    sink.u16(EXTENDED | flags)
    sink.u16(8)
    sink.u32(number)
    sink.u32(0)
    return OpenHeader(sink, True)


def write_header2(sink: Sink, number: int, must_understand: bool) -> int:
    """Always with NEXTINT, which every reader takes. Returns what `Sink.fill` wants when the member is written."""
    flags = _MUST_UNDERSTAND2 if must_understand else 0
    sink.u32(flags | _OWN_LENGTH << 28 | number)
    return sink.hole()
