"""What a queue has beside its messages: what feeds it, and what links hold that are away."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.queues.stock import Author
from bridgehead.core.entry import Entry


class Feed:
    """A Topic Filter whose messages come into the queue, and who bound it."""

    def __init__(self, topic_filter: str, author: Author) -> None:
        self.topic_filter: Final = topic_filter
        self.author: Final = author


class Holding:
    """What a durable link has acquired while it is away, until then."""

    def __init__(self, holder: str, until: float) -> None:
        self.holder: Final = holder
        self.until: float = until
        self.entries: dict[int, Entry] = {}
