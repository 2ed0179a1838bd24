"""CoAP to HTTP (RFC 7252 section 10.1): a request with Proxy-Uri or Proxy-Scheme for an http or https resource."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import httpx

from bridgehead.broker.door import Door
from bridgehead.core.errors import BUSY, NAME_INVALID, NOT_AUTHORIZED, QUOTA_EXCEEDED, TOO_LARGE, Refusal
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.proxy.codes import NAMES, code_of
from bridgehead.protocols.coap.proxy.config import ProxySettings
from bridgehead.protocols.coap.proxy.headers import etag_of, http_headers, response_options
from bridgehead.protocols.coap.proxy.reach import Reach, host_of, strays, topic_of
from bridgehead.protocols.coap.session.contract import Exchange, Handler
from bridgehead.protocols.coap.session.replies import refused

_PORTS: Final = {"http": 80, "https": 443}
_REFUSED: Final = {
    NOT_AUTHORIZED: codes.FORBIDDEN,
    BUSY: codes.SERVICE_UNAVAILABLE,
    NAME_INVALID: codes.BAD_REQUEST,
}


class HttpTarget:
    """An http or https URI in its parts. `path` is decoded, `raw` is path and query as they go out."""

    def __init__(self, scheme: str, host: str, port: int, path: list[str], raw: str) -> None:
        self.scheme: Final = scheme
        self.host: Final = host
        self.port: Final = port
        self.path: Final = path
        self.raw: Final = raw

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class Unproxied(Exception):
    """The request is answered with `code` and the text."""

    def __init__(self, code: int, because: str) -> None:
        super().__init__(because)
        self.code: Final = code


def target_of(request: Message) -> HttpTarget:
    """Errors: Unproxied."""
    named = request.first(numbers.PROXY_URI)
    if named is not None:
        return _from_uri(named)
    scheme = (request.first(numbers.PROXY_SCHEME) or b"").decode("utf-8", "replace").lower()
    if scheme not in _PORTS:
        raise Unproxied(codes.PROXYING_NOT_SUPPORTED, f"the proxy speaks http and https, not {scheme[:20]!r}")
    host = request.first(numbers.URI_HOST)
    if host is None:
        raise Unproxied(codes.BAD_REQUEST, "name the HTTP server by Uri-Host")
    port = request.uint(numbers.URI_PORT, _PORTS[scheme])
    path = [segment.decode("utf-8", "replace") for segment in request.all(numbers.URI_PATH)]
    _stay(path)
    arguments = [
        quote(each.decode("utf-8", "replace"), safe="=!$'()*+,;:@/?-._~") for each in request.all(numbers.URI_QUERY)
    ]
    raw = "/" + "/".join(quote(segment, safe="!$&'()*+,;=:@-._~") for segment in path)
    return HttpTarget(
        scheme,
        host_of(host.decode("utf-8", "replace").strip("[]")),
        port,
        path,
        raw + ("?" + "&".join(arguments) if arguments else ""),
    )


def _from_uri(named: bytes) -> HttpTarget:
    try:
        parts = urlsplit(named.decode("utf-8"))
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        raise Unproxied(codes.BAD_OPTION, "Proxy-Uri is no URI") from None
    if scheme not in _PORTS:
        raise Unproxied(codes.PROXYING_NOT_SUPPORTED, f"the proxy speaks http and https, not {scheme[:20]!r}")
    if not host or parts.username is not None or parts.fragment:
        raise Unproxied(codes.BAD_OPTION, "Proxy-Uri names a host, no user and no fragment")
    path = parts.path or "/"
    segments = [unquote(segment) for segment in path.split("/")[1:]]
    _stay(segments)
    raw = quote(path, safe="/%!$&'()*+,;=:@-._~")
    if parts.query:
        raw += "?" + quote(parts.query, safe="/%?=!$&'()*+,;:@-._~")
    return HttpTarget(scheme, host_of(host), port or _PORTS[scheme], [] if path == "/" else segments, raw)


def _stay(segments: list[str]) -> None:
    """Errors: Unproxied."""
    if strays(segments):
        raise Unproxied(codes.BAD_OPTION, "a path segment is . or .., or leads there: write the path without them")


class ToHttp(Handler):
    """Forwards what `topic_of` and the policy permit. Nothing is cached, no redirection followed, no cookie kept."""

    def __init__(self, door: Door, settings: ProxySettings, reach: Reach, trust: str = "") -> None:
        """`trust`: a PEM file of authorities for https servers, "" for the system's."""
        super().__init__()
        self._door: Final = door
        self._settings: Final = settings
        self._reach: Final = reach
        self._verify: Final = httpx.create_ssl_context(verify=trust or True)
        self._client: httpx.AsyncClient | None = None
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def handle(self, exchange: Exchange) -> None:
        if exchange.multicast:
            return  # RFC 7252 section 8.2: whoever asks a group hears nothing of errors
        task = asyncio.get_running_loop().create_task(self._handle(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, exchange: Exchange) -> None:
        try:
            response = await self._forwarded(exchange)
        except Unproxied as fault:
            response = Message(fault.code, (), str(fault).encode())
        except Refusal as refusal:
            if refusal.meaning in (QUOTA_EXCEEDED, TOO_LARGE):
                response = refused(refusal)  # the hub's own, with when to come again
            else:
                code = _REFUSED.get(refusal.meaning, codes.BAD_GATEWAY)
                response = Message(code, (), refusal.because.encode())
        if not exchange.peer.gone:
            exchange.respond(response)

    async def _forwarded(self, exchange: Exchange) -> Message:
        """Errors: Unproxied, Refusal."""
        request, party = exchange.request, exchange.party
        if party is None:
            raise Unproxied(codes.UNAUTHORIZED, "the proxy serves devices that have proven who they are")
        method = NAMES.get(request.code)
        if method is None:
            raise Unproxied(codes.METHOD_NOT_ALLOWED, "the proxy takes GET, PUT, POST and DELETE")
        target = target_of(request)
        limit = request.uint(numbers.HOP_LIMIT, 16)
        if limit <= 1:
            raise Unproxied(codes.HOP_LIMIT_REACHED, "bridgehead")  # RFC 8768 section 3
        topic = topic_of(target.scheme, target.host, target.port, target.path)
        publish = request.code != codes.GET
        if publish:
            decision = self._door.permit_writing(party.principal, topic, party.origin, len(request.payload))
        else:
            decision = self._door.permit(party.principal, topic, party.origin, False)
        deny = partial(self._door.deny, topic, party.origin, publish)
        with self._reach.under_way(party.principal.name):
            try:
                async with asyncio.timeout(self._settings.answer_timeout):
                    address = await self._reach.address_of(target.host, target.port, decision, deny)
                    return await self._ask(request, method, target, address)
            except (TimeoutError, httpx.TimeoutException):
                raise Unproxied(codes.GATEWAY_TIMEOUT, f"{target.host} did not answer in time") from None
            except httpx.HTTPError as fault:
                raise Unproxied(codes.BAD_GATEWAY, f"{target.host}: {type(fault).__name__}") from None

    async def _ask(self, request: Message, method: str, target: HttpTarget, address: str) -> Message:
        headers = http_headers(request)
        matches = [tag for tag in request.all(numbers.IF_MATCH) if tag]
        if matches:
            head = await self._send("HEAD", target, address, dict(headers), b"")
            tag = head[1].get("etag", "")
            if not tag or etag_of(tag) not in matches:
                return Message(codes.PRECONDITION_FAILED)
            headers["if-match"] = tag
        status, answered, content = await self._send(method, target, address, headers, request.payload)
        if status >= 300 and status < 400 and status != 304:
            raise Unproxied(codes.BAD_GATEWAY, f"{target.host} sends the client elsewhere: ask there")
        options: list[Option] = response_options(answered, bool(content))
        code = code_of(request.code, status)
        if code == codes.CONTENT:
            for number, value in options:
                if number == numbers.ETAG and value in request.all(numbers.ETAG):
                    kept = [each for each in options if each[0] in (numbers.ETAG, numbers.MAX_AGE)]
                    return Message(codes.VALID, in_order(kept))  # RFC 7252 section 5.6.2
        if code in (codes.SERVICE_UNAVAILABLE, codes.TOO_MANY_REQUESTS) and "retry-after" not in answered:
            options.append((numbers.MAX_AGE, uint_value(30)))
        return Message(code, in_order(options), content)

    async def _send(
        self, method: str, target: HttpTarget, address: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, header fields with small letters, and the body. It goes to `address`, whatever the host's name says
        now; the certificate is still the name's."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=self._verify,
                follow_redirects=False,
                trust_env=False,
                timeout=self._settings.answer_timeout,
                # A connection is known by its address: kept, it would serve another name that leads there, whose
                # certificate nobody looked at.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            )
        literal = f"[{address}]" if ":" in address else address
        url = httpx.URL(f"{target.scheme}://{literal}:{target.port}{target.raw}")
        asked = self._client.build_request(
            method,
            url,
            headers={"host": target.authority, **headers},
            content=body or None,
            extensions={"sni_hostname": target.host},
        )
        response = await self._client.send(asked, stream=True)
        try:
            parts: list[bytes] = []
            length = 0
            async for part in response.aiter_raw():
                length += len(part)
                if length > self._settings.body_octets:
                    raise Unproxied(codes.BAD_GATEWAY, f"the answer is larger than {self._settings.body_octets} octets")
                parts.append(part)
        finally:
            await response.aclose()
        self._client.cookies.clear()
        return response.status_code, {name.lower(): value for name, value in response.headers.items()}, b"".join(parts)
