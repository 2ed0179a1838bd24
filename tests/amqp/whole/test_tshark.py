"""Wireshark's dissector reads sessions of both versions between the real hub and other makers' clients: nothing is
malformed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.amqp.whole.office import OFFICE, Office

pytestmark = pytest.mark.peer("tshark")
WRONG = "_ws.malformed || (amqp && _ws.expert.severity >= 0x600000)"  # a warning or an error


def tshark(file: Path, *options: str) -> str:
    done = subprocess.run(
        ["tshark", "-r", str(file), *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def dissected(office: Office, tmp_path: Path, script: str, *words: str) -> str:
    """What the dissector says in full of a session through the plaintext listener, once it is sure that it finds
    nothing wrong."""
    with office.recorder() as recorder:
        more = {"AMQP_PORT": str(recorder.port)}
        assert office.python(script, *words, name=OFFICE, more=more).lines()
    file = tmp_path / "capture.pcap"
    recorder.write(file)
    assert tshark(file, "-Y", WRONG) == ""
    assert len(tshark(file, "-Y", "amqp").splitlines()) > 10
    return tshark(file, "-Y", "amqp", "-V")


def test_amqp_1_0(office: Office, tmp_path: Path) -> None:
    text = dissected(office, tmp_path, "proton_login.py", "SCRAM-SHA-256", "Office/dissected", "plain")
    for each in ("open", "begin", "attach", "flow", "transfer", "disposition", "close"):
        assert f"Performative: {each}" in text, each
    assert "Mechanism: SCRAM-SHA-256" in text
    assert "Protocol-ID: 3" in text


def test_amqp_0_9_1(office: Office, tmp_path: Path) -> None:
    text = dissected(office, tmp_path, "pika_plain.py", "dissected")
    for each in ("Start-Ok", "Tune", "Open-Ok", "Declare-Ok", "Publish", "Get-Ok", "Deliver", "Close-Ok"):
        assert f"Method: {each}" in text, each
