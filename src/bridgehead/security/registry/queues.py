"""Queues of the hub's owner in the registry."""

from __future__ import annotations

import msgspec

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import QueueRecord, check_queue
from bridgehead.security.registry.base import QUEUE, RegistryBase


class RegistryQueues(RegistryBase):
    """Errors of every method: SecurityError; NotAcceptable for what cannot be put in or is not there."""

    def queue(self, name: str) -> QueueRecord | None:
        rows = self._database.rows("SELECT record FROM queues WHERE name = ?", name)
        return self._decode(rows[0][0], QueueRecord, name) if rows else None

    def queues(self) -> list[QueueRecord]:
        """All, by name."""
        rows = self._database.rows("SELECT name, record FROM queues ORDER BY name")
        return [self._decode(record, QueueRecord, str(name)) for name, record in rows]

    def existing_queue(self, name: str) -> QueueRecord:
        """As `queue`. Errors: NotAcceptable, naming what is nearest."""
        found = self.queue(name)
        if found is None:
            raise NotAcceptable(f"there is no queue {name!r}{self.nearest(QUEUE, name)}")
        return found

    def add_queue(self, queue: QueueRecord) -> None:
        with self.transaction():
            check_queue(queue)
            if self.queue(queue.name) is not None:
                raise NotAcceptable(
                    f"there is a queue {queue.name!r} already: change it with `queue set`, or take another name"
                )
            self._database.write("INSERT INTO queues VALUES (?, ?)", queue.name, msgspec.json.encode(queue))
            self._changed(QUEUE, queue.name)

    def update_queue(self, queue: QueueRecord) -> None:
        with self.transaction():
            check_queue(queue)
            self.existing_queue(queue.name)
            self._database.write("UPDATE queues SET record = ? WHERE name = ?", msgspec.json.encode(queue), queue.name)
            self._changed(QUEUE, queue.name)

    def remove_queue(self, name: str) -> QueueRecord:
        """Returns what it was."""
        with self.transaction():
            queue = self.existing_queue(name)
            self._database.write("DELETE FROM queues WHERE name = ?", name)
            self._changed(QUEUE, name)
            return queue
