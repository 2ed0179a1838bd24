"""Who may try to log in just now: brakes on wrong tries, lock-outs that outlast a restart, a rate of tries per address.

A wrong try counts for the identity at that address, for the address, and for IPv6 also for the site (/48) that owns
so many of them. Nothing counts for an identity alone: whoever knows its name could keep it out from elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bridgehead.broker.events import EventSink
from bridgehead.core.errors import BUSY, Refusal
from bridgehead.core.rates import Rates
from bridgehead.security.events import LOCKED_OUT
from bridgehead.security.login.brake import Brake, BrakeLimits, address_key, site_key
from bridgehead.security.login.lockouts import Lockouts
from bridgehead.security.login.proof import Braked
from bridgehead.security.records import is_name
from bridgehead.security.registry.tokens import Lockout

SEEN: Final = 65_536  # (identity, address) pairs that are remembered to have got in
_SITE: Final = 4  # what a /48 may do is so many times what a /64 may


class GuardLimits:
    """`identity` counts wrong tries per (identity, address), `address` per address; `rate` and `burst` bound the tries
    of one address that cost work, whatever comes of them (0: no bound). `lock_after` wrong tries of an identity from
    one address lock it out there for `lock_seconds`, over a restart too; 0: never."""

    def __init__(
        self,
        identity: BrakeLimits,
        address: BrakeLimits,
        rate: float = 0.0,
        burst: float = 1000.0,
        lock_after: int = 0,
        lock_seconds: float = 3600.0,
    ) -> None:
        self.identity: Final = identity
        self.address: Final = address
        self.rate: Final = rate
        self.burst: Final = burst
        self.lock_after: Final = lock_after
        self.lock_seconds: Final = lock_seconds


class Guard:
    """Lives on the event loop's thread. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        limits: GuardLimits,
        lockouts: Lockouts,
        events: EventSink,
        clock: Callable[[], float],
        keep: Callable[[Lockout], None],
    ) -> None:
        """`keep` puts a lock-out into the registry, in its own time."""
        self._keep: Final = keep
        self._clock: Final = clock
        self._events: Final = events
        self._lockouts: Final = lockouts
        self._identities: Final = Brake(limits.identity)
        self._addresses: Final = Brake(limits.address)
        self._sites: Final = Brake(limits.address.times(_SITE))
        self._tries: Final = Rates(limits.rate, limits.burst)
        self._site_tries: Final = Rates(limits.rate * _SITE, limits.burst * _SITE)
        self._limits = limits
        self._seen: OrderedDict[str, None] = OrderedDict()

    def limit(self, limits: GuardLimits) -> None:
        """Put other limits in force, from the next try on."""
        self._limits = limits
        self._identities.limits = limits.identity
        self._addresses.limits = limits.address
        self._sites.limits = limits.address.times(_SITE)
        self._tries.rate, self._tries.burst = limits.rate, limits.burst
        self._site_tries.rate, self._site_tries.burst = limits.rate * _SITE, limits.burst * _SITE

    def admit(self, address: str) -> None:
        """One more try, of those that cost work. Errors: Refusal(BUSY)."""
        now = self._clock()
        site = site_key(address)
        if not self._tries.take(address_key(address), now) or (site and not self._site_tries.take(site, now)):
            raise Refusal(BUSY, "too many tries to log in come from this address: try again in a moment")

    def check(self, name: str, address: str) -> None:
        """Neighbours behind one address don't pay for each other: who has got in from there is spared its brake.

        Errors: Braked.
        """
        now = self._clock()
        key = address_key(address)
        pair = pair_of(name, key)
        for unlocked in self._lockouts.follow():
            self._identities.succeeded(unlocked)  # by command: its tries count afresh
        wait = max(self._identities.wait(pair, now), self._lockouts.wait(pair, now))
        if pair not in self._seen:
            site = site_key(address)
            wait = max(wait, self._addresses.wait(key, now), self._sites.wait(site, now) if site else 0.0)
        if wait > 0:
            raise Braked(f"too many wrong tries from this address: not looked at for another {wait:.0f} s")

    def failed(self, name: str, address: str) -> None:
        now = self._clock()
        key = address_key(address)
        pair = pair_of(name, key)
        count = self._identities.failed(pair, now)
        self._addresses.failed(key, now)
        site = site_key(address)
        if site:
            self._sites.failed(site, now)
        limits = self._limits
        if limits.lock_after and count >= limits.lock_after and is_name(name):
            fields = {"claimed": name, "address": address, "failures": count, "seconds": limits.lock_seconds}
            self._events(LOCKED_OUT, fields)
            self._keep(self._lockouts.lock(pair, now + limits.lock_seconds, count, now))

    def succeeded(self, name: str, address: str) -> None:
        pair = pair_of(name, address_key(address))
        self._identities.succeeded(pair)
        self._seen[pair] = None
        self._seen.move_to_end(pair)
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)


def pair_of(name: str, key: str) -> str:
    """An identity at an address (`address_key`). What is no device's name counts as one."""
    return f"{name if is_name(name) else ''} {key}"
