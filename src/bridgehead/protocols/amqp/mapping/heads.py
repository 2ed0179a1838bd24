"""What comes before the body of a message of AMQP 1.0 (3.2), looked at by lengths alone, as clients write it.

Every question has an answer "not so", on which the sections are decoded: nothing is accepted here that decoding would
refuse.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.protocols.amqp.codec.v1.sections import DATA, DELIVERY_ANNOTATIONS, PROPERTIES

_NOT_SO: Final = -1
# Fields of the properties section (3.2.4) that only receivers look at, by their position, and the content type.
_MESSAGE_ID: Final = 0
_USER_ID: Final = 1
_SUBJECT: Final = 3
_CONTENT_TYPE: Final = 6
_CONTENT_ENCODING: Final = 7
_CREATION_TIME: Final = 9
_NULL: Final = 0x40


def _section_end(octets: bytes, at: i64) -> i64:
    """Where the list or map ends whose descriptor is at `at`; _NOT_SO where its constructor is another."""
    size: i64 = len(octets)
    if at + 4 > size or octets[at] != 0 or octets[at + 1] != 0x53:
        return _NOT_SO
    code: i64 = octets[at + 3]
    if code == 0x45:
        return at + 4
    if (code == 0xC0 or code == 0xC1) and at + 5 <= size:
        return at + 5 + octets[at + 4]
    if (code == 0xD0 or code == 0xD1) and at + 8 <= size:
        return at + 8 + _long(octets, at + 4)
    return _NOT_SO


def _long(octets: bytes, at: i64) -> i64:
    first: i64 = octets[at]
    second: i64 = octets[at + 1]
    third: i64 = octets[at + 2]
    fourth: i64 = octets[at + 3]
    return first << 24 | second << 16 | third << 8 | fourth


def body_at(payload: bytes) -> int:
    """Where the data section begins that ends the message and is as `put_data` writes it; -1 for any other message."""
    size: i64 = len(payload)
    at: i64 = 0
    while at >= 0 and at + 5 <= size:
        if payload[at + 2] == DATA and payload[at] == 0 and payload[at + 1] == 0x53:
            code: i64 = payload[at + 3]
            if code == 0xA0:
                return int(at) if size == at + 5 + payload[at + 4] else _NOT_SO
            if code == 0xB0 and at + 8 <= size:
                length = _long(payload, at + 4)
                return int(at) if length >= 256 and size == at + 8 + length else _NOT_SO
            return _NOT_SO
        at = _section_end(payload, at)
    return _NOT_SO


def properties_at(head: bytes) -> int:
    """Where the properties section begins; -1 if there is none. `head` is what `body_at` has walked over."""
    at: i64 = 0
    while at >= 0 and at + 4 <= len(head):
        if head[at + 2] == PROPERTIES:
            return int(at)
        at = _section_end(head, at)
    return _NOT_SO


def bare_at(head: bytes) -> int:
    """Where the header and the delivery-annotations are over."""
    at: i64 = 0
    while at + 4 <= len(head) and head[at + 2] <= DELIVERY_ANNOTATIONS:
        at = _section_end(head, at)
    return int(at)


def own_fields_end(head: bytes, begin: int) -> int:
    """Where the properties section ends that begins at `begin`, if all its fields but the content type are ones that
    only receivers look at, of the usual types and in ASCII; else -1."""
    at: i64 = begin
    end = _section_end(head, at)
    left: i64 = 0
    if end > len(head):
        return _NOT_SO
    if head[at + 3] == 0xC0 and at + 6 <= end:
        left = head[at + 5]
        at += 6
    elif head[at + 3] == 0xD0 and at + 12 <= end:
        left = _long(head, at + 8)
        at += 12
    else:
        return _NOT_SO
    if left > _CREATION_TIME + 4:
        return _NOT_SO
    field: i64 = 0
    while field < left:
        after = _field_end(head, at, end, field)
        if after < 0:
            return _NOT_SO
        at = after
        field += 1
    return int(end) if at == end else _NOT_SO


def content_type_of(head: bytes, begin: int) -> bytes:
    """The content type as it stands in a properties section that `own_fields_end` knew."""
    at: i64 = begin
    end = _section_end(head, at)
    left: i64 = head[at + 5] if head[at + 3] == 0xC0 else _long(head, at + 8)
    at += 6 if head[at + 3] == 0xC0 else 12
    field: i64 = 0
    while field < left:
        after = _field_end(head, at, end, field)
        if field == _CONTENT_TYPE:
            return head[int(at) : int(after)]
        at = after
        field += 1
    return b""


def has_message_id(head: bytes, begin: int) -> bool:
    """Whether the first field of such a properties section is there: the next message will have another one."""
    at = begin + (6 if head[begin + 3] == 0xC0 else 12)
    return at < len(head) and head[at] != _NULL


def _field_end(head: bytes, at: i64, end: i64, field: i64) -> i64:
    if at >= end:
        return _NOT_SO
    code: i64 = head[at]
    if code == _NULL:
        return at + 1
    after: i64 = _NOT_SO
    text = False
    if field <= _SUBJECT and field != _USER_ID:
        if code == 0xA1 and at + 2 <= end:
            after = at + 2 + head[at + 1]
            text = True
        elif field == _MESSAGE_ID:
            if code == 0x98:
                after = at + 17
            elif code == 0x80:
                after = at + 9
            elif code == 0x53:
                after = at + 2
            elif code == 0xA0 and at + 2 <= end:
                after = at + 2 + head[at + 1]
    elif _CONTENT_TYPE <= field <= _CONTENT_ENCODING:
        if code == 0xA3 and at + 2 <= end:
            after = at + 2 + head[at + 1]
            text = True
    elif field == _CREATION_TIME and code == 0x83:
        after = at + 9
    if after < 0 or after > end:
        return _NOT_SO
    if text and not head[int(at) + 2 : int(after)].isascii():
        return _NOT_SO
    return after
