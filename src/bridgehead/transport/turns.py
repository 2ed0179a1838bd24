"""Whose turn it is among those who wait, so that one network with many cannot keep out another with one."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Items that wait, each for a network. Networks take turns; within one it is first come, first served."""

    def __init__(self) -> None:
        self._queues: Final[dict[str, dict[Item, None]]] = {}  # in the order of turns
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, network: str, item: Item) -> None:
        self._queues.setdefault(network, {})[item] = None
        self._count += 1

    def discard(self, network: str, item: Item) -> None:
        queue = self._queues.get(network)
        if queue is None or item not in queue:
            return
        del queue[item]
        self._count -= 1
        if not queue:
            del self._queues[network]

    def take(self) -> Item:
        """The next one; its network is then the last to have another turn. KeyError when nobody waits."""
        network, queue = next(iter(self._queues.items()), ("", None))
        if queue is None:
            raise KeyError("nobody waits")
        del self._queues[network]
        item = next(iter(queue))
        del queue[item]
        self._count -= 1
        if queue:
            self._queues[network] = queue
        return item
