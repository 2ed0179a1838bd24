"""EST, revocation lists and OCSP as the node serves them: signing goes on in threads of its own, guessing is braked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from bridgehead.core.errors import (
    BAD_CREDENTIALS,
    NOT_AUTHORIZED,
    PAYLOAD_FORMAT_INVALID,
    QUOTA_EXCEEDED,
    UNAVAILABLE,
    Refusal,
)
from bridgehead.node.configuration import Config
from bridgehead.node.log import EventLog
from bridgehead.protocols.est.config import EstConfig
from bridgehead.protocols.est.server import EstServer
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.events import ENROLMENT_REFUSED
from bridgehead.security.identity import enrolment
from bridgehead.security.identity.enrolment import NotProven
from bridgehead.security.identity.identity import Identity
from bridgehead.security.login.brake import Brake, BrakeLimits, address_key
from bridgehead.security.pki import IssuedCertificate, Pki
from bridgehead.security.pki.certificates import fingerprint
from bridgehead.security.pki.ocsp import Responder, Staple
from bridgehead.security.records import is_name
from bridgehead.transport.stream import Stream

_THREADS: Final = 2
_TELL_SECONDS: Final = 30.0
_Result = TypeVar("_Result")


class Https:
    """One server for all listeners with `protocol = "est"`, and the response that handshakes staple."""

    def __init__(self, config: Config, pki: Pki, log: EventLog, clock: Callable[[], float]) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._data: Final = config.data
        self._pki: Final = pki
        self._log: Final = log
        self._clock: Final = clock
        self._threads: Final = ThreadPoolExecutor(_THREADS, "est")
        self._by_name: Final = Brake(BrakeLimits(free=5))
        self._by_address: Final = Brake(BrakeLimits(free=20))
        self._responder: Final = Responder(pki)
        self.staple: Final = Staple(pki, self._responder, clock)
        self._server: Final = EstServer(EstConfig(), self)

    def accept(self, stream: Stream) -> None:
        self._server.accept(stream)

    async def stop(self) -> None:
        await self._server.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # What the server asks for. ----------------------------------------------------------------------

    async def authorities(self) -> bytes:
        return await self._run(lambda: enrolment.authorities(self._pki))

    async def revocation_list(self, authority: str) -> bytes | None:
        return await self._run(lambda: self._pki.revocation_list(authority))

    async def ocsp(self, request: bytes) -> bytes:
        now = self._clock()
        return await self._run(lambda: self._responder.respond(request, now))

    async def enroll(self, name: str, token: str, request: bytes, address: str) -> bytes:
        claimed = name if is_name(name) else ""
        from_here = address_key(address)
        brakes = [(self._by_name, f"{from_here} {claimed}"), (self._by_address, from_here)]
        return await self._signed(
            claimed, address, brakes, lambda act: enrolment.simple_enroll(act, name, token, request)
        )

    async def reenroll(self, certificate: bytes, request: bytes, address: str) -> bytes:
        # A certificate is no guess: a disabled device that goes on asking must not keep its neighbours out.
        brakes = [(self._by_name, f"{address_key(address)} {fingerprint(certificate)}")]
        return await self._signed(
            "", address, brakes, lambda act: enrolment.simple_reenroll(act, certificate, request), NOT_AUTHORIZED
        )

    # ------------------------------------------------------------------------------------------------

    async def _signed(
        self,
        claimed: str,
        address: str,
        brakes: list[tuple[Brake, str]],
        act: Callable[[Identity], IssuedCertificate],
        unproven: str = BAD_CREDENTIALS,
    ) -> bytes:
        """A certificate, or a refusal that is told, and counted by `brakes` (with their keys, the first is the
        narrowest) when nothing was proven."""
        now = self._clock()
        wait = max(brake.wait(key, now) for brake, key in brakes)
        if wait > 0:
            self._refused(claimed, address, f"too many wrong tries: not looked at for another {wait:.0f} s", True)
            raise Refusal(QUOTA_EXCEEDED, "too many wrong tries from this address: wait")
        try:
            issued = await self._run(lambda: self._with_identity(act))
        except NotProven as fault:
            for brake, key in brakes:
                brake.failed(key, self._clock())
            self._refused(claimed, address, str(fault))
            raise Refusal(unproven, str(fault)) from None
        except NotAcceptable as fault:
            self._refused(claimed, address, str(fault))
            raise Refusal(PAYLOAD_FORMAT_INVALID, str(fault)) from None
        narrowest, key = brakes[0]
        narrowest.succeeded(key)
        # RFC 7030 4.2.3: it contains only the certificate that was issued. The hub knows what stands above it.
        return enrolment.certs_only(issued.certificate)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await self._loop.run_in_executor(self._threads, work)
        except NotAcceptable:
            raise
        except SecurityError as fault:
            self._refused("", "", str(fault))
            raise Refusal(UNAVAILABLE, "the hub cannot sign just now: come again later") from None

    def _with_identity(self, act: Callable[[Identity], _Result]) -> _Result:
        """In a thread: a registry's connection belongs to its thread."""
        identity = Identity(self._data, self._clock, self._tell)
        try:
            return act(identity)
        finally:
            identity.close()

    def _tell(self, event: str, fields: Mapping[str, str | int | float | bool]) -> None:
        """From a thread: the log belongs to the loop. The act waits until it is recorded."""

        async def tell() -> None:
            self._log(event, fields)

        asyncio.run_coroutine_threadsafe(tell(), self._loop).result(_TELL_SECONDS)
        if not self._log.is_audited(_TELL_SECONDS):
            raise SecurityError("the act cannot be recorded in the audit log, so it is not done")

    def _refused(self, claimed: str, address: str, because: str, braked: bool = False) -> None:
        fields = {"claimed": claimed, "because": because, "braked": braked, "address": address}
        self._log(ENROLMENT_REFUSED, fields)
