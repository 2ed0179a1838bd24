"""Sizes and rates as people write them: `4 KiB`, `10/s`, `64 KiB/s`. What is printed is read as the same number."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import Quota

_SIZES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PERIODS: Final = {"s": 1, "min": 60, "h": 3600}
_SIZE: Final = re.compile(r"([0-9]{1,12})([A-Za-z]*)")
_NUMBER: Final = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,320})?")
_LARGEST: Final = 268_435_455  # octets: the longest packet of MQTT (5.0 section 1.5.5)
_MOST: Final = 1e12


def size(text: str) -> int:
    """`text` without blanks: `4KiB`, `512B`, `512`. Errors: NotAcceptable."""
    found = _SIZE.fullmatch(text)
    unit = found.group(2) or "B" if found is not None else ""
    if found is None or unit not in _SIZES:
        raise NotAcceptable(f"{text!r} is no size: write it as 512 B, 4 KiB or 1 MiB")
    octets = int(found.group(1)) * _SIZES[unit]
    if octets > _LARGEST:
        raise NotAcceptable(f"the size {text!r} is beyond {_LARGEST} octets, the most that a message can have")
    return octets


def size_text(octets: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if octets and octets % _SIZES[unit] == 0:
            return f"{octets // _SIZES[unit]} {unit}"
    return f"{octets} B"


def rate(text: str) -> float:
    """`text` without blanks: `10/s`, `0.5/s`, `30/min`, `100/h`; per second. Errors: NotAcceptable."""
    number, slash, period = text.partition("/")
    if not slash or period not in _PERIODS or _NUMBER.fullmatch(number) is None:
        raise NotAcceptable(f"{text!r} is no rate: write it as 10/s, 30/min or 100/h")
    return _positive(float(number) / _PERIODS[period], text)


def rate_text(per_second: float) -> str:
    for period, seconds in _PERIODS.items():
        whole = round(per_second * seconds)
        if 0 < whole < _MOST and whole / seconds == per_second:
            return f"{whole}/{period}"
    return f"{Decimal(repr(per_second)):f}/s"


def quota(words: list[str]) -> Quota:
    """`100 messages/s`, `64 KiB/s` or both, in words. Errors: NotAcceptable."""
    messages: float | None = None
    octets: float | None = None
    if not words or len(words) % 2:
        raise NotAcceptable("a quota is written as `quota 100 messages/s 64 KiB/s`, or one of both")
    for number, unit in zip(words[::2], words[1::2], strict=True):
        what, _, period = unit.partition("/")
        if what == "messages" and messages is None:
            messages = rate(f"{number}/{period}")
        elif what in _SIZES and octets is None and period in _PERIODS and _NUMBER.fullmatch(number) is not None:
            octets = _positive(float(number) * _SIZES[what] / _PERIODS[period], f"{number} {unit}")
        else:
            raise NotAcceptable(
                f"`{number} {unit}` is no quota: write it as `quota 100 messages/s 64 KiB/s`, or one of both"
            )
    return Quota(messages, octets)


def quota_text(of: Quota) -> str:
    words = []
    if of.messages is not None:
        number, _, period = rate_text(of.messages).partition("/")
        words.append(f"{number} messages/{period}")
    if of.octets is not None:
        words.append(_octet_rate_text(of.octets))
    return " ".join(words)


def _octet_rate_text(per_second: float) -> str:
    for period, seconds in _PERIODS.items():
        for unit in ("GiB", "MiB", "KiB", "B"):
            whole = round(per_second * seconds / _SIZES[unit])
            if 0 < whole < _MOST and whole * _SIZES[unit] / seconds == per_second:
                return f"{whole} {unit}/{period}"
    return f"{Decimal(repr(per_second)):f} B/s"


def _positive(value: float, text: str) -> float:
    if not 0 < value <= _MOST:
        raise NotAcceptable(f"{text!r} permits nothing or has no bound: write a number above 0, or a denial")
    return value
