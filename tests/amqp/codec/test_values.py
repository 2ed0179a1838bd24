"""Part 1: every type in every encoding, both ways; and octets that are no value."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.amqp.codec.v1.errors import DECODE_ERROR, AmqpError
from bridgehead.protocols.amqp.codec.v1.reader import NESTING, decode_value, skip_value
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
from bridgehead.protocols.amqp.codec.v1.writer import encode_value, put_body
from tests.amqp.codec import strategies

clause = pytest.mark.clause

# hex, value, and whether it is the form that we send
VECTORS: list[tuple[str, object, bool]] = [
    ("40", None, True),
    ("41", True, True),
    ("42", False, True),
    ("5601", True, False),
    ("5600", False, False),
    ("50ff", UByte(255), True),
    ("60ffff", UShort(65_535), True),
    ("43", UInt(0), True),
    ("5201", UInt(1), True),
    ("70ffffffff", UInt(4_294_967_295), True),
    ("7000000001", UInt(1), False),
    ("44", ULong(0), True),
    ("53ff", ULong(255), True),
    ("80ffffffffffffffff", ULong((1 << 64) - 1), True),
    ("5180", Byte(-128), True),
    ("618000", Short(-32_768), True),
    ("5480", Int(-128), True),
    ("7180000000", Int(-(1 << 31)), True),
    ("55ff", -1, True),
    ("818000000000000000", -(1 << 63), True),
    ("81ffffffffffffffff", -1, False),
    ("723fc00000", Float(struct.pack(">f", 1.5)), True),
    ("823ff8000000000000", 1.5, True),
    ("7401020304", Decimal(bytes([1, 2, 3, 4])), True),
    ("840102030405060708", Decimal(bytes(range(1, 9))), True),
    ("94" + "01" * 16, Decimal(b"\x01" * 16), True),
    ("730001f600", Char(0x1F600), True),
    ("830000000000000001", Timestamp(1), True),
    ("98" + "ab" * 16, Uuid(b"\xab" * 16), True),
    ("a003010203", b"\x01\x02\x03", True),
    ("b000000001ff", b"\xff", False),
    ("b000000100" + "00" * 256, bytes(256), True),
    ("a102c3a9", "é", True),
    ("b100000002c3a9", "é", False),
    ("a30161", Symbol("a"), True),
    ("b30000000161", Symbol("a"), False),
    ("45", [], True),
    ("c00100", [], False),
    ("d00000000400000000", [], False),
    ("c0040255ff40", [-1, None], True),
    ("d0000000070000000255ff40", [-1, None], False),
    ("c10602a301615201", {Symbol("a"): UInt(1)}, True),
    ("d10000000900000002a301615201", {Symbol("a"): UInt(1)}, False),
    ("c10100", {}, True),
    ("e00402560100", Array(0x56, [True, False]), True),
    ("f0000000070000000256" + "0100", Array(0x56, [True, False]), False),
    ("e00602a301610162", Array(0xA3, [Symbol("a"), Symbol("b")]), True),
    ("e0020040", Array(0x40, []), True),
    ("e0020541", Array(0x41, [True] * 5), True),
    ("e0020050", Array(0x50, []), True),
    ("005370c00100", Described(ULong(0x70), []), False),
    ("00a3016145", Described(Symbol("a"), []), True),
    ("000053014045", Described(Described(ULong(1), None), []), True),
]


@clause("AMQP-1.2", "AMQP-1.6.1", "AMQP-1.6.2", "AMQP-1.6.22", "AMQP-1.6.23", "AMQP-1.6.24")
@pytest.mark.parametrize(("octets", "value", "is_ours"), VECTORS)
def test_vectors(octets: str, value: object, is_ours: bool) -> None:
    data = bytes.fromhex(octets)
    assert decode_value(data) == (value, len(data))
    assert decode_value(b"xx" + data + b"yy", 2) == (value, len(data) + 2)
    assert skip_value(data, 0, len(data)) == len(data)
    assert type(decode_value(data)[0]) is type(value)
    assert (encode_value(value) == data) is is_ours


@clause(
    *[f"AMQP-1.6.{number}" for number in range(1, 25)],
    "AMQP-1.2",
    "AMQP-1.2.1",
    "AMQP-1.2.2",
    "AMQP-1.2.3",
    "AMQP-1.2.4",
    "AMQP-1.3.3",
)
@given(strategies.values)
def test_every_value_comes_back(value: object) -> None:
    data = encode_value(value)
    assert decode_value(data) == (value, len(data))
    assert skip_value(data, 0, len(data)) == len(data)


@clause("AMQP-1.2.4", "AMQP-1.6.24")
@given(data=st.data())
def test_every_encoding_in_arrays(data: st.DataObject) -> None:
    code = data.draw(st.sampled_from(sorted(strategies.scalars)))
    items = data.draw(st.lists(strategies.scalars[code], max_size=4))
    octets = encode_value(Array(code, items))
    assert decode_value(octets) == (Array(code, items), len(octets))
    # The same constructor before a single value.
    for item in items:
        alone = bytes([code]) + put_body(code, item)
        assert decode_value(alone) == (item, len(alone))


@given(st.binary(min_size=8, max_size=8))
def test_a_double_keeps_its_bits(octets: bytes) -> None:
    value, _ = decode_value(b"\x82" + octets)
    again = encode_value(value)
    # That a not-a-number is one stays; which of the many it is may change in the processor.
    assert again == b"\x82" + octets or value != value


FAULTS = {
    "nothing": "",
    "a reserved format code": "3f",
    "no primitive of the fixed ones": "5f00",
    "no primitive without octets": "4f",
    "no primitive of variable length": "a200",
    "no compound": "c20100",
    "no array": "e10100",
    "a boolean of 2": "5602",
    "an uint cut short": "700000",
    "an ulong cut short": "80000000",
    "a string longer than what is there": "a10561",
    "a binary whose length lies": "b0ffffffff00",
    "a string that is no UTF-8": "a102c328",
    "a string with a surrogate": "a103eda080",
    "a symbol that is no ASCII": "a30180",
    "a surrogate as a character": "730000d800",
    "a character beyond Unicode": "7300110000",
    "a list larger than what is there": "c0100155",
    "a list with fewer elements than it says": "c003035501",
    "a list with more elements than it says": "c00401550140",
    "a list whose size has no room for the count": "c000",
    "a long list without its count": "d000000003000000",
    "2^32-1 elements in 20 octets": "d00000000fffffffff4040404040404040404040",
    "a map with a key alone": "c1020140",
    "keys that Python cannot tell apart": "c106044140550140",
    "a map with a key twice": "c10b04a301615201a301615202",
    "a list as a key": "c103024540",
    "a map as a key": "c10502c1010040",
    "an array as a key": "c10602e002004040",
    "an array without a constructor": "e00101",
    "an array with too many octets": "e00401500000",
    "an array with too few octets": "e003025000",
    "an array of strings that ends early": "e00402a10161",
    "an array of 2^32-1 nulls": "f000000005ffffffff40",
    "a description without a value": "005370",
    "a description without a descriptor": "00",
}


@clause("AMQP-1.2", "AMQP-1.6.20", "AMQP-1.6.21", "AMQP-1.6.22", "AMQP-1.6.23", "AMQP-1.6.24", "AMQP-2.8.15")
@pytest.mark.parametrize("octets", FAULTS.values(), ids=FAULTS)
def test_faults(octets: str) -> None:
    with pytest.raises(AmqpError) as fault:
        decode_value(bytes.fromhex(octets))
    assert fault.value.condition == DECODE_ERROR
    assert fault.value.text


@given(strategies.values, st.data())
def test_what_is_cut_short_is_a_fault(value: object, data: st.DataObject) -> None:
    octets = encode_value(value)
    end = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(AmqpError):
        decode_value(octets[:end])
    with pytest.raises(AmqpError):
        skip_value(octets, 0, end)


@given(strategies.values, st.data())
def test_only_an_amqp_error_whatever_comes(value: object, data: st.DataObject) -> None:
    octets = bytearray(encode_value(value))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded, end = decode_value(bytes(octets))
    except AmqpError:
        return
    assert end <= len(octets)
    # What decodes can be sent.
    again = encode_value(decoded)
    assert len(decode_value(again)) == 2


def nested(levels: int) -> dict[str, bytes]:
    lists = b"\x40"
    for _ in range(levels):
        size = len(lists) + 4
        lists = b"\xd0" + size.to_bytes(4, "big") + b"\x00\x00\x00\x01" + lists
    return {
        "lists": lists,
        "descriptors": b"\x00" * levels + b"\x44\x40",
        "values of descriptors": b"\x00\x44" * levels + b"\x40",
    }


@clause("AMQP-1.6.22")
@pytest.mark.parametrize("kind", nested(1))
def test_nesting_has_a_bound(kind: str) -> None:
    for levels in (NESTING + 1, 35_000 if kind != "lists" else 3_900):
        octets = nested(levels)[kind]
        assert len(octets) > NESTING
        with pytest.raises(AmqpError, match="too deep"):
            decode_value(octets)
        if kind != "lists":
            with pytest.raises(AmqpError, match="too deep"):
                skip_value(octets, 0, len(octets))
    octets = nested(NESTING)["lists"]
    assert decode_value(octets)[1] == len(octets)
    # Lengths alone: a list is passed over without looking into it.
    deep = nested(3_900)["lists"]
    assert skip_value(deep, 0, len(deep)) == len(deep)


def test_nested_arrays_have_a_bound() -> None:
    octets = b"\x40"
    for _ in range(NESTING + 5):
        octets = b"\xf0" + (len(octets) + 4).to_bytes(4, "big") + b"\x00\x00\x00\x01" + octets
    with pytest.raises(AmqpError, match="too deep"):
        decode_value(octets)


@clause("AMQP-1.6.24")
def test_elements_without_octets_cost_bounded_memory() -> None:
    one = b"\xf0\x00\x00\x00\x05\x00\x01\x80\x00\x45"  # 98,304 empty lists in ten octets
    many = b"".join([one] * 200)
    octets = b"\xd0" + (len(many) + 4).to_bytes(4, "big") + (200).to_bytes(4, "big") + many
    tracemalloc.start()
    try:
        with pytest.raises(AmqpError, match="too many values"):
            decode_value(octets)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(
    "value",
    [1 << 63, -(1 << 63) - 1, "\ud800", Symbol("é"), object(), {1: object()}, Array(0x70, ["text"]), Array(0x41, [1])],
    ids=["large", "small", "surrogate", "no ASCII", "object", "in a map", "text as uint", "no true"],
)
def test_our_own_mistakes(value: object) -> None:
    with pytest.raises(LocalMisuse):
        encode_value(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(UByte, 256), (UShort, -1), (UInt, 1 << 32), (ULong, 1 << 64), (Byte, 128), (Short, 1 << 15), (Int, 1 << 31)],
)
def test_integers_have_their_width(kind: type[UByte], value: int) -> None:
    with pytest.raises(LocalMisuse, match=str(value)):
        kind(value)


def test_kinds_are_told_apart() -> None:
    assert UInt(1) != ULong(1)
    assert UInt(1) != 1
    assert Symbol("a") == "a"
    assert repr(Symbol("a")) == "Symbol('a')"
    assert str(Uuid(bytes(range(16)))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    with pytest.raises(LocalMisuse):
        Float(b"123")
    with pytest.raises(LocalMisuse):
        Decimal(b"123")
    with pytest.raises(LocalMisuse):
        Uuid(b"123")
    with pytest.raises(LocalMisuse):
        Char(0xDFFF)
