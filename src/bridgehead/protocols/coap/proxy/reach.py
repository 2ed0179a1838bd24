"""Whom the proxy may reach for whom: one policy, and no way in through the back (RFC 8075 section 10).

A target is a topic for the policy: `$PROXY/<scheme>/<host>/<port>/<path>...`. Who may subscribe to it may GET, who may
publish to it may PUT, POST and DELETE. Nothing is open unless a permission opens it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final, NoReturn
from urllib.parse import quote, unquote

from bridgehead.core.errors import BUSY, NAME_INVALID, UNAVAILABLE, Refusal
from bridgehead.core.permission import Decision

ROOT: Final = "$PROXY"
_HOST_LEVEL: Final = 2
_RESOLVERS: Final = 8

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def topic_of(scheme: str, host: str, port: int, path: list[str]) -> str:
    """The name by which the policy knows a target. Path segments are percent-encoded where MQTT has another use for
    a character; so two targets never share a name."""
    levels = [ROOT, scheme, host_of(host), str(port)]
    levels += [quote(segment, safe="!$&'()*,;=:@-._~ ") for segment in path]
    return "/".join(levels)


def host_of(host: str) -> str:
    """A host in the one form that the policy judges and the name server is asked for: numbers that the resolver would
    take for an IPv4 address (`0x7f.1`, `2130706433`) are that address, names are ASCII. Errors: Refusal."""
    plain = _named(host.lower().rstrip("."))
    try:
        return str(ipaddress.IPv4Address(socket.inet_aton(plain)))
    except OSError:
        return plain


def _named(host: str) -> str:
    if ":" in host:
        address, mark, zone = host.partition("%")
        try:
            found = ipaddress.IPv6Address(address)
        except ValueError:
            raise Refusal(NAME_INVALID, "the host is no IPv6 address") from None
        if not mark:
            return str(found.ipv4_mapped or found)
        if zone and set(zone) <= _NAME_CHARACTERS:
            return f"{found}%{zone}"
    elif len(host) <= _LONGEST_NAME and set(host) <= _NAME_CHARACTERS and _are_labels(host.split(".")):
        return host
    # A slash would stand for another level of the topic, and other letters for a name that is judged as this one.
    raise Refusal(NAME_INVALID, "name the host by letters, digits, - and . (others as xn--...), or by its address")


def _are_labels(labels: list[str]) -> bool:
    return all(0 < len(label) <= _LONGEST_LABEL for label in labels)


def strays(segments: list[str]) -> bool:
    """Whether a server might understand a path segment as a way up: `..`, also behind an encoded slash, before a
    parameter, or encoded once more. What the policy permitted below a path must stay there."""
    for segment in segments:
        for _ in range(_ENCODINGS):
            parts = segment.replace("\\", "/").split("/")
            if any(part.partition(";")[0].strip() in (".", "..") for part in parts):
                return True
            segment = unquote(segment)
    return False


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
    if found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast or found.is_reserved:
        return True
    return found == _METADATA or _is_own(found)


def _is_own(address: IPAddress) -> bool:
    """Whether it is an address of this machine: what comes from there to there leaves by itself. Sends nothing."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return bool(ipaddress.ip_address(probe.getsockname()[0]) == address)
    except OSError:
        return False  # nothing of ours, and no way there


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_METADATA: Final = ipaddress.ip_address("fd00:ec2::254")  # what 169.254.169.254 is on IPv6, with a clouds' provider
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_LONGEST_NAME: Final = 253
_LONGEST_LABEL: Final = 63
_ENCODINGS: Final = 3


class Reach:
    """How many requests are under way to others, and where they may go. `most` in all, `most_per_identity` of one."""

    def __init__(self, most: int, most_per_identity: int) -> None:
        self._most: Final = most
        self._most_per_identity: Final = most_per_identity
        self._by_identity: Final[dict[str, int]] = {}
        # Of its own: a name server that does not answer holds up nobody who verifies a password.
        self._resolvers: Final = ThreadPoolExecutor(_RESOLVERS, "proxy-names")

    def close(self) -> None:
        self._resolvers.shutdown(wait=False, cancel_futures=True)

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

    async def address_of(self, host: str, port: int, decision: Decision, deny: Callable[[str], NoReturn]) -> str:
        """The numeric address to connect to: looked up once, so that no second answer of the name server leads
        elsewhere. `deny` is called with the reason where the decision does not reach so near. Errors: Refusal."""
        loop = asyncio.get_running_loop()
        try:
            look_up = partial(socket.getaddrinfo, host_of(host), port, type=socket.SOCK_DGRAM)
            found = await loop.run_in_executor(self._resolvers, look_up)
        except (OSError, UnicodeError):
            raise Refusal(UNAVAILABLE, f"there is no address for {host}") from None
        addresses = [str(each[4][0]) for each in found]
        permission = decision.permission
        named = permission is not None and names_host(permission.topic_filter)
        if not named and any(is_near(address) for address in addresses):
            deny(f"{host} is an address of the hub's own machine or link: a permission has to name the host for that")
        return addresses[0]
