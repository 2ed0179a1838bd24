"""PLAIN (RFC 4616): authorization identity, name and password in one message. Only inside a protected transport."""

from __future__ import annotations

from typing import Final

from bridgehead.security.mechanisms import PASSWORD
from bridgehead.security.sasl.contract import (
    NAME_OCTETS,
    Answer,
    Ask,
    Failure,
    Mechanism,
    Step,
    VerifyPassword,
    identity_of,
)
from bridgehead.security.sasl.prepare import NotPrepared, prepared

PASSWORD_OCTETS: Final = 65_535


class Plain(Mechanism):
    name = "PLAIN"
    message_octets = 2 * NAME_OCTETS + PASSWORD_OCTETS + 2

    def __init__(self) -> None:
        super().__init__()
        self._claimed = ""
        self._authzid = ""

    def _respond(self, response: bytes) -> Step:
        # RFC 4616 section 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd, none of them with a NUL inside.
        parts = response.split(b"\0")
        if len(parts) != 3:
            return Failure("a PLAIN message has two NUL, between authorization identity, name and password")
        try:
            authzid, claimed, password = (part.decode() for part in parts)
        except UnicodeDecodeError:
            return Failure("a PLAIN message is not UTF-8")
        if not claimed or not password:
            return Failure("a PLAIN message has no name or no password")
        try:
            # RFC 4616 section 2: the server prepares the name; the password is verified as it was hashed, octet by
            # octet, as everywhere else.
            self._claimed = prepared(claimed)
            self._authzid = prepared(authzid)
        except NotPrepared as fault:
            return Failure(f"the name in a PLAIN message is not acceptable: {fault}")
        if not self._claimed:
            return Failure("the name in a PLAIN message is empty when it is prepared")
        return Ask(VerifyPassword(self._claimed, parts[2]))

    def _answer(self, value: Answer) -> Step:
        return identity_of(self._claimed, value, self._authzid, PASSWORD, "the password is not that of the name")
