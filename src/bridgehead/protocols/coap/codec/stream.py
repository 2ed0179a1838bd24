"""Messages on a byte stream (RFC 8323 section 3.2) and in a WebSocket message (section 4.2)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec.decode import read_options
from bridgehead.protocols.coap.codec.encode import body
from bridgehead.protocols.coap.codec.errors import MessageFormatError, MessageTooLarge
from bridgehead.protocols.coap.codec.message import CON, NO_OPTIONS, Message, Option

DEFAULT_MAXIMUM: Final = 1152  # RFC 8323 section 5.3.1: what every peer takes before a CSM says more
_LONG_WAIT: Final = 65_536
_RESERVED_CLASSES: Final = 0b0100_0010  # 1 and 6; 7 is signalling


class StreamDecoder:
    """Takes the octets of one connection, in whatever pieces they come.

    `maximum` is the most octets that one message may have, header and all. No more than one incomplete message of that
    size is ever held. After a fault, `messages` are those that were whole before it.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum: int = maximum
        self.messages: list[Message] = []
        self._rest = b""
        self._collected: bytearray | None = None
        self._needed: int = 0

    def feed(self, data: bytes) -> list[Message]:
        """All messages that are whole now. Errors: MessageFormatError, MessageTooLarge: the connection is over."""
        if self._collected is not None:
            self._collected += data
            if len(self._collected) < self._needed:
                return []
            data = bytes(self._collected)
            self._collected = None
        elif self._rest:
            data = self._rest + data
        messages: list[Message] = []
        self.messages = messages
        pos: i64 = 0
        size: i64 = len(data)
        self._rest = b""
        while pos < size:
            begin, end = self._measured(data, pos, size)
            if end < 0 or end > size:
                self._hold(data[pos:], end - pos if end >= 0 else 0)
                break
            messages.append(_message(data, pos, begin, end))
            pos = end
        return messages

    @property
    def held(self) -> int:
        """Octets of an incomplete message."""
        return len(self._rest) if self._collected is None else len(self._collected)

    def _hold(self, rest: bytes, needed: int) -> None:
        if needed - len(rest) > _LONG_WAIT:
            self._collected = bytearray(rest)
            self._needed = needed
        else:
            self._rest = rest

    def _measured(self, data: bytes, pos: i64, size: i64) -> tuple[i64, i64]:
        """Where the code of the message at `pos` stands, and where the message ends; -1 while that is not known."""
        first: i64 = data[pos]
        token = first & 15
        if token > 8:
            raise MessageFormatError(f"a token length of {token} is reserved", 0, "RFC8323-3.2")
        length = first >> 4
        begin = pos + 1
        if length >= 13:
            extra = length - 12 if length < 15 else 4
            begin += extra
            if begin > size:
                return begin, -1
            value: i64 = 0
            at = pos + 1
            while at < begin:
                value = value << 8 | data[at]
                at += 1
            length = value + (13 if extra == 1 else 269 if extra == 2 else 65_805)
        end = begin + 1 + token + length
        if end - pos > self.maximum:
            raise MessageTooLarge(end - pos, self.maximum)
        return begin, end


def _message(data: bytes, pos: i64, begin: i64, end: i64) -> Message:
    """The message from `pos` to `end`, with its code at `begin`."""
    code: i64 = data[begin]
    length: i64 = data[pos] & 15
    options = begin + 1 + length
    token = data[begin + 1 : options] if length else b""
    if (_RESERVED_CLASSES >> (code >> 5)) & 1:
        raise MessageFormatError(
            f"codes of class {code >> 5} are reserved", begin - pos, "RFC7252-4.2", -1, -1, 1, code, token
        )
    if options == end:
        return Message(code, NO_OPTIONS, b"", token, CON, 0)
    found: list[Option] = []
    payload = read_options(data, options, end, found, -1, -1, pos)
    return Message(code, tuple(found), data[payload:end] if payload < end else b"", token, CON, 0)


def decode_websocket(data: bytes) -> Message:
    """The message that a binary WebSocket message holds. Errors: MessageFormatError."""
    if len(data) < 2:
        raise MessageFormatError("a WebSocket message is shorter than CoAP's header", 0, "RFC8323-4.2")
    if data[0] >> 4:
        raise MessageFormatError("the length of a message within WebSocket is not 0", 0, "RFC8323-4.2")
    token = data[0] & 15
    if token > 8:
        raise MessageFormatError(f"a token length of {token} is reserved", 0, "RFC8323-4.2")
    if 2 + token > len(data):
        raise MessageFormatError("the token is cut short", 2, "RFC8323-4.2")
    return _message(data, 0, 1, len(data))


def encode_stream(message: Message) -> bytes:
    """For TCP and TLS. Errors: LocalMisuse."""
    rest = body(message.options, message.payload)
    length = len(rest)
    token = _token_length(message)
    if length < 13:
        head = bytes([length << 4 | token, message.code])
    elif length < 269:
        head = bytes([0xD0 | token, length - 13, message.code])
    elif length < 65_805:
        head = bytes([0xE0 | token]) + (length - 269).to_bytes(2, "big") + bytes([message.code])
    else:
        head = bytes([0xF0 | token]) + (length - 65_805).to_bytes(4, "big") + bytes([message.code])
    return head + message.token + rest


def encode_websocket(message: Message) -> bytes:
    """For one binary WebSocket message. Errors: LocalMisuse."""
    head = bytes([_token_length(message), message.code])
    return head + message.token + body(message.options, message.payload)


def _token_length(message: Message) -> int:
    if len(message.token) > 8:
        raise LocalMisuse(f"a token has at most 8 octets, not {len(message.token)}")
    return len(message.token)
