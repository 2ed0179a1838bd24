"""Values of DDS <-> JSON, by the rules of docs/dds-json.md."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from bridgehead.core.errors import PAYLOAD_FORMAT_INVALID, Refusal
from bridgehead.protocols.dds.codec.codec import Codec
from bridgehead.protocols.dds.codec.types import (
    BOOLEAN,
    BYTE,
    FLOAT32,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    UINT64,
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

MODE = Enum("Mode", {"OFF": 0, "ON": 1})
CHOICE = Union(
    "Choice",
    Primitive(INT32),
    (Case("number", Primitive(INT64), 1, (1,)), Case("text", String(), 2, (2, 3))),
    Case("mode", MODE, 3, ()),
)
POINT = Struct("Point", (Member("x", Primitive(FLOAT64), 0), Member("y", Primitive(FLOAT32), 1)))


def of(kind: Type, optional: bool = False) -> tuple[JsonForm, Codec]:
    type_ = Struct("T", (Member("v", kind, 0, optional=optional),))
    return JsonForm(type_), Codec(type_)


BOTH_WAYS: list[tuple[Type, Any, Any]] = [
    (Primitive(BOOLEAN), True, True),
    (Primitive(INT16), -5, -5),
    (Primitive(INT64), 2**53, 2**53),
    (Primitive(INT64), 2**53 + 1, "9007199254740993"),
    (Primitive(INT64), -(2**63), "-9223372036854775808"),
    (Primitive(UINT64), 2**64 - 1, "18446744073709551615"),
    (Primitive(FLOAT64), 21.5, 21.5),
    (Primitive(FLOAT64), math.inf, "Infinity"),
    (Primitive(FLOAT32), -math.inf, "-Infinity"),
    (String(), "grün", "grün"),
    (MODE, "ON", "ON"),
    (Bitmask("Flags", {"A": 0, "B": 3}), ("A", "B"), ["A", "B"]),
    (Sequence(Primitive(BYTE)), b"\x00\xff", "AP8="),
    (Array(Primitive(BYTE), 3), b"abc", "YWJj"),
    (Sequence(Primitive(INT32)), [1, 2], [1, 2]),
    (Sequence(Primitive(INT64)), [1, 2**60], [1, str(2**60)]),
    (Array(Array(Primitive(FLOAT64), 2), 1), [[1.0, 2.0]], [[1.0, 2.0]]),
    (Sequence(POINT), [{"x": 1.0, "y": 2.0}], [{"x": 1.0, "y": 2.0}]),
    (CHOICE, (1, "number", 2**60), {"$case": 1, "number": str(2**60)}),
    (CHOICE, (3, "text", "t"), {"$case": 3, "text": "t"}),
    (CHOICE, (9, "mode", "ON"), {"$case": 9, "mode": "ON"}),
    (Map(Primitive(INT32), String()), {7: "a"}, {"7": "a"}),
    (Map(Primitive(BOOLEAN), Primitive(INT64)), {True: 2**60}, {"true": str(2**60)}),
]


@pytest.mark.parametrize(("kind", "value", "written"), BOTH_WAYS)
def test_each_kind_both_ways(kind: Type, value: Any, written: Any) -> None:
    form, codec = of(kind)
    sample = {"v": value}
    payload = form.to_json(sample)
    assert json.loads(payload) == {"v": written}
    assert codec.decode(codec.encode(form.from_json(payload))) == sample


def test_not_a_number_is_a_text() -> None:
    form, _ = of(Primitive(FLOAT64))
    assert form.to_json({"v": math.nan}) == b'{"v":"NaN"}'
    back = form.from_json(b'{"v":"NaN"}')["v"]
    assert isinstance(back, float)
    assert math.isnan(back)


def test_an_absent_member_is_left_out_and_null_is_absent() -> None:
    form, _ = of(String(), optional=True)
    assert form.to_json({}) == b"{}"
    assert form.from_json(b'{"v":null}') == form.from_json(b"{}") == {}


def test_an_enumeration_is_taken_by_number_too() -> None:
    form, _ = of(MODE)
    assert form.from_json(b'{"v":1}') == {"v": "ON"}


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        (Primitive(INT32), b"", "the payload is no JSON"),
        (Primitive(INT32), b"\xff", "the payload is no JSON"),
        (Primitive(INT32), b"[1]", "an object is wanted (T)"),
        (Primitive(INT32), b"{}", "v: it is missing"),
        (Primitive(INT32), b'{"v":1,"w":2}', "w: there is no such member in T"),
        (Primitive(INT64), b'{"v":"1x"}', "v: a whole number is wanted"),
        (Primitive(FLOAT64), b'{"v":"inf"}', 'v: a number is wanted, or "NaN"'),
        (MODE, b'{"v":7}', "v: 7 is no literal of Mode"),
        (Sequence(Primitive(BYTE)), b'{"v":"*"}', "v: the text is no base64"),
        (Sequence(POINT), b'{"v":[{"x":1,"y":2},{"x":1}]}', "v[1].y: it is missing"),
        (CHOICE, b'{"v":{"$case":1,"text":"t"}}', "v.text: 1 does not choose this member"),
        (CHOICE, b'{"v":{"$case":[1],"text":"t"}}', "v.text: [1] does not choose this member"),
        (CHOICE, b'{"v":{"text":"t"}}', 'v: an object with "$case" is wanted (Choice)'),
        (Primitive(INT32), b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_does_not_fit_names_the_field(kind: Type, payload: bytes, said: str) -> None:
    form, _ = of(kind)
    with pytest.raises(Refusal) as caught:
        form.from_json(payload)
    assert caught.value.meaning == PAYLOAD_FORMAT_INVALID
    assert said in caught.value.because
