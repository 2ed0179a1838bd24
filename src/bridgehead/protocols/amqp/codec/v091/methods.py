"""Methods of AMQP 0-9-1 (4.2.4) by pamqp, with its faults turned into ours."""

from __future__ import annotations

import struct
from typing import Final

from pamqp import base, commands, decode
from pamqp.exceptions import PAMQPException

from bridgehead.protocols.amqp.codec.v091.errors import (
    COMMAND_INVALID,
    SYNTAX_ERROR,
    ConnectionFault,
)
from bridgehead.protocols.amqp.codec.v091.frames import METHOD, frame
from bridgehead.protocols.amqp.codec.v091.hot import short_string
from bridgehead.protocols.amqp.codec.v091.tables import check_table, long_at, skip_short

_FAULTS: Final = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    struct.error,
    OverflowError,
    RecursionError,
    PAMQPException,
)
START_OK: Final = b"\x00\x0a\x00\x0b"
SECURE_OK: Final = b"\x00\x0a\x00\x15"
UPDATE_SECRET: Final = b"\x00\x0a\x00\x46"
UPDATE_SECRET_OK: Final = b"\x00\x0a\x00\x47"
# Octets before the table of arguments: fixed ones, and how many short strings; behind the strings come octets of bits.
_TABLES: Final[dict[int, tuple[int, int, int]]] = {
    commands.Exchange.Declare.index: (2, 2, 1),
    commands.Exchange.Bind.index: (2, 3, 1),
    commands.Exchange.Unbind.index: (2, 3, 1),
    commands.Queue.Declare.index: (2, 1, 1),
    commands.Queue.Bind.index: (2, 3, 1),
    commands.Queue.Unbind.index: (2, 3, 0),
    commands.Basic.Consume.index: (2, 2, 1),
}


class StartOk:
    """connection.start-ok. `response` may be a secret: no repr shows it."""

    def __init__(self, properties: dict[str, object], mechanism: str, response: bytes) -> None:
        self.properties: Final = properties
        self.mechanism: Final = mechanism
        self.response: Final = response


def decode_method(payload: bytes, nesting: int) -> base.Frame:
    """The method of a frame's payload. Raises ConnectionFault: 502, or 503 for a method that there is not."""
    if len(payload) < 4:
        raise ConnectionFault("a method frame without a method", SYNTAX_ERROR, clause="AMQP091-4.2.4")
    index = int.from_bytes(payload[:4], "big")
    kind: type[base.Frame] | None = commands.INDEX_MAPPING.get(index)
    if kind is None:
        because = f"there is no method {index >> 16}.{index & 0xFFFF}"
        raise ConnectionFault(because, COMMAND_INVALID, clause="AMQP091-4.2.4")
    table = _TABLES.get(index)
    if table is not None:
        _check_arguments(payload, table, nesting)
    method = kind()
    try:
        method.unmarshal(payload[4:])
    except _FAULTS as fault:
        raise _unreadable(kind.name, fault) from None
    return method


def _unreadable(name: str, fault: Exception) -> ConnectionFault:
    return ConnectionFault(f"{name} cannot be read: {fault}"[:200], SYNTAX_ERROR, clause="AMQP091-4.2.4")


def _check_arguments(payload: bytes, table: tuple[int, int, int], nesting: int) -> None:
    fixed, strings, bits = table
    end = len(payload)
    at = 4 + fixed
    for _ in range(strings):
        at = int(skip_short(payload, at, end))
    if at + bits > end:
        raise ConnectionFault("a method ends before its arguments", SYNTAX_ERROR, clause="AMQP091-4.2.4")
    check_table(payload, at + bits, end, nesting)


def decode_start_ok(payload: bytes, nesting: int) -> StartOk:
    """By hand: the response is octets, and may be no text. Raises ConnectionFault (502)."""
    end = len(payload)
    behind = int(check_table(payload, 4, end, nesting))
    try:
        _, properties = decode.field_table(payload[4:behind])
        mechanism_end = int(skip_short(payload, behind, end))
        mechanism = payload[behind + 1 : mechanism_end].decode("utf-8")
    except _FAULTS as fault:
        raise _unreadable("Connection.StartOk", fault) from None
    return StartOk(dict(properties), mechanism, _long_string(payload, mechanism_end))


def decode_secure_ok(payload: bytes) -> bytes:
    """The response of connection.secure-ok. Raises ConnectionFault (502)."""
    return _long_string(payload, 4)


def decode_amqplain(response: bytes, nesting: int) -> bytes:
    """A response of AMQPLAIN, 0-9-1's own mechanism, as one of PLAIN (RFC 4616): a table's fields without its length,
    LOGIN and PASSWORD among them. Raises ConnectionFault (502)."""
    table = len(response).to_bytes(4, "big") + response
    check_table(table, 0, len(table), nesting)
    try:
        _, fields = decode.field_table(table)
    except _FAULTS as fault:
        raise _unreadable("the response of AMQPLAIN", fault) from None
    login, password = fields.get("LOGIN"), fields.get("PASSWORD")
    if not isinstance(login, str) or not isinstance(password, str):
        raise ConnectionFault("a response of AMQPLAIN has the strings LOGIN and PASSWORD", SYNTAX_ERROR)
    return f"\0{login}\0{password}".encode()


def decode_update_secret(payload: bytes) -> bytes:
    """The new secret of connection.update-secret (RabbitMQ's extension). Raises ConnectionFault (502)."""
    return _long_string(payload, 4)


def _long_string(payload: bytes, at: int) -> bytes:
    length = int(long_at(payload, at, len(payload)))
    if length > len(payload) - at - 4:
        raise ConnectionFault("a long string runs past the end of its method", SYNTAX_ERROR)
    return payload[at + 4 : at + 4 + length]


def secure(challenge: bytes) -> bytes:
    """The frame of connection.secure."""
    return frame(METHOD, 0, b"\x00\x0a\x00\x14" + len(challenge).to_bytes(4, "big") + challenge)


# pamqp makes none of these two with a name beyond its own alphabet, which is neither the protocol's nor RabbitMQ's.


def return_frame(channel: int, code: int, text: str, exchange: str, routing_key: str) -> bytes:
    """The frame of basic.return."""
    names = short_string(text) + short_string(exchange) + short_string(routing_key)
    return frame(METHOD, channel, b"\x00\x3c\x00\x32" + code.to_bytes(2, "big") + names)


def declare_ok_frame(channel: int, queue: str, messages: int, consumers: int) -> bytes:
    """The frame of queue.declare-ok."""
    counts = messages.to_bytes(4, "big") + consumers.to_bytes(4, "big")
    return frame(METHOD, channel, b"\x00\x32\x00\x0b" + short_string(queue) + counts)


def method_frame(channel: int, method: base.Frame) -> bytes:
    """The frame of any other method."""
    return frame(METHOD, channel, method.index.to_bytes(4, "big") + method.marshal())
