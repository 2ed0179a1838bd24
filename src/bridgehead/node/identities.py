"""Identities, live: what changes in the registry, by whichever process, takes effect on sessions and connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.journal import SESSIONS, WILLS
from bridgehead.broker.ports import Store
from bridgehead.broker.queues import recovery as queues
from bridgehead.core.errors import BUSY, UNAVAILABLE, Refusal
from bridgehead.core.policy import Principal
from bridgehead.node.following import Following
from bridgehead.protocols.amqp.session.v091 import exchange_records
from bridgehead.security.errors import SecurityError
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.login.chain import Chain
from bridgehead.security.login.exchange import Exchange
from bridgehead.security.login.keys import KeyProof, Kind
from bridgehead.security.login.proof import Credentials, Proven
from bridgehead.security.sasl.contract import Binding


class Identities:
    """The authenticator as the protocols' servers see it, with the broker told of every change first."""

    def __init__(self, authenticator: Authenticator, broker: Broker, admit: Callable[[], None] = lambda: None) -> None:
        """`admit` raises Refusal while nobody new may be let in."""
        self._admit: Final = admit
        self._authenticator: Final = authenticator
        self._broker: Final = broker
        self._following: Final = Following(authenticator.principals, broker)
        self._endings: list[Callable[[], None]] = []

    @property
    def keys(self) -> KeyProof:
        """For handshakes: whose is a key?"""
        return self._authenticator.keys

    @property
    def authenticator(self) -> Authenticator:
        return self._authenticator

    def admit(self) -> None:
        """Errors: Refusal, while nobody new may be let in."""
        self._admit()

    def tell_endings(self, call: Callable[[], None]) -> None:
        """Call it whenever a credential has ended that somebody may have proved himself by."""
        self._endings.append(call)

    def principal(self, name: str) -> Principal | None:
        """Without any proof. Errors: SecurityError."""
        return self._authenticator.principal(name)

    def prove_key(self, kind: Kind, shown: bytes, address: str, protocol: str) -> Proven:
        """What a handshake has proven, as KeyProof.prove. Errors: Refusal."""
        self._admit()
        self._follow()
        return self._checked(self._authenticator.keys.prove(kind, shown, address, protocol))

    def recover(self, store: Store) -> None:
        """Give the broker back what an earlier run kept, for identities that still exist.

        Errors: SecurityError, StoreError, records.CorruptRecord.
        """
        names = {key.partition("/")[0] for bucket in (SESSIONS, WILLS) for key, _ in store.scan(bucket)}
        # Queues and exchanges act with the rights of who declared and bound them.
        names |= queues.identities_of(store) | exchange_records.identities_of(store)
        principals = [self._authenticator.principal(name) for name in sorted(names)]
        self._broker.recover([principal for principal in principals if principal is not None])
        self._following.begin()

    async def authenticate(self, credentials: Credentials) -> Proven:
        """Errors: Refusal."""
        self._admit()
        self._follow()
        return self._checked(await self._authenticator.authenticate(credentials))

    def offered(self, chain: Chain, binding: Binding) -> list[str]:
        """The SASL mechanisms that a connection may use."""
        return self._authenticator.offered(chain, binding)

    def exchange(self, mechanism: str, credentials: Credentials) -> FollowedExchange:
        """Errors: Refusal, offer.NotOffered."""
        self._admit()
        self._follow()
        return FollowedExchange(self._authenticator.exchange(mechanism, credentials), self._checked)

    def _follow(self) -> list[str]:
        try:
            return self.follow()
        except SecurityError:
            raise Refusal(UNAVAILABLE, "identities cannot be read just now") from None

    def _checked(self, proven: Proven) -> Proven:
        """A device that was removed and added again is another identity: the old one's sessions end before the new one
        can ask for them."""
        if proven.name in self._follow():
            # Perhaps it was proven by what is void since a moment ago. If not, the next try gets in.
            raise Refusal(BUSY, "the identity was changed just now: connect again")
        return proven

    def follow(self) -> list[str]:
        """Apply what has changed since the last time; returns the names whose connections were closed. Costs
        microseconds when nothing has. Errors: SecurityError."""
        names = self._following.follow()
        if names:
            for call in self._endings:
                call()
        return names


class FollowedExchange:
    """A SASL exchange whose outcome is checked as that of every log-in is. Errors: Refusal."""

    def __init__(self, exchange: Exchange, check: Callable[[Proven], Proven]) -> None:
        self._exchange: Final = exchange
        self._check: Final = check

    async def begin(self, initial: bytes | None) -> bytes | Proven:
        return self._checked(await self._exchange.begin(initial))

    async def go_on(self, response: bytes) -> bytes | Proven:
        return self._checked(await self._exchange.go_on(response))

    def close(self) -> None:
        self._exchange.close()

    def _checked(self, outcome: bytes | Proven) -> bytes | Proven:
        return outcome if isinstance(outcome, bytes) else self._check(outcome)
