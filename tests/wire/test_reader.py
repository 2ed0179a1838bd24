"""The reader never passes its end, and says which field did not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.wire.errors import Malformed, PeerError, Violation
from bridgehead.wire.reader import Reader
from bridgehead.wire.writer import u8, u16, u32


def test_fields_one_after_the_other() -> None:
    reader = Reader(b"..\x01\x02\x03\x04\x05\x06\x07abc..", 2, 12, 0x81)
    assert reader.remaining == 10
    assert reader.u8("one") == 1
    assert reader.u16("two") == 0x0203
    assert reader.u32("four") == 0x04050607
    assert reader.at == 7
    assert reader.octets(3, "rest") == b"abc"
    assert reader.remaining == 0


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_field_that_is_cut_short(width: int, missing: int) -> None:
    if missing > width:
        return
    data = bytes(10)
    reader = Reader(data, 3, 3 + width - missing, 0x81)
    read = {1: reader.u8, 2: reader.u16, 4: reader.u32}[width]
    with pytest.raises(Malformed, match="Keep Alive") as caught:
        read("Keep Alive")
    assert (caught.value.code, caught.value.at) == (0x81, 0)
    assert f"{width - missing} octets are left" in caught.value.text


def test_octets_beyond_the_end_are_not_read() -> None:
    reader = Reader(b"abcdef", 0, 3, 7)
    assert reader.octets(0, "nothing") == b""
    with pytest.raises(Malformed):
        reader.octets(4, "text")
    assert reader.octets(3, "text") == b"abc"


@given(st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_what_is_written_is_read(one: int, two: int, four: int) -> None:
    data = u8(one) + u16(two) + u32(four)
    reader = Reader(data, 0, len(data), 0)
    assert (reader.u8("a"), reader.u16("b"), reader.u32("c")) == (one, two, four)


@pytest.mark.parametrize(("write", "value"), [(u8, 256), (u16, 65_536), (u32, 1 << 32), (u8, -1)])
def test_integers_out_of_range(write: object, value: int) -> None:
    assert callable(write)
    with pytest.raises(OverflowError):
        write(value)


def test_errors_tell_text_clause_and_place() -> None:
    assert str(PeerError("bad")) == "bad"
    assert str(Malformed("bad", 0x81, 7)) == "bad (octet 7)"
    assert str(Violation("bad", 0x82, 7, "MQTT-3.1.0-1")) == "bad [MQTT-3.1.0-1] (octet 7)"
    assert (Violation("bad", 0x82).code, Violation("bad").at, Violation("bad").clause) == (0x82, -1, "")
    assert issubclass(Malformed, PeerError)
    assert issubclass(Violation, PeerError)
