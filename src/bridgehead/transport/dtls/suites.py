"""The cipher suites that are spoken, and the keys of a session for each (RFC 5246 section 6.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from bridgehead.transport.dtls.contract import DtlsSettings, Kind
from bridgehead.wire.dtls.protection import Aead, Protection

# P-256 and X25519 only: others hold up everybody else (P-384: 1 ms and more).
_PUBLIC: Final = "+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SHA384:+SIGN-EDDSA-ED25519"
_GROUPS: Final = "+GROUP-SECP256R1:+GROUP-X25519"


def priorities(
    settings: DtlsSettings,
    modes: tuple[Kind, ...],
    *,
    server: bool,
    own: tuple[Kind, ...],
    raw_server_only: bool = False,
) -> str:
    """GnuTLS's priority string. `modes`: how the peer may prove itself; `own`: with what this end can. A client for
    which `raw_server_only` is set lists X.509 first for the server's certificate and cannot read one: a raw key is all
    that it is offered."""
    ciphers = ":".join(f"+{cipher}" for cipher in settings.ciphers)
    parts = [f"NONE:+VERS-DTLS1.2:{ciphers}:+AEAD:+COMP-NULL"]
    if "psk" in modes:
        # A client that offers pre-shared keys has one, while one that offers ECDSA may lack a certificate.
        parts.extend(f"+{exchange}" for exchange in settings.psk_exchanges)
    public = [mode for mode in modes if mode != "psk"]
    if public and any(mode in own for mode in ("rpk", "certificate")):
        parts.append("+ECDHE-ECDSA")
        this, that = ("SRV", "CLI") if server else ("CLI", "SRV")
        if "certificate" in own and not raw_server_only:
            parts.append(f"+CTYPE-{this}-X509")
        if "rpk" in own:
            parts.append(f"+CTYPE-{this}-RAWPK")
        if "certificate" in modes:
            parts.append(f"+CTYPE-{that}-X509")
        if "rpk" in modes:
            parts.append(f"+CTYPE-{that}-RAWPK")
    parts.append(f"{_PUBLIC}:{_GROUPS}")  # GnuTLS wants signatures named even where none is made
    if server:
        parts.append("%SERVER_PRECEDENCE")
    return ":".join(parts)


class Suite:
    """`name`: the registry's. `key`, `fixed`, `tag`: octets of the key, of the nonce's implicit part, of the tag."""

    def __init__(self, name: str, make: Callable[[bytes], Aead], key: int, fixed: int, tag: int) -> None:
        self.name: Final = name
        self.make: Final = make
        self.key: Final = key
        self.fixed: Final = fixed
        self.tag: Final = tag

    @property
    def octets(self) -> int:
        """Of the key block: AEADs have no MAC keys."""
        return 2 * (self.key + self.fixed)

    def protections(self, block: bytes, client_cid: bytes, server_cid: bytes) -> tuple[Protection, Protection]:
        """What the client writes with, and the server. `client_cid`: the Connection ID that the client puts into its
        records, so one that the server gave out."""
        key, fixed = self.key, self.fixed
        salts = block[2 * key :]
        return (
            Protection(self.make, block[:key], salts[:fixed], self.tag, InvalidTag, client_cid),
            Protection(self.make, block[key : 2 * key], salts[fixed : 2 * fixed], self.tag, InvalidTag, server_cid),
        )


def _ccm(key: bytes) -> Aead:
    return AESCCM(key)


def _ccm_8(key: bytes) -> Aead:
    return AESCCM(key, tag_length=8)


def _all() -> dict[int, Suite]:
    """By number (the registry "TLS Cipher Suites")."""
    kinds: dict[str, tuple[Callable[[bytes], Aead], int, int, int]] = {
        "AES_128_CCM_8": (_ccm_8, 16, 4, 8),
        "AES_128_CCM": (_ccm, 16, 4, 16),
        "AES_128_GCM_SHA256": (AESGCM, 16, 4, 16),
        "AES_256_GCM_SHA384": (AESGCM, 32, 4, 16),
        "CHACHA20_POLY1305_SHA256": (ChaCha20Poly1305, 32, 12, 16),
    }
    numbers = {
        "PSK": (0xC0A8, 0xC0A4, 0x00A8, 0x00A9, 0xCCAB),
        "ECDHE_ECDSA": (0xC0AE, 0xC0AC, 0xC02B, 0xC02C, 0xCCA9),
        "ECDHE_PSK": (0xD003, 0xD005, 0xD001, 0xD002, 0xCCAC),
    }
    return {
        number: Suite(f"TLS_{exchange}_WITH_{cipher}", *kinds[cipher])
        for exchange, row in numbers.items()
        for number, cipher in zip(row, kinds, strict=True)
    }


SUITES: Final = _all()
