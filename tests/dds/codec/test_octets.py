"""Samples octet by octet, as the standard's rules give them: where the binding's serialiser has no say, or two forms
are permitted."""

from __future__ import annotations

from typing import Any

import pytest

from bridgehead.protocols.dds.codec.codec import Codec
from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable
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

LONG = Primitive(INT32)
DOUBLE = Primitive(FLOAT64)
LIGHT = Enum("Light", {"RED": 0, "GREEN": 1})


def struct(extensibility: str, *kinds: Type, optional: tuple[int, ...] = (), keys: tuple[int, ...] = ()) -> Struct:
    """Members m0, m1, ..., their ids the same numbers."""
    members = [Member(f"m{n}", kind, n, n in keys, n in optional) for n, kind in enumerate(kinds)]
    return Struct("S", tuple(members), extensibility)


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


# Type, representation, value, octets with the encapsulation header.
VECTORS: list[tuple[Type, int, Any, str]] = [
    # Alignment to 8 in version 1, to 4 in version 2; counted from behind the header.
    (
        struct(FINAL, Primitive(UINT8), DOUBLE),
        XCDR1,
        {"m0": 1, "m1": 1.0},
        "00010000 0100000000000000 000000000000f03f",
    ),
    (struct(FINAL, Primitive(UINT8), DOUBLE), XCDR2, {"m0": 1, "m1": 1.0}, "00070000 01000000 000000000000f03f"),
    # Padding behind the sample to a multiple of 4, told in the header's options.
    (struct(FINAL, Primitive(INT16)), XCDR1, {"m0": -2}, "00010002 feff0000"),
    (struct(FINAL, String()), XCDR1, {"m0": "hé"}, "00010000 04000000 68c3a900"),
    (struct(FINAL, String(wide=True)), XCDR1, {"m0": "é"}, "00010002 02000000 e9000000"),
    (struct(FINAL, Primitive(CHAR8), Primitive(CHAR16)), XCDR1, {"m0": "é", "m1": "€"}, "00010000 e900ac20"),
    (struct(FINAL, Primitive(FLOAT128)), XCDR2, {"m0": bytes(range(16))}, "00070000 000102030405060708090a0b0c0d0e0f"),
    (struct(FINAL, Primitive(FLOAT32)), XCDR1, {"m0": float("inf")}, "00010000 0000807f"),
    (
        struct(FINAL, LIGHT, Bitmask("B", {"a": 0, "d": 3}, 8)),
        XCDR1,
        {"m0": "GREEN", "m1": ("d",)},
        "00010003 01000000 08000000",
    ),
    # Sequences and arrays: no delimiter before primitives, one before anything else in version 2.
    (struct(FINAL, Sequence(LONG)), XCDR2, {"m0": [7]}, "00070000 01000000 07000000"),
    (struct(FINAL, Sequence(Primitive(BYTE))), XCDR2, {"m0": b"\1\2"}, "00070002 02000000 01020000"),
    (struct(FINAL, Sequence(LIGHT)), XCDR1, {"m0": ["GREEN"]}, "00010000 01000000 01000000"),
    (struct(FINAL, Sequence(LIGHT)), XCDR2, {"m0": ["GREEN"]}, "00070000 08000000 01000000 01000000"),
    (struct(FINAL, Array(String(), 1)), XCDR2, {"m0": ["a"]}, "00070002 06000000 02000000 61000000"),
    (
        struct(FINAL, Array(Array(LIGHT, 2), 1)),
        XCDR2,
        {"m0": [["RED", "GREEN"]]},
        "00070000 08000000 00000000 01000000",
    ),
    (struct(FINAL, Map(LONG, LONG)), XCDR2, {"m0": {1: 2}}, "00070000 01000000 01000000 02000000"),
    (struct(FINAL, Map(LONG, LIGHT)), XCDR2, {"m0": {1: "GREEN"}}, "00070000 0c000000 01000000 01000000 01000000"),
    # Optional members: a flag in version 2, a parameter's header in version 1, with alignment counted from behind it.
    (struct(FINAL, LONG, LONG, optional=(1,)), XCDR2, {"m0": 5, "m1": 6}, "00070000 05000000 01000000 06000000"),
    (struct(FINAL, LONG, LONG, optional=(1,)), XCDR2, {"m0": 5}, "00070003 05000000 00000000"),
    (struct(FINAL, LONG, LONG, optional=(1,)), XCDR1, {"m0": 5, "m1": 6}, "00010000 05000000 01000400 06000000"),
    (struct(FINAL, LONG, LONG, optional=(1,)), XCDR1, {"m0": 5}, "00010000 05000000 01000000"),
    (struct(FINAL, DOUBLE, optional=(0,)), XCDR1, {"m0": 1.0}, "00010000 00000800 000000000000f03f"),
    # Appendable: a delimiter in version 2 only.
    (struct(APPENDABLE, LONG), XCDR1, {"m0": 5}, "00010000 05000000"),
    (struct(APPENDABLE, LONG), XCDR2, {"m0": 5}, "00090000 04000000 05000000"),
    # Mutable: a list with its end (version 1), a delimited one (version 2); keys must be understood.
    (struct(MUTABLE, LONG, keys=(0,)), XCDR1, {"m0": 5}, "00030000 00400400 05000000 023f0000"),
    (struct(MUTABLE, LONG, keys=(0,)), XCDR2, {"m0": 5}, "000b0000 0c000000 000000c0 04000000 05000000"),
    (
        Struct("S", (Member("far", LONG, 0x3F00),), MUTABLE),
        XCDR1,
        {"far": 5},
        "00030000 013f0800 003f0000 04000000 05000000 023f0000",
    ),
    (
        struct(FINAL, Union("U", LONG, (Case("a", DOUBLE, 1, (1,)),), None, FINAL)),
        XCDR2,
        {"m0": (1, "a", 1.0)},
        "00070000 01000000 000000000000f03f",
    ),
    (struct(FINAL, Union("U", LONG, (Case("a", LONG, 1, (1,)),))), XCDR1, {"m0": (9, "", None)}, "00010000 09000000"),
]


