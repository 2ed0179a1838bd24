"""DdsServer with a broker around it, in this process; devices that are all known by name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.message import Message, Origin
from bridgehead.core.policy import Context, Permission, Principal
from bridgehead.core.session import TAKEN, Delivery, Receiver, Subscription, Target
from bridgehead.protocols.dds.config import DdsConfig, DomainConfig
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.server import DdsServer
from bridgehead.protocols.dds.session.ports import Parties
from bridgehead.security.dds.bundle import DomainFiles
from bridgehead.store.memory import MemoryStore

GUEST = "guest"
RIGHTS = [Permission("#", True, True), Permission("$SYS/#", False, True), Permission("$DDS/#", True, False)]


class Known(Parties):
    """Devices with all rights, by their names."""

    def __init__(self, *names: str) -> None:
        self.principals = {name: Principal.of(name, list(RIGHTS), ["*"]) for name in names}

    def party(self, name: str, verified: bool) -> Principal | None:
        found = self.principals.get(name)
        return None if found is None else found.under(Context("dds", ("dds",) if verified else ()))


class Listener(Receiver):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def transmit(self, message: Message, target: Target) -> None:
        self.messages.append(message)

    def offer(self, delivery: Delivery) -> int:
        self.messages.append(delivery.message)
        return TAKEN

    def pump(self) -> None:
        pass

    def committed(self, ticket: int) -> None:
        pass

    def not_committed(self, ticket: int, retry: int) -> None:
        raise AssertionError("the store never fails here")

    def dismiss(self, meaning: str, because: str) -> None:
        raise AssertionError(f"nobody is dismissed here: {because}")

    def payloads(self, topic: str) -> list[bytes]:
        return [each.payload for each in self.messages if each.topic == topic]


class Desk:
    def __init__(self, config: DdsConfig, names: Mapping[bytes, str], parties: Known) -> None:
        loop = asyncio.get_running_loop()
        self.events: list[tuple[str, dict[str, object]]] = []
        offset = time.time() - time.monotonic()
        self.broker = Broker(
            MemoryStore(loop.call_soon),
            Clock(time.time()),
            Limits(),
            lambda name, fields: self.events.append((name, fields)),
            self._flush_soon,
        )
        self.reader = Principal.of("reader", list(RIGHTS), ["*"])
        self.broker.recover([self.reader, *parties.principals.values()])
        self.names = dict(names)
        self.server = DdsServer(self.broker, config, lambda: self.names, parties, offset)

    def _flush_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self.broker.journal.flush)

    def named(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.events if name == event]

    def listen(self, topic_filter: str, client_id: str = "listener") -> Listener:
        self.server.tell_time()
        listener = Listener()
        session = self.broker.attach(self.reader, client_id, "fake", True, False, 0.0, None, listener)[0]
        self.broker.door.subscribe(Subscription(session, topic_filter, 1))
        return listener

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self.server.tell_time()
        origin = Origin("reader", "fake", True, "publisher")
        self.broker.door.publish(self.reader, Message(topic, payload, 1, retain, origin), None)


def settings(domains: list[DomainConfig], routes: list[RouteConfig]) -> DdsConfig:
    config = DdsConfig()
    config.domains, config.routes = tuple(domains), tuple(routes)
    return config


@asynccontextmanager
async def desk(
    config: DdsConfig,
    files: DomainFiles | None = None,
    names: Mapping[bytes, str] | None = None,
    parties: Known | None = None,
) -> AsyncIterator[Desk]:
    made = Desk(config, names or {}, parties or Known(GUEST))
    await made.server.start(files)
    try:
        yield made
    finally:
        await made.server.stop(30.0)
