"""Wireshark's dissector reads sessions of the real hub with other makers' clients: nothing is malformed."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridgehead.protocols.coap.codec.numbers import ECHO, REQUEST_TAG
from tests.coap.nodecoap import NodeCoap
from tests.coap.whole.harbour import DEVICE, Harbour, Observing
from tests.peers.recorder import Recorder

pytestmark = [pytest.mark.peer("tshark")]
NUMBERS = itertools.count(1)
GNUTLS = "coap-client-gnutls"
LARGE = "".join(f"{number:04d} " for number in range(1_000))
FIELDS = [
    "coap.code",
    "coap.type",
    "coap.payload",
    "coap.opt.name",
    "dtls.handshake.type",
    "dtls.handshake.ciphersuite",
]
# Options that are later than Debian's Wireshark; those of signalling have numbers of their own (RFC 8323 section 5.2).
LATER = {f"Invalid Option Number {number}" for number in (ECHO, REQUEST_TAG)}
SIGNALLING = 224
GET, POST, PUT, DELETE = "1", "2", "3", "4"
CREATED, DELETED, CONTENT, NOT_FOUND, CSM = "65", "66", "69", "132", "225"


def read(file: Path, *options: str) -> list[dict[str, Any]]:
    """The fields of each packet, once it is sure that tshark finds nothing wrong with any."""
    words = [word for name in FIELDS for word in ("-e", name)]
    packets = [
        each["_source"]["layers"] for each in json.loads("\n".join(tshark(file, *options, "-T", "json", *words)))
    ]
    assert not any("_ws.malformed" in each for each in packets)
    of_messages = [each for each in packets if int(each.get("coap.code", ["0"])[0]) < SIGNALLING]
    assert {text for each in of_messages for text in each.get("_ws.expert.message", [])} <= LATER
    return packets


def tshark(file: Path, *options: str) -> list[str]:
    done = subprocess.run(
        ["tshark", "-r", str(file), *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def codes(packets: list[dict[str, Any]]) -> set[str]:
    return {code for each in packets for code in each.get("coap.code", [])}


def talk(harbour: Harbour, uri: str, topic: str, tmp_path: Path) -> None:
    """Writing, reading, a large value in blocks, what is not there, and Observe."""
    large = tmp_path / "large"
    large.write_text(LARGE)
    harbour.ask(GNUTLS, uri, "-m", "put", "-e", "21.5")
    assert harbour.ask(GNUTLS, uri) == "21.5\n"
    harbour.ask(GNUTLS, uri, "-m", "post", "-e", "event", "-N")
    harbour.ask(GNUTLS, uri, "-m", "put", "-f", str(large), "-b", "256")
    harbour.ask(GNUTLS, uri, "-b", "512")
    harbour.ask(GNUTLS, uri, "-m", "delete")
    assert "4.04" in harbour.ask(GNUTLS, uri)
    mqtt = harbour.mqtt()
    observing = Observing(GNUTLS, uri, [], tmp_path / "observed")
    try:
        for value in ("one", "two"):
            mqtt.publish(topic, value, retain=True)
            observing.await_value(value)
    finally:
        observing.stop()
        mqtt.close()


@pytest.mark.peer(GNUTLS)
@pytest.mark.clause("RFC7252-3")
def test_plain_datagrams(harbour: Harbour, tmp_path: Path) -> None:
    topic = f"open/dissected/{next(NUMBERS)}"
    with Recorder(harbour.hub.port("coap"), 5683) as recorder:
        talk(harbour, f"coap://127.0.0.1:{recorder.port}/t/{topic}", topic, tmp_path)
    recorder.write(tmp_path / "capture.pcap")
    packets = read(tmp_path / "capture.pcap")
    assert len(packets) > 20
    assert all("coap.code" in each for each in packets)
    assert {GET, POST, PUT, DELETE, CREATED, DELETED, CONTENT, NOT_FOUND} <= codes(packets)
    named = {name for each in packets for name in each.get("coap.opt.name", [])}
    assert any("Observe" in name for name in named)
    assert any("Block1" in name for name in named)
    assert any("Block2" in name for name in named)


@pytest.mark.peer(GNUTLS)
@pytest.mark.clause("RFC8323-3.2")
@pytest.mark.clause("RFC8323-5.3")
def test_a_stream(harbour: Harbour, tmp_path: Path) -> None:
    topic = f"open/dissected/{next(NUMBERS)}"
    mqtt = harbour.mqtt()
    with Recorder(harbour.hub.port("coap+tcp"), 5683, stream=True) as recorder:
        uri = f"coap+tcp://127.0.0.1:{recorder.port}/t/{topic}"
        observing = Observing(GNUTLS, uri, [], tmp_path / "observed")
        try:
            for value in ("one", LARGE[:500], "two"):
                mqtt.publish(topic, value, retain=True)
                observing.await_value(value)
        finally:
            observing.stop()
    mqtt.close()
    recorder.write(tmp_path / "capture.pcap")
    # Of several messages in one segment the dissector names the first: the GET may be behind the client's CSM.
    assert {CONTENT, CSM} <= codes(read(tmp_path / "capture.pcap"))


@pytest.mark.peer("node")
@pytest.mark.clause("RFC7252-9.1")
def test_dtls_by_a_key_that_the_dissector_knows(harbour: Harbour, tmp_path: Path) -> None:
    """node-coap-client has no forward secrecy: the key opens its whole session."""
    topic = f"Office/dissected/{next(NUMBERS)}"
    mqtt = harbour.mqtt()
    with Recorder(harbour.hub.port("coaps"), 5684) as recorder, NodeCoap() as client:
        uri = f"coaps://127.0.0.1:{recorder.port}/t/{topic}"
        client.key("127.0.0.1", DEVICE, harbour.keys[DEVICE])
        assert client.request(uri, "put", "21.5")[0] == "2.01"
        client.observe(uri)
        assert client.notified() == ("2.05", "21.5")
        mqtt.publish(topic, "22.0", retain=True)
        assert client.notified() == ("2.05", "22.0")
        mqtt.publish(topic, LARGE, retain=True)
        assert client.notified() == ("2.05", LARGE)
        assert client.request(uri, "delete")[0] == "2.02"
    mqtt.close()
    recorder.write(tmp_path / "capture.pcap")
    packets = read(tmp_path / "capture.pcap", "-o", f"dtls.psk:{harbour.keys[DEVICE].encode().hex()}")
    assert {GET, PUT, DELETE, CREATED, DELETED, CONTENT} <= codes(packets)
    handshakes = [kind for each in packets for kind in each.get("dtls.handshake.type", [])]
    assert handshakes.count("20") == 2  # both Finished were opened
