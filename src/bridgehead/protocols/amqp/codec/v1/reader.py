"""Decodes AMQP 1.0 values (1.2 to 1.6): whatever octets come, it raises AmqpError and nothing else."""

from __future__ import annotations

import struct
from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.protocols.amqp.codec.v1.errors import AmqpError, undecodable
from bridgehead.protocols.amqp.codec.v1.types import (
    Array,
    Byte,
    Char,
    Decimal,
    Described,
    Float,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    Uuid,
)

# How deep compound and described values may lie in one another.
NESTING: Final = 32
# How many values one call decodes: elements without octets (1.6.24) would else cost memory and no octets.
MAX_VALUES: Final = 100_000
_FREE: Final = 256  # values that may be more than the octets they come in


def decode_value(data: bytes, offset: int = 0, depth: int = NESTING) -> tuple[object, int]:
    """The value that begins at `offset`, and the offset behind it. Raises AmqpError (amqp:decode-error)."""
    reader = Reader(data, offset, len(data))
    value = reader.value(depth)
    return value, reader.pos


def skip_value(data: bytes, offset: int, end: int, depth: int = NESTING) -> int:
    """The offset behind the value at `offset`, which is not decoded: only lengths are looked at."""
    reader = Reader(data, offset, end)
    reader.skip(depth)
    return reader.pos


