"""kill -9, and back are: retained messages as they were acknowledged, subscriptions, and Wills that are still due."""

from __future__ import annotations

import asyncio
import random
import ssl
from pathlib import Path

import pytest

from bridgehead.protocols.mqtt.codec.packets import Publish, Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.crash.ground import Ground
from tests.crash.reliable import PATIENCE, Reliable

pytestmark = pytest.mark.timeout(120)


async def until(what: str, holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)


async def test_retained_messages_are_what_was_acknowledged_last(tmp_path: Path) -> None:
    chance = random.Random(7)
    ground = Ground(tmp_path)
    with ground.hub:
        writers = [Reliable(name, version, ground.device(name)) for name, version in [("writer-a", 5), ("writer-b", 4)]]
        context = ground.device("reader")
        kept: dict[str, bytes] = {}
        for turn in range(6):
            for number, writer in enumerate(writers):
                await writer.connect(ground.port)
                await writer.all_acknowledged()
                # More topics than can be on their way: what was acknowledged is mostly not written over.
                for step in range(chance.randint(40, 200)):
                    topic = f"kept/{number}/{chance.randrange(150)}"
                    value = b"" if chance.random() < 0.2 else b"%d.%d" % (turn, step)
                    kept[topic] = value
                    writer.publish(topic, value, 1 + step % 2, retain=True)
                    await writer.room()
            ground.kill(in_commit=True)
            for writer in writers:
                await writer.lost()
            ground.hub.start()
        for writer in writers:
            await writer.connect(ground.port)
            await writer.all_acknowledged()
        expected = {topic: value for topic, value in kept.items() if value}
        got: dict[str, bytes] = {}

        def take(packet: Publish) -> None:
            assert packet.retain
            assert packet.topic not in got
            got[packet.topic] = packet.payload

        reader = Reliable("reader", 5, context, take)
        await reader.connect(ground.port)
        await reader.subscribe("kept/#", 1)
        await until("all retained messages", lambda: len(got) >= len(expected))
        await reader.subscribe("nothing", 0)  # and no more came before this was answered
        assert got == expected


class Chooser:
    """Subscribes and unsubscribes without end, and knows what was granted."""

    def __init__(self, name: str, version: int, context: ssl.SSLContext, chance: random.Random) -> None:
        self.client = Reliable(name, version, context, lambda packet: self.heard.append(packet.topic))
        self.heard: list[str] = []
        self.subscribed: set[str] = set()
        self.unsure: set[str] = set()  # the answer did not come any more
        self.answers = 0
        self._chance = chance

    async def run(self) -> None:
        while self.client.is_connected:
            topic = f"choice/{self._chance.randrange(40)}"
            try:
                if topic in self.subscribed:
                    await self.client.unsubscribe(topic)
                    self.subscribed.discard(topic)
                else:
                    assert await self.client.subscribe(topic, 1) == [1]
                    self.subscribed.add(topic)
            except ConnectionError:
                self.unsure.add(topic)
                return
            self.unsure.discard(topic)
            self.answers += 1


async def test_subscriptions_are_what_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(11)
    ground = Ground(tmp_path)
    with ground.hub:
        choosers = [
            Chooser(name, version, ground.device(name), chance)
            for name, version in [("chooser-a", 5), ("chooser-b", 4)]
        ]
        for chooser in choosers:
            await chooser.client.connect(ground.port)
            assert await chooser.client.subscribe("end", 1) == [1]
        prober = Reliable("prober", 5, ground.device("prober"))
        for _ in range(5):
            running = [asyncio.create_task(chooser.run()) for chooser in choosers]
            goal = sum(chooser.answers for chooser in choosers) + chance.randint(10, 80)
            await until("answers", lambda goal=goal: sum(chooser.answers for chooser in choosers) >= goal)
            ground.kill(in_commit=True)
            await asyncio.gather(*running)
            ground.hub.start()
            for chooser in choosers:
                await chooser.client.lost()
                await chooser.client.connect(ground.port)
            await prober.connect(ground.port)
            for number in range(40):
                prober.publish(f"choice/{number}", b"probe", 1)
                await prober.room()
            await prober.all_acknowledged()
            prober.publish("end", b"end", 1)
            await prober.all_acknowledged()
            for chooser in choosers:
                await until("the end", lambda heard=chooser.heard: "end" in heard)
                topics = set(chooser.heard) - {"end"}
                assert chooser.subscribed - chooser.unsure <= topics <= chooser.subscribed | chooser.unsure
                chooser.subscribed = topics  # now it is sure
                chooser.unsure.clear()
                chooser.heard.clear()
            await prober.disconnect()


def will(name: str, delay: int) -> Will:
    return Will(f"will/{name}", name.encode(), 2, False, Properties(will_delay_interval=delay))


@pytest.mark.parametrize("in_commit", [False, True])
async def test_wills_are_published_after_the_restart_once_and_only_those_that_are_due(
    tmp_path: Path, in_commit: bool
) -> None:
    ground = Ground(tmp_path)
    with ground.hub:
        heard: list[str] = []
        watcher = Reliable("watcher", 5, ground.device("watcher"), lambda packet: heard.append(packet.payload.decode()))
        await watcher.connect(ground.port)
        await watcher.subscribe("will/#", 2)
        clients: dict[str, Reliable] = {}
        for name, delay in [("said", 0), ("waiting", 1), ("connected", 0), ("returning", 600), ("orderly", 0)]:
            clients[name] = Reliable(name, 5, ground.device(name), will=will(name, delay))
            await clients[name].connect(ground.port)
        old = Reliable("old", 4, ground.device("old"), will=Will("will/old", b"old", 2))
        await old.connect(ground.port)
        await clients["said"].abort()
        await until("the Will that is due at once", lambda: heard == ["said"])
        await clients["orderly"].disconnect()
        await clients["waiting"].abort()
        ground.hub.await_event("connection.ended", 3)

        ground.kill(in_commit)
        for client in (watcher, old, clients["connected"], clients["returning"]):
            await client.lost()
        ground.hub.start()
        await clients["returning"].connect(ground.port)
        await watcher.connect(ground.port)
        await until("the other Wills", lambda: len(heard) >= 4)
        assert sorted(heard) == ["connected", "old", "said", "waiting"]

        # What was said is not said again after another crash.
        await clients["returning"].disconnect()
        await watcher.disconnect()
        ground.kill(in_commit)
        ground.hub.start()
        await watcher.connect(ground.port)
        await watcher.subscribe("nothing", 0)
        assert sorted(heard) == ["connected", "old", "said", "waiting"]
