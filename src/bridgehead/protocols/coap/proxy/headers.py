"""Options and HTTP header fields, both ways (RFC 7252 section 10, RFC 8075 sections 6 and 8)."""

from __future__ import annotations

import hashlib
from typing import Final

from bridgehead.protocols.coap.codec import numbers
from bridgehead.protocols.coap.codec.content_formats import JSON as JSON_FORMAT
from bridgehead.protocols.coap.codec.content_formats import LARGEST, OCTETS, TEXT, XML, content_format, media_type
from bridgehead.protocols.coap.codec.message import Message, Option, uint_value

Headers = list[tuple[bytes, bytes]]

EVENT_STREAM: Final = b"text/event-stream"
_GENERIC: Final = "application/coap-payload;cf="  # RFC 8075 section 6.2
_LONGEST_ETAG: Final = 8
_DIGITS: Final = frozenset("0123456789abcdef")
_MAX_AGE: Final = 60  # RFC 7252 section 5.10.5
_LONGEST_MAX_AGE: Final = 0xFFFFFFFF


class Unmappable(Exception):
    """A header field that CoAP has no option for, though it must not be ignored. `status` is the HTTP answer."""

    def __init__(self, status: int, because: str) -> None:
        super().__init__(because)
        self.status: Final = status


# HTTP to CoAP. ----------------------------------------------------------------------------------------


def request_options(headers: dict[bytes, bytes], has_body: bool) -> list[Option]:
    """The options for what an HTTP request says beside its target. Errors: Unmappable."""
    found: list[Option] = []
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    if has_body and coding != b"identity":
        raise Unmappable(415, "send the body without Content-Encoding: CoAP has none")
    if b"content-range" in headers:
        raise Unmappable(400, "CoAP knows no Content-Range: send the whole body")
    if has_body and b"content-type" in headers:
        found.append((numbers.CONTENT_FORMAT, uint_value(format_of(headers[b"content-type"].decode("latin-1")))))
    accepted = accept_of(headers.get(b"accept", b""))
    if accepted >= 0:
        found.append((numbers.ACCEPT, uint_value(accepted)))
    wanted = _tags(headers.get(b"if-match", b""))
    matching = [(numbers.IF_MATCH, b"" if tag == "*" else _octets(tag)) for tag in wanted if tag == "*" or _octets(tag)]
    if wanted and not matching:
        # An empty If-Match would stand for any ETag (RFC 7252 section 5.10.8.1), and these can hold for none.
        raise Unmappable(412, "no resource has such an entity-tag: CoAP's have 1 to 8 octets in hexadecimal digits")
    found += matching
    for tag in _tags(headers.get(b"if-none-match", b"")):
        if tag == "*":
            found.append((numbers.IF_NONE_MATCH, b""))
        elif (octets := _octets(tag)) and not has_body:
            found.append((numbers.ETAG, octets))  # RFC 7252 section 5.10.6.2: a stored response may hold still
    return found


def format_of(media: str) -> int:
    """The Content-Format of a media type; where it has none the nearest that is still true of the octets (RFC 8075
    section 6.3). Errors: Unmappable (415)."""
    exact = content_format(media)
    if exact >= 0:
        return exact
    kind, _, parameters = media.partition(";")
    kind = kind.strip().lower()
    if kind == _GENERIC.partition(";")[0]:
        number = parameters.strip().removeprefix("cf=")
        if number.isascii() and number.isdecimal() and int(number) <= LARGEST:
            return int(number)
        raise Unmappable(415, "application/coap-payload needs cf=, the number of its Content-Format")
    plain = content_format(kind)
    if plain >= 0 and plain != TEXT:
        return plain
    if kind.startswith("text/") and _is_utf8(parameters):
        return TEXT
    if kind.endswith("+xml"):
        return XML
    if kind.endswith("+json"):
        return JSON_FORMAT
    if "/" in kind and not kind.startswith("text/"):
        return OCTETS
    raise Unmappable(415, f"CoAP has no Content-Format for {kind[:60] or 'an empty media type'!r}")


def _is_utf8(parameters: str) -> bool:
    for each in parameters.lower().split(";"):
        name, _, value = each.partition("=")
        if name.strip() == "charset":
            return value.strip().strip('"') in ("utf-8", "utf8", "us-ascii")
    return True


