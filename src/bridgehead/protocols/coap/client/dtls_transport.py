"""CoAP's datagrams within DTLS, the client's end (RFC 7252 section 9)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final

from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.client.errors import ConnectionFailed
from bridgehead.protocols.coap.client.transports import Ended, Received, UdpTransport, open_udp, where
from bridgehead.protocols.coap.codec.uri import Uri
from bridgehead.transport.dtls.client import DtlsClient
from bridgehead.transport.dtls.contract import DtlsError, DtlsIdentity, DtlsSettings, Failure, Rim
from bridgehead.wire.dtls.association import Association, Sink

# The server does not tell which it was, so that nobody can find out identities.
_WRONG_KEY: Final = (
    "; is this the pre-shared key of this identity, neither rotated nor revoked? After several wrong tries the hub "
    "waits before it looks again"
)
_NOT_ON_RECORD: Final = "; is this certificate or raw key on the device's record, neither rotated nor revoked?"


class _Sink(Sink):
    def __init__(self, received: Received, ended: Ended) -> None:
        self._received: Final = received
        self._ended: Final = ended

    def received(self, data: bytes) -> None:
        self._received(data)

    def ended(self, because: str) -> None:
        self._ended(because)


class DtlsTransport:
    """One DTLS session over a connected UDP socket."""

    def __init__(self, uri: Uri, identity: DtlsIdentity, received: Received, ended: Ended) -> None:
        """Errors: ConnectionFailed."""
        self._where: Final = where(uri)
        self._uri: Final = uri
        self._remedy: Final = _WRONG_KEY if identity.psk_identity else _NOT_ON_RECORD
        self._received: Final = received
        self._ended: Final = ended
        self._clock: Final = Clock(time.time())
        self._udp: UdpTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        rim = Rim(
            send=self._send_datagram,
            established=self._established,
            failed=self._failed,
            address_of=self._address_of,
            defer=self._defer,
            clock=self._clock,
            random=secrets.token_bytes,
        )
        try:
            self._dtls: Final = DtlsClient(identity, DtlsSettings(), rim, uri.host)
        except DtlsError as fault:
            raise ConnectionFailed(str(fault)) from None

    async def open(self) -> None:
        """The handshake. Errors: ConnectionFailed."""
        self._udp = await open_udp(self._uri, self._datagram, self._broken)
        self._clock.now = time.time()
        self._dtls.start()
        self._set_timer()
        await self._done

    def send(self, data: bytes) -> None:
        association = self._dtls.association
        if association is not None and not association.ended:
            self._send_datagram(b"", association.seal(data))

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._clock.now = time.time()
        self._dtls.close("the client is done")
        if self._udp is not None:
            await self._udp.close()

    def _send_datagram(self, path: bytes, data: bytes) -> None:
        if self._udp is not None:
            self._udp.send(data)

    def _datagram(self, data: bytes) -> None:
        self._clock.now = time.time()
        self._dtls.receive(data)
        self._set_timer()

    def _established(self, association: Association) -> None:
        association.sink = _Sink(self._received, self._over)
        if not self._done.done():
            self._done.set_result(None)

    def _failed(self, failure: Failure) -> None:
        self._broken(
            f"the DTLS handshake with {self._where} failed: {failure.because}{self._remedy if failure.refused else ''}"
        )

    def _broken(self, because: str) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionFailed(because))
        else:
            self._ended(because)

    def _over(self, because: str) -> None:
        self._ended(f"the DTLS session ended: {because}")

    def _address_of(self, path: bytes) -> str:
        return self._uri.host

    def _defer(self, call: Callable[[], None]) -> object:
        return asyncio.get_running_loop().call_soon(call)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._dtls.next_timeout()
        if due != NEVER:
            self._timer = asyncio.get_running_loop().call_later(max(due - time.time(), 0.0), self._due)

    def _due(self) -> None:
        self._timer = None
        self._clock.now = time.time()
        self._dtls.handle_timeout(self._clock.now)
        self._set_timer()
