"""Whom the proxy may reach for whom: one policy, and no way in through the back (RFC 8075 section 10).

A target is a topic for the policy: `$PROXY/<scheme>/<host>/<port>/<path>...`. Who may subscribe to it may GET, who may
publish to it may PUT, POST and DELETE. Nothing is open unless a permission opens it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from bridgehead.core.errors import BUSY, NOT_AUTHORIZED, UNAVAILABLE, Refusal
from bridgehead.core.permission import Decision

ROOT: Final = "$PROXY"
_HOST_LEVEL: Final = 2

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def topic_of(scheme: str, host: str, port: int, path: list[str]) -> str:
    """The name by which the policy knows a target. Path segments are percent-encoded where MQTT has another use for
    a character; so two targets never share a name."""
    levels = [ROOT, scheme, host.lower().rstrip("."), str(port)]
    levels += [quote(segment, safe="!$&'()*,;=:@-._~ ") for segment in path]
    return "/".join(levels)


def names_host(topic_filter: str) -> bool:
    """Whether a permission names its target's host, and not by a wildcard."""
    levels = topic_filter.split("/")
    return len(levels) > _HOST_LEVEL and levels[0] == ROOT and levels[_HOST_LEVEL] not in ("+", "#", "")


def is_near(address: str) -> bool:
    """Whether an address is of this machine, of this link, or of nobody: it is reached only where a permission names
    the host. An IPv4 address inside an IPv6 one counts as what it is."""
    try:
        found: IPAddress = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            found = inner
    return found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast or found.is_reserved


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class Reach:
    """How many requests are under way to others, and where they may go. `most` in all, `most_per_identity` of one."""

    def __init__(self, most: int, most_per_identity: int) -> None:
        self._most: Final = most
        self._most_per_identity: Final = most_per_identity
        self._by_identity: Final[dict[str, int]] = {}

    @contextmanager
    def under_way(self, name: str) -> Iterator[None]:
        """While a request of the identity is. Errors: Refusal."""
        here = self._by_identity.get(name, 0)
        if here >= self._most_per_identity or sum(self._by_identity.values()) >= self._most:
            raise Refusal(BUSY, "as many requests to other servers are under way as may be: come again later")
        self._by_identity[name] = here + 1
        try:
            yield
        finally:
            left = self._by_identity[name] - 1
            if left:
                self._by_identity[name] = left
            else:
                del self._by_identity[name]

    async def address_of(self, host: str, port: int, decision: Decision) -> str:
        """The numeric address to connect to: looked up once, so that no second answer of the name server leads
        elsewhere. Errors: Refusal."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError:
            raise Refusal(UNAVAILABLE, f"there is no address for {host}") from None
        addresses = [str(each[4][0]) for each in found]
        permission = decision.permission
        named = permission is not None and names_host(permission.topic_filter)
        if not named and any(is_near(address) for address in addresses):
            raise Refusal(
                NOT_AUTHORIZED,
                f"{host} is an address of the hub's own machine or link: a permission has to name the host for that",
            )
        return addresses[0]
