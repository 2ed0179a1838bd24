"""Bundles of `bridgehead device export --for amqp`, as they are, with Proton, rhea and pika at the real hub."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bridgehead.security.mechanisms import CERTIFICATE, PASSWORD
from tests.amqp.whole.office import PYTHON, RHEA, Office
from tests.cli.hub import PATIENCE
from tests.coap.whole.harbour import may_both

SECONDS = "1.5"
SCRIPTS = [("proton_client.py", str(PYTHON)), ("rhea_client.js", "node"), ("pika_client.py", str(PYTHON))]


def bundle(office: Office, folder: Path, name: str, kind: str) -> Path:
    office.add(name, may_both(f"exports/{name}/2.5 ü/*"), may_both(f"exports/{name}/#"))
    words = ("--for", "amqp", "--host", "localhost", "--port", str(office.port("amqps")), "--credential", kind)
    office.command("device", "export", name, *words, "--out", folder / "bundle")
    return folder / "bundle"


def run(folder: Path, script: str, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, str(folder / script), SECONDS],
        cwd="/",
        env={**os.environ, "PYTHONPATH": "", "NODE_PATH": str(RHEA)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.peer("node")
@pytest.mark.parametrize("kind", [CERTIFICATE, PASSWORD])
def test_a_bundle_sends_and_receives(office: Office, tmp_path: Path, kind: str) -> None:
    name = f"bundle-{kind}"
    folder = bundle(office, tmp_path, name, kind)
    topic = f"exports/{name}/2.5 ü/*"
    mqtt = office.mqtt()
    mqtt.subscribe(f"exports/{name}/#")
    for script, program in SCRIPTS:
        ran = run(folder, script, program)
        assert (ran.returncode, ran.stderr) == (0, ""), f"{script}: {ran.stdout}"
        assert ran.stdout.startswith("connected\n"), script
        assert "\nsent to " in ran.stdout, script
        assert "\nreceived " in ran.stdout, script
        assert "21.5" in ran.stdout, script
        assert mqtt.message() == (topic, "21.5"), script
    mqtt.close()


@pytest.mark.peer("node")
def test_a_server_that_another_authority_vouches_for_is_refused(office: Office, tmp_path: Path) -> None:
    folder = bundle(office, tmp_path, "bundle-foreign", PASSWORD)
    other = tmp_path / "other"
    other.mkdir()
    with Office(other) as foreign:
        (folder / "ca.pem").write_bytes(foreign.authority.read_bytes())
        for script, program in SCRIPTS:
            ran = run(folder, script, program)
            assert ran.returncode != 0, script
            assert not ran.stdout.startswith("connected"), script
        assert "bundle-foreign" not in str(office.hub.events("connection.accepted"))
