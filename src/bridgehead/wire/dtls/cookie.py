"""Proof that whoever says hello receives at its address, without keeping anything (RFC 6347 section 4.2.1)."""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from bridgehead.wire.dtls.hello import ClientHello
from bridgehead.wire.dtls.numbers import DTLS_1_0, HANDSHAKE, HELLO_VERIFY_REQUEST

_OCTETS: Final = 20
# Handshake header of a whole message: length, message_seq 0, fragment_offset 0, fragment_length.
_BODY: Final = 3 + _OCTETS


class Cookies:
    """A cookie is a MAC over the path, the ClientHello without it, and the period of `lifetime` seconds that it was
    made in; the period after it still takes it. `secret`: 32 octets that nobody can guess."""

    def __init__(self, secret: bytes, lifetime: float) -> None:
        self._secret: Final = secret
        self._lifetime: Final = lifetime

    def verify(self, path: bytes, hello: ClientHello, now: float) -> bool:
        """Whether the hello came back with a cookie that was sent to `path`."""
        if len(hello.cookie) != _OCTETS:
            return False
        period = int(now / self._lifetime)
        return compare_digest(hello.cookie, self._mac(path, hello, period)) or compare_digest(
            hello.cookie, self._mac(path, hello, period - 1)
        )

    def request(self, path: bytes, hello: ClientHello, now: float) -> bytes:
        """The HelloVerifyRequest: a datagram smaller than any ClientHello."""
        cookie = self._mac(path, hello, int(now / self._lifetime))
        # The record takes the ClientHello's sequence number; its version is that of DTLS 1.0 whatever is negotiated.
        return (
            bytes([HANDSHAKE])
            + DTLS_1_0
            + hello.number.to_bytes(8, "big")
            + (12 + _BODY).to_bytes(2, "big")
            + bytes([HELLO_VERIFY_REQUEST])
            + _BODY.to_bytes(3, "big")
            + b"\x00" * 5
            + _BODY.to_bytes(3, "big")
            + DTLS_1_0
            + bytes([_OCTETS])
            + cookie
        )

    def _mac(self, path: bytes, hello: ClientHello, period: int) -> bytes:
        start = period.to_bytes(8, "big", signed=True) + len(path).to_bytes(2, "big")
        return blake2b(start + path + hello.bound, key=self._secret, digest_size=_OCTETS).digest()
