"""mosquitto_pub and mosquitto_sub: every version, both credentials, over TLS and the Unix socket, each QoS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.clients.office import CERTIFICATE, SECRET, TLS, UNIX, Office, Way, ways

pytestmark = pytest.mark.peer("mosquitto_sub")

WAYS = ways((3, 4, 5), (TLS, UNIX))
_VERSIONS = {3: "mqttv31", 4: "mqttv311", 5: "mqttv5"}


def arguments(office: Office, way: Way, name: str, client_id: str) -> list[str]:
    words = ["-V", _VERSIONS[way.version], "-i", client_id]
    if way.door == UNIX:
        words += ["--unix", str(office.socket)]
    else:
        words += ["-h", "localhost", "-p", str(office.port(TLS)), "--cafile", str(office.ca)]
    if way.credential == CERTIFICATE:
        words += ["--cert", str(office.certificate(name)), "--key", str(office.key(name))]
    else:
        words += ["-u", name, "-P", SECRET]
    return words


def publish(office: Office, way: Way, topic: str, text: str, *options: str) -> None:
    command = ["mosquitto_pub", *arguments(office, way, "sensor", "sensor-pub"), "-t", topic, "-m", text, *options]
    subprocess.run(command, capture_output=True, timeout=30, check=True)


class Subscriber:
    """mosquitto_sub that ends after `count` messages; made once its subscription is acknowledged."""

    def __init__(self, office: Office, way: Way, topic: str, count: int, *options: str) -> None:
        words = arguments(office, way, "office", "office-sub")
        # `-d` tells when it has subscribed; messages are marked to be told from that. Into a pipe it would tell
        # so a block at a time: stdbuf makes that lines.
        command = ["stdbuf", "-oL", "mosquitto_sub", *words, "-t", topic, "-q", "2", "-C", str(count), "-W", "30"]
        self._process = subprocess.Popen(
            [*command, "-d", "-F", "got:%q %r %p", *options], stdout=subprocess.PIPE, text=True
        )
        self._lines: Iterator[str] = iter(self._process.stdout or [])
        assert any(line.startswith("Subscribed (mid") for line in self._lines)

    def messages(self) -> list[str]:
        """`qos retain payload` of each; returns when mosquitto_sub has ended."""
        found = [line.strip().removeprefix("got:") for line in self._lines if line.startswith("got:")]
        assert self._process.wait(30) == 0
        return found


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_each_qos_arrives_as_it_was_sent(office: Office, way: Way) -> None:
    topic = f"Office/mosquitto/{way}"
    subscriber = Subscriber(office, way, topic, 3)
    for qos in "012":
        publish(office, way, topic, f"reading {qos}", "-q", qos)
    assert sorted(subscriber.messages()) == ["0 0 reading 0", "1 0 reading 1", "2 0 reading 2"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_retained_message_comes_at_once(office: Office, way: Way) -> None:
    topic = f"Office/mosquitto/retained/{way}"
    publish(office, way, topic, "old", "-r", "-q", "1")
    publish(office, way, topic, "kept", "-r", "-q", "2")
    subscriber = Subscriber(office, way, topic, 1)
    assert subscriber.messages() == ["2 1 kept"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_session_is_kept_and_resumed(office: Office, way: Way) -> None:
    topic = f"Office/mosquitto/session/{way}"
    words = [*arguments(office, way, "office", f"office-{WAYS.index(way)}"), "-c", "-t", topic, "-q", "2"]
    if way.is_v5:
        words += ["-x", "3600"]
    subprocess.run(["mosquitto_sub", *words, "-E"], timeout=30, check=True)
    for number in range(3):
        publish(office, way, topic, f"while away {number}", "-q", str(number))
    done = subprocess.run(
        ["mosquitto_sub", *words, "-C", "2", "-F", "%q %p"], capture_output=True, timeout=30, check=True
    )
    assert done.stdout.decode().splitlines() == ["1 while away 1", "2 while away 2"]


def test_lines_of_a_pipe_arrive_in_order(office: Office) -> None:
    way = Way(5, TLS, CERTIFICATE)
    subscriber = Subscriber(office, way, "Office/mosquitto/lines", 500)
    command = ["mosquitto_pub", *arguments(office, way, "sensor", "sensor-lines"), "-q", "2", "-l"]
    text = "".join(f"line {number}\n" for number in range(500))
    subprocess.run([*command, "-t", "Office/mosquitto/lines"], input=text.encode(), timeout=60, check=True)
    assert subscriber.messages() == [f"2 0 line {number}" for number in range(500)]


def test_a_wrong_password_is_refused(office: Office) -> None:
    words = arguments(office, Way(5, TLS, "password"), "sensor", "sensor-guess")
    words[words.index(SECRET)] = "guess"
    done = subprocess.run(
        ["mosquitto_pub", *words, "-t", "Office/x", "-m", "x"], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 134  # Bad User Name or Password, 0x86
    assert b"Bad User Name or Password" in done.stderr


def test_a_denied_publish_is_told(office: Office) -> None:
    words = arguments(office, Way(5, TLS, CERTIFICATE), "sensor", "sensor-denied")
    done = subprocess.run(
        ["mosquitto_pub", *words, "-t", "Lobby/door", "-m", "open", "-q", "1", "-d"],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert b"RC:135" in done.stdout + done.stderr
