"""The type system of AMQP 1.0 (part 1) as Python values.

| AMQP | Python |
|---|---|
| null, boolean, long, double, string, binary | None, bool, int, float, str, bytes |
| list, map | list, dict (equal keys, or keys that cannot be told apart in Python, are refused) |
| symbol | Symbol |
| ubyte ushort uint ulong byte short int | UByte UShort UInt ULong Byte Short Int, each an Integer |
| float, char, timestamp, uuid | Float, Char, Timestamp, Uuid |
| decimal32 decimal64 decimal128 | Decimal: the octets, not interpreted |
| array | Array |
| a described value | Described |

The fields of performatives and sections are plain Python values: their types are known.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.errors import LocalMisuse


@mypyc_attr(native_class=False)
class Symbol(str):
    """A symbolic value (1.6.21): ASCII. It equals the same text as a str."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Symbol({str.__repr__(self)})"


class Scalar:
    """A primitive value that has no Python type of its own. `code` is the format code of its widest encoding."""

    def __init__(self, code: int) -> None:
        self.code: Final = code

    def content(self) -> object:
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scalar) and self.code == other.code and self.content() == other.content()

    def __hash__(self) -> int:
        return hash((self.code, self.content()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.content()!r})"


class Integer(Scalar):
    """An integer of a fixed width. Raises LocalMisuse when `value` does not fit into it."""

    def __init__(self, code: int, lowest: int, highest: int, value: int) -> None:
        super().__init__(code)
        if not lowest <= value <= highest:
            raise LocalMisuse(f"{value} is not between {lowest} and {highest}")
        self.value: Final = value

    def content(self) -> object:
        return self.value


class UByte(Integer):
    """1.6.3"""

    def __init__(self, value: int) -> None:
        super().__init__(0x50, 0, 255, value)


class UShort(Integer):
    """1.6.4"""

    def __init__(self, value: int) -> None:
        super().__init__(0x60, 0, 65_535, value)


class UInt(Integer):
    """1.6.5"""

    def __init__(self, value: int) -> None:
        super().__init__(0x70, 0, 4_294_967_295, value)


class ULong(Integer):
    """1.6.6"""

    def __init__(self, value: int) -> None:
        super().__init__(0x80, 0, 18_446_744_073_709_551_615, value)


class Byte(Integer):
    """1.6.7"""

    def __init__(self, value: int) -> None:
        super().__init__(0x51, -128, 127, value)


class Short(Integer):
    """1.6.8"""

    def __init__(self, value: int) -> None:
        super().__init__(0x61, -32_768, 32_767, value)


class Int(Integer):
    """1.6.9"""

    def __init__(self, value: int) -> None:
        super().__init__(0x71, -2_147_483_648, 2_147_483_647, value)


class Timestamp(Integer):
    """1.6.17: milliseconds since 1970-01-01 UTC, a signed number of 64 bits."""

    def __init__(self, value: int) -> None:
        super().__init__(0x83, -9_223_372_036_854_775_808, 9_223_372_036_854_775_807, value)


class Char(Integer):
    """1.6.16: one Unicode character, by its number."""

    def __init__(self, value: int) -> None:
        super().__init__(0x73, 0, 0x10FFFF, value)
        if 0xD800 <= value <= 0xDFFF:
            raise LocalMisuse("a surrogate is no Unicode character")


class Float(Scalar):
    """1.6.11: a number of 32 bits, as its four octets, so that it goes out as it came."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(0x72)
        if len(octets) != 4:
            raise LocalMisuse("a float has four octets")
        self.octets: Final = octets

    def content(self) -> object:
        return self.octets


class Decimal(Scalar):
    """1.6.13 to 1.6.15: a decimal number of 4, 8 or 16 octets, in IEEE 754's binary integer encoding."""

    def __init__(self, octets: bytes) -> None:
        size = len(octets)
        if size not in (4, 8, 16):
            raise LocalMisuse("a decimal number has 4, 8 or 16 octets")
        super().__init__(0x74 if size == 4 else 0x84 if size == 8 else 0x94)
        self.octets: Final = octets

    def content(self) -> object:
        return self.octets


class Uuid(Scalar):
    """1.6.18: the 16 octets of a UUID (RFC 4122 section 4.1.2)."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(0x98)
        if len(octets) != 16:
            raise LocalMisuse("a UUID has 16 octets")
        self.octets: Final = octets

    def content(self) -> object:
        return self.octets

    def __str__(self) -> str:
        text = self.octets.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Described:
    """A value with its descriptor (1.3), where the descriptor is none that the place expects."""

    def __init__(self, descriptor: object, value: object) -> None:
        self.descriptor: Final = descriptor
        self.value: Final = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Described) and self.descriptor == other.descriptor and self.value == other.value

    def __hash__(self) -> int:
        return hash((self.descriptor, self.value))

    def __repr__(self) -> str:
        return f"Described({self.descriptor!r}, {self.value!r})"


class Array:
    """Values of one type (1.6.24). `code` is the format code that all elements share; `descriptors` are those of the
    elements' constructor from the outside in, usually none."""

    def __init__(self, code: int, items: list[object], descriptors: list[object] | None = None) -> None:
        self.code: Final = code
        self.items: Final = items
        self.descriptors: Final[list[object]] = [] if descriptors is None else descriptors

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Array)
            and self.code == other.code
            and self.items == other.items
            and self.descriptors == other.descriptors
        )

    # A list is no key of a map either.
    def __hash__(self) -> int:
        raise TypeError("an array is no key of a map")

    def __repr__(self) -> str:
        return f"Array(0x{self.code:02x}, {self.items!r}{f', {self.descriptors!r}' if self.descriptors else ''})"
