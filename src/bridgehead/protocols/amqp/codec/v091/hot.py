"""The methods of every message by hand: basic.publish in, basic.deliver with its content out, acknowledgements."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.protocols.amqp.codec.v091.errors import SYNTAX_ERROR, ConnectionFault
from bridgehead.wire.writer import u8, u16, u32

PUBLISH: Final = 40  # of the class basic
ACK: Final = 80
BASIC: Final = 60


@mypyc_attr(acyclic=True)
class Publish:
    """basic.publish (1.8.3.7)."""

    def __init__(self, exchange: str, routing_key: str, mandatory: bool, immediate: bool) -> None:
        self.exchange: Final = exchange
        self.routing_key: Final = routing_key
        self.mandatory: Final = mandatory
        self.immediate: Final = immediate


def is_basic(payload: bytes, method: i64) -> bool:
    """Whether a method frame's payload is this method of the class basic."""
    return len(payload) >= 4 and payload[0] == 0 and payload[1] == BASIC and payload[2] == 0 and payload[3] == method


def decode_publish(payload: bytes) -> Publish:
    """Raises ConnectionFault (502)."""
    size: i64 = len(payload)
    if size < 7:
        raise _cut()
    length: i64 = payload[6]
    at: i64 = 7 + length
    if at >= size:
        raise _cut()
    second: i64 = payload[at]
    end = at + 1 + second
    if end + 1 != size:
        raise _cut()
    bits: i64 = payload[end]
    try:
        exchange = payload[7:at].decode("utf-8")
        routing_key = payload[at + 1 : end].decode("utf-8")
    except UnicodeDecodeError:
        raise ConnectionFault("a name in basic.publish is not UTF-8", SYNTAX_ERROR) from None
    return Publish(exchange, routing_key, bits & 1 != 0, bits & 2 != 0)


def _cut() -> ConnectionFault:
    return ConnectionFault("basic.publish has another length than its arguments", SYNTAX_ERROR)


def decode_ack(payload: bytes) -> tuple[int, bool]:
    """Delivery tag and `multiple` of basic.ack. Raises ConnectionFault (502)."""
    if len(payload) != 13:
        raise ConnectionFault("basic.ack has another length than its arguments", SYNTAX_ERROR)
    return int.from_bytes(payload[4:12], "big"), payload[12] & 1 != 0


def encode_ack(channel: int, tag: int, multiple: bool) -> bytes:
    return b"\x01%b\x00\x00\x00\x0d\x00\x3c\x00\x50%b%b\xce" % (
        u16(channel),
        tag.to_bytes(8, "big"),
        b"\x01" if multiple else b"\x00",
    )


def encode_nack(channel: int, tag: int) -> bytes:
    return b"\x01%b\x00\x00\x00\x0d\x00\x3c\x00\x78%b\x00\xce" % (u16(channel), tag.to_bytes(8, "big"))


def short_string(text: str) -> bytes:
    """4.2.5.3; what is longer than 255 octets is cut, between two characters."""
    octets = text.encode("utf-8", "replace")
    if len(octets) > 255:
        octets = octets[:255].decode("utf-8", "ignore").encode("utf-8")
    return u8(len(octets)) + octets


def encode_deliver(head: bytes, channel: int, tag: int, redelivered: bool, names: bytes) -> bytes:
    """The frame of basic.deliver. `head` is the consumer tag and `names` exchange and routing key, as short strings."""
    return b"\x01%b%b\x00\x3c\x00\x3c%b%b%b%b\xce" % (
        u16(channel),
        u32(4 + len(head) + 9 + len(names)),
        head,
        tag.to_bytes(8, "big"),
        b"\x01" if redelivered else b"\x00",
        names,
    )


def encode_content(channel: int, content: bytes, body: bytes, frame_max: int) -> bytes:
    """The frames of a content header and of a body that fits into one frame; `content` as in mapping/message_v091."""
    size = len(body)
    number = u16(channel)
    head = b"\x02%b%b\x00\x3c\x00\x00%b%b\xce" % (number, u32(12 + len(content)), size.to_bytes(8, "big"), content)
    if not size:
        return head
    room = frame_max - 8
    if size <= room:
        return b"%b\x03%b%b%b\xce" % (head, number, u32(size), body)
    parts = [head]
    at = 0
    while at < size:
        piece = body[at : at + room]
        parts.append(b"\x03%b%b%b\xce" % (number, u32(len(piece)), piece))
        at += room
    return b"".join(parts)
