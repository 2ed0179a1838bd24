"""node-coap-client at the real hub: a client in JavaScript with a DTLS of its own, in the clear and by a key."""

from __future__ import annotations

import itertools

import pytest

from tests.cli.hub import wait_until
from tests.coap.nodecoap import NodeCoap
from tests.coap.whole.harbour import DEVICE, Harbour

pytestmark = pytest.mark.peer("node")
NUMBERS = itertools.count(1)
SCHEMES = pytest.mark.parametrize("scheme", ["coap", "coaps"])
LARGE = "".join(f"{number:04d} " for number in range(1_000))


def topic(scheme: str) -> str:
    return f"{'open' if scheme == 'coap' else 'Office'}/javascript/{next(NUMBERS)}"


def with_key(harbour: Harbour, client: NodeCoap, key: str = "") -> None:
    client.key("127.0.0.1", DEVICE, key or harbour.keys[DEVICE])


@SCHEMES
@pytest.mark.clause("RFC7252-9.1.3.1")
def test_data_crosses_between_mqtt_and_javascript(harbour: Harbour, scheme: str) -> None:
    name = topic(scheme)
    uri = harbour.uri(scheme, f"t/{name}")
    mqtt = harbour.mqtt()
    mqtt.subscribe(name)
    with NodeCoap() as client:
        with_key(harbour, client)
        assert client.request(uri, "put", "21.5") == ("2.01", "")
        assert mqtt.message() == (name, "21.5")
        assert client.request(uri, "put", "21.6", confirmable=False) == ("2.04", "")
        assert mqtt.message() == (name, "21.6")
        mqtt.publish(name, "22.0", retain=True)
        assert client.request(uri, "get") == ("2.05", "22.0")
        assert client.request(uri, "delete") == ("2.02", "")
        assert client.request(uri, "get")[0] == "4.04"
    mqtt.close()


@SCHEMES
@pytest.mark.clause("RFC7641-3.1")
@pytest.mark.clause("RFC7641-3.6")
def test_it_observes_and_forgets(harbour: Harbour, scheme: str) -> None:
    name = topic(scheme)
    uri = harbour.uri(scheme, f"t/{name}")
    mqtt = harbour.mqtt()
    mqtt.publish(name, "one", retain=True)
    with NodeCoap() as client:
        with_key(harbour, client)
        client.observe(uri)
        assert client.notified() == ("2.05", "one")
        for value in ("two", "three"):
            mqtt.publish(name, value, retain=True)
            assert client.notified() == ("2.05", value)
        client.forget(uri)
        mqtt.publish(name, "four", retain=True)
        assert client.request(uri, "get") == ("2.05", "four")
    mqtt.close()


@pytest.mark.clause("RFC7959-2.4")
def test_it_reads_a_large_value_in_blocks(harbour: Harbour) -> None:
    """Over DTLS: over plain UDP it would be asked for Echo first, an elective option that this client falls over."""
    name = topic("coaps")
    mqtt = harbour.mqtt()
    mqtt.publish(name, LARGE, retain=True)
    mqtt.close()
    with NodeCoap() as client:
        with_key(harbour, client)
        assert client.request(harbour.uri("coaps", f"t/{name}"), "get") == ("2.05", LARGE)


@SCHEMES
@pytest.mark.clause("RFC7252-4.3")
def test_its_ping_is_answered_by_a_reset(harbour: Harbour, scheme: str) -> None:
    with NodeCoap() as client:
        with_key(harbour, client)
        assert client.ping(f"{scheme}://127.0.0.1:{harbour.hub.port(scheme)}")


def test_a_wrong_key_gets_it_no_session(harbour: Harbour) -> None:
    refused = len(harbour.hub.events("authentication.refused"))
    with NodeCoap() as client:
        with_key(harbour, client, "a key that somebody guessed")
        result = client.connect(f"coaps://127.0.0.1:{harbour.hub.port('coaps')}")
    assert "decrypt_error" in result
    wait_until("the log tells it", lambda: len(harbour.hub.events("authentication.refused")) > refused)
