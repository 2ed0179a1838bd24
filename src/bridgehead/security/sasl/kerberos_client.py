"""The client's side of GSSAPI (RFC 4752), with the ticket of whoever runs the command (`kinit`), or of a keytab.

Needs the extra `bridgehead[kerberos]`. Blocks while the KDC is asked for a ticket.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gssapi
from gssapi.raw.misc import GSSError

from bridgehead.security.errors import SecurityError
from bridgehead.security.sasl.client import ClientMechanism
from bridgehead.security.sasl.kerberos import NO_LAYER, said
from bridgehead.wire.errors import Violation


class GssapiClient(ClientMechanism):
    """`service`: "mqtt@hub.example.org". `cache`: the file of tickets; None: the usual one. Errors: SecurityError."""

    name = "GSSAPI"

    def __init__(self, service: str, authzid: str = "", cache: Path | None = None) -> None:
        store: dict[str | bytes, str | bytes] | None = None if cache is None else {"ccache": f"FILE:{cache}"}
        self._authzid: Final = authzid
        self._offered = False
        try:
            self._context: Final = gssapi.SecurityContext(
                name=gssapi.Name(service, gssapi.NameType.hostbased_service),
                creds=gssapi.Credentials(usage="initiate", store=store),
                mech=gssapi.MechType.kerberos,
                flags=gssapi.RequirementFlag.mutual_authentication | gssapi.RequirementFlag.integrity,
                usage="initiate",
            )
        except GSSError as fault:
            raise SecurityError(f"there is no Kerberos ticket to log in with ({said(fault)}): run kinit") from None

    def start(self) -> bytes:
        """Errors: SecurityError: the KDC gives no ticket for the service."""
        try:
            return self._context.step() or b""
        except GSSError as fault:
            raise SecurityError(f"the KDC gives no ticket for the hub ({said(fault)})") from None

    def respond(self, challenge: bytes) -> bytes:
        try:
            if not self._context.complete:
                return self._context.step(challenge) or b""
            layers = self._context.unwrap(challenge).message
            if len(layers) != 4 or not layers[0] & NO_LAYER:
                raise Violation("the server insists on a security layer", clause="RFC 4752 3.1")
            self._offered = True
            answer = bytes((NO_LAYER, 0, 0, 0)) + self._authzid.encode()
            return self._context.wrap(answer, False).message
        except GSSError as fault:
            raise Violation(f"Kerberos refuses the server: {said(fault)}") from None

    def finish(self, data: bytes | None) -> None:
        if not self._offered:
            raise Violation("the server reports success before it has proven itself", clause="RFC 4752 3.1")
