"""The pages about the policy, as they stand there: their files are written, their commands run, in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridgehead.security.mechanisms import KINDS, PROTOCOLS
from bridgehead.security.policy.mosquitto_conf import HERE
from bridgehead.security.policy.statement import CONDITIONS, OPTIONS, VERBS
from bridgehead.security.policy.text import parse
from bridgehead.security.registry.registry import Registry

DOCS = Path(__file__).parents[2] / "docs"
PATIENCE = 120
BLOCK = re.compile(r"^```(sh|policy [a-z.]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(folder: Path, commands: str) -> subprocess.CompletedProcess[str]:
    shim = folder / "bin" / "bridgehead"
    if not shim.exists():
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m bridgehead "$@"\n')
        shim.chmod(0o700)
    rooms = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(rooms)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def follow(page: str, folder: Path) -> list[str]:
    """Each file and command of the page; returns what the commands said."""
    said = []
    for kind, content in BLOCK.findall((DOCS / page).read_text()):
        if kind != "sh":
            (folder / kind.removeprefix("policy ")).write_text(content)
            continue
        done = run(folder, content)
        code = re.search(r"# exit code ([0-9])", content)
        assert done.returncode == (int(code.group(1)) if code is not None else 0), content + done.stdout + done.stderr
        said.append(done.stdout)
    return said


def test_who_may_do_what(tmp_path: Path) -> None:
    said = "\n".join(follow("policy.md", tmp_path))
    [shown] = re.findall(r"^```\n(for devices\n.*?)^```$", (DOCS / "policy.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown in said
    assert "office.policy:8" in said  # the line that decided
    registry = Registry(tmp_path / "data")
    assert registry.policy().revision == 1
    registry.close()


def test_the_page_names_every_word() -> None:
    text = (DOCS / "policy.md").read_text()
    for word in (*VERBS, *OPTIONS, *CONDITIONS, *KINDS, *PROTOCOLS):
        assert re.search(rf"[`\" ]{word}\b", text), word


def test_the_file_of_the_page_has_no_fault() -> None:
    [content] = [
        text for kind, text in BLOCK.findall((DOCS / "policy.md").read_text()) if kind.endswith("office.policy")
    ]
    assert parse(content)[1] == []


@pytest.mark.peer("mosquitto_passwd")
def test_from_mosquitto(tmp_path: Path) -> None:
    (tmp_path / "mosquitto.conf").write_text("acl_file acl\npassword_file passwords\nlistener 1883\nconnection b\n")
    (tmp_path / "acl").write_text("user sensor-7\ntopic write Office/#\n")
    (tmp_path / "passwords").touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", "passwords", "sensor-7", "an old secret"], cwd=tmp_path, check=True)
    said = follow("from-mosquitto.md", tmp_path)
    assert said[0] == "device sensor-7\n  allow publish Office/#\n"
    registry = Registry(tmp_path / "data")
    assert [device.name for device in registry.devices()] == ["sensor-7"]
    registry.close()


def test_the_page_names_every_option_that_has_its_like_here() -> None:
    text = (DOCS / "from-mosquitto.md").read_text()
    table = text[text.index("## mosquitto.conf") :]
    for option in HERE:
        if option != "allow_zero_length_clientid":
            assert re.search(rf"`{option}\b", table), option
