"""The commands on CoAP's pages, as they stand there: only the ports are others, so that two runs don't meet."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.hub import PATIENCE, Hub

DOCS = Path(__file__).parents[3] / "docs"
CONFIGURATION = """
[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
plaintext = true

[[listener]]
bind = "127.0.0.1:0"
protocol = "proxy"
"""


def blocks(page: str) -> list[str]:
    """What a page gives to be typed."""
    return re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


class Reader:
    """Types into a shell in an empty folder, beside the hub's `data`."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self._folder = folder
        self._hub = hub
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

    def types(self, commands: str) -> tuple[int, str]:
        """The exit code, and what the terminal shows."""
        for scheme in ("coaps", "coap"):  # behind / or = it is the proxy's target: the hub itself, by its name
            commands = re.sub(
                rf"(?<![/=]){scheme}://localhost\b", f"{scheme}://127.0.0.1:{self._hub.port(scheme)}", commands
            )
        commands = commands.replace("localhost:8444", f"localhost:{self._hub.port('proxy')}")
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    with Hub(folder, CONFIGURATION) as hub:
        yield Reader(folder, hub)
        assert hub.stop() == 0


@pytest.fixture(scope="module")
def node(reader: Reader) -> str:
    """The device that the pages share; what was said when it was added."""
    code, said = reader.types(blocks("coap.md")[0])
    assert code == 0, said
    return said


@pytest.mark.peer("coap-client-gnutls")
def test_coap(reader: Reader, node: str) -> None:
    assert "node-9-coap" in node
    _, by_hand, commands, inspect = blocks("coap.md")
    assert reader.types(by_hand) == (0, "21.5\n21.5\n")
    assert reader.types(commands) == (0, "Office/Meetingroom/Temperature 21.5\n")
    code, said = reader.types(inspect)
    assert code == 0
    assert "Uri-Path      'temp'" in said
    assert "fault" not in said


@pytest.mark.peer("coap-client-gnutls")
def test_pubsub(reader: Reader, node: str) -> None:
    [block] = blocks("coap-pubsub.md")
    code, said = reader.types(block)
    assert code == 0
    [link, value] = said.splitlines()
    topic = re.fullmatch(r"</ps/([0-9a-f]+)>", link)
    assert topic is not None, said
    assert f"/ps/data/{topic[1]}\n" in block
    assert value == '[{"n":"lamp","v":1}]'


@pytest.mark.peer("coap-client-gnutls")
def test_the_directory(reader: Reader, node: str) -> None:
    [block] = blocks("resource-directory.md")
    code, said = reader.types(block)
    assert code == 0
    assert re.search(r'^<coaps://127\.0\.0\.1:\d+/temp>;rt="temperature-c"$', said, re.MULTILINE), said


def test_oscore(reader: Reader) -> None:
    [block] = blocks("oscore.md")
    code, said = reader.types(block)
    assert code == 0, said
    assert "note: new for node-8: oscore\n" in said


@pytest.mark.peer("curl")
@pytest.mark.peer("coap-client-openssl")
def test_the_proxy(reader: Reader) -> None:
    as_client, as_server = blocks("coap-http.md")
    code, said = reader.types(as_client)
    assert code == 28, said  # curl's -m ended the stream
    assert "\nopen\n" in said
    assert "data: open\n" in said
    code, said = reader.types(as_server.rpartition("coap-client-openssl")[0])  # without the server of others
    assert code == 0, said
    assert "node-7-libcoap" in said
