"""Descriptions of types (DDS-XTypes 1.3 section 7.2), for the codec and the JSON mapping. Aliases are resolved."""

from __future__ import annotations

from typing import Final

FINAL: Final = "final"
APPENDABLE: Final = "appendable"
MUTABLE: Final = "mutable"

BOOLEAN: Final = "boolean"
BYTE: Final = "byte"  # IDL's octet
INT8: Final = "int8"
UINT8: Final = "uint8"
INT16: Final = "int16"
UINT16: Final = "uint16"
INT32: Final = "int32"
UINT32: Final = "uint32"
INT64: Final = "int64"
UINT64: Final = "uint64"
FLOAT32: Final = "float32"
FLOAT64: Final = "float64"
FLOAT128: Final = "float128"  # its 16 octets
CHAR8: Final = "char8"
CHAR16: Final = "char16"

# Of each primitive type: its size, to which it is aligned too (at most 8, in XCDR2 at most 4).
SIZES: Final = {
    BOOLEAN: 1,
    BYTE: 1,
    INT8: 1,
    UINT8: 1,
    INT16: 2,
    UINT16: 2,
    INT32: 4,
    UINT32: 4,
    INT64: 8,
    UINT64: 8,
    FLOAT32: 4,
    FLOAT64: 8,
    FLOAT128: 16,
    CHAR8: 1,
    CHAR16: 2,
}
INTEGERS: Final = {
    INT8: (-(2**7), 2**7 - 1),
    UINT8: (0, 2**8 - 1),
    INT16: (-(2**15), 2**15 - 1),
    UINT16: (0, 2**16 - 1),
    INT32: (-(2**31), 2**31 - 1),
    UINT32: (0, 2**32 - 1),
    INT64: (-(2**63), 2**63 - 1),
    UINT64: (0, 2**64 - 1),
}


class Type:
    """One of those below."""


class Primitive(Type):
    """`kind` is one of SIZES. Values: bool, int, float, a str of one character, bytes for FLOAT128."""

    def __init__(self, kind: str) -> None:
        self.kind: Final = kind


class String(Type):
    """`bound` counts elements as they are written, 0 for none: octets of UTF-8, of a `wide` one (wstring) the units of
    UTF-16. Values: str."""

    def __init__(self, bound: int = 0, wide: bool = False) -> None:
        self.bound: Final = bound
        self.wide: Final = wide


class Enum(Type):
    """Values: the literal's name. `bits` is 8, 16 or 32. `default` is the default literal's name."""

    def __init__(self, name: str, literals: dict[str, int], bits: int = 32) -> None:
        self.name: Final = name
        self.literals: Final = literals
        self.names: Final = {number: name for name, number in literals.items()}
        self.bits: Final = bits


class Bitmask(Type):
    """`flags` gives each flag's position. Values: the tuple of the names of the flags that are set, by position."""

    def __init__(self, name: str, flags: dict[str, int], bits: int = 32) -> None:
        self.name: Final = name
        self.flags: Final = flags
        self.bits: Final = bits


class Sequence(Type):
    """`bound` counts elements, 0 for none. Values: list, bytes when the elements are BYTE or UINT8."""

    def __init__(self, element: Type, bound: int = 0) -> None:
        self.element: Final = element
        self.bound: Final = bound


class Array(Type):
    """Of one dimension; those of several are arrays of arrays. Values: as Sequence's."""

    def __init__(self, element: Type, length: int) -> None:
        self.element: Final = element
        self.length: Final = length


class Map(Type):
    """Values: dict."""

    def __init__(self, key: Type, value: Type, bound: int = 0) -> None:
        self.key: Final = key
        self.value: Final = value
        self.bound: Final = bound


class Member:
    """Of a structure. `id` is the member id (section 7.2.2.4.4.4)."""

    def __init__(
        self,
        name: str,
        type: Type,
        id: int,
        key: bool = False,
        optional: bool = False,
        must_understand: bool = False,
    ) -> None:
        self.name: Final = name
        self.type: Final = type
        self.id: Final = id
        self.key: Final = key
        self.optional: Final = optional
        self.must_understand: Final = must_understand


class Struct(Type):
    """`members` with the inherited ones first. Values: dict by the members' names, absent optional ones
    are not in it."""

    def __init__(self, name: str, members: tuple[Member, ...], extensibility: str = FINAL) -> None:
        self.name: Final = name
        self.members: Final = members
        self.extensibility: Final = extensibility

    def member(self, name: str) -> Member | None:
        for each in self.members:
            if each.name == name:
                return each
        return None

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """The paths of the key fields, in order. Of a key member that is a structure: its keys, all its members when it
        has none (section 7.2.2.4.4.4.7)."""
        found: list[tuple[str, ...]] = []
        for each in self.members:
            if each.key:
                found.extend(_paths(each, (each.name,)))
        return tuple(found)


class Case:
    """Of a union. `labels` are values of its discriminator (as values: ints, bools, characters, literals' names)."""

    def __init__(self, name: str, type: Type, id: int, labels: tuple[object, ...]) -> None:
        self.name: Final = name
        self.type: Final = type
        self.id: Final = id
        self.labels: Final = labels


class Union(Type):
    """`default` is the case for all other labels. Values: a tuple (discriminator, member's name or "", its value or
    None)."""

    def __init__(
        self,
        name: str,
        discriminator: Type,
        cases: tuple[Case, ...],
        default: Case | None = None,
        extensibility: str = FINAL,
    ) -> None:
        self.name: Final = name
        self.discriminator: Final = discriminator
        self.cases: Final = cases
        self.default: Final = default
        self.extensibility: Final = extensibility

    def case(self, label: object) -> Case | None:
        """The member that the discriminator chooses; None when it chooses none."""
        for each in self.cases:
            if label in each.labels:
                return each
        return self.default


def is_octets(element: Type) -> bool:
    """Whether a sequence or an array of them is octets."""
    return isinstance(element, Primitive) and element.kind in (BYTE, UINT8)


def _paths(member: Member, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    type_ = member.type
    if not isinstance(type_, Struct):
        return [path]
    inner = [each for each in type_.members if each.key] or list(type_.members)
    found: list[tuple[str, ...]] = []
    for each in inner:
        found.extend(_paths(each, (*path, each.name)))
    return found
