"""Data crosses between MQTT and CoAP in each mode of security (RFC 7252 section 9), with libcoap's clients."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.cli.hub import wait_until
from tests.coap.whole.harbour import DEVICE, GUEST, OTHER, Harbour, Observing

GNUTLS = "coap-client-gnutls"
OPENSSL = "coap-client-openssl"
NUMBERS = itertools.count(1)
_BY_GNUTLS = pytest.mark.peer(GNUTLS)
_BY_OPENSSL = pytest.mark.peer(OPENSSL)
# Program, scheme, kind of proof. Raw public keys are spoken by libcoap with GnuTLS alone.
WAYS = [
    pytest.param(GNUTLS, "coap", "nosec", marks=_BY_GNUTLS),
    pytest.param(GNUTLS, "coaps", "psk", marks=_BY_GNUTLS),
    pytest.param(OPENSSL, "coaps", "psk", marks=_BY_OPENSSL),
    pytest.param(GNUTLS, "coaps", "rpk", marks=_BY_GNUTLS),
    pytest.param(GNUTLS, "coaps", "certificate", marks=_BY_GNUTLS),
    pytest.param(OPENSSL, "coaps", "certificate", marks=_BY_OPENSSL),
    pytest.param(GNUTLS, "coap+tcp", "nosec", marks=_BY_GNUTLS),
    pytest.param(OPENSSL, "coap+tcp", "nosec", marks=_BY_OPENSSL),
    pytest.param(GNUTLS, "coaps+tcp", "certificate", marks=_BY_GNUTLS),
    pytest.param(OPENSSL, "coaps+tcp", "certificate", marks=_BY_OPENSSL),
]


def fresh(kind: str) -> str:
    """A topic of this test alone, which its device may use."""
    return f"{'open' if kind == 'nosec' else 'Office'}/{next(NUMBERS)}/Temperature"


@pytest.mark.parametrize(("program", "scheme", "kind"), WAYS)
@pytest.mark.clause("RFC7252-9")
def test_what_coap_writes_mqtt_reads_and_the_other_way_round(
    harbour: Harbour, program: str, scheme: str, kind: str
) -> None:
    topic = fresh(kind)
    uri, proof = harbour.uri(scheme, f"t/{topic}"), harbour.proof(kind)
    mqtt = harbour.mqtt()
    mqtt.subscribe(topic)
    harbour.ask(program, uri, "-m", "put", "-e", "21.5", *proof)
    assert mqtt.message() == (topic, "21.5")
    harbour.ask(program, uri, "-m", "post", "-e", "event", "-N", *proof)
    assert mqtt.message() == (topic, "event")
    assert harbour.ask(program, uri, *proof) == "21.5\n"  # the event was not kept
    mqtt.publish(topic, "22.0", retain=True)
    assert harbour.ask(program, uri, *proof) == "22.0\n"
    assert mqtt.message() == (topic, "22.0")
    harbour.ask(program, uri, "-m", "delete", *proof)
    assert mqtt.message() == (topic, "")
    assert "4.04" in harbour.ask(program, uri, *proof)
    mqtt.close()


@pytest.mark.parametrize(("program", "scheme", "kind"), WAYS)
@pytest.mark.clause("RFC7641-3.1")
def test_an_observer_gets_what_mqtt_publishes(
    harbour: Harbour, tmp_path: Path, program: str, scheme: str, kind: str
) -> None:
    topic = fresh(kind)
    mqtt = harbour.mqtt()
    mqtt.publish(topic, "first", retain=True)
    observing = Observing(program, harbour.uri(scheme, f"t/{topic}"), harbour.proof(kind), tmp_path / "out")
    try:
        observing.await_value("first")
        for value in ("second", "third"):
            mqtt.publish(topic, value)
            observing.await_value(value)
    finally:
        observing.stop()
        mqtt.close()


@pytest.mark.parametrize(("program", "scheme", "kind"), [way for way in WAYS if way.values[2] != "nosec"])
@pytest.mark.clause("RFC7252-9.1")
def test_the_log_says_who_came_and_by_what(harbour: Harbour, program: str, scheme: str, kind: str) -> None:
    before = len(harbour.hub.events("authentication.accepted"))
    harbour.ask(program, harbour.uri(scheme, ".well-known/core"), *harbour.proof(kind))
    event = harbour.hub.events("authentication.accepted")[before]
    assert (event["principal"], event["by"], event["protocol"]) == (DEVICE, kind, "coap")
    wait_until("its end is told", lambda: harbour.hub.events("connection.ended")[-1]["address"] == event["address"])


@pytest.mark.parametrize(("program", "scheme", "kind"), WAYS)
def test_nobody_does_what_the_policy_does_not_permit(harbour: Harbour, program: str, scheme: str, kind: str) -> None:
    uri = harbour.uri(scheme, "t/closed/door")
    proof = harbour.proof(kind)
    who = GUEST if kind == "nosec" else DEVICE
    assert f"4.03 no permission of '{who}' covers publish" in harbour.ask(program, uri, "-m", "put", "-e", "x", *proof)
    assert "4.03" in harbour.ask(program, uri, *proof)


@pytest.mark.peer(GNUTLS)
@pytest.mark.parametrize("kind", ["psk", "rpk", "certificate"])
def test_discovery_lists_only_what_the_asker_may_read(harbour: Harbour, kind: str) -> None:
    mqtt = harbour.mqtt()
    mqtt.publish("Office/listed", "x", retain=True)
    mqtt.publish("secret/hidden", "x", retain=True)
    mqtt.close()
    uri = harbour.uri("coaps", ".well-known/core")
    own = harbour.ask(GNUTLS, uri, *harbour.proof(kind))
    assert "</t/Office/listed>" in own
    assert "hidden" not in own
    assert "listed" not in harbour.ask(GNUTLS, uri, *harbour.proof(kind, OTHER))
    assert "listed" not in harbour.ask(GNUTLS, harbour.uri("coap", ".well-known/core"))
