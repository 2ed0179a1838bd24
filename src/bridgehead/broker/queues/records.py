"""How queues and their entries are written as records (MessagePack arrays), and read again."""

from __future__ import annotations

from typing import Any, Final

from bridgehead.broker import records
from bridgehead.broker.queues.settings import DeadLetter, QueueSettings
from bridgehead.broker.queues.stock import Author
from bridgehead.core.entry import Death, Entry
from bridgehead.core.message import NEVER


class QueueRecord:
    """`feeds` are Topic Filters with who bound them. `unsent_from` is the number from which on nothing was ever
    delivered, 0 while that changes."""

    def __init__(
        self,
        number: int,
        settings: QueueSettings,
        author: Author,
        feeds: list[tuple[str, Author]],
        unsent_from: int,
        administrators: bool,
    ) -> None:
        self.number: Final = number
        self.settings: Final = settings
        self.author: Final = author
        self.feeds: Final = feeds
        self.unsent_from: Final = unsent_from
        self.administrators: Final = administrators


def _write_author(author: Author) -> tuple[object, ...]:
    return (author.name, author.created, records.write_context(author.context))


def _read_author(fields: Any) -> Author:
    name, created, context = fields
    return Author(str(name), float(created), records.read_context(context))


def write_queue(queue: QueueRecord) -> bytes:
    settings = queue.settings
    letter = settings.dead_letter
    return records.write(
        (
            queue.number,
            (
                settings.auto_delete,
                settings.message_ttl,
                settings.expires,
                settings.max_messages,
                settings.max_octets,
                settings.overflow,
                None if letter is None else letter.fields(),
                settings.max_priority,
                settings.max_deliveries,
                settings.single_active,
            ),
            _write_author(queue.author),
            [(topic_filter, _write_author(author)) for topic_filter, author in queue.feeds],
            queue.unsent_from,
            queue.administrators,
        )
    )


def read_queue(record: bytes) -> QueueRecord:
    """A queue that is kept is durable, and nobody's own."""
    number, fields, author, feeds, unsent_from, administrators = records.read(record, "queue", 6)
    auto_delete, ttl, expires, messages, octets, overflow, letter, priority, deliveries, single = fields
    dead_letter = None if letter is None else DeadLetter(*letter)
    return QueueRecord(
        number,
        QueueSettings(
            True, "", auto_delete, ttl, expires, messages, octets, overflow, dead_letter, priority, deliveries, single
        ),
        _read_author(author),
        [(str(topic_filter), _read_author(binder)) for topic_filter, binder in feeds],
        unsent_from,
        bool(administrators),
    )


def write_entry(entry: Entry) -> bytes:
    deaths = [
        (death.queue, death.reason, death.count, death.at, death.exchange, death.routing_keys) for death in entry.deaths
    ]
    expires_at = None if entry.expires_at == NEVER else entry.expires_at
    return records.write((records.write_message(entry.message), expires_at, deaths, entry.exchange, entry.routing_key))


def read_entry(sequence: int, record: bytes) -> Entry:
    message, expires_at, deaths, exchange, routing_key = records.read(record, "entry of a queue", 5)
    entry = Entry(sequence, records.read_message(message))
    entry.expires_at = NEVER if expires_at is None else expires_at
    found: list[Death] = []
    for queue, reason, count, at, through, keys in deaths:
        found.append(Death(queue, reason, count, at, through, tuple([str(key) for key in keys])))
    entry.deaths = tuple(found)
    entry.exchange = exchange
    entry.routing_key = routing_key
    entry.lasts = True
    entry.weight = entry.message.weight
    return entry


def write_mark(entry: Entry) -> bytes:
    """What has become of it since it was put there."""
    return records.write((entry.deliveries, entry.annotations))


def read_mark(record: bytes, entry: Entry) -> None:
    deliveries, annotations = records.read(record, "mark of an entry", 2)
    entry.deliveries = int(deliveries)
    entry.annotations = None if annotations is None else bytes(annotations)
    if entry.annotations is not None:
        entry.weight += len(entry.annotations)


def write_holding(holder: str, lasting: float) -> bytes:
    """The key of the link that has acquired it, and how long that lasts while the link is away, in seconds."""
    return records.write((holder, None if lasting == NEVER else lasting))


def read_holding(record: bytes) -> tuple[str, float]:
    holder, lasting = records.read(record, "acquisition", 2)
    return str(holder), NEVER if lasting is None else float(lasting)
