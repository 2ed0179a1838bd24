"""GSSAPI (RFC 4752): a Kerberos ticket for this hub, without security layers, through MIT's library.

Needs the extra `bridgehead[kerberos]`. The library reads the keytab and keeps a cache against replays in a file: steps
take some hundred microseconds and may wait for the disk. They do not wait for the network: an acceptor asks no KDC.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import gssapi
from gssapi.raw.misc import GSSError

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.errors import SecurityError
from bridgehead.security.mechanisms import KERBEROS
from bridgehead.security.sasl.contract import (
    NAME_OCTETS,
    Answer,
    Ask,
    Binding,
    Challenge,
    Failure,
    LookUpKerberos,
    Mechanism,
    Step,
    identity_of,
)
from bridgehead.security.sasl.prepare import NotPrepared, prepared

NO_LAYER: Final = 1
_ROUNDS: Final = 8  # Kerberos needs one, or two with mutual authentication of old kinds


class KerberosAcceptor:
    """The hub's own side: `keytab` holds the keys of `service` ("mqtt@hub.example.org"; empty: of any in the keytab).

    `replays`: the file in which the library remembers the tickets it has seen; it makes it. Errors: SecurityError.
    """

    def __init__(self, keytab: Path, replays: Path, service: str = "") -> None:
        store: dict[str | bytes, str | bytes] = {"keytab": f"FILE:{keytab}", "rcache": f"file2:{replays}"}
        try:
            name = gssapi.Name(service, gssapi.NameType.hostbased_service) if service else None
            # Kerberos V5 alone: SPNEGO in its place could fall back to NTLM.
            self._credentials: Final = gssapi.Credentials(
                name=name, usage="accept", store=store, mechs=[gssapi.MechType.kerberos]
            )
        except GSSError as fault:
            raise SecurityError(
                f"the keytab {keytab} cannot be used for Kerberos ({said(fault)}): "
                "give the hub its keys with kadmin's ktadd"
            ) from None

    def make(self, binding: Binding, random: bytes) -> Mechanism:
        """One exchange; as offer.Settings.others wants it."""
        return Gssapi(self._credentials)


class Gssapi(Mechanism):
    name = "GSSAPI"

    def __init__(self, credentials: gssapi.Credentials) -> None:
        super().__init__()
        self._context: Final = gssapi.SecurityContext(creds=credentials, usage="accept")
        self._rounds = 0
        self._next: Callable[[bytes], Step] = self._establish
        self._principal = ""
        self._authzid = ""

    def _respond(self, response: bytes) -> Step:
        try:
            return self._next(response)
        except GSSError as fault:
            return Failure(f"Kerberos refuses: {said(fault)}", claimed=self._principal, guess=True)

    def _establish(self, token: bytes) -> Step:
        self._rounds += 1
        if self._rounds > _ROUNDS or not token:
            return Failure("the GSSAPI client goes on without coming to an end")
        reply = self._context.step(token)
        if not self._context.complete:
            return Challenge(reply or b"")
        if self._context.mech != gssapi.MechType.kerberos:
            return Failure("the GSSAPI mechanism is not Kerberos V5")
        initiator = self._context.initiator_name
        if initiator is None or gssapi.RequirementFlag.anonymity in self._context.actual_flags:
            return Failure("the Kerberos ticket names nobody")
        self._principal = str(initiator)
        if reply:
            # RFC 4752 3.2: the client answers the last token with an empty response, and the layers are next.
            self._next = self._offer
            return Challenge(reply)
        return self._offer(b"")

    def _offer(self, response: bytes) -> Step:
        if response:
            return Failure("the GSSAPI client answers the last token with another", claimed=self._principal)
        self._next = self._chosen
        # RFC 4752 3.3: the layers we have (none), and the most we would take in one: nothing.
        return Challenge(self._context.wrap(bytes((NO_LAYER, 0, 0, 0)), False).message)

    def _chosen(self, response: bytes) -> Step:
        message = self._context.unwrap(response).message
        # RFC 4752 3.1: the layer, three octets of size, which is 0 without one, and the authorization identity.
        if len(message) < 4 or len(message) > NAME_OCTETS + 4 or message[0] != NO_LAYER or any(message[1:4]):
            return Failure("the GSSAPI client chose a security layer, and none was offered", claimed=self._principal)
        try:
            self._authzid = prepared(message[4:].decode())
        except (UnicodeDecodeError, NotPrepared):
            return Failure("the authorization identity of GSSAPI is not acceptable", claimed=self._principal)
        return Ask(LookUpKerberos(self._principal))

    def _answer(self, value: Answer) -> Step:
        if self._next != self._chosen:
            raise LocalMisuse("an answer came before the question")
        # Some clients send the principal itself for "as myself". It holds an '@', so it is no other device's name.
        authzid = "" if self._authzid == self._principal else self._authzid
        return identity_of(self._principal, value, authzid, KERBEROS, "the Kerberos principal is no device's")


def said(fault: GSSError) -> str:
    """The library's own sentence, in one line."""
    return " ".join(str(fault).split())
