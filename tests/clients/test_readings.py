"""A year of readings replayed through two real clients: nothing lost, in order, with a subscriber that drops out."""

from __future__ import annotations

import subprocess

import pytest

from tests.clients.mqttjs import MqttJs
from tests.clients.office import CERTIFICATE, TLS, WEBSOCKET, Office, Way
from tests.clients.paho import Paho
from tests.clients.readings import COUNT, made_up, readings
from tests.clients.test_mosquitto import arguments

pytestmark = [pytest.mark.peer("mosquitto_pub"), pytest.mark.timeout(180)]


def without_repetitions(lines: list[tuple[str, bool]]) -> list[str]:
    """QoS 1 may repeat what was on its way when a connection broke: with DUP, and in the same order
    [MQTT-4.6.0-1]. What is repeated goes; everything else is left as it came."""
    found: list[str] = []
    seen: set[str] = set()
    for line, again in lines:
        if again and line in seen:
            continue
        found.append(line)
        seen.add(line)
    return found


@pytest.mark.parametrize("qos", [1, 2])
def test_mosquitto_pub_to_paho(office: Office, qos: int) -> None:
    topic = f"Office/Meetingroom/Temperature/{qos}"
    lines = readings()
    way = Way(5, TLS, CERTIFICATE)
    with Paho(office, way, "office", f"office-readings-{qos}", keep=True) as subscriber:
        subscriber.connect()
        subscriber.subscribe(topic, qos)
        command = ["mosquitto_pub", *arguments(office, way, "sensor", "sensor"), "-t", topic, "-q", str(qos), "-l"]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as publisher:
            assert publisher.stdin is not None
            publisher.stdin.write("".join(f"{line}\n" for line in lines).encode())
            publisher.stdin.close()
            got: list[tuple[str, bool]] = []
            distinct: set[str] = set()
            while len(distinct) < len(lines):
                message = subscriber.messages.get(timeout=30)
                got.append((message.payload.decode(), message.dup))
                distinct.add(got[-1][0])
                if len(got) in (len(lines) // 3, 2 * len(lines) // 3):
                    subscriber.break_connection()
                    # It comes back by itself; that the session was there says that nothing was begun anew.
                    while subscriber.connects.get(timeout=30)[0] is not True:
                        pass
            assert publisher.wait(30) == 0
    assert without_repetitions(got) == lines
    if qos == 2:
        assert [line for line, _ in got] == lines


@pytest.mark.peer("node")
@pytest.mark.parametrize("qos", [1, 2])
def test_paho_to_mqttjs(office: Office, qos: int) -> None:
    topic = f"Office/Meetingroom/Temperature/js/{qos}"
    lines = readings()
    with (
        MqttJs(office, Way(5, WEBSOCKET, CERTIFICATE), "office", f"office-js-{qos}", keep=True) as subscriber,
        Paho(office, Way(4, TLS, "password"), "sensor", f"sensor-{qos}", keep=True) as publisher,
    ):
        subscriber.connect()
        subscriber.subscribe(topic, qos)
        publisher.connect()
        for number, line in enumerate(lines):
            publisher.client.publish(topic, line, qos)
            if number == len(lines) // 2:
                publisher.break_connection()
        got: list[tuple[str, bool]] = []
        distinct: set[str] = set()
        while len(distinct) < len(lines):
            event = subscriber.await_event("message")
            got.append((event["payload"], event["dup"]))
            distinct.add(event["payload"])
            if len(got) == len(lines) // 3:
                subscriber.tell("break")
                assert subscriber.await_event("connected")["present"]
    # Paho sends again what was on its way, and at QoS 1 the hub cannot know it from new messages.
    assert without_repetitions([(line, qos == 1 or again) for line, again in got]) == lines
    if qos == 2:
        assert [line for line, _ in got] == lines


def test_the_made_up_series_has_the_shape_of_the_recorded_one() -> None:
    lines = made_up()
    assert len(lines) == len(set(lines)) == COUNT
    assert lines == sorted(lines)
    assert all(60 < float(line.partition(",")[2]) < 90 for line in lines)
