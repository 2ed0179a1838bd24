"""Answers that the resources have in common."""

from __future__ import annotations

import hashlib
from typing import Final

from bridgehead.core.errors import QUOTA_EXCEEDED, Refusal
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.session.contract import Exchange, Party
from bridgehead.wire.errors import PeerError, Violation

_LONGEST: Final = 200  # octets of a diagnostic: an answer to a small request is to be small
_SLOWER: Final = 2  # seconds, in Max-Age of 4.29 (RFC 8516 section 3)


def failure(code: int, because: str) -> Message:
    """An error with a diagnostic for people (RFC 7252 section 5.5.2)."""
    return Message(
        code, (), because[:_LONGEST].encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore").encode()
    )


def entity_tag(payload: bytes) -> bytes:
    """The same for the same representation, whoever asks (RFC 7252 section 5.10.6)."""
    return hashlib.blake2s(payload, digest_size=8).digest()


def content(request: Message, content_format: int, payload: bytes, more: tuple[Option, ...] = ()) -> Message:
    """2.05 with an ETag, 2.03 when the asker has the representation, 4.06 when it wants another format."""
    accept = request.uint(numbers.ACCEPT)
    if accept >= 0 and accept != content_format:
        return failure(codes.NOT_ACCEPTABLE, f"this resource has Content-Format {content_format} only")
    tag = entity_tag(payload)
    options: list[Option] = [(numbers.ETAG, tag), *more]
    if request.code == codes.GET and tag in request.all(numbers.ETAG):
        return Message(codes.VALID, in_order(options))  # section 5.9.1.3
    options.append((numbers.CONTENT_FORMAT, uint_value(content_format)))
    return Message(codes.CONTENT, in_order(options), payload)


def precondition_fails(request: Message, payload: bytes | None) -> bool:
    """If-Match or If-None-Match is there and not met (RFC 7252 section 5.10.8). `payload` is the representation now,
    None: the resource does not exist."""
    wanted = request.all(numbers.IF_MATCH)
    if wanted and (payload is None or (b"" not in wanted and entity_tag(payload) not in wanted)):
        return True
    return payload is not None and request.has(numbers.IF_NONE_MATCH)


def party_of(exchange: Exchange) -> Party | None:
    """Who asks; None: nobody does, and 4.01 was answered."""
    party = exchange.party
    if party is None:
        exchange.respond(failure(codes.UNAUTHORIZED, "the hub does not know who asks: use DTLS, TLS or OSCORE"))
    return party


def answer_failure(exchange: Exchange, error: PeerError | Refusal) -> None:
    """What a request is answered that was not carried out: the peer's fault, or the hub says no."""
    if isinstance(error, PeerError):
        exchange.respond(failure(error.code, error.text))
    else:
        exchange.respond(refused(error))


def refused(refusal: Refusal) -> Message:
    """What the hub's no looks like."""
    answer = failure(mapping.code_of(refusal), refusal.because)
    if refusal.meaning == QUOTA_EXCEEDED:
        return Message(answer.code, ((numbers.MAX_AGE, uint_value(_SLOWER)),), answer.payload)
    return answer


def check_plain(exchange: Exchange) -> None:
    """Of a resource that has no conditions, and that a group may only read. Raises Violation."""
    request = exchange.request
    if request.code == codes.GET or request.code == codes.FETCH:
        return
    if exchange.multicast:  # RFC 7252 section 8.1
        raise Violation("a group can be asked by GET only", codes.METHOD_NOT_ALLOWED)
    if request.has(numbers.IF_MATCH) or request.has(numbers.IF_NONE_MATCH):
        raise Violation("If-Match and If-None-Match are not understood here: leave them out", codes.BAD_OPTION)
