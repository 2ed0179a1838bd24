"""Fuzzes OSCORE: its option, what stands inside of a message that verifies, and whole messages from strangers.

The first octet of an input chooses. Whatever comes, nothing is raised, and every request gets one answer,
which may be that it wants none.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.core.clock import Clock
    from bridgehead.core.policy import Principal
    from bridgehead.protocols.coap.codec import codes, oscore
    from bridgehead.protocols.coap.codec import numbers as option
    from bridgehead.protocols.coap.codec.decode import decode
    from bridgehead.protocols.coap.codec.encode import encode
    from bridgehead.protocols.coap.codec.message import Message
    from bridgehead.protocols.coap.session.contract import Exchange, Handler, Peer
    from bridgehead.protocols.coap.session.echo import Echo
    from bridgehead.protocols.coap.session.oscore import OscoreLayer
    from bridgehead.protocols.coap.session.oscore_context import Cipher, OscoreContext, OscoreContexts
    from bridgehead.security.oscore.keys import Aead, Secret, opened
    from bridgehead.wire.errors import PeerError

KID, HUB = b"\x0a", b"B"
SECRET = Secret(bytes(range(16)), b"salt", b"context")
COMMON_IV = SECRET.common_iv()
DEVICE = SECRET.cipher(KID)
CLOCK = Clock(1_800_000_000.0)


class _Cipher(Cipher):
    def __init__(self, aead: Aead) -> None:
        self._aead = aead

    def seal(self, nonce: bytes, plain: bytes, additional: bytes) -> bytes:
        return self._aead.encrypt(nonce, plain, additional)

    def open(self, nonce: bytes, sealed: bytes, additional: bytes) -> bytes | None:
        return opened(self._aead, nonce, sealed, additional)


class Contexts(OscoreContexts):
    """One device, whose first request was fresh."""

    def __init__(self) -> None:
        ciphers = _Cipher(SECRET.cipher(HUB)), _Cipher(DEVICE)
        self.one = OscoreContext(HUB, KID, COMMON_IV, 10, *ciphers, Principal.of("device", [], []), ("oscore",))
        self.one.window.take(0)
        self.numbers = 0

    def find(self, kid: bytes, kid_context: bytes | None) -> list[OscoreContext]:
        return [self.one] if kid == KID else []

    def next_sequence(self, context: OscoreContext) -> int:
        self.numbers += 1
        return self.numbers

    def opened(self, context: OscoreContext, peer: Peer) -> bool:
        return True


class Answers(Handler):
    def handle(self, exchange: Exchange) -> None:
        if exchange.request.has(option.OSCORE):
            raise AssertionError("a request came through with its OSCORE option")
        exchange.respond(Message(codes.CONTENT, (), b"22.5"))


class Sent(Exchange):
    def __init__(self, request: Message) -> None:
        super().__init__(Peer(None, "192.0.2.7:5683", False, False, True), None, request, True, False)
        self.responses: list[Message] = []

    def respond(self, response: Message) -> None:
        self.responses.append(response)

    def silence(self) -> None:
        """What No-Response asks for."""
        self.responses.append(Message(codes.EMPTY))


def answered(request: Message) -> None:
    sent = Sent(request)
    OscoreLayer(Answers(), Contexts(), Echo(b"k" * 16, 60.0), CLOCK).handle(sent)
    if len(sent.responses) != 1:
        raise AssertionError(f"{len(sent.responses)} answers to {encode(request).hex()}")
    encode(sent.responses[0])


def verified(plain: bytes) -> Message:
    """A request of the device with this inside."""
    piv = b"\x14"
    sealed = DEVICE.encrypt(oscore.nonce(KID, piv, COMMON_IV), plain, oscore.additional_data(10, KID, piv))
    return Message(codes.POST, ((option.OSCORE, oscore.compress(oscore.Compressed(piv, KID))),), sealed)


def target(data: bytes) -> None:
    kind, octets = data[:1], data[1:]
    try:
        if kind == b"\0":
            if oscore.compress(oscore.decompress(octets)) != octets:
                raise AssertionError(f"an OSCORE option has two forms: {octets.hex()}")
        elif kind == b"\1":
            answered(verified(octets))
        else:
            request = decode(octets)
            if codes.is_request(request.code):
                answered(request)
    except PeerError:
        return


def seeds() -> list[bytes]:
    return [
        b"\0" + oscore.compress(oscore.Compressed(b"\x05", b"\x25")),
        b"\0" + oscore.compress(oscore.Compressed(b"\x05\x06\x07\x08\x09", b"", b"Dalek")),
        b"\1" + b"\x01\xb1t",
        b"\1" + oscore.plaintext(Message(codes.GET, ((option.OBSERVE, b""), (option.URI_PATH, b"t")))),
        b"\1" + oscore.plaintext(Message(codes.PUT, ((option.URI_PATH, b"t"), (option.ECHO, b"12345678")), b"22.5")),
        b"\2" + encode(verified(b"\x01\xb1t")),
        b"\2" + encode(Message(codes.GET, ((option.URI_PATH, b"t"),))),
    ]


if __name__ == "__main__":
    harness.run("oscore", target, seeds())
