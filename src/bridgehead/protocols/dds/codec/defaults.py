"""The default values of types: what members have that an older writer's type lacks (DDS-XTypes 1.3 section 7.2.4.4)."""

from __future__ import annotations

from bridgehead.protocols.dds.codec.types import (
    BOOLEAN,
    CHAR8,
    CHAR16,
    FLOAT32,
    FLOAT64,
    FLOAT128,
    Array,
    Bitmask,
    Enum,
    Map,
    Primitive,
    Sequence,
    String,
    Struct,
    Type,
    Union,
    is_octets,
)


def default_of(type_: Type) -> object:
    """Zero, empty, the first literal; of a union the case that its discriminator's default chooses."""
    if isinstance(type_, Primitive):
        return _primitive(type_.kind)
    if isinstance(type_, String):
        return ""
    if isinstance(type_, Enum):
        return next(iter(type_.literals))
    if isinstance(type_, Bitmask):
        return ()
    if isinstance(type_, Sequence):
        return b"" if is_octets(type_.element) else []
    if isinstance(type_, Array):
        if is_octets(type_.element):
            return bytes(type_.length)
        return [default_of(type_.element) for _ in range(type_.length)]
    if isinstance(type_, Map):
        return {}
    if isinstance(type_, Struct):
        return {each.name: default_of(each.type) for each in type_.members if not each.optional}
    assert isinstance(type_, Union)
    label = default_of(type_.discriminator)
    case = type_.case(label)
    if case is None:
        return (label, "", None)
    return (label, case.name, default_of(case.type))


def _primitive(kind: str) -> object:
    if kind == BOOLEAN:
        return False
    if kind in (CHAR8, CHAR16):
        return "\0"
    if kind in (FLOAT32, FLOAT64):
        return 0.0
    return bytes(16) if kind == FLOAT128 else 0


def weight_of(type_: Type) -> int:
    """How many values its default is made of, octets counted each: samples that ask for many are refused."""
    if isinstance(type_, Array):
        return 1 + type_.length * (1 if is_octets(type_.element) else weight_of(type_.element))
    if isinstance(type_, Struct):
        weight = 1
        for each in type_.members:
            weight += 0 if each.optional else weight_of(each.type)
        return weight
    if isinstance(type_, Union):
        case = type_.case(default_of(type_.discriminator))
        return 1 if case is None else 1 + weight_of(case.type)
    return 1
