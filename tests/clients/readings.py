"""The office's temperature of a year, hour by hour; the recorded ones where they are at hand."""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

# A public recording that is not part of the project; it may lie beside the checkout.
RECORDED: Final = Path(__file__).resolve().parents[3] / "shared" / "data" / "office_temperature.csv"
COUNT: Final = 7267


def readings() -> list[str]:
    """`timestamp,value` of each, in the order of time: recorded, else a series of the same shape and length."""
    if RECORDED.exists():
        with RECORDED.open(newline="") as file:
            return [f"{row['timestamp']},{row['value']}" for row in csv.DictReader(file)]
    return made_up()


def made_up() -> list[str]:
    """Degrees Fahrenheit with a day's and a year's swing and a ripple that repeats never."""
    began = datetime(2013, 7, 4, tzinfo=UTC)
    lines: list[str] = []
    for hour in range(COUNT):
        day = 3 * math.sin(math.tau * (hour % 24 - 9) / 24)
        year = 2 * math.cos(math.tau * hour / 8766)
        ripple = 0.8 * math.sin(hour * math.sqrt(2)) + 0.5 * math.sin(hour * math.sqrt(3))
        moment = began + timedelta(hours=hour)
        lines.append(f"{moment:%Y-%m-%d %H:%M:%S},{70.5 + day + year + ripple:.8f}")
    return lines
