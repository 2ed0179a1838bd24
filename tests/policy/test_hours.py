"""Days and hours: what holds when, over midnight and where the clocks are changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.hours import DAYS, Hours


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("text", "moment", "holds"),
    [
        ("Mon-Fri 07:00-19:00 Europe/Berlin", "2026-11-23T07:00", True),  # a Monday
        ("Mon-Fri 07:00-19:00 Europe/Berlin", "2026-11-23T06:59:59", False),
        ("Mon-Fri 07:00-19:00 Europe/Berlin", "2026-11-23T18:59:59", True),
        ("Mon-Fri 07:00-19:00 Europe/Berlin", "2026-11-23T19:00", False),
        ("Mon-Fri 07:00-19:00 Europe/Berlin", "2026-11-22T12:00", False),
        ("Mon-Fri 07:00-19:00", "2026-11-23T07:30", False),  # 06:30 UTC
        ("Fri 22:00-06:00 Europe/Berlin", "2026-11-28T05:59", True),  # Saturday's early hours are Friday's window
        ("Fri 22:00-06:00 Europe/Berlin", "2026-11-27T05:59", False),
        ("Sat-Mon Europe/Berlin", "2026-11-23T23:59", True),
        ("Sat-Mon Europe/Berlin", "2026-11-24T00:00", False),
        ("Mon Wed 08:00-09:00 Europe/Berlin", "2026-11-25T08:30", True),
        ("Mon Wed 08:00-09:00 Europe/Berlin", "2026-11-24T08:30", False),
        ("18:00-00:00 Europe/Berlin", "2026-11-24T23:59", True),
    ],
)
def test_holds(text: str, moment: str, holds: bool) -> None:
    assert Hours.parse(text).holds(at(moment)) is holds


def test_a_window_over_the_change_to_summer_time_is_an_hour_shorter() -> None:
    """2026-03-29, 02:00 becomes 03:00 in Berlin."""
    hours = Hours.parse("Sat 22:00-06:00 Europe/Berlin")
    start = at("2026-03-28T22:00")
    assert hours.next_change(start) - start == 7 * 3600


def test_times_that_the_clock_skips_are_the_moment_of_the_jump() -> None:
    jump = at("2026-03-29T03:00")
    early = Hours.parse("Sun 02:30-05:00 Europe/Berlin")
    assert early.next_change(jump - 1) == jump
    assert early.holds(jump)
    within = Hours.parse("Sun 02:10-02:50 Europe/Berlin")
    assert not any(within.holds(jump + seconds) for seconds in range(-3600, 3600, 60))
    assert within.next_change(jump) == at("2026-04-05T02:10")


def test_times_that_the_clock_shows_twice_count_the_first_time() -> None:
    """2026-10-25, 03:00 becomes 02:00 in Berlin."""
    hours = Hours.parse("Sun 02:15-02:45 Europe/Berlin")
    assert hours.holds(at("2026-10-25T02:30"))
    assert not hours.holds(at("2026-10-25T02:30", fold=1))
    across = Hours.parse("Sun 01:00-03:00 Europe/Berlin")
    assert across.next_change(at("2026-10-25T01:00")) == at("2026-10-25T01:00") + 3 * 3600


def test_what_always_holds_never_changes() -> None:
    hours = Hours.parse("Mon-Sun 00:00-24:00")
    assert hours.holds(1e9)
    assert hours.next_change(1e9) == float("inf")


def test_neighbouring_days_are_one_stretch() -> None:
    hours = Hours.parse("Sat-Sun Europe/Berlin")
    assert hours.next_change(at("2026-11-28T12:00")) == at("2026-11-30T00:00")


TEXTS = st.builds(
    lambda days, start, length, zone: " ".join([*days, f"{clock(start)}-{clock((start + length) % 1440)}", zone]),
    st.lists(st.sampled_from(DAYS), max_size=4),
    st.integers(0, 1439),
    st.integers(1, 1439),
    st.sampled_from(["", "UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@given(TEXTS)
def test_the_printed_form_is_read_as_the_same(text: str) -> None:
    hours = Hours.parse(text)
    again = Hours.parse(str(hours))
    assert (again.days, again.start, again.end, again.zone) == (hours.days, hours.start, hours.end, hours.zone)
    assert str(again) == str(hours)


@given(TEXTS, st.integers(int(at("2026-01-01T00:00")), int(at("2027-12-31T00:00"))))
def test_next_change_is_the_first_change(text: str, now: int) -> None:
    hours = Hours.parse(text)
    before = hours.holds(now)
    change = hours.next_change(now)
    assert change > now
    if change == float("inf"):
        change = now + timedelta(days=15).total_seconds()
    else:
        assert hours.holds(change) is not before
    steps = [now + (change - now) * i / 97 for i in range(97)]
    assert all(hours.holds(step) is before for step in [*steps, change - 0.5])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "neither days nor times"),
        ("Europe/Berlin", "neither days nor times"),
        ("Mon-Fri 7:00-19:00", "write them as 07:00-19:00"),
        ("Mon-Fri 07:00-25:00", "a day has 00:00-24:00"),
        ("Mon-Fri 07:60-19:00", "a day has 00:00-24:00"),
        ("Mon 07:00-07:00", "begin where they end"),
        ("Mon-Fry 07:00-08:00", "no range of days"),
        ("Moon 07:00-08:00", "'08:00'|after 'Moon'"),
        ("Mon 07:00-08:00 Europe/Berln", "did you mean 'Europe/Berlin'"),
        ("Mon 07:00-08:00 ../../etc/passwd", "neither a day nor a time zone"),
        ("Mon 07:00-08:00 Europe", "neither a day nor a time zone"),
        ("07:00-08:00 Mon", "before the times"),
        ("07:00-08:00 09:00-10:00", "write `or`"),
        ("Mon " * 100, "200 are the most"),
    ],
)
def test_what_is_malformed_gets_one_sentence(text: str, complaint: str) -> None:
    with pytest.raises(NotAcceptable, match=complaint):
        Hours.parse(text)
