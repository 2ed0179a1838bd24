"""EXTERNAL (RFC 4422 appendix A): the client certificate that TLS verified speaks; the message is who to act as."""

from __future__ import annotations

from bridgehead.security.mechanisms import CERTIFICATE
from bridgehead.security.sasl.contract import (
    NAME_OCTETS,
    Answer,
    Ask,
    CertificateIdentity,
    Failure,
    Mechanism,
    Step,
    identity_of,
)


class External(Mechanism):
    name = "EXTERNAL"
    message_octets = NAME_OCTETS

    def __init__(self) -> None:
        super().__init__()
        self._authzid = ""

    def _respond(self, response: bytes) -> Step:
        # RFC 4422 A.1: an empty authzid: the server derives it from what the channel gives.
        try:
            self._authzid = response.decode()
        except UnicodeDecodeError:
            return Failure("the authorization identity of EXTERNAL is not UTF-8")
        if "\0" in self._authzid:
            return Failure("the authorization identity of EXTERNAL holds a NUL")
        return Ask(CertificateIdentity())

    def _answer(self, value: Answer) -> Step:
        return identity_of("", value, self._authzid, CERTIFICATE, "no client certificate names an identity here")
