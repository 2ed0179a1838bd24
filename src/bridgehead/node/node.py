"""The hub: puts all rooms together, starts them in order, keeps them in step, stops them in order."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Callable
from typing import Final

from bridgehead import __version__
from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.broker.ports import Store
from bridgehead.core.errors import Refusal
from bridgehead.node import vocabulary
from bridgehead.node.amqp import Amqp
from bridgehead.node.audit import admit_log_in, apply_audit
from bridgehead.node.coap import Coap
from bridgehead.node.config import ConfigError, load
from bridgehead.node.configuration import Config
from bridgehead.node.dds import LOOK_INTERVAL, Dds
from bridgehead.node.driver import Driver
from bridgehead.node.https import Https
from bridgehead.node.identities import Identities
from bridgehead.node.listeners import Listeners
from bridgehead.node.log import EventLog
from bridgehead.node.login import make_authenticator
from bridgehead.node.mqtt import MqttServers
from bridgehead.node.process import settle_memory
from bridgehead.node.proxy import Proxy
from bridgehead.node.queues import OwnersQueues
from bridgehead.node.renewal import Renewal, maintain
from bridgehead.node.settings import apply_limits, apply_login, waits_for_a_start
from bridgehead.node.system_topics import SystemTopics
from bridgehead.security.audit.log import AuditLog
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.identity import Identity
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.vault import Passphrase
from bridgehead.store.memory import MemoryStore
from bridgehead.store.sqlite import SqliteStore
from bridgehead.transport.address import BindError
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.shared import Shared

FOLLOW_INTERVAL: Final = 0.02  # seconds between two looks at the registry
FAREWELL_SECONDS: Final = 3.0  # for clients to take their DISCONNECT
STOP_SECONDS: Final = 10.0  # for the whole stop


class Node:
    """One hub on one data folder. `say` takes lines for standard output, `warn` for standard error; `files` is how
    many connections the process may have open, `passphrase` is asked for the master key's."""

    def __init__(
        self,
        config: Config,
        log: EventLog,
        audit: AuditLog,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        files: int,
        passphrase: Passphrase | None = None,
    ) -> None:
        self.config = config
        self._passphrase: Final = passphrase
        self._log: Final = log
        self._audit: Final = audit
        self._say: Final = say
        self._warn: Final = warn
        self._files: Final = files
        self._loop: Final = asyncio.get_running_loop()
        self._stopping: Final = asyncio.Event()
        self._hurried: Final = asyncio.Event()
        self._reload: Final = asyncio.Event()
        self._figures_due: Final = asyncio.Event()
        self._driver: Final = Driver()
        self._limits: Final = Limits()
        self._ceilings: Final = Ceilings(1)
        self._authenticator: Authenticator | None = None
        self._apply_limits()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Errors while starting: SecurityError, StoreError, BindError, CorruptRecord."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        self._log(vocabulary.STARTING, {"version": __version__, "data": str(self.config.data)})
        maintain(self.config, self._driver.time, fetch=False)
        identity = Identity(self.config.data, passphrase=self._passphrase)
        try:
            identity.vault.unlock()
            store = self._open_store()
            try:
                await self._serve(identity, store)
            finally:
                store.close()
        finally:
            identity.close()
            self._ignore_signals()
        self._log(vocabulary.STOPPED, {"hurried": self._hurried.is_set()})

    def stop(self) -> None:
        """Stop in order; called a second time: now."""
        if self._stopping.is_set():
            self._hurried.set()
        self._stopping.set()

    def _ignore_signals(self) -> None:
        """All is stored and closed: a signal that comes now has nothing left to stop."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _open_store(self) -> Store:
        if self.config.store.kind == "memory":
            return MemoryStore(self._loop.call_soon)
        return SqliteStore(self.config.data, self._loop.call_soon_threadsafe)

    async def _serve(self, identity: Identity, store: Store) -> None:
        broker = Broker(store, self._driver.clock, self._limits, self._log, self._driver.schedule_commit)
        authenticator = make_authenticator(self.config, identity, self._log, self._driver.time)
        self._authenticator = authenticator
        try:
            amqp = Amqp(self.config, broker)
            identities = Identities(authenticator, broker, lambda: admit_log_in(self._audit))
            identities.recover(store)
            owners_queues = OwnersQueues(identity.registry, broker)
            owners_queues.follow()
            self._driver.start(broker)
            server = MqttServers(self.config, broker, identities, self._driver.offset)
            amqp.begin(identities, self._driver.offset)
            coap = Coap(self.config, broker, identity, identities, self._driver, self._log)
            dds = Dds(self.config, broker, identity, identities, self._driver, self._log)
            proxy = Proxy(self.config, broker, coap, identities, identity.pki)
            https = Https(self.config, identity.pki, self._log, self._driver.time)
            listeners = Listeners(
                server.accept,
                identity.pki,
                Shared(),
                self._ceilings,
                self._log,
                https.accept,
                https.staple.current,
                self._driver.time,
                coap,
                proxy.accept,
                amqp.accept,
            )
            renewal = Renewal(lambda: self.config, listeners, https, self._log, self._driver.time)
            renewal.begin()
            try:
                await listeners.change(self.config.listeners, self.config.limits, self.config.tls.ticket_lifetime)
                await dds.start()
                self._tell_ready(identity, listeners, dds)
                await self._work(broker, identities, owners_queues, listeners, server, coap, amqp, dds, renewal)
            finally:
                await self._end(server, listeners, https, coap, amqp, dds, proxy)
        finally:
            authenticator.close()

    def _tell_ready(self, identity: Identity, listeners: Listeners, dds: Dds) -> None:
        settle_memory()
        if not self._log.is_on_standard_error(vocabulary.LISTENER_PLAINTEXT):
            for sentence in [*listeners.plaintext_warnings(), *dds.warnings()]:
                self._warn(sentence)
        if identity.registry.change_number() == 0:
            data = shlex.quote(str(self.config.data))
            self._say(
                "no device is enrolled yet, so nobody can connect. The next command: bridgehead device add NAME "
                f"--data {data} --publish 'NAME/#' --certificate --out FOLDER"
            )
        addresses = " ".join([*listeners.addresses(), *dds.addresses()])
        self._log(vocabulary.READY, {"listeners": addresses})
        self._say(f"ready {addresses}")

    async def _work(
        self,
        broker: Broker,
        identities: Identities,
        owners_queues: OwnersQueues,
        listeners: Listeners,
        server: MqttServers,
        coap: Coap,
        amqp: Amqp,
        dds: Dds,
        renewal: Renewal,
    ) -> None:
        """Until somebody asks to stop. A defect in any of these tasks ends the hub: one that no longer sees
        revocations must not go on."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._follow_identities(identities, owners_queues)),
                group.create_task(renewal.watch()),
                group.create_task(renewal.maintain()),
                group.create_task(self._publish_figures(SystemTopics(broker, self._driver.time()))),
                group.create_task(self._reload_on_demand(listeners, server, coap, amqp, dds)),
                group.create_task(self._renew_dds(dds)),
            ]
            await self._stopping.wait()
            for task in tasks:
                task.cancel()

    async def _end(
        self, server: MqttServers, listeners: Listeners, https: Https, coap: Coap, amqp: Amqp, dds: Dds, proxy: Proxy
    ) -> None:
        """Stop accepting, say farewell, flush, commit. Bounded, and cut short by a second signal."""
        self._log(vocabulary.STOPPING, {"connections": len(self._ceilings)})
        listeners.close()
        await https.stop()
        await proxy.stop()
        hurried = self._loop.create_task(self._hurried.wait())
        farewell = self._loop.create_task(self._farewell(server, coap, amqp, dds))
        done, _ = await asyncio.wait({hurried, farewell}, timeout=STOP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if farewell not in done:
            farewell.cancel()
        else:
            farewell.result()

    async def _farewell(self, server: MqttServers, coap: Coap, amqp: Amqp, dds: Dds) -> None:
        await asyncio.gather(*(each.stop(FAREWELL_SECONDS) for each in (server, coap, amqp, dds)))
        await self._driver.stop()

    # What goes on beside the protocols. ---------------------------------------------------------------

    async def _follow_identities(self, identities: Identities, queues: OwnersQueues) -> None:
        while True:
            self._driver.clock.now = self._driver.time()
            try:
                identities.follow()
                queues.follow()
            except SecurityError as fault:
                self._log(vocabulary.IDENTITIES_UNREADABLE, {"because": str(fault)})
            await asyncio.sleep(FOLLOW_INTERVAL)

    async def _renew_dds(self, dds: Dds) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            await dds.look()

    async def _publish_figures(self, topics: SystemTopics) -> None:
        while True:
            interval = self.config.system_topics.interval
            if interval:
                self._driver.clock.now = self._driver.time()
                try:
                    await topics.publish()
                except Refusal as refusal:
                    self._log(vocabulary.FIGURES_REFUSED, {"because": refusal.because})
            try:
                async with asyncio.timeout(interval or None):
                    await self._figures_due.wait()
            except TimeoutError:
                continue
            self._figures_due.clear()

    # Reload. ------------------------------------------------------------------------------------------

    async def _reload_on_demand(
        self, listeners: Listeners, server: MqttServers, coap: Coap, amqp: Amqp, dds: Dds
    ) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            try:
                await self._reloaded(listeners, server, coap, amqp, dds)
            except (ConfigError, SecurityError, BindError, OSError) as fault:
                self._log(vocabulary.RELOAD_FAILED, {"because": f"{fault}; the old configuration goes on"})

    async def _reloaded(self, listeners: Listeners, server: MqttServers, coap: Coap, amqp: Amqp, dds: Dds) -> None:
        """Apply what the configuration says now, or raise and leave everything as it was."""
        old = self.config
        self._log.reconfigure(old.log)  # the file may have been rotated, whatever the configuration says
        new = load(old.file, old.data)
        if waiting := waits_for_a_start(old, new):
            because = f"{new.file}: {waiting} changes with a new start only; the rest is applied"
            self._log(vocabulary.RESTART_NEEDED, {"because": because})
        await asyncio.to_thread(maintain, new, self._driver.time)
        self._log.reconfigure(new.log)  # first what can fail alone
        try:
            apply_audit(new, self._audit)
            await listeners.change(new.listeners, new.limits, new.tls.ticket_lifetime)
        except (SecurityError, BindError, OSError):
            self._log.reconfigure(old.log)
            apply_audit(old, self._audit)
            raise
        self.config = new
        self._apply_limits()
        await server.apply(new)
        coap.apply(new)
        amqp.apply(new)
        await dds.apply(new)
        self._figures_due.set()
        self._log(vocabulary.RELOADED, {"listeners": " ".join([*listeners.addresses(), *dds.addresses()])})

    def _apply_limits(self) -> None:
        apply_limits(self.config, self._limits)
        if self._authenticator is not None:
            apply_login(self.config, self._authenticator)
        limits = self.config.limits
        self._ceilings.total = min(limits.connections, self._files)
        self._ceilings.per_network = limits.connections_per_address
        self._ceilings.limit_rate(limits.connection_rate, float(limits.connection_burst))
        if limits.connections > self._files:
            because = (
                f"the system permits {self._files} connections, limits.connections is {limits.connections}: "
                "raise the hard limit of open files (ulimit -Hn, LimitNOFILE=), or lower limits.connections"
            )
            self._log(vocabulary.CEILING_LOWERED, {"because": because})
