"""An audit log under a clock of its own, and the hands of somebody who touches its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bridgehead.security.audit.folder import FOLDER, file_name
from bridgehead.security.audit.journal import Journal
from bridgehead.security.audit.settings import COMMAND_RULES, Rules
from bridgehead.security.audit.verify import Report, verify

NOON = 1_795_000_000.0
EVENT = "authentication.accepted"


class Time:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Chain:
    """A journal in `folder`/data; `write` adds log-ins that are numbered from 0."""

    def __init__(self, folder: Path, rules: Rules = COMMAND_RULES) -> None:
        self.data = folder / "data"
        self.folder = self.data / FOLDER
        self.time = Time()
        self.rules = rules
        self.journal = Journal(self.data, rules, self.time)
        self._count = 0

    def write(self, count: int = 1) -> list[bytes]:
        first = self._count
        self._count += count
        fields = [{"principal": f"sensor-{number}"} for number in range(first, first + count)]
        return self.journal.append([(self.time.now, EVENT, each) for each in fields])

    def reopen(self) -> None:
        self.journal = Journal(self.data, self.rules, self.time)

    def path(self, number: int = 1) -> Path:
        return self.folder / file_name(number)

    def lines(self, number: int = 1) -> list[bytes]:
        return self.path(number).read_bytes().splitlines(keepends=True)

    def contents(self, number: int = 1) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines(number)]

    def events(self, number: int = 1) -> list[object]:
        return [content["event"] for content in self.contents(number)]

    def rewrite(self, change: Callable[[list[bytes]], list[bytes]], number: int = 1) -> None:
        self.path(number).write_bytes(b"".join(change(self.lines(number))))

    def report(self) -> Report:
        return verify(self.folder)

    def findings(self) -> list[tuple[str, int]]:
        """(file, line) of each."""
        return [(finding.file, finding.line) for finding in self.report().findings]
