"""README's five minutes, as they stand there: only the ports are others, so that two runs don't meet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.hub import PATIENCE, Hub

README = Path(__file__).parents[2] / "README.md"
FIRST = "bridgehead up --data data"
CONFIGURATION = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
transport = "websocket"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
"""


def chapter() -> str:
    text = README.read_text(encoding="utf-8")
    return text[text.index("## From nothing to a device publishing") : text.index("## What you get")]


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", chapter(), re.DOTALL)


def told(beginning: str) -> str:
    """The command in running text that begins so."""
    return next(str(found) for found in re.findall(r"`([^`\n]+)`", chapter()) if found.startswith(beginning))


class Terminal:
    """A shell in an empty folder, where `bridgehead` is the command of the flavour under test."""

    def __init__(self, folder: Path, port: int, coap_port: int, amqp_port: int) -> None:
        self._folder = folder
        self._port = port
        self._coap_port = coap_port
        self._amqp_port = amqp_port
        shim = folder / "bin" / "bridgehead"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m bridgehead "$@"\n')
        shim.chmod(0o700)
        rooms = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        self._environment = {
            **os.environ,
            "PATH": f"{shim.parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(rooms),
        }

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        """What is typed, and what the terminal then shows."""
        commands = commands.replace("mqtts://localhost ", f"mqtts://localhost:{self._port} ")
        commands = commands.replace("coaps://localhost ", f"coaps://localhost:{self._coap_port} ")
        commands = commands.replace("amqps://localhost/", f"amqps://localhost:{self._amqp_port}/")
        commands = commands.replace("--host localhost ", f"--host localhost --port {self._port} ")
        return subprocess.run(
            ["bash", "-e", "-c", commands + "\nwait"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Step 1: the hub runs, in an empty data folder."""
    assert blocks()[0].strip() == FIRST
    with Hub(tmp_path, CONFIGURATION) as hub:
        yield Terminal(tmp_path, hub.port("mqtts"), hub.port("coaps"), hub.port("amqps"))
        assert hub.stop() == 0


@pytest.mark.peer("mosquitto_pub")
def test_from_nothing_to_a_device_publishing(terminal: Terminal, tmp_path: Path) -> None:
    _, enrol, flow, denied, coap, queue, why = blocks()
    done = terminal.run(enrol)
    assert done.returncode == 0, done.stdout + done.stderr
    done = terminal.run(flow)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "21.5\n"
    done = terminal.run(denied)
    assert done.returncode != 0
    assert "no permission of 'sensor-7' covers publish" in done.stderr
    done = terminal.run(coap)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(done.stdout.splitlines()[-2:]) == ["19.5", "21.5"]
    done = terminal.run(told("bridgehead device export node-3"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "node-3-libcoap" / "coap-put.sh").is_file()
    done = terminal.run(queue)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "22.5"
    done = terminal.run(why)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Office/Meetingroom/#" in done.stdout
    assert terminal.run(flow).stdout == ""  # the office is revoked, and nothing of it is accepted any more
    done = terminal.run(told("sh sensor-7/"))
    assert done.returncode == 0, done.stdout + done.stderr
    done = terminal.run(told("bridgehead device add door-3"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "password" in done.stdout
    for file in ("mosquitto_pub.sh", "paho_client.py", "esp_idf_main.c"):
        assert (tmp_path / "sensor-7" / file).is_file()


def test_the_command_is_where_the_readme_says() -> None:
    """An editable install puts it beside the interpreter: `.venv/bin` after `make setup`."""
    assert ".venv/bin/bridgehead" in chapter()
    assert shutil.which("bridgehead", path=str(Path(sys.executable).parent))
