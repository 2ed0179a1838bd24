"""What a server on this machine costs: CPU time and memory of a process and its children, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


class NoSuchProcess(Exception):
    """The process does not run (any more), or is not ours to look at."""


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name, which may hold blanks: [0] is field 3, the state."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError as error:
        raise NoSuchProcess(f"no process {pid} to measure ({error.strerror})") from error
    return text[text.rindex(")") + 2 :].split()


def family(pids: Iterable[int]) -> list[int]:
    """These processes and all that descend from them, each once."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int(stat_fields(int(entry.name))[1])
        except NoSuchProcess:
            continue  # it ended while we were looking
        children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.append(pid)
            waiting.extend(children.get(pid, ()))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of all threads of these processes so far, in seconds (resolution: the kernel's tick, 10 ms).

    Children are found anew at each call: one that starts between two calls counts whole, one that ends is lost.
    """
    ticks = 0
    for pid in family(pids):
        fields = stat_fields(pid)
        ticks += int(fields[11]) + int(fields[12])  # proc(5): utime (14), stime (15)
    return ticks / TICKS


def resident_octets(pids: Iterable[int]) -> int:
    """Resident memory of these processes and their children (VmRSS), in octets."""
    octets = 0
    for pid in family(pids):
        try:
            status = (PROC / str(pid) / "status").read_text()
        except OSError as error:
            raise NoSuchProcess(f"no process {pid} to measure ({error.strerror})") from error
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                octets += int(line.split()[1]) * 1024
    return octets
