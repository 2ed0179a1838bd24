"""What was published, what was delivered, and whether the one follows from the other."""

from __future__ import annotations

from collections import Counter
from typing import Final

from bridgehead.protocols.mqtt.codec.packets import Publish


class Published:
    """What one topic was sent: numbers from 1 on, in this order."""

    def __init__(self, topic: str, qos: int) -> None:
        self.topic: Final = topic
        self.qos: Final = qos
        self.last = 0


class Delivered:
    """What one subscriber got, by topic and in the order in which it came."""

    def __init__(self, name: str, qos: int) -> None:
        self.name: Final = name
        self.qos: Final = qos
        self.numbers: dict[str, list[int]] = {}

    def take(self, packet: Publish) -> None:
        number = int(packet.payload)
        numbers = self.numbers.setdefault(packet.topic, [])
        numbers.append(number)

    def count(self) -> int:
        return sum(len(numbers) for numbers in self.numbers.values())

    def faults(self, published: list[Published]) -> list[str]:
        """Sentences; none when everything arrived, in order, and once where both ends use QoS 2."""
        found: list[str] = []
        for each in published:
            numbers = self.numbers.get(each.topic, [])
            times = Counter(numbers)
            first = list(times)  # in the order of their first coming
            missing = [number for number in range(1, each.last + 1) if number not in times]
            if missing:
                found.append(f"{self.name} misses {len(missing)} of {each.topic}: {missing[:5]}")
            if first != sorted(first):
                found.append(f"{self.name} got {each.topic} out of order")
            if set(times) - set(range(1, each.last + 1)):
                found.append(f"{self.name} got of {each.topic} what was never sent")
            twice = [number for number, count in times.items() if count > 1]
            if twice and each.qos == 2 and self.qos == 2:
                found.append(f"{self.name} got {len(twice)} of {each.topic} more than once: {twice[:5]}")
        return found

    def is_whole(self, published: list[Published]) -> bool:
        return all(set(self.numbers.get(each.topic, [])) >= set(range(1, each.last + 1)) for each in published)

    def repetitions(self) -> int:
        return sum(len(numbers) - len(set(numbers)) for numbers in self.numbers.values())
