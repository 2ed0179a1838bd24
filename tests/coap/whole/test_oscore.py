"""OSCORE at the real hub: aiocoap with the bundle that `bridgehead device export` writes, over UDP and over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bridgehead.security.export.folder import BundleFolder
from bridgehead.security.export.gather import gathering
from bridgehead.security.export.targets import TARGETS, Order
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.wanted import Fresh, Wanted
from tests.cli.hub import PATIENCE, wait_until
from tests.coap.whole.harbour import Harbour, may_both
from tests.coap.whole.test_commands import Subscriber, run
from tests.secrets.plugin import register

aiocoap: Any = import_module("aiocoap")  # which has no types
SCHEMES = ["coap", pytest.param("coap+tcp", marks=pytest.mark.slow)]


class Node:
    """A device whose only credential over CoAP is an OSCORE context; `name` owns "oscore/NAME/#"."""

    def __init__(self, harbour: Harbour, folder: Path, name: str) -> None:
        self.harbour = harbour
        self.name = name
        permissions = [may_both(f"oscore/{name}/#")]
        with self._identity() as identity, identity.enrolling(Wanted(name, permissions, fresh=Fresh(oscore=True))):
            pass
        self.bundle = folder / f"{name}-bundle"
        self.export()

    @contextlib.contextmanager
    def _identity(self) -> Iterator[Identity]:
        made = Identity(self.harbour.hub.data)
        try:
            yield made
        finally:
            made.close()

    def export(self) -> None:
        """`bridgehead device export NAME --for coap --credential oscore --overlap 0`: another context."""
        folder = BundleFolder(self.bundle)
        with self._identity() as identity, gathering(identity, self.name, ["oscore"], 0.0) as enrolled:
            assert enrolled.oscore is not None
            register(enrolled.oscore.secret)
            order = Order(identity, enrolled, "127.0.0.1", self.harbour.hub.port("coap"))
            folder.put(TARGETS["coap"].build(order))

    def uri(self, scheme: str, path: str = "door") -> str:
        return self.harbour.uri(scheme, f"t/oscore/{self.name}/{path}")

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        [entry] = json.loads((self.bundle / "aiocoap.json").read_text()).values()
        entry["oscore"]["basedir"] = f"{self.bundle}/{entry['oscore']['basedir']}"
        made = await aiocoap.Context.create_client_context(transports=["oscore", "tcpclient", "udp6"])
        made.client_credentials.load_from_dict({"*": entry})
        try:
            yield made
        finally:
            await made.shutdown()


async def ask(client: Any, code: Any, uri: str, payload: bytes = b"") -> Any:
    async with asyncio.timeout(PATIENCE):
        return await client.request(aiocoap.Message(code=code, uri=uri, payload=payload)).response


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.clause("RFC8613-8.2")
@pytest.mark.clause("RFC8613-8.3")
async def test_data_crosses_between_mqtt_and_oscore(harbour: Harbour, tmp_path: Path, scheme: str) -> None:
    node = Node(harbour, tmp_path, f"crosses-{len(scheme)}")
    topic = f"oscore/{node.name}/door"
    mqtt = harbour.mqtt()
    mqtt.subscribe(topic)
    async with node.client() as client:
        assert (await ask(client, aiocoap.PUT, node.uri(scheme), b"open")).code == aiocoap.CREATED
        assert await asyncio.to_thread(mqtt.message) == (topic, "open")
        await asyncio.to_thread(mqtt.publish, topic, "shut", True)
        assert (await ask(client, aiocoap.GET, node.uri(scheme))).payload == b"shut"
        refused = await ask(client, aiocoap.PUT, harbour.uri(scheme, "t/Office/door"), b"x")
        assert refused.code == aiocoap.FORBIDDEN
    mqtt.close()
    accepted = [each for each in harbour.hub.events("authentication.accepted") if each["principal"] == node.name]
    assert {(each["by"], each["protocol"]) for each in accepted} == {("oscore", "coap")}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.clause("RFC8613-4.1.3.5")
async def test_an_observer_gets_what_mqtt_publishes(harbour: Harbour, tmp_path: Path, scheme: str) -> None:
    node = Node(harbour, tmp_path, f"observes-{len(scheme)}")
    mqtt = harbour.mqtt()
    async with node.client() as client:
        observing = client.request(aiocoap.Message(code=aiocoap.GET, uri=node.uri(scheme), observe=0))
        async with asyncio.timeout(PATIENCE):
            assert (await observing.response).code == aiocoap.CONTENT
            notifications = aiter(observing.observation)
            for value in ("first", "second", "third"):
                await asyncio.to_thread(mqtt.publish, f"oscore/{node.name}/door", value)
                assert (await anext(notifications)).payload.decode() == value
    mqtt.close()


@pytest.mark.clause("RFC8613-4.1.3.4")
@pytest.mark.clause("RFC8613-8.2.1")
async def test_a_body_in_many_blocks_goes_both_ways(harbour: Harbour, tmp_path: Path) -> None:
    node = Node(harbour, tmp_path, "large")
    body = bytes(range(256)) * 40
    async with node.client() as client:
        assert (await ask(client, aiocoap.PUT, node.uri("coap"), body)).code == aiocoap.CREATED
        assert (await ask(client, aiocoap.GET, node.uri("coap"))).payload == body


async def test_a_context_that_was_replaced_is_refused_and_the_new_one_works(harbour: Harbour, tmp_path: Path) -> None:
    node = Node(harbour, tmp_path, "replaced")
    async with node.client() as client:
        assert (await ask(client, aiocoap.PUT, node.uri("coap"), b"1")).code == aiocoap.CREATED
        node.bundle = tmp_path / "another"
        await asyncio.to_thread(node.export)
        with pytest.raises(aiocoap.error.Error):
            await ask(client, aiocoap.PUT, node.uri("coap"), b"2")
    wait_until(
        "the refusal is told",
        lambda: any("OSCORE" in str(each["because"]) for each in harbour.hub.events("authentication.refused")),
    )
    async with node.client() as client:
        assert (await ask(client, aiocoap.GET, node.uri("coap"))).payload == b"1"


async def test_a_revoked_device_has_no_context_any_more(harbour: Harbour, tmp_path: Path) -> None:
    node = Node(harbour, tmp_path, "revoked")
    async with node.client() as client:
        assert (await ask(client, aiocoap.PUT, node.uri("coap"), b"1")).code == aiocoap.CREATED
        await asyncio.to_thread(harbour.command, "device", "revoke", node.name)
        wait_until("the hub knows", lambda: node.name in str(harbour.hub.events("identity.ended")))
        with pytest.raises(aiocoap.error.Error):
            await ask(client, aiocoap.PUT, node.uri("coap"), b"2")


async def test_without_a_context_nothing_of_a_nodes_can_be_reached(harbour: Harbour, tmp_path: Path) -> None:
    node = Node(harbour, tmp_path, "private")
    plain = await aiocoap.Context.create_client_context(transports=["udp6"])
    try:
        assert (await ask(plain, aiocoap.GET, node.uri("coap"))).code == aiocoap.FORBIDDEN  # the guest's rights
    finally:
        await plain.shutdown()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_our_own_commands_speak_oscore(harbour: Harbour, tmp_path: Path, scheme: str) -> None:
    node = Node(harbour, tmp_path, f"own-{len(scheme)}")
    hub, topic = harbour.uri(scheme, "").rstrip("/"), f"oscore/{node.name}/door"
    mqtt = harbour.mqtt()
    mqtt.subscribe(topic)
    context = str(node.bundle / "oscore")
    large = tmp_path / "large"
    large.write_text("x" * 5000)
    for words, expected in ((["-m", "open"], "open"), (["-f", str(large)], "x" * 5000)):
        done = run("pub", hub, topic, "-q", "1", "--retain", "--oscore", context, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert mqtt.message() == (topic, expected)
    done = run("sub", hub, topic, "-C", "1", "--bundle", str(node.bundle), "--credential", "oscore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "x" * 5000 + "\n", "")
    subscriber = Subscriber(harbour, tmp_path / "out", hub, "--oscore", context, "-C", "3", topic)
    try:
        subscriber.await_messages(1)
        busy = run("pub", hub, topic, "-m", "x", "--oscore", context)
        assert (busy.returncode, "another program uses the OSCORE context" in busy.stderr) == (2, True)
        for value in ("second", "third"):
            mqtt.publish(topic, value)
        assert subscriber.finish() == (0, "")
        assert [payload for _, payload in subscriber.messages()][1:] == ["second", "third"]
    finally:
        subscriber.stop()
        mqtt.close()


def test_our_own_commands_say_when_the_context_is_not_the_hubs(harbour: Harbour, tmp_path: Path) -> None:
    node = Node(harbour, tmp_path, "gone")
    harbour.command("device", "remove", node.name)
    hub = harbour.uri("coap", "").rstrip("/")
    done = run("pub", hub, "oscore/gone/door", "-m", "x", "-q", "1", "--oscore", str(node.bundle / "oscore"))
    assert done.returncode == 1
    assert "Security context not found; does the device still have this context?" in done.stderr
    assert done.stderr.count("\n") == 1