@mypyc_attr(acyclic=True)
class Reader:
    """Stands at `pos` in the octets before `end`."""

    def __init__(self, data: bytes, pos: i64, end: i64, values: i64 = MAX_VALUES) -> None:
        self.data: Final = data
        self.pos = pos
        self.end = end
        # Elements without octets (1.6.24) are values, too: a hundred thousand of them in ten octets would take longer
        # than ten octets may.
        self._values = min(values, end - pos + _FREE)

    def value(self, depth: i64) -> object:
        """The next value, with its constructor."""
        code = self._octet()
        if code != 0:
            return self._body(code, depth)
        if depth <= 0:
            raise undecodable("values lie too deep in one another", self.pos, "AMQP-1.2")
        descriptor = self.value(depth - 1)
        return Described(descriptor, self.value(depth - 1))

    def skip(self, depth: i64) -> None:
        """Go behind the next value."""
        code = self._octet()
        while code == 0:
            # 1.2: the constructor of a described value is a descriptor and then a constructor again.
            if depth <= 0:
                raise undecodable("values lie too deep in one another", self.pos, "AMQP-1.2")
            depth -= 1
            self.skip(depth)
            code = self._octet()
        width = self._width(code)
        if width < 0:
            width = self._length(-width)
        self._take(width)

    def _octet(self) -> i64:
        pos = self.pos
        if pos >= self.end:
            raise undecodable("the octets end within a value", pos, "AMQP-1.2")
        self.pos = pos + 1
        return self.data[pos]

    def _take(self, count: i64) -> i64:
        """Go on by `count` octets; returns where they begin."""
        pos = self.pos
        if count > self.end - pos:
            raise undecodable(f"a value of {count} octets runs past the end", pos, "AMQP-1.6")
        self.pos = pos + count
        return pos

    def _length(self, octets: i64) -> i64:
        """A length or a count of one or four octets."""
        pos = self._take(octets)
        data = self.data
        if octets == 1:
            return data[pos]
        high: i64 = data[pos]
        second: i64 = data[pos + 1]
        third: i64 = data[pos + 2]
        low: i64 = data[pos + 3]
        return high << 24 | second << 16 | third << 8 | low

    def _width(self, code: i64) -> i64:
        """1.2: the octets after a format code, or minus the octets that hold their number."""
        kind = code >> 4
        if kind == 4:
            return 0
        if kind == 5:
            return 1
        if kind == 6:
            return 2
        if kind == 7:
            return 4
        if kind == 8:
            return 8
        if kind == 9:
            return 16
        if kind in (10, 12, 14):
            return -1
        if kind in (11, 13, 15):
            return -4
        raise undecodable(f"0x{code:02x} is no format code", self.pos - 1, "AMQP-1.2")

    def _octets(self, count: i64) -> bytes:
        pos = self._take(count)
        return self.data[pos : pos + count]

    def _signed(self, count: i64) -> int:
        return int.from_bytes(self._octets(count), "big", signed=True)

    def _unsigned(self, count: i64) -> int:
        return int.from_bytes(self._octets(count), "big")

    def _body(self, code: i64, depth: i64) -> object:
        """The value of a format code, without the constructor."""
        self._values -= 1
        if self._values < 0:
            raise undecodable("there are too many values in one", self.pos, "AMQP-1.6.22")
        kind = code >> 4
        if kind == 4:
            return self._without_octets(code)
        if kind == 10 or kind == 11:
            return self._variable(code, 1 if kind == 10 else 4)
        if kind >= 12:
            return self._compound(code, depth)
        return self._fixed(code)

    def _without_octets(self, code: i64) -> object:
        if code == 0x40:
            return None
        if code == 0x41:
            return True
        if code == 0x42:
            return False
        if code == 0x43:
            return UInt(0)
        if code == 0x44:
            return ULong(0)
        if code == 0x45:
            empty: list[object] = []
            return empty
        raise self._unknown(code)

    def _unknown(self, code: i64) -> AmqpError:
        return undecodable(f"0x{code:02x} is no format code", self.pos - 1, "AMQP-1.6")

    def _fixed(self, code: i64) -> object:
        if code == 0x52:
            return UInt(self._octet())
        if code == 0x53:
            return ULong(self._octet())
        if code == 0x70:
            return UInt(self._unsigned(4))
        if code == 0x50:
            return UByte(self._octet())
        if code == 0x60:
            return UShort(self._unsigned(2))
        if code == 0x55:
            return self._signed(1)
        if code == 0x81:
            return self._signed(8)
        if code == 0x80:
            return ULong(self._unsigned(8))
        if code == 0x54:
            return Int(self._signed(1))
        if code == 0x71:
            return Int(self._signed(4))
        if code == 0x56:
            octet = self._octet()
            if octet > 1:
                raise undecodable(f"a boolean is 0x{octet:02x}", self.pos - 1, "AMQP-1.6.2")
            return octet == 1
        if code == 0x83:
            return Timestamp(self._signed(8))
        if code == 0x82:
            double: float = struct.unpack(">d", self._octets(8))[0]
            return double
        if code == 0x51:
            return Byte(self._signed(1))
        if code == 0x61:
            return Short(self._signed(2))
        if code == 0x72:
            return Float(self._octets(4))
        if code == 0x98:
            return Uuid(self._octets(16))
        if code == 0x73:
            character = self._unsigned(4)
            if character > 0x10FFFF or 0xD800 <= character <= 0xDFFF:
                raise undecodable(f"0x{character:x} is no character", self.pos - 4, "AMQP-1.6.16")
            return Char(character)
        if code == 0x74:
            return Decimal(self._octets(4))
        if code == 0x84:
            return Decimal(self._octets(8))
        if code == 0x94:
            return Decimal(self._octets(16))
        raise self._unknown(code)

    def _variable(self, code: i64, octets: i64) -> object:
        low = code & 15
        if low != 0 and low != 1 and low != 3:
            raise self._unknown(code)
        at = self.pos
        data = self._octets(self._length(octets))
        if low == 0:
            return data
        try:
            if low == 1:
                return data.decode("utf-8")
            return Symbol(data.decode("ascii"))
        except UnicodeDecodeError:
            what = "string is no UTF-8" if low == 1 else "symbol is no ASCII"
            raise undecodable(f"a {what}", at, "AMQP-1.6.20" if low == 1 else "AMQP-1.6.21") from None

    def _compound(self, code: i64, depth: i64) -> object:
        kind = code & 15
        if code >= 0xE0:
            if kind != 0:
                raise self._unknown(code)
        elif kind > 1:
            raise self._unknown(code)
        if depth <= 0:
            raise undecodable("values lie too deep in one another", self.pos, "AMQP-1.6.22")
        octets: i64 = 4 if code >= 0xF0 or 0xD0 <= code < 0xE0 else 1
        size = self._length(octets)
        end = self._take(size) + size
        outer = self.end
        self.pos = end - size
        self.end = end
        count = self._length(octets)
        value: object
        if code >= 0xE0:
            value = self._array(count, depth - 1)
        else:
            # Each element has one octet at the least: a count that lies is seen before anything is made.
            if count > end - self.pos:
                raise undecodable(f"{count} elements do not fit into {size} octets", self.pos, "AMQP-1.6.22")
            if kind == 0:
                value = self._list(count, depth - 1)
            else:
                value = self._map(count, depth - 1)
        if self.pos != end:
            raise undecodable(f"{end - self.pos} octets follow the last element", self.pos, "AMQP-1.6.22")
        self.end = outer
        return value

    def _list(self, count: i64, depth: i64) -> list[object]:
        values: list[object] = []
        while count > 0:
            values.append(self.value(depth))
            count -= 1
        return values

    def _map(self, count: i64, depth: i64) -> dict[object, object]:
        if count & 1:
            raise undecodable("a key of a map has no value", self.pos, "AMQP-1.6.23")
        found: dict[object, object] = {}
        while count > 0:
            at = self.pos
            key = self.value(depth)
            value = self.value(depth)
            try:
                if key in found:
                    raise undecodable("two keys of a map are equal", at, "AMQP-1.6.23")
                found[key] = value
            except TypeError:
                raise undecodable("a compound value is the key of a map", at, "AMQP-1.6.23") from None
            count -= 2
        return found

    def _array(self, count: i64, depth: i64) -> Array:
        descriptors: list[object] = []
        code = self._octet()
        while code == 0:
            depth -= 1
            if depth <= 0:
                raise undecodable("values lie too deep in one another", self.pos, "AMQP-1.2")
            descriptors.append(self.value(depth))
            code = self._octet()
        width = self._width(code)
        room = self.end - self.pos
        if width > 0 and width * count != room:
            raise undecodable(f"{count} elements of {width} octets are not {room}", self.pos, "AMQP-1.6.24")
        if width < 0 and -width * count > room:
            raise undecodable(f"{count} elements do not fit into {room} octets", self.pos, "AMQP-1.6.24")
        if count > self._values:
            raise undecodable("there are too many values in one", self.pos, "AMQP-1.6.24")
        items: list[object] = []
        while count > 0:
            items.append(self._body(code, depth))
            count -= 1
        return Array(code, items, descriptors)
