"""Secured: bundles of `device export --for dds` and `--for ros2`, Cyclone and Fast DDS as processes, and the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security.records import PermissionRecord
from tests.dds.domains import free_domain
from tests.dds.peers.hands import FASTDDS, cyclone, cyclone_hands, fastdds
from tests.dds.peers.town import (
    STRING,
    TEMPERATURE,
    DdsTown,
    chatter_route,
    domain_table,
    first_message,
    folder_of,
    sent,
    temperature_route,
    town,
)
from tests.dds.security.capture import Capture, handshakes

pytestmark = [pytest.mark.peer(FASTDDS), pytest.mark.peer("idlc")]
RIGHTS = {
    "robot": (PermissionRecord("Office/#", publish=True, subscribe=True), PermissionRecord("chatter", True, True)),
    "rover": (PermissionRecord("Office/#", publish=True, subscribe=True), PermissionRecord("chatter", True, True)),
    "sensor": (PermissionRecord("Office/#", publish=True, subscribe=False),),
    "gauge": (PermissionRecord("Office/#", publish=False, subscribe=True),),
    # Only one room of a topic that is every room's: DDS could not keep it to that, so it gets nothing.
    "tenant": (PermissionRecord("Office/Lobby/Temperature", publish=True, subscribe=True),),
}


@pytest.fixture(scope="module")
def numbers() -> Iterator[tuple[int, int]]:
    with free_domain() as encrypted, free_domain() as signed:
        yield encrypted, signed


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, numbers: tuple[int, int]) -> Iterator[DdsTown]:
    encrypted, signed = numbers
    config = domain_table(encrypted) + domain_table(signed, metadata="sign")
    for number in numbers:
        config += temperature_route(number) + chatter_route(number)
    made = town(folder_of(tmp_path_factory), config, "viewer")
    with made as found:
        for name, rights in RIGHTS.items():
            found.enrol(name, rights)
        yield found


@pytest.fixture(scope="module")
def robot(place: DdsTown) -> Path:
    return place.bundle("robot")


@pytest.fixture(scope="module")
def enclave(place: DdsTown) -> Path:
    """As SROS 2 lays it out."""
    return place.bundle("rover", "ros2")


@pytest.fixture(params=[0, pytest.param(1, marks=pytest.mark.slow)], ids=["encrypt", "sign"])
def number(request: pytest.FixtureRequest, numbers: tuple[int, int]) -> int:
    return numbers[request.param]


def test_cyclone(place: DdsTown, robot: Path, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Temperature", credentials=robot) as talker,
        cyclone(tmp_path, "listen", number, "Temperature", credentials=place.bundle_of("gauge")) as listener,
    ):
        viewer.subscribe("Office/#")
        sample = {"room": "Lobby", "celsius": 21.5, "counter": 1}
        message = first_message(viewer, lambda: talker.order(write=sample))
        assert (message.topic, json.loads(message.payload)) == ("Office/Lobby/Temperature", sample)
        sent(viewer, "Office/Attic/Temperature", {"room": "Attic", "celsius": 8.5, "counter": 7}, listener)


@pytest.mark.parametrize(
    ("topic", "kind"), [("Temperature", TEMPERATURE), ("rt/chatter", STRING)], ids=["keyed", "as ROS 2"]
)
def test_fast_dds_with_what_ros_2_is_given(
    place: DdsTown, enclave: Path, number: int, tmp_path: Path, topic: str, kind: str
) -> None:
    keyed = kind == TEMPERATURE
    on_hub = "Office/Hall/Temperature" if keyed else "chatter"
    payload = {"room": "Hall", "celsius": 7.5, "counter": 7} if keyed else {"data": "back"}
    with (
        place.mqtt("viewer") as viewer,
        fastdds(tmp_path, "talk", number, topic, kind, credentials=enclave) as talker,
    ):
        viewer.subscribe(on_hub)
        message = first_message(viewer, lambda: talker.orders("write", "Hall", 19.5, 1))
        told = json.loads(message.payload)
        assert (message.topic, told.get("celsius", 19.5), told.get("data", "Hall")) == (on_hub, 19.5, "Hall")
        with fastdds(tmp_path, "listen", number, topic, kind, credentials=enclave) as listener:
            sent(viewer, on_hub, payload, listener)


@pytest.mark.clause("DDSSEC-9.5")
def test_a_listener_on_the_network_reads_no_payload_and_no_type(
    place: DdsTown, robot: Path, number: int, tmp_path: Path
) -> None:
    """Nor a topic's name, but where participants show each other their permissions before there is a key."""
    there, back = "Xanthippe", "Quetzalcoatl"
    capture = Capture(number)
    with (
        capture,
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Temperature", credentials=robot) as talker,
        cyclone(tmp_path, "listen", number, "Temperature", credentials=place.bundle_of("gauge")) as listener,
    ):
        viewer.subscribe("Office/#")
        first_message(viewer, lambda: talker.order(write={"room": there, "celsius": 21.5, "counter": 1}))
        sent(viewer, f"Office/{back}/Temperature", {"room": back, "celsius": 8.5, "counter": 7}, listener)
    datagrams = capture.of(number)
    assert any(b"Temperature" in handshakes(each)[0] for each in datagrams)  # what is looked for can be found
    for each in datagrams:
        for text in (there, back, "office", "celsius"):
            assert text.encode() not in each
        assert b"Temperature" not in handshakes(each)[1]
    assert len(datagrams) > 5 * sum(bool(handshakes(each)[0]) for each in datagrams)


