"""The sections of a message (3.2): found by their lengths alone, and decoded when somebody asks for one."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError, undecodable
from bridgehead.protocols.amqp.codec.v1.fields import Fields
from bridgehead.protocols.amqp.codec.v1.reader import NESTING, Reader
from bridgehead.protocols.amqp.codec.v1.types import Array, Described, Symbol, Timestamp, ULong
from bridgehead.protocols.amqp.codec.v1.writer import (
    FALSE,
    NULL,
    TRUE,
    encode_value,
    put_binary,
    put_composite,
    put_list,
    put_map,
    put_string,
    put_symbol,
    put_uint,
)
from bridgehead.wire.writer import u8, u32

HEADER: Final = 0x70
DELIVERY_ANNOTATIONS: Final = 0x71
MESSAGE_ANNOTATIONS: Final = 0x72
PROPERTIES: Final = 0x73
APPLICATION_PROPERTIES: Final = 0x74
DATA: Final = 0x75
AMQP_SEQUENCE: Final = 0x76
AMQP_VALUE: Final = 0x77
FOOTER: Final = 0x78
NORMAL_PRIORITY: Final = 4  # 3.2.1
_MOST_PARTS: Final = 10_000

_SYMBOLS: Final[dict[str, int]] = {
    "amqp:header:list": HEADER,
    "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": MESSAGE_ANNOTATIONS,
    "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION_PROPERTIES,
    "amqp:data:binary": DATA,
    "amqp:amqp-sequence:list": AMQP_SEQUENCE,
    "amqp:amqp-value:*": AMQP_VALUE,
    "amqp:footer:map": FOOTER,
}


@mypyc_attr(acyclic=True)
class Header:
    """3.2.1. `ttl` is in milliseconds, -1 for none; `delivery_count` counts failed deliveries."""

    def __init__(
        self,
        durable: bool = False,
        priority: int = NORMAL_PRIORITY,
        ttl: int = ABSENT,
        first_acquirer: bool = False,
        delivery_count: int = 0,
    ) -> None:
        self.durable: Final = durable
        self.priority: Final = priority
        self.ttl: Final = ttl
        self.first_acquirer: Final = first_acquirer
        self.delivery_count: Final = delivery_count


@mypyc_attr(acyclic=True)
class Properties:
    """3.2.4. Identifiers are str, ULong, Uuid or bytes; times are milliseconds since 1970-01-01 UTC, None for none."""

    def __init__(
        self,
        message_id: object = None,
        user_id: bytes | None = None,
        to: object = None,
        subject: str | None = None,
        reply_to: object = None,
        correlation_id: object = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        absolute_expiry_time: int | None = None,
        creation_time: int | None = None,
        group_id: str | None = None,
        group_sequence: int = ABSENT,
        reply_to_group_id: str | None = None,
    ) -> None:
        self.message_id: Final = message_id
        self.user_id: Final = user_id
        self.to: Final = to
        self.subject: Final = subject
        self.reply_to: Final = reply_to
        self.correlation_id: Final = correlation_id
        self.content_type: Final = content_type
        self.content_encoding: Final = content_encoding
        self.absolute_expiry_time: Final = absolute_expiry_time
        self.creation_time: Final = creation_time
        self.group_id: Final = group_id
        self.group_sequence: Final = group_sequence
        self.reply_to_group_id: Final = reply_to_group_id


def data_at(payload: bytes) -> int:
    """Where the octets of the body begin in a message that is one data section and nothing else; -1 in any other.
    They go on to the end of the payload."""
    size: i64 = len(payload)
    if size < 5 or payload[0] != 0 or payload[1] != 0x53 or payload[2] != DATA:
        return -1
    code: i64 = payload[3]
    if code == 0xA0:
        return 5 if size == 5 + payload[4] else -1
    if code == 0xB0 and size >= 8:
        high: i64 = payload[4]
        second: i64 = payload[5]
        third: i64 = payload[6]
        low: i64 = payload[7]
        return 8 if size == 8 + (high << 24 | second << 16 | third << 8 | low) else -1
    return -1


@mypyc_attr(acyclic=True)
class Sections:
    """A message's octets and where its sections are. `body` is DATA, AMQP_SEQUENCE, AMQP_VALUE, or 0 for no body.

    Where a section is: `begin[code]` is its descriptor, `value[code]` its value, `end[code]` what follows; of several
    body sections `begin` is the first one's and `end` the last one's. What is decoded raises AmqpError.
    """

    def __init__(self, payload: bytes) -> None:
        """Raises AmqpError for what is no message: an unknown section, one out of order, a length that lies."""
        self.payload: Final = payload
        self.begin: Final[dict[int, int]] = {}
        self.value: Final[dict[int, int]] = {}
        self.end: Final[dict[int, int]] = {}
        self.body = 0
        self._parts: Final[list[tuple[int, int]]] = []  # of the body: where values begin and end
        self._scan()

    def _scan(self) -> None:
        payload = self.payload
        size = len(payload)
        reader = Reader(payload, 0, size)
        last = 0
        while reader.pos < size:
            at = int(reader.pos)
            code = self._descriptor(reader, at)
            if DATA <= code <= AMQP_VALUE:
                if self.body == 0 and last < code:
                    self.body = code
                    self.begin[code] = at
                    self.value[code] = int(reader.pos)
                elif self.body != code or last != code or code == AMQP_VALUE:
                    raise undecodable("a body of one kind is followed by another body", at, "AMQP-3.2")
            elif code <= last:
                raise undecodable(f"the section 0x{code:x} is out of order", at, "AMQP-3.2")
            else:
                self.begin[code] = at
                self.value[code] = int(reader.pos)
            begin = int(reader.pos)
            reader.skip(NESTING)
            self.end[code] = int(reader.pos)
            if code == self.body:
                if len(self._parts) >= _MOST_PARTS:
                    raise undecodable(f"a body has more than {_MOST_PARTS} sections", at, "AMQP-3.2")
                self._parts.append((begin, int(reader.pos)))
            last = code

    def _descriptor(self, reader: Reader, at: int) -> int:
        payload = self.payload
        code: i64 = 0
        if at + 3 <= len(payload) and payload[at] == 0 and payload[at + 1] == 0x53:
            code = payload[at + 2]
            reader.pos = at + 3
        elif payload[at] == 0:
            reader.pos = at + 1
            descriptor = reader.value(0)
            if isinstance(descriptor, ULong):
                number = descriptor.value
                code = number if number < 256 else 0
            elif isinstance(descriptor, Symbol):
                code = _SYMBOLS.get(descriptor, 0)
        if code < HEADER or code > FOOTER:
            raise undecodable("a section of no known kind", at, "AMQP-3.2")
        return code

    def has(self, code: int) -> bool:
        return code in self.begin

    def header(self) -> Header:
        """The defaults where there is none."""
        fields = self._list(HEADER, "header", "AMQP-3.2.1")
        found = Header(
            fields.boolean("durable"),
            fields.small("priority", NORMAL_PRIORITY),
            fields.uint("ttl"),
            fields.boolean("first-acquirer"),
            fields.uint("delivery-count", 0),
        )
        fields.done()
        return found

    def properties(self) -> Properties:
        """Nothing but absent ones where there is no such section."""
        fields = self._list(PROPERTIES, "properties", "AMQP-3.2.4")
        found = Properties(
            fields.any(),
            fields.binary("user-id"),
            fields.any(),
            fields.string("subject"),
            fields.any(),
            fields.any(),
            fields.symbol("content-type"),
            fields.symbol("content-encoding"),
            _time(fields, "absolute-expiry-time"),
            _time(fields, "creation-time"),
            fields.string("group-id"),
            fields.uint("group-sequence"),
            fields.string("reply-to-group-id"),
        )
        fields.done()
        return found

    def annotations(self, code: int) -> dict[object, object]:
        """DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS or FOOTER: keys are Symbols, or ULongs, which are reserved."""
        found = self._map(code)
        for key in found:
            if not isinstance(key, Symbol | ULong):
                raise undecodable("a key of annotations is no symbol", self.begin[code], "AMQP-3.2.10")
        return found

    def application_properties(self) -> dict[str, object]:
        """3.2.5: keys are strings, values simple."""
        found: dict[str, object] = {}
        for key, value in self._map(APPLICATION_PROPERTIES).items():
            if not isinstance(key, str) or isinstance(key, Symbol):
                raise self._wrong("a key of application-properties is no string")
            if isinstance(value, list | dict | Array | Described):
                raise self._wrong("an application-property is no simple value")
            found[key] = value
        return found

    def _wrong(self, text: str) -> AmqpError:
        return undecodable(text, self.begin[APPLICATION_PROPERTIES], "AMQP-3.2.5")

    def data(self) -> bytes:
        """The octets of all data sections (3.2.6) together."""
        parts: list[bytes] = []
        for value in self.values():
            if not isinstance(value, bytes):
                raise undecodable("a data section holds no binary", clause="AMQP-3.2.6")
            parts.append(value)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def values(self) -> list[object]:
        """What the sections of the body hold: octets, lists, or the one value."""
        found: list[object] = []
        # One reader for all: what one message may hold is not what one section may, times a million sections.
        reader = Reader(self.payload, 0, len(self.payload))
        for begin, end in self._parts:
            reader.pos = begin
            reader.end = end
            value = reader.value(NESTING)
            if self.body == AMQP_SEQUENCE and not isinstance(value, list):
                raise undecodable("an amqp-sequence holds no list", begin, "AMQP-3.2.7")
            found.append(value)
        return found

    def without(self, codes: list[int]) -> bytes:
        """The octets of all sections but these."""
        kept: list[bytes] = []
        for code in sorted(self.begin):
            if code not in codes:
                kept.append(self.payload[self.begin[code] : self.end[code]])
        return b"".join(kept)

    def octets(self, code: int) -> bytes:
        """A section as it came, descriptor included; b"" where there is none."""
        if code not in self.begin:
            return b""
        return self.payload[self.begin[code] : self.end[code]]

    def _list(self, code: int, name: str, clause: str) -> Fields:
        empty: list[object] = []
        if code not in self.value:
            return Fields(empty, name, clause)
        value = Reader(self.payload, self.value[code], self.end[code]).value(NESTING)
        if not isinstance(value, list):
            raise undecodable(f"{name} is no list", self.begin[code], clause)
        return Fields(value, name, clause)

    def _map(self, code: int) -> dict[object, object]:
        if code not in self.value:
            empty: dict[object, object] = {}
            return empty
        value = Reader(self.payload, self.value[code], self.end[code]).value(NESTING)
        if not isinstance(value, dict):
            raise undecodable("a section that is a map holds another value", self.begin[code], "AMQP-3.2")
        found: dict[object, object] = value
        return found


def _time(fields: Fields, field: str) -> int | None:
    value = fields.any()
    if value is None:
        return None
    if isinstance(value, Timestamp):
        return value.value
    raise fields.wrong(field)


def put_header(header: Header) -> bytes:
    """The section of a header, complete."""
    return put_composite(
        HEADER,
        [
            TRUE if header.durable else FALSE,
            b"\x50" + u8(header.priority),
            NULL if header.ttl == ABSENT else put_uint(header.ttl),
            TRUE if header.first_acquirer else FALSE,
            put_uint(header.delivery_count),
        ],
    )


def put_properties(properties: Properties) -> bytes:
    """The section of properties, complete."""
    sequence = properties.group_sequence
    return put_composite(
        PROPERTIES,
        [
            encode_value(properties.message_id),
            NULL if properties.user_id is None else put_binary(properties.user_id),
            encode_value(properties.to),
            _string(properties.subject),
            encode_value(properties.reply_to),
            encode_value(properties.correlation_id),
            _symbol(properties.content_type),
            _symbol(properties.content_encoding),
            _timestamp(properties.absolute_expiry_time),
            _timestamp(properties.creation_time),
            _string(properties.group_id),
            NULL if sequence == ABSENT else put_uint(sequence),
            _string(properties.reply_to_group_id),
        ],
    )


def put_section(code: int, value: object) -> bytes:
    """Any other section: annotations, application-properties and a footer from a dict, a body from its value."""
    if isinstance(value, dict):
        found: dict[object, object] = value
        return b"\x00\x53" + u8(code) + put_map(found)
    if isinstance(value, list):
        return b"\x00\x53" + u8(code) + put_list([encode_value(item) for item in value])
    return b"\x00\x53" + u8(code) + encode_value(value)


def put_data(body: bytes) -> bytes:
    """A data section (3.2.6) with its octets."""
    size = len(body)
    if size < 256:
        return b"\x00\x53\x75\xa0%b%b" % (u8(size), body)
    return b"\x00\x53\x75\xb0%b%b" % (u32(size), body)


def _string(value: str | None) -> bytes:
    return NULL if value is None else put_string(value)


def _symbol(value: str | None) -> bytes:
    return NULL if value is None else put_symbol(value)


def _timestamp(value: int | None) -> bytes:
    return NULL if value is None else encode_value(Timestamp(value))
