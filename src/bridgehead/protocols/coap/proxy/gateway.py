"""HTTP to CoAP (RFC 8075): an HTTP client reads, writes and observes CoAP resources, the hub's own and, where the
policy opens them, those of other servers."""

from __future__ import annotations

import asyncio
import base64
import json
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final, Protocol

from bridgehead.broker.door import Door
from bridgehead.core.clock import Clock
from bridgehead.core.errors import (
    BAD_CREDENTIALS,
    BUSY,
    NOT_AUTHORIZED,
    QUOTA_EXCEEDED,
    TOO_LARGE,
    UNAVAILABLE,
    Refusal,
)
from bridgehead.core.message import Origin
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, in_order
from bridgehead.protocols.coap.codec.uri import Uri, location_of, path_text
from bridgehead.protocols.coap.proxy.codes import METHODS, status_of
from bridgehead.protocols.coap.proxy.config import ProxySettings
from bridgehead.protocols.coap.proxy.headers import EVENT_STREAM, Unmappable, request_options, response_headers
from bridgehead.protocols.coap.proxy.inner import HttpExchange, HttpPeer
from bridgehead.protocols.coap.proxy.location import BASE, DISCOVERY, LINK, NoTarget, target_of
from bridgehead.protocols.coap.proxy.reach import Reach, strays, topic_of
from bridgehead.protocols.coap.session.contract import Handler, Party, Peer
from bridgehead.security.login.chain import DEFAULT, OAUTHBEARER, Chain
from bridgehead.security.login.proof import Credentials, Proven
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.transport.http import Headers, HttpServer, Reply, said
from bridgehead.transport.stream import Stream
from bridgehead.wire import http_basic
from bridgehead.wire.http import Request

_STATUS: Final = {
    BAD_CREDENTIALS: 401,
    NOT_AUTHORIZED: 403,
    TOO_LARGE: 413,
    QUOTA_EXCEEDED: 429,
    BUSY: 503,
    UNAVAILABLE: 503,
}
_REALM: Final = b'Basic realm="bridgehead", charset="UTF-8"'
# A browser shows what it gets as nothing else, and runs nothing of it: whoever publishes an image or a document may be
# somebody else than who reads it, and is not to act with the reader's credentials.
_HARMLESS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
_SECURED: Final = ("coap", "coaps", "coap+tcp", "coaps+tcp", "coap+ws", "coaps+ws")


class Exchanges(Protocol):
    """A SASL exchange under way. Errors: Refusal."""

    async def begin(self, initial: bytes | None) -> bytes | Proven: ...

    def close(self) -> None: ...


class Authenticates(Protocol):
    """What the proxy needs of the security room. Errors: Refusal; NotOffered of `exchange`."""

    async def authenticate(self, credentials: Credentials) -> Proven: ...

    def exchange(self, mechanism: str, credentials: Credentials) -> Exchanges: ...


class CoapServers(Protocol):
    """Asks other CoAP servers. `address` is where the host was found. Errors: OSError, TimeoutError."""

    async def ask(self, target: Uri, address: str, request: Message) -> Message: ...

    def observe(self, target: Uri, address: str, request: Message) -> AsyncIterator[Message]: ...