def accept_of(accept: bytes) -> int:
    """The Content-Format that Accept prefers, -1 for any: CoAP can name one only (RFC 8075 section 6.1)."""
    best, number = 0.0, -1
    for each in accept.decode("latin-1").split(","):
        media, _, rest = each.partition(";")
        quality = 1.0
        kept: list[str] = []
        for parameter in rest.split(";") if rest else ():
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                quality = _quality(value)
            else:
                kept.append(parameter)
        whole = ";".join([media.strip(), *kept])
        known = -1
        if "*" not in whole:
            try:
                known = format_of(whole) if whole.startswith(_GENERIC.partition(";")[0]) else content_format(whole)
            except Unmappable:
                continue
        elif media.strip() == "*/*" and quality >= best:
            best, number = quality, -1
        if known >= 0 and quality > best:
            best, number = quality, known
    return number


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0


def _tags(field: bytes) -> list[str]:
    """The entity-tags of If-Match or If-None-Match. A weak one counts as what it is about."""
    return [each.strip().removeprefix("W/") for each in field.decode("latin-1").split(",") if each.strip()]


def _octets(tag: str) -> bytes:
    """The ETag that we once wrote as this entity-tag; of somebody else's no octets."""
    text = tag.strip('"')
    if len(text) > 2 * _LONGEST_ETAG or len(text) % 2 or not set(text) <= _DIGITS:
        return b""
    return bytes.fromhex(text)


def response_headers(response: Message) -> tuple[bytes, Headers]:
    """Content-Type ("" without a body), and the other fields of the HTTP response."""
    kind = b""
    if response.payload:
        number = response.uint(numbers.CONTENT_FORMAT)
        if number >= 0:
            kind = (media_type(number) or f"{_GENERIC}{number}").encode()
        elif response.code >> 5 != 2:
            kind = b"text/plain; charset=utf-8"  # RFC 7252 section 5.5.2: a diagnostic
        else:
            kind = b"application/octet-stream"
    more: Headers = []
    tag = response.first(numbers.ETAG)
    if tag is not None:
        more.append((b"etag", f'"{tag.hex()}"'.encode()))
    age = response.uint(numbers.MAX_AGE, _MAX_AGE)
    if response.code >> 5 == 2:
        more.append((b"cache-control", f"private, max-age={age}".encode()))
    elif response.has(numbers.MAX_AGE):
        more.append((b"retry-after", str(age).encode()))
    return kind, more


# CoAP to HTTP. ----------------------------------------------------------------------------------------


def http_headers(request: Message) -> dict[str, str]:
    """The header fields for what a CoAP request says beside its target. ETag is not among them: its octets are a
    digest of the server's entity-tag, and are compared when the answer is there."""
    found: dict[str, str] = {"accept-encoding": "identity"}
    number = request.uint(numbers.CONTENT_FORMAT)
    if number >= 0:
        found["content-type"] = media_type(number) or f"{_GENERIC}{number}"
    elif request.payload:
        found["content-type"] = "application/octet-stream"
    accepted = request.uint(numbers.ACCEPT)
    if accepted >= 0:
        found["accept"] = media_type(accepted) or f"{_GENERIC}{accepted}"
    if request.has(numbers.IF_NONE_MATCH):
        found["if-none-match"] = "*"
    if request.first(numbers.IF_MATCH) == b"":
        found["if-match"] = "*"
    return found


def etag_of(entity_tag: str) -> bytes:
    """Eight octets for an HTTP entity-tag of any length."""
    return hashlib.blake2b(entity_tag.encode(), digest_size=_LONGEST_ETAG).digest()


def response_options(headers: dict[str, str], has_body: bool) -> list[Option]:
    """The options for what an HTTP response says beside its status; `headers` have small letters."""
    found: list[Option] = []
    if "etag" in headers:
        found.append((numbers.ETAG, etag_of(headers["etag"])))
    if has_body:
        try:
            found.append((numbers.CONTENT_FORMAT, uint_value(format_of(headers.get("content-type", "")))))
        except Unmappable:
            pass  # an unknown form of text: the octets go without a name (RFC 7252 section 5.5.1)
    age = max_age_of(headers)
    if age >= 0:
        found.append((numbers.MAX_AGE, uint_value(age)))
    return found


def max_age_of(headers: dict[str, str]) -> int:
    """Seconds by Cache-Control or Retry-After, -1 where neither says any (RFC 8075 section 8.3)."""
    control = headers.get("cache-control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return 0
    for each in control.split(","):
        name, _, value = each.strip().partition("=")
        if name == "max-age" and value.isascii() and value.isdecimal():
            return min(int(value[:12]), _LONGEST_MAX_AGE)
    after = headers.get("retry-after", "")
    if after.isascii() and after.isdecimal():
        return min(int(after[:12]), _LONGEST_MAX_AGE)
    return -1
