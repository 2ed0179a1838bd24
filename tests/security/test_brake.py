"""The brake on guessing, on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.security.login.brake import Brake, BrakeLimits, address_key

KEY = "192.0.2.1 sensor-7"


def fail(brake: Brake, times: int, now: float, key: str = KEY) -> None:
    for _ in range(times):
        brake.failed(key, now)


def test_some_failures_are_free() -> None:
    brake = Brake(BrakeLimits(free=5))
    fail(brake, 5, 0.0)
    assert brake.wait(KEY, 0.0) == 0.0


def test_then_the_delay_doubles_up_to_a_limit() -> None:
    brake = Brake(BrakeLimits(free=5, first=1.0, longest=60.0))
    fail(brake, 5, 0.0)
    now, delays = 0.0, []
    for _ in range(9):
        brake.failed(KEY, now)
        delays.append(brake.wait(KEY, now))
        now += delays[-1]
        assert brake.wait(KEY, now) == 0.0
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_it_counts_down() -> None:
    brake = Brake(BrakeLimits(free=0, first=8.0))
    brake.failed(KEY, 100.0)
    assert brake.wait(KEY, 103.0) == 5.0
    assert brake.wait(KEY, 108.0) == 0.0


def test_another_key_is_not_braked() -> None:
    brake = Brake(BrakeLimits(free=0))
    fail(brake, 20, 0.0)
    assert brake.wait("192.0.2.2 sensor-7", 0.0) == 0.0
    assert brake.wait("192.0.2.1 sensor-8", 0.0) == 0.0


def test_success_and_time_make_good() -> None:
    brake = Brake(BrakeLimits(free=1, forget=900.0))
    fail(brake, 10, 0.0)
    brake.succeeded(KEY)
    assert brake.wait(KEY, 0.0) == 0.0
    fail(brake, 10, 0.0)
    assert brake.wait(KEY, 900.1) == 0.0
    assert len(brake) == 0
    fail(brake, 1, 2000.0)
    fail(brake, 1, 2900.1)  # the first is forgotten, so this one is free again
    assert brake.wait(KEY, 2900.1) == 0.0


def test_the_table_is_bounded_and_keeps_the_latest() -> None:
    brake = Brake(BrakeLimits(free=0, entries=3))
    for number in range(10):
        brake.failed(str(number), 0.0)
    assert len(brake) == 3
    assert [brake.wait(str(number), 0.0) > 0 for number in range(10)] == [False] * 7 + [True] * 3


def test_who_goes_on_failing_stays_in_the_table() -> None:
    brake = Brake(BrakeLimits(free=0, entries=3))
    for number in range(10):
        brake.failed(KEY, 0.0)
        brake.failed(f"other {number}", 0.0)
    assert brake.wait(KEY, 0.0) > 0


@given(st.integers(min_value=1, max_value=3000))
def test_no_number_of_failures_breaks_it(failures: int) -> None:
    brake = Brake(BrakeLimits(free=2, longest=60.0))
    fail(brake, failures, 0.0)
    assert 0.0 <= brake.wait(KEY, 0.0) <= 60.0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1:50000", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:1:2", "192.0.2.1:1:2"),
        ("192.0.2.01:1", "192.0.2.01:1"),
        ("192.0.2:1", "192.0.2:1"),
        ("[2001:db8:1:2:3:4:5:6]:50000", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
        ("[fe80::1%eth0]:1", "fe80::/64"),
        ("unix:/run/hub.sock", "unix"),
        ("unix:", "unix"),
        ("somewhere", "somewhere"),
    ],
)
def test_what_counts_as_one_address(address: str, key: str) -> None:
    assert address_key(address) == key
