"""Through the hub, on a domain without security: each DDS implementation as a process, MQTT on the other side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dds.domains import free_domain
from tests.dds.peers.hands import FASTDDS, ROS2, cyclone, fastdds, ros2
from tests.dds.peers.town import (
    STRING,
    TEMPERATURE,
    DdsTown,
    chatter_route,
    domain_table,
    folder_of,
    temperature_route,
    town,
)

KEPT = '{durability = "transient-local"}'
pytestmark = [pytest.mark.slow, pytest.mark.peer(FASTDDS), pytest.mark.peer(ROS2), pytest.mark.peer("idlc")]


@pytest.fixture(scope="module")
def number() -> Iterator[int]:
    with free_domain() as found:
        yield found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, number: int) -> Iterator[DdsTown]:
    config = (
        domain_table(number, guest="robot")
        + temperature_route(number)
        + temperature_route(number, "Kept", "Kept/${room}", KEPT)
        + temperature_route(number, "Temperature", "Floor2/${room}", more='partition = "Floor2"')
        + chatter_route(number)
        + chatter_route(number, "imu", "sensor_msgs/Imu")
    )
    with town(folder_of(tmp_path_factory), config, "robot", "viewer") as made:
        yield made


def test_cyclone_in_and_out(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Temperature") as talker,
        cyclone(tmp_path, "listen", number, "Temperature") as listener,
    ):
        viewer.subscribe("Office/#", 1)
        talker.matched(2).order(write={"room": "Lobby", "celsius": 21.5, "counter": 2**60})
        message = viewer.message()
        assert (message.topic, message.qos, message.retain) == ("Office/Lobby/Temperature", 1, False)
        assert message.properties.content_type == "application/json"
        # Beyond 2**53 an integer is a string: JavaScript would round it.
        assert json.loads(message.payload) == {"room": "Lobby", "celsius": 21.5, "counter": str(2**60)}

        listener.matched(2)
        viewer.publish("Office/Attic/Temperature", b'{"room": "Attic", "celsius": -1.25, "counter": 7}', 1)
        assert listener.sample(room="Attic")["sample"] == {"room": "Attic", "celsius": -1.25, "counter": 7}


def test_fast_dds_in_and_out(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        fastdds(tmp_path, "talk", number, "Temperature", TEMPERATURE) as talker,
        fastdds(tmp_path, "listen", number, "Temperature", TEMPERATURE) as listener,
    ):
        viewer.subscribe("Office/+/Temperature")
        talker.matched(2).orders("write", "Küche", 19.25, -3)
        message = viewer.message()
        assert message.topic == "Office/Küche/Temperature"
        assert json.loads(message.payload) == {"room": "Küche", "celsius": 19.25, "counter": -3}

        listener.matched(2)
        viewer.publish("Office/Cellar/Temperature", b'{"room": "Cellar", "celsius": 4, "counter": 9}', 1)
        assert listener.sample(room="Cellar")["sample"] == {"room": "Cellar", "celsius": 4, "counter": 9}


def test_what_the_hub_wrote_does_not_come_back_to_it(place: DdsTown, number: int, tmp_path: Path) -> None:
    with place.mqtt("viewer") as viewer, cyclone(tmp_path, "listen", number, "Temperature") as listener:
        viewer.subscribe("Office/#")
        listener.matched()
        viewer.publish("Office/Echo/Temperature", b'{"room": "Echo", "celsius": 1, "counter": 1}', 1)
        listener.sample(room="Echo")
        viewer.publish("Office/Last/Temperature", b'{"room": "Last", "celsius": 1, "counter": 2}', 1)
        listener.sample(room="Last")
        assert [viewer.message().topic for _ in range(2)] == ["Office/Echo/Temperature", "Office/Last/Temperature"]
        viewer.ping()  # nothing else was on its way


def test_ros_2_in_and_out(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        ros2(tmp_path, "talk", number, "/chatter", "std_msgs/String") as talker,
        ros2(tmp_path, "listen", number, "/chatter", "std_msgs/String") as listener,
    ):
        viewer.subscribe("chatter")
        talker.matched(2).order(data="hello, hub")
        message = viewer.message()
        assert (message.topic, json.loads(message.payload)) == ("chatter", {"data": "hello, hub"})

        listener.matched(2)
        viewer.publish("chatter", '{"data": "hello, ROS – ☃"}'.encode(), 1)
        assert listener.sample(data="hello, ROS – ☃")


def test_ros_2_between_itself_and_cyclone_by_its_names(place: DdsTown, number: int, tmp_path: Path) -> None:
    """What the hub writes for ROS 2 is what Cyclone's and Fast DDS' own types take as rt/chatter."""
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "listen", number, "rt/chatter", "String") as ours,
        fastdds(tmp_path, "listen", number, "rt/chatter", STRING) as theirs,
    ):
        ours.matched()
        theirs.matched()
        viewer.publish("chatter", b'{"data": "to all"}', 1)
        assert ours.sample(data="to all")
        assert theirs.sample(data="to all")


def test_a_message_of_many_parts_from_ros_2(place: DdsTown, number: int, tmp_path: Path) -> None:
    with place.mqtt("viewer") as viewer, ros2(tmp_path, "talk", number, "/imu", "sensor_msgs/Imu") as talker:
        viewer.subscribe("imu")
        header = {"frame_id": "base_link", "stamp": {"sec": 5, "nanosec": 7}}
        acceleration = {"x": 0.5, "y": -0.25, "z": 9.75}
        talker.matched().order(
            header=header, linear_acceleration=acceleration, orientation_covariance=[float(n) for n in range(9)]
        )
        imu = json.loads(viewer.message().payload)
        assert imu["header"] == header
        assert imu["linear_acceleration"] == acceleration
        assert imu["orientation"] == {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
        assert imu["orientation_covariance"] == [float(number) for number in range(9)]


def test_and_to_ros_2(place: DdsTown, number: int, tmp_path: Path) -> None:
    vector = {"x": 1.0, "y": 2.0, "z": 3.0}
    imu = {
        "header": {"stamp": {"sec": -1, "nanosec": 999_999_999}, "frame_id": "ä"},
        "orientation": {**vector, "w": 4.0},
        "orientation_covariance": [0.5] * 9,
        "angular_velocity": vector,
        "angular_velocity_covariance": [0.25] * 9,
        "linear_acceleration": vector,
        "linear_acceleration_covariance": [0.125] * 9,
    }
    with place.mqtt("viewer") as viewer, ros2(tmp_path, "listen", number, "/imu", "sensor_msgs/Imu") as listener:
        listener.matched()
        viewer.publish("imu", json.dumps(imu).encode(), 1)
        assert listener.sample()["sample"] == imu


def test_a_partition_is_another_topic(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Temperature", partition="Floor2") as upstairs,
        fastdds(tmp_path, "talk", number, "Temperature", TEMPERATURE, partition="Floor3") as nowhere,
        fastdds(tmp_path, "listen", number, "Temperature", TEMPERATURE, partition="Floor2") as listener,
    ):
        viewer.subscribe("#")
        listener.matched(2)
        nowhere.orders("write", "Hall", 1, 1)
        nowhere.wait_for("written", lambda told: "written" in told)
        upstairs.matched(2).order(write={"room": "Hall", "celsius": 20.0, "counter": 1})
        assert viewer.message().topic == "Floor2/Hall"
        viewer.publish("Floor2/Loft", b'{"room": "Loft", "celsius": 1.5, "counter": 2}', 1)
        listener.sample(room="Loft", celsius=1.5)


@pytest.mark.clause("DDS-2.2.3.4")
def test_late_joiners_find_what_is_kept_on_both_sides(place: DdsTown, number: int, tmp_path: Path) -> None:
    """TRANSIENT_LOCAL is a retained message, and a retained message is there for readers that come late."""
    kept = {"durability": "transient-local"}
    with place.mqtt("viewer") as viewer:
        with fastdds(tmp_path, "talk", number, "Kept", TEMPERATURE, **kept) as talker:
            talker.matched()
            talker.orders("write", "Safe", 17.5, 1)
            viewer.subscribe("Kept/Safe")
            first = viewer.message()
            assert json.loads(first.payload)["celsius"] == 17.5
            with place.mqtt("viewer", "viewer-late") as late:
                late.subscribe("Kept/Safe")
                again = late.message()
                assert (again.retain, again.payload) == (True, first.payload)
            # Dispose ends the instance: the retained value goes, and who listens is told so by an empty payload.
            talker.orders("dispose", "Safe")
            assert (message := viewer.message()).topic == "Kept/Safe"
            assert message.payload == b""
        viewer.publish("Kept/Vault", b'{"room": "Vault", "celsius": 3.5, "counter": 4}', 1, retain=True)
        with (
            fastdds(tmp_path, "listen", number, "Kept", TEMPERATURE, **kept) as listener,
            cyclone(tmp_path, "listen", number, "Kept", **kept) as other,
        ):
            listener.sample(room="Vault", celsius=3.5)
            other.sample(room="Vault", celsius=3.5)
            viewer.publish("Kept/Vault", b"", 1, retain=True)
            listener.wait_for("disposed", lambda told: told.get("disposed") == "Vault")
