"""What docs/dds.md and docs/dds-security.md give to be typed and to be pasted: only port and domain are others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.hub import PATIENCE, Hub

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "dds.md").read_text(encoding="utf-8")
SECURITY = (DOCS / "dds-security.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.peer("idlc")


def blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


class Reader:
    """In an empty folder beside the hub's `data`: types into a shell."""

    def __init__(self, folder: Path, hub: Hub, domain: int) -> None:
        self._folder = folder
        self._port = str(hub.port("mqtts"))
        self._domain = domain
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
        commands = commands.replace("mqtts://localhost", f"mqtts://localhost:{self._port}")
        commands = commands.replace("dds://7/", f"dds://{self._domain}/")
        commands = commands.replace("discover 7 ", f"discover {self._domain} ")
        with subprocess.Popen(
            ["bash", "-e", "-c", commands + "\nwait"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as shell:
            try:
                out, err = shell.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(shell.pid, signal.SIGKILL)  # what it started, too: nobody else's domain is to have it
                raise
        assert shell.returncode == 0, out + err
        return out


@pytest.fixture
def reader(tmp_path: Path, domain: int) -> Iterator[Reader]:
    """Steps 1 and 2: the type, the configuration, the hub."""
    (tmp_path / "office.idl").write_text(blocks("idl")[0])
    configuration = blocks("toml")[0].replace("127.0.0.1:8883", "127.0.0.1:0")
    configuration = configuration.replace("id = 7", f"id = {domain}").replace("domain = 7", f"domain = {domain}")
    assert blocks("sh")[0].strip() == "bridgehead up --data data --config hub.toml"
    with Hub(tmp_path, configuration) as hub:
        yield Reader(tmp_path, hub, domain)
        assert hub.stop() == 0


def test_the_five_minutes(reader: Reader, tmp_path: Path) -> None:
    _, enrol, from_dds, to_dds, discover = blocks("sh")
    reader.types(enrol)
    assert (tmp_path / "robot-dds" / "permissions.p7s").is_file()
    told = 'Office/Lobby/Temperature {"room":"Lobby","celsius":21.5}'
    assert told in PAGE
    assert reader.types(from_dds).splitlines() == [told]
    told = '{"room":"Meetingroom","celsius":22.5}'
    assert told in PAGE
    assert reader.types(to_dds).splitlines() == [told]
    shown = reader.types(discover)
    assert "office::Temperature" in shown
    assert "reliable transient-local" in shown


def test_what_the_page_of_security_types(reader: Reader, tmp_path: Path) -> None:
    protect, log, tags = blocks("sh", SECURITY)
    reader.types(protect)
    assert (tmp_path / "robot" / "permissions.xml").is_file()
    assert (tmp_path / "governance.p7s").is_file()
    reader.types(log)
    # The name is free again, so that the page may use it twice.
    reader.types("bridgehead device remove robot --data data")
    reader.types(tags)
    assert (tmp_path / "guard" / "certificate.pem").is_file()
