"""kill -9 of the real hub under load: AMQP 1.0 exactly once through queues and to a durable subscription, 0-9-1 with
confirms, a queue that topics feed.

Nothing accepted is lost, the order is kept, what may come twice says so, and exactly once is that."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord, QueueRecord
from tests.amqp.whole.office import PYTHON, SCRIPTS
from tests.crash.exactly import Exact, ExactReceiver, ExactSender
from tests.crash.ground import Ground
from tests.crash.ledger import Published
from tests.crash.reliable import PATIENCE, Reliable

pytestmark = pytest.mark.timeout(300)

PASSWORD: Final = "correct horse battery"
CONFIG: Final = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
plaintext = true

[system_topics]
interval = 0
"""
ALONE: Final = "alone"  # exactly once, with one receiver, which shows the order
SHARED: Final = "shared"  # exactly once, and two compete for it
STREAM: Final = "stream"  # exactly once too: a topic, with a durable subscription
CONFIRMED: Final = "confirmed"  # 0-9-1 with confirms
FED: Final = "fed"  # by the topics of MQTT devices
SENDERS: Final = [
    ("sender-1", ALONE),
    ("sender-2", ALONE),
    ("sender-3", SHARED),
    ("sender-4", SHARED),
    ("sender-5", STREAM),
]
RECEIVERS: Final = [("taker-1", ALONE), ("taker-2", SHARED), ("taker-3", SHARED), ("taker-4", STREAM)]
EVERYTHING: Final = [PermissionRecord(each, publish=True, subscribe=True) for each in ("#", "$QUEUE/#", "$EXCHANGE/#")]


def address_of(place: str) -> str:
    return f"/topics/{place}" if place == STREAM else f"/queues/{place}"


def furnish(data: Path, devices: list[str]) -> None:
    """The queues of the hub's owner, and devices with a password."""
    identity = Identity(data)
    try:
        registry = identity.registry
        with registry.transaction():
            for name in (ALONE, SHARED, CONFIRMED):
                registry.add_queue(QueueRecord(name, 1.0))
            registry.add_queue(QueueRecord(FED, 1.0, feeds=("load/#",)))
        for name in devices:
            with identity.enrolling(Wanted(name, EVERYTHING, fresh=Fresh(password=PASSWORD.encode()))):
                pass
    finally:
        identity.close()


