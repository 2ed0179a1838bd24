"""The AMQP script as pasted, by Qpid Proton, against a server of Proton's own that wants the certificate."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from bridgehead.security.mechanisms import CERTIFICATE
from tests.export.conftest import Home
from tests.security.support import publish, subscribe

PATIENCE = 30
PYTHON = "/usr/bin/python3"  # Debian's own, for which python3-qpid-proton is made
SERVER = Path(__file__).parent / "proton_server.txt"


@pytest.fixture
def proton() -> None:
    """As for the mark `peer`, which knows programs only: skipped where it is missing, a failure when CI=true."""
    if subprocess.run([PYTHON, "-c", "import proton"], capture_output=True, check=False).returncode == 0:
        return
    missing = "the peer `python3-qpid-proton` is not installed: run `make setup`"
    if os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


@pytest.mark.usefixtures("proton")
def test_the_script_sends_and_receives_by_its_certificate(home: Home) -> None:
    home.add("sensor-7", publish("Büro/${device}"), subscribe("Büro/#"))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    bundle = home.export("sensor-7", "amqp", CERTIFICATE, port=port)
    pki = home.identity.pki
    command = [PYTHON, *map(str, (SERVER, pki.server_file, pki.trust_file, port))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            ran = subprocess.run(
                [PYTHON, bundle / "proton_client.py", "1"],
                cwd="/",
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert server.stdout.readline() == "peer EXTERNAL CN=sensor-7\n"
            assert server.stdout.readline() == "message B%C3%BCro/sensor-7 b'21.5'\n"
        finally:
            server.kill()
    assert "received B%C3%BCro/# b'21.5'" in ran.stdout
    assert "sent to B%C3%BCro/sensor-7" in ran.stdout


def test_a_password_is_read_from_its_file_and_never_in_the_script(home: Home) -> None:
    home.add("sensor-7", publish("Office/a"))
    bundle = home.export("sensor-7", "amqp", "password")
    script = (bundle / "proton_client.py").read_text()
    assert (bundle / "password").read_text().strip() not in script
    assert 'allowed_mechs="PLAIN"' in script
    compile(script, "proton_client.py", "exec")
