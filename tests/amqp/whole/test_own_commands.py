"""`bridgehead pub` and `sub` over AMQP at the real hub: each door, each proof, each guarantee, topics and refusals."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from bridgehead.cli.main import run
from tests.amqp.whole.office import OFFICE, PYTHON, SECRET, SENSOR, STRANGER, Office
from tests.cli.hub import PATIENCE, command

DOORS = {"amqps": "amqps", "amqps+ws": "amqps+ws", "amqp": "amqp", "amqp+ws": "amqp+ws"}


def url(office: Office, door: str = "amqps", node: str = "") -> str:
    return f"{door}://localhost:{office.port(door)}{node}"


def credentials(office: Office, door: str = "amqps", name: str = OFFICE, mechanism: str = "") -> list[str]:
    """By password, and the hub's authority where there is TLS."""
    file = office.folder / f"{name}.password"
    file.write_text(SECRET + "\n")
    found = ["--user", name, "--password-file", str(file)]
    found += ["--ca", str(office.authority)] if door.startswith("amqps") else []
    return found + (["--mechanism", mechanism] if mechanism else [])


class Sub:
    """`bridgehead sub` as a process. A retained message comes first, which shows that it has subscribed."""

    def __init__(self, office: Office, words: list[str], ready: str) -> None:
        assert run(["pub", url(office), ready, "-m", "ready", "-r", "-q", "1", *credentials(office)]) == 0
        self.process = subprocess.Popen(
            command("sub", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().endswith("ready\n")

    def lines(self) -> list[str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, err
        return out.splitlines()


@pytest.mark.clause(
    "AMQPWS-2.1", "AMQPWS-2.2", "AMQPWS-5", "AMQP-2.4.2", "AMQP-5.1", "AMQP-5.2", "AMQP-5.2.1", "AMQP-5.3"
)
@pytest.mark.parametrize("door", DOORS)
def test_each_door(office: Office, door: str, capsys: pytest.CaptureFixture[str]) -> None:
    who = credentials(office, door, mechanism="" if door.startswith("amqps") else "SCRAM-SHA-256")
    topic = f"doors/{door.replace('+', ' ')}"
    assert (
        run(["pub", url(office, door), topic, "-m", "21.5", "-q", "1", "-r", "--content-type", "text/plain", *who]) == 0
    )
    assert run(["sub", url(office, door), topic, "-C", "1", "--json", *who]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    assert (found["topic"], found["payload"]) == (topic, "21.5")
    assert found["properties"]["content_type"] == "text/plain"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "EXTERNAL"])
def test_each_proof(office: Office, mechanism: str, capsys: pytest.CaptureFixture[str]) -> None:
    who = credentials(office, mechanism=mechanism)
    if mechanism == "EXTERNAL":
        who = ["--cert", str(office.certificate(OFFICE)), "--key", str(office.key(OFFICE))]
        who += ["--ca", str(office.authority)]
    topic = f"proofs/{mechanism}"
    assert run(["pub", url(office), topic, "-m", "x", "-q", "1", "-r", *who]) == 0
    assert run(["sub", url(office), topic, "-C", "1", "-v", *who]) == 0
    assert capsys.readouterr().out == f"{topic} x\n"


@pytest.mark.clause("AMQP-2.6.12", "AMQP-2.8.2", "AMQP-2.8.3")
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_each_guarantee(office: Office, qos: str) -> None:
    who = credentials(office)
    sub = Sub(office, [url(office), f"guarantees/{qos}/+", "-q", qos, "-C", "201", "-v", *who], f"guarantees/{qos}/r")
    done = subprocess.run(
        command("pub", url(office), f"guarantees/{qos}/x", "--stdin", "-q", qos, *who),
        input="".join(f"{number}\n" for number in range(200)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sub.lines() == [f"guarantees/{qos}/x {number}" for number in range(200)]


@pytest.mark.clause("AMQP-2.6.14")
def test_a_message_of_a_megabyte(office: Office) -> None:
    who = credentials(office)
    file = office.folder / "large"
    file.write_bytes(b"0123456789" * 100_000)
    sub = Sub(office, [url(office), "large", "-q", "1", "-C", "2", *who], "large")
    assert run(["pub", url(office), "large", "-f", str(file), "-q", "2", *who]) == 0
    assert sub.lines() == ["0123456789" * 100_000]


@pytest.mark.clause("AMQP-3.5.5", "AMQP-3.5.6", "AMQP-2.6.4")
def test_a_subscription_that_is_kept(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    who = credentials(office)
    kept = ["sub", url(office), "kept/#", "-q", "1", "--session-expiry", "600", "-i", OFFICE, *who]
    assert run([*kept, "-W", "0.5"]) == 0
    assert run(["pub", url(office), "kept/a", "-m", "while away", "-q", "1", *who]) == 0
    assert run([*kept, "-C", "1"]) == 0
    assert capsys.readouterr().out == "while away\n"


def test_to_and_from_mqtt(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    who = credentials(office)
    mqtt = [f"mqtts://localhost:{office.port('mqtts')}", "--ca", str(office.authority), *credentials(office, "amqp")]
    message = ["-m", "both", "-q", "1", "-r", "--property", "k=v", "--content-type", "a/b"]
    assert run(["pub", url(office), "ways/amqp", *message, *who]) == 0
    assert run(["sub", mqtt[0], "ways/amqp", "-C", "1", "--json", *mqtt[1:]]) == 0
    properties = json.loads(capsys.readouterr().out)["properties"]
    assert (properties["content_type"], properties["user_properties"]) == ("a/b", [["k", "v"]])
    assert run(["pub", mqtt[0], "ways/mqtt", *message, *mqtt[1:]]) == 0
    assert run(["sub", url(office), "ways/mqtt", "-C", "1", "--json", *who]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["properties"]["content_type"], found["application_properties"]) == ("a/b", {"k": "v"})


DECLARE = """
import os, pika, ssl
tls = ssl.create_default_context(cafile=os.environ["AMQP_CA"])
who = pika.PlainCredentials(os.environ["AMQP_USER"], os.environ["AMQP_PASSWORD"])
there = pika.ConnectionParameters(
    "localhost", int(os.environ["AMQPS_PORT"]), credentials=who, ssl_options=pika.SSLOptions(tls, "localhost")
)
connection = pika.BlockingConnection(there)
connection.channel().queue_declare("jobs", durable=True)
connection.close()
"""


def test_a_queue_and_its_competing_receivers(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    surroundings = {**os.environ, "PYTHONPATH": "", **office.surroundings()}
    done = subprocess.run(
        [str(PYTHON), "-c", DECLARE], env=surroundings, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    who = credentials(office)
    node = url(office, node="/queues/jobs")
    lines = [f"job {number}" for number in range(20)]
    for line in lines:
        assert run(["pub", node, "-m", line, "-q", "1", *who]) == 0
    # Each takes no more than it asked for: what is left is for the others.
    taken: list[str] = []
    for qos, count in (("0", 5), ("1", 7), ("2", 8)):
        assert run(["sub", node, "-q", qos, "-C", str(count), *who]) == 0
        taken += capsys.readouterr().out.splitlines()
    assert taken == lines
    assert run(["sub", node, "-C", "1", "-W", "0.3", *who]) == 1
    # The queue's own command takes, too.
    assert run(["pub", node, "-m", "one more", "-q", "1", *who]) == 0
    assert run(["queue", node, "-q", "1", "-C", "1", *who]) == 0
    assert capsys.readouterr().out == "one more\n"
    assert run(["sub", node, "-C", "1", "-W", "0.3", *who]) == 1


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) == 1
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    return output.err


def test_a_command_of_queues_takes_from_queues_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["queue", "amqps://localhost/topics/a"]) == 2
    assert "names no queue" in capsys.readouterr().err


def test_what_is_refused(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    stranger = credentials(office, name=STRANGER)
    assert "amqp:unauthorized-access" in refused(
        capsys, "pub", url(office), "Office/a", "-m", "x", "-q", "1", *stranger
    )
    assert "amqp:unauthorized-access" in refused(capsys, "sub", url(office), "Office/#", "-W", "5", *stranger)
    missing = url(office, node="/queues/missing")
    assert "amqp:not-found" in refused(capsys, "pub", missing, "-m", "x", "-q", "1", *credentials(office))
    wrong = office.folder / "wrong"
    wrong.write_text("wrong\n")
    words = ["--user", SENSOR, "--password-file", str(wrong), "--ca", str(office.authority)]
    assert "does not believe who this is" in refused(capsys, "pub", url(office), "Office/a", "-m", "x", *words)
