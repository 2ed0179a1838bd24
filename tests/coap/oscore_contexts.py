"""The hub's side of the contexts that tests/coap/oscore_device.py has, without records."""

from __future__ import annotations

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.coap.session.contract import Peer
from bridgehead.protocols.coap.session.oscore_context import Cipher, OscoreContext, OscoreContexts
from bridgehead.security.oscore.keys import Aead, Secret, opened
from tests.coap.oscore_device import ID_CONTEXT, SALT, SECRET


class _Cipher(Cipher):
    def __init__(self, aead: Aead) -> None:
        self._aead = aead

    def seal(self, nonce: bytes, plain: bytes, additional: bytes) -> bytes:
        return self._aead.encrypt(nonce, plain, additional)

    def open(self, nonce: bytes, sealed: bytes, additional: bytes) -> bytes | None:
        return opened(self._aead, nonce, sealed, additional)


class Contexts(OscoreContexts):
    """One device's, or several under one kid."""

    def __init__(self) -> None:
        self.known: list[tuple[bytes, bytes | None, OscoreContext]] = []
        self.sequence = 0
        self.exhausted = False
        self.closed = False
        self.told: list[str] = []

    def add(self, name: str, kid: bytes = b"\x0a", id_context: bytes | None = ID_CONTEXT, salt: bytes = SALT) -> None:
        secret = Secret(SECRET, salt, id_context)
        sender, recipient = _Cipher(secret.cipher(b"B")), _Cipher(secret.cipher(kid))
        principal = Principal.of(name, [Permission("#", True, True)], [])
        context = OscoreContext(b"B", kid, secret.common_iv(), 10, sender, recipient, principal, (f"oscore {name}",))
        self.known.append((kid, id_context, context))

    def find(self, kid: bytes, kid_context: bytes | None) -> list[OscoreContext]:
        return [each for known, where, each in self.known if known == kid and kid_context in (None, where)]

    def next_sequence(self, context: OscoreContext) -> int:
        if self.exhausted:
            return -1
        self.sequence += 1
        return self.sequence

    def opened(self, context: OscoreContext, peer: Peer) -> bool:
        self.told.append(f"{context.principal.name} at {peer.address}")
        return not self.closed

    def refused(self, peer: Peer, kid: bytes, because: str) -> None:
        self.told.append(f"refused: {because}")
