"""What docs/amqp.md gives to be typed and to be pasted, as it stands there: only the port is another one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.amqp.whole.office import PYTHON, RHEA
from tests.cli.hub import PATIENCE, Hub

PAGE = (Path(__file__).parents[3] / "docs" / "amqp.md").read_text(encoding="utf-8")
CONFIGURATION = """
[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


class Reader:
    """In an empty folder beside the hub's `data`: types into a shell, and runs what it pasted."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self._folder = folder
        self._port = str(hub.port("amqps"))
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

    def types(self, commands: str) -> str:
        """What the terminal shows."""
        commands = commands.replace("amqps://localhost", f"amqps://localhost:{self._port}")
        return self._runs(["bash", "-e", "-c", commands], self._environment)

    def pastes(self, program: str, text: str) -> str:
        """What it says when it runs with foreign clients in reach."""
        surroundings = {**os.environ, "PYTHONPATH": "", "NODE_PATH": str(RHEA)}
        return self._runs(
            [program, "-c" if program != "node" else "-e", text.replace("5671", self._port)], surroundings
        )

    def _runs(self, words: list[str], surroundings: dict[str, str]) -> str:
        done = subprocess.run(
            words,
            cwd=self._folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    with Hub(folder, CONFIGURATION) as hub:
        yield Reader(folder, hub)
        assert hub.stop() == 0


@pytest.mark.peer("node")
def test_five_minutes(reader: Reader) -> None:
    """The page is followed from its beginning to its end: what one block leaves behind another finds."""
    devices, commands = blocks("sh")
    said = reader.types(devices)
    assert "meter-1-amqp" in said
    assert "shop" in said
    assert reader.types(commands) == "Office/Meetingroom/Temperature 21.5\n"
    pika, proton, celery = blocks("python")
    python = str(PYTHON)
    assert reader.pastes(python, pika) == "queued\n"
    assert reader.pastes(python, proton) == "from the queue: 22.5\nsubscribed: open\n"
    [rhea] = blocks("js")
    assert reader.pastes("node", rhea) == "Office/Meetingroom/Temperature 21.5\n"
    assert reader.pastes(python, celery).startswith("connected to amqp://shop:**@")