class Gateway:
    """Serves HTTP on whatever streams it is given. `site` answers for the hub's own resources, `servers`
    asks those of others."""

    def __init__(
        self,
        site: Handler,
        door: Door,
        authenticator: Authenticates,
        settings: ProxySettings,
        reach: Reach,
        servers: CoapServers,
        attach: Callable[[Peer], None],
        clock: Clock,
    ) -> None:
        """`attach`: from then on the end of its identity's right closes the peer. Errors of it: Refusal."""
        self._site: Final = site
        self._door: Final = door
        self._authenticator: Final = authenticator
        self._settings: Final = settings
        self._reach: Final = reach
        self._servers: Final = servers
        self._attach: Final = attach
        self._clock: Final = clock
        self._http: Final = HttpServer(settings)
        self._streams = 0
        self._streams_of: Final[dict[str, int]] = {}

    def __len__(self) -> int:
        """Open connections."""
        return len(self._http)

    def accept(self, stream: Stream, chain: Chain = DEFAULT) -> None:
        """Serve a new client, who may log in by `chain`."""
        self._http.accept(stream, partial(self._answer, chain))

    async def stop(self) -> None:
        await self._http.stop()

    async def _answer(self, chain: Chain, request: Request, stream: Stream) -> Reply:
        try:
            reply = await self._served(chain, request, stream)
        except (NoTarget, Unmappable) as fault:
            reply = said(fault.status, str(fault))
        except Refusal as refusal:
            reply = _refused(refusal)
        reply.headers.extend(_HARMLESS)
        return reply

    async def _served(self, chain: Chain, request: Request, stream: Stream) -> Reply:
        if request.target.partition(b"?")[0] == DISCOVERY.encode() and request.method in (b"GET", b"HEAD"):
            return Reply(200, b"application/link-format", LINK.encode())
        if _is_of_another_page(request.headers):
            return said(403, "a page of another origin asks: a browser's credentials are not for it")
        target = target_of(request.target)
        method = METHODS.get(request.method)
        if method is None:
            return said(501, "the proxy takes GET, HEAD, PUT, POST and DELETE")
        observing = request.method == b"GET" and EVENT_STREAM in request.headers.get(b"accept", b"").lower()
        options = request_options(
            {**request.headers, b"accept": b""} if observing else request.headers, bool(request.body)
        )
        peer = await self._peer(chain, request, stream)
        options += target.resource_options()
        if observing:
            options.append((numbers.OBSERVE, b""))
        asked = Message(method, in_order(options), request.body)
        if _names(target, request.headers.get(b"host", b"")):
            reply = await self._ask_here(peer, asked, observing)
        else:
            reply = await self._ask_there(peer, target, asked, observing)
        return reply

    # Who it is. -------------------------------------------------------------------------------------

    async def _peer(self, chain: Chain, request: Request, stream: Stream) -> HttpPeer:
        """Errors: Refusal."""
        proven = await self._proven(chain, request.headers.get(b"authorization", b""), stream)
        verified = stream.tls is not None or stream.peer.startswith("unix:")
        origin = Origin(proven.name, "https", verified, f"http {stream.peer}", stream.peer)
        party = Party(proven.principal, origin, proven.marks)
        return HttpPeer(party, stream.peer, self._settings.body_octets, proven.expires_at)

    async def _proven(self, chain: Chain, authorization: bytes, stream: Stream) -> Proven:
        tls = stream.tls
        certificate = None if tls is None else tls.peer_certificate
        scheme, _, rest = authorization.strip().partition(b" ")
        if scheme.lower() == b"bearer":
            return await self._by_token(chain, rest.strip(), stream, certificate)
        named = http_basic.basic(authorization)
        if authorization and named is None:
            raise Refusal(BAD_CREDENTIALS, "send HTTP Basic, a Bearer token, or a client certificate")
        if named is None and certificate is None:
            raise Refusal(BAD_CREDENTIALS, "no credentials: send HTTP Basic, a Bearer token, or a client certificate")
        name, password = (None, None) if named is None else (named[0], named[1].encode())
        return await self._authenticator.authenticate(
            Credentials(name, password, certificate, "", stream.peer, "https", chain)
        )

    async def _by_token(self, chain: Chain, token: bytes, stream: Stream, certificate: bytes | None) -> Proven:
        """RFC 6750, judged as OAUTHBEARER is (RFC 7628)."""
        binding = Binding(protected=True, certificate=certificate is not None)
        credentials = Credentials(None, None, certificate, "", stream.peer, "https", chain, binding)
        try:
            exchange = self._authenticator.exchange(OAUTHBEARER, credentials)
        except NotOffered:
            raise Refusal(BAD_CREDENTIALS, "this hub takes no tokens: configure a [[token_issuer]]") from None
        try:
            outcome = await exchange.begin(b"n,,\x01auth=Bearer " + token + b"\x01\x01")
        finally:
            exchange.close()
        if isinstance(outcome, bytes):
            raise Refusal(BAD_CREDENTIALS, "the token is not accepted")
        return outcome

    # The hub's own resources. -----------------------------------------------------------------------

    async def _ask_here(self, peer: HttpPeer, asked: Message, observing: bool) -> Reply:
        exchange = HttpExchange(peer, peer.owner, asked, self._settings.events)
        self._site.handle(exchange)
        try:
            async with asyncio.timeout(self._settings.answer_timeout):
                response = await exchange.response
        except TimeoutError:
            self._release(peer)
            return said(504, "the resource did not answer in time")
        except BaseException:
            self._release(peer)
            raise
        if not observing or not response.has(numbers.OBSERVE):
            self._release(peer)
            return reply_of(response)
        name = peer.owner.principal.name
        of_one = self._streams_of.get(name, 0)
        if self._streams >= self._settings.streams or of_one >= self._settings.streams_per_identity:
            self._release(peer)
            raise Refusal(BUSY, "as many streams are open as may be: close one, or come again later")
        return _stream_reply(self._events(name, peer, exchange, response))

    async def _events(self, name: str, peer: HttpPeer, exchange: HttpExchange, first: Message) -> AsyncIterator[bytes]:
        self._streams += 1
        self._streams_of[name] = self._streams_of.get(name, 0) + 1
        try:
            yield event_of(first)
            while not peer.gone:
                try:
                    async with asyncio.timeout(self._patience(peer)):
                        await peer.woken.wait()
                except TimeoutError:
                    if self._clock.now >= peer.expires_at:
                        return
                    yield b":\n\n"
                    continue
                for message in exchange.taken():
                    yield event_of(message)
                if exchange.over:
                    return
        finally:
            self._streams -= 1
            self._streams_of[name] -= 1
            if not self._streams_of[name]:
                del self._streams_of[name]
            self._release(peer)

    def _patience(self, peer: HttpPeer) -> float:
        """Seconds until a stream has to be looked at again."""
        return min(self._settings.keep_alive, max(0.0, peer.expires_at - self._clock.now))

    def _release(self, peer: HttpPeer) -> None:
        peer.gone = True
        self._site.forget(peer)

    # Other servers' resources. ----------------------------------------------------------------------

    async def _ask_there(self, peer: HttpPeer, target: Uri, asked: Message, observing: bool) -> Reply:
        party = peer.owner
        path = [segment.decode() for segment in target.path]
        if strays(path):
            return said(400, "a path segment is . or .., or leads there: write the path without them")
        topic = topic_of(target.scheme, target.host, target.port, path)
        publish = asked.code != codes.GET
        if publish:
            decision = self._door.permit_writing(party.principal, topic, party.origin, len(asked.payload))
        else:
            decision = self._door.permit(party.principal, topic, party.origin, False)
        deny = partial(self._door.deny, topic, party.origin, publish)
        with self._reach.under_way(party.principal.name):
            try:
                async with asyncio.timeout(self._settings.answer_timeout):
                    address = await self._reach.address_of(target.host, target.port, decision, deny)
                    if observing:
                        self._attach(peer)
                        return _stream_reply(
                            self._events_of(peer, topic, self._servers.observe(target, address, asked))
                        )
                    response = await self._servers.ask(target, address, asked)
            except TimeoutError:
                return said(504, f"{target.host} did not answer in time")
            except OSError:
                return said(502, f"{target.host} cannot be reached")
        return reply_of(response)

    async def _events_of(
        self, peer: HttpPeer, topic: str, notifications: AsyncIterator[Message]
    ) -> AsyncIterator[bytes]:
        party = peer.owner
        coming: asyncio.Future[Message | None] | None = None
        ended = asyncio.ensure_future(peer.woken.wait())
        try:
            with self._reach.under_way(party.principal.name):
                while True:
                    coming = coming or asyncio.ensure_future(_next(notifications))
                    await asyncio.wait((coming, ended), timeout=self._patience(peer), return_when=FIRST_COMPLETED)
                    if peer.gone or self._clock.now >= peer.expires_at:  # the identity's right has ended
                        return
                    self._door.permit(party.principal, topic, party.origin, False)  # as it is by now
                    if not coming.done():
                        yield b":\n\n"
                        continue
                    message, coming = coming.result(), None
                    if message is None:
                        return
                    yield event_of(message)
        except Refusal as refusal:
            yield event_of(Message(codes.FORBIDDEN, (), refusal.because.encode()))
        except (OSError, TimeoutError):
            yield b"event: error\ndata: 5.04 the CoAP server does not answer any more\n\n"
        finally:
            ended.cancel()
            if coming is not None:
                coming.cancel()  # and with it the connection to the server is closed
            self._release(peer)


