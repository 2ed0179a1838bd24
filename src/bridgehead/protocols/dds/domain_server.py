"""One domain in force: the hub's participant in it, its waiting thread, its discovery, and the ends of its routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from bridgehead.protocols.dds.config import DdsConfig, DomainConfig
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.discovery import Discovery, Endpoints, RemoteParticipant
from bridgehead.protocols.dds.events import (
    DISCOVERY_FULL,
    DOMAIN_FAILED,
    DOMAIN_JOINED,
    DOMAIN_LEFT,
    PARTICIPANT_FOUND,
    PARTICIPANT_GONE,
    ROUTE_FAILED,
)
from bridgehead.protocols.dds.idl import IdlError
from bridgehead.protocols.dds.log_topic import SecurityLog
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.participant import Domain, Participant
from bridgehead.protocols.dds.route_end import RouteEnd
from bridgehead.protocols.dds.session.ports import Endpoint
from bridgehead.protocols.dds.waiting import Waiting
from bridgehead.security.dds.bundle import DomainFiles

OnEvent = Callable[[str, dict[str, object]], None]
OnOpened = Callable[[RouteConfig, DdsError | None], None]  # None: it is open
OnDiscovered = Callable[[int, Endpoint], None]  # the domain, and who


class DomainServer:
    """`names` as in Endpoints. `opened` is told what became of each route that was to be opened, `discovered` of every
    remote writer and reader that is new, for routes that wait to learn their type."""

    def __init__(
        self,
        config: DomainConfig,
        limits: DdsConfig,
        names: Callable[[], Mapping[bytes, str]],
        event: OnEvent,
        opened: OnOpened,
        discovered: OnDiscovered,
    ) -> None:
        self.config: Final = config
        self.endpoints: Final = Endpoints(config.is_secured, names)
        self.ends: Final[list[RouteEnd]] = []
        self.participant: Participant | None = None
        self.discovery: Discovery | None = None
        self.log: Final = SecurityLog(config) if config.is_secured and limits.log_topic else None
        self._limits: Final = limits
        self._event: Final = event
        self._opened: Final = opened
        self._discovered: Final = discovered
        self._domain: Domain | None = None
        self._waiting: Waiting | None = None
        self._full = 0

    def __len__(self) -> int:
        """Remote participants."""
        return len(self.discovery.participants) if self.discovery is not None else 0

    async def join(self, files: DomainFiles | None) -> None:
        """Take part in it, and open all ends. What Cyclone does slowly is done beside the loop. Errors: DdsError."""
        if self._domain is None:
            self._domain = await asyncio.to_thread(Domain, self.config, self._limits.sample_octets)
        participant: Participant | None = None
        try:
            participant = await asyncio.to_thread(Participant, self._domain, files)
            waiting = Waiting(participant.entity, f"dds-{self.config.domain}", self._on_failure)
            discovery = Discovery(
                participant.entity, participant.guid, self.endpoints, self._limits.participants, self._limits.endpoints
            )
            for condition in discovery.conditions:
                waiting.attach(condition, self._on_discovery)
        except DdsError:
            if participant is not None:
                await asyncio.to_thread(participant.close)
            await self._forget_permissions()
            raise
        self.participant, self._waiting, self.discovery = participant, waiting, discovery
        waiting.start()
        self._event(
            DOMAIN_JOINED,
            {"domain": self.config.domain, "secured": self.config.is_secured, "participant": participant.guid.hex()},
        )
        self._open_log(participant)
        for end in self.ends:
            self._open(end)

    def add(self, end: RouteEnd) -> None:
        self.ends.append(end)
        self._open(end)

    def remove(self, end: RouteEnd) -> None:
        self.ends.remove(end)
        end.close()
        end.route.close()

    def open_again(self) -> None:
        """Those whose end isn't open."""
        for end in self.ends:
            if not end.is_open:
                self._open(end)

    async def leave(self) -> None:
        """The participant goes, everybody is told gone; ends and routes live on, for `join` to open them again."""
        participant, self.participant = self.participant, None
        waiting, self._waiting = self._waiting, None
        for end in self.ends:
            end.close()
        if self.log is not None:
            self.log.close()
        if waiting is not None:
            waiting.stop()
        if self.discovery is not None:
            for remote in self.discovery.participants.values():
                self._event(PARTICIPANT_GONE, self._about(remote))
            self.discovery = None
        if participant is not None:
            await asyncio.to_thread(participant.close)
            await self._forget_permissions()
            self._event(DOMAIN_LEFT, {"domain": self.config.domain})

    async def close(self) -> None:
        """For good."""
        await self.leave()
        for end in self.ends:
            end.route.close()
        self.ends.clear()
        await self._close_domain()

    async def _forget_permissions(self) -> None:
        """Cyclone DDS 0.10's access control reads the permissions of a domain's first participant, holds all later ones
        to them, and ends whichever there is when they end: each secured participant has a domain of its own."""
        if self.config.is_secured:
            await self._close_domain()

    async def _close_domain(self) -> None:
        if self._domain is not None:
            domain, self._domain = self._domain, None
            await asyncio.to_thread(domain.close)

    def _open(self, end: RouteEnd) -> None:
        if self.participant is None or self._waiting is None or self.discovery is None:
            return  # `join` opens it
        try:
            end.open(self.participant, self._waiting, self.look)
        except DdsError as error:
            self._opened(end.config, error)
            return
        self._opened(end.config, None)
        for endpoint in [*self.discovery.writers.values(), *self.discovery.readers.values()]:
            end.announced(endpoint)

    def _open_log(self, participant: Participant) -> None:
        if self.log is None:
            return
        try:
            self.log.open(participant)
        except (DdsError, IdlError) as error:
            self._event(ROUTE_FAILED, {"route": self.log.name, "because": str(error)})

    def look(self) -> Discovery | None:
        """The discovery, brought up to date: who came and went is told first."""
        discovery = self.discovery
        if discovery is None:
            return None
        changes = discovery.take()
        for remote in changes.came:
            self._event(PARTICIPANT_FOUND, self._about(remote))
        for remote in changes.gone:
            self._event(PARTICIPANT_GONE, self._about(remote))
        for endpoint in changes.anew:
            for end in self.ends:
                end.announced_anew(endpoint)
        for endpoint in changes.endpoints:
            for end in self.ends:
                end.announced(endpoint)
            self._discovered(self.config.domain, endpoint)
        if discovery.refused and not self._full:
            remedy = "raise dds.participants or dds.endpoints, or find out who announces so many"
            self._event(DISCOVERY_FULL, {"domain": self.config.domain, "because": remedy})
        self._full = discovery.refused
        return discovery

    def _on_discovery(self) -> None:
        self.look()

    def _about(self, remote: RemoteParticipant) -> dict[str, object]:
        about: dict[str, object] = {"domain": self.config.domain, "participant": remote.guid.hex()}
        return {**about, "name": remote.name} if remote.name else about

    def _on_failure(self, because: str) -> None:
        self._event(DOMAIN_FAILED, {"domain": self.config.domain, "because": because})
