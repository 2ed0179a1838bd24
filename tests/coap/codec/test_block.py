"""Block options' values: RFC 7959 section 2.2, BERT of RFC 8323 section 6."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.block import block_size, exponent_for, read_block, write_block
from bridgehead.wire.errors import Malformed


@pytest.mark.clause("RFC7959-2.2")
@given(st.integers(0, (1 << 20) - 1), st.booleans(), st.integers(0, 6))
def test_a_block_comes_back(number: int, more: bool, exponent: int) -> None:
    value = write_block(number, more, exponent)
    assert read_block(value) == (number, more, exponent)
    assert len(value) <= 3
    assert not value.startswith(b"\0")


@pytest.mark.clause("RFC7959-2.2")
def test_values_as_in_the_standard() -> None:
    assert read_block(b"") == (0, False, 0)
    assert write_block(0, False, 0) == b""
    assert write_block(0, True, 2) == b"\x0a"  # 1:0/1/64
    assert write_block(1, True, 6) == b"\x1e"
    assert write_block(4096, False, 6) == b"\x01\x00\x06"
    assert read_block(b"\0\0\x0a") == (0, True, 2)


@pytest.mark.clause("RFC7959-2.2")
def test_the_reserved_size_is_a_bad_request() -> None:
    with pytest.raises(Malformed) as caught:
        read_block(b"\x07")
    assert (caught.value.code, caught.value.clause) == (codes.BAD_REQUEST, "RFC7959-2.2")


@pytest.mark.clause("RFC8323-6")
def test_over_a_reliable_transport_it_is_bert() -> None:
    assert read_block(write_block(9, True, 7), reliable=True) == (9, True, 7)


@pytest.mark.clause("RFC7959-2.1")
def test_more_than_three_octets_are_a_bad_option() -> None:
    with pytest.raises(Malformed) as caught:
        read_block(bytes(4))
    assert caught.value.code == codes.BAD_OPTION


def test_sizes() -> None:
    assert [block_size(exponent) for exponent in range(8)] == [16, 32, 64, 128, 256, 512, 1024, 1024]
    assert [exponent_for(size) for size in (1, 16, 31, 32, 1023, 1024, 5000)] == [0, 0, 0, 1, 5, 6, 6]
    with pytest.raises(LocalMisuse):
        write_block(1 << 20, False, 6)
    with pytest.raises(LocalMisuse):
        write_block(0, False, 8)
