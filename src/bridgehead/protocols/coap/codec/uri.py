"""CoAP URIs and the options that stand for them (RFC 7252 section 6, RFC 8323 section 8)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.wire.errors import Malformed

PORTS: Final = {
    "coap": 5683,
    "coaps": 5684,
    "coap+tcp": 5683,
    "coaps+tcp": 5684,
    "coap+ws": 80,
    "coaps+ws": 443,
}
WEBSOCKET_PATH: Final = "/.well-known/coap"  # RFC 8323 section 8.3

_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_SEGMENT: Final = frozenset((_UNRESERVED + "!$&'()*+,;=:@").encode())
_QUERY: Final = frozenset((_UNRESERVED + "!$'()*+,;=:@/?").encode())
_HOST: Final = frozenset((_UNRESERVED + "!$&'()*+,;=").encode())
_HEX: Final = b"0123456789ABCDEFabcdef"
_LONGEST: Final = 255


@mypyc_attr(acyclic=True)
class Uri:
    """A CoAP URI in its parts, decoded. An IPv6 `host` has no brackets. `path` and `query` hold one entry for
    each option."""

    def __init__(self, scheme: str, host: str, port: int, path: tuple[bytes, ...], query: tuple[bytes, ...]) -> None:
        self.scheme: Final = scheme
        self.host: Final = host
        self.port: Final = port
        self.path: Final = path
        self.query: Final = query

    @property
    def secured(self) -> bool:
        return self.scheme.startswith("coaps")

    def resource_options(self) -> tuple[Option, ...]:
        """Uri-Path and Uri-Query, which every request has."""
        path: list[Option] = [(option.URI_PATH, segment) for segment in self.path]
        query: list[Option] = [(option.URI_QUERY, argument) for argument in self.query]
        return (*path, *query)

    def options(self, host: str = "", port: int = -1) -> tuple[Option, ...]:
        """All options of a request for it that goes to `host` (an address) and `port` (RFC 7252 section 6.4)."""
        found = list(self.resource_options())
        if not is_address(self.host) or self.host != host:
            found.append((option.URI_HOST, _bracketed(self.host.partition("%")[0]).encode()))
        if self.port != port:
            found.append((option.URI_PORT, uint_value(self.port)))
        return in_order(found)

    def __str__(self) -> str:
        port = "" if self.port == PORTS.get(self.scheme) else f":{self.port}"
        host = _bracketed(self.host) if ":" in self.host else _quoted(self.host.encode(), _HOST)
        path = "".join(["/" + _quoted(segment, _SEGMENT) for segment in self.path]) or "/"
        query = "&".join([_quoted(argument, _QUERY) for argument in self.query])
        return f"{self.scheme}://{host}{port}{path}" + (f"?{query}" if self.query else "")


def parse_uri(text: str) -> Uri:
    """An absolute URI with one of CoAP's schemes (RFC 7252 section 6.4). Errors: Malformed, a sentence for people."""
    scheme, mark, rest = text.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in PORTS:
        raise _error(f"a CoAP URI begins with coap://, coaps:// or one of their forms over TCP and WebSocket: {text!r}")
    if "#" in rest:
        raise _error(f"a CoAP URI has no fragment: {text!r}")
    rest, mark, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise _error("a CoAP URI names no user before its host")
    host, port = _host_and_port(authority, PORTS[scheme], text)
    segments = _segments(path) if slash else ()
    arguments = tuple([_unquoted(each, "query") for each in query.split("&")]) if mark else ()
    for each in (*segments, *arguments):
        if len(each) > _LONGEST:
            raise _error(f"a path segment or query argument has {len(each)} octets, at most {_LONGEST} fit")
    return Uri(scheme, host, port, segments, arguments)


def uri_of(request: Message, scheme: str, host: str, port: int) -> Uri:
    """The URI that a request is for, which came to `host` and `port` (RFC 7252 section 6.5)."""
    named = request.first(option.URI_HOST)
    if named is not None:
        host = named.decode("utf-8", "replace").lower()
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
    port = request.uint(option.URI_PORT, port)
    return Uri(scheme, host, port, tuple(request.all(option.URI_PATH)), tuple(request.all(option.URI_QUERY)))


