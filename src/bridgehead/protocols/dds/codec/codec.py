"""Samples of one type: octets <-> values, whole or their key fields alone."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.dds.codec.coder import (
    BitmaskCoder,
    Coder,
    EnumCoder,
    StringCoder,
    WideStringCoder,
    is_primitive,
    primitive_coder,
)
from bridgehead.protocols.dds.codec.collections import ElementsCoder, MapCoder, OctetsCoder
from bridgehead.protocols.dds.codec.errors import CdrError
from bridgehead.protocols.dds.codec.stream import (
    CDR2_LE,
    CDR_LE,
    D_CDR2_LE,
    PL_CDR2_LE,
    PL_CDR_LE,
    XCDR1,
    XCDR2,
    Sink,
    Source,
)
from bridgehead.protocols.dds.codec.structures import CodedMember, StructCoder
from bridgehead.protocols.dds.codec.types import (
    APPENDABLE,
    FINAL,
    MUTABLE,
    Array,
    Bitmask,
    Enum,
    Map,
    Member,
    Primitive,
    Sequence,
    String,
    Struct,
    Type,
    Union,
    is_octets,
)
from bridgehead.protocols.dds.codec.unions import UnionCoder

_DEEPEST: Final = 64  # types in types
_PADDING: Final = 3  # octets behind a sample, to a multiple of four
_IDENTIFIERS: Final = {
    (XCDR1, FINAL): CDR_LE,
    (XCDR1, APPENDABLE): CDR_LE,
    (XCDR1, MUTABLE): PL_CDR_LE,
    (XCDR2, FINAL): CDR2_LE,
    (XCDR2, APPENDABLE): D_CDR2_LE,
    (XCDR2, MUTABLE): PL_CDR2_LE,
}


class Codec:
    """Of `type`. `representation` is XCDR1 where every DDS implementation writes the type so, XCDR2 for types that
    are appendable, mutable or have optional members."""

    def __init__(self, type: Struct) -> None:
        """Errors: ValueError, for a type that contains itself, is too deep, or takes no octets."""
        self.type: Final = type
        self.representation: Final = XCDR2 if _is_extensible(type, 0) else XCDR1
        self._coder: Final = coder_of(type, 0)
        holder = key_holder(type)
        self.has_keys: Final = bool(holder.members)
        self._keys: Final = coder_of(holder, 0) if self.has_keys else None
        self._identifiers: Final = {version: _IDENTIFIERS[version, type.extensibility] for version in (XCDR1, XCDR2)}

    def decode(self, data: bytes) -> dict[str, object]:
        """Of a whole sample, with its encapsulation header. Errors: CdrError."""
        source = Source(data)
        value = self._coder.read(source)
        if source.left > _PADDING:
            raise CdrError(f"{source.left} octets are left behind the sample", at=source.at)
        assert isinstance(value, dict)
        return value

    def decode_keys(self, data: bytes) -> dict[str, object]:
        """Of a sample that has its key fields only, as comes with a dispose. Errors: CdrError."""
        source = Source(data)
        if self._keys is None:
            return {}
        value = self._keys.read(source)
        if source.left > _PADDING:
            raise CdrError(f"{source.left} octets are left behind the key", at=source.at)
        assert isinstance(value, dict)
        return value

    def encode(self, value: dict[str, object], representation: int = 0) -> bytes:
        """`representation`: XCDR1, XCDR2, 0 for the type's own. Errors: Unencodable."""
        version = representation or self.representation
        sink = Sink(version, self._identifiers[version])
        self._coder.write(value, sink)
        return sink.finish()

    def encode_keys(self, value: dict[str, object]) -> bytes:
        """The key fields alone, of a value that has them; others are not looked at. Errors: Unencodable."""
        sink = Sink(XCDR2, CDR2_LE)
        if self._keys is not None:
            self._keys.write(key_fields(self.type, value), sink)
        return sink.finish()


def key_holder(type_: Struct) -> Struct:
    """The type of its keys (section 7.6.8.3.1): the key members in their order, plain."""
    members = []
    for each in type_.members:
        if not each.key:
            continue
        inner = each.type
        if isinstance(inner, Struct):
            held = key_holder(inner)
            inner = held if held.members else _all_plain(inner)
        members.append(Member(each.name, inner, each.id, key=True))
    return Struct(type_.name, tuple(members), FINAL)


