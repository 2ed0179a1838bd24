"""The preset's messages against ROS 2's own serialisation of them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridgehead.protocols.dds import ros2
from bridgehead.protocols.dds.codec.stream import XCDR1
from bridgehead.protocols.dds.codec.types import Array, Sequence, Struct, Type, is_octets
from bridgehead.protocols.dds.idl import IdlError

TESTS = Path(__file__).parent
ROS2 = str(TESTS.parent / "peers" / "dds" / "venv" / "bin" / "python")
STAMP = {"sec": -1324559673, "nanosec": 2806167364}
# Written by rclpy of Jazzy: name, value, octets (padding holds what was there before).
WRITTEN: list[tuple[str, Any, str]] = [
    ("std_msgs/Header", {"stamp": STAMP, "frame_id": ""}, "00010000 c7d20cb144b742a7 0100000000"),
    ("std_msgs/Empty", {}, "00010000 00550000"),
    (
        "sensor_msgs/JointState",
        {
            "header": {"stamp": STAMP, "frame_id": ""},
            "name": [],
            "position": [],
            "velocity": [0.75],
            "effort": [0.0, -2.0, -0.25],
        },
        (
            "00010000 c7d20cb144b742a7 0100000000000000 00000000 00000000 01000000 00000000 000000000000e83f"
            "03000000 00000000 0000000000000000 00000000000000c0 000000000000d0bf"
        ),
    ),
    (
        "sensor_msgs/BatteryState",
        {
            "header": {"stamp": STAMP, "frame_id": ""},
            "voltage": 0.75,
            "temperature": 1.0,
            "current": 1.75,
            "charge": -1.0,
            "capacity": 0.0,
            "design_capacity": -1.25,
            "percentage": 0.0,
            "power_supply_status": 82,
            "power_supply_health": 146,
            "power_supply_technology": 120,
            "present": True,
            "cell_voltage": [],
            "cell_temperature": [0.75, 0.5],
            "location": "",
            "serial_number": "grün",
        },
        (
            "00010000 c7d20cb144b742a7 01000000004d9808 0000403f 0000803f 0000e03f 000080bf 00000000 0000a0bf 00000000"
            "52927801 00000000 02000000 0000403f 0000003f 01000000 009fd800 06000000 6772c3bc6e00"
        ),
    ),
    (
        "std_msgs/Int64MultiArray",
        {"layout": {"dim": [], "data_offset": 7}, "data": []},
        "00010000 00000000 07000000 00000000 30a6f5fd",
    ),
]


def of_hub(kind: Type, value: Any) -> Any:
    """A value as ROS 2 has it, in the hub's form."""
    if isinstance(kind, Struct):
        return {each.name: of_hub(each.type, value.get(each.name, 0)) for each in kind.members}
    if isinstance(kind, (Sequence, Array)):
        return bytes(value) if is_octets(kind.element) else [of_hub(kind.element, each) for each in value]
    return value


def check(name: str, value: Any, octets: bytes) -> None:
    codec = ros2.preset(name).codec
    wanted = of_hub(codec.type, value)
    assert codec.representation == XCDR1
    ours = codec.encode(wanted)
    assert codec.decode(ours) == wanted
    # What it returns is as long as it estimated before; what padding holds is what was there.
    assert len(octets) >= len(ours) - ours[3]
    assert codec.decode(octets[: len(ours)]) == wanted


@pytest.mark.parametrize(("name", "value", "octets"), WRITTEN)
def test_messages_as_ros_2_wrote_them(name: str, value: Any, octets: str) -> None:
    check(name, value, bytes.fromhex(octets))


@pytest.mark.peer(ROS2)
def test_every_message_as_ros_2_writes_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": "", "ROS_LOG_DIR": str(tmp_path)}
    command = [ROS2, str(TESTS / "ros2_serialise.py"), "1", *ros2.names()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, _, _ in lines] == ros2.names()
    for name, value, octets in lines:
        check(name, value, bytes.fromhex(octets))


@pytest.mark.parametrize("name", ["std_msgs/String", "std_msgs/msg/String", "std_msgs::msg::dds_::String_"])
def test_a_message_by_each_of_its_names(name: str) -> None:
    found = ros2.preset(name)
    assert found.type.name == "std_msgs::msg::dds_::String_"
    assert found.python.__idl_typename__ == "std_msgs.msg.dds_.String_"


def test_messages_contain_others_of_their_own_package_and_of_others() -> None:
    described = ros2.preset("geometry_msgs/TwistStamped").type
    names = [each.type.name for each in described.members if isinstance(each.type, Struct)]
    assert names == ["std_msgs::msg::dds_::Header_", "geometry_msgs::msg::dds_::Twist_"]


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("String", "is no name of a ROS 2 message: write it as std_msgs/String"),
        ("std_msgs/Text", "has no message std_msgs/Text: of std_msgs there are std_msgs/Bool"),
        ("nav_msgs/Path", "the packages are builtin_interfaces, geometry_msgs, sensor_msgs, std_msgs; for others name"),
    ],
)
def test_what_the_preset_lacks_is_said(name: str, because: str) -> None:
    with pytest.raises(IdlError) as caught:
        ros2.preset(name)
    assert because in str(caught.value)
