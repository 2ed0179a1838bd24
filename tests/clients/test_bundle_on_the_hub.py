"""What `bridgehead device add --out` writes, run as pasted against the running hub.

tests/security/test_bundle.py runs the same against Mosquitto, and compiles the ESP-IDF snippet.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.hub import command
from tests.clients.office import CERTIFICATE, TLS, Office, Way
from tests.clients.paho import Paho

PATIENCE = 30
NUMBERS = itertools.count(1)

# Each is what `device add` is told, beside permissions.
CREDENTIALS = {
    "certificate": ["--certificate"],
    "password": ["--generate-password"],
    "both": ["--certificate", "--generate-password", "--require-both"],
}


@pytest.fixture(params=CREDENTIALS)
def bundle(office: Office, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Of a new device that may publish and subscribe Office/bundle/NAME, added while the hub runs."""
    name = f"new-{next(NUMBERS)}"
    folder = tmp_path / name
    topic = "Office/bundle/${device}"
    place: list[str | Path] = [
        "--data",
        office.hub.data,
        "--host",
        "localhost",
        "--port",
        str(office.port(TLS)),
        "--out",
        folder,
    ]
    rights = ["--publish", topic, "--subscribe", topic]
    add = command("device", "add", name, *place, *rights, *CREDENTIALS[request.param])
    subprocess.run(add, capture_output=True, timeout=PATIENCE, check=True)
    return folder


def topic_of(bundle: Path) -> str:
    return f"Office/bundle/{json.loads((bundle / 'device.json').read_text())['name']}"


@pytest.mark.peer("mosquitto_pub")
def test_the_shell_lines_reach_the_hub_and_come_from_it(office: Office, bundle: Path) -> None:
    with Paho(office, Way(5, TLS, CERTIFICATE), "office", "office-bundle") as watcher:
        watcher.connect()
        watcher.subscribe(topic_of(bundle), 1)
        subprocess.run(["sh", bundle / "mosquitto_pub.sh", "22.5"], timeout=PATIENCE, check=True)
        assert watcher.message() == ("22.5", 1, False)
        watcher.publish(topic_of(bundle), "turn down", 1, retain=True)
    ended = subprocess.run(
        ["sh", bundle / "mosquitto_sub.sh", "-C", "1", "-W", "30"], capture_output=True, timeout=PATIENCE, check=True
    )
    assert ended.stdout.decode() == f"{topic_of(bundle)} turn down\n"


def test_the_paho_script_publishes_and_receives(bundle: Path) -> None:
    ended = subprocess.run(
        [sys.executable, bundle / "paho_client.py", "1"],
        cwd=os.sep,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    topic = topic_of(bundle)
    assert "connected: Success" in ended.stdout
    assert f"received {topic} b'21.5'" in ended.stdout


def test_our_own_commands_take_the_bundle(bundle: Path) -> None:
    port = json.loads((bundle / "device.json").read_text())["port"]
    url = f"mqtts://localhost:{port}"
    topic = topic_of(bundle)
    said: list[str | Path] = ["-m", "23.5", "--qos", "1", "--retain", "--bundle", bundle]
    subprocess.run(command("pub", url, topic, *said), capture_output=True, timeout=PATIENCE, check=True)
    taken = command("sub", url, topic, "--bundle", bundle, "--count", "1")
    ended = subprocess.run(taken, capture_output=True, timeout=PATIENCE, check=True)
    assert ended.stdout.decode() == "23.5\n"
