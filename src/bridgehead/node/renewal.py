"""Keeps certificates in force while the hub runs: renewed, rolled over, fetched, taken over, and warned of in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509

from bridgehead.node import vocabulary
from bridgehead.node.configuration import Config
from bridgehead.node.configuration import Listener as Settings
from bridgehead.node.https import Https
from bridgehead.node.listeners import Listeners
from bridgehead.node.log import EventLog
from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.authorities import retire
from bridgehead.security.identity.identity import Identity
from bridgehead.security.pki import FOLDER, certificates
from bridgehead.security.pki.calendar import Ending, calendar
from bridgehead.security.pki.foreign_lists import ForeignLists
from bridgehead.security.pki.settings import PkiSettings, write_settings
from bridgehead.security.pki.state import read_state
from bridgehead.security.tls.contexts import CONTEXT_LIFE
from bridgehead.transport import openssl

FILES_INTERVAL: Final = 1.0  # seconds between two looks at the files, and for the log to report what it left out
MAINTAIN_INTERVAL: Final = 3600.0  # ... at how long everything will last
RETRY_INTERVAL: Final = 300.0  # ... when something could not be had


class Upkeep:
    """What one maintenance found."""

    def __init__(self) -> None:
        self.retired: list[str] = []  # names of authorities
        self.devices: list[str] = []  # devices that lost certificates with them
        self.faults: list[tuple[str, str]] = []  # (event, because)
        self.endings: list[Ending] = []


def maintain(config: Config, clock: Callable[[], float], fetch: bool = True) -> Upkeep:
    """In a thread of its own: it signs, asks the resolver, and fetches. The hub's start does not wait for a `fetch`.
    Errors: SecurityError."""
    done = Upkeep()
    folder = config.data / FOLDER
    if folder.is_dir():  # else it is the first start, and Identity makes it
        write_settings(folder, _settings(config))
    identity = Identity(config.data, clock)
    try:
        write_settings(folder, _settings(config))
        identity.maintain(config.tls.names)
        retired, done.devices = retire(identity.pki, identity.registry, clock())
        done.retired = [each.certificate.subject.rfc4514_string() for each in retired]
        if retired:
            identity.maintain(config.tls.names)
        _refresh_lists(config, clock(), fetch, done)
        done.endings = calendar(identity.pki, identity.registry.each_device(), listener_files(config), clock())
    finally:
        identity.close()
    return done


def _settings(config: Config) -> PkiSettings:
    chosen = config.pki
    return PkiSettings(
        server_days=chosen.server_days,
        device_days=chosen.device_days,
        administrator_days=chosen.administrator_days,
        dds_days=chosen.dds_days,
        url=chosen.url.rstrip("/"),
    )


def listener_files(config: Config) -> list[Path]:
    """What the calendar looks at beside the hub's own."""
    names = [name for each in config.listeners for name in (each.certificate, each.client_ca) if name]
    lists = ForeignLists(config.data / FOLDER)
    paths = [lists.path_of(source) for each in config.listeners for source in each.client_crl]
    return [Path(name) for name in names] + [path for path in paths if path.exists()]


def _refresh_lists(config: Config, now: float, fetch: bool, done: Upkeep) -> None:
    lists = ForeignLists(config.data / FOLDER)
    for listener in config.listeners:
        if not listener.client_crl:
            continue
        try:
            authorities = x509.load_pem_x509_certificates(files.read(Path(listener.client_ca)))
        except (SecurityError, *certificates.UNREADABLE):
            done.faults.append((vocabulary.LIST_UNREADABLE, f"{listener.client_ca} holds no readable certificate"))
            continue
        for source in listener.client_crl:
            if "://" in source and not fetch:
                continue
            if because := lists.refresh(source, authorities, now):
                if not lists.holds(source, now):
                    because += f"; {consequence(listener)}"
                done.faults.append((vocabulary.LIST_UNREADABLE, because))


def consequence(listener: Settings) -> str:
    if listener.client_crl_stale == "refuse":
        return 'until there is one, certificates of client_ca are refused (client_crl_stale = "refuse")'
    return 'until there is one, they are accepted without a look at revocation (client_crl_stale = "accept")'


