"""A client's end of DTLS, for one server: pre-shared key, raw public keys, or certificates.

RFC 7252 section 9, RFC 7925. It verifies the server: by the pre-shared key, by the raw keys that it was given, or by
the trusted authorities and the server's name.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings, Failure, Rim
from bridgehead.transport.dtls.credentials import Credentials
from bridgehead.transport.dtls.handshake import DONE, UNDER_WAY, Handshake
from bridgehead.transport.dtls.memory import Memory
from bridgehead.wire.dtls.alerts import is_about_proof
from bridgehead.wire.dtls.association import Association
from bridgehead.wire.dtls.numbers import CLOSE_NOTIFY, WARNING

_SERVER_AUTHENTICATION: Final = b"1.3.6.1.5.5.7.3.1"  # id-kp-serverAuth (RFC 5280 section 4.2.1.12)
_PATH: Final = b""  # a client has one


class ClientHandshake(Handshake):
    def __init__(
        self,
        memory: Memory,
        credentials: Credentials,
        settings: DtlsSettings,
        now: float,
        identity: DtlsIdentity,
        host: str,
    ) -> None:
        # It has one server, so it needs no Connection ID in what it gets; the server's lets it move.
        own_cid = b"" if settings.connection_ids else None
        super().__init__(
            memory, credentials, settings, now, server=False, own_cid=own_cid, priorities=credentials.priorities
        )
        self._identity: Final = identity
        self._name, self._address = _parts(host)
        if self._name:
            self.say_name(self._name)
        if identity.psk_key:
            self.identity = identity.psk_identity

    def psk(self, identity: bytes) -> bytes:
        raise AssertionError("a client's key was given to GnuTLS before")

    def peer_permitted(self) -> bool:
        kind, chain = self.peer_chain()
        self.kind = kind
        self.because = self._refused(chain)
        self.credential = bool(self.because)
        return not self.because

    def _refused(self, chain: tuple[bytes, ...]) -> str:
        if not chain:
            return "the server showed neither certificate nor raw public key"
        if self.kind == "rpk":
            known = chain[0] in self._identity.peer_raw_keys
            return "" if known else "the server's raw public key is not one that was named as its"
        refused = self.chain_refused(_SERVER_AUTHENTICATION, self._name, self._address)
        return f"the server's certificate is refused: {refused}" if refused else ""


class DtlsClient:
    """See contract.py. `association` is there once the handshake is complete; datagrams go to the rim with b"" for a
    path. `host`: the server's name or IP address, as its certificate is to have it."""

    def __init__(self, identity: DtlsIdentity, settings: DtlsSettings, rim: Rim, host: str) -> None:
        """Errors: DtlsError."""
        self._rim: Final = rim
        self._host: Final = host
        credentials = Credentials(identity, settings, server=False)
        self._handshake: ClientHandshake | None = ClientHandshake(
            Memory(), credentials, settings, rim.clock.now, identity, host
        )
        self._credentials: Final = credentials
        self._settings: Final = settings
        self.association: Association | None = None

    def start(self) -> None:
        """Says hello. Once."""
        handshake = self._handshake
        assert handshake is not None, "start() is called once, before anything else"
        handshake.start()
        self._after(handshake, b"")

    def receive(self, data: bytes) -> None:
        """A datagram of the server."""
        if self._handshake is not None:
            self._handshake.feed(data, self._rim.clock.now)
            self._after(self._handshake, data)
        elif self.association is not None:
            self._opened(self.association, data)

    def next_timeout(self) -> float:
        """When handle_timeout wants to be called, in seconds since the epoch."""
        if self._handshake is None:
            return NEVER
        return min(self._handshake.due, self._handshake.begun + self._settings.handshake)

    def handle_timeout(self, now: float) -> None:
        handshake = self._handshake
        if handshake is None:
            return
        if now - handshake.begun >= self._settings.handshake:
            handshake.because = handshake.because or "the server did not answer in time"
            self._fail(handshake)
        elif handshake.due <= now:
            handshake.handle_timeout(now)
            self._send(handshake)

    def close(self, because: str) -> None:
        """Tells the server, if there is a session."""
        if self._handshake is not None:
            self._handshake.close()
            self._handshake = None
        association = self.association
        if association is not None and not association.ended:
            self._rim.send(_PATH, association.alert(WARNING, CLOSE_NOTIFY))
            association.end(because)

    def _send(self, handshake: ClientHandshake) -> tuple[bytes, ...]:
        datagrams = tuple(handshake.take())
        for datagram in datagrams:
            self._rim.send(_PATH, datagram)
        return datagrams

    def _after(self, handshake: ClientHandshake, data: bytes) -> None:
        sent = self._send(handshake)
        if handshake.state == UNDER_WAY:
            return
        if handshake.state != DONE:
            self._fail(handshake)
            return
        association = handshake.association(_PATH, handshake.proof())
        association.heard = self._rim.clock.now
        handshake.close()
        self._handshake = None
        self.association = association
        self._rim.established(association)
        self._opened(association, data)
        association.flight = sent

    def _opened(self, association: Association, data: bytes) -> None:
        found = association.open(data)
        if association.moved:
            association.heard = self._rim.clock.now
        if association.sink is not None:
            for each in found:
                if association.ended:
                    break
                association.sink.received(each)
        for answer in association.answers():
            self._rim.send(_PATH, answer)

    def _fail(self, handshake: ClientHandshake) -> None:
        handshake.close()
        self._handshake = None
        self._rim.failed(
            Failure(
                self._host,
                handshake.kind or "",
                handshake.identity,
                handshake.because,
                handshake.credential,
                refused=is_about_proof(handshake.alert),
            )
        )


def _parts(host: str) -> tuple[bytes, bytes]:
    """As a name, or as the octets of an address."""
    try:
        return b"", ip_address(host.partition("%")[0]).packed
    except ValueError:
        return host.encode("idna"), b""