class Pika:
    """pika as a program of its own; what it says comes as lines of JSON."""

    def __init__(self, what: str, queue: str, surroundings: dict[str, str]) -> None:
        self._words: Final = [str(SCRIPTS / "crash_pika.py"), what, queue]
        self._surroundings: Final = surroundings
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.count = 0  # confirmed, or got
        self.told: dict[str, Any] = {}

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            str(PYTHON),
            *self._words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "", **self._surroundings},
            limit=1 << 24,
        )
        self._reading = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            told = json.loads(line)
            if "confirmed" in told or "got" in told:
                self.count += 1
            else:
                self.told = told

    def say(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    async def ended(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._reading is not None
        await asyncio.wait_for(self._reading, PATIENCE)
        assert await self._process.wait() == 0
        return self.told

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


class Load:
    """Everybody at once, each on queues of their own."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.stopping = False
        self.senders: list[ExactSender] = []
        for name, queue in SENDERS:
            self.senders.append(ExactSender(name, address_of(queue), PASSWORD))
        self.receivers: list[ExactReceiver] = []
        for name, queue in RECEIVERS:
            self.receivers.append(ExactReceiver(name, address_of(queue), PASSWORD))
        self.published = [Published("load/a", 1), Published("load/b", 2)]
        self.devices: list[tuple[Reliable, Published]] = []
        for each in self.published:
            name = f"device-{each.qos}"
            self.devices.append((Reliable(name, 5, ground.device(name)), each))
        furnish(ground.hub.data, ["worker", *(client.name for client in self.exact)])
        surroundings = {
            "AMQP_USER": "worker",
            "AMQP_PASSWORD": PASSWORD,
            "AMQP_CA": str(ground.hub.data / "pki" / "ca.pem"),
        }
        self.publisher = Pika("publish", CONFIRMED, surroundings)
        self.takers = [Pika("consume", CONFIRMED, surroundings), Pika("consume", CONFIRMED, surroundings)]
        self.fed_taker = Pika("consume", FED, surroundings)

    @property
    def exact(self) -> list[Exact]:
        return [*self.senders, *self.receivers]

    @property
    def pikas(self) -> list[Pika]:
        return [self.publisher, *self.takers, self.fed_taker]

    async def begin(self) -> None:
        for each in self.pikas:
            await each.start()
        await self.connect()

    async def connect(self) -> None:
        plain, tls = self.ground.hub.port("amqp"), self.ground.hub.port("amqps")
        for client in self.exact:
            await client.connect(plain)
        for device, _ in self.devices:
            await device.connect(self.ground.port)
        for each in self.pikas:
            each.say(f"port {tls}")

    async def send(self, sender: ExactSender) -> None:
        while sender.is_connected and (not self.stopping or sender.must_send()):
            while sender.may_send() and (not self.stopping or sender.must_send()):
                sender.send()
            sender.progress.clear()
            await sender.progress.wait()

    async def publish(self, device: Reliable, each: Published) -> None:
        while device.is_connected and not self.stopping:
            while device.has_room():
                each.last += 1
                device.publish(each.topic, str(each.last).encode(), each.qos)
            await device.room()

    def done(self) -> list[int]:
        """How far each of them is."""
        return [
            *(sender.acknowledged for sender in self.senders),
            *(len(receiver.got) for receiver in self.receivers),
            *(device.acknowledged for device, _ in self.devices),
            self.publisher.count,
            sum(taker.count for taker in self.takers),
            self.fed_taker.count,
        ]

    async def until_killed(self, more: int, in_commit: bool) -> None:
        """Run, and kill the hub when everybody has done so much more."""
        goals = [count + more for count in self.done()]
        running = [asyncio.create_task(self.send(sender)) for sender in self.senders]
        running += [asyncio.create_task(self.publish(device, each)) for device, each in self.devices]
        async with asyncio.timeout(PATIENCE):
            while any(count < goal for count, goal in zip(self.done(), goals, strict=True)):
                await asyncio.sleep(0.001)
        self.ground.kill(in_commit)
        await asyncio.gather(*running)
        for client in self.exact:
            await client.lost()
        for device, _ in self.devices:
            await device.lost()

    async def finish(self) -> None:
        """Nobody begins anything more; what was begun is completed."""
        self.stopping = True
        for sender in self.senders:
            await self.send(sender)
        for device, _ in self.devices:
            await device.all_acknowledged()
        self.publisher.say("end")
        await self.publisher.ended()
        for taker in (*self.takers, self.fed_taker):
            taker.say("end")
            await taker.ended()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while sum(len(receiver.got) for receiver in self.receivers) < sum(each.last for each in self.senders):
                    await asyncio.sleep(0.01)
        for client in self.exact:
            await client.close()
        for device, _ in self.devices:
            await device.disconnect()


def faults_of_exact(load: Load) -> list[str]:
    """Each message of AMQP 1.0 came once, to one of those who compete, and in its order where nobody does."""
    found = [fault for client in load.exact for fault in client.faults]
    for queue in (ALONE, SHARED, STREAM):
        takers = [taker for taker in load.receivers if taker.address == address_of(queue)]
        came = Counter(body for taker in takers for body in taker.got)
        sent = {
            f"{sender.name} {number}"
            for sender in load.senders
            if sender.address == address_of(queue)
            for number in range(1, sender.last + 1)
        }
        if sent - set(came):
            found.append(f"{queue} lost {sorted(sent - set(came))[:5]}")
        if set(came) - sent:
            found.append(f"{queue} gave what nobody sent: {sorted(set(came) - sent)[:5]}")
        twice = [body for body, times in came.items() if times > 1]
        if twice:
            found.append(f"{queue} gave {len(twice)} twice: {twice[:5]}")
    for queue in (ALONE, STREAM):
        (alone,) = [taker for taker in load.receivers if taker.address == address_of(queue)]
        for sender in load.senders:
            numbers = [int(body.split()[1]) for body in alone.got if body.split()[0] == sender.name]
            if numbers != sorted(numbers):
                found.append(f"{queue} gave what {sender.name} sent out of order")
    return found


def faults_of_confirmed(load: Load) -> list[str]:
    """What was confirmed came; what is not said to be redelivered came in its order, to each of the two."""
    found: list[str] = []
    last = load.publisher.told["last"]
    came: set[int] = set()
    fresh: Counter[int] = Counter()
    for taker in load.takers:
        new = [int(body) for body, _, redelivered in taker.told["all"] if not redelivered]
        if new != sorted(new):
            found.append(f"{CONFIRMED} gave new messages out of order")
        fresh.update(new)
        came.update(int(body) for body, _, _ in taker.told["all"])
    if set(range(1, last + 1)) - came:
        found.append(f"{CONFIRMED} lost {sorted(set(range(1, last + 1)) - came)[:5]}")
    # Twice as a new one comes only what its publisher sent twice.
    again = sum(times - 1 for times in fresh.values())
    if again > load.publisher.told["sendings"] - last:
        found.append(f"{CONFIRMED} gave {again} messages twice without saying so")
    return found


def faults_of_fed(load: Load) -> list[str]:
    """What the devices' topics brought: all of it, in its order, and of QoS 2 nothing twice as a new one."""
    found: list[str] = []
    for each in load.published:
        key = each.topic.replace("/", ".")
        all_of_it = [
            (int(body), again) for body, routing_key, again in load.fed_taker.told["all"] if routing_key == key
        ]
        missing = set(range(1, each.last + 1)) - {number for number, _ in all_of_it}
        if missing:
            found.append(f"{FED} lost {sorted(missing)[:5]} of {each.topic}")
        new = [number for number, again in all_of_it if not again]
        if each.qos == 2 and new != sorted(set(new)):
            found.append(f"{FED} gave {each.topic} out of order, or twice without saying so")
        first = list(dict.fromkeys(number for number, _ in all_of_it))
        if first != sorted(first):
            found.append(f"{FED} gave {each.topic} out of order")
    return found


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.clause("AMQP-2.6.12", "AMQP-2.6.13", "AMQP-3.4.6", "AMQP091-basic.ack")
async def test_nothing_accepted_is_lost_and_exactly_once_is_that(
    kills: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(20261123 + kills)
    ground = Ground(tmp_path, CONFIG)
    load = Load(ground)
    try:
        with ground.hub:
            await load.begin()
            for number in range(kills):
                await load.until_killed(chance.randint(5, 60), in_commit=number % 2 == 0)
                if number % 5 == 4:
                    ground.start_killed(chance.uniform(0.05, 0.4))  # on its way up, or while it takes up what was kept
                ground.hub.start()
                await load.connect()
            await load.finish()
            assert faults_of_exact(load) == []
            assert faults_of_confirmed(load) == []
            assert faults_of_fed(load) == []
            assert not any(device.refused for device, _ in load.devices)
            assert not ground.hub.events("node.defect")
    finally:
        for each in load.pikas:
            each.kill()
    figures = {
        "kills": ground.kills,
        "kills while the disk was waited for": ground.kills_in_commit,
        "sent exactly once": sum(sender.last for sender in load.senders),
        "deliveries resumed": sum(client.resumed for client in load.exact),
        "confirmed": load.publisher.told["last"],
        "fed by topics": sum(each.last for each in load.published),
        "redelivered by 0-9-1": sum(
            again for taker in (*load.takers, load.fed_taker) for _, _, again in taker.told["all"]
        ),
    }
    for name, value in figures.items():
        record_property(name, value)
    print(figures)
