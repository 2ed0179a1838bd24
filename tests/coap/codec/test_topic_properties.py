"""Topic properties: what the draft's examples say, what another CBOR library writes and reads, and bad octets."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.topic_properties import (
    EXPIRATION_DATE,
    INITIALIZE,
    MAX_SUBSCRIBERS,
    OBSERVER_CHECK,
    RESOURCE_TYPE,
    TOPIC_CONTENT_FORMAT,
    TOPIC_DATA,
    TOPIC_NAME,
    TOPIC_TYPE,
    CodePoints,
    Properties,
    read_keys,
    read_properties,
    write_properties,
)
from bridgehead.wire.errors import PeerError

DRAFT = CodePoints()
# Section 2.5.1: GET /ps/h9392.
EXAMPLE: Properties = {
    TOPIC_NAME: "living-room-sensor",
    TOPIC_DATA: "/ps/data/1bd0d6d",
    RESOURCE_TYPE: "core.ps.data",
    TOPIC_CONTENT_FORMAT: 112,
    TOPIC_TYPE: "temperature",
    EXPIRATION_DATE: 1680393599,
    MAX_SUBSCRIBERS: 100,
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
uints = st.integers(0, 2**64 - 1)
dates = st.one_of(st.integers(0, 253402300799), st.floats(0, 253402300799))
properties = st.fixed_dictionaries(
    {},
    optional={
        TOPIC_NAME: texts,
        TOPIC_DATA: texts,
        RESOURCE_TYPE: texts,
        TOPIC_CONTENT_FORMAT: uints,
        TOPIC_TYPE: texts,
        EXPIRATION_DATE: dates,
        MAX_SUBSCRIBERS: uints,
        OBSERVER_CHECK: uints,
        INITIALIZE: st.binary(max_size=300),
    },
)


def test_the_example_of_the_draft() -> None:
    written = write_properties(EXAMPLE, DRAFT)
    other = cbor2.loads(written)
    assert other.pop(5).timestamp() == 1680393599
    assert other == {key: value for key, value in EXAMPLE.items() if key != EXPIRATION_DATE}
    assert read_properties(written, DRAFT) == EXAMPLE
    # The shortest form of each (RFC 8949 section 4.2.1), and of the date the tag 1 with an integer.
    assert b"\x05\xc1\x1a" + (1680393599).to_bytes(4, "big") in written


def test_initialize_of_the_draft() -> None:
    """Section 2.2.1: the empty CBOR array is written 0x4180."""
    assert write_properties({INITIALIZE: b"\x80"}, DRAFT) == bytes.fromhex("a1084180")


@given(properties)
def test_what_is_written_is_read_again_and_is_cbor(values: Properties) -> None:
    written = write_properties(values, DRAFT)
    assert read_properties(written, DRAFT) == values
    assert written == write_properties(dict(reversed(values.items())), DRAFT)
    assert isinstance(cbor2.loads(written), dict)


@given(properties)
def test_what_another_library_writes_is_read(values: Properties) -> None:
    tagged = {key: cbor2.CBORTag(1, value) if key == EXPIRATION_DATE else value for key, value in values.items()}
    assert read_properties(cbor2.dumps(tagged), DRAFT) == values


@pytest.mark.parametrize("code", ["f93c00", "fa3f800000", "fb3ff0000000000000", "01"])
def test_every_form_of_a_number_in_a_date(code: str) -> None:
    assert read_properties(bytes.fromhex("a105c1" + code), DRAFT) == {EXPIRATION_DATE: 1}


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("bf0061610663ff", None),  # a wrong type
        ("bf00616106183fff", {TOPIC_NAME: "a", MAX_SUBSCRIBERS: 63}),  # until a break
        ("a1007f61616162ff", {TOPIC_NAME: "ab"}),  # in chunks
        ("a1085f41014102ff", {INITIALIZE: b"\x01\x02"}),
        ("a0", {}),
    ],
)
def test_indefinite_lengths(octets: str, expected: Properties | None) -> None:
    if expected is None:
        with pytest.raises(PeerError):
            read_properties(bytes.fromhex(octets), DRAFT)
    else:
        assert read_properties(bytes.fromhex(octets), DRAFT) == expected


@pytest.mark.parametrize(
    ("octets", "because"),
    [
        ("", "octets are said to follow"),
        ("80", "a CBOR map"),
        ("a1", "entries are said to follow"),
        ("bbffffffffffffffff", "entries are said to follow"),
        ("a20061610061", "stands there twice"),
        ("a1096161", "no topic property 9"),
        ("a1206161", "no topic property -1"),
        ("a1616161", "keys of topic properties are integers"),
        ("a10001", "topic-name is to be a text string"),
        ("a10061ff", "not UTF-8"),
        ("a1036161", "topic-content-format is to be an unsigned integer"),
        ("a10320", "topic-content-format is to be an unsigned integer"),
        ("a10501", "expiration-date is to be tag 1"),
        ("a105c06474657874", "expiration-date is to be tag 1"),
        ("a105c120", "expiration-date is to be tag 1"),
        ("a105c1f97e00", "expiration-date is to be tag 1"),  # NaN
        ("a105c1f97c00", "expiration-date is to be tag 1"),  # infinity
        ("a105c11bffffffffffffffff", "expiration-date is to be tag 1"),
        ("a1086161", "initialize is to be a byte string"),
        ("a1085f6161ff", "chunks of a string"),
        ("a1085f5f4101ffff", "chunks of a string"),
        ("a10840ff", "octets follow the CBOR value"),
        ("a1031c", "a reserved length"),
        ("a1031f", "a reserved length"),
        ("a108ff", "initialize is to be a byte string"),
    ],
)
def test_bad_octets_are_refused_with_a_sentence(octets: str, because: str) -> None:
    with pytest.raises(PeerError) as raised:
        read_properties(bytes.fromhex(octets), DRAFT)
    assert because in str(raised.value)
    assert raised.value.code == codes.BAD_REQUEST


@given(st.binary(max_size=60))
@example(b"\xa1\x08\x5f" * 20)
@example(b"\xbf" * 60)
def test_whatever_octets_come_the_peer_is_blamed(octets: bytes) -> None:
    blamed: list[int] = []
    for read in (read_properties, read_keys):
        try:
            read(octets, DRAFT)
        except PeerError as error:
            blamed.append(error.code)
    assert set(blamed) <= {codes.BAD_REQUEST}
    assert blamed or octets[:1] > b"\x7f"  # an array or a map, if anything


def test_keys_of_a_fetch() -> None:
    assert read_keys(cbor2.dumps([1, 3]), DRAFT) == [TOPIC_DATA, TOPIC_CONTENT_FORMAT]
    assert read_keys(cbor2.dumps([99, 0, -7]), DRAFT) == [TOPIC_NAME]
    assert read_keys(b"\x9f\x01\xff", DRAFT) == [TOPIC_DATA]
    for bad in (cbor2.dumps({0: 1}), cbor2.dumps(["topic-name"]), b"\x82\x01", b"\x9a\xff\xff\xff\xff"):
        with pytest.raises(PeerError):
            read_keys(bad, DRAFT)


def test_other_code_points() -> None:
    points = CodePoints(content_format=65000, keys=(10, -11, 12, 13, 14, 15, 16, 17, 300))
    written = write_properties({TOPIC_NAME: "a", TOPIC_DATA: "/x", INITIALIZE: b"\x80"}, points)
    assert cbor2.loads(written) == {10: "a", -11: "/x", 300: b"\x80"}
    assert read_properties(written, points) == {TOPIC_NAME: "a", TOPIC_DATA: "/x", INITIALIZE: b"\x80"}
    with pytest.raises(PeerError):
        read_properties(written, DRAFT)
    assert read_keys(cbor2.dumps([-11]), points) == [TOPIC_DATA]
