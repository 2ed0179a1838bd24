"""The rim of EST: what answers its HTTP requests. The floor's only async file."""

from __future__ import annotations

from typing import Final, Protocol

from bridgehead.core.errors import BAD_CREDENTIALS, BUSY, NOT_AUTHORIZED, Refusal
from bridgehead.protocols.est.codec import body, target
from bridgehead.protocols.est.codec.attributes import CSR_ATTRIBUTES
from bridgehead.protocols.est.codec.target import Target
from bridgehead.protocols.est.config import EstConfig
from bridgehead.protocols.est.mapping import OK, RETRY_SECONDS, status_of
from bridgehead.transport.http import Headers, HttpServer, Reply, said
from bridgehead.transport.stream import Stream
from bridgehead.wire import http_basic
from bridgehead.wire.errors import PeerError
from bridgehead.wire.http import Request

_PKCS7: Final = b"application/pkcs7-mime; smime-type=certs-only"
_PKCS10: Final = b"application/pkcs10"


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


class EstServer:
    """Serves EST, revocation lists and OCSP on whatever streams it is given. What must not be overheard or changed on
    the way (EST) is refused on a plaintext listener; lists and OCSP responses are signed in themselves."""

    def __init__(self, config: EstConfig, answers: Answers) -> None:
        self.config: Final = config
        self._answers: Final = answers
        self._http: Final = HttpServer(config)
        self._answering = 0

    def __len__(self) -> int:
        """Open connections."""
        return len(self._http)

    def accept(self, stream: Stream) -> None:
        """Serve a new client, unless there are too many."""
        self._http.accept(stream, self._reply)

    async def stop(self) -> None:
        """End every connection; answers that are on their way are given up."""
        await self._http.stop()

    # ------------------------------------------------------------------------------------------------

    async def _reply(self, request: Request, stream: Stream) -> Reply:
        wanted = target.parse(request.target)
        if wanted.operation == target.NOTHING:
            return said(404, "there is nothing here: EST is at /.well-known/est/, lists at /crl/, OCSP at /ocsp")
        methods = target.METHODS[wanted.operation]
        if request.method not in methods:
            allowed = b", ".join(methods)
            return said(405, f"use {allowed.decode()}", [(b"allow", allowed)])
        if self._answering >= self.config.waiting:
            return _refused(Refusal(BUSY, "too many requests wait: come again later"))
        self._answering += 1
        try:
            return await self._ask(wanted, request, stream)
        except PeerError as fault:
            return said(fault.code or 400, fault.text)
        except Refusal as refusal:
            return _refused(refusal)
        finally:
            self._answering -= 1

    async def _ask(self, wanted: Target, request: Request, stream: Stream) -> Reply:
        answers = self._answers
        if wanted.operation == target.OCSP:
            if request.method == b"POST":
                der = await answers.ocsp(request.body)
            else:
                der = await answers.ocsp(wanted.argument)
            return Reply(OK, b"application/ocsp-response", der)
        if wanted.operation == target.REVOCATION_LIST:
            found = await answers.revocation_list(wanted.argument.decode("ascii"))
            if found is None:
                return said(404, "there is no such authority")
            return Reply(OK, b"application/pkix-crl", found)
        if stream.tls is None:
            raise Refusal(NOT_AUTHORIZED, "EST needs TLS (RFC 7030 section 3.3): use the https listener")
        if wanted.operation == target.CACERTS:
            return _pkcs7(await answers.authorities())
        if wanted.operation == target.CSR_ATTRIBUTES:
            return Reply(OK, b"application/csrattrs", body.encode(CSR_ATTRIBUTES))
        return await self._enroll(wanted.operation, request, stream)

    async def _enroll(self, operation: str, request: Request, stream: Stream) -> Reply:
        kind = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != _PKCS10:
            return said(415, "send the PKCS #10 request as application/pkcs10")
        certificate = None if stream.tls is None else stream.tls.peer_certificate
        if operation == target.SIMPLE_REENROLL:
            if certificate is None:
                raise Refusal(NOT_AUTHORIZED, "re-enrolment is proven by the device's present certificate, in TLS")
            return _pkcs7(await self._answers.reenroll(certificate, body.decode(request.body), stream.peer))
        named = http_basic.basic(request.headers.get(b"authorization", b""))
        if named is None:
            raise Refusal(BAD_CREDENTIALS, "send the device's name and its one-time token (HTTP Basic)")
        return _pkcs7(await self._answers.enroll(*named, body.decode(request.body), stream.peer))


def _pkcs7(der: bytes) -> Reply:
    return Reply(OK, _PKCS7, body.encode(der), [(b"content-transfer-encoding", b"base64")])


def _refused(refusal: Refusal) -> Reply:
    status = status_of(refusal.meaning)
    more: Headers = []
    if status == 401:
        more.append((b"www-authenticate", b'Basic realm="enrolment", charset="UTF-8"'))
    elif status in (429, 503):
        more.append((b"retry-after", str(RETRY_SECONDS).encode()))
    return said(status, refusal.because, more)