@pytest.mark.clause("XTYPES-7.4.1")
@pytest.mark.clause("XTYPES-7.4.2")
@pytest.mark.clause("XTYPES-7.4.3")
@pytest.mark.parametrize(("kind", "representation", "value", "wanted"), VECTORS)
@pytest.mark.clause("XTYPES-7.4.3.5")
def test_octets_of_a_value_and_back(kind: Struct, representation: int, value: Any, wanted: str) -> None:
    codec = Codec(kind)
    assert codec.encode(value, representation).hex() == octets(wanted).hex()
    assert codec.decode(octets(wanted)) == value


@pytest.mark.clause("XTYPES-7.4.1.2")
def test_a_list_of_parameters_may_be_in_any_order_and_have_others() -> None:
    codec = Codec(struct(MUTABLE, LONG, Primitive(INT64)))
    mixed = "00030000 07000400 deadbeef 01000800 0200000000000000 033f0400 00000000 00000400 01000000 023f0000"
    assert codec.decode(octets(mixed)) == {"m0": 1, "m1": 2}
    rtps_end = "00030000 00000400 01000000 01000800 0200000000000000 01000000"
    assert codec.decode(octets(rtps_end)) == {"m0": 1, "m1": 2}
    unknown = "00030000 07400400 deadbeef 023f0000"
    with pytest.raises(CdrError, match="must be understood"):
        codec.decode(octets(unknown))


@pytest.mark.clause("XTYPES-7.4.1.2")
@pytest.mark.parametrize("extensibility", [FINAL, MUTABLE])
def test_a_member_too_long_for_a_short_header_has_an_extended_one(extensibility: str) -> None:
    codec = Codec(struct(extensibility, struct(MUTABLE, Sequence(DOUBLE), LONG), DOUBLE, optional=(0,)))
    value = {"m0": {"m0": [1.5] * 10_000, "m1": 7}, "m1": 2.5}
    written = codec.encode(value, XCDR1)
    assert written[4:12].hex() == "013f080000000000"
    assert codec.decode(written) == value


@pytest.mark.clause("XTYPES-7.4.3.4")
@pytest.mark.parametrize(
    ("kind", "member", "value"),
    [
        (Primitive(BOOLEAN), "00000000 01000000", True),  # length code 0: one octet
        (Primitive(INT16), "00000010 feff0000", -2),
        (LONG, "00000020 05000000", 5),
        (Primitive(INT64), "00000030 0500000000000000", 5),
        (LONG, "00000040 04000000 05000000", 5),  # 4: the length stands behind
        (Sequence(Primitive(BYTE)), "00000050 03000000 01020300", b"\1\2\3"),  # 5: and is the member's own count
        (Sequence(LONG), "00000060 02000000 01000000 02000000", [1, 2]),  # 6: in units of 4 octets
        (Sequence(DOUBLE), "00000070 01000000 000000000000f03f", [1.0]),  # 7: of 8
    ],
)
def test_all_length_codes_are_read(kind: Type, member: str, value: Any) -> None:
    codec = Codec(struct(MUTABLE, kind, Primitive(BOOLEAN), optional=(1,)))
    body = octets(member)
    sample = octets("000b0000") + len(body).to_bytes(4, "little") + body
    assert codec.decode(sample) == {"m0": value}


