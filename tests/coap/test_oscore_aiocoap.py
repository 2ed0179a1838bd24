"""aiocoap as an OSCORE client over UDP, with the bundle that `device export` wrote, at the hub's own listener."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from importlib import import_module
from pathlib import Path
from time import monotonic, time
from typing import Any

import pytest
import pytest_asyncio

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.policy import Principal
from bridgehead.node.oscore import HubContexts
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message, uint_value
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.datagram_server import PlainListener
from bridgehead.protocols.coap.server import CoapServer
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Peer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.oscore import OscoreLayer
from bridgehead.security.login.keys import Kind
from bridgehead.security.login.proof import Proven
from bridgehead.security.mechanisms import OSCORE
from bridgehead.security.oscore.sequences import Sequences
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.principals import Principals
from bridgehead.store.memory import MemoryStore
from tests.export.conftest import Home
from tests.security.support import publish

aiocoap: Any = import_module("aiocoap")  # which has no types
credentials: Any = import_module("aiocoap.credentials")

PATIENCE = 20.0


class Nobody:
    """A listener without guests and without DTLS."""

    def pre_shared_key(self, identity: bytes, address: str) -> bytes | None:
        return None

    def knows_raw_key(self, spki: bytes) -> bool:
        return False

    def prove(self, kind: Kind, shown: bytes, address: str) -> Proven:
        raise AssertionError("nobody can prove anything here but by OSCORE")

    def failed(self, kind: Kind | None, shown: bytes, because: str, address: str) -> None:
        raise AssertionError(because)

    def guest(self, name: str) -> Principal | None:
        return None


class Values(Handler):
    """GET reads what PUT wrote, and its observers hear of it. Who has no party is refused."""

    def __init__(self) -> None:
        self.value = b"20.0"
        self.count = 1
        self.wrote: list[str] = []
        self.observers: list[Exchange] = []

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        if exchange.party is None:
            exchange.respond(Message(codes.UNAUTHORIZED))
        elif request.code == codes.PUT:
            self.wrote.append(exchange.party.principal.name)
            self.value = request.payload
            exchange.respond(Message(codes.CHANGED))
            self.count += 1
            for each in self.observers:
                each.notify(self._content(True), False, None, self.count)
        else:
            observes = request.first(option.OBSERVE) == b""
            exchange.respond(self._content(observes))
            if observes:
                self.observers.append(exchange)

    def _content(self, observed: bool) -> Message:
        options = ((option.OBSERVE, uint_value(self.count)),) if observed else ()
        return Message(codes.CONTENT, options, self.value)


class House:
    """The hub's listener, and one device whose bundle aiocoap uses."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.add("sensor-7", publish("Office/a"))
        self.bundle = self.home.export("sensor-7", "coap", OSCORE)
        self.values = Values()
        self.heard: list[tuple[str, dict[str, object]]] = []
        self.address = "127.0.0.1:0"

    def _hear(self, event: str, fields: Mapping[str, object]) -> None:
        self.heard.append((event, dict(fields)))

    async def start(self) -> None:
        """A run of the hub; after `stop` another one, at the same address."""
        registry = self.home.identity.registry
        clock = Clock(time())
        broker = Broker(MemoryStore(lambda done: done()), clock, Limits(), self._hear, lambda: None)
        contexts = HubContexts(
            registry,
            Principals(Directory(registry), self._hear, time),
            self.home.identity.vault,
            Sequences(self.home.data, time()),
            self._hear,
            time,
        )
        layer = OscoreLayer(self.values, contexts, Echo(os.urandom(32), 60.0), clock)
        self.server = CoapServer(
            broker, CoapConfig(), layer, _nothing, Nobody(), Echo(os.urandom(32), 60.0), time() - monotonic()
        )
        self.listener: PlainListener = self.server.plain(self.address, "", [])
        await self.listener.start()
        self.address = self.listener.address

    async def stop(self) -> None:
        await self.server.stop(0.0)

    def uri(self, path: str = "t/Office/a") -> str:
        return f"coap://{self.address}/{path}"


def _nothing(peer: Peer) -> None:
    """There is no DTLS here."""


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    found = House(tmp_path)
    await found.start()
    yield found
    await found.stop()
    found.home.identity.close()


@pytest_asyncio.fixture
async def client(house: House) -> AsyncIterator[Any]:
    [entry] = json.loads((house.bundle / "aiocoap.json").read_text()).values()
    # The bundle means its own folder; aiocoap keeps its sequence numbers there, also when it is collected late.
    entry["oscore"]["basedir"] = f"{house.bundle}/{entry['oscore']['basedir']}"
    made = await aiocoap.Context.create_client_context()
    made.client_credentials.load_from_dict({house.uri("*"): entry})
    yield made
    await made.shutdown()


async def ask(client: Any, message: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await client.request(message).response


@pytest.mark.clause("RFC8613-8.2")
@pytest.mark.clause("RFC8613-B.1.2")
async def test_aiocoap_writes_and_reads_and_is_known_by_its_context(house: House, client: Any) -> None:
    written = await ask(client, aiocoap.Message(code=aiocoap.PUT, uri=house.uri(), payload=b"22.5"))
    assert written.code == aiocoap.CHANGED
    read = await ask(client, aiocoap.Message(code=aiocoap.GET, uri=house.uri()))
    assert (read.code, read.payload) == (aiocoap.CONTENT, b"22.5")
    assert house.values.wrote == ["sensor-7"]
    accepted = [fields for event, fields in house.heard if event == "authentication.accepted"]
    assert [(each["principal"], each["by"], each["protocol"]) for each in accepted] == [("sensor-7", "oscore", "coap")]


async def test_without_the_context_nobody_gets_in(house: House) -> None:
    plain = await aiocoap.Context.create_client_context()
    try:
        read = await ask(plain, aiocoap.Message(code=aiocoap.GET, uri=house.uri()))
        assert read.code == aiocoap.UNAUTHORIZED
    finally:
        await plain.shutdown()


@pytest.mark.clause("RFC8613-4.1.3.5")
async def test_aiocoap_observes(house: House, client: Any) -> None:
    observing = client.request(aiocoap.Message(code=aiocoap.GET, uri=house.uri(), observe=0))
    async with asyncio.timeout(PATIENCE):
        first = await observing.response
        assert first.payload == b"20.0"
        notifications = aiter(observing.observation)
        for text in (b"20.5", b"21.0"):
            await ask(client, aiocoap.Message(code=aiocoap.PUT, uri=house.uri(), payload=text))
            assert (await anext(notifications)).payload == text


@pytest.mark.clause("RFC8613-7.5")
async def test_after_a_restart_the_same_context_goes_on(house: House, client: Any) -> None:
    for text in (b"1", b"2"):
        written = await ask(client, aiocoap.Message(code=aiocoap.PUT, uri=house.uri(), payload=text))
        assert written.code == aiocoap.CHANGED
        await house.stop()
        await house.start()
    assert house.values.wrote == ["sensor-7", "sensor-7"]
