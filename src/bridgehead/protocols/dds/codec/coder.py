"""The coder of a type, and those of what is no composite: primitives, strings, enumerations, bitmasks."""

from __future__ import annotations

import struct
from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable
from bridgehead.protocols.dds.codec.stream import Sink, Source
from bridgehead.protocols.dds.codec.types import (
    BOOLEAN,
    CHAR8,
    CHAR16,
    FLOAT32,
    FLOAT64,
    FLOAT128,
    INTEGERS,
    SIZES,
    Bitmask,
    Enum,
    Primitive,
)

LETTERS: Final = {
    "boolean": "B",
    "byte": "B",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
    "float128": "16s",
    "char8": "B",
    "char16": "H",
}
_ENUM_LETTERS: Final = {8: "b", 16: "h", 32: "i"}
_BITMASK_LETTERS: Final = {8: "B", 16: "H", 32: "I", 64: "Q"}
_SURROGATES: Final = range(0xD800, 0xE000)


@mypyc_attr(allow_interpreted_subclasses=True)
class Coder:
    """Of one type. `least` is the fewest octets that a value takes. `letter` is that of struct for what takes one
    number, "" for the others; `size` is then its octets, to which it is aligned. `plain`: the number is the value."""

    def __init__(self, least: int, letter: str = "", size: int = 0, plain: bool = False) -> None:
        self.least: Final = least
        self.letter: Final = letter
        self.size: Final = size
        self.plain: Final = plain

    def read(self, source: Source) -> object:
        """Errors: CdrError."""
        raise NotImplementedError

    def write(self, value: object, sink: Sink) -> None:
        """Errors: Unencodable."""
        raise NotImplementedError

    def value_of(self, number: object, at: int) -> object:
        """Of the number that `letter` read. Errors: CdrError."""
        return number

    def number_of(self, value: object) -> object:
        """What `letter` writes. Errors: Unencodable."""
        return value


class NumberCoder(Coder):
    """What takes one number of a fixed size."""

    def __init__(self, letter: str, size: int, plain: bool) -> None:
        super().__init__(size, letter, size, plain)
        self._structs: Final = (struct.Struct("<" + letter), struct.Struct(">" + letter))

    def read(self, source: Source) -> object:
        source.align(self.size)
        at = source.need(self.size)
        return self.value_of(self._structs[source.order].unpack_from(source.data, at)[0], at)

    def write(self, value: object, sink: Sink) -> None:
        number = self.number_of(value)
        sink.align(self.size)
        sink.out.extend(self._structs[0].pack(number))


class IntegerCoder(NumberCoder):
    def __init__(self, kind: str) -> None:
        super().__init__(LETTERS[kind], SIZES[kind], True)
        self._kind: Final = kind
        self._range: Final = INTEGERS.get(kind, (0, 255))  # of a byte

    def number_of(self, value: object) -> object:
        if type(value) is not int:
            raise Unencodable(f"a whole number is wanted ({self._kind}), not {_told(value)}")
        least, most = self._range
        if not least <= value <= most:
            raise Unencodable(f"{value} is not in {least}..{most} ({self._kind})")
        return value


class FloatCoder(NumberCoder):
    def __init__(self, kind: str) -> None:
        super().__init__(LETTERS[kind], SIZES[kind], True)
        self._kind: Final = kind

    def number_of(self, value: object) -> object:
        if type(value) is not float and type(value) is not int:
            raise Unencodable(f"a number is wanted ({self._kind}), not {_told(value)}")
        if self._kind == FLOAT32:
            try:
                struct.pack("<f", value)
            except (OverflowError, struct.error):
                raise Unencodable(f"{value} is too large ({self._kind})") from None
        elif type(value) is int and abs(value) > 2**1023:
            raise Unencodable(f"the number is too large ({self._kind})")
        return value


class LongDoubleCoder(NumberCoder):
    """Its 16 octets as they are, in the byte order of the sample."""

    def __init__(self) -> None:
        super().__init__("16s", 16, True)

    def number_of(self, value: object) -> object:
        if type(value) is not bytes or len(value) != 16:
            raise Unencodable(f"16 octets are wanted ({FLOAT128}), not {_told(value)}")
        return value


class BooleanCoder(NumberCoder):
    def __init__(self) -> None:
        super().__init__("B", 1, False)

    def value_of(self, number: object, at: int) -> object:
        if number == 1:
            return True
        if number == 0:
            return False
        raise CdrError(f"{number} is no boolean", at=at)

    def number_of(self, value: object) -> object:
        if value is True:
            return 1
        if value is False:
            return 0
        raise Unencodable(f"true or false is wanted, not {_told(value)}")


class CharacterCoder(NumberCoder):
    """ISO 8859-1 (char), or one code unit of UTF-16 (wchar)."""

    def __init__(self, kind: str) -> None:
        super().__init__(LETTERS[kind], SIZES[kind], False)
        self._most: Final = 0xFF if kind == CHAR8 else 0xFFFF

    def value_of(self, number: object, at: int) -> object:
        assert isinstance(number, int)
        if number in _SURROGATES:
            raise CdrError("half of a surrogate pair is no character", at=at)
        return chr(number)

    def number_of(self, value: object) -> object:
        if type(value) is not str or len(value) != 1:
            raise Unencodable(f"one character is wanted, not {_told(value)}")
        number = ord(value)
        if number > self._most or number in _SURROGATES:
            raise Unencodable(f"the character U+{number:04X} does not fit (at most U+{self._most:04X})")
        return number


