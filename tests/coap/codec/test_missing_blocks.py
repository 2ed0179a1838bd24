"""application/missing-blocks+cbor-seq (RFC 9177 section 5)."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec.missing_blocks import read_missing, write_missing
from bridgehead.wire.errors import Malformed, PeerError

numbers = st.lists(st.integers(0, (1 << 20) - 1), unique=True).map(sorted)


@pytest.mark.clause("RFC9177-5")
@given(numbers)
def test_it_is_a_cbor_sequence_of_numbers(missing: list[int]) -> None:
    sequence = write_missing(missing, 1 << 20)
    assert sequence == b"".join([cbor2.dumps(number) for number in missing])
    assert read_missing(sequence) == missing


@pytest.mark.clause("RFC9177-5")
@given(numbers, st.integers(0, 40))
def test_it_is_cut_to_the_room_that_there_is(missing: list[int], room: int) -> None:
    sequence = write_missing(missing, room)
    assert len(sequence) <= room
    named = read_missing(sequence)
    assert named == missing[: len(named)]
    assert len(sequence) + 5 > room or named == missing


@pytest.mark.clause("RFC9177-5")
def test_numbers_that_come_twice_are_taken_once() -> None:
    assert read_missing(b"\x01\x01\x05\x03\x18\x18") == [1, 5, 24]
    assert read_missing(b"\x00\x01\x02", 2) == [0, 1]


@pytest.mark.parametrize(
    "octets", [b"\x20", b"\x41a", b"\x18", b"\x19\x01", b"\x1b" + b"\0" * 8, b"\x1a\x00\x10\x00\x00"]
)
def test_what_is_no_number_of_a_block_is_refused(octets: bytes) -> None:
    with pytest.raises(Malformed):
        read_missing(octets)


@given(st.binary(max_size=30))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    try:
        found = read_missing(octets)
    except PeerError:
        return
    assert found == sorted(set(found))
