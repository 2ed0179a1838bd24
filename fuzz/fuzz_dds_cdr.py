"""Fuzzes the samples of DDS: only CdrError comes out of octets, and what decodes encodes again, in both versions of CDR
and as JSON.

The first octet of an input chooses the type, and whether the keys alone are read; the rest is the sample.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.protocols.dds.codec.codec import Codec
    from bridgehead.protocols.dds.codec.errors import CdrError
    from bridgehead.protocols.dds.codec.stream import XCDR1, XCDR2
    from bridgehead.protocols.dds.codec.types import (
        APPENDABLE,
        BOOLEAN,
        BYTE,
        CHAR8,
        CHAR16,
        FINAL,
        FLOAT32,
        FLOAT64,
        FLOAT128,
        INT16,
        INT32,
        INT64,
        MUTABLE,
        UINT8,
        UINT32,
        Array,
        Bitmask,
        Case,
        Enum,
        Map,
        Member,
        Primitive,
        Sequence,
        String,
        Struct,
        Type,
        Union,
    )
    from bridgehead.protocols.dds.mapping.json_form import JsonForm


def struct(name: str, extensibility: str, *kinds: Type, optional: tuple[int, ...] = ()) -> Struct:
    """The first member is the key."""
    members = [Member(f"m{n}", kind, n, n == 0, n in optional) for n, kind in enumerate(kinds)]
    return Struct(name, tuple(members), extensibility)


LIGHT = Enum("Light", {"RED": 0, "GREEN": 1, "LAST": 100}, 8)
FLAGS = Bitmask("Flags", {"a": 0, "b": 3, "c": 15}, 16)
NUMBERS = struct(
    "Numbers",
    FINAL,
    Primitive(UINT8),
    Primitive(INT64),
    Primitive(BOOLEAN),
    Primitive(INT16),
    Primitive(FLOAT64),
    Primitive(CHAR8),
    Primitive(FLOAT32),
    Primitive(CHAR16),
    Primitive(FLOAT128),
    LIGHT,
    FLAGS,
)
KEYED = struct("Keyed", FINAL, Primitive(UINT32), Primitive(UINT32), Sequence(Primitive(BYTE), 64))
NAMED = struct("Named", APPENDABLE, String(8), String(wide=True), Sequence(String()), KEYED, Sequence(LIGHT), NUMBERS)
SPARSE = struct("Sparse", FINAL, String(), Primitive(INT64), NAMED, Primitive(INT16), optional=(1, 2, 3))
LISTED = struct("Listed", MUTABLE, Primitive(INT32), Sequence(NUMBERS, 4), Array(Array(LIGHT, 2), 3), optional=(1,))
CHOICE = Union(
    "Choice",
    Primitive(INT32),
    (Case("number", Primitive(INT64), 1, (1, 2)), Case("named", NAMED, 2, (3,)), Case("listed", LISTED, 3, (4,))),
    Case("text", String(), 4, ()),
    APPENDABLE,
)
TYPES = [
    KEYED,
    NUMBERS,
    NAMED,
    SPARSE,
    LISTED,
    struct("Chosen", MUTABLE, Primitive(UINT8), CHOICE, Sequence(CHOICE), optional=(2,)),
    struct("Mapped", APPENDABLE, LIGHT, Map(Primitive(INT16), String(), 5), Map(String(), Array(NUMBERS, 1))),
]
CODECS = [Codec(each) for each in TYPES]
FORMS = [JsonForm(each) for each in TYPES]
MOST = 65_536 + 4096  # values made up for members that are missing, as octets of a new sample


def target(data: bytes) -> None:
    if not data:
        return
    choice = data[0] % len(TYPES)
    codec = CODECS[choice]
    try:
        if data[0] & 0x80:
            keys = codec.decode_keys(data[1:])
            if codec.decode_keys(codec.encode_keys(keys)) != keys:
                raise AssertionError(f"{keys} did not come back")
            return
        value = codec.decode(data[1:])
    except CdrError as fault:
        if not str(fault):
            raise AssertionError("the fault has no text") from fault
        return
    written = FORMS[choice].to_json(value)
    if FORMS[choice].to_json(FORMS[choice].from_json(written)) != written:
        raise AssertionError(f"{written!r} did not come back")
    for version in (XCDR1, XCDR2):
        octets = codec.encode(value, version)
        if codec.encode(codec.decode(octets), version) != octets:  # not the values: no NaN is the same as another
            raise AssertionError(f"{value} came back otherwise in version {version}")
        if len(octets) > 8 * (MOST + len(data)):
            raise AssertionError(f"{len(data)} octets made {len(octets)}")


def seeds() -> list[bytes]:
    numbers: dict[str, object] = {
        "m0": 1,
        "m1": -(2**60),
        "m2": True,
        "m3": -2,
        "m4": 1.5,
        "m5": "x",
        "m6": -0.0,
        "m7": "€",
    }
    numbers |= {"m8": bytes(range(16)), "m9": "LAST", "m10": ("a", "c")}
    keyed: dict[str, object] = {"m0": 1, "m1": 2, "m2": b"abc"}
    named: dict[str, object] = {
        "m0": "hé",
        "m1": "wide",
        "m2": ["a", ""],
        "m3": keyed,
        "m4": ["RED", "LAST"],
        "m5": numbers,
    }
    sparse: dict[str, object] = {"m0": "s", "m2": named, "m3": 7}
    listed: dict[str, object] = {"m0": 1, "m1": [numbers], "m2": [["RED", "GREEN"]] * 3}
    chosen: dict[str, object] = {
        "m0": 9,
        "m1": (3, "named", named),
        "m2": [(1, "number", 5), (9, "text", "t"), (4, "listed", listed)],
    }
    mapped: dict[str, object] = {"m0": "GREEN", "m1": {1: "one", -1: ""}, "m2": {"k": [numbers]}}
    found = []
    for place, value in enumerate([keyed, numbers, named, sparse, listed, chosen, mapped]):
        for version in (XCDR1, XCDR2):
            found.append(bytes([place]) + CODECS[place].encode(value, version))
        found.append(bytes([0x80 // len(TYPES) * len(TYPES) + len(TYPES) + place]) + CODECS[place].encode_keys(value))
    return found


if __name__ == "__main__":
    harness.run("dds_cdr", target, seeds())
