"""Whose rights count for a remote participant: its device's, or the guest's of a domain without security."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.policy import Principal
from bridgehead.protocols.dds.config import DomainConfig
from bridgehead.protocols.dds.session.ports import Parties

_REMEMBERED: Final = 1.0  # seconds: so long an identity that comes may go unnoticed; one that goes is noticed at once


class Rights:
    """Fail-closed: who isn't known has none."""

    def __init__(self, domain: DomainConfig, broker: Broker, parties: Parties) -> None:
        self.verified: Final = domain.is_secured
        self._guest: Final = domain.guest
        self._broker: Final = broker
        self._parties: Final = parties
        self._known: dict[str, Principal | None] = {}
        self._generation = -1
        self._until = 0.0

    def name_of(self, identity: str) -> str:
        """The device that a participant acts as, "" for nobody."""
        return identity if self.verified else self._guest

    def of(self, identity: str) -> Principal | None:
        """None: it may nothing. `identity` is Endpoint.identity."""
        name = identity if self.verified else self._guest
        if not name:
            return None
        generation = self._broker.router.generation  # a new one whenever an identity goes
        now = self._broker.clock.now
        if generation != self._generation or self._until <= now:
            self._known.clear()
            self._generation = generation
            self._until = now + _REMEMBERED
        elif name in self._known:
            return self._known[name]
        found = self._parties.party(name, self.verified)
        self._known[name] = found
        return found
