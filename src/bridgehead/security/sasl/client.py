"""The client's side of SASL, for our own commands and tests: SCRAM and OAUTHBEARER; GSSAPI is in kerberos_client.py.

first = machine.start()             # with the mechanism's name
answer = machine.respond(challenge)
machine.finish(data)                # the server says that it has succeeded: has it proven itself?
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.prepare import NotPrepared, prepared
from bridgehead.security.sasl.scram import NONCE_OCTETS, TLS_EXPORTER, TLS_SERVER_END_POINT, bindings_of
from bridgehead.security.sasl.scram_keys import (
    HASHES,
    ITERATIONS,
    PLUS,
    NotScram,
    attribute,
    checked_nonce,
    client_key,
    decoded,
    encoded,
    escaped,
    salted_password,
    server_key,
    signature,
    stored_key,
    text_of,
    xor,
)
from bridgehead.wire.errors import Violation

# A server must not make us hash for minutes.
ITERATIONS_MAX: Final = 1_000_000


class ClientMechanism(ABC):
    """One exchange. `name` is the mechanism's registered one."""

    name: str

    @abstractmethod
    def start(self) -> bytes:
        """The initial response."""

    @abstractmethod
    def respond(self, challenge: bytes) -> bytes:
        """Errors: PeerError: the server does not keep to the mechanism, or is not who it should be."""

    @abstractmethod
    def finish(self, data: bytes | None) -> None:
        """The server reports success, with `data` if its protocol carries some. Errors: PeerError: it has not proven
        what the mechanism makes it prove: close the connection."""


class ScramClient(ClientMechanism):
    """RFC 5802. `name`: one of the four; `random`: at least NONCE_OCTETS fresh octets.

    `server_binds`: whether the server offers -PLUS; where it does not and this side could bind, the GS2 flag says so
    ("y"), and a server that was robbed of its offer refuses. None: there is no list of mechanisms to know it from.
    """

    def __init__(
        self,
        name: str,
        user: str,
        password: str,
        random: bytes,
        binding: Binding | None = None,
        server_binds: bool | None = None,
        authzid: str = "",
    ) -> None:
        base = name.removesuffix(PLUS)
        if base not in HASHES or len(random) < NONCE_OCTETS:
            raise LocalMisuse(f"{name} is no SCRAM mechanism, or there are not {NONCE_OCTETS} octets of chance")
        self.name = name
        self._digest: Final = HASHES[base]
        try:
            self._user: Final = prepared(user)
            self._password: Final = prepared(password)
        except NotPrepared as fault:
            raise LocalMisuse(f"SCRAM cannot carry this name or password: {fault}") from None
        known = bindings_of(binding or Binding())
        flag, data = ("y" if known and server_binds is False else "n"), b""
        if name.endswith(PLUS):
            kind = next((kind for kind in (TLS_EXPORTER, TLS_SERVER_END_POINT) if kind in known), None)
            if kind is None:
                raise LocalMisuse(f"{name} needs a connection with channel binding data")
            flag, data = f"p={kind}", known[kind]
        header = f"{flag},{'a=' + escaped(authzid) if authzid else ''},"
        self._channel: Final = encoded(header.encode() + data)
        self._header: Final = header
        self._nonce: Final = encoded(random[:NONCE_OCTETS])
        self._bare: Final = f"n={escaped(self._user)},r={self._nonce}"
        self._verifier: bytes | None = None
        self._proven = False

    def start(self) -> bytes:
        return (self._header + self._bare).encode()

    def respond(self, challenge: bytes) -> bytes:
        if self._verifier is not None:
            # Protocols without a place for data with success send it as one more challenge (RFC 4422 section 5).
            self._check(challenge)
            return b""
        try:
            text = text_of(challenge)
            if text.startswith("e="):
                raise NotScram(f"the server refuses: {text[2:]!r}")
            parts = text.split(",")
            if len(parts) < 3:
                raise NotScram("the server's first message has nonce, salt and iteration count")
            nonce, salt = checked_nonce(attribute(parts[0], "r")), decoded(attribute(parts[1], "s"))
            count = attribute(parts[2], "i")
            if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce) or not salt:
                raise NotScram("the server's nonce does not continue ours, or there is no salt")
            if not (count.isascii() and count.isdigit() and len(count) < 9):
                raise NotScram("the iteration count is no number")
            if not ITERATIONS <= int(count) <= ITERATIONS_MAX:
                raise NotScram(f"{count} iterations are not between {ITERATIONS} and {ITERATIONS_MAX}")
        except NotScram as fault:
            raise Violation(str(fault), clause="RFC 5802 7") from None
        salted = salted_password(self._digest, self._password, salt, int(count))
        own = client_key(self._digest, salted)
        without_proof = f"c={self._channel},r={nonce}"
        message = f"{self._bare},{text},{without_proof}"
        proof = xor(own, signature(self._digest, stored_key(self._digest, own), message))
        self._verifier = signature(self._digest, server_key(self._digest, salted), message)
        return f"{without_proof},p={encoded(proof)}".encode()

    def finish(self, data: bytes | None) -> None:
        if data is not None and not self._proven:
            self._check(data)
        if not self._proven:
            raise Violation("the server did not prove that it knows the password's verifier", clause="RFC 5802 3")

    def _check(self, final: bytes) -> None:
        try:
            text = text_of(final)
            if text.startswith("e="):
                raise NotScram(f"the server refuses: {text[2:]!r}")
            value = decoded(attribute(text.split(",")[0], "v"))
        except NotScram as fault:
            raise Violation(str(fault), clause="RFC 5802 7") from None
        if self._verifier is None or not hmac.compare_digest(value, self._verifier):
            raise Violation("the server does not know the password's verifier", clause="RFC 5802 3")
        self._proven = True


class OAuthBearerClient(ClientMechanism):
    """RFC 7628. `host` and `port` are those connected to."""

    name = "OAUTHBEARER"

    def __init__(self, token: str, host: str = "", port: int = 0, authzid: str = "") -> None:
        pairs = [f"host={host}"] if host else []
        if port:
            pairs.append(f"port={port}")
        pairs.append(f"auth=Bearer {token}")
        header = f"n,{'a=' + escaped(authzid) if authzid else ''},"
        self._message: Final = "".join(part + "\x01" for part in (header, *pairs, "")).encode()
        self._refused = False

    def start(self) -> bytes:
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """To an empty challenge the message, to an error (JSON) the octet that ends it (RFC 7628 section 3.2.3)."""
        if not challenge and not self._refused:
            return self._message
        self._refused = True
        return b"\x01"

    def finish(self, data: bytes | None) -> None:
        if self._refused:
            raise Violation("the server reports success after it refused the token", clause="RFC 7628 3.2.3")
