"""A program that takes part in one domain for one topic: under `bridgehead pub`, `sub` and `dds discover`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from bridgehead.protocols.dds import cyclone
from bridgehead.protocols.dds.config import DomainConfig
from bridgehead.protocols.dds.cyclone import DdsError, library
from bridgehead.protocols.dds.discovered import learn
from bridgehead.protocols.dds.discovery import Discovery, Endpoints
from bridgehead.protocols.dds.idl import Compiled
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.participant import Domain, Participant
from bridgehead.protocols.dds.reader import RawReader
from bridgehead.protocols.dds.route_types import type_of
from bridgehead.protocols.dds.session.ports import Endpoint, Sample
from bridgehead.protocols.dds.waiting import Waiting
from bridgehead.protocols.dds.writer import RawWriter
from bridgehead.security.dds.bundle import DomainFiles

SAMPLE_OCTETS: Final = 16 * 1024 * 1024
_BATCH: Final = 256
_WAITING: Final = 8192  # samples that are kept for whoever iterates, and as many by Cyclone
_PARTICIPANTS: Final = 10_000
_ENDPOINTS: Final = 100_000
_AGAIN: Final = 0.005  # seconds until a sample is offered again that had no room
_LOOK: Final = 0.02  # seconds between two looks at who matches


class Client:
    """`open`, then `use` once, then publish or iterate; `close` at last. In one event loop. Errors: DdsError."""

    def __init__(self, config: DomainConfig, files: DomainFiles | None = None) -> None:
        """`files` are the credentials, exactly when `config` is of a secured domain."""
        self._config: Final = config
        self._files: Final = files
        self._domain: Domain | None = None
        self._participant: Participant | None = None
        self._waiting: Waiting | None = None
        self._discovery: Discovery | None = None
        self._reader: RawReader | None = None
        self._writer: RawWriter | None = None
        self._samples: Final[deque[Sample]] = deque()
        self._some: Final = asyncio.Event()
        self._is_held = False  # nothing is taken until whoever iterates has caught up
        self._failure = ""

    async def open(self) -> None:
        """Take part in the domain."""
        try:
            self._domain = await asyncio.to_thread(Domain, self._config, SAMPLE_OCTETS)
            participant = await asyncio.to_thread(Participant, self._domain, self._files)
            self._participant = participant
            self._waiting = Waiting(participant.entity, f"dds-{self._config.domain}", self._on_failure)
            endpoints = Endpoints(False, dict)
            self._discovery = Discovery(participant.entity, participant.guid, endpoints, _PARTICIPANTS, _ENDPOINTS)
            self._waiting.start()
        except DdsError:
            await self.close()
            raise

    @property
    def guid(self) -> bytes:
        """Of its participant, 16 octets."""
        if self._participant is None:
            raise DdsError("the client takes part in no domain: open it first")
        return self._participant.guid

    def discovery(self) -> Discovery:
        """Everybody who is known in the domain now."""
        if self._discovery is None:
            raise DdsError("the client takes part in no domain: open it first")
        self._discovery.take()
        return self._discovery

    async def announced(self, topic: str, seconds: float) -> Endpoint:
        """Somebody who writes or reads `topic` (its name in DDS), within so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            found = self.discovery()
            for endpoint in (*found.writers.values(), *found.readers.values()):
                if endpoint.topic == topic:
                    return endpoint
            if asyncio.get_running_loop().time() > deadline:
                raise DdsError(
                    f"nobody announced topic {topic} in domain {self._config.domain} within {seconds:g} s: name its "
                    "IDL file and type, or look who is there with `bridgehead dds discover`"
                )
            await asyncio.sleep(_LOOK)

    async def learn(self, topic: str, seconds: float) -> Compiled:
        """The topic's type, asked in clear of who announces it."""
        endpoint = await self.announced(topic, seconds)
        if self._participant is None:
            raise DdsError("the client takes part in no domain: open it first")
        return await asyncio.to_thread(learn, self._participant, endpoint)

    def use(self, route: RouteConfig, compiled: Compiled) -> None:
        """Read and write the topic, partition and QoS of `route`, as its direction says ("in": read, "out": write)."""
        participant, waiting = self._participant, self._waiting
        if participant is None or waiting is None:
            raise DdsError("the client takes part in no domain: open it first")
        of = type_of(route, compiled)
        topic = participant.topic(of.topic, of.python, of.representation, of.extensibility)
        if route.comes_in:
            self._reader = RawReader(participant, topic, route, _BATCH, _WAITING, SAMPLE_OCTETS)
            waiting.attach(self._reader.condition, self._on_samples)
        if route.goes_out:
            self._writer = RawWriter(participant, topic, route)

    async def matched(self, seconds: float) -> bool:
        """Whether somebody reads what is written, or writes what is read, within so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            if any(each is not None and each.matched() for each in (self._reader, self._writer)):
                return True
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_LOOK)

    def incompatible(self) -> str:
        """The policy that keeps a remote writer or reader from matching, when there is one since this was asked last;
        "" otherwise."""
        for each in (self._reader, self._writer):
            times, policy = (0, "") if each is None else each.incompatible()
            if times:
                return policy
        return ""

    async def publish(self, cdr: bytes, timestamp: int = 0) -> None:
        """One sample, with its encapsulation header; `timestamp` in nanoseconds since the epoch, 0 for now. Waits while
        there is no room. Errors: Refusal, for octets that are no sample of the type."""
        if self._writer is None:
            raise DdsError("the client doesn't write: use a topic for writing first")
        while not self._writer.write(cdr, timestamp):
            self._check()
            await asyncio.sleep(_AGAIN)

    async def acknowledged(self, seconds: float) -> bool:
        """Whether all reliable readers have got everything, within so many seconds."""
        if self._writer is None:
            return True
        code = await asyncio.to_thread(library().dds_wait_for_acks, self._writer.entity, round(seconds * 1e9))
        return bool(code != cyclone.TIMEOUT)

    async def samples(self) -> AsyncIterator[Sample]:
        """What comes, one after another, without end."""
        while True:
            while self._samples:
                yield self._samples.popleft()
            self._release()
            self._some.clear()
            self._check()
            await self._some.wait()

    def _on_samples(self) -> None:
        if self._reader is None or self._waiting is None:
            return
        self._samples.extend(self._reader.take())
        self._some.set()
        if len(self._samples) >= _WAITING:
            self._waiting.detach(self._reader.condition)
            self._is_held = True

    def _release(self) -> None:
        if self._is_held and self._reader is not None and self._waiting is not None:
            self._is_held = False
            self._waiting.attach(self._reader.condition, self._on_samples)

    def _on_failure(self, because: str) -> None:
        self._failure = because
        self._some.set()

    def _check(self) -> None:
        if self._failure:
            raise DdsError(f"DDS domain {self._config.domain} works no more ({self._failure}): start again")

    async def close(self) -> None:
        """Others are told at once. May be called twice."""
        waiting, self._waiting = self._waiting, None
        participant, self._participant = self._participant, None
        domain, self._domain = self._domain, None
        self._reader = self._writer = self._discovery = None
        if waiting is not None:
            waiting.stop()
        if participant is not None:
            await asyncio.to_thread(participant.close)
        if domain is not None:
            await asyncio.to_thread(domain.close)
