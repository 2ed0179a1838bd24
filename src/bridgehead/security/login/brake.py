"""The brake on guessing: after some failures the next try is looked at only after a delay that doubles each time.

Pure: time is an argument, in seconds.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import OrderedDict
from typing import Final


class BrakeLimits:
    """`free` failures cost nothing; then `first` seconds, doubling up to `longest`. `forget` seconds without a
    failure make all good again. At most `entries` are remembered, those with the latest failures."""

    def __init__(
        self, free: int, first: float = 1.0, longest: float = 60.0, forget: float = 900.0, entries: int = 10_000
    ) -> None:
        self.free: Final = free
        self.first: Final = first
        self.longest: Final = longest
        self.forget: Final = forget
        self.entries: Final = entries

    def times(self, factor: int) -> BrakeLimits:
        """With so many times the failures that cost nothing."""
        return BrakeLimits(self.free * factor, self.first, self.longest, self.forget, self.entries)


class _Failures:
    def __init__(self) -> None:
        self.count = 0
        self.last = 0.0
        self.until = 0.0


class Brake:
    """Counts failures per key."""

    def __init__(self, limits: BrakeLimits) -> None:
        self.limits = limits  # may be replaced at any time
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait(self, key: str, now: float) -> float:
        """Seconds until the next try of `key` is looked at; 0.0: now."""
        known = self._failures.get(key)
        if known is None:
            return 0.0
        if now - known.last > self.limits.forget:
            del self._failures[key]
            return 0.0
        return max(0.0, known.until - now)

    def failed(self, key: str, now: float) -> int:
        """Returns how many that makes."""
        limits = self.limits
        known = self._failures.get(key)
        if known is None or now - known.last > limits.forget:
            known = _Failures()
            self._failures[key] = known
        self._failures.move_to_end(key)
        known.count += 1
        known.last = now
        beyond = known.count - limits.free
        if beyond > 0:
            # The exponent is bounded: 2.0 ** 1024 would overflow.
            known.until = now + min(limits.longest, limits.first * 2.0 ** min(beyond - 1, 60))
        while len(self._failures) > limits.entries:
            self._failures.popitem(last=False)
        return known.count

    def succeeded(self, key: str) -> None:
        self._failures.pop(key, None)


def address_key(address: str) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64 (one site has at least that), or "unix".

    `address` may have a port behind it: "192.0.2.1:50000", "[2001:db8::1]:50000", "2001:db8::1", "unix:/path".
    """
    if address.startswith("unix:"):
        return "unix"
    plain = _ipv4(address)
    if plain:
        return plain
    found = _parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return address if found is None else str(found)


def site_key(address: str) -> str:
    """The /48 of an IPv6 address, what one customer may be given (RFC 6177): 65,536 of what `address_key` tells apart.
    "" for any other address."""
    if _ipv4(address):
        return ""
    found = _parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(found) >> 80 << 80, 48)))
    return ""


def _ipv4(address: str) -> str:
    """Without its port; "" for any other address. Nearly all are of this kind, and `ipaddress` takes its time."""
    host = address.partition(":")[0]
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return ""
    return host if address.count(":") < 2 else ""


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    for text in (address, address.rpartition(":")[0]):
        try:
            found = ipaddress.ip_address(text.removeprefix("[").removesuffix("]").partition("%")[0])
        except ValueError:
            continue
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            return found.ipv4_mapped
        return found
    return None
