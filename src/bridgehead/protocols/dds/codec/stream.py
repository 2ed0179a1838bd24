"""Octets in and out: the encapsulation header, byte order, alignment (DDS-XTypes 1.3 sections 7.4.1, 7.6.3.1.2)."""

from __future__ import annotations

import struct
from typing import Final

from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable

XCDR1: Final = 1
XCDR2: Final = 2
HEADER: Final = 4  # octets: representation identifier and options

# Representation identifiers (section 7.6.3.1.2, table 59): version, whether big-endian, whether a parameter list.
PLAIN: Final = 0
DELIMITED: Final = 1
PARAMETERS: Final = 2
CDR_BE: Final = 0x0000
CDR_LE: Final = 0x0001
PL_CDR_BE: Final = 0x0002
PL_CDR_LE: Final = 0x0003
CDR2_BE: Final = 0x0006
CDR2_LE: Final = 0x0007
D_CDR2_BE: Final = 0x0008
D_CDR2_LE: Final = 0x0009
PL_CDR2_BE: Final = 0x000A
PL_CDR2_LE: Final = 0x000B
_FORMS: Final = {
    CDR_BE: (XCDR1, PLAIN),
    CDR_LE: (XCDR1, PLAIN),
    PL_CDR_BE: (XCDR1, PARAMETERS),
    PL_CDR_LE: (XCDR1, PARAMETERS),
    CDR2_BE: (XCDR2, PLAIN),
    CDR2_LE: (XCDR2, PLAIN),
    D_CDR2_BE: (XCDR2, DELIMITED),
    D_CDR2_LE: (XCDR2, DELIMITED),
    PL_CDR2_BE: (XCDR2, PARAMETERS),
    PL_CDR2_LE: (XCDR2, PARAMETERS),
}
_SPARE: Final = 65_536
_U16: Final = (struct.Struct("<H"), struct.Struct(">H"))
_U32: Final = (struct.Struct("<I"), struct.Struct(">I"))


class Source:
    """What is decoded. `at` is the next octet, `end` where the innermost delimited part ends, `origin` what alignment
    counts from. `order` is 0 for little-endian, 1 for big-endian; `widest` the largest alignment: 8, in XCDR2 4.
    `spare` is how many values may still be made up for members that are not there."""

    def __init__(self, data: bytes) -> None:
        if len(data) < HEADER:
            raise CdrError(f"{len(data)} octets are too few for an encapsulation header", at=0)
        identifier = data[0] << 8 | data[1]
        form = _FORMS.get(identifier)
        if form is None:
            raise CdrError(f"the representation {identifier:#06x} is not known", at=0)
        self.data: Final = data
        self.version: int = form[0]
        self.form: int = form[1]
        self.order: int = identifier & 1 ^ 1
        self.widest: int = 8 if self.version == XCDR1 else 4
        self.at: int = HEADER
        self.end: int = len(data)
        self.origin: int = HEADER
        self.spare: int = _SPARE

    def align(self, size: int) -> None:
        """To a multiple of `size` octets, or of the representation's largest alignment."""
        if size > self.widest:
            size = self.widest
        over = (self.at - self.origin) % size
        if over:
            self.at += size - over

    def need(self, count: int) -> int:
        """Where the next `count` octets begin; `at` is behind them."""
        begin = self.at
        if count > self.end - begin:
            raise CdrError(f"{count} octets are wanted and {max(self.end - begin, 0)} are left", at=begin)
        self.at = begin + count
        return begin

    def u8(self) -> int:
        return self.data[self.need(1)]

    def u16(self) -> int:
        self.align(2)
        return int(_U16[self.order].unpack_from(self.data, self.need(2))[0])

    def u32(self) -> int:
        self.align(4)
        return int(_U32[self.order].unpack_from(self.data, self.need(4))[0])

    def length(self, least: int) -> int:
        """A number of elements, of which each takes `least` octets or more. What cannot be there is not waited for."""
        count = self.u32()
        if count * least > self.end - self.at:
            raise CdrError(f"{count} elements are announced and {self.end - self.at} octets are left", at=self.at - 4)
        return count

    def enter(self, count: int) -> int:
        """A delimited part of so many octets begins; returns the end of the part around it, for `leave`."""
        outer = self.end
        if count > outer - self.at:
            raise CdrError(f"a part of {count} octets is announced and {outer - self.at} are left", at=self.at)
        self.end = self.at + count
        return outer

    def leave(self, outer: int) -> None:
        """Behind the delimited part, whatever of it was not understood."""
        self.at = self.end
        self.end = outer

    @property
    def left(self) -> int:
        return self.end - self.at


class Sink:
    """What is encoded, little-endian. `origin` is what alignment counts from."""

    def __init__(self, version: int, identifier: int) -> None:
        self.out: Final = bytearray((identifier >> 8, identifier & 0xFF, 0, 0))
        self.version: Final = version
        self.widest: Final = 8 if version == XCDR1 else 4
        self.origin: int = HEADER

    def align(self, size: int) -> None:
        if size > self.widest:
            size = self.widest
        over = (len(self.out) - self.origin) % size
        if over:
            self.out.extend(bytes(size - over))

    def u8(self, value: int) -> None:
        self.out.append(value)

    def u16(self, value: int) -> None:
        self.align(2)
        self.out.extend(value.to_bytes(2, "little"))

    def u32(self, value: int) -> None:
        self.align(4)
        if value > 0xFFFFFFFF:
            raise Unencodable("it is larger than a sample may be")
        self.out.extend(value.to_bytes(4, "little"))

    def hole(self) -> int:
        """Room for a u32 that is known later; returns where it is, for `fill`."""
        self.align(4)
        self.out.extend(b"\0\0\0\0")
        return len(self.out)

    def fill(self, hole: int) -> None:
        """With the number of octets since."""
        self.out[hole - 4 : hole] = (len(self.out) - hole).to_bytes(4, "little")

    def finish(self) -> bytes:
        """Padded to a multiple of four, and the header's options tell by how much (section 7.6.3.1.2)."""
        out = self.out
        padding = -len(out) % 4
        if padding:
            out += bytes(padding)
            out[3] = padding
        return bytes(out)
