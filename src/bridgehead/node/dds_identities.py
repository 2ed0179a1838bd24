"""Identities as DDS asks for them: by the GUID of a participant, or as a domain's guest."""

from __future__ import annotations

from typing import Final

from bridgehead.core.policy import Context, Principal
from bridgehead.node.identities import Identities
from bridgehead.protocols.dds.session.ports import Parties
from bridgehead.security import mechanisms
from bridgehead.security.dds.guids import OCTETS, devices_by_guid
from bridgehead.security.errors import SecurityError
from bridgehead.security.registry.registry import Registry

PROTOCOL: Final = "dds"
_PROVEN: Final = Context(PROTOCOL, (mechanisms.DDS, mechanisms.CERTIFICATE))
_GUEST: Final = Context(PROTOCOL, ())


class DdsIdentities(Parties):
    """Live: what `party` gives is amended when the device's rights are."""

    def __init__(self, identities: Identities, registry: Registry) -> None:
        self._identities: Final = identities
        self._registry: Final = registry
        self._number = -1  # of the registry's change that the names were read after
        self._names: dict[bytes, str] = {}

    def party(self, name: str, verified: bool) -> Principal | None:
        """The device's view, None when there is no such device or it cannot be read now. `verified`: its participant
        has shown the certificate; else it is a domain's guest, whom nothing proves."""
        try:
            principal = self._identities.principal(name)
        except SecurityError:
            return None
        return None if principal is None else principal.under(_PROVEN if verified else _GUEST)

    def name_of(self, participant: bytes) -> str:
        """Of the device whose certificate a secured participant with this GUID has shown, "" for nobody's."""
        return self.names().get(participant[:OCTETS], "")

    def names(self) -> dict[bytes, str]:
        """The devices with a DDS identity, by the first six octets of their GUIDs. What was known last while the
        records cannot be read."""
        try:
            number = self._registry.change_number()
            if number != self._number:
                self._names = devices_by_guid(
                    each.name
                    for each in self._registry.each_device()
                    if each.dds_identity is not None and each.revoked_at is None
                )
                self._number = number
        except SecurityError:
            return self._names
        return self._names
