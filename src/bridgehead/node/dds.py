"""DDS as the node serves it: one server for all domains, with documents that are renewed before they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.node.configuration import Config
from bridgehead.node.dds_config import dds_config
from bridgehead.node.dds_identities import DdsIdentities
from bridgehead.node.dds_routing import routing
from bridgehead.node.driver import Driver
from bridgehead.node.identities import Identities
from bridgehead.node.log import EventLog
from bridgehead.node.vocabulary import DDS_DOCUMENTS_FAILED, DDS_PLAIN
from bridgehead.protocols.dds import log_topic
from bridgehead.protocols.dds.config import DdsConfig, DomainConfig
from bridgehead.protocols.dds.server import DdsServer
from bridgehead.security.audit.vocabulary import AUDITED, DENIAL, LOG_IN, POLICY, REFUSAL, REVOCATION
from bridgehead.security.dds.bundle import DomainFiles
from bridgehead.security.dds.hub import HubParticipant
from bridgehead.security.dds.routes import Routing
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.identity import Identity

LOOK_INTERVAL: Final = 1.0  # seconds between two looks at what was revoked, and at what ends
_TRIED_AGAIN: Final = 60.0  # seconds after documents could not be made
# Of the audit log's kinds, those that are decisions about security, as BuiltinLoggingType ranks them.
_SEVERITIES: Final = {
    REFUSAL: log_topic.WARNING,
    DENIAL: log_topic.WARNING,
    REVOCATION: log_topic.NOTICE,
    POLICY: log_topic.NOTICE,
    LOG_IN: log_topic.INFORMATIONAL,
}


class Dds:
    """What cannot be had of DDS is told, and the rest of the hub goes on."""

    def __init__(
        self,
        config: Config,
        broker: Broker,
        identity: Identity,
        identities: Identities,
        driver: Driver,
        log: EventLog,
    ) -> None:
        self._driver: Final = driver
        self._log: Final = log
        self._identities: Final = DdsIdentities(identities, identity.registry)
        self._hub: Final = HubParticipant(identity)
        self._config: DdsConfig = dds_config(config.dds)
        self._routing: Routing = routing(self._config)
        self._server: Final = DdsServer(broker, self._config, self._identities.names, self._identities, driver.offset)
        self._thread: Final = threading.get_ident()
        self._loop: Final = asyncio.get_running_loop()
        self._started = False
        self._not_before = 0.0

    def __len__(self) -> int:
        """Remote participants."""
        return len(self._server)

    async def start(self) -> None:
        """Join the configured domains."""
        self._tell_plain()
        await self._server.start(self._documents() if self._routing.metadata else None)
        self._started = True
        self._log.listeners.append(self._on_event)

    def addresses(self) -> list[str]:
        """The domains that the hub has joined, each as `dds=7`: what listeners are for other protocols."""
        joined = [each for each in self._config.domains if f"domain {each.domain}" not in self._server.failures]
        return [f"dds={each.domain}" for each in joined]

    def warnings(self) -> list[str]:
        """A sentence for each domain without security, and for whatever could not be joined or opened."""
        return [*(self._plain(each) for each in self._config.domains if not each.is_secured), *self.failures()]

    def failures(self) -> list[str]:
        return [f"{name}: {because}" for name, because in self._server.failures.items()]

    async def look(self) -> None:
        """Renew the hub's documents when they are about to end, or when something was revoked: called every
        LOOK_INTERVAL seconds."""
        if not self._routing.metadata or not self._started:
            return
        now = self._driver.time()
        if now < self._not_before:
            return
        try:
            due = self._hub.due(now)
        except SecurityError as fault:
            self._failed(fault)
            return
        if due:
            files = self._documents()
            if files is not None:
                await self._server.renew(files)

    async def apply(self, config: Config) -> None:
        """Put a reloaded configuration in force."""
        old = self._routing
        self._config = dds_config(config.dds)
        self._routing = routing(self._config)
        self._tell_plain()
        if self._routing.documented != old.documented:
            files = self._documents()
            if files is not None and self._routing.stays(old):
                self._server.take(files)
            elif files is not None:
                await self._server.renew(files)
        self._server.apply(self._config)

    async def stop(self, seconds: float) -> None:
        """Leave every domain, and wait at most so long."""
        if self._started:
            self._log.listeners.remove(self._on_event)
            await self._server.stop(seconds)

    def _on_event(self, name: str, fields: Mapping[str, object]) -> None:
        """What the audit log keeps of decisions goes onto the log topics of secured domains too."""
        severity = _SEVERITIES.get(AUDITED.get(name, ""))
        if severity is None:
            return
        told = dict(fields)
        message = str(told.pop("because", name))
        if threading.get_ident() == self._thread:
            self._server.report(severity, name, message, told)
        else:
            self._loop.call_soon_threadsafe(self._server.report, severity, name, message, told)

    def _documents(self) -> DomainFiles | None:
        """None, and told, when they cannot be made: secured domains are not joined then."""
        try:
            return self._hub.make(self._driver.time(), self._routing, self._config.permissions_lifetime)
        except SecurityError as fault:
            self._failed(fault)
            return None

    def _failed(self, fault: SecurityError) -> None:
        self._not_before = self._driver.time() + _TRIED_AGAIN
        self._log(DDS_DOCUMENTS_FAILED, {"because": f"{fault}; tried again in {_TRIED_AGAIN:g} s"})

    def _tell_plain(self) -> None:
        for each in self._config.domains:
            if not each.is_secured:
                self._log(DDS_PLAIN, {"domain": each.domain, "because": self._plain(each)})

    def _plain(self, domain: DomainConfig) -> str:
        guest = domain.guest
        if not guest:
            writes = "nobody's samples are let in (name a `guest`)"
        elif self._identities.party(guest, False) is None:
            writes = f"nobody's samples are let in: its guest {guest!r} is no device (bridgehead device add {guest})"
        else:
            writes = f"writes as the device {guest!r}"
        return (
            f'DDS domain {domain.domain} has security = "none": everybody on the network reads what the hub writes '
            f'there, and {writes}; use security = "required" outside of trials'
        )