class EnumCoder(NumberCoder):
    def __init__(self, type_: Enum) -> None:
        letter = _ENUM_LETTERS[type_.bits]
        if not type_.literals:
            raise ValueError(f"{type_.name} has no literals")
        least, most = min(type_.literals.values()), max(type_.literals.values())
        if most >= 2 ** (type_.bits - 1):
            letter = letter.upper()  # some compilers take all of the bits for positive numbers
        if least < -(2 ** (type_.bits - 1)) or most >= 2**type_.bits or (least < 0 and letter.isupper()):
            raise ValueError(f"{type_.name} has literals that do not fit into {type_.bits} bits")
        super().__init__(letter, type_.bits // 8, False)
        self._type: Final = type_

    def value_of(self, number: object, at: int) -> object:
        assert isinstance(number, int)
        name = self._type.names.get(number)
        if name is None:
            raise CdrError(f"{number} is no literal of {self._type.name}", at=at)
        return name

    def number_of(self, value: object) -> object:
        if type(value) is str:
            number = self._type.literals.get(value)
            if number is not None:
                return number
        known = ", ".join(list(self._type.literals)[:8])
        raise Unencodable(f"a literal of {self._type.name} is wanted ({known}), not {_told(value)}")


class BitmaskCoder(NumberCoder):
    def __init__(self, type_: Bitmask) -> None:
        super().__init__(_BITMASK_LETTERS[type_.bits], type_.bits // 8, False)
        self._type: Final = type_

    def value_of(self, number: object, at: int) -> object:
        assert isinstance(number, int)
        left: int = number
        names: list[str] = []
        for name, position in self._type.flags.items():
            bit: int = 2**position
            if left & bit:
                names.append(name)
                left -= bit
        if left:
            raise CdrError(f"{number:#x} has bits that are no flags of {self._type.name}", at=at)
        return tuple(names)

    def number_of(self, value: object) -> object:
        if not isinstance(value, (tuple, list)):
            raise Unencodable(f"flags of {self._type.name} are wanted, not {_told(value)}")
        number: int = 0
        for name in value:
            position = self._type.flags.get(name) if isinstance(name, str) else None
            if position is None:
                raise Unencodable(f"{_told(name)} is no flag of {self._type.name}")
            number |= 2**position
        return number


class StringCoder(Coder):
    """UTF-8 with a NUL behind it (section 7.4.3.5, rule for strings)."""

    def __init__(self, bound: int) -> None:
        super().__init__(4)
        self._bound: Final = bound

    def read(self, source: Source) -> object:
        length = source.length(1)
        if length == 0:
            return ""  # against the rule, and sent by some
        begin = source.need(length)
        data = source.data
        end = begin + length - 1
        if data[end] != 0:
            raise CdrError("a string does not end with NUL", at=end)
        octets = data[begin:end]
        try:
            text = octets.decode("utf-8")
        except UnicodeDecodeError:
            raise CdrError("a string is no UTF-8", at=begin) from None
        if "\0" in text:
            raise CdrError("a string has a NUL inside", at=begin)
        if self._bound and length - 1 > self._bound:
            raise CdrError(f"a string has {length - 1} octets, more than {self._bound}", at=begin)
        return text

    def write(self, value: object, sink: Sink) -> None:
        if type(value) is not str:
            raise Unencodable(f"a text is wanted, not {_told(value)}")
        if "\0" in value:
            raise Unencodable("the text has a NUL inside, which a string cannot have")
        try:
            octets = value.encode("utf-8")
        except UnicodeEncodeError:
            raise Unencodable("the text has half of a surrogate pair") from None
        if self._bound and len(octets) > self._bound:
            raise Unencodable(f"the text has {len(octets)} octets in UTF-8, more than {self._bound}")
        sink.u32(len(octets) + 1)
        sink.out.extend(octets)
        sink.out.append(0)


class WideStringCoder(Coder):
    """UTF-16 in the sample's byte order, its length in octets, without a NUL."""

    def __init__(self, bound: int) -> None:
        super().__init__(4)
        self._bound: Final = bound

    def read(self, source: Source) -> object:
        length = source.length(1)
        begin = source.need(length)
        try:
            text = source.data[begin : begin + length].decode("utf-16-be" if source.order else "utf-16-le")
        except UnicodeDecodeError:
            raise CdrError("a wide string is no UTF-16", at=begin) from None
        if self._bound and length > self._bound * 2:
            raise CdrError(f"a wide string has {length // 2} units, more than {self._bound}", at=begin)
        return text

    def write(self, value: object, sink: Sink) -> None:
        if type(value) is not str:
            raise Unencodable(f"a text is wanted, not {_told(value)}")
        try:
            octets = value.encode("utf-16-le")
        except UnicodeEncodeError:
            raise Unencodable("the text has half of a surrogate pair") from None
        if self._bound and len(octets) > self._bound * 2:
            raise Unencodable(f"the text has {len(octets) // 2} units in UTF-16, more than {self._bound}")
        sink.u32(len(octets))
        sink.out.extend(octets)


def primitive_coder(type_: Primitive) -> Coder:
    kind = type_.kind
    if kind == BOOLEAN:
        return BooleanCoder()
    if kind in (CHAR8, CHAR16):
        return CharacterCoder(kind)
    if kind in (FLOAT32, FLOAT64):
        return FloatCoder(kind)
    if kind == FLOAT128:
        return LongDoubleCoder()
    return IntegerCoder(kind)


def is_primitive(coder: Coder) -> bool:
    """In XCDR2 whatever else is in a sequence or an array has a delimiter before it (section 7.4.3.5.3)."""
    return isinstance(coder, NumberCoder) and not isinstance(coder, (EnumCoder, BitmaskCoder))


def _told(value: object) -> str:
    """For an error's text: what it is, not all of what it says."""
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)[:40]
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    return {"dict": "an object", "list": "a list", "tuple": "a list", "bytes": "octets"}.get(
        type(value).__name__, "that"
    )
