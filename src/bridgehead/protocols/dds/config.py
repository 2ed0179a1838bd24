"""What the hub's owner can set about DDS: domains, routes, ceilings."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.dds.mapping.settings import RouteConfig

SECURED: Final = "required"
PLAIN: Final = "none"
LAST_DOMAIN: Final = 230  # Cyclone DDS 0.10 reads permissions up to it; RTPS 2.3 section 9.6.1.1 has ports up to 232


class DomainConfig:
    """One domain, in which the hub has one participant. `security`: SECURED, or PLAIN, which must be said.

    `guest` is the device with whose permissions everybody acts on a PLAIN domain, "" for nobody. `interfaces` are names
    or addresses of network interfaces, () for Cyclone's own choice; `peers` addresses to look for participants at
    beside multicast. `discovers_types`: whether types may be asked of the network, in clear (XTypes type look-up).
    `metadata` is "encrypt" or "sign": governance's metadata_protection_kind (DDS Security 1.1 section 9.4.1.2.6).
    """

    def __init__(
        self,
        domain: int,
        security: str = SECURED,
        guest: str = "",
        interfaces: tuple[str, ...] = (),
        peers: tuple[str, ...] = (),
        multicast: bool = True,
        discovers_types: bool = False,
        metadata: str = "encrypt",
    ) -> None:
        self.domain: Final = domain
        self.security: Final = security
        self.guest: Final = guest
        self.interfaces: Final = interfaces
        self.peers: Final = peers
        self.multicast: Final = multicast
        self.discovers_types: Final = discovers_types
        self.metadata: Final = metadata

    @property
    def is_secured(self) -> bool:
        return self.security == SECURED


class DdsConfig:
    """All of it. `sample_octets` is the largest sample that is taken, `batch` how many are taken at a time, `waiting`
    how many of a domain may wait for the event loop, `participants` how many remote ones a domain may have,
    `endpoints` how many of their readers and writers, `permissions_lifetime` seconds of what is signed for the hub."""

    def __init__(self) -> None:
        self.domains: tuple[DomainConfig, ...] = ()
        self.routes: tuple[RouteConfig, ...] = ()
        self.sample_octets = 1024 * 1024
        self.batch = 256
        self.waiting = 8192
        self.participants = 1000
        self.endpoints = 20_000
        self.permissions_lifetime = 86_400.0
        self.log_topic = True
