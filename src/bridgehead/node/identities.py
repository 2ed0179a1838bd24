"""Identities, live: what changes in the registry, by whichever process, takes effect on sessions and connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.journal import SESSIONS, WILLS
from bridgehead.broker.ports import Store
from bridgehead.core.errors import BUSY, UNAVAILABLE, Refusal
from bridgehead.core.policy import Principal
from bridgehead.node.vocabulary import IDENTITY_CHANGED, IDENTITY_ENDED, PERMISSIONS_CHANGED
from bridgehead.security.authenticate import Authenticator, Credentials
from bridgehead.security.errors import SecurityError


class Identities:
    """The authenticator as the protocols' servers see it, with the broker told of every change first."""

    def __init__(self, authenticator: Authenticator, broker: Broker, admit: Callable[[], None] = lambda: None) -> None:
        """`admit` raises Refusal while nobody new may be let in."""
        self._admit: Final = admit
        self._authenticator: Final = authenticator
        self._broker: Final = broker
        self._generation = authenticator.generation

    def recover(self, store: Store) -> None:
        """Give the broker back what an earlier run kept, for identities that still exist.

        Errors: SecurityError, StoreError, records.CorruptRecord.
        """
        names = {key.partition("/")[0] for bucket in (SESSIONS, WILLS) for key, _ in store.scan(bucket)}
        principals = [self._authenticator.principal(name) for name in sorted(names)]
        self._broker.recover([principal for principal in principals if principal is not None])

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Errors: Refusal."""
        self._admit()
        try:
            self.follow()
            principal = await self._authenticator.authenticate(credentials)
            # A device that was removed and added again is another identity: the old one's sessions end before the
            # new one can ask for them.
            ended = self.follow()
        except SecurityError:
            raise Refusal(UNAVAILABLE, "identities cannot be read just now") from None
        if principal.name in ended:
            # Perhaps it was proven by what is void since a moment ago. If not, the next try gets in.
            raise Refusal(BUSY, "the identity was changed just now: connect again")
        return principal

    def follow(self) -> list[str]:
        """Apply what has changed since the last time; returns the names whose connections were closed. Costs
        microseconds when nothing has. Errors: SecurityError."""
        broker = self._broker
        ended = self._authenticator.refresh()
        for name in ended:
            # The new holder of a name has another principal object than the one whose sessions these are.
            if self._is_another(name):
                broker.revoke(name, "the identity was removed")
                broker.event(IDENTITY_ENDED, {"principal": name})
            else:
                broker.disconnect(name, "the identity's credentials or rights were changed: connect again")
                broker.event(IDENTITY_CHANGED, {"principal": name})
        if self._authenticator.generation != self._generation:
            self._generation = self._authenticator.generation
            broker.permissions_changed()
            broker.event(PERMISSIONS_CHANGED, {})
        return ended

    def _is_another(self, name: str) -> bool:
        """Whether the identity of the name is not the one any more whose sessions the broker has."""
        known = self._broker.door.principal(name)
        try:
            return self._authenticator.principal(name) is not known
        except SecurityError:
            return False  # a record that cannot be read has no rights, but its sessions are not given up
