"""Cyclone's log as the hub's events: what is about security, and the rest."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

from bridgehead.protocols.dds import binding
from bridgehead.protocols.dds.events import LIBRARY_SAID, SECURITY_SAID
from bridgehead.protocols.dds.log_sink import LogLine, LogSink

_AGAIN: Final = 60.0  # seconds after which the same words are told again: a peer tries a handshake each second
_REMEMBERED: Final = 256


class Listening:
    """Until `close`. Where there is no library there is nothing to hear."""

    def __init__(self, loop: asyncio.AbstractEventLoop, event: Callable[[str, dict[str, object]], None]) -> None:
        self._event: Final = event
        self._told: Final[OrderedDict[tuple[int, str], float]] = OrderedDict()
        self._sink: Final = None if binding.missing() else LogSink(loop, self._on_line)

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()

    def _on_line(self, line: LogLine, lost: int) -> None:
        now = monotonic()
        key = (line.domain, line.text)
        if now - self._told.get(key, -_AGAIN) < _AGAIN:
            return
        self._told[key] = now
        self._told.move_to_end(key)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        fields: dict[str, object] = {"because": line.text}
        if line.domain >= 0:
            fields["domain"] = line.domain
        if lost:
            fields["lost"] = lost
        self._event(SECURITY_SAID if line.about_security else LIBRARY_SAID, fields)