def location_of(response: Message) -> str:
    """Location-Path and Location-Query as a relative reference, "" without them (RFC 7252 section 5.10.7)."""
    path = "".join(["/" + _quoted(segment, _SEGMENT) for segment in response.all(option.LOCATION_PATH)])
    query = response.all(option.LOCATION_QUERY)
    return path + ("?" + "&".join([_quoted(each, _QUERY) for each in query]) if query else "")


def path_text(segments: list[bytes] | tuple[bytes, ...]) -> str:
    """Segments as a URI's path, percent-encoded, "/" for none."""
    return "".join(["/" + _quoted(segment, _SEGMENT) for segment in segments]) or "/"


def query_text(arguments: list[bytes] | tuple[bytes, ...]) -> str:
    """Arguments as a URI's query, percent-encoded, without the question mark."""
    return "&".join([_quoted(argument, _QUERY) for argument in arguments])


def is_address(host: str) -> bool:
    """An IPv6 or IPv4 address and no name."""
    if ":" in host:
        return True
    parts = host.split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not part.isascii() or not part.isdecimal() or len(part) > 3 or int(part) > 255:
            return False
    return True


def _host_and_port(authority: str, default: int, text: str) -> tuple[str, int]:
    if authority.startswith("["):
        host, mark, rest = authority[1:].partition("]")
        if not mark or ":" not in host or (rest and not rest.startswith(":")):
            raise _error(f"the IPv6 address in {text!r} is not of the form [2001:db8::1]")
        host = host.replace("%25", "%")  # RFC 6874: an interface, which stays on this machine
        port = rest[1:]
    else:
        host, _, port = authority.partition(":")
        host = _unquoted(host, "host").decode()
    if not host:
        raise _error(f"there is no host in {text!r}")
    if len(host.encode()) > _LONGEST:
        raise _error(f"a host has at most {_LONGEST} octets")
    if not port:
        return host.lower(), default
    if not port.isascii() or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65_536:
        raise _error(f"the port in {text!r} is not a number from 1 to 65535")
    return host.lower(), int(port)


def _segments(path: str) -> tuple[bytes, ...]:
    """The path without its first slash. Dot segments are resolved (RFC 3986 section 5.2.4)."""
    if not path:
        return ()  # RFC 7252 section 6.4, step 8: "/" is the same as nothing
    parts = path.split("/")
    found: list[bytes] = []
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "..":
            if found:
                found.pop()
            if last:
                found.append(b"")
        elif part == ".":
            if last:
                found.append(b"")
        else:
            octets = _unquoted(part, "path")
            if octets in (b".", b".."):
                raise _error("no path segment is . or .. in CoAP, percent-encoded or not")
            found.append(octets)
    return () if found == [b""] else tuple(found)


def _unquoted(text: str, where: str) -> bytes:
    """The octets of a component, percent-decoded and checked to be UTF-8."""
    octets = text.encode()
    if b"%" not in octets:
        return octets
    found = bytearray()
    at = 0
    while at < len(octets):
        octet = octets[at]
        if octet != 0x25:
            found.append(octet)
            at += 1
            continue
        digits = octets[at + 1 : at + 3]
        if len(digits) != 2 or digits[0] not in _HEX or digits[1] not in _HEX:
            raise _error(f"a % in the {where} is not followed by two hexadecimal digits: {text!r}")
        found.append(int(digits, 16))
        at += 3
    decoded = bytes(found)
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise _error(f"the {where} is not UTF-8: {text!r}") from None
    return decoded


def _quoted(octets: bytes, plain: frozenset[int]) -> str:
    parts: list[str] = []
    for octet in octets:
        parts.append(chr(octet) if octet in plain else f"%{octet:02X}")
    return "".join(parts)


def _bracketed(host: str) -> str:
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def _error(text: str) -> Malformed:
    return Malformed(text, codes.BAD_REQUEST, -1, "RFC7252-6")
