"""The rim of EST: joins streams, HTTP connections and what answers. The floor's only async file."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final, Protocol

from bridgehead.core.errors import BAD_CREDENTIALS, BUSY, NOT_AUTHORIZED, Refusal
from bridgehead.protocols.est.codec import authorization, body, target
from bridgehead.protocols.est.codec.attributes import CSR_ATTRIBUTES
from bridgehead.protocols.est.codec.target import Target
from bridgehead.protocols.est.config import EstConfig
from bridgehead.protocols.est.mapping import OK, RETRY_SECONDS, status_of
from bridgehead.protocols.est.session.http import ANSWERING, WAITING, HttpConnection, Request
from bridgehead.transport.address import network_of
from bridgehead.transport.stream import Stream
from bridgehead.wire.errors import PeerError

_TICK: Final = 0.5  # seconds between two looks at the deadlines
_PKCS7: Final = b"application/pkcs7-mime; smime-type=certs-only"
_PKCS10: Final = b"application/pkcs10"
_TEXT: Final = b"text/plain; charset=utf-8"

Headers = list[tuple[bytes, bytes]]


class Answers(Protocol):
    """What the server needs of the security room. Each may take a while. Errors: Refusal."""

    async def authorities(self) -> bytes:
        """The certificates that clients trust, as DER of a certs-only PKCS #7."""
        ...

    async def enroll(self, name: str, token: str, request: bytes, address: str) -> bytes:
        """A certificate (certs-only PKCS #7) for the DER PKCS #10 `request` of an invited device."""
        ...

    async def reenroll(self, certificate: bytes, request: bytes, address: str) -> bytes:
        """Another one for the device that has proven itself by `certificate` (DER)."""
        ...

    async def revocation_list(self, authority: str) -> bytes | None:
        """DER; None: no such authority."""
        ...

    async def ocsp(self, request: bytes) -> bytes:
        """A DER OCSPResponse to any octets."""
        ...


class _Reply:
    def __init__(self, status: int, kind: bytes, content: bytes, more: Headers | None = None) -> None:
        self.status: Final = status
        self.headers: Final[Headers] = [(b"content-type", kind), *(more or [])]
        self.content: Final = content


class _Link:
    """One client."""

    def __init__(self, server: EstServer, stream: Stream, http: HttpConnection) -> None:
        self._server: Final = server
        self.stream: Final = stream
        self.http: Final = http
        self.network: Final = network_of(stream.peer)
        self.task: asyncio.Task[None] | None = None
        self.full_since = 0.0  # when its output began to wait; 0.0: none does

    def on_data(self, data: bytes) -> None:
        self.http.receive(data, monotonic())
        self._server.look(self)

    def on_end(self, _because: str) -> None:
        self._server.forget(self)

    def on_drain(self) -> None:
        self.full_since = 0.0
        self._server.look(self)
        if self.http.state == WAITING:
            self.stream.resume()


