"""Identities that are locked out at an address after too many wrong tries, as the registry keeps them.

The hub writes them, a command lifts them. In the hub they are held in memory and read anew when the registry changed
while there are any, so that they cost nothing as long as there are none.
"""

from __future__ import annotations

from typing import Final

from bridgehead.security.registry.registry import Registry
from bridgehead.security.registry.tokens import Lockout

IDENTITY: Final = "identity"  # the kind; the key is a device's name, a blank, and an address as in brake.address_key
MOST: Final = 10_000  # in memory and in the registry


class Lockouts:
    def __init__(self, registry: Registry, now: float) -> None:
        """Errors: SecurityError."""
        self._registry: Final = registry
        self._version = registry.version()
        self._known: dict[str, Lockout] = {}
        self._unkept: set[str] = set()  # in force, and not in the registry yet
        for each in registry.lockouts(IDENTITY):
            if each.until > now and len(self._known) < MOST:
                self._known[each.key] = each

    def __len__(self) -> int:
        return len(self._known)

    def wait(self, key: str, now: float) -> float:
        """Seconds for which the key is locked out; 0.0: it is not."""
        found = self._known.get(key)
        if found is None:
            return 0.0
        if found.until <= now:
            del self._known[key]
            return 0.0
        return found.until - now

    def lock(self, key: str, until: float, failures: int, now: float) -> Lockout:
        """In force here at once; what is returned is to be put into the registry, then call `kept`."""
        if len(self._known) >= MOST:
            for old in [old for old, each in self._known.items() if each.until <= now]:
                del self._known[old]
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
        lockout = Lockout(IDENTITY, key, until, failures)
        self._known[key] = lockout
        self._unkept.add(key)
        return lockout

    def kept(self, lockout: Lockout) -> None:
        """It stands in the registry now."""
        self._unkept.discard(lockout.key)

    def follow(self) -> list[str]:
        """The keys that somebody has unlocked since the last call. Errors: SecurityError."""
        if not self._known:
            return []
        version = self._registry.version()
        if version == self._version:
            return []
        self._version = version
        kept = {each.key for each in self._registry.lockouts(IDENTITY)}
        gone = [key for key, each in self._known.items() if key not in kept and key not in self._unkept]
        for key in gone:
            del self._known[key]
        return gone


def keep(registry: Registry, lockout: Lockout, now: float) -> None:
    """Put it into the registry, and drop those that are over. Errors: SecurityError."""
    with registry.transaction():
        registry.forget_lockouts(now)
        registry.put_lockout(lockout)