@pytest.mark.clause("XTYPES-7.2.4.4")
def test_an_older_type_s_sample_has_defaults_and_a_newer_one_s_more_is_skipped() -> None:
    inner = struct(FINAL, LONG, Array(Primitive(BYTE), 2))
    newer = struct(
        APPENDABLE, LONG, Primitive(INT16), DOUBLE, String(), LIGHT, inner, Sequence(LONG), LONG, optional=(7,)
    )
    older = struct(APPENDABLE, LONG)
    added = {"m1": 0, "m2": 0.0, "m3": "", "m4": "RED", "m5": {"m0": 0, "m1": b"\0\0"}, "m6": []}
    assert Codec(newer).decode(Codec(older).encode({"m0": 5})) == {"m0": 5, **added}
    assert Codec(older).decode(Codec(newer).encode({"m0": 5, **added})) == {"m0": 5}
    # In the middle of members that are read at once, too.
    two = Codec(struct(APPENDABLE, LONG, Primitive(INT16)))
    assert Codec(newer).decode(two.encode({"m0": 5, "m1": 6})) == {"m0": 5, **added, "m1": 6}
    mutable = Codec(struct(MUTABLE, LONG, LONG))
    assert mutable.decode(Codec(struct(MUTABLE, LONG)).encode({"m0": 5})) == {"m0": 5, "m1": 0}


def test_a_key_must_be_there_whatever_the_version() -> None:
    newer = Codec(struct(APPENDABLE, LONG, LONG, keys=(1,)))
    with pytest.raises(CdrError, match="m1: it is missing"):
        newer.decode(Codec(struct(APPENDABLE, LONG)).encode({"m0": 5}))


def test_defaults_are_not_made_up_without_end() -> None:
    big = struct(APPENDABLE, Array(Primitive(BYTE), 1000))
    codec = Codec(struct(FINAL, Sequence(big)))
    few = octets("00070000") + (4 + 8 * 4).to_bytes(4, "little") + (8).to_bytes(4, "little") + bytes(8 * 4)
    assert codec.decode(few) == {"m0": [{"m0": bytes(1000)}] * 8}
    many = octets("00070000") + (4 + 80 * 4).to_bytes(4, "little") + (80).to_bytes(4, "little") + bytes(80 * 4)
    with pytest.raises(CdrError, match=r"m0\[65\].m0: too many members are missing"):
        codec.decode(many)


