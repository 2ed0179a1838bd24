"""How lines of the audit log are chosen and shown."""

from __future__ import annotations

import fnmatch
import json
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from bridgehead.cli.main import USAGE, CommandError
from bridgehead.node.log import plain, word
from bridgehead.security.audit.line import timestamp

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAMES: Final = ("principal", "claimed", "device", "name")  # under which a line names a device
_LEFT_OUT: Final = ("n", "time", "kind", "event", "hash", "because")


class Choice:
    """Which lines are wanted. `device` is a name; `event` and `kind` may hold `*`; `since` is a line's time."""

    def __init__(self, device: str, events: Iterable[str], kinds: Iterable[str], since: str) -> None:
        self._device: Final = device
        self._events: Final = tuple(events)
        self._kinds: Final = tuple(kinds)
        self._since: Final = since

    def wants(self, content: dict[str, object]) -> bool:
        if self._device and not any(content.get(key) == self._device for key in _NAMES):
            return False
        if self._events and not _matches(str(content.get("event", "")), self._events):
            return False
        if self._kinds and not _matches(str(content.get("kind", "")), self._kinds):
            return False
        return str(content.get("time", "")) >= self._since


def since_of(text: str, now: float | None = None) -> str:
    """`30m`, `2h`, `7d` ago, or a date and time of ISO 8601 (UTC unless it says otherwise), as lines write it.

    Errors: CommandError.
    """
    if not text:
        return ""
    if ago := _AGO.fullmatch(text.strip()):
        return timestamp((time.time() if now is None else now) - float(ago[1]) * _UNITS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
        return timestamp((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, OSError):
        raise CommandError(f"--since {text!r} is no time: write 30m, 2h, 7d or 2026-11-22T16:00:00", USAGE) from None


def content_of(line: bytes) -> dict[str, object] | None:
    """What a line says; None: it is none, which `log verify` tells more of."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def sentence_of(content: dict[str, object]) -> str:
    """One line for people. Nothing in it can move the cursor or begin a line."""
    pairs = "".join(
        f" {plain(key)}={word(value)}" for key, value in content.items() if key not in _LEFT_OUT and value != ""
    )
    because = content.get("because")
    ending = f": {plain(str(because))}" if because else ""
    head = " ".join(plain(str(content.get(key, "?"))) for key in ("n", "time", "kind", "event"))
    return head + pairs + ending


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)
