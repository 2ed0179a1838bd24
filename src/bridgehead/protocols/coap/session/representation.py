"""How a topic's message looks to a CoAP client: options, entity-tag, and whether it is what the client accepts."""

from __future__ import annotations

import hashlib
from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core import message as core
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.codec import codes, content_formats, numbers
from bridgehead.protocols.coap.codec.message import Message, Option, uint_value

NOT_ACCEPTABLE: Final = -2
NO_NUMBER: Final = -1  # of an Observe option: there is none


def entity_tag(content_format: int, payload: bytes) -> bytes:
    """The same for the same representation (RFC 7252 section 5.10.6), also after a restart of the hub."""
    return hashlib.blake2s(payload, digest_size=8, salt=(content_format + 1).to_bytes(8, "big")).digest()


def offered(content_format: int, accept: int, payload: bytes) -> int:
    """The Content-Format in which a client gets it that accepts `accept` (-1: any), NOT_ACCEPTABLE for none (RFC 7252
    section 5.10.4). Whatever it is, it is octets; and text is what is UTF-8, if its sender did not say what it is."""
    if accept < 0 or accept == content_format:
        return content_format
    if accept == content_formats.OCTETS:
        return accept
    if accept == content_formats.TEXT and content_format == mapping.NO_FORMAT and is_utf8(payload):
        return accept
    return NOT_ACCEPTABLE


def is_utf8(payload: bytes) -> bool:
    try:
        payload.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return False
    return True


@mypyc_attr(acyclic=True)
class Representation:
    """Made once for a message, and kept in Message.encoded while no other protocol needs the place."""

    def __init__(self, message: core.Message) -> None:
        self.content_format: Final = mapping.content_format_of(message.properties)
        self.tag: Final = entity_tag(self.content_format, message.payload)
        self.content: Message | None = None  # the answer to a plain GET, where it never changes


def representation(message: core.Message) -> Representation:
    held = message.encoded
    if isinstance(held, Representation):
        return held
    made = Representation(message)
    message.encoded = made
    return made


def content(message: core.Message, form: Representation, content_format: int, number: int, now: float) -> Message:
    """2.05 with the message, as an answer to a GET. `number`: of an Observe option, or NO_NUMBER."""
    plain = number == NO_NUMBER and content_format == form.content_format and message.expires_at == core.NEVER
    if plain and form.content is not None:
        return form.content
    options = options_of(form.tag, number, (), content_format, mapping.max_age_of(message, now))
    made = Message(codes.CONTENT, options, message.payload)
    if plain:
        form.content = made
    return made


def options_of(
    tag: bytes, number: int, location: tuple[bytes, ...], content_format: int, max_age: int
) -> tuple[Option, ...]:
    """The options of a response that carries content, in their order; what is below 0, or empty, is left out."""
    options: list[Option] = []
    if tag:
        options.append((numbers.ETAG, tag))
    if number >= 0:
        options.append((numbers.OBSERVE, uint_value(number)))
    for segment in location:
        options.append((numbers.LOCATION_PATH, segment))
    if content_format >= 0:
        options.append((numbers.CONTENT_FORMAT, uint_value(content_format)))
    if max_age >= 0:
        options.append((numbers.MAX_AGE, uint_value(max_age)))
    return tuple(options)
