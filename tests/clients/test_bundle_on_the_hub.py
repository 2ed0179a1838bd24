"""What `bridgehead device add --out` and `device export` write, run as pasted against the running hub.

tests/security/test_bundle.py runs the same against Mosquitto, and compiles the ESP-IDF snippet.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.hub import command, wait_until
from tests.clients.mqttjs import MqttJs
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


# device export -------------------------------------------------------------------------------------------------------


def exported(office: Office, folder: Path, target: str) -> Path:
    """For a new device of the running hub that may publish Office/export/NAME/up and receive .../down."""
    name = f"exported-{next(NUMBERS)}"
    rights = ["--publish", "Office/export/${device}/up", "--subscribe", "Office/export/${device}/#"]
    add = command("device", "add", name, "--data", office.hub.data, "--generate-password", *rights)
    subprocess.run(add, capture_output=True, timeout=PATIENCE, check=True)
    place: list[str | Path] = ["--host", "localhost", "--port", str(office.port(TLS)), "--out", folder / name]
    export = command(
        "device", "export", name, "--data", office.hub.data, "--for", target, "--credential", "new", *place
    )
    subprocess.run(export, capture_output=True, timeout=PATIENCE, check=True)
    return folder / name


@pytest.mark.peer("node")
def test_mqttjs_takes_the_settings(office: Office, tmp_path: Path) -> None:
    bundle = exported(office, tmp_path, "mqtt")
    settings = json.loads((bundle / "settings.json").read_text())
    files = {"ca": "ca_file", "cert": "certificate_file", "key": "key_file"}
    with MqttJs(office, Way(5, TLS, CERTIFICATE), "office", "unused") as client:
        client.tell(
            "connect",
            url=settings["url"],
            files={name: str(bundle / settings[told]) for name, told in files.items()},
            options={"protocolVersion": settings["protocol_version"], "clientId": settings["client_id"], "clean": True},
        )
        client.await_event("connected")
        client.subscribe(settings["subscribe"]["topic_filter"], settings["subscribe"]["qos"])
        client.publish(settings["publish"]["topic"], "20.5", settings["publish"]["qos"])
        assert client.message() == ("20.5", 1, False)
        client.end()


def test_the_exported_paho_script_runs(office: Office, tmp_path: Path) -> None:
    bundle = exported(office, tmp_path, "paho")
    script = [sys.executable, str(bundle / "paho_client.py"), "1"]
    ended = subprocess.run(script, cwd=os.sep, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"received Office/export/{bundle.name}/up b'21.5'" in ended.stdout


@pytest.mark.peer("mosquitto")
@pytest.mark.peer("mosquitto_pub")
def test_the_bridge_hands_on_and_fetches(office: Office, tmp_path: Path) -> None:
    """A Mosquitto of one's own, started as the bundle says, but for its port."""
    bundle = exported(office, tmp_path, "mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    file = bundle / "mosquitto-bridge.conf"
    file.write_text(file.read_text().replace("listener 1883 ", f"listener {port} ") + "user root\n")
    up, down = (f"Office/export/{bundle.name}/{end}" for end in ("up", "down"))
    with Paho(office, Way(5, TLS, CERTIFICATE), "office", "office-bridge") as watcher:
        watcher.connect()
        watcher.subscribe(up, 1)
        watcher.publish(down, "turn down", 1, retain=True)
        with (tmp_path / "log").open("wb") as log:
            running = subprocess.Popen(["mosquitto", "-c", file.name, "-v"], cwd=bundle, stdout=log, stderr=log)
        try:
            wait_until("the bridge stands", lambda: "CONNACK" in (tmp_path / "log").read_text())
            local = ["-h", "127.0.0.1", "-p", port]
            subprocess.run(["mosquitto_pub", *local, "-t", up, "-m", "19.5", "-q", "1"], timeout=PATIENCE, check=True)
            assert watcher.message()[0] == "19.5"
            fetch = ["mosquitto_sub", *local, "-t", down, "-C", "1", "-W", "20"]
            fetched = subprocess.run(fetch, capture_output=True, timeout=PATIENCE, check=True)
            assert fetched.stdout == b"turn down\n"
        finally:
            running.kill()
            running.wait()
