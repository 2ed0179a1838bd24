"""Reads big-endian integers and runs of octets from a bounded stretch of a buffer."""

from __future__ import annotations

from mypy_extensions import i64, mypyc_attr

from bridgehead.wire.errors import Malformed


@mypyc_attr(acyclic=True)
class Reader:
    """A position in `data` that never passes `end`.

    Each method takes the name of the field that it reads; when the field runs past `end` it raises Malformed
    with that name, the protocol's code `fault_code`, and the offset from `start`.
    """

    def __init__(self, data: bytes, start: i64, end: i64, fault_code: int) -> None:
        self.data = data
        self.start = start
        self.pos = start
        self.end = end
        self.fault_code = fault_code

    @property
    def remaining(self) -> i64:
        """Octets between the position and the end."""
        return self.end - self.pos

    @property
    def at(self) -> i64:
        """The position as an offset from the start."""
        return self.pos - self.start

    def cut_short(self, field: str) -> Malformed:
        """The error for a field that does not fit into what is left."""
        return Malformed(
            f"{field} runs past the end: {self.end - self.pos} octets are left", self.fault_code, self.pos - self.start
        )

    def u8(self, field: str) -> i64:
        pos = self.pos
        if pos >= self.end:
            raise self.cut_short(field)
        self.pos = pos + 1
        return self.data[pos]

    def u16(self, field: str) -> i64:
        pos = self.pos
        if pos + 2 > self.end:
            raise self.cut_short(field)
        self.pos = pos + 2
        high: i64 = self.data[pos]
        low: i64 = self.data[pos + 1]
        return high << 8 | low

    def u32(self, field: str) -> i64:
        high = self.u16(field) if self.pos + 4 <= self.end else -1
        if high < 0:
            raise self.cut_short(field)
        return high << 16 | self.u16(field)

    def octets(self, length: i64, field: str) -> bytes:
        pos = self.pos
        if length > self.end - pos:
            raise self.cut_short(field)
        self.pos = pos + length
        return self.data[pos : pos + length]
