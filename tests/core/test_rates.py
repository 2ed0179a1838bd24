"""Token buckets by key: exact, whatever the clock does, and bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.rates import Rates


def test_a_burst_then_the_rate() -> None:
    rates = Rates(2.0, 3.0)
    assert [rates.take("a", 100.0) for _ in range(4)] == [True, True, True, False]
    assert rates.wait("a") == 0.5
    assert [rates.take("a", 100.5) for _ in range(2)] == [True, False]
    assert rates.take("b", 100.5)
    assert [rates.take("a", 1000.0) for _ in range(4)] == [True, True, True, False]


def test_a_rate_of_zero_is_no_limit_and_remembers_nothing() -> None:
    rates = Rates(0.0, 1.0)
    assert all(rates.take("a", 0.0) for _ in range(1000))
    assert len(rates) == 0
    assert rates.wait("a") == 0.0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    rates = Rates(1.0, 1.0)
    assert rates.take("a", 100.0)
    assert not rates.take("a", 50.0)
    assert not rates.take("a", 50.5)
    assert rates.take("a", 51.0)


def test_the_keys_are_bounded_and_the_latest_stay() -> None:
    rates = Rates(1.0, 1.0, entries=10)
    for number in range(100):
        rates.take(str(number), 0.0)
    assert len(rates) == 10
    assert not rates.take("99", 0.0)
    assert rates.take("0", 0.0)


@given(st.lists(st.floats(0, 10), max_size=200), st.floats(0.1, 50), st.integers(1, 20))
def test_never_more_than_burst_and_rate_together(steps: list[float], rate: float, burst: int) -> None:
    rates = Rates(rate, float(burst))
    now = begun = 1000.0
    taken = 0
    for step in steps:
        now += step
        taken += rates.take("a", now)
        assert taken <= burst + rate * (now - begun) + 1e-6