class Renewal:
    """The two tasks of the running hub."""

    def __init__(
        self,
        config: Callable[[], Config],
        listeners: Listeners,
        https: Https,
        log: EventLog,
        clock: Callable[[], float],
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._config: Final = config
        self._listeners: Final = listeners
        self._https: Final = https
        self._log: Final = log
        self._clock: Final = clock
        self._due: Final = asyncio.Event()
        self._warned: Final[dict[tuple[str, str], tuple[float, int]]] = {}

    async def watch(self) -> None:
        """Certificates, keys and revocation lists are taken over when somebody has replaced them, and ticket keys made
        anew once a day."""
        stamp = self._listeners.stamp()
        authorities = self._authorities()
        renewed = self._loop.time()
        tried = stamp
        while True:
            await asyncio.sleep(FILES_INTERVAL)
            self._log.tick()
            if (now := self._authorities()) != authorities:
                authorities = now
                self._due.set()
            now_stamp = self._listeners.stamp()
            late = self._loop.time() - renewed >= CONTEXT_LIFE
            if now_stamp == tried and not (late and tried == stamp):
                continue  # nothing new; and what could not be read is told once, until it changes
            tried = now_stamp
            try:
                self._listeners.renew_certificates()
                self._staple()
            except SecurityError as fault:
                self._log(vocabulary.CERTIFICATES_UNREADABLE, {"because": str(fault)})
                continue
            stamp, renewed = now_stamp, self._loop.time()
            self._log(vocabulary.CERTIFICATES_LOADED, {})

    async def maintain(self) -> None:
        """At the start, once an hour, when the authorities change, and at the end of an overlap."""
        while True:
            wait = MAINTAIN_INTERVAL
            try:
                done = await asyncio.to_thread(maintain, self._config(), self._clock)
                self._staple()
                self._told(done)
                if done.faults:
                    wait = RETRY_INTERVAL
            except SecurityError as fault:
                self._log(vocabulary.CERTIFICATES_UNREADABLE, {"because": str(fault)})
                wait = RETRY_INTERVAL
            try:
                async with asyncio.timeout(min(wait, self._until_overlap_ends())):
                    await self._due.wait()
            except TimeoutError:
                continue
            self._due.clear()

    def begin(self) -> None:
        """Before the first connection: the response to staple, and a word when there can be none."""
        found = openssl.find()
        if isinstance(found, str):
            self._log(vocabulary.TLS_SHIM_MISSING, {"because": found})
        self._staple()

    # ------------------------------------------------------------------------------------------------

    def _staple(self) -> None:
        try:
            self._https.staple.renew()
        except SecurityError as fault:
            self._log(vocabulary.CERTIFICATES_UNREADABLE, {"because": f"no OCSP response is stapled: {fault}"})

    def _authorities(self) -> tuple[int, int]:
        try:
            status = (self._config().data / FOLDER / "authorities.json").stat()
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_ino)

    def _until_overlap_ends(self) -> float:
        try:
            state = read_state(self._config().data / FOLDER)
        except SecurityError:
            return MAINTAIN_INTERVAL
        ends = [each.until for each in state.former] if state is not None else []
        return max(1.0, min(ends) - self._clock()) if ends else MAINTAIN_INTERVAL

    def _told(self, done: Upkeep) -> None:
        for name in done.retired:
            self._log(vocabulary.AUTHORITY_RETIRED, {"authority": name, "devices": len(done.devices)})
        for event, because in done.faults:
            self._log(event, {"because": because})
        self._warn(done.endings)

    def _warn(self, endings: Sequence[Ending]) -> None:
        """Each warning once: 30, 14, 7 and 1 days before, and when it is over."""
        now = self._clock()
        for each in endings:
            days = each.warning(now)
            if days is None:
                continue
            key, said = (each.what, each.name), (each.ends, days)
            if self._warned.get(key) == said:
                continue
            self._warned[key] = said
            self._log(
                vocabulary.CERTIFICATE_EXPIRING,
                {"what": each.what, "name": each.name, "days": round((each.ends - now) / 86400, 1), "ends": each.ends},
            )
