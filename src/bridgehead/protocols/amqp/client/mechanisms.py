"""The two SASL mechanisms that need no exchange; the others are security.sasl.client's. AMQP carries them alike."""

from __future__ import annotations

from typing import Final, Protocol

from bridgehead.wire.errors import Violation


class Speaks(Protocol):
    """One exchange (security.sasl.client). Errors of the last two: PeerError."""

    name: str

    def start(self) -> bytes: ...

    def respond(self, challenge: bytes) -> bytes: ...

    def finish(self, data: bytes | None) -> None: ...


class PlainClient:
    """RFC 4616: the password itself, so for TLS only."""

    name = "PLAIN"

    def __init__(self, user: str, password: bytes) -> None:
        self._message: Final = b"\0" + user.encode() + b"\0" + password

    def start(self) -> bytes:
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        # 5.3.2: a server that did not get the initial response asks for it with an empty challenge.
        if challenge:
            raise Violation("PLAIN has no challenge", clause="RFC 4616 2")
        return self._message

    def finish(self, data: bytes | None) -> None:
        """Nothing is proven by the server: TLS did that."""


class ExternalClient:
    """RFC 4422 appendix A: the certificate of the TLS connection proves it. `identity` is who to act as, or ""."""

    name = "EXTERNAL"

    def __init__(self, identity: str = "") -> None:
        self._identity: Final = identity.encode()

    def start(self) -> bytes:
        return self._identity

    def respond(self, challenge: bytes) -> bytes:
        if challenge:
            raise Violation("EXTERNAL has no challenge", clause="RFC 4422 A")
        return self._identity

    def finish(self, data: bytes | None) -> None:
        """Nothing is proven by the server: TLS did that."""
