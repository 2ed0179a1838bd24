"""The AMQP script as pasted, by Qpid Proton, against a server of Proton's own that wants the certificate."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.amqp.mapping.addresses import topic_address
from bridgehead.protocols.amqp.mapping.routing_keys import binding_key_of, routing_key_of
from bridgehead.security.export import amqp
from bridgehead.security.export.amqp import PIKA, PROTON, RHEA
from bridgehead.security.mechanisms import CERTIFICATE
from bridgehead.security.records import PermissionRecord
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
            assert server.stdout.readline() == "message /topics/B%C3%BCro%2Fsensor-7 b'21.5'\n"
        finally:
            server.kill()
    assert "received /topics/B%C3%BCro%2F%23 b'21.5'" in ran.stdout
    assert "sent to /topics/B%C3%BCro%2Fsensor-7" in ran.stdout


def test_a_password_is_read_from_its_file_and_never_in_a_script(home: Home) -> None:
    home.add("sensor-7", publish("Office/a"))
    bundle = home.export("sensor-7", "amqp", "password")
    password = (bundle / "password").read_text().strip()
    scripts = {name: (bundle / name).read_text() for name in (PROTON, RHEA, PIKA)}
    for name, script in scripts.items():
        assert password not in script
        if name.endswith(".py"):
            compile(script, name, "exec")
    assert 'allowed_mechs="PLAIN"' in scripts[PROTON]
    assert "PlainCredentials('sensor-7'" in scripts[PIKA]
    assert "enable_sasl_external" not in scripts[RHEA]


def test_what_may_not_be_acknowledged_is_sent_at_most_once(home: Home) -> None:
    home.add("sensor-7", PermissionRecord("Office/a", publish=True, subscribe=False, max_qos=0))
    bundle = home.export("sensor-7", "amqp", CERTIFICATE)
    assert "GUARANTEE = AtMostOnce" in (bundle / PROTON).read_text()
    assert "const settled = 1;" in (bundle / RHEA).read_text()
    assert "delivery_mode=1" in (bundle / PIKA).read_text()


def test_a_topic_that_is_no_routing_key_is_not_in_the_script_for_0_9_1(home: Home) -> None:
    topic = "Office/" + "x" * 250
    home.add("sensor-7", publish(topic))
    bundle = home.export("sensor-7", "amqp", CERTIFICATE)
    assert "ROUTING_KEY = None" in (bundle / PIKA).read_text()
    assert "x" * 250 in (bundle / PROTON).read_text()


LEVELS = ["a", "*", "%2A", "%25%2A", "%25", "2.5", "", "Büro", "$x", " "]


@given(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=5), st.sampled_from(["", "/+", "/#", "/+/#"]))
def test_names_are_those_of_the_hubs_own_mapping(levels: list[str], end: str) -> None:
    topic = "/".join(levels)
    assert amqp.address(topic + end) == topic_address(topic + end)
    assert amqp.routing_key(topic) == routing_key_of(topic)
    assert amqp.binding_key(topic + end) == binding_key_of(topic + end)
