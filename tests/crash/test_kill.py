"""kill -9 of the real hub under QoS 1 and 2 load, at random moments: nothing acknowledged is lost, QoS 2 stays once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.ground import Ground
from tests.crash.ledger import Delivered, Published
from tests.crash.reliable import PATIENCE, Reliable

pytestmark = pytest.mark.timeout(300)

KILLS = 20
# (name, version, QoS)
PUBLISHERS = [("publisher-a", 5, 1), ("publisher-b", 4, 1), ("publisher-c", 5, 2), ("publisher-d", 4, 2)]
SUBSCRIBERS = [("subscriber-a", 5, 1), ("subscriber-b", 4, 2), ("subscriber-c", 5, 2)]
TOPICS = 2  # of each publisher


class Load:
    """Publishers that always have messages on their way, and persistent subscribers to all of them."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.published: list[Published] = []
        self.delivered: list[Delivered] = []
        self.publishers: list[tuple[Reliable, list[Published]]] = []
        self.subscribers: list[tuple[Reliable, Delivered]] = []
        self.stopping = False
        for name, version, qos in PUBLISHERS:
            topics = [Published(f"load/{name}/{number}", qos) for number in range(TOPICS)]
            self.published += topics
            self.publishers.append((Reliable(name, version, ground.device(name)), topics))
        for name, version, qos in SUBSCRIBERS:
            record = Delivered(name, qos)
            self.delivered.append(record)
            self.subscribers.append((Reliable(name, version, ground.device(name), record.take), record))

    @property
    def clients(self) -> list[Reliable]:
        return [client for client, _ in self.publishers] + [client for client, _ in self.subscribers]

    def acknowledged(self) -> int:
        return sum(client.acknowledged for client, _ in self.publishers)

    async def begin(self) -> None:
        """The sessions exist before the first kill."""
        await self.connect()
        for client, record in self.subscribers:
            assert await client.subscribe("load/#", record.qos) == [record.qos]

    async def connect(self) -> None:
        await asyncio.gather(*(client.connect(self.ground.port) for client in self.clients))

    async def run(self, client: Reliable, topics: list[Published]) -> None:
        """Publish until the connection ends or the load does."""
        turn = 0
        while client.is_connected and not self.stopping:
            while client.has_room():
                each = topics[turn % len(topics)]
                turn += 1
                each.last += 1
                client.publish(each.topic, str(each.last).encode(), each.qos)
            await client.room()

    async def until_killed(self, acknowledgements: int, in_commit: bool) -> None:
        """Run, and kill the hub when so many more messages are acknowledged."""
        goal = self.acknowledged() + acknowledgements
        running = [asyncio.create_task(self.run(client, topics)) for client, topics in self.publishers]
        async with asyncio.timeout(PATIENCE):
            while self.acknowledged() < goal:
                await asyncio.sleep(0)
        self.ground.kill(in_commit)
        await asyncio.gather(*running)
        for client in self.clients:
            await client.lost()

    async def finish(self) -> None:
        """Everything is acknowledged and delivered; what is lost for ever, the ledger names."""
        self.stopping = True
        for client, _ in self.publishers:
            await client.all_acknowledged()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not all(record.is_whole(self.published) for record in self.delivered):
                    await asyncio.sleep(0.05)
        for client in self.clients:
            await client.disconnect()


async def test_nothing_acknowledged_is_lost_and_nothing_of_qos_2_comes_twice(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(20261122)
    ground = Ground(tmp_path)
    with ground.hub:
        load = Load(ground)
        await load.begin()
        for number in range(KILLS):
            await load.until_killed(chance.randint(30, 400), in_commit=number % 2 == 0)
            if number % 5 == 4:
                ground.start_killed(chance.uniform(0.05, 0.4))  # on its way up, or while it takes up what was kept
            ground.hub.start()
            await load.connect()
        await load.finish()
        faults = [fault for record in load.delivered for fault in record.faults(load.published)]
        assert faults == []
        assert not any(client.refused for client in load.clients)
        # Each session was there at every connection but its first.
        assert [client.sessions for client in load.clients] == [KILLS] * len(load.clients)
        assert not ground.hub.events("node.defect")
    total = sum(each.last for each in load.published)
    figures = {
        "kills": ground.kills,
        "kills while the disk was waited for": ground.kills_in_commit,
        "messages acknowledged": total,
        "deliveries": sum(record.count() for record in load.delivered),
        "PUBLISH repeated by publishers": sum(client.repeated for client in load.clients),
        "repetitions at QoS 1": sum(record.repetitions() for record in load.delivered),
    }
    for name, value in figures.items():
        record_property(name, value)
    print(figures)
