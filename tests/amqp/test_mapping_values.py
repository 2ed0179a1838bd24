"""What becomes of correlation ids, of typed values, and of CloudEvents on their way."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal as PythonDecimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.amqp.codec.v1.types import (
    Array,
    Char,
    Decimal,
    Described,
    Float,
    Symbol,
    Timestamp,
    UByte,
    ULong,
    Uuid,
)
from bridgehead.protocols.amqp.mapping.cloud_events import application_properties_of, user_properties_of
from bridgehead.protocols.amqp.mapping.correlation import correlation_of, octets_of, octets_of_short, short_text_of
from bridgehead.protocols.amqp.mapping.texts import can_tell, json_of, moment_of, text_of, topic_to_tell
from tests.amqp.codec import strategies

WORDS = [
    "AMQP_",
    "AMQP_ULONG:",
    "AMQP_UUID:",
    "AMQP_BINARY:",
    "AMQP_STRING:",
    "7",
    "07",
    "ff",
    "FF",
    "f",
    " ",
    "x",
    "-",
]
worded = st.lists(st.sampled_from(WORDS), max_size=4).map("".join)
texts = worded | strategies.short_texts
octets = worded.map(str.encode) | st.binary(max_size=40) | texts.map(str.encode)
identifiers = st.one_of(
    texts, octets, strategies.ulongs.map(ULong), st.binary(min_size=16, max_size=16).map(Uuid), st.none()
)


@pytest.mark.clause("AMQP-3.2.4", "AMQP-3.2.11", "AMQP-3.2.12", "AMQP-3.2.13", "AMQP-3.2.14")
@given(identifiers)
def test_a_correlation_id_comes_back_of_the_same_type(identifier: object) -> None:
    back = correlation_of(octets_of(identifier))
    assert type(back) is type(identifier)
    assert back == identifier


@given(octets)
def test_correlation_data_comes_back_octet_for_octet(data: bytes) -> None:
    assert octets_of(correlation_of(data)) == data


@pytest.mark.clause("AMQP091-4.2.5.3")
@given(octets)
def test_correlation_data_comes_back_from_0_9_1(data: bytes) -> None:
    text = short_text_of(data)
    assert text is not None
    assert octets_of_short(text) == data


def test_correlation_data_that_fits_into_no_short_string_is_left_out() -> None:
    assert short_text_of(b"x" * 255) == "x" * 255
    assert short_text_of(b"x" * 256) is None
    assert short_text_of(b"\xff" * 122) is None
    assert short_text_of(b"\xff" * 121) is not None


@pytest.mark.parametrize(
    ("value", "text", "shown"),
    [
        (Symbol("red"), "red", "red"),
        (True, "true", True),
        (-3, "-3", -3),
        (2.5, "2.5", 2.5),
        (float("inf"), "inf", "inf"),
        (Float(bytes.fromhex("40200000")), "2.5", 2.5),
        (Float(bytes.fromhex("7fc00000")), "nan", "nan"),
        (UByte(7), "7", 7),
        (Timestamp(1000), "1000", 1000),
        (Char(0x1F600), "😀", "😀"),
        (Uuid(bytes(range(16))), "00010203-0405-0607-0809-0a0b0c0d0e0f", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (b"\x00\xff", "00ff", "00ff"),
        (Decimal(b"\x01\x02\x03\x04"), "01020304", "01020304"),
        (None, "", None),
        # Of 0-9-1's tables.
        (PythonDecimal("2.50"), "2.50", "2.50"),
        (datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.UTC), "1000", 1000),
        ({"a": [1, None]}, '{"a":[1,null]}', {"a": [1, None]}),
    ],
)
def test_values_as_text_and_as_json(value: object, text: str, shown: object) -> None:
    assert text_of(value) == text
    assert json.loads(json_of([value])) == [shown]


@given(strategies.values)
def test_every_value_is_some_json(value: object) -> None:
    json.loads(json_of(value), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_compound_values_as_json() -> None:
    assert json_of({ULong(1): Array(0x70, [1, 2]), "b": Described(Symbol("x"), b"\x01")}) == '{"1":[1,2],"b":"01"}'


def test_what_mqtt_cannot_carry_is_told_to_nobody_else() -> None:
    assert can_tell("x" * 65_535)
    assert not can_tell("x" * 65_536)
    assert not can_tell("é" * 32_768)
    assert not can_tell("a\0b")
    assert user_properties_of({"a\0": 1, "b": "c\0", "d": "e"}) == (("d", "e"),)
    assert topic_to_tell("a/b") == "a/b"
    assert topic_to_tell("a/+") is None
    assert topic_to_tell("") is None


# CloudEvents. -----------------------------------------------------------------------------------------

EVENT = (("specversion", "1.0"), ("id", "7"), ("source", "/lobby"), ("type", "org.example.measured"))


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
def test_an_events_attributes_have_no_prefix_in_mqtt(prefix: str) -> None:
    given_: dict[str, object] = {prefix + name: value for name, value in EVENT}
    given_[prefix + "time"] = Timestamp(1_500)
    given_["unit"] = "C"
    assert user_properties_of(given_) == (*EVENT, ("time", "1970-01-01T00:00:01.500Z"), ("unit", "C"))


def test_an_events_attributes_have_one_in_amqp() -> None:
    made = application_properties_of((*EVENT, ("time", "2026-01-01T00:00:00Z"), ("Unit", "C"), ("unit-of", "C")))
    assert made == {
        **{"cloudEvents_" + name: value for name, value in EVENT},
        "cloudEvents_time": "2026-01-01T00:00:00Z",
        "Unit": "C",
        "unit-of": "C",
    }
    assert user_properties_of(dict(made))[:4] == EVENT


def test_what_is_no_event_keeps_its_names() -> None:
    assert application_properties_of((("id", "7"), ("id", "8"), ("type", "x"))) == {"id": "8", "type": "x"}
    assert user_properties_of({"cloudEvents_id": "7"}) == (("cloudEvents_id", "7"),)


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))  # the years 1 to 9999
def test_a_moment_is_that_of_the_calendar(milliseconds: int) -> None:
    moment = EPOCH + datetime.timedelta(milliseconds=milliseconds)
    expected = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert moment_of(Timestamp(milliseconds)) == expected


def test_a_time_out_of_the_calendar_is_a_number() -> None:
    far = 1 << 62
    found = dict(user_properties_of({"cloudEvents:specversion": "1.0", "cloudEvents:time": Timestamp(far)}))
    assert found["time"] == str(far)
