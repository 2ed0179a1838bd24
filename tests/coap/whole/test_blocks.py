"""Bodies larger than a message at the real hub, with clients that cut and put together by themselves."""

from __future__ import annotations

import asyncio
import itertools
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.cli.hub import PATIENCE
from tests.coap.whole.harbour import Harbour, Observing

aiocoap: Any = import_module("aiocoap")  # which has no types
GNUTLS = "coap-client-gnutls"
OPENSSL = "coap-client-openssl"
NUMBERS = itertools.count(1)
TEXT = "".join(f"{number:06d}," for number in range(2000))  # 14,000 octets
WAYS = [
    pytest.param(GNUTLS, "coap", "nosec", marks=pytest.mark.peer(GNUTLS)),
    pytest.param(GNUTLS, "coaps", "psk", marks=pytest.mark.peer(GNUTLS)),
    pytest.param(OPENSSL, "coaps", "certificate", marks=pytest.mark.peer(OPENSSL)),
    pytest.param(GNUTLS, "coap+tcp", "nosec", marks=pytest.mark.peer(GNUTLS)),
    pytest.param(OPENSSL, "coaps+tcp", "certificate", marks=pytest.mark.peer(OPENSSL)),
]


def fresh(kind: str) -> str:
    """A topic of this test alone, which its device may use."""
    return f"{'open' if kind == 'nosec' else 'Office'}/large/{next(NUMBERS)}"


def fetched(harbour: Harbour, program: str, uri: str, out: Path, *options: str) -> str:
    """What coap-client got, as it writes it to a file; said again if something was not so."""
    said = harbour.ask(program, uri, "-o", str(out), *options)
    assert out.exists(), said
    return out.read_text()


@pytest.mark.parametrize(("program", "scheme", "kind"), WAYS)
@pytest.mark.parametrize("size", [16, 64, 1024])
@pytest.mark.clause("RFC7959-2.5")
@pytest.mark.clause("RFC7959-2.4")
def test_libcoap_writes_and_reads_a_large_value_in_blocks(
    harbour: Harbour, tmp_path: Path, program: str, scheme: str, kind: str, size: int
) -> None:
    text = TEXT[:3000] if size == 16 else TEXT
    topic = fresh(kind)
    uri, proof = harbour.uri(scheme, f"t/{topic}"), harbour.proof(kind)
    body = tmp_path / "body"
    body.write_text(text)
    mqtt = harbour.mqtt()
    mqtt.subscribe(topic)
    harbour.ask(program, uri, "-m", "put", "-f", str(body), "-b", str(size), *proof)
    assert mqtt.message() == (topic, text)
    mqtt.close()
    assert fetched(harbour, program, uri, tmp_path / "out", "-b", str(size), *proof) == text


@pytest.mark.parametrize(("program", "scheme", "kind"), WAYS)
@pytest.mark.clause("RFC7959-2.4")
def test_libcoap_reads_a_large_value_of_mqtt(
    harbour: Harbour, tmp_path: Path, program: str, scheme: str, kind: str
) -> None:
    topic = fresh(kind)
    mqtt = harbour.mqtt()
    mqtt.publish(topic, TEXT, retain=True)
    mqtt.close()
    uri = harbour.uri(scheme, f"t/{topic}")
    assert fetched(harbour, program, uri, tmp_path / "out", *harbour.proof(kind)) == TEXT


@pytest.mark.parametrize(("program", "scheme", "kind"), WAYS)
@pytest.mark.clause("RFC7959-2.6")
def test_libcoap_observes_a_large_value(harbour: Harbour, tmp_path: Path, program: str, scheme: str, kind: str) -> None:
    topic = fresh(kind)
    mqtt = harbour.mqtt()
    mqtt.publish(topic, TEXT, retain=True)
    observing = Observing(program, harbour.uri(scheme, f"t/{topic}"), harbour.proof(kind), tmp_path / "out")
    try:
        observing.await_value(TEXT)
        for number in range(4):  # as fast as they are committed: none takes the place of another
            mqtt.publish(topic, f"{number}{TEXT}", retain=True)
        for number in range(4):
            observing.await_value(f"{number}{TEXT}")
    finally:
        observing.stop()
        mqtt.close()


@pytest.mark.slow  # libcoap waits as long as the standard says before it sends again
@pytest.mark.peer(GNUTLS)
@pytest.mark.clause("RFC7959-2.5")
def test_blocks_that_libcoap_loses_are_sent_again(harbour: Harbour, tmp_path: Path) -> None:
    topic = fresh("nosec")
    body = tmp_path / "body"
    body.write_text(TEXT[:2000])
    uri = harbour.uri("coap", f"t/{topic}")
    harbour.ask(GNUTLS, uri, "-m", "put", "-f", str(body), "-b", "512", "-l", "2,4")
    assert fetched(harbour, GNUTLS, uri, tmp_path / "out", "-b", "512", "-l", "3") == TEXT[:2000]


@pytest.mark.peer(GNUTLS)
@pytest.mark.clause("RFC7959-2.9.3")
def test_a_body_above_the_ceiling_is_refused(harbour: Harbour, tmp_path: Path) -> None:
    topic = fresh("psk")
    body = tmp_path / "body"
    body.write_bytes(b"x" * 1_100_000)
    uri = harbour.uri("coaps", f"t/{topic}")
    assert "4.13" in harbour.ask(GNUTLS, uri, "-m", "put", "-f", str(body), *harbour.proof("psk"))


@pytest.mark.parametrize("scheme", ["coap", "coap+tcp", "coap+ws"])
@pytest.mark.clause("RFC7959-2.4")
@pytest.mark.clause("RFC8323-6")
async def test_aiocoap_writes_reads_and_observes_large_values(harbour: Harbour, scheme: str) -> None:
    uri = harbour.uri(scheme, f"t/{fresh('nosec')}")
    if scheme == "coap+ws":
        uri = uri.replace("coap+ws://127.0.0.1", "coap+ws://localhost")
    client = await aiocoap.Context.create_client_context(transports=["tcpclient", "ws", "udp6"])
    body = TEXT.encode() * 5
    try:
        async with asyncio.timeout(PATIENCE):
            put = await client.request(aiocoap.Message(code=aiocoap.PUT, uri=uri, payload=body)).response
            assert put.code == aiocoap.CREATED
            assert (await client.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response).payload == body
            observing = client.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
            assert (await observing.response).payload == body
            notifications = aiter(observing.observation)
            changed = body[::-1]
            await client.request(aiocoap.Message(code=aiocoap.PUT, uri=uri, payload=changed)).response
            assert (await anext(notifications)).payload == changed
    finally:
        await client.shutdown()
