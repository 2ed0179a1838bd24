"""The instances of a topic that the hub knows (DDS 1.4 section 2.2.2.5.1.3), bounded."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.dds.session.sources import Source


class Instance:
    """`topic` is the hub's; `source` wrote it last. `keys` are the key fields as JSON, b"" where nobody asks."""

    def __init__(self, topic: str, source: Source, keys: bytes) -> None:
        self.topic: Final = topic
        self.keys: Final = keys
        self.source = source
        self.owner: Source | None = None  # of exclusive ownership, once it was told


class Instances:
    """By Cyclone's handle, which is one and the same key's as long as the reader lives. A living one is never forgotten
    for a new one: a flood of new ones finds no room."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._by_handle: dict[int, Instance] = {}
        self._last: dict[str, int] = {}  # by topic, where several instances share one: the one that wrote last

    def __len__(self) -> int:
        return len(self._by_handle)

    @property
    def is_full(self) -> bool:
        return len(self._by_handle) >= self._most

    def get(self, handle: int) -> Instance | None:
        return self._by_handle.get(handle)

    def add(self, handle: int, instance: Instance) -> None:
        self._by_handle[handle] = instance

    def remove(self, handle: int) -> None:
        """Nothing happens where there is none."""
        instance = self._by_handle.pop(handle, None)
        if instance is not None and self._last.get(instance.topic) == handle:
            del self._last[instance.topic]

    def wrote(self, handle: int, topic: str) -> None:
        """What the topic's retained message is of."""
        self._last[topic] = handle

    def speaks(self, handle: int, topic: str) -> bool:
        """Whether no other instance has written to the topic since."""
        return self._last.get(topic, handle) == handle

    def clear(self) -> None:
        """The reader is another one: its handles begin anew."""
        self._by_handle.clear()
        self._last.clear()
