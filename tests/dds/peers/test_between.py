"""Through the hub, on a domain without security: each DDS implementation as a process, MQTT on the other side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.protocols.dds.session.ports import DISPOSED
from tests.dds.domains import free_domain
from tests.dds.peers.hands import FASTDDS, ROS2, cyclone, fastdds, ros2
from tests.dds.peers.town import (
    STRING,
    TEMPERATURE,
    VALVE,
    DdsTown,
    chatter_route,
    domain_table,
    first_message,
    folder_of,
    sent,
    temperature_route,
    town,
    valve_route,
)

KEEPING = "transient-local"
KEPT = '{durability = "transient-local"}'
pytestmark = [pytest.mark.peer(FASTDDS), pytest.mark.peer(ROS2), pytest.mark.peer("idlc")]


@pytest.fixture(scope="module")
def number() -> Iterator[int]:
    with free_domain() as found:
        yield found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, number: int) -> Iterator[DdsTown]:
    config = (
        domain_table(number, guest="robot")
        + temperature_route(number)
        + valve_route(number, "Kept", KEPT)
        + temperature_route(number, "KeptRooms", "KeptRooms/${room}", KEPT)
        + temperature_route(number, "Temperature", "Floor2/${room}", more='partition = "Floor2"')
        + temperature_route(number, "LastTwo", "LastTwo/${room}", '{durability = "transient-local", depth = 2}')
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
        sample = {"room": "Lobby", "celsius": 21.5, "counter": 2**60}
        message = first_message(viewer, lambda: talker.order(write=sample))
        assert (message.topic, message.qos, message.retain) == ("Office/Lobby/Temperature", 1, False)
        assert message.properties.content_type == "application/json"
        # Beyond 2**53 an integer is a string: JavaScript would round it.
        assert json.loads(message.payload) == {"room": "Lobby", "celsius": 21.5, "counter": str(2**60)}

        sample = {"room": "Attic", "celsius": -1.25, "counter": 7}
        sent(viewer, "Office/Attic/Temperature", sample, listener)


def test_fast_dds_in_and_out(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        fastdds(tmp_path, "talk", number, "Temperature", TEMPERATURE) as talker,
        fastdds(tmp_path, "listen", number, "Temperature", TEMPERATURE) as listener,
    ):
        viewer.subscribe("Office/+/Temperature")
        message = first_message(viewer, lambda: talker.orders("write", "Küche", 19.25, -3))
        assert message.topic == "Office/Küche/Temperature"
        assert json.loads(message.payload) == {"room": "Küche", "celsius": 19.25, "counter": -3}

        sent(viewer, "Office/Cellar/Temperature", {"room": "Cellar", "celsius": 4, "counter": 9}, listener)


def test_what_the_hub_wrote_does_not_come_back_to_it(place: DdsTown, number: int, tmp_path: Path) -> None:
    with place.mqtt("viewer") as viewer, cyclone(tmp_path, "listen", number, "Temperature") as listener:
        sent(viewer, "Office/First/Temperature", {"room": "First", "celsius": 1, "counter": 1}, listener)
        viewer.subscribe("Office/#")
        for counter, room in enumerate(("Echo", "Last")):
            payload = json.dumps({"room": room, "celsius": 1, "counter": counter})
            viewer.publish(f"Office/{room}/Temperature", payload.encode())
            listener.sample(room=room)
        assert [viewer.message().topic for _ in range(2)] == ["Office/Echo/Temperature", "Office/Last/Temperature"]
        viewer.ping()  # nothing else was on its way


def test_ros_2_in_and_out(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        ros2(tmp_path, "talk", number, "/chatter", "std_msgs/String") as talker,
        ros2(tmp_path, "listen", number, "/chatter", "std_msgs/String") as listener,
    ):
        viewer.subscribe("chatter")
        message = first_message(viewer, lambda: talker.order(data="hello, hub"))
        assert (message.topic, json.loads(message.payload)) == ("chatter", {"data": "hello, hub"})

        sent(viewer, "chatter", {"data": "hello, ROS – ☃"}, listener)


def test_ros_2_between_itself_and_cyclone_by_its_names(place: DdsTown, number: int, tmp_path: Path) -> None:
    """What the hub writes for ROS 2 is what Cyclone's and Fast DDS' own types take as rt/chatter."""
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "listen", number, "rt/chatter", "String") as ours,
        fastdds(tmp_path, "listen", number, "rt/chatter", STRING) as theirs,
    ):
        sent(viewer, "chatter", {"data": "to Cyclone"}, ours)
        sent(viewer, "chatter", {"data": "to Fast DDS"}, theirs)


def test_a_message_of_many_parts_from_ros_2(place: DdsTown, number: int, tmp_path: Path) -> None:
    with place.mqtt("viewer") as viewer, ros2(tmp_path, "talk", number, "/imu", "sensor_msgs/Imu") as talker:
        viewer.subscribe("imu")
        header = {"frame_id": "base_link", "stamp": {"sec": 5, "nanosec": 7}}
        acceleration = {"x": 0.5, "y": -0.25, "z": 9.75}
        covariance = [float(number) for number in range(9)]
        fields = {"header": header, "linear_acceleration": acceleration, "orientation_covariance": covariance}
        imu = json.loads(first_message(viewer, lambda: talker.order(**fields)).payload)
        assert imu["header"] == header
        assert imu["linear_acceleration"] == acceleration
        assert imu["orientation"] == {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
        assert imu["orientation_covariance"] == covariance


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
        sent(viewer, "imu", imu, listener)


@pytest.mark.clause("DDS-2.2.3.13")
def test_a_partition_is_another_topic(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Temperature", partition="Floor2") as upstairs,
        fastdds(tmp_path, "talk", number, "Temperature", TEMPERATURE, partition="Floor3") as nowhere,
        fastdds(tmp_path, "listen", number, "Temperature", TEMPERATURE, partition="Floor2") as listener,
    ):
        viewer.subscribe("#")
        nowhere.orders("write", "Hall", 1, 1)
        nowhere.wait_for("written", lambda told: "written" in told)
        sample = {"room": "Hall", "celsius": 20.0, "counter": 1}
        assert first_message(viewer, lambda: upstairs.order(write=sample)).topic == "Floor2/Hall"
        sent(viewer, "Floor2/Loft", {"room": "Loft", "celsius": 1.5, "counter": 2}, listener)
        assert not any("matched" in told for told in nowhere.told)


@pytest.mark.clause("DDS-2.2.3.4")
def test_late_joiners_find_what_is_kept_on_both_sides(place: DdsTown, number: int, tmp_path: Path) -> None:
    """TRANSIENT_LOCAL is a retained message, and a retained message is there for readers that come late."""
    with place.mqtt("viewer") as viewer:
        with fastdds(tmp_path, "talk", number, "Kept", VALVE, durability=KEEPING) as talker:
            talker.matched()
            talker.orders("write", 7, 17.5)
            viewer.subscribe("Kept/7")
            first = viewer.message()
            assert json.loads(first.payload) == {"number": 7, "flow": 17.5}
            with place.mqtt("viewer", "viewer-late") as late:
                late.subscribe("Kept/7")
                again = late.message()
                assert (again.retain, again.payload) == (True, first.payload)
        viewer.publish("Kept/8", b'{"number": 8, "flow": 3.5}', 1, retain=True)
        with fastdds(tmp_path, "listen", number, "Kept", VALVE, durability=KEEPING) as listener:
            listener.sample(number=8, flow=3.5)


@pytest.mark.clause("DDS-2.2.3.18")
def test_history_is_what_late_readers_get_of_each_instance(place: DdsTown, number: int, tmp_path: Path) -> None:
    with place.mqtt("viewer") as viewer:
        for room in ("Attic", "Cellar"):
            for counter in range(5):
                payload = json.dumps({"room": room, "celsius": 1.5, "counter": counter})
                viewer.publish(f"LastTwo/{room}", payload.encode(), 1)
        with cyclone(tmp_path, "listen", number, "LastTwo", durability=KEEPING) as listener:
            listener.sample(room="Cellar", counter=4)
            listener.sample(room="Attic", counter=4)
            found = [(each["room"], each["counter"]) for each in listener.samples()]
            assert sorted(found) == [("Attic", 3), ("Attic", 4), ("Cellar", 3), ("Cellar", 4)]


@pytest.mark.parametrize("end", ["dispose", "unregister"])
@pytest.mark.clause("RTPS-9.6.3.8")
def test_what_a_peer_ends_is_cleared(place: DdsTown, number: int, tmp_path: Path, end: str) -> None:
    """The retained value goes, and who listens is told so by an empty payload."""
    key = 10 if end == "dispose" else 11
    with (
        place.mqtt("viewer") as viewer,
        fastdds(tmp_path, "talk", number, "Kept", VALVE, durability=KEEPING) as talker,
    ):
        viewer.subscribe(f"Kept/{key}")
        talker.matched().orders("write", key, 1.5)
        assert viewer.message().payload
        talker.orders(end, key)
        assert viewer.message().payload == b""


def test_what_is_cleared_on_the_hub_is_disposed(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "listen", number, "KeptRooms", durability=KEEPING) as listener,
    ):
        viewer.publish("KeptRooms/Vault", b'{"room": "Vault", "celsius": 3.5, "counter": 4}', 1, retain=True)
        listener.sample(room="Vault")
        viewer.publish("KeptRooms/Vault", b"", 1, retain=True)
        assert listener.wait_for("its end", lambda told: "ended" in told)["ended"] == DISPOSED
