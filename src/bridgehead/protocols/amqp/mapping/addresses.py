"""Addresses of AMQP 1.0 nodes (3.1): `/topics/<name>`, `/queues/<name>`, percent-encoded (RFC 3986 2.1), or bare.

Some clients can write nothing but URIs, `amqps://host/topics/<name>`: what counts is the path. A topic whose own name
is such a URI is reached by `/topics/`.

Every name has its one address that `topic_address` and `queue_address` write; reading takes any spelling of it.
"""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, NOT_FOUND, AmqpError
from bridgehead.protocols.amqp.codec.v1.types import Symbol

TOPIC: Final = 1
QUEUE: Final = 2
BARE: Final = 3  # without a prefix: capabilities, or what there is, decide

TOPICS: Final = "/topics/"
QUEUES: Final = "/queues/"
_SCHEMES: Final = ("amqps://", "amqp://")
_FOREIGN: Final = ("topic://", "queue://")
_LONGEST_ADDRESS: Final = 3 * 65_535 + 1024  # of a Topic Name as long as any, percent-encoded
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX: Final = "0123456789ABCDEF"
_VALUES: Final = {character: value for value, character in enumerate("0123456789abcdef")} | {
    character: value for value, character in enumerate("0123456789ABCDEF")
}


class Address:
    """`kind` is TOPIC, QUEUE or BARE; `name` the Topic Name, Topic Filter or queue's name, decoded."""

    def __init__(self, kind: int, name: str) -> None:
        self.kind: Final = kind
        self.name: Final = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.kind == other.kind and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __repr__(self) -> str:
        return f"Address({self.kind}, {self.name!r})"


def parse_address(text: str, for_receiver: bool) -> Address:
    """What an address names. Raises AmqpError: amqp:invalid-field for one that cannot be read, amqp:not-found for
    another broker's way of writing."""
    if isinstance(text, Symbol):
        # It would be the name of a topic from here on, and what is kept on disk knows no symbols.
        raise AmqpError(INVALID_FIELD, "an address is a string, and this one is a symbol", clause="AMQP-3.5.3")
    if len(text) > _LONGEST_ADDRESS:
        raise AmqpError(INVALID_FIELD, f"an address of {len(text)} characters: no name here is so long")
    if text.startswith("amqp") and text.startswith(_SCHEMES):
        text = _path_of(text)
    if text.startswith(TOPICS):
        return _named(TOPIC, text, len(TOPICS))
    if text.startswith(QUEUES):
        return _named(QUEUE, text, len(QUEUES))
    for prefix in _FOREIGN:
        if text.startswith(prefix):
            ours = TOPICS if prefix == "topic://" else QUEUES
            raise AmqpError(NOT_FOUND, f"{prefix}... is not how this hub's nodes are called: write {ours}NAME")
    if not text:
        what = "source" if for_receiver else "target"
        raise AmqpError(INVALID_FIELD, f"the address of the {what} is empty: write /topics/NAME or /queues/NAME")
    return Address(BARE, text)


def _path_of(uri: str) -> str:
    """What stands behind the authority: with its slash for a topic's or a queue's address, else without."""
    slash = uri.find("/", uri.index("//") + 2)
    path = "" if slash < 0 else uri[slash:]
    return path if path.startswith((TOPICS, QUEUES)) else path[1:]


def _named(kind: int, text: str, start: int) -> Address:
    name = unquoted(text[start:])
    if not name:
        raise AmqpError(INVALID_FIELD, f"{text!r} names nothing: write the name behind the last slash")
    return Address(kind, name)


def topic_address(name: str) -> str:
    return TOPICS + quoted(name)


def queue_address(name: str) -> str:
    return QUEUES + quoted(name)


def quoted(name: str) -> str:
    """Percent-encoded, but for the unreserved characters of RFC 3986 section 2.3."""
    octets = name.encode("utf-8")
    parts: list[str] = []
    for octet in octets:
        if octet in _PLAIN:
            parts.append(chr(octet))
        else:
            parts.append(f"%{_HEX[octet >> 4]}{_HEX[octet & 15]}")
    return "".join(parts)


def unquoted(text: str) -> str:
    """Percent-decoded; what is not encoded stands for itself. Raises AmqpError."""
    if "%" not in text:
        return text
    octets = bytearray()
    pieces = text.split("%")
    octets += pieces[0].encode("utf-8", "surrogatepass")
    for piece in pieces[1:]:
        high = _VALUES.get(piece[:1], -1)
        low = _VALUES.get(piece[1:2], -1)
        if high < 0 or low < 0:
            raise AmqpError(INVALID_FIELD, "a % in an address is not followed by two hexadecimal digits: write %25")
        octets.append(high << 4 | low)
        octets += piece[2:].encode("utf-8", "surrogatepass")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise AmqpError(INVALID_FIELD, "the percent-encoded octets of an address are not UTF-8") from None