@pytest.mark.clause("DDSSEC-9.3.1")
def test_nothing_without_credentials(place: DdsTown, robot: Path, numbers: tuple[int, int], tmp_path: Path) -> None:
    number = numbers[0]
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Temperature", every=0.02) as stranger,
        cyclone(tmp_path, "listen", number, "Temperature") as spy,
        fastdds(tmp_path, "talk", number, "Temperature", TEMPERATURE) as other,
        cyclone(tmp_path, "talk", number, "Temperature", credentials=robot) as talker,
    ):
        viewer.subscribe("Office/#")
        spy.sample(room="Lobby")  # among themselves they hear one another
        other.orders("write", "Lobby", 1, 1)
        sample = {"room": "Vault", "celsius": 5.5, "counter": 1}
        assert first_message(viewer, lambda: talker.order(write=sample)).topic == "Office/Vault/Temperature"
        for counter in range(20):
            talker.order(write={"room": "Vault", "celsius": 6.5, "counter": counter})
        while json.loads((message := viewer.message()).payload)["counter"] != 19:
            assert message.topic == "Office/Vault/Temperature"
        viewer.publish("Office/Safe/Temperature", b'{"room": "Safe", "celsius": 1, "counter": 1}')
        assert viewer.message().topic == "Office/Safe/Temperature"
        assert {each["room"] for each in spy.samples()} == {"Lobby"}
        assert stranger.process.poll() is None


@pytest.mark.parametrize(("name", "does"), [("gauge", "talk"), ("sensor", "listen"), ("tenant", "talk")])
def test_what_the_policy_does_not_cover_is_refused(
    place: DdsTown, numbers: tuple[int, int], tmp_path: Path, name: str, does: str
) -> None:
    """A reader's bundle may not write, a writer's not read; who may have one room has nothing of all rooms' topic."""
    with cyclone_hands(tmp_path, does, numbers[0], "Temperature", credentials=place.bundle_of(name)) as hands:
        assert "allowed" in hands.wait_for("a refusal", lambda told: "refused" in told)["refused"].lower()


def test_over_mqtt_a_device_gets_what_it_may(
    place: DdsTown, robot: Path, numbers: tuple[int, int], tmp_path: Path
) -> None:
    """The tenant, whom DDS could not keep to one room, gets that room over MQTT, and no other."""
    with (
        place.mqtt("tenant") as tenant,
        cyclone(tmp_path, "talk", numbers[0], "Temperature", credentials=robot) as talker,
    ):
        assert tenant.subscribe("Office/Lobby/Temperature") < 0x80
        assert tenant.subscribe("Office/Vault/Temperature") >= 0x80

        def measure() -> None:
            for room in ("Vault", "Lobby"):
                talker.order(write={"room": room, "celsius": 2.5, "counter": 2})

        message = first_message(tenant, measure)
        assert (message.topic, json.loads(message.payload)["celsius"]) == ("Office/Lobby/Temperature", 2.5)
