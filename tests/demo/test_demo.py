"""The demo plays: readings cross between MQTT, CoAP, AMQP and DDS, the intruder is refused; thermometers are found."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "demo"))

import thermometer  # noqa: E402 - the demo's folder is not a package


@pytest.fixture
def stage() -> Iterator[None]:
    """One demo at a time: its DDS domain is always the same."""
    with (Path(tempfile.gettempdir()) / f"bridgehead-demo-test-{os.getuid()}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("stage")
def test_the_demo_plays_to_its_end() -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "demo" / "run.py")],
        env={**os.environ, "DEMO_SECONDS": "10"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    readings = [line for line in ended.stdout.splitlines() if "from sensor" in line]
    assert readings
    assert all(line.endswith("from sensor (by certificate)") for line in readings)
    assert "let through because 'sensor' may publish retained" in ended.stdout
    assert "intruder tried to publish 99" in ended.stdout
    assert "Not authorized (no permission of 'intruder' covers" in ended.stdout
    assert "Time is up" in ended.stdout
    # From MQTT to CoAP, and from CoAP to CoAP; each proved itself in its own way.
    assert "corridor-display shows Office/Meetingroom/Temperature" in ended.stdout
    assert "corridor-display shows Office/Lobby/Temperature" in ended.stdout
    assert "the hub: lobby-node proved itself by psk" in ended.stdout
    assert "the hub: office-control proved itself by token" in ended.stdout
    assert "the hub: corridor-display proved itself by rpk" in ended.stdout
    # From DDS to CoAP, also after the stronger controller was killed.
    assert "corridor-display shows Plant/Hall-1/Temperature" in ended.stdout
    assert "the plant: controller-1 is killed (SIGKILL)" in ended.stdout
    assert "the plant: controller-2, which stood by, is heard" in ended.stdout


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_demo_is_ended_and_nobody_is_left_running(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "demo" / "run.py")],
        env={**os.environ, "DEMO_SECONDS": "0", "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as demo:
        try:
            assert demo.stdout is not None
            assert any("from sensor" in line for line in demo.stdout)
            demo.send_signal(number)
            rest = demo.stdout.read()
            assert demo.wait(30) == 0, rest
        finally:
            demo.kill()
    assert rest.splitlines()[-1] == "The demo has ended."
    assert list(tmp_path.glob("bridgehead-demo-*")) == []
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and str(tmp_path) in command_of(pid)]


def command_of(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # gone meanwhile


@pytest.mark.parametrize(
    ("path", "content", "source", "reading"),
    [
        ("bus/w1/devices/28-0316/w1_slave", "aa : crc=57 YES\naa t=21437\n", "1-Wire sensor 28-0316", 21.437),
        ("bus/iio/devices/iio:device0/in_temp_input", "21500\n", "IIO sensor iio:device0", 21.5),
        ("class/hwmon/hwmon0/temp1_input", "40000\n", "hardware monitor hwmon0", 40.0),
        ("class/thermal/thermal_zone0/temp", "39000\n", "thermal zone thermal_zone0", 39.0),
    ],
)
def test_a_sensor_of_the_machine_is_found(tmp_path: Path, path: str, content: str, source: str, reading: float) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(content)
    found = thermometer.find(tmp_path)
    assert source in found.source
    assert found.read() == reading


def test_a_sensor_that_does_not_answer_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "bus/w1/devices/28-0316/w1_slave"
    broken.parent.mkdir(parents=True)
    broken.write_text("aa : crc=57 NO\naa t=21437\n")
    found = thermometer.find(tmp_path)
    assert isinstance(found, thermometer.RoomModel)
    assert 15 < found.read() < 40
