"""Redundant writers of one instance, as processes: the stand-by takes over, whoever listens is told, and why."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dds.domains import free_domain
from tests.dds.peers.hands import FASTDDS, Hands, cyclone, fastdds
from tests.dds.peers.town import TEMPERATURE, DdsTown, domain_table, folder_of, temperature_route, town
from tests.peers.raw import Raw

LEASE = 0.5
STRONG, WEAK = 20.0, 10.0  # strengths, and what each writes as its temperature
pytestmark = [pytest.mark.peer(FASTDDS), pytest.mark.peer("idlc"), pytest.mark.clause("DDS-2.2.3.9")]


@pytest.fixture(scope="module")
def number() -> Iterator[int]:
    with free_domain() as found:
        yield found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, number: int) -> Iterator[DdsTown]:
    exclusive = f'{{ownership = "exclusive", lease = {LEASE}, liveliness = "%s"}}'
    config = (
        domain_table(number, guest="robot")
        + temperature_route(number, "Automatic", "Automatic/${room}", exclusive % "automatic")
        + temperature_route(number, "Manual", "Manual/${room}", exclusive % "manual-by-topic")
    )
    with town(folder_of(tmp_path_factory), config, "robot", "viewer") as made:
        yield made


def writers(folder: Path, number: int, topic: str, room: str, **more: object) -> tuple[Hands, Hands]:
    made = [
        cyclone(folder, "talk", number, topic, "Temperature", strength=each, lease=LEASE, every=0.02, room=room, **more)
        for each in (int(STRONG), int(WEAK))
    ]
    return made[0].matched(), made[1].matched()


def until(client: Raw, topic: str, celsius: float) -> list[float]:
    """Read until this value stands on the topic; all values on the way."""
    found: list[float] = []
    while celsius not in found:
        message = client.message()
        if message.topic == topic:
            found.append(json.loads(message.payload)["celsius"])
    return found


def owner(client: Raw, strength: int) -> dict[str, object]:
    """The first notice that such a writer owns the instance."""
    while True:
        told: dict[str, object] = json.loads(client.message().payload)
        if told["strength"] == strength:
            return told


@pytest.mark.parametrize(
    ("end", "topic"),
    [("kill", "Automatic"), ("stop", "Automatic"), ("hang", "Manual")],
    ids=["kill", "stop", "hang"],
)
@pytest.mark.clause("DDS-2.2.3.10")
def test_the_stand_by_takes_over(place: DdsTown, number: int, tmp_path: Path, end: str, topic: str) -> None:
    more: dict[str, object] = {"manual": ""} if topic == "Manual" else {}
    strong, weak = writers(tmp_path, number, topic, end, **more)
    with strong, weak, place.mqtt("viewer") as viewer, place.mqtt("viewer", "viewer-owners") as owners:
        viewer.subscribe(f"{topic}/{end}")
        owners.subscribe(f"$SYS/dds/{number}/{topic}/owner")
        until(viewer, f"{topic}/{end}", STRONG)
        # While the stronger one is alive the weaker one isn't heard.
        assert {json.loads(viewer.message().payload)["celsius"] for _ in range(20)} == {STRONG}
        if end == "hang":
            strong.order(hang=True)
        else:
            strong.signal(signal.SIGKILL if end == "kill" else signal.SIGSTOP)
        values = until(viewer, f"{topic}/{end}", WEAK)
        assert set(values[:-1]) <= {STRONG}
        told = owner(owners, int(WEAK))
        assert told["instance"] == {"room": end}
        assert "'robot'" in str(told["because"])


def test_who_comes_back_owns_again(place: DdsTown, number: int, tmp_path: Path) -> None:
    strong, weak = writers(tmp_path, number, "Automatic", "back")
    with strong, weak, place.mqtt("viewer") as viewer:
        viewer.subscribe("Automatic/back")
        until(viewer, "Automatic/back", STRONG)
        strong.signal(signal.SIGSTOP)
        until(viewer, "Automatic/back", WEAK)
        strong.signal(signal.SIGCONT)
        until(viewer, "Automatic/back", STRONG)


def test_a_stand_by_of_another_implementation(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        cyclone(tmp_path, "talk", number, "Automatic", strength=20, lease=LEASE, every=0.02, room="mixed") as strong,
        fastdds(tmp_path, "talk", number, "Automatic", TEMPERATURE, strength=10, lease=LEASE) as weak,
        place.mqtt("viewer") as viewer,
    ):
        strong.matched()
        weak.matched()
        viewer.subscribe("Automatic/mixed")
        until(viewer, "Automatic/mixed", STRONG)
        weak.orders("write", "mixed", 99, 1)
        strong.signal(signal.SIGKILL)
        values: list[float] = []
        viewer.sock.settimeout(0.2)
        while 100.0 not in values:
            weak.orders("write", "mixed", 100, 2)
            try:
                values += until(viewer, "Automatic/mixed", 100.0)
            except TimeoutError:
                continue
        assert 99.0 not in values