@pytest.mark.parametrize(
    ("kind", "sample", "because"),
    [
        (struct(FINAL, LONG), "", "too few for an encapsulation header"),
        (struct(FINAL, LONG), "00010000", "4 octets are wanted and 0 are left"),
        (struct(FINAL, LONG), "00040000 05000000", "0x0004 is not known"),
        (struct(FINAL, LONG), "00010000 05000000 00000000", "4 octets are left behind"),
        (struct(FINAL, Primitive(BOOLEAN)), "00010000 02000000", "m0: 2 is no boolean"),
        (struct(FINAL, LIGHT), "00010000 02000000", "m0: 2 is no literal of Light"),
        (struct(FINAL, Bitmask("B", {"a": 0}, 8)), "00010000 02000000", "no flags of B"),
        (struct(FINAL, Primitive(CHAR16)), "00010000 00d80000", "half of a surrogate"),
        (struct(FINAL, String()), "00010000 ffffffff 61000000", "4294967295 elements are announced and 4 octets"),
        (struct(FINAL, String()), "00010000 02000000 61620000", "does not end with NUL"),
        (struct(FINAL, String()), "00010000 02000000 ff000000", "is no UTF-8"),
        (struct(FINAL, String()), "00010000 03000000 61000000", "has a NUL inside"),
        (struct(FINAL, String(1)), "00010000 03000000 c3a90000", "2 octets, more than 1"),
        (struct(FINAL, String(wide=True)), "00010000 02000000 00d80000", "is no UTF-16"),
        (struct(FINAL, Sequence(LONG)), "00010000 ffffff7f 00000000", "m0: 2147483647 elements are announced"),
        (struct(FINAL, Sequence(LONG, 1)), "00010000 02000000 00000000 00000000", "2 elements, more than 1"),
        (struct(FINAL, Sequence(LIGHT)), "00070000 40000000 00000000", "a part of 64 octets is announced"),
        (
            struct(FINAL, Sequence(LIGHT)),
            "00070000 08000000 00000000 00000000",
            "4 octets are left behind the elements",
        ),
        (struct(FINAL, Map(LONG, LONG)), "00070000 02000000 0100000001000000 0100000001000000", "a key twice"),
        (struct(FINAL, LONG, optional=(0,)), "00070000 02000000", "m0: 2 does not say whether"),
        (struct(FINAL, LONG, optional=(0,)), "00010000 05000400 00000000", "the member 5 stands where 0 should"),
        (struct(APPENDABLE, LONG), "00090000 08000000 05000000", "a part of 8 octets"),
        (struct(MUTABLE, LONG, keys=(0,)), "00030000 023f0000", "m0: it is missing"),
        (struct(MUTABLE, LONG), "00030000 00000400 01000000 00000400 01000000 023f0000", "m0: it is there twice"),
        (struct(MUTABLE, LONG), "00030000 00000400 01000000", "octets are wanted and 0 are left"),
        (struct(MUTABLE, LONG), "000b0000 08000000 ffffff7f ffffffff", "34359738364 octets are wanted and 4 are left"),
    ],
)
@pytest.mark.clause("XTYPES-7.6.3.1.2")
def test_what_is_no_sample_is_said(kind: Struct, sample: str, because: str) -> None:
    with pytest.raises(CdrError) as caught:
        Codec(kind).decode(octets(sample))
    assert because in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value", "because"),
    [
        (struct(FINAL, LONG), {}, "m0: it is missing"),
        (struct(FINAL, LONG), {"m0": 1, "x": 1}, "x: there is no such member in S"),
        (struct(FINAL, LONG), {"m0": 2**31}, "m0: 2147483648 is not in"),
        (struct(FINAL, LONG), {"m0": True}, "m0: a whole number is wanted"),
        (struct(FINAL, Primitive(FLOAT32)), {"m0": 1e300}, "too large"),
        (struct(FINAL, String(1)), {"m0": "é"}, "2 octets in UTF-8, more than 1"),
        (struct(FINAL, String()), {"m0": "a\0"}, "NUL"),
        (struct(FINAL, Sequence(LONG, 1)), {"m0": [1, 2]}, "2 elements are more than 1"),
        (struct(FINAL, Array(LONG, 2)), {"m0": [1]}, "2 elements are wanted, not 1"),
        (struct(FINAL, LIGHT), {"m0": "BLUE"}, "a literal of Light is wanted (RED, GREEN), not 'BLUE'"),
        (struct(FINAL, Sequence(struct(FINAL, LIGHT))), {"m0": [{"m0": 7}]}, "m0[0].m0: a literal of Light"),
    ],
)
def test_what_is_no_value_is_said(kind: Struct, value: Any, because: str) -> None:
    with pytest.raises(Unencodable) as caught:
        Codec(kind).encode(value)
    assert because in str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [
        struct(FINAL),
        struct(FINAL, Sequence(struct(FINAL))),
        struct(FINAL, Array(LONG, 0)),
        struct(FINAL, Enum("E", {"A": 300}, 8)),
        struct(FINAL, Enum("E", {})),
    ],
)
def test_types_without_octets_or_room_are_refused(kind: Struct) -> None:
    with pytest.raises(ValueError, match=r"has no|do not fit"):
        Codec(kind)


@pytest.mark.clause("XTYPES-7.6.8")
def test_keys_alone_are_plain_and_in_the_order_of_the_members() -> None:
    inner = struct(APPENDABLE, LONG, String())
    keyed_inner = struct(MUTABLE, LONG, String(), keys=(1,))
    codec = Codec(struct(APPENDABLE, String(), DOUBLE, inner, keyed_inner, keys=(0, 2, 3)))
    value = {"m0": "k", "m1": 1.0, "m2": {"m0": 1, "m1": "i"}, "m3": {"m0": 2, "m1": "n"}}
    keys: dict[str, object] = {"m0": "k", "m2": {"m0": 1, "m1": "i"}, "m3": {"m1": "n"}}
    wanted = octets("00070002 02000000 6b000000 01000000 02000000 69000000 02000000 6e000000")
    assert codec.encode_keys(value) == wanted == codec.encode_keys(keys)
    assert codec.decode_keys(wanted) == keys
    assert Codec(struct(FINAL, LONG)).decode_keys(octets("00070000")) == {}
    with pytest.raises(Unencodable, match="m2: it is missing"):
        codec.encode_keys({"m0": "k"})
