"""DDS and every other protocol at one hub, secured, both ways: Cyclone DDS, Paho, Proton, pika and libcoap's client.

What a device may not over its own protocol it may not over DDS' routes either, and the reverse.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.amqp.whole.across import COAP, Paho, pika, proton
from tests.cli.hub import PATIENCE
from tests.dds.peers.hands import Hands, cyclone_hands
from tests.dds.peers.house import CLERK, LOBBY, OUTSIDER, SPY, House

pytestmark = [pytest.mark.peer(COAP), pytest.mark.peer("idlc"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, shared_domain: int) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("across-dds"), shared_domain) as made:
        yield made


def sample(counter: int) -> dict[str, Any]:
    return {"room": "Lobby", "celsius": 21.5, "counter": counter}


def arrives(listener: Hands, wanted: dict[str, Any], act: Callable[[], object]) -> None:
    """`act` again and again until the listener has the sample."""
    listener.wait_for(str(wanted), lambda told: told.get("sample") == wanted, meanwhile=act)


def test_a_sample_reaches_every_protocol(house: House, tmp_path: Path) -> None:
    said = [sample(number) for number in (1, 2, 3)]
    with proton(house) as amqp, pika(house) as old, Paho(house) as paho, house.robot(tmp_path, "talk") as robot:
        amqp.do(receive="/topics/Office%2FLobby%2FTemperature")
        old.do(bind="Office.*.Temperature")
        assert paho.subscribe("Office/+/Temperature") == 1
        with house.observer(LOBBY) as shown:
            robot.order(write=sample(0))  # the hub's end of the match may come a moment later than the robot's
            while json.loads(paho.message().payload) != sample(0):
                robot.order(write=sample(0))
            for each in said:
                robot.order(write=each)
            assert [json.loads(paho.message().payload) for _ in said] == said
            for hands in (amqp, old):
                heard = hands.take()
                while json.loads(heard["body"]) == sample(0):
                    heard = hands.take()
                assert [json.loads(each["body"]) for each in (heard, *hands.do(take=2))] == said
            deadline = time.monotonic() + PATIENCE
            while sample(4) not in shown:
                assert time.monotonic() < deadline, f"not observed: {shown}"
                robot.order(write=sample(4))  # it may begin to observe later than the others heard the first ones
                time.sleep(0.1)


def test_every_protocol_reaches_a_reader(house: House, tmp_path: Path) -> None:
    with proton(house) as amqp, pika(house) as old, Paho(house) as paho, house.robot(tmp_path, "listen") as robot:
        said = {number: json.dumps(sample(number)) for number in (10, 11, 12, 13)}
        house.hub.await_event("dds.participant-found")
        send: dict[int, Callable[[], object]] = {
            10: lambda: paho.publish(LOBBY, said[10]),
            11: lambda: amqp.do(send="/topics/Office%2FLobby%2FTemperature", message={"data": said[11]}),
            12: lambda: old.do(send="Office.Lobby.Temperature", body=said[12], properties={"delivery_mode": 2}),
            13: lambda: house.coap("post", LOBBY, "-t", "application/json", "-e", said[13]),
        }
        for number, act in send.items():
            arrives(robot, sample(number), act)


def test_who_may_not_read_gets_no_samples(house: House, tmp_path: Path) -> None:
    with (
        proton(house, CLERK) as amqp,
        pika(house, CLERK) as old,
        Paho(house, CLERK) as clerk,
        Paho(house) as watcher,
        house.robot(tmp_path, "talk") as robot,
    ):
        watcher.subscribe("Office/#")
        assert clerk.subscribe("Office/#") == 0x87
        assert clerk.subscribe("#") == 0x87
        assert "refused" in amqp.do(receive="/topics/Office%2FLobby%2FTemperature")
        assert "refused" in old.do(bind="Office.#")
        robot.order(write=sample(20))
        while json.loads(watcher.message().payload) != sample(20):
            robot.order(write=sample(20))
        assert "4.03" in house.coap("get", LOBBY, name=OUTSIDER)
        assert clerk.messages.empty()


def test_who_may_not_write_reaches_no_reader(house: House, tmp_path: Path) -> None:
    forged = json.dumps({"room": "Vault", "celsius": 99.0, "counter": 1})
    with (
        proton(house, CLERK) as amqp,
        pika(house, CLERK) as old,
        Paho(house, CLERK) as clerk,
        Paho(house) as watcher,
        house.robot(tmp_path, "listen") as robot,
    ):
        clerk.publish("Office/Vault/Temperature", forged)
        assert "refused" in amqp.do(send="/topics/Office%2FVault%2FTemperature", message={"data": forged})
        assert "refused" in old.do(send="Office.Vault.Temperature", body=forged)
        assert "4.03" in house.coap("put", "Office/Vault/Temperature", "-e", forged, name=OUTSIDER)
        arrives(robot, sample(30), lambda: watcher.publish(LOBBY, json.dumps(sample(30))))
        assert {each["room"] for each in robot.samples()} == {"Lobby"}


@pytest.mark.parametrize("does", ["talk", "listen"])
def test_who_may_not_over_mqtt_may_not_in_the_domain(house: House, tmp_path: Path, does: str) -> None:
    credentials = house.credentials(SPY)
    with Paho(house, SPY) as spy:
        assert spy.subscribe("Office/+/Temperature") == 0x87
    with cyclone_hands(tmp_path, does, house.domain, "Temperature", credentials=credentials) as hands:
        assert "allowed" in hands.wait_for("a refusal", lambda told: "refused" in told)["refused"].lower()
