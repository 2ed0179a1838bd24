"""What goes wrong between real peers and the hub: peers that vanish and change, floods, payloads that do not fit."""

from __future__ import annotations

import functools
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.hub import wait_until
from tests.dds.domains import free_domain
from tests.dds.peers.hands import FASTDDS, cyclone, fastdds
from tests.dds.peers.town import (
    STRING,
    TEMPERATURE,
    DdsTown,
    domain_table,
    first_message,
    folder_of,
    sent,
    temperature_route,
    town,
)

pytestmark = [pytest.mark.peer(FASTDDS), pytest.mark.peer("idlc")]


@pytest.fixture(scope="module")
def number() -> Iterator[int]:
    with free_domain() as found:
        yield found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, number: int) -> Iterator[DdsTown]:
    config = (
        domain_table(number, guest="robot")
        + temperature_route(number)
        + temperature_route(number, "Few", "Few/${room}", more="instances = 5")
        + temperature_route(number, "Punctual", "Punctual/${room}", "{deadline = 0.2}")
    )
    with town(folder_of(tmp_path_factory), config, "robot", "viewer") as made:
        yield made


def incompatible(place: DdsTown, policy: str) -> dict[str, object]:
    """The event for that policy."""
    found: list[dict[str, object]] = []

    def told() -> bool:
        found[:] = [each for each in place.hub.events("dds.qos-incompatible") if each["policy"] == policy]
        return bool(found)

    wait_until(f"{policy} is told to be incompatible", told)
    return found[0]


def test_a_peer_that_vanishes_and_one_that_comes_back(place: DdsTown, number: int, tmp_path: Path) -> None:
    with place.mqtt("viewer") as viewer:
        viewer.subscribe("Office/#")
        for counter in range(3):
            with cyclone(tmp_path, "talk", number, "Temperature") as talker:
                sample = {"room": f"Lobby {counter}", "celsius": 1.5, "counter": counter}
                message = first_message(viewer, functools.partial(talker.order, write=sample))
                assert json.loads(message.payload)["counter"] == counter
                talker.signal(signal.SIGKILL)


def test_a_type_of_the_same_name_that_is_another(place: DdsTown, number: int, tmp_path: Path) -> None:
    """Cyclone compares the types (DDS-XTypes 1.3 section 7.2.4) and does not let them match; the hub says so."""
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Temperature", "Numbered") as liar,
        cyclone(tmp_path, "talk", number, "Temperature") as talker,
    ):
        viewer.subscribe("Office/#")
        liar.order(write={"room": 7, "celsius": "warm"})
        liar.wait_for("written", lambda told: "written" in told)
        sample = {"room": "Lobby", "celsius": 1.5, "counter": 1}
        assert first_message(viewer, lambda: talker.order(write=sample)).topic == "Office/Lobby/Temperature"
        event = incompatible(place, "Type Consistency")
        assert event["route"] == f"{number}/Temperature"


def test_a_type_of_another_name_and_the_same_shape(place: DdsTown, number: int, tmp_path: Path) -> None:
    """DDS-XTypes 1.3 section 7.6.3.4: where both sides tell their types, their names don't count."""
    with place.mqtt("viewer") as viewer, cyclone(tmp_path, "talk", number, "Temperature", "Renamed") as talker:
        viewer.subscribe("Office/#")
        sample = {"room": "Hall", "celsius": 1.5, "counter": 4}
        assert first_message(viewer, lambda: talker.order(write=sample)).topic == "Office/Hall/Temperature"
        assert place.hub.events("dds.inconsistent-topic") == []


@pytest.mark.clause("DDS-2.2.4.1")
@pytest.mark.parametrize(("does", "side"), [("talk", "writer"), ("listen", "reader")])
def test_a_type_of_another_name(place: DdsTown, number: int, tmp_path: Path, does: str, side: str) -> None:
    """A topic of the name and another type (INCONSISTENT_TOPIC): told of both sides, and of each once."""
    before = len(place.hub.events("dds.inconsistent-topic"))
    with fastdds(tmp_path, does, number, "Temperature", STRING) as stranger:
        event = place.hub.await_event("dds.inconsistent-topic", before + 1)
        assert event["route"] == f"{number}/Temperature"
        because = str(event["because"])
        assert f"the {side} of 'robot' has the type '{STRING}' for this topic" in because
        assert "the route has 'office::Temperature'" in because
        with place.mqtt("viewer") as viewer, cyclone(tmp_path, "listen", number, "Temperature") as listener:
            sent(viewer, "Office/Lobby/Temperature", {"room": "Lobby", "celsius": 1.5, "counter": 3}, listener)
        assert not any("sample" in told or told.get("matched") for told in stranger.told)
    assert len(place.hub.events("dds.inconsistent-topic")) == before + 1