def _all_plain(type_: Struct) -> Struct:
    """Of a key member without keys of its own: all of its members are."""
    members = []
    for each in type_.members:
        inner = _all_plain(each.type) if isinstance(each.type, Struct) else each.type
        members.append(Member(each.name, inner, each.id, key=True))
    return Struct(type_.name, tuple(members), FINAL)


def key_fields(type_: Struct, value: dict[str, object]) -> dict[str, object]:
    """The part of the value that `key_holder` describes, as far as it is there."""
    found: dict[str, object] = {}
    for each in type_.members:
        if not each.key or each.name not in value:
            continue
        inner = value[each.name]
        if isinstance(each.type, Struct) and isinstance(inner, dict):
            inner = key_fields(each.type, inner) or inner
        found[each.name] = inner
    return found


def coder_of(type_: Type, depth: int) -> Coder:
    if depth > _DEEPEST:
        raise ValueError("the type contains itself, or types in types too deep")
    if isinstance(type_, Primitive):
        return primitive_coder(type_)
    if isinstance(type_, String):
        return WideStringCoder(type_.bound) if type_.wide else StringCoder(type_.bound)
    if isinstance(type_, Enum):
        return EnumCoder(type_)
    if isinstance(type_, Bitmask):
        return BitmaskCoder(type_)
    if isinstance(type_, Sequence):
        if is_octets(type_.element):
            return OctetsCoder(type_.bound)
        coder = coder_of(type_.element, depth + 1)
        return ElementsCoder(coder, not is_primitive(coder), type_.bound)
    if isinstance(type_, Array):
        if type_.length < 1:
            raise ValueError("an array has no elements")
        if is_octets(type_.element):
            return OctetsCoder(0, type_.length)
        return array_coder(type_, depth, False)
    if isinstance(type_, Map):
        return MapCoder(coder_of(type_.key, depth + 1), coder_of(type_.value, depth + 1), type_.bound)
    if isinstance(type_, Struct):
        members = [CodedMember(each, coder_of(each.type, depth + 1)) for each in type_.members]
        if not members:
            raise ValueError(f"{type_.name} has no members")
        return StructCoder(type_.name, members, type_.extensibility)
    if isinstance(type_, Union):
        cases = list(type_.cases)
        if type_.default is not None:
            cases.append(type_.default)
        members_of = {each.name: coder_of(each.type, depth + 1) for each in cases}
        return UnionCoder(type_, coder_of(type_.discriminator, depth + 1), members_of)
    raise ValueError("the type is of no known kind")


def array_coder(type_: Array, depth: int, inner: bool) -> Coder:
    """An array of arrays is one of several dimensions, with one delimiter for all of it. `inner`: it is in one."""
    if depth > _DEEPEST:
        raise ValueError("the type contains itself, or types in types too deep")
    if type_.length < 1:
        raise ValueError("an array has no elements")
    element = type_.element
    innermost = element
    while isinstance(innermost, Array):
        innermost = innermost.element
    if isinstance(element, Array):
        coder = OctetsCoder(0, element.length) if is_octets(element.element) else array_coder(element, depth + 1, True)
    else:
        coder = coder_of(element, depth + 1)
    delimited = not inner and not is_octets(innermost) and not is_primitive(coder_of(innermost, depth + 1))
    return ElementsCoder(coder, delimited, 0, type_.length)


def _is_extensible(type_: Type, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("the type contains itself, or types in types too deep")
    if isinstance(type_, (Sequence, Array)):
        return _is_extensible(type_.element, depth + 1)
    if isinstance(type_, Map):
        return True  # Cyclone DDS and Fast DDS write maps in XCDR2 only
    if isinstance(type_, Struct):
        if type_.extensibility != FINAL or any(each.optional for each in type_.members):
            return True
        return any(_is_extensible(each.type, depth + 1) for each in type_.members)
    if isinstance(type_, Union):
        inner = [each.type for each in type_.cases]
        if type_.default is not None:
            inner.append(type_.default.type)
        return type_.extensibility != FINAL or any(_is_extensible(each, depth + 1) for each in inner)
    return False