async def _next(messages: AsyncIterator[Message]) -> Message | None:
    return await anext(messages, None)


def _is_of_another_page(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser says that a page of another origin made it ask: it adds the password or the certificate that
    its user once gave for this hub, of which that page knows nothing."""
    if headers.get(b"sec-fetch-site", b"none").strip().lower() not in (b"none", b"same-origin"):
        return True
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"://")[2].lower() != headers.get(b"host", b"").strip().lower()


def _names(target: Uri, host: bytes) -> bool:
    """Whether a target is on the hub that the HTTP client asked: the same host as in its Host field."""
    named = host.decode("latin-1").lower()
    name = named[1:].partition("]")[0] if named.startswith("[") else named.partition(":")[0]
    return target.host == name and target.scheme in _SECURED


def reply_of(response: Message) -> Reply:
    """The HTTP response for a CoAP response."""
    kind, more = response_headers(response)
    status = status_of(response.code, bool(response.payload))
    location = location_of(response)
    if location and status == 201:
        more.append((b"location", f"{BASE}{location}".encode()))
    return Reply(status, kind, b"" if status in (204, 304) else response.payload, more)


def event_of(message: Message) -> bytes:
    """A server-sent event (WHATWG HTML section 9.2.6): `id` is Observe's sequence number, `data` the payload. Of a
    stream of several topics `data` is a JSON object with the resource's `path` and `text` or `base64`. What is no UTF-8
    comes in base64, as event "octets"; what ends the observation as event "error", with its code."""
    lines: list[str] = []
    sequence = message.uint(numbers.OBSERVE)
    if sequence >= 0:
        lines.append(f"id: {sequence}")
    try:
        text, form = message.payload.decode("utf-8"), "text"
    except UnicodeDecodeError:
        text, form = base64.b64encode(message.payload).decode("ascii"), "base64"
    if message.code >> 5 != 2:
        lines.append("event: error")
        text = f"{codes.dotted(message.code)} {text}".rstrip()
    elif message.has(numbers.LOCATION_PATH):
        text = json.dumps({"path": path_text(message.all(numbers.LOCATION_PATH)), form: text})
    elif form == "base64":
        lines.append("event: octets")
    lines += [f"data: {line}" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def _stream_reply(parts: AsyncIterator[bytes]) -> Reply:
    return Reply(200, EVENT_STREAM, b"", [(b"cache-control", b"no-cache")], parts)


def _refused(refusal: Refusal) -> Reply:
    status = _STATUS.get(refusal.meaning, 400)
    more: Headers = []
    if status == 401:
        more.append((b"www-authenticate", _REALM))
    elif status in (429, 503):
        more.append((b"retry-after", b"5"))
    return said(status, refusal.because, more)
