"""Associations in pairs, and ClientHellos, for the tests of DTLS records."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from bridgehead.wire.dtls.association import Association, Sink
from bridgehead.wire.dtls.protection import Aead, Protection

SUITES = ("ccm-8", "ccm", "gcm", "chacha20")


class Told(Sink):
    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.because: list[str] = []

    def received(self, data: bytes) -> None:
        self.data.append(data)

    def ended(self, because: str) -> None:
        self.because.append(because)


def _ccm_8(key: bytes) -> AESCCM:
    return AESCCM(key, 8)


def protection(suite: str, key: int, cid: bytes = b"") -> Protection:
    """`key`: an octet that the key is made of; the nonce's implicit part is of the next one."""
    if suite == "chacha20":
        return Protection(ChaCha20Poly1305, bytes([key]) * 32, bytes([key + 1]) * 12, 16, InvalidTag, cid)
    makers: dict[str, tuple[Callable[[bytes], Aead], int]] = {
        "gcm": (AESGCM, 16),
        "ccm": (AESCCM, 16),
        "ccm-8": (_ccm_8, 8),
    }
    make, tag = makers[suite]
    return Protection(make, bytes([key]) * 16, bytes([key + 1]) * 4, tag, InvalidTag, cid)


def pair(
    suite: str = "ccm-8", cid: bytes = b"", other_cid: bytes = b"", forgeries: int = 1000
) -> tuple[Association, Association, Told, Told]:
    """`cid` names the first one in what the second one sends; `other_cid` the second one."""
    first = Association(b"first", None, protection(suite, 1, cid), protection(suite, 7, other_cid), forgeries)
    second = Association(b"second", None, protection(suite, 7, other_cid), protection(suite, 1, cid), forgeries)
    told = Told(), Told()
    first.sink, second.sink = told
    return first, second, told[0], told[1]


def hello(
    *,
    cookie: bytes = b"",
    random: bytes = bytes(range(32)),
    session: bytes = b"",
    suites: bytes = b"\xc0\xa8",
    extensions: list[tuple[int, bytes]] | None = None,
    number: int = 0,
    sequence: int = 0,
) -> bytes:
    """A ClientHello in a datagram."""
    body = b"\xfe\xfd" + random + bytes([len(session)]) + session + bytes([len(cookie)]) + cookie
    body += len(suites).to_bytes(2, "big") + suites + b"\x01\x00"
    if extensions is not None:
        block = b"".join(kind.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data for kind, data in extensions)
        body += len(block).to_bytes(2, "big") + block
    length = len(body).to_bytes(3, "big")
    message = b"\x01" + length + sequence.to_bytes(2, "big") + bytes(3) + length + body
    return b"\x16\xfe\xff" + number.to_bytes(8, "big") + len(message).to_bytes(2, "big") + message
