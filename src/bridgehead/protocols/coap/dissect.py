"""Takes CoAP messages apart field by field, each with its offset and the clause that defines it."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import BERT, block_size
from bridgehead.protocols.coap.codec.content_formats import media_type
from bridgehead.protocols.coap.codec.decode import MOST_OPTIONS, decode
from bridgehead.protocols.coap.codec.errors import BadOption, MessageFormatError
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.options import (
    EMPTY,
    FORMAT_NAMES,
    OPTIONS,
    STRING,
    UINT,
    check,
    option_name,
)
from bridgehead.protocols.coap.codec.signalling import (
    ALTERNATIVE_ADDRESS,
    is_signalling,
    signal_name,
    signalling_option_name,
)
from bridgehead.protocols.coap.codec.stream import StreamDecoder, decode_websocket
from bridgehead.wire.dissection import Dissected, Field, count, shown_hex, shown_octets, shown_text
from bridgehead.wire.errors import PeerError

HEADER: Final = "header"
OPTION_PART: Final = "options"
PAYLOAD: Final = "payload"

DATAGRAM: Final = "CoAP over UDP"
STREAM: Final = "CoAP over TCP"
WEBSOCKET: Final = "CoAP over WebSocket"

_TYPE_NAMES: Final = ["Confirmable", "Non-confirmable", "Acknowledgement", "Reset"]
_NAMES: Final[dict[int, str]] = {
    codes.EMPTY: "Empty",
    codes.GET: "GET",
    codes.POST: "POST",
    codes.PUT: "PUT",
    codes.DELETE: "DELETE",
    codes.FETCH: "FETCH",
    codes.PATCH: "PATCH",
    codes.IPATCH: "iPATCH",
    codes.CREATED: "Created",
    codes.DELETED: "Deleted",
    codes.VALID: "Valid",
    codes.CHANGED: "Changed",
    codes.CONTENT: "Content",
    codes.CONTINUE: "Continue",
    codes.BAD_REQUEST: "Bad Request",
    codes.UNAUTHORIZED: "Unauthorized",
    codes.BAD_OPTION: "Bad Option",
    codes.FORBIDDEN: "Forbidden",
    codes.NOT_FOUND: "Not Found",
    codes.METHOD_NOT_ALLOWED: "Method Not Allowed",
    codes.NOT_ACCEPTABLE: "Not Acceptable",
    codes.REQUEST_ENTITY_INCOMPLETE: "Request Entity Incomplete",
    codes.CONFLICT: "Conflict",
    codes.PRECONDITION_FAILED: "Precondition Failed",
    codes.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    codes.UNSUPPORTED_CONTENT_FORMAT: "Unsupported Content-Format",
    codes.UNPROCESSABLE_ENTITY: "Unprocessable Entity",
    codes.TOO_MANY_REQUESTS: "Too Many Requests",
    codes.INTERNAL_SERVER_ERROR: "Internal Server Error",
    codes.NOT_IMPLEMENTED: "Not Implemented",
    codes.BAD_GATEWAY: "Bad Gateway",
    codes.SERVICE_UNAVAILABLE: "Service Unavailable",
    codes.GATEWAY_TIMEOUT: "Gateway Timeout",
    codes.PROXYING_NOT_SUPPORTED: "Proxying Not Supported",
    codes.HOP_LIMIT_REACHED: "Hop Limit Reached",
}
_BLOCKS: Final = (option.BLOCK1, option.BLOCK2, option.Q_BLOCK1, option.Q_BLOCK2)
_ALL: Final = frozenset(OPTIONS)


class DissectedMessage(Dissected):
    """One message. `framing` is DATAGRAM, STREAM or WEBSOCKET; `code` is -1 where it could not be read. `fault_code` is
    the Response Code that a server would answer with, 0x80 for a format error."""

    def __init__(self, name: str, offset: int, framing: str) -> None:
        super().__init__(name, offset)
        self.framing: Final = framing
        self.code = -1


def code_name(code: int) -> str:
    """ "GET", "Content", "CSM"; "4.31" where there is no name."""
    return signal_name(code) if is_signalling(code) else _NAMES.get(code, codes.dotted(code))


def dissect(data: bytes, framing: str = DATAGRAM) -> list[DissectedMessage]:
    """The message that is a datagram or a WebSocket message; with STREAM all messages in `data`, the last perhaps
    incomplete, which is then its fault. Raises nothing, whatever the octets."""
    if framing != STREAM:
        message = DissectedMessage("", 0, framing)
        message.length = len(data)
        _Walker(message, data).walk()
        _set_fault(message, data)
        return [message]
    messages: list[DissectedMessage] = []
    pos = 0
    while pos < len(data):
        message = DissectedMessage("", pos, framing)
        end = min(_stream_end(data, pos), len(data))
        message.length = end - pos
        whole = data[pos:end]
        _Walker(message, whole).walk()
        _set_fault(message, whole)
        messages.append(message)
        pos = end
    return messages


def _stream_end(data: bytes, pos: int) -> int:
    """Where the message that begins at `pos` ends by its own length; beyond the data when that is cut short."""
    length = data[pos] >> 4
    extra = 0 if length < 13 else length - 12 if length < 15 else 4
    begin = pos + 1 + extra
    if begin > len(data):
        return len(data) + 1
    if extra:
        length = int.from_bytes(data[pos + 1 : begin], "big") + (13 if extra == 1 else 269 if extra == 2 else 65_805)
    return begin + 1 + (data[pos] & 15) + length


def _set_fault(message: DissectedMessage, whole: bytes) -> None:
    """What the decoder, or the check of the options, has against it."""
    try:
        decoded = _decoded(whole, message.framing)
    except PeerError as fault:
        _keep(message, fault)
        return
    if decoded is None:
        message.fault = "the message is incomplete"
        message.fault_clause = "RFC 8323 3.2"
        return
    if is_signalling(decoded.code):
        return
    try:
        check(decoded, _ALL)
    except BadOption as fault:
        # That this program knows no such option is no fault of the message.
        if fault.number in OPTIONS:
            _keep(message, fault)


def _decoded(whole: bytes, framing: str) -> Message | None:
    if framing == DATAGRAM:
        return decode(whole)
    if framing == WEBSOCKET:
        return decode_websocket(whole)
    found = StreamDecoder(1 << 40).feed(whole)
    return found[0] if found else None


def _keep(message: DissectedMessage, fault: PeerError) -> None:
    message.fault = fault.text
    message.fault_clause = _clause(fault.clause)
    message.fault_code = fault.code
    message.fault_offset = fault.at


def _clause(clause: str) -> str:
    """ "RFC 7252 3.1" of "RFC7252-3.1"."""
    return clause.replace("RFC", "RFC ").replace("-", " ")


class _Walker:
    """Adds the fields of one message, as far as they can be read."""

    def __init__(self, message: DissectedMessage, whole: bytes) -> None:
        self.message = message
        self.whole = whole
        self.pos = 0
        self.part = HEADER

    def walk(self) -> None:
        try:
            if self.message.framing == DATAGRAM:
                self.datagram_header()
            else:
                self.stream_header()
            self.options()
        except MessageFormatError:
            if self.pos < len(self.whole):
                rest = self.whole[self.pos :]
                self.add("Octets that could not be read", shown_hex(rest), self.pos, len(rest), "")
        code = self.message.code
        if not self.message.name:
            self.message.name = "CoAP message" if code < 0 else code_name(code)

    def add(self, name: str, value: str, offset: int, length: int, clause: str, note: str = "") -> None:
        self.message.fields.append(Field(name, value, offset, length, clause, note, self.part))
        self.pos = max(self.pos, offset + length)

    def need(self, octets: int) -> None:
        """That so many octets are there; the decoder says it in better words."""
        if self.pos + octets > len(self.whole):
            raise MessageFormatError("cut short", self.pos)

    def datagram_header(self) -> None:
        self.need(4)
        whole = self.whole
        kind = whole[0] >> 4 & 3
        self.add("Version", str(whole[0] >> 6), 0, 1, "RFC 7252 3", "bits 7-6")
        self.add("Type", f"{kind} ({_TYPE_NAMES[kind]})", 0, 1, "RFC 7252 3", "bits 5-4")
        self.add("Token Length", str(whole[0] & 15), 0, 1, "RFC 7252 3", "bits 3-0")
        self.code(1, "RFC 7252 3")
        self.add("Message ID", str(whole[2] << 8 | whole[3]), 2, 2, "RFC 7252 3", f"0x{whole[2]:02x}{whole[3]:02x}")
        self.token("RFC 7252 3")

    def stream_header(self) -> None:
        self.need(2)
        clause = "RFC 8323 3.2" if self.message.framing == STREAM else "RFC 8323 4.2"
        length = self.whole[0] >> 4
        extra = 0 if length < 13 else length - 12 if length < 15 else 4
        self.add("Length", str(length), 0, 1, clause, "bits 7-4")
        self.add("Token Length", str(self.whole[0] & 15), 0, 1, clause, "bits 3-0")
        if extra and self.message.framing == STREAM:
            self.need(extra)
            value = int.from_bytes(self.whole[1 : 1 + extra], "big")
            base = 13 if extra == 1 else 269 if extra == 2 else 65_805
            self.add("Extended Length", str(value), 1, extra, clause, f"options and payload: {count(value + base)}")
        self.need(1)
        self.code(self.pos, clause)
        self.token(clause)

    def code(self, at: int, clause: str) -> None:
        code = self.whole[at]
        self.message.code = code
        self.add("Code", f"{codes.dotted(code)} ({code_name(code)})", at, 1, clause)

    def token(self, clause: str) -> None:
        length = self.whole[0] & 15
        if length > 8:
            raise MessageFormatError("reserved", 0)
        self.need(length)
        if length:
            self.add("Token", shown_hex(self.whole[self.pos : self.pos + length]), self.pos, length, clause)

    def options(self) -> None:
        self.part = OPTION_PART
        number = 0
        seen: set[int] = set()
        for _ in range(MOST_OPTIONS):
            if self.pos == len(self.whole):
                return
            if self.whole[self.pos] == 0xFF:
                self.payload(option.OSCORE in seen)
                return
            at = self.pos
            self.need(1)
            delta, length = self.whole[at] >> 4, self.whole[at] & 15
            after = at + 1
            delta, after = self.extended(delta, after)
            length, after = self.extended(length, after)
            if after + length > len(self.whole) or number + delta > 65_535:
                raise MessageFormatError("cut short", at)
            number += delta
            self.option(number, self.whole[after : after + length], at, after + length - at, number in seen)
            seen.add(number)

    def extended(self, nibble: int, at: int) -> tuple[int, int]:
        """A delta or length, and where the octets behind it begin."""
        if nibble < 13:
            return nibble, at
        end = at + nibble - 12
        if nibble == 15 or end > len(self.whole):
            raise MessageFormatError("cut short", at)
        return int.from_bytes(self.whole[at:end], "big") + (13 if nibble == 13 else 269), end

    def option(self, number: int, value: bytes, at: int, length: int, is_repeated: bool) -> None:
        code = self.message.code
        if is_signalling(code):
            name = signalling_option_name(code, number)
            shown = shown_octets(value) if number == ALTERNATIVE_ADDRESS and code == codes.RELEASE else _uint(value)
            self.add(name, shown, at, length, "RFC 8323 5", f"option {number}")
            return
        row = OPTIONS.get(number)
        notes = [f"option {number}", "critical" if option.is_critical(number) else "elective"]
        if option.is_unsafe(number):
            notes.append("unsafe")
        elif option.is_no_cache_key(number):
            notes.append("no cache key")
        if row is None:
            notes.append("not known")
            self.add(option_name(number), shown_octets(value), at, length, "", ", ".join(notes))
            return
        notes.append(FORMAT_NAMES[row.format])
        if not row.minimum <= len(value) <= row.maximum:
            notes.append(f"has {count(len(value))} and may have {row.minimum} to {row.maximum}")
        elif is_repeated and not row.repeatable:
            notes.append("may not be repeated")
        self.add(row.name, _value(code, number, row.format, value), at, length, _clause(row.clause), ", ".join(notes))

    def payload(self, is_ciphertext: bool) -> None:
        self.part = PAYLOAD
        at = self.pos
        self.add("Payload Marker", "0xff", at, 1, "RFC 7252 3")
        payload = self.whole[at + 1 :]
        if not payload:
            return
        if is_ciphertext:
            self.add("Ciphertext", shown_hex(payload), at + 1, len(payload), "RFC 8613 5", count(len(payload)))
        else:
            self.add("Payload", shown_octets(payload), at + 1, len(payload), "RFC 7252 3", count(len(payload)))


def _uint(value: bytes) -> str:
    return str(int.from_bytes(value, "big")) if len(value) <= 8 else shown_hex(value)


def _value(code: int, number: int, form: int, value: bytes) -> str:
    if form == EMPTY and not value:
        return "(empty)"
    if form == STRING:
        try:
            return shown_text(value.decode("utf-8"))
        except UnicodeDecodeError:
            return shown_hex(value)
    if form != UINT or len(value) > 4:
        return shown_hex(value)
    amount = int.from_bytes(value, "big")
    if number in (option.CONTENT_FORMAT, option.ACCEPT):
        return f"{amount} ({media_type(amount) or 'not known'})"
    if number in _BLOCKS:
        return _block(amount)
    if number == option.OBSERVE and codes.is_request(code):
        return f"{amount} ({'register' if amount == 0 else 'deregister' if amount == 1 else 'not defined'})"
    if number == option.MAX_AGE:
        return f"{amount} s"
    return str(amount)


def _block(amount: int) -> str:
    """As RFC 7959 writes it, NUM/M/SIZE, and in words."""
    exponent = amount & 7
    size = "BERT" if exponent == BERT else str(block_size(exponent))
    more = amount >> 3 & 1
    return f"{amount >> 4}/{more}/{size} ({'more follow' if more else 'the last'})"
