"""What Cyclone DDS writes to its own log, told to the event loop. One sink for the process: Cyclone has one too.

Cyclone has no logging plug-in (DDS Security 1.1 section 8.6): what its authentication and access control refuse stands
in its log, and nowhere else. Its threads call the sink with a lock held, so it only takes the line.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import cffi

from bridgehead.protocols.dds.cyclone import library_path

# dds/ddsrt/log.h of 0.10. `domain` is never filled in there: it stands in the header before the message.
_DECLARATIONS: Final = """
typedef struct {
  uint32_t priority; uint32_t domain; const char *file; uint32_t line; const char *function; const char *message;
  size_t size; size_t header;
} log_data_t;
typedef void (*log_sink_t)(void *, const log_data_t *);
void dds_set_log_sink(log_sink_t sink, void *argument);
"""
FATAL: Final = 1  # DDS_LC_FATAL, and so on
ERROR: Final = 2
WARNING: Final = 4
_SECURITY: Final = re.compile(r"security|handshake|authentication|access_control", re.IGNORECASE)
_DOMAIN: Final = re.compile(rb"\[(\d+)\]")
_CODE: Final = re.compile(r"\s*\(code: \d+\)$")
_LONGEST: Final = 500  # characters of a line that are kept
_WAITING: Final = 1000  # lines that wait for the event loop; more are counted


class LogLine:
    """`domain` is -1 for none. `about_security`: it comes from what authenticates, permits or encrypts."""

    def __init__(self, domain: int, priority: int, text: str, about_security: bool) -> None:
        self.domain: Final = domain
        self.priority: Final = priority
        self.text: Final = text
        self.about_security: Final = about_security

    def __repr__(self) -> str:
        return f"LogLine({self.domain}, {self.priority}, {self.text!r})"


class LogSink:
    """`heard` is called in the loop's thread, with `lost` lines that there was no room for before this one. Until
    `close`, nothing of Cyclone's log goes to standard error."""

    def __init__(self, loop: asyncio.AbstractEventLoop, heard: Callable[[LogLine, int], None]) -> None:
        self._loop: Final = loop
        self._heard: Final = heard
        self._lines: Final[deque[LogLine]] = deque()
        self._lost = 0
        self._scheduled = False
        declared, lib = _interface()
        self._callback: Final = declared.callback("log_sink_t", self._on_line)
        lib.dds_set_log_sink(self._callback, declared.NULL)

    def close(self) -> None:
        """Nothing is heard any more when this returns: Cyclone waits for threads that are just telling."""
        declared, lib = _interface()
        lib.dds_set_log_sink(declared.NULL, declared.NULL)

    def _on_line(self, _argument: object, data: Any) -> None:
        """In a thread of Cyclone's."""
        if len(self._lines) >= _WAITING:
            self._lost += 1
            return
        self._lines.append(_read(data))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._scheduled = False
        while self._lines:
            lost, self._lost = self._lost, 0
            self._heard(self._lines.popleft(), lost)


def _read(data: Any) -> LogLine:
    declared, _ = _interface()
    header = bytes(declared.buffer(data.message - data.header, data.header))
    found = _DOMAIN.search(header)
    text = bytes(declared.buffer(data.message, min(data.size, 4 * _LONGEST))).decode("utf-8", "replace")
    # A peer's certificate may have lent words to it.
    shown = _CODE.sub("", "".join(each if each.isprintable() else " " for each in text).strip())
    source = declared.string(data.file).decode("utf-8", "replace").rpartition("/")[2] if data.file else ""
    about_security = _SECURITY.search(source) is not None or "secure participant" in shown
    return LogLine(int(found[1]) if found else -1, data.priority, shown[:_LONGEST], about_security)


@cache
def _interface() -> tuple[Any, Any]:
    declared = cffi.FFI()
    declared.cdef(_DECLARATIONS)
    return declared, declared.dlopen(library_path())