class EstServer:
    """Serves EST, revocation lists and OCSP on whatever streams it is given. What must not be overheard or changed on
    the way (EST) is refused on a plaintext listener; lists and OCSP responses are signed in themselves."""

    def __init__(self, config: EstConfig, answers: Answers) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self.config: Final = config
        self._answers: Final = answers
        self._links: Final[set[_Link]] = set()
        self._by_network: Final[dict[str, int]] = {}
        self._answering = 0
        self._tick: asyncio.TimerHandle | None = self._loop.call_later(_TICK, self._on_tick)

    def __len__(self) -> int:
        """Open connections."""
        return len(self._links)

    def accept(self, stream: Stream) -> None:
        """Serve a new client, unless there are too many."""
        link = _Link(self, stream, HttpConnection(self.config, monotonic() - stream.spent))
        here = self._by_network.get(link.network, 0)
        if len(self._links) >= self.config.connections or here >= self.config.connections_per_address:
            stream.close()
            return
        self._by_network[link.network] = here + 1
        self._links.add(link)
        stream.start(link.on_data, link.on_end, link.on_drain)

    def forget(self, link: _Link) -> None:
        if link not in self._links:
            return
        self._links.discard(link)
        left = self._by_network[link.network] - 1
        if left:
            self._by_network[link.network] = left
        else:
            del self._by_network[link.network]
        if link.task is not None:
            link.task.cancel()

    async def stop(self) -> None:
        """End every connection; answers that are on their way are given up."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        tasks = [link.task for link in self._links if link.task is not None]
        for link in list(self._links):
            link.stream.close()
            self.forget(link)
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------------------------------------

    def look(self, link: _Link) -> None:
        """Send what there is, and answer a request that is there."""
        data = link.http.to_send()
        if data:
            link.stream.send(data)
            if link.stream.pending:  # nothing more is read, nor answered, before this has gone
                link.full_since = link.full_since or monotonic()
                link.stream.pause()
        if link.http.close:
            link.stream.close()
        elif link.http.state == ANSWERING and link.task is None and not link.full_since:
            link.stream.pause()
            link.task = self._loop.create_task(self._answer(link))

    async def _answer(self, link: _Link) -> None:
        request = link.http.request
        assert request is not None
        try:
            reply = await self._reply(request, link.stream)
        finally:
            link.task = None
        link.http.respond(reply.status, reply.headers, reply.content, monotonic())
        self.look(link)
        if link.http.state == WAITING and not link.full_since:
            link.stream.resume()

    async def _reply(self, request: Request, stream: Stream) -> _Reply:
        wanted = target.parse(request.target)
        if wanted.operation == target.NOTHING:
            return _said(404, "there is nothing here: EST is at /.well-known/est/, lists at /crl/, OCSP at /ocsp")
        methods = target.METHODS[wanted.operation]
        if request.method not in methods:
            allowed = b", ".join(methods)
            return _said(405, f"use {allowed.decode()}", [(b"allow", allowed)])
        if self._answering >= self.config.waiting:
            return _refused(Refusal(BUSY, "too many requests wait: come again later"))
        self._answering += 1
        try:
            return await self._ask(wanted, request, stream)
        except PeerError as fault:
            return _said(fault.code or 400, fault.text)
        except Refusal as refusal:
            return _refused(refusal)
        finally:
            self._answering -= 1

    async def _ask(self, wanted: Target, request: Request, stream: Stream) -> _Reply:
        answers = self._answers
        if wanted.operation == target.OCSP:
            if request.method == b"POST":
                der = await answers.ocsp(request.body)
            else:
                der = await answers.ocsp(wanted.argument)
            return _Reply(OK, b"application/ocsp-response", der)
        if wanted.operation == target.REVOCATION_LIST:
            found = await answers.revocation_list(wanted.argument.decode("ascii"))
            if found is None:
                return _said(404, "there is no such authority")
            return _Reply(OK, b"application/pkix-crl", found)
        if stream.tls is None:
            raise Refusal(NOT_AUTHORIZED, "EST needs TLS (RFC 7030 section 3.3): use the https listener")
        if wanted.operation == target.CACERTS:
            return _pkcs7(await answers.authorities())
        if wanted.operation == target.CSR_ATTRIBUTES:
            return _Reply(OK, b"application/csrattrs", body.encode(CSR_ATTRIBUTES))
        return await self._enroll(wanted.operation, request, stream)

    async def _enroll(self, operation: str, request: Request, stream: Stream) -> _Reply:
        kind = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != _PKCS10:
            return _said(415, "send the PKCS #10 request as application/pkcs10")
        certificate = None if stream.tls is None else stream.tls.peer_certificate
        if operation == target.SIMPLE_REENROLL:
            if certificate is None:
                raise Refusal(NOT_AUTHORIZED, "re-enrolment is proven by the device's present certificate, in TLS")
            return _pkcs7(await self._answers.reenroll(certificate, body.decode(request.body), stream.peer))
        named = authorization.basic(request.headers.get(b"authorization", b""))
        if named is None:
            raise Refusal(BAD_CREDENTIALS, "send the device's name and its one-time token (HTTP Basic)")
        return _pkcs7(await self._answers.enroll(*named, body.decode(request.body), stream.peer))

    def _on_tick(self) -> None:
        self._tick = self._loop.call_later(_TICK, self._on_tick)
        now = monotonic()
        for link in list(self._links):
            if link.full_since and now - link.full_since > self.config.request_timeout:
                link.stream.abort()  # it does not take its answer
            elif link.http.next_timeout() <= now:
                link.http.handle_timeout(now)
                self.look(link)


def _pkcs7(der: bytes) -> _Reply:
    return _Reply(OK, _PKCS7, body.encode(der), [(b"content-transfer-encoding", b"base64")])


def _said(status: int, sentence: str, more: Headers | None = None) -> _Reply:
    return _Reply(status, _TEXT, sentence.encode() + b"\n", more)


def _refused(refusal: Refusal) -> _Reply:
    status = status_of(refusal.meaning)
    more: Headers = []
    if status == 401:
        more.append((b"www-authenticate", b'Basic realm="enrolment", charset="UTF-8"'))
    elif status in (429, 503):
        more.append((b"retry-after", str(RETRY_SECONDS).encode()))
    return _said(status, refusal.because, more)
