"""MQTT.js proves itself by AUTH: SCRAM as a JavaScript client computes it, at the real hub; anew while connected."""

from __future__ import annotations

import pytest

from tests.clients.mqttjs import MqttJs
from tests.clients.office import CERTIFICATE, PASSWORD, SECRET, TLS, WEBSOCKET, Office, Way

pytestmark = pytest.mark.peer("node")

METHODS = ["SCRAM-SHA-256", "SCRAM-SHA-512"]


def begin(client: MqttJs, auth: dict[str, str], client_id: str, user: str | None = None) -> None:
    found = client._connect["options"]
    assert isinstance(found, dict)
    options = {key: value for key, value in found.items() if key not in ("username", "password")}
    options |= {"clientId": client_id, "reconnectPeriod": 0}
    if user is not None:
        options["username"] = user
    client.tell("connect", **{**client._connect, "options": options, "auth": auth})


def scram(name: str, method: str = "SCRAM-SHA-256", password: str = SECRET) -> dict[str, str]:
    return {"method": method, "name": name, "password": password}


@pytest.mark.clause("MQTT-4.12.0-2", "MQTT-4.12.0-5")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("door", [TLS, WEBSOCKET])
def test_scram_by_a_javascript_client(office: Office, method: str, door: str) -> None:
    with MqttJs(office, Way(5, door, PASSWORD), "sensor", "sensor") as client:
        begin(client, scram("sensor", method), f"sensor-{door}-{method}")
        assert client.await_event("connected")["proven"]
        client.subscribe("Office/auth", 1)
        client.publish("Office/auth", "hello", 1)
        assert client.message() == ("hello", 1, False)
        client.tell("authenticate", auth=scram("sensor", method))
        assert client.await_event("authenticated")["proven"]
        client.publish("Office/auth", "still there", 1)
        assert client.message() == ("still there", 1, False)
        client.end()


@pytest.mark.clause("MQTT-4.12.0-4")
@pytest.mark.parametrize("name", ["sensor", "nobody"])
def test_a_wrong_password_and_an_unknown_name(office: Office, name: str) -> None:
    with MqttJs(office, Way(5, TLS, PASSWORD), "sensor", "sensor") as client:
        begin(client, scram(name, password="wrong"), "sensor")
        assert client.await_event("error")["code"] == 0x86


@pytest.mark.clause("MQTT-4.12.1-2")
@pytest.mark.parametrize(("name", "password"), [("office", SECRET), ("sensor", "wrong")])
def test_anew_as_another_or_with_a_wrong_password_ends_the_connection(office: Office, name: str, password: str) -> None:
    with MqttJs(office, Way(5, TLS, PASSWORD), "sensor", "sensor") as client:
        begin(client, scram("sensor"), "sensor-again")
        client.await_event("connected")
        client.tell("authenticate", auth=scram(name, password=password))
        assert client.await_event("disconnected")["code"] == 0x87


@pytest.mark.parametrize(
    ("way", "name", "client_id", "user", "code"),
    [
        (Way(5, TLS, CERTIFICATE), "office", "office-x", None, 0x86),  # sensor's certificate, office's password
        (Way(5, TLS, PASSWORD), "sensor", "office-x", None, 0x85),  # the client identifier of another
        (Way(5, TLS, PASSWORD), "sensor", "sensor", "office", 0x86),  # the user name of another
    ],
    ids=["certificate", "client identifier", "user name"],
)
def test_two_identities_at_once(
    office: Office, way: Way, name: str, client_id: str, user: str | None, code: int
) -> None:
    with MqttJs(office, way, "sensor", "sensor") as client:
        begin(client, scram(name), client_id, user)
        assert client.await_event("error")["code"] == code


@pytest.mark.clause("MQTT-4.12.0-1")
@pytest.mark.parametrize("method", ["PLAIN", "SCRAM-SHA-1", "GSSAPI"])
def test_a_method_that_is_not_offered(office: Office, method: str) -> None:
    with MqttJs(office, Way(5, TLS, PASSWORD), "sensor", "sensor") as client:
        begin(client, scram("sensor", method), "sensor")
        assert client.await_event("error")["code"] == 0x8C
