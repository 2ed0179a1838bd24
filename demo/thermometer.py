"""What this machine can tell about the temperature around it, and which part of it does.

In this order: a Raspberry Pi's 1-Wire sensor (DS18B20), an I2C or other sensor of the kernel's IIO subsystem, a
hardware monitor, a thermal zone; on a machine with none of them, a model of a room that the processor heats.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

SYS = Path("/sys")


class Thermometer(Protocol):
    """`source` names the sensor; `read` gives degrees Celsius."""

    source: str

    def read(self) -> float: ...


class FileThermometer:
    """A sensor that the kernel offers as a file."""

    def __init__(self, source: str, path: Path, convert: Callable[[str], float]) -> None:
        self.source = source
        self._path = path
        self._convert = convert

    def read(self) -> float:
        return self._convert(self._path.read_text())


class RoomModel:
    """A meeting room heated by this machine's processor, integrated over real time.

    dT/dt = load * WARMING - (T - OUTSIDE) / TIME_CONSTANT, in kelvin per second, with load between 0 and 1: a small
    room, and a clock that runs fast enough to see something in a minute.
    """

    OUTSIDE = 20.0
    WARMING = 0.25
    TIME_CONSTANT = 60.0
    source = "a room model heated by this machine's processor load (no sensor was found)"

    def __init__(self) -> None:
        self._temperature = 21.0
        self._at = time.monotonic()

    def read(self) -> float:
        now = time.monotonic()
        load = min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        seconds = now - self._at
        self._at = now
        change = load * self.WARMING - (self._temperature - self.OUTSIDE) / self.TIME_CONSTANT
        self._temperature += change * seconds
        return self._temperature


def _one_wire(text: str) -> float:
    checked, _, rest = text.partition("\n")
    if not checked.endswith("YES"):
        raise ValueError("the 1-Wire sensor's checksum is wrong")
    return int(rest.rpartition("t=")[2]) / 1000


def _milli(text: str) -> float:
    return int(text) / 1000


def find(root: Path = SYS) -> Thermometer:
    """The best thermometer that answers now."""
    candidates: list[FileThermometer] = []
    for path in sorted(root.glob("bus/w1/devices/28-*/w1_slave")):
        candidates.append(FileThermometer(f"the 1-Wire sensor {path.parent.name}", path, _one_wire))
    for path in sorted(root.glob("bus/iio/devices/*/in_temp_input")):
        candidates.append(FileThermometer(f"the IIO sensor {path.parent.name}", path, _milli))
    for path in sorted(root.glob("class/hwmon/hwmon*/temp1_input")):
        candidates.append(FileThermometer(f"the hardware monitor {path.parent.name}", path, _milli))
    for path in sorted(root.glob("class/thermal/thermal_zone*/temp")):
        candidates.append(FileThermometer(f"the thermal zone {path.parent.name}", path, _milli))
    for candidate in candidates:
        try:
            candidate.read()
        except (OSError, ValueError):
            continue
        return candidate
    return RoomModel()
