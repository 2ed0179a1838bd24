"""Events to log lines: text for people, JSON for programs; no secrets, no floods, nothing a peer can forge."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Final

from bridgehead.node.configuration import Log
from bridgehead.node.vocabulary import DEFECT, LINES_LOST, SUPPRESSED, UNKNOWN, VOCABULARY, WINDOW
from bridgehead.security.audit.fields import LONGEST_SENTENCE, clean, cut
from bridgehead.security.audit.log import AuditLog, source_of
from bridgehead.security.audit.throttle import Throttle

_COLOURS: Final = {logging.DEBUG: "2", logging.INFO: "32", logging.WARNING: "33", logging.ERROR: "31"}
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_EVENT: Final = "bridgehead_event"
_FIELDS: Final = "bridgehead_fields"


class EventLog:
    """The sink for events, `log(name, fields)`, over a handler of the standard library's logging.

    What other libraries log (asyncio's complaints) goes the same way. `tick` is to be called about once a second.
    """

    def __init__(self, settings: Log, clock: Callable[[], float] = time.time) -> None:
        """Errors: OSError when the log file cannot be opened."""
        self._clock: Final = clock
        self._throttle: Final = Throttle(WINDOW)
        self._logger: Final = logging.getLogger("bridgehead")
        self._root: Final = logging.getLogger()
        self._handler = _make_handler(settings)
        self._install(settings)
        self.audit: AuditLog | None = None
        self.listeners: list[Callable[[str, Mapping[str, object]], None]] = []  # told each event, in its own thread

    def __call__(self, name: str, fields: Mapping[str, object]) -> None:
        """Keep the event in the log, and in the audit log if it is of those that belong there."""
        if self.audit is not None:
            self.audit.record(name, fields)
        self.write(name, fields)
        for each in self.listeners:
            each(name, fields)

    def is_audited(self, seconds: float) -> bool:
        """Whether all events so far that belong into the audit log are on disk there; waits for so many seconds. Not
        for the event loop's thread."""
        return self.audit is None or self.audit.flush(seconds)

    def write(self, name: str, fields: Mapping[str, object]) -> None:
        """Into the log alone."""
        entry = VOCABULARY.get(name, UNKNOWN)
        if not self._logger.isEnabledFor(entry.level):
            return
        now = self._clock()
        self._report_suppressed(now)
        if self._throttle.admit(name, source_of(fields), entry.quota, now):
            self._write(entry.level, name, fields)

    def is_on_standard_error(self, name: str) -> bool:
        """Whether people at the terminal see the event: the log goes there, and its level lets it through."""
        level = VOCABULARY.get(name, UNKNOWN).level
        return self._handler.stream is sys.stderr and self._logger.isEnabledFor(level)

    def tick(self) -> None:
        """Report what was left out in windows that are over, and lines that the disk did not take."""
        if self.audit is not None:
            self.audit.tick()
        self._report_suppressed(self._clock())
        if self._handler.lost:
            lost, self._handler.lost = self._handler.lost, 0
            self._write(logging.WARNING, LINES_LOST, {"count": lost})

    def reconfigure(self, settings: Log) -> None:
        """Other level, format or file; the file is opened anew in any case (it may have been rotated away).

        Errors: OSError; then everything stays as it was.
        """
        handler = _make_handler(settings)
        self._uninstall()
        self._handler = handler
        self._install(settings)

    def close(self) -> None:
        self._report_suppressed(float("inf"))
        self._uninstall()

    def admits_record(self, record: logging.LogRecord) -> bool:
        """Whether a record of another library may be written."""
        if hasattr(record, _EVENT):
            return True
        now = self._clock()
        self._report_suppressed(now)
        return self._throttle.admit(record.name, "", VOCABULARY[DEFECT].quota, now)

    def _install(self, settings: Log) -> None:
        self._handler.addFilter(self.admits_record)
        self._root.addHandler(self._handler)
        level = _LEVELS[settings.level]
        self._logger.setLevel(level)
        self._root.setLevel(max(level, logging.WARNING))

    def _uninstall(self) -> None:
        self._root.removeHandler(self._handler)
        self._handler.close()

    def _report_suppressed(self, now: float) -> None:
        for event, count in self._throttle.due(now):
            because = f"{count} more of {event} within {WINDOW:.0f} s were not written one by one"
            self._write(logging.WARNING, SUPPRESSED, {"of": event, "count": count, "because": because})

    def _write(self, level: int, name: str, fields: Mapping[str, object]) -> None:
        self._logger.log(level, "%s", name, extra={_EVENT: name, _FIELDS: fields})


class _Handler(logging.StreamHandler[IO[str]]):
    """Writes to a stream; what the stream does not take is counted, not raised: a full disk must not stop the hub."""

    def __init__(self, stream: IO[str], owned: bool) -> None:
        super().__init__(stream)
        self._owned: Final = owned
        self.lost = 0

    def handleError(self, record: logging.LogRecord) -> None:
        self.lost += 1

    def close(self) -> None:
        super().close()
        if self._owned:
            try:
                self.stream.close()
            except OSError:
                self.lost += 1


def _make_handler(settings: Log) -> _Handler:
    stream: IO[str] = sys.stderr
    if settings.file:
        descriptor = os.open(
            settings.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        stream = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
    terminal = stream.isatty()
    as_text = settings.format == "text" or (settings.format == "auto" and terminal)
    handler = _Handler(stream, owned=bool(settings.file))
    handler.setFormatter(TextFormatter(terminal and "NO_COLOR" not in os.environ) if as_text else JsonFormatter())
    return handler


class TextFormatter(logging.Formatter):
    """`2026-11-22T16:00:00.000Z warning publish.denied principal=sensor-7 topic=a/b: no permission ...`"""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour: Final = colour

    def format(self, record: logging.LogRecord) -> str:
        name, fields = _event_of(record)
        because = fields.pop("because", "")
        trace = str(fields.pop("traceback", ""))
        pairs = "".join(f" {key}={word(value)}" for key, value in fields.items())
        sentence = f": {plain(str(because))}" if because else ""
        level = record.levelname.lower()
        if self._colour:
            level = f"\x1b[{_COLOURS.get(record.levelno, '31')}m{level}\x1b[0m"
        lines = [f"{_timestamp(record)} {level} {name}{pairs}{sentence}"]
        lines += [f"    {plain(line)}" for line in trace.splitlines()]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: time, level, event, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        name, fields = _event_of(record)
        line: dict[str, object] = {"time": _timestamp(record), "level": record.levelname.lower(), "event": name}
        return json.dumps(line | {key: value for key, value in fields.items() if key not in line})


def _event_of(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """The event's name and its fields, clean; a record of another library as a `node.defect`."""
    name = getattr(record, _EVENT, None)
    if isinstance(name, str):
        return name, clean(getattr(record, _FIELDS, {}))
    fields: dict[str, object] = {"logger": record.name, "because": cut(record.getMessage(), LONGEST_SENTENCE)}
    if record.exc_info and record.exc_info[0]:
        fields["traceback"] = "".join(traceback.format_exception(*record.exc_info))
    return DEFECT, fields


def plain(text: str) -> str:
    """Printable as it is; else with escapes, so that no peer writes control characters or lines of its own."""
    return text if text.isprintable() else json.dumps(text)[1:-1].replace('\\"', '"')


def word(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if value and value.isprintable() and not any(character in value for character in ' "='):
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