def test_quality_that_does_not_match_is_told_with_both_sides(place: DdsTown, number: int, tmp_path: Path) -> None:
    with fastdds(tmp_path, "talk", number, "Temperature", TEMPERATURE, reliability="best-effort") as talker:
        event = incompatible(place, "Reliability")
        assert event["route"] == f"{number}/Temperature"
        assert not any("matched" in told for told in talker.told)
        talker.wait_for("the peer's own view", lambda told: "incompatible" in told)


def test_a_payload_that_does_not_fit_is_told_by_its_field(place: DdsTown, number: int, tmp_path: Path) -> None:
    with place.mqtt("viewer") as viewer, cyclone(tmp_path, "listen", number, "Temperature") as listener:
        sent(viewer, "Office/Lobby/Temperature", {"room": "Lobby", "celsius": 1.5, "counter": 0}, listener)
        viewer.publish("Office/Lobby/Temperature", b'{"room": "Lobby", "celsius": "warm", "counter": 1}')
        event = place.hub.await_event("dds.message-unfit")
        assert "celsius" in str(event["because"])
        viewer.publish("Office/Lobby/Temperature", b'{"room": "Lobby", "celsius": 2.5, "counter": 2}')
        listener.sample(counter=2)
        assert 1 not in [each["counter"] for each in listener.samples()]


@pytest.mark.clause("DDS-2.2.3.19")
def test_a_flood_of_instances_is_bounded(place: DdsTown, number: int, tmp_path: Path) -> None:
    with place.mqtt("viewer") as viewer, cyclone(tmp_path, "talk", number, "Few") as flood:
        viewer.subscribe("Few/#")
        assert first_message(viewer, lambda: flood.order(flood=1, room="made-up-")).topic == "Few/made-up-0"
        flood.order(flood=500, room="made-up-")
        wait_until("more than it may have", lambda: place.hub.events("dds.instances-full"))
        event = place.hub.await_event("dds.instances-full")
        assert event["route"] == f"{number}/Few"
        # Those that it knows go on.
        flood.order(write={"room": "made-up-3", "celsius": 9.0, "counter": -1})
        topics: set[str] = set()
        while json.loads((message := viewer.message()).payload)["counter"] != -1:
            topics.add(message.topic)
        assert message.topic == "Few/made-up-3"
        assert topics == {f"Few/made-up-{each}" for each in range(5)}
    assert len(place.hub.events("dds.instances-full")) < 10


def test_a_deadline_that_is_missed_is_an_event(place: DdsTown, number: int, tmp_path: Path) -> None:
    with cyclone(tmp_path, "talk", number, "Punctual", deadline=0.2) as talker:
        talker.matched().order(write={"room": "Clock", "celsius": 1.0, "counter": 1})
        talker.wait_for("written", lambda told: "written" in told)
        assert place.hub.await_event("dds.deadline-missed")["route"] == f"{number}/Punctual"


def test_the_hub_comes_back_after_a_kill(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        cyclone(tmp_path, "talk", number, "Temperature", every=0.05, room="Steady") as talker,
        cyclone(tmp_path, "listen", number, "Temperature") as listener,
    ):
        talker.matched(2)
        assert place.hub.process is not None
        place.hub.signal(signal.SIGKILL)
        place.hub.process.wait()
        place.hub.start()
        with place.mqtt("viewer") as viewer:
            viewer.subscribe("Office/#")
            assert json.loads(viewer.message().payload)["room"] == "Steady"
            wait_until(
                "the new hub's writer is heard",
                lambda: (
                    viewer.publish("Office/Again/Temperature", b'{"room": "Again", "celsius": 0, "counter": 0}', 0)
                    or any(each["room"] == "Again" for each in listener.samples())
                ),
            )
