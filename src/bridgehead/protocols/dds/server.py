"""The rim of DDS: all the domains and routes of the configuration, their time, and their renewal.

What can't be joined or opened says why, as an event and in `failures`; everything else goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.protocols.dds.config import DdsConfig, DomainConfig
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.discovered import learn
from bridgehead.protocols.dds.domain_server import DomainServer
from bridgehead.protocols.dds.events import DOMAIN_FAILED, ROUTE_FAILED, ROUTE_OPENED, TYPE_LEARNT
from bridgehead.protocols.dds.idl import Compiled
from bridgehead.protocols.dds.listening import Listening
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.route_end import RouteEnd
from bridgehead.protocols.dds.route_types import described, type_of
from bridgehead.protocols.dds.session.ports import Endpoint, Parties
from bridgehead.protocols.dds.session.route import Route
from bridgehead.security.dds.bundle import DomainFiles

_TICK: Final = 0.1  # seconds between two looks at the deadlines


class DdsServer:
    """`names` gives the devices by the GUID prefixes that their certificates make, `parties` their rights. `offset` is
    what the epoch's seconds are ahead of the monotonic clock's."""

    def __init__(
        self,
        broker: Broker,
        config: DdsConfig,
        names: Callable[[], Mapping[bytes, str]],
        parties: Parties,
        offset: float,
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._broker: Final = broker
        self._config = config
        self._names: Final = names
        self._parties: Final = parties
        self._offset: Final = offset
        self._files: DomainFiles | None = None
        self._changing: Final = asyncio.Lock()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._applying: Final[set[asyncio.Task[None]]] = set()
        self._is_stopped = False
        self._tick: asyncio.TimerHandle | None = None
        self._listening: Listening | None = None
        self.domains: Final[dict[int, DomainServer]] = {}
        self._unknown: dict[int, list[RouteConfig]] = {}  # routes whose type nobody has announced yet, by domain
        self.failures: Final[dict[str, str]] = {}  # "domain 7", or a route's name: a sentence that says what to do

    def __len__(self) -> int:
        """Remote participants."""
        return sum(len(each) for each in self.domains.values())

    def tell_time(self) -> float:
        """Set the hub's clock: seconds since the epoch, which never go back within a run."""
        now = self._broker.clock.now = monotonic() + self._offset
        return now

    async def start(self, files: DomainFiles | None) -> None:
        """Join all domains and open all routes. `files` are the hub's documents, None when no domain is secured."""
        self._files = files
        self._listening = Listening(self._loop, self._broker.event)
        async with self._changing:
            await self._put_in_force(self._config)
        self._tick = self._loop.call_later(_TICK, self._on_tick)

    async def renew(self, files: DomainFiles) -> None:
        """The participants of secured domains are made anew, with new documents. Routes live on with what they know."""
        async with self._changing:
            self._files = files
            for server in list(self.domains.values()):
                if server.config.is_secured:
                    self.failures.pop(f"domain {server.config.domain}", None)
                    await server.leave()
                    await self._join(server)

    def take(self, files: DomainFiles) -> None:
        """New documents for domains that are joined from now on; in the others those that they have still hold."""
        self._files = files

    def apply(self, config: DdsConfig) -> None:
        """Put a reloaded configuration in force, soon: domains and routes that didn't change stay as they are."""
        task = self._loop.create_task(self._apply(config))
        self._applying.add(task)
        task.add_done_callback(self._applying.discard)

    async def _apply(self, config: DdsConfig) -> None:
        async with self._changing:
            if not self._is_stopped:
                await self._put_in_force(config)

    def report(self, severity: str, event: str, message: str, fields: Mapping[str, object]) -> None:
        """A decision of the hub about security, onto the log topics of secured domains: of the domain that it is about,
        or of all. `severity` is one of log_topic.LEVELS."""
        for number, server in self.domains.items():
            if server.log is not None and fields.get("domain", number) == number:
                server.log.write(severity, event, message, fields, self.tell_time())

    async def stop(self, seconds: float) -> None:
        """Leave every domain. Others are told at once that the hub is gone; nobody is waited for but Cyclone's threads,
        at most so long."""
        self._is_stopped = True
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        for task in list(self._tasks):
            task.cancel()  # a configuration that is being put in force isn't cut off: it may be leaving a domain
        try:
            async with asyncio.timeout(seconds), self._changing:
                for server in list(self.domains.values()):
                    await server.close()
        except TimeoutError:
            self._broker.event(DOMAIN_FAILED, {"because": f"DDS did not stop within {seconds} seconds"})
        self.domains.clear()
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    # Configuration. -----------------------------------------------------------------------------------

    async def _put_in_force(self, config: DdsConfig) -> None:
        domains = {each.domain: each for each in config.domains}
        self.failures.clear()
        self._unknown.clear()
        for number, server in list(self.domains.items()):
            wanted = domains.get(number)
            if wanted is None or _domain_values(wanted) != _domain_values(server.config):
                del self.domains[number]
                await server.close()
        self._config = config
        for domain in config.domains:
            if domain.domain not in self.domains:
                self.domains[domain.domain] = DomainServer(
                    domain, config, self._names, self._broker.event, self._on_opened, self._on_discovered
                )
            if self.domains[domain.domain].participant is None:
                await self._join(self.domains[domain.domain])
        routes = {_route_values(each): each for each in config.routes}
        for server in self.domains.values():
            for end in list(server.ends):
                if routes.pop(_route_values(end.config), None) is None:
                    server.remove(end)
            server.open_again()
        for route in routes.values():
            if route.domain in self.domains:
                await self._add(self.domains[route.domain], route)

    async def _join(self, server: DomainServer) -> None:
        """A domain that can't be joined now is tried again with the next documents or configuration."""
        try:
            await server.join(self._files if server.config.is_secured else None)
        except DdsError as error:
            self._failed(f"domain {server.config.domain}", DOMAIN_FAILED, {"domain": server.config.domain}, error)

    async def _add(self, server: DomainServer, route: RouteConfig) -> None:
        try:
            compiled = await asyncio.to_thread(described, route)
        except DdsError as error:
            self._failed(route.name, ROUTE_FAILED, {"route": route.name}, error)
            return
        if compiled is None:
            self._unknown.setdefault(route.domain, []).append(route)
            if server.discovery is not None:
                for endpoint in [*server.discovery.writers.values(), *server.discovery.readers.values()]:
                    self._on_discovered(route.domain, endpoint)
            return
        self._open(server, route, compiled)

    def _open(self, server: DomainServer, route: RouteConfig, compiled: Compiled) -> None:
        self.tell_time()
        try:
            live = Route(route, server.config, self._broker, compiled.codec, self._parties)
        except ValueError as error:  # the template doesn't fit the type
            self._failed(route.name, ROUTE_FAILED, {"route": route.name}, DdsError(str(error)))
            return
        described_by = type_of(route, compiled)
        server.add(
            RouteEnd(live, route, described_by, server.endpoints, self._config, self.tell_time, self._broker.event)
        )

    def _failed(self, name: str, event: str, fields: dict[str, object], error: DdsError) -> None:
        self.failures[name] = str(error)
        self._broker.event(event, {**fields, "because": str(error)})

    def _on_opened(self, route: RouteConfig, error: DdsError | None) -> None:
        if error is not None:
            self._failed(route.name, ROUTE_FAILED, {"route": route.name}, error)
            return
        self.failures.pop(route.name, None)
        self._broker.event(ROUTE_OPENED, {"route": route.name, "direction": route.direction})

    # Types that are learnt. -----------------------------------------------------------------------------

    def _on_discovered(self, domain: int, endpoint: Endpoint) -> None:
        """Somebody announced a topic: a route that waits for its type asks for it, beside the loop."""
        for route in list(self._unknown.get(domain, ())):
            if route.dds_topic == endpoint.topic and route.type_name.replace(".", "::") in ("", endpoint.type_name):
                self._unknown[domain].remove(route)
                task = self._loop.create_task(self._learn(domain, route, endpoint))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _learn(self, domain: int, route: RouteConfig, endpoint: Endpoint) -> None:
        server = self.domains.get(domain)
        if server is None or server.participant is None:
            return
        try:
            compiled = await asyncio.to_thread(learn, server.participant, endpoint)
        except DdsError as error:
            self._failed(route.name, ROUTE_FAILED, {"route": route.name}, error)
            self._unknown.setdefault(domain, []).append(route)
            return
        async with self._changing:
            if self.domains.get(domain) is server and route in self._config.routes:
                because = "its type was asked for in clear: name its IDL file to need no question"
                self._broker.event(TYPE_LEARNT, {"route": route.name, "type": endpoint.type_name, "because": because})
                self._open(server, route, compiled)

    # Time. ----------------------------------------------------------------------------------------------

    def _on_tick(self) -> None:
        self._tick = self._loop.call_later(_TICK, self._on_tick)
        now = self.tell_time()
        for server in self.domains.values():
            for end in server.ends:
                end.judge_types(now)
                if end.route.next_timeout() <= now:
                    end.route.handle_timeout()


def _domain_values(domain: DomainConfig) -> tuple[object, ...]:
    """What makes two configurations of a domain the same one. The rest (`metadata`) is in its documents."""
    return (
        domain.domain,
        domain.security,
        domain.guest,
        domain.interfaces,
        domain.peers,
        domain.multicast,
        domain.discovers_types,
    )


def _route_values(route: RouteConfig) -> tuple[object, ...]:
    qos = route.qos
    return (
        (route.domain, route.topic, route.type_name, route.idl, route.preset, route.partition, route.hub, route.key),
        (route.direction, route.payload, route.tags, route.instances, route.timestamps),
        (qos.reliability, qos.durability, qos.depth, qos.deadline, qos.lifespan, qos.liveliness, qos.lease),
        (qos.ownership, qos.strength, qos.latency_budget),
    )
