"""Days and hours within which a permission holds: "Mon-Fri 07:00-19:00 Europe/Berlin".

The window of a day begins and ends at wall-clock times of its zone, and is one unbroken stretch. Where the clocks are
changed: a time that the clock shows twice counts the first time, one that it skips counts as the moment of the jump.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from bridgehead.security.errors import NotAcceptable

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UTC_NAME: Final = "UTC"
_NUMBERS: Final = {name.lower(): number for number, name in enumerate(DAYS)}
_TIMES: Final = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_MINUTES: Final = 24 * 60
_LONGEST: Final = 200
_REMEMBERED: Final = 64  # days


class Hours:
    """`days`: 0 is Monday. `start` and `end` are minutes after midnight; an `end` not after `start` is the next day's.

    A window belongs to the day on which it begins.
    """

    def __init__(self, days: frozenset[int], start: int, end: int, zone: str) -> None:
        """Errors: NotAcceptable for a zone that this machine does not know."""
        self.days: Final = days
        self.start: Final = start
        self.end: Final = end
        self.zone: Final = zone
        self._zone: Final = _zone(zone)
        self._windows: dict[date, tuple[float, float]] = {}

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Days (`Mon-Fri`, `Sat`, several with spaces between; none: every day), times (`22:00-06:00`; none: all day),
        a zone (`Europe/Berlin`; none: UTC), in this order. Errors: NotAcceptable.
        """
        if len(text) > _LONGEST:
            raise NotAcceptable(f"hours are {len(text)} characters long, and {_LONGEST} are the most")
        days: set[int] = set()
        times: tuple[int, int] | None = None
        zone = ""
        for word in text.split():
            if zone:
                raise NotAcceptable(f"hours end with the zone: what is {word!r} after {zone!r}?")
            if word[0].isdigit():
                if times is not None:
                    raise NotAcceptable(f"{word!r} are second hours: write `or` between two windows")
                times = _times(word)
            elif (found := _days(word)) is not None:
                if times is not None:
                    raise NotAcceptable(f"write the day {word!r} before the times")
                days |= found
            else:
                zone = word
        if not days and times is None:
            raise NotAcceptable(f"hours {text!r} name neither days nor times: write them as {_EXAMPLE}")
        start, end = (0, _MINUTES) if times is None else times
        return cls(frozenset(days) or frozenset(range(7)), start, end, zone or UTC_NAME)

    def __str__(self) -> str:
        """In the one form that `parse` gives back the same from."""
        words = [] if len(self.days) == 7 else [_day_range(run) for run in _runs(self.days)]
        words.append(f"{_clock(self.start)}-{_clock(self.end)}")
        if self.zone != UTC_NAME:
            words.append(self.zone)
        return " ".join(words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hours) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def holds(self, now: float) -> bool:
        """`now`: seconds since the epoch. The window's start belongs to it, its end does not."""
        return any(start <= now < end for start, end in self._around(now, 0))

    def next_change(self, now: float) -> float:
        """The first moment after `now` at which `holds` gives another answer; infinity when there is none."""
        until: float | None = None
        for start, end in self._around(now, 9):
            if end <= now:
                continue
            if until is None:
                if start > now:
                    return start
                until = end
            elif start <= until:
                until = max(until, end)
            else:
                return until
        # Each day has its window: only one without any gap is as long as all that was looked at.
        return float("inf") if until is None or self._is_always() else until

    def _is_always(self) -> bool:
        return len(self.days) == 7 and (self.end - self.start) % _MINUTES == 0

    def _around(self, now: float, ahead: int) -> list[tuple[float, float]]:
        """The windows that begin between two days before `now` and `ahead` days after it, in their order. A window
        without length, within a jump of the clock, is none."""
        today = datetime.fromtimestamp(now, self._zone).date()
        found: list[tuple[float, float]] = []
        for offset in range(-2, ahead + 1):
            day = today + timedelta(days=offset)
            if day.weekday() in self.days:
                window = self._window(day)
                if window[0] < window[1]:
                    found.append(window)
        return found

    def _window(self, day: date) -> tuple[float, float]:
        known = self._windows.get(day)
        if known is None:
            end = self.end if self.end > self.start else self.end + _MINUTES
            known = self._moment(day, self.start), self._moment(day, end)
            if len(self._windows) >= _REMEMBERED:
                self._windows.clear()
            self._windows[day] = known
        return known

    def _moment(self, day: date, minutes: int) -> float:
        wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - made aware below
        aware = wall.replace(tzinfo=self._zone)  # fold=0: the first of two (PEP 495)
        moment = aware.timestamp()
        if datetime.fromtimestamp(moment, self._zone).replace(tzinfo=None) == wall:
            return moment
        # Skipped: the jump lies between the two readings of the time, and falls on a whole second.
        early, late = int(aware.replace(fold=1).timestamp()), int(moment)
        before = self._offset(early)
        while late - early > 1:
            middle = (early + late) // 2
            if self._offset(middle) == before:
                early = middle
            else:
                late = middle
        return float(late)

    def _offset(self, moment: int) -> timedelta | None:
        return datetime.fromtimestamp(moment, UTC).astimezone(self._zone).utcoffset()


_EXAMPLE: Final = "`Mon-Fri 07:00-19:00 Europe/Berlin`"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name, [*DAYS, *sorted(available_timezones())], n=1)
        raise NotAcceptable(
            f"{name!r} is neither a day nor a time zone" + (f": did you mean {near[0]!r}?" if near else f": {_EXAMPLE}")
        ) from None


def _days(word: str) -> set[int] | None:
    """None: no days at all."""
    first, dash, last = word.lower().partition("-")
    if first not in _NUMBERS:
        return None
    if not dash:
        return {_NUMBERS[first]}
    if last not in _NUMBERS:
        raise NotAcceptable(f"{word!r} is no range of days: write them as {' '.join(DAYS)}, a range as Mon-Fri")
    length = (_NUMBERS[last] - _NUMBERS[first]) % 7
    return {(_NUMBERS[first] + i) % 7 for i in range(length + 1)}


def _times(word: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(word)
    if found is None:
        raise NotAcceptable(f"{word!r} are no hours: write them as 07:00-19:00")
    hour, minute, last_hour, last_minute = (int(part) for part in found.groups())
    start, end = hour * 60 + minute, last_hour * 60 + last_minute
    if hour > 23 or minute > 59 or last_minute > 59 or end > _MINUTES:
        raise NotAcceptable(f"{word!r} are no hours: a day has 00:00-24:00")
    if start == end:
        raise NotAcceptable(f"the hours {word!r} begin where they end: the whole day is 00:00-24:00")
    if end == 0:
        end = _MINUTES
    return start, end


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _runs(days: frozenset[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _day_range(run: list[int]) -> str:
    return DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}"
