"""CoAP as the node serves it: the server, the chain of handlers behind it, and its listeners of datagrams."""

from __future__ import annotations

import os
import random
from typing import Final, cast

from bridgehead.broker.broker import Broker
from bridgehead.core.policy import Context, Principal
from bridgehead.node.configuration import Config, coap_modes
from bridgehead.node.configuration import Listener as Settings
from bridgehead.node.driver import Driver
from bridgehead.node.identities import Identities
from bridgehead.node.oscore import make_contexts
from bridgehead.node.settings import apply_coap
from bridgehead.protocols.coap.chain import make_chain
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.datagram_server import PROTOCOL, DatagramListener, SecuredListener
from bridgehead.protocols.coap.server import CoapServer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.identity import Identity
from bridgehead.security.login.keys import Kind
from bridgehead.security.login.proof import Proven
from bridgehead.security.tls.dtls import DtlsFiles
from bridgehead.transport.dtls.contract import DtlsError, DtlsIdentity, DtlsSettings
from bridgehead.transport.dtls.credentials import Credentials
from bridgehead.transport.events import OnEvent
from bridgehead.transport.stream import Stream

_ECHO_OCTETS: Final = 32


class Coap:
    """One server for all listeners of CoAP."""

    def __init__(
        self, config: Config, broker: Broker, identity: Identity, identities: Identities, clock: Driver, event: OnEvent
    ) -> None:
        """Errors: SecurityError."""
        self._settings: Final = CoapConfig()
        apply_coap(config, self._settings)
        echo = Echo(os.urandom(_ECHO_OCTETS), self._settings.echo_window)
        contexts = make_contexts(identity, identities.authenticator, event, clock.time, identities.admit)
        chain = make_chain(broker, self._settings, contexts, echo, random.SystemRandom().random)
        self.site: Final = chain.site
        self.attach: Final = chain.attach
        self._server: Final = CoapServer(
            broker, self._settings, chain.handler, chain.attach, CoapIdentities(identities), echo, clock.offset
        )
        identities.tell_endings(self._server.credential_ended)

    def __len__(self) -> int:
        """Open connections: streams and DTLS sessions."""
        return len(self._server)

    def listener(self, settings: Settings, secrets: DtlsFiles | None) -> DatagramListener:
        """One for datagrams, not started yet. Errors: SecurityError."""
        if secrets is None:
            return self._server.plain(settings.bind, settings.guest, settings.multicast)
        modes = tuple(cast(Kind, each) for each in settings.login or coap_modes(settings))
        try:
            return self._server.secured(settings.bind, identity_of(secrets), modes)
        except DtlsError as fault:
            raise SecurityError(f"CoAP over DTLS at {settings.bind}: {fault}") from None

    def accept(self, stream: Stream, guest: str = "") -> None:
        """Serve a new client over TCP, TLS or WebSocket."""
        self._server.accept(stream, guest)

    def apply(self, config: Config) -> None:
        """Put a reloaded configuration in force, for what begins from now on."""
        apply_coap(config, self._settings)
        self._server.settings_changed()

    async def stop(self, seconds: float) -> None:
        """Tell every client that the hub stops, and wait at most so long."""
        await self._server.stop(seconds)


class CoapIdentities:
    """The hub's identities as CoAP's listeners ask for them (datagram_server.Identifies)."""

    def __init__(self, identities: Identities) -> None:
        self._identities: Final = identities
        self._guests: dict[str, Principal | None] = {}

    def pre_shared_key(self, identity: bytes, address: str) -> bytes | None:
        return self._identities.keys.pre_shared_key(identity, address)

    def knows_raw_key(self, spki: bytes) -> bool:
        return self._identities.keys.knows_raw_key(spki)

    def prove(self, kind: Kind, shown: bytes, address: str) -> Proven:
        """Errors: Refusal."""
        return self._identities.prove_key(kind, shown, address, PROTOCOL)

    def failed(self, kind: Kind | None, shown: bytes, because: str, address: str) -> None:
        self._identities.keys.failed(kind, shown, because, address, PROTOCOL)

    def guest(self, name: str) -> Principal | None:
        """By no proof at all. What was known last while the records cannot be read."""
        try:
            principal = self._identities.principal(name)
        except SecurityError:
            return self._guests.get(name)
        found = None if principal is None else principal.under(Context(PROTOCOL, ()))
        self._guests[name] = found
        return found


def identity_of(secrets: DtlsFiles) -> DtlsIdentity:
    return DtlsIdentity(
        certificate=secrets.certificate,
        key=secrets.key,
        trust=secrets.trust,
        lists=secrets.lists,
        raw_key=secrets.raw_key,
    )


def reload_dtls(listener: DatagramListener, secrets: DtlsFiles) -> None:
    """For handshakes from now on. Errors: SecurityError, and then nothing has changed."""
    if isinstance(listener, SecuredListener):
        try:
            listener.reload(identity_of(secrets))
        except DtlsError as fault:
            raise SecurityError(f"CoAP over DTLS at {listener.address}: {fault}") from None


def check_dtls(settings: Settings, secrets: DtlsFiles) -> None:
    """Whether GnuTLS is there and takes them. Errors: SecurityError."""
    try:
        Credentials(identity_of(secrets), DtlsSettings(), server=True)
    except DtlsError as fault:
        raise SecurityError(f"CoAP over DTLS at {settings.bind}: {fault}") from None
