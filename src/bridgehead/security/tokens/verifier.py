"""Verifies tokens of the configured issuers; keeps their keys, and fetches them anew as they change.

Keys are fetched in a thread, once at a time for each issuer: when none are known, when they are old, and when a token
names a key that is not among them, which is how issuers rotate. The last at most once per `interval`, whoever asks how
often: a stream of made-up key identifiers costs the issuer nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from bridgehead.broker.events import EventSink
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.tokens.fetch import fetch
from bridgehead.security.tokens.keys import Keys
from bridgehead.security.tokens.settings import Issuer
from bridgehead.security.tokens.verify import NotAccepted, UnverifiedToken, VerifiedToken, verify

INTERVAL: Final = 30.0
FRESH: Final = 600.0
# When an issuer cannot be reached its last keys count for so long: beyond, a key that it withdrew could go on.
KEPT: Final = 86_400.0

KEYS_FETCHED: Final = "token.keys-fetched"
KEYS_NOT_FETCHED: Final = "token.keys-not-fetched"


class _Source:
    """One issuer's keys. Times are of a clock that never goes back."""

    def __init__(self, issuer: Issuer, events: EventSink, interval: float, get: Callable[[Issuer], Keys]) -> None:
        self.issuer: Final = issuer
        self._events: Final = events
        self._interval: Final = interval
        self._get: Final = get
        self._keys: Keys | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._running: asyncio.Task[None] | None = None

    async def keys_for(self, kid: str | None) -> Keys:
        """Errors: NotAccepted: there are none."""
        now = time.monotonic()
        keys = self._keys
        if keys is None or (kid is not None and not keys.has(kid)) or now - self._fetched_at > KEPT:
            await self._refresh(now)
        elif now - self._fetched_at > FRESH:
            self._begin(now)  # those that are known count meanwhile
        keys = self._keys
        if keys is None or time.monotonic() - self._fetched_at > KEPT:
            raise NotAccepted(f"the keys of the issuer {self.issuer.name!r} cannot be had")
        return keys

    async def _refresh(self, now: float) -> None:
        self._begin(now)
        if self._running is not None:
            await asyncio.shield(self._running)

    def _begin(self, now: float) -> None:
        due = self._tried_at is None or now - self._tried_at >= self._interval
        if self._running is None and due:
            self._tried_at = now
            self._running = asyncio.get_running_loop().create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            keys = await asyncio.to_thread(self._get, self.issuer)
        except SecurityError as fault:
            self._events(KEYS_NOT_FETCHED, {"issuer": self.issuer.name, "because": str(fault)})
        else:
            self._keys = keys
            self._fetched_at = time.monotonic()
            self._events(KEYS_FETCHED, {"issuer": self.issuer.name, "keys": len(keys)})
        finally:
            self._running = None

    async def close(self) -> None:
        if self._running is not None:
            await asyncio.shield(self._running)


class TokenVerifier:
    """Lives on the event loop's thread. `clock` gives seconds since the epoch. `get` fetches keys, and blocks.

    Errors: NotAcceptable: an issuer is configured in a way that cannot be.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        events: EventSink,
        *,
        clock: Callable[[], float] = time.time,
        interval: float = INTERVAL,
        get: Callable[[Issuer], Keys] = fetch,
    ) -> None:
        self._clock: Final = clock
        self._sources: Final[dict[str, _Source]] = {}
        for issuer in issuers:
            issuer.check()
            if issuer.name in self._sources:
                raise NotAcceptable(f"the issuer {issuer.name!r} is configured twice: leave one out")
            self._sources[issuer.name] = _Source(issuer, events, interval, get)

    async def verify(self, text: str) -> VerifiedToken:
        """Errors: NotAccepted, with the reason for the log."""
        token = UnverifiedToken(text)
        source = self._sources.get(token.issuer)
        if source is None:
            raise NotAccepted("the token's issuer is none of those configured")
        if token.algorithm not in source.issuer.algorithms:
            raise NotAccepted(f"the token is signed with {token.algorithm}, which its issuer must not use")
        return verify(token, source.issuer, await source.keys_for(token.kid), self._clock())

    async def prepare(self) -> None:
        """Fetch the keys of all issuers now, so that the first device does not wait. What fails is told as events."""
        for source in self._sources.values():
            try:
                await source.keys_for(None)
            except NotAccepted:
                continue  # the event has said it

    async def close(self) -> None:
        """Waits for what is being fetched."""
        for source in self._sources.values():
            await source.close()
