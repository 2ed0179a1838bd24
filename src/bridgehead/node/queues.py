"""The queues of the hub's owner (`bridgehead queue`), kept in step with the registry while the hub runs."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.queues.settings import DeadLetter, QueueSettings
from bridgehead.core.errors import Refusal
from bridgehead.node.vocabulary import QUEUE_NOT_APPLIED
from bridgehead.security.records import QueueRecord
from bridgehead.security.registry.registry import Registry


class OwnersQueues:
    """Costs microseconds when nothing has changed. Errors of `follow`: SecurityError."""

    def __init__(self, registry: Registry, broker: Broker) -> None:
        self._registry: Final = registry
        self._broker: Final = broker
        self._version: tuple[int, int] | None = None
        self._applied: dict[str, QueueRecord] | None = None  # None: not looked yet, and the store may have others

    def follow(self) -> None:
        """Have exactly the queues that the registry says, beside those that clients declared."""
        version = self._registry.version()
        if version == self._version:
            return
        wanted = {record.name: record for record in self._registry.queues()}
        self._version = version
        if wanted == self._applied:
            return
        before = self._applied or {}
        queues = self._broker.queues
        for queue in queues.all():
            if queue.administrators and queue.name not in wanted:
                queues.remove(queue.name)
        for name, record in wanted.items():
            if before.get(name) != record:
                self._apply(record)
        self._applied = wanted

    def _apply(self, record: QueueRecord) -> None:
        queues = self._broker.queues
        try:
            queue = queues.establish(record.name, settings_of(record))
            queues.feed(queue, list(record.feeds))
        except Refusal as refusal:
            # It stays as it was: what a client declared under the name, or with other limits, is not thrown away.
            self._broker.event(QUEUE_NOT_APPLIED, {"queue": record.name, "because": refusal.because})


def settings_of(record: QueueRecord) -> QueueSettings:
    """The record in the broker's terms."""
    return QueueSettings(
        durable=record.durable,
        message_ttl=record.message_ttl or None,
        max_messages=record.max_messages or None,
        max_octets=record.max_octets or None,
        overflow=record.overflow,
        dead_letter=DeadLetter(queue=record.dead_letter) if record.dead_letter else None,
        max_priority=record.max_priority,
        max_deliveries=record.max_deliveries,
        single_active=record.single_active,
    )
