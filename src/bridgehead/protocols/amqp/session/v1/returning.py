"""What a receiver gives back (3.4.4, 3.4.5), and the delivery-tag by which it is known."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.reader import decode_value
from bridgehead.protocols.amqp.codec.v1.types import Symbol, ULong
from bridgehead.protocols.amqp.codec.v1.writer import encode_value

_MOST_ANNOTATIONS: Final = 16_384  # octets that receivers may add to one message


def tag_of(sequence: int) -> bytes:
    """The delivery-tag of what has this number in the session's or the queue's log."""
    return sequence.to_bytes(8, "big")


class Returned:
    """What the receiver told of a message that it gave back. `annotations` are the octets of a map."""

    def __init__(self) -> None:
        self.failed = 0
        self.annotations: bytes | None = None


def joined_annotations(before: bytes | None, more: dict[object, object]) -> bytes | None:
    """3.4.5: message-annotations to be combined with those that are there; a key that is in both has the new value.
    What is no key of annotations (3.2.10) is left out, and all that is new when it becomes too much: others get it."""
    joined: dict[object, object] = {}
    if before is not None:
        known, _ = decode_value(before)
        if isinstance(known, dict):
            joined.update(known)
    for key, value in more.items():
        if isinstance(key, (Symbol, ULong)):
            joined[key] = value
    if not joined:
        return before
    encoded = encode_value(joined)
    return encoded if len(encoded) <= _MOST_ANNOTATIONS else before
