"""What the parts of the registry stand on: the database, the list of changes, records as they are stored."""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from bridgehead.security.errors import SecurityError
from bridgehead.security.records import Device, Group, Policy, QueueRecord, Role
from bridgehead.security.registry.database import BUSY_SECONDS, Database

DEVICE: Final = "device"
ROLE: Final = "role"
GROUP: Final = "group"
POLICY: Final = "policy"
QUEUE: Final = "queue"
_CHANGES_KEPT: Final = 10_000

# The tables that `nearest` looks for names in, by the kind of record.
_NAMES: Final = {
    DEVICE: "SELECT name FROM devices LIMIT 10000",
    ROLE: "SELECT name FROM roles LIMIT 10000",
    GROUP: "SELECT name FROM groups LIMIT 10000",
    QUEUE: "SELECT name FROM queues LIMIT 10000",
}

_Record = TypeVar("_Record", Device, Role, Group, Policy, QueueRecord)


class Change:
    """`kind` is DEVICE, ROLE, GROUP, POLICY or QUEUE: the record `name` was added, changed or removed. The policy's
    name is empty."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind: Final = kind
        self.name: Final = name


class RegistryBase:
    """Errors of every method: SecurityError."""

    def __init__(self, data: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        """Opens, and makes or migrates the database at need; makes the data folder too."""
        self._database: Final = Database(data, busy_seconds)
        self.path: Final = self._database.path

    def close(self) -> None:
        self._database.close()

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Reads and writes inside of it are one step: all or nothing, and no other writer between them."""
        return self._database.transaction()

    def version(self) -> tuple[int, int]:
        """Differs after every commit of whichever process. Costs microseconds: it may be asked at any time."""
        return self._database.version()

    def change_number(self) -> int:
        """The number of the last change, for `changes`."""
        return integer(self._database.rows("SELECT coalesce(max(number), 0) FROM changes")[0][0])

    def changes(self, after: int) -> tuple[int, list[Change] | None]:
        """(number of the last change, changes after number `after` in order). None: too many to tell, read all."""
        oldest, newest = self._database.rows("SELECT coalesce(min(number), 1), coalesce(max(number), 0) FROM changes")[
            0
        ]
        if after < integer(oldest) - 1 or after > integer(newest):
            return integer(newest), None
        rows = self._database.rows("SELECT number, kind, name FROM changes WHERE number > ? ORDER BY number", after)
        last = integer(rows[-1][0]) if rows else after
        return last, [Change(str(kind), str(name)) for _, kind, name in rows]

    def nearest(self, kind: str, name: str) -> str:
        """The end of the sentence that `name` is unknown: what may have been meant, or where to look."""
        near = difflib.get_close_matches(name[:80], [str(row[0]) for row in self._database.rows(_NAMES[kind])], n=1)
        return f": did you mean {near[0]!r}?" if near else f": `bridgehead {kind} list` shows them"

    def _changed(self, kind: str, name: str) -> None:
        self._database.write("INSERT INTO changes (kind, name) VALUES (?, ?)", kind, name)
        self._database.write("DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - ?", _CHANGES_KEPT)

    def _decode(self, record: object, kind: type[_Record], name: str) -> _Record:
        assert isinstance(record, bytes)
        try:
            return msgspec.json.decode(record, type=kind)
        except msgspec.MsgspecError:  # its text may hold values of the record
            raise SecurityError(
                f"the record of {f'{_called(kind)} {name!r}' if name else 'the policy'} in {self.path} "
                "is damaged, or a newer Bridgehead's: restore the file from a backup, or update"
            ) from None


def _called(kind: type) -> str:
    return kind.__name__.removesuffix("Record").lower()


def integer(value: object) -> int:
    assert isinstance(value, int)
    return value


def number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
