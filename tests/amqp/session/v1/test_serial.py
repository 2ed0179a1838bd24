"""Serial numbers of 32 bits (2.8.10): they wrap, and are compared as RFC 1982 has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.amqp.session.v1.serial import MASK, distance, plus

numbers = st.integers(0, MASK)


@pytest.mark.clause("AMQP-2.8.10")
@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (0, 1, -1),
        (0, MASK, 1),
        (MASK, 0, -1),
        (2**31 - 1, 0, 2**31 - 1),
        (2**31, 0, -(2**31)),
        (5, MASK - 4, 10),
    ],
)
def test_distances(later: int, earlier: int, expected: int) -> None:
    assert distance(later, earlier) == expected


@pytest.mark.clause("AMQP-2.8.10")
@given(numbers, st.integers(-(2**31), 2**31 - 1))
def test_a_number_is_as_far_away_as_it_was_moved(start: int, count: int) -> None:
    moved = plus(start, count)
    assert 0 <= moved <= MASK
    assert distance(moved, start) == count
    assert plus(moved, -count) == start
