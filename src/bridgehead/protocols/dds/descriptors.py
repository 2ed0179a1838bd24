"""What Cyclone DDS 0.10 gets wrong in a descriptor that it makes out of type information, put right.

Its form of a type is a list of instructions, by which it checks and reads samples (dds/ddsc/dds_opcodes.h).
"""

from __future__ import annotations

from typing import Any, Final

from bridgehead.protocols.dds.codec.types import Array, Enum, Map, Sequence, Struct, Type, Union
from bridgehead.protocols.dds.cyclone import DdsError, ffi

# Words of dds_topic_descriptor_t: flags, and the number of instructions; pointers: the instructions.
_FLAGSET: Final = 2
_INSTRUCTIONS: Final = 8
_FIRST: Final = 5
# Two of the flags: DDS_TOPIC_FIXED_KEY, DDS_TOPIC_FIXED_KEY_XCDR2.
_FIXED_KEY: Final = 1 << 1
_FIXED_KEY_XCDR2: Final = 1 << 5
_FIXED_KEY_OCTETS: Final = 16

# Instructions and their words, but for members (ADR) and key offsets (KOF), which say it themselves.
_WORDS: Final = {0x00: 1, 0x02: 1, 0x03: 3, 0x04: 1, 0x05: 1, 0x06: 2, 0x08: 4}
_ADR: Final = 0x01
_KOF: Final = 0x07
_BST, _SEQ, _ARR, _UNI, _STU, _BSQ, _ENU, _EXT, _BLN, _BMK = 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
_NESTED: Final = (_SEQ, _ARR, _UNI, _STU, _BSQ)
_MORE: Final = {_BST: 1, _ENU: 1, _BMK: 2}  # words of a member, or of the elements, beside the plain ones
_EXTERNAL: Final = 1 << 23
_OPTIONAL: Final = 1 << 5
_SIZE_SHIFT: Final = 6
_SIZES: Final = {8: 0, 16: 1, 32: 2}


def mend(descriptor: Any, idl: Any, described: Type) -> None:
    """`descriptor` is a dds_topic_descriptor_t that has just been made of the binding's `idl`, and `described` is the
    same type. DdsError when it can't be put right."""
    words = ffi().cast("uint32_t *", descriptor)
    words[_FLAGSET] &= ~_wrong_flags(idl)
    bits = _discriminators(described)
    if bits:
        if len(bits) > 1:
            raise DdsError("Cyclone DDS can't tell the enumerations apart by which unions are chosen: give all of "
                           "them the same @bit_bound")  # fmt: skip
        _set_discriminators(ffi().cast("uint32_t **", descriptor)[_FIRST], words[_INSTRUCTIONS], _SIZES[bits.pop()])


def _wrong_flags(idl: Any) -> int:
    """Out of type information Cyclone DDS 0.10 makes descriptors that say of each key with a text in it that it has at
    most 16 octets. With a longer one, also one that comes from the network, it writes beyond the room for those."""
    if idl.v2_key_max_size is None or idl.v2_key_max_size > _FIXED_KEY_OCTETS:
        return _FIXED_KEY | _FIXED_KEY_XCDR2
    if idl.v0_key_max_size is not None and idl.v0_key_max_size > _FIXED_KEY_OCTETS:
        return _FIXED_KEY
    return 0


def _set_discriminators(operations: Any, instructions: int, size: int) -> None:
    """Of unions that an enumeration chooses Cyclone leaves out the enumeration's size, and so takes one octet for it:
    behind a member that does not end at a multiple of four it looks at the wrong ones, and refuses good samples."""
    at = 0
    for _ in range(instructions):
        word = operations[at]
        if word >> 24 == _ADR and _kinds(word) == (_UNI, _ENU):
            operations[at] = word | size << _SIZE_SHIFT
        at += _length(word)


def _kinds(word: int) -> tuple[int, int]:
    return word >> 16 & 0x7F, word >> 8 & 0x7F


def _length(word: int) -> int:
    code = word >> 24
    if code == _KOF:
        return 1 + (word & 0xFFFF)
    if code != _ADR:
        return _WORDS[code]
    kind, element = _kinds(word)
    if kind == _UNI:
        return 5 if element == _ENU else 4
    if kind == _EXT:
        return 4 if word & (_EXTERNAL | _OPTIONAL) else 3
    if kind == _SEQ:
        return 4 if element in _NESTED else 2 + _MORE.get(element, 0)
    if kind == _BSQ:
        return 5 if element in _NESTED else 3 + _MORE.get(element, 0)
    if kind == _ARR:
        return 5 if element in (*_NESTED, _BST) else 3 + _MORE.get(element, 0)
    return 2 + _MORE.get(kind, 0)


def _discriminators(described: Type) -> set[int]:
    """How many bits the enumerations have that choose unions."""
    if isinstance(described, Struct):
        return {bits for each in described.members for bits in _discriminators(each.type)}
    if isinstance(described, Sequence | Array):
        return _discriminators(described.element)
    if isinstance(described, Map):
        return _discriminators(described.key) | _discriminators(described.value)
    if not isinstance(described, Union):
        return set()
    cases = [*described.cases, *([] if described.default is None else [described.default])]
    chosen = {described.discriminator.bits} if isinstance(described.discriminator, Enum) else set()
    return chosen | {bits for each in cases for bits in _discriminators(each.type)}
