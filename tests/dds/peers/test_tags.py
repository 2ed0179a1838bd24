"""Data tags at the running hub: writers' tags of discovery, who has clearance for them, and what they are elsewhere."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.amqp.whole.across import COAP, Paho, pika, properties_of, proton
from tests.cli.hub import PATIENCE, wait_until
from tests.dds.peers.hands import Hands
from tests.dds.peers.house import CLEARED, LOBBY, MARKER, ROBOT, TAG, House
from tests.dds.peers.town import temperature_route

pytestmark = [pytest.mark.peer(COAP), pytest.mark.peer("idlc"), pytest.mark.timeout(180)]
MARKED = ("tag:classification", "secret")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, shared_domain: int) -> Iterator[House]:
    mirror = temperature_route(shared_domain, "Mirror", more='direction = "out"')
    with House(tmp_path_factory.mktemp("tags"), shared_domain, mirror) as made:
        yield made


def sample(counter: int) -> dict[str, Any]:
    return {"room": "Lobby", "celsius": 21.5, "counter": counter}


def counter_of(message: Any) -> int:
    return int(json.loads(message.payload)["counter"])


def until(client: Paho, counter: int, act: Callable[[], object]) -> tuple[Any, list[int]]:
    """`act` again and again until the sample comes. The message, and the counters of those that came before it."""
    before: list[int] = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        act()
        try:
            message = client.messages.get(timeout=0.2)
        except queue.Empty:
            continue
        if counter_of(message) == counter:
            return message, before
        before.append(counter_of(message))
    raise AssertionError(f"{counter} did not come: {before}")


def until_told(house: House, event: str, act: Callable[[], object]) -> dict[str, object]:
    """`act` again and again until the hub tells of it."""
    wait_until(event, lambda: (act(), house.hub.events(event))[1])
    return house.hub.await_event(event)


def writes(hands: Hands, counter: int) -> Callable[[], object]:
    return lambda: hands.order(write=sample(counter))


@pytest.mark.clause("DDSSEC-8.7")
def test_the_cleared_get_it_with_its_tag_and_nobody_else_gets_it(house: House, tmp_path: Path) -> None:
    with (
        Paho(house, CLEARED) as cleared,
        proton(house, CLEARED) as amqp,
        pika(house, CLEARED) as old,
        Paho(house) as plain,
        proton(house) as plain_amqp,
        pika(house) as plain_old,
        house.observer(LOBBY) as observed,
        house.robot(tmp_path, "talk", MARKER, tag=TAG) as marker,
        house.robot(tmp_path, "talk") as robot,
    ):
        for paho in (cleared, plain):
            assert paho.subscribe("Office/+/Temperature") == 1
        for each in (amqp, plain_amqp):
            each.do(receive="/topics/Office%2FLobby%2FTemperature")
        for each in (old, plain_old):
            each.do(bind="Office.*.Temperature")

        message, _ = until(cleared, 1, writes(marker, 1))
        assert properties_of(message).UserProperty == [MARKED]
        heard = amqp.take()
        assert (json.loads(heard["body"]), heard["properties"]) == (sample(1), dict([MARKED]))
        heard = old.take()
        assert (json.loads(heard["body"]), heard["headers"]["tag:classification"]) == (sample(1), "secret")

        message, before = until(plain, 2, writes(robot, 2))
        assert set(before) <= {2}
        assert not hasattr(properties_of(message), "UserProperty")
        for each in (plain_amqp, plain_old):
            assert json.loads(each.take()["body"]) == sample(2)
        wait_until("the node observes what bears no tag", lambda: sample(2) in observed or writes(robot, 2)())
        assert sample(1) not in observed


@pytest.mark.clause("DDSSEC-8.7")
def test_who_may_not_mark_is_not_let_in(house: House, tmp_path: Path) -> None:
    with (
        Paho(house, CLEARED) as cleared,
        house.robot(tmp_path, "talk", tag=TAG) as robot,
        house.robot(tmp_path, "talk", MARKER, tag=TAG) as marker,
    ):
        cleared.subscribe("Office/+/Temperature")
        denied = until_told(house, "publish.denied", writes(robot, 10))
        assert (denied["principal"], denied["protocol"], denied["topic"]) == (ROBOT, "dds", LOBBY)
        assert f"it bears the data tag {TAG}: " in str(denied["because"])
        _, before = until(cleared, 11, writes(marker, 11))
        assert set(before) <= {11}


def test_a_tag_that_a_writer_takes_on_counts_from_then_on(house: House, tmp_path: Path) -> None:
    with (
        Paho(house, CLEARED) as cleared,
        Paho(house) as plain,
        house.robot(tmp_path, "talk", MARKER) as marker,
        house.robot(tmp_path, "talk") as robot,
    ):
        for paho in (cleared, plain):
            paho.subscribe("Office/+/Temperature")
        until(plain, 20, writes(marker, 20))
        message, _ = until(cleared, 20, writes(marker, 20))
        assert not hasattr(properties_of(message), "UserProperty")
        marker.order(tag=TAG)
        while not hasattr(properties_of(until(cleared, 21, writes(marker, 21))[0]), "UserProperty"):
            continue
        message, _ = until(cleared, 22, writes(marker, 22))
        assert properties_of(message).UserProperty == [MARKED]
        _, before = until(plain, 23, writes(robot, 23))
        assert 22 not in before


@pytest.mark.clause("DDSSEC-8.7")
def test_a_reader_of_dds_without_clearance_gets_nothing_through_the_hub(house: House, tmp_path: Path) -> None:
    """Nobody on its topic does, as long as it is there."""
    with (
        house.robot(tmp_path, "talk", MARKER, tag=TAG) as marker,
        house.robot(tmp_path, "listen", CLEARED, "Mirror") as guard,
        Paho(house, CLEARED) as cleared,
    ):
        cleared.subscribe("Office/+/Temperature")

        def say_openly() -> None:
            cleared.publish(LOBBY, json.dumps(sample(33)))

        guard.wait_for("what is secret", lambda told: told.get("sample") == sample(30), meanwhile=writes(marker, 30))
        (tmp_path / "curious").mkdir()
        with house.robot(tmp_path / "curious", "listen", ROBOT, "Mirror") as curious:
            told = until_told(house, "dds.reader-unpermitted", writes(marker, 31))
            assert (told["principal"], told["topic"]) == (ROBOT, LOBBY)
            assert f"no clearance for the data tag {TAG} (subscribe '$TAG/classification/secret')" in str(
                told["because"]
            )
            until(cleared, 32, writes(marker, 32))
            for hands in (guard, curious):
                hands.wait_for("what is open", lambda told: told.get("sample") == sample(33), meanwhile=say_openly)
            assert {each["counter"] for each in curious.samples()} == {33}
            assert 32 not in {each["counter"] for each in guard.samples()}
            curious.end()
        guard.wait_for("what is secret", lambda told: told.get("sample") == sample(34), meanwhile=writes(marker, 34))
