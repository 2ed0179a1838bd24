"""The rim on the loopback interface: participants of this process, and the configuration that other programs get."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bridgehead.protocols.dds.config import PLAIN, DdsConfig, DomainConfig
from bridgehead.protocols.dds.configuration import domain_xml
from bridgehead.protocols.dds.discovery import Discovery, Endpoints
from bridgehead.protocols.dds.mapping.settings import DEFAULT_QOS, RouteConfig, RouteQos
from bridgehead.protocols.dds.participant import Domain, Participant
from bridgehead.protocols.dds.reader import RawReader
from bridgehead.protocols.dds.route_end import RouteEnd, TypeOf
from bridgehead.protocols.dds.route_types import type_of
from bridgehead.protocols.dds.session.ports import Endpoint, Sample, Writer
from bridgehead.protocols.dds.waiting import Waiting
from bridgehead.protocols.dds.writer import RawWriter
from tests.dds.keyed import KEYED, TOPIC

OCTETS = 1024 * 1024
PATIENCE = 20.0  # seconds until something that must happen is held to have failed


def loopback(domain: int, security: str = PLAIN, guest: str = "") -> DomainConfig:
    return DomainConfig(domain, security, guest, interfaces=("lo",), peers=("127.0.0.1",), multicast=False)


def environment(domain: int, folder: Path) -> dict[str, str]:
    """For programs of others: the loopback interface alone, nobody's lease longer than a second."""
    text = domain_xml(loopback(domain), OCTETS)
    text = text.replace("</Discovery>", "<LeaseDuration>1s</LeaseDuration></Discovery>")
    path = folder / f"cyclonedds-{domain}.xml"
    path.write_text(text)
    return {**os.environ, "CYCLONEDDS_URI": f"file://{path}"}


@contextmanager
def joined(domain: int) -> Iterator[Domain]:
    opened = Domain(loopback(domain), OCTETS)
    try:
        yield opened
    finally:
        opened.close()


def route(domain: int, direction: str = "both", qos: RouteQos = DEFAULT_QOS, partition: str = "") -> RouteConfig:
    return RouteConfig(domain, TOPIC, type_name="KeyedSeq", direction=direction, qos=qos, partition=partition)


class Other:
    """Another participant of this process, with one topic."""

    def __init__(self, domain: Domain, config: RouteConfig, described: TypeOf | None = None) -> None:
        self.participant = Participant(domain, None)
        of = described or type_of(config, KEYED)
        self.topic = self.participant.topic(of.topic, of.python, of.representation, of.extensibility)
        self.config = config

    def reader(self) -> RawReader:
        return RawReader(self.participant, self.topic, self.config, 256, 8192, OCTETS)

    def writer(self) -> RawWriter:
        return RawWriter(self.participant, self.topic, self.config)

    def close(self) -> None:
        self.participant.close()


class Recorder:
    """A route that writes down what it is told."""

    def __init__(self) -> None:
        self.writer: Writer | None = None
        self.samples: list[Sample] = []
        self.calls: list[tuple[object, ...]] = []
        self.writers: dict[int, Endpoint] = {}
        self.readers: dict[int, Endpoint] = {}
        self.strangers = 0  # samples of writers that were not told of

    def open(self, writer: Writer | None) -> None:
        self.writer = writer
        self.calls.append(("open",))

    def close(self) -> None:
        self.calls.append(("close",))

    def received(self, samples: list[Sample]) -> None:
        self.strangers += sum(each.publication not in self.writers for each in samples if each.valid)
        self.samples += samples

    def writer_matched(self, endpoint: Endpoint) -> None:
        self.writers[endpoint.handle] = endpoint

    def writer_gone(self, handle: int) -> None:
        del self.writers[handle]
        self.calls.append(("writer_gone", len(self.samples)))

    def reader_matched(self, endpoint: Endpoint) -> None:
        self.readers[endpoint.handle] = endpoint

    def reader_gone(self, handle: int) -> None:
        del self.readers[handle]

    def deadline_missed(self, instance: int, times: int) -> None:
        self.calls.append(("deadline_missed", instance))

    def liveliness_changed(self, alive: int, not_alive: int, handle: int) -> None:
        self.calls.append(("liveliness_changed", alive, not_alive))

    def incompatible(self, policy: str, remote: Endpoint | None) -> None:
        self.calls.append(("incompatible", policy, remote.guid if remote is not None else None))

    def inconsistent(self, remote: Endpoint, type_name: str) -> None:
        self.calls.append(("inconsistent", remote.type_name, type_name))

    def next_timeout(self) -> float:
        return float("inf")

    def handle_timeout(self) -> None:
        raise AssertionError("nothing was asked for")


class Hub:
    """The hub's end of one route, in a participant of its own."""

    def __init__(self, domain: Domain, config: RouteConfig, limits: DdsConfig | None = None) -> None:
        self.limits = limits or DdsConfig()
        self.participant = Participant(domain, None)
        self.endpoints = Endpoints(False, dict)
        self.discovery = Discovery(
            self.participant.entity,
            self.participant.guid,
            self.endpoints,
            self.limits.participants,
            self.limits.endpoints,
        )
        self.failures: list[str] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.waiting = Waiting(self.participant.entity, "dds-test", self.failures.append)
        self.route = Recorder()
        self.end = RouteEnd(
            self.route,
            config,
            type_of(config, KEYED),
            self.endpoints,
            self.limits,
            lambda: 0.0,
            lambda name, fields: self.events.append((name, fields)),
        )

    def look(self) -> Discovery:
        self.discovery.take()
        return self.discovery


@asynccontextmanager
async def hub(domain: Domain, config: RouteConfig, limits: DdsConfig | None = None) -> AsyncIterator[Hub]:
    made = Hub(domain, config, limits)
    made.waiting.start()
    made.end.open(made.participant, made.waiting, made.look)
    try:
        yield made
    finally:
        made.end.close()
        made.waiting.stop()
        made.participant.close()
    assert made.failures == []


async def until(happened: Callable[[], object], what: str) -> None:
    """Waits for other threads and processes, at most so long."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not happened():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.005)
