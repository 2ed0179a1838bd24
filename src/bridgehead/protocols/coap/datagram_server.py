"""CoAP over UDP and DTLS: an endpoint's datagrams to the message layers, and what they write to the endpoint."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER, Origin
from bridgehead.core.policy import Principal
from bridgehead.protocols.coap.config import ALL_COAP_NODES, CoapConfig
from bridgehead.protocols.coap.session.contract import Party, Peer
from bridgehead.protocols.coap.session.datagrams import DatagramPeer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.link import DatagramOutbox
from bridgehead.protocols.coap.session.plain import DatagramPeers
from bridgehead.protocols.coap.session.secured import SecuredLink, SecuredSink
from bridgehead.security.login.keys import Kind
from bridgehead.security.login.proof import Proven
from bridgehead.transport import paths
from bridgehead.transport.datagram import Endpoint
from bridgehead.transport.datagram_calls import Datagram
from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings, Failure, Proof, Rim
from bridgehead.transport.dtls.server import DtlsServer
from bridgehead.transport.events import HANDSHAKE_FAILED, OnEvent
from bridgehead.transport.multicast import Membership
from bridgehead.wire.dtls.association import Association

PROTOCOL: Final = "coap"
_CLOSE_NOTIFY: Final = 0  # RFC 5246 section 7.2
_ACCESS_DENIED: Final = 49
_SWEEP: Final = 5.0  # seconds between two looks at what ends with time


class Identifies(Protocol):
    """Who devices are. Everything answers at once."""

    def pre_shared_key(self, identity: bytes, address: str) -> bytes | None: ...

    def knows_raw_key(self, spki: bytes) -> bool: ...

    def prove(self, kind: Kind, shown: bytes, address: str) -> Proven:
        """Errors: Refusal."""
        ...

    def failed(self, kind: Kind | None, shown: bytes, because: str, address: str) -> None: ...

    def guest(self, name: str) -> Principal | None:
        """The device of that name, as one that has not proved who it is; None: there is none."""
        ...


class House(Protocol):
    """What the server gives its listeners."""

    config: CoapConfig
    layer: MessageLayer
    echo: Echo
    identities: Identifies
    event: OnEvent

    def tell_time(self) -> float: ...

    def began(self, peer: Peer, party: Party) -> None: ...

    def over(self, party: Party, because: str) -> None: ...

    def opened(self, listener: DatagramListener) -> None: ...

    def closed(self, listener: DatagramListener) -> None: ...


class DatagramListener:
    """What both kinds have in common. The methods of transport.listener.Listener, for the node."""

    def __init__(self, house: House, bind: str, interfaces: Sequence[str]) -> None:
        self._house: Final = house
        self._loop: Final = asyncio.get_running_loop()
        self._outbox: Final = DatagramOutbox(self._schedule)
        self._busy = False
        self._open = False
        memberships = [Membership(group) for group in ALL_COAP_NODES] if interfaces else []
        self.endpoint: Final = Endpoint(bind, self._took, house.event, interfaces, memberships, self._drained)
        self._swept = 0.0

    @property
    def address(self) -> str:
        return self.endpoint.address

    @property
    def addresses(self) -> list[str]:
        return self.endpoint.addresses

    async def start(self) -> None:
        """Raises BindError, and then nothing is left open."""
        await self.endpoint.start()
        self._open = True
        self._house.opened(self)

    def close(self) -> None:
        """Every peer is told, as far as it can be."""
        if self._open:
            self._open = False
            self._house.closed(self)
            self.end_peers("the listener is closed")
            self._flush()
            self.endpoint.close()

    stop_accepting = close  # a socket of datagrams cannot be closed to new peers alone

    def end_peers(self, because: str) -> None:
        raise NotImplementedError

    def take(self, batch: list[Datagram]) -> None:
        raise NotImplementedError

    def next_timeout(self) -> float:
        """In seconds since the epoch."""
        return self._swept + _SWEEP

    def handle_timeout(self, now: float) -> None:
        if now >= self._swept + _SWEEP:
            self._swept = now
            self.sweep(now)

    def sweep(self, now: float) -> None:
        """Look at what changes with time."""

    # Datagrams. -------------------------------------------------------------------------------------

    def _took(self, batch: list[Datagram]) -> None:
        """What they give rise to leaves in the same turn."""
        self._house.tell_time()
        self._busy = True
        try:
            self.take(batch)
        finally:
            self._busy = False
            self._flush()

    def _schedule(self) -> None:
        if not self._busy:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        batch = self._outbox.take()
        if batch:
            self.endpoint.send(batch)
            self._outbox.backlog = self.endpoint.pending

    def _drained(self) -> None:
        self._outbox.backlog = self.endpoint.pending


class PlainListener(DatagramListener):
    """NoSec: `guest` names the device under whose permissions, and no others, everybody asks; "": nobody may anything
    but by OSCORE. `interfaces`: where it also listens to All CoAP Nodes; "*": everywhere."""

    def __init__(self, house: House, bind: str, guest: str, interfaces: Sequence[str]) -> None:
        super().__init__(house, bind, interfaces)
        self._name: Final = guest
        self._principal = house.identities.guest(guest) if guest else None
        self._peers = self._table()

    def __len__(self) -> int:
        return len(self._peers)

    def _table(self) -> DatagramPeers:
        return DatagramPeers(self._house.layer, self._outbox, self._house.echo, paths.shown, self._guest)

    def _guest(self, address: str) -> Party | None:
        principal = self._principal
        if principal is None:
            return None
        return Party(principal, Origin(principal.name, PROTOCOL, False, "", address))

    def take(self, batch: list[Datagram]) -> None:
        self._peers.receive(batch)

    def end_peers(self, because: str) -> None:
        self._peers.close(because)
        self._peers = self._table()

    def sweep(self, now: float) -> None:
        principal = self._house.identities.guest(self._name) if self._name else None
        if principal is not self._principal:
            # The record was removed, or is another one's now. The old one's rights ended with it.
            self._principal = principal
            self.end_peers("the guest of this listener was changed")


class _Sink(SecuredSink):
    """One DTLS session."""

    def __init__(self, peer: DatagramPeer, party: Party, over: Callable[[_Sink, str], None]) -> None:
        super().__init__(peer)
        self.party: Final = party
        self._over: Final = over

    def ended(self, because: str) -> None:
        super().ended(because)
        self._over(self, because)


class SecuredListener(DatagramListener):
    """DTLS, in the modes of `modes`. Errors: DtlsError."""

    def __init__(self, house: House, bind: str, identity: DtlsIdentity, modes: tuple[Kind, ...]) -> None:
        super().__init__(house, bind, ())
        self._settings: Final = dtls_settings(house.config, modes)
        self._ending: dict[_Sink, float] = {}
        rim = Rim(
            send=self._outbox.write,
            established=self._established,
            failed=self._failed,
            address_of=_host_of,
            defer=self._defer,
            clock=house.layer.clock,
            random=os.urandom,
        )
        self._dtls: Final = DtlsServer(identity, self, self._settings, rim)

    def __len__(self) -> int:
        return len(self._dtls)

    @property
    def half_open(self) -> int:
        return self._dtls.half_open

    def reload(self, identity: DtlsIdentity) -> None:
        """For handshakes from now on. Errors: DtlsError, and then nothing has changed."""
        self._dtls.reload(identity)

    def settings_changed(self) -> None:
        """The house's `config` was."""
        apply_dtls(self._house.config, self._settings)

    def forget_tickets(self) -> None:
        """A credential ended."""
        self._dtls.forget_tickets()

    def take(self, batch: list[Datagram]) -> None:
        self._dtls.receive_all([(path, data) for path, data, _ in batch])

    def end_peers(self, because: str) -> None:
        self._dtls.close(because)

    def next_timeout(self) -> float:
        return min(super().next_timeout(), self._dtls.next_timeout())

    def handle_timeout(self, now: float) -> None:
        super().handle_timeout(now)
        if self._dtls.next_timeout() <= now:
            self._dtls.handle_timeout(now)

    def sweep(self, now: float) -> None:
        """What a session stands on may end with time: a certificate, or the former key of a rotation."""
        for sink in [sink for sink, until in self._ending.items() if until <= now]:
            sink.peer.close("what it was proven by has ended")

    # What DTLS asks and tells. ----------------------------------------------------------------------

    def psk(self, identity: bytes, address: str) -> bytes | None:
        return self._house.identities.pre_shared_key(identity, address)

    def raw_key(self, spki: bytes, address: str) -> bool:
        return self._house.identities.knows_raw_key(spki)

    def _defer(self, call: Callable[[], None]) -> object:
        def work() -> None:
            self._house.tell_time()
            self._busy = True
            try:
                call()
            finally:
                self._busy = False
                self._flush()

        return self._loop.call_soon(work)

    def _established(self, association: Association) -> None:
        proof = association.proof
        assert isinstance(proof, Proof)
        address = paths.shown(association.path)
        shown = {"psk": proof.identity, "rpk": proof.spki, "certificate": proof.certificate}[proof.kind]
        if proof.kind not in self._settings.modes:
            # GnuTLS takes an X.509 certificate also where the peer was not offered that type.
            because = f"this listener lets in by {', '.join(self._settings.modes)} only"
            self._house.identities.failed(proof.kind, shown, because, address)
            self._dtls.end(association, because, _ACCESS_DENIED)
            return
        try:
            proven = self._house.identities.prove(proof.kind, shown, address)
        except Refusal as refusal:
            self._dtls.end(association, refusal.because, _ACCESS_DENIED)
            return
        principal = proven.principal
        party = Party(principal, Origin(principal.name, PROTOCOL, True, "", address), proven.marks)
        link = SecuredLink(association, self._outbox, self._end)
        peer = DatagramPeer(self._house.layer, link, party, address, True, True)
        sink = _Sink(peer, party, self._over)
        association.sink = sink
        if proven.expires_at != NEVER:
            self._ending[sink] = proven.expires_at
        self._house.began(peer, party)

    def _end(self, association: Association, because: str) -> None:
        self._dtls.end(association, because, _CLOSE_NOTIFY)

    def _over(self, sink: _Sink, because: str) -> None:
        self._ending.pop(sink, None)
        self._house.over(sink.party, because)

    def _failed(self, failure: Failure) -> None:
        if failure.credential:
            self._house.identities.failed(failure.kind or None, failure.identity, failure.because, failure.address)
        else:
            fields: dict[str, object] = {"listener": self.address, "peer": failure.address, "because": failure.because}
            self._house.event(HANDSHAKE_FAILED, fields)


def _host_of(path: bytes) -> str:
    """Without the port."""
    return paths.shown(path).rpartition(":")[0].strip("[]")


def dtls_settings(config: CoapConfig, modes: tuple[Kind, ...]) -> DtlsSettings:
    settings = DtlsSettings()
    settings.modes = modes
    apply_dtls(config, settings)
    return settings


def apply_dtls(config: CoapConfig, settings: DtlsSettings) -> None:
    settings.associations = config.dtls_sessions
    settings.idle = config.dtls_idle
    settings.half_open = config.dtls_half_open
    settings.half_open_per_address = config.dtls_half_open_per_address
    settings.ticket = config.dtls_ticket
    settings.connection_ids = config.dtls_connection_ids
