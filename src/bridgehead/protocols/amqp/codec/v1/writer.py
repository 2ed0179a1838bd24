"""Encodes AMQP 1.0 values (1.6), each in its shortest form."""

from __future__ import annotations

import struct
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.amqp.codec.v1.types import (
    Array,
    Decimal,
    Described,
    Float,
    Integer,
    Scalar,
    Symbol,
    Uuid,
)
from bridgehead.wire.writer import u8, u32

NULL: Final = b"\x40"
TRUE: Final = b"\x41"
FALSE: Final = b"\x42"
EMPTY_LIST: Final = b"\x45"
_LOWEST_LONG: Final = -9_223_372_036_854_775_808
_HIGHEST_LONG: Final = 9_223_372_036_854_775_807


def encode_value(value: object) -> bytes:
    """The octets of a value, constructor included. Raises LocalMisuse for what has no AMQP type."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, int):
        return _long(value)
    if isinstance(value, Symbol):
        return put_symbol(value)
    if isinstance(value, str):
        return put_string(value)
    if isinstance(value, bytes):
        return put_binary(value)
    if isinstance(value, Scalar):
        return _scalar(value)
    if isinstance(value, Described):
        return b"\x00" + encode_value(value.descriptor) + encode_value(value.value)
    if isinstance(value, dict):
        return put_map(value)
    if isinstance(value, list | tuple):
        return put_list([encode_value(item) for item in value])
    if isinstance(value, Array):
        return _array(value)
    if isinstance(value, float):
        return b"\x82" + struct.pack(">d", value)
    raise LocalMisuse(f"a {type(value).__name__} has no AMQP type")


def put_list(encoded: list[bytes]) -> bytes:
    """1.6.22: a list of values that are encoded already."""
    if not encoded:
        return EMPTY_LIST
    return _sized(0xC0, 0xD0, len(encoded), b"".join(encoded))


def put_map(value: dict[object, object]) -> bytes:
    """1.6.23"""
    parts: list[bytes] = []
    for key, item in value.items():
        parts.append(encode_value(key))
        parts.append(encode_value(item))
    return put_pairs(parts)


def put_pairs(encoded: list[bytes]) -> bytes:
    """1.6.23: a map of keys and values in turn that are encoded already."""
    return _sized(0xC1, 0xD1, len(encoded), b"".join(encoded))


def put_composite(code: int, fields: list[bytes]) -> bytes:
    """1.4: a described list, with the descriptor's number. Every field is there: some peers know no shorter lists."""
    return b"\x00\x53" + u8(code) + put_list(fields)


def put_string(text: str) -> bytes:
    """1.6.20"""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise LocalMisuse("a string cannot hold surrogates") from None
    return _variable(0xA1, data)


def put_symbol(text: str) -> bytes:
    """1.6.21"""
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError:
        raise LocalMisuse(f"a symbol is ASCII, and {text!r} is not") from None
    return _variable(0xA3, data)


def put_binary(data: bytes) -> bytes:
    """1.6.19"""
    return _variable(0xA0, data)


def put_uint(value: int) -> bytes:
    """1.6.5. Raises LocalMisuse outside 0 to 4,294,967,295."""
    if value == 0:
        return b"\x43"
    if 0 < value < 256:
        return b"\x52" + u8(value)
    if not 0 < value <= 4_294_967_295:
        raise LocalMisuse(f"{value} is no uint")
    return b"\x70" + u32(value)


def put_ulong(value: int) -> bytes:
    """1.6.6"""
    if value == 0:
        return b"\x44"
    if 0 < value < 256:
        return b"\x53" + u8(value)
    if not 0 < value <= 18_446_744_073_709_551_615:
        raise LocalMisuse(f"{value} is no ulong")
    return b"\x80" + value.to_bytes(8, "big")


def put_symbols(values: list[Symbol]) -> bytes:
    """A field that may have several values (1.4): null, or an array of symbols."""
    if not values:
        return NULL
    return _array(Array(0xA3, list(values)))


def put_body(code: int, value: object) -> bytes:
    """A value without its constructor, in the encoding `code`, as the elements of an array are.

    Raises LocalMisuse when the value is not of that type or does not fit.
    """
    kind = code >> 4
    if kind == 4:
        if encode_value(value) != u8(code):
            raise LocalMisuse(f"{value!r} is not what 0x{code:02x} says")
        return b""
    if kind >= 10:
        return _body_of_length(code, value)
    if code == 0x56 and isinstance(value, bool):
        return b"\x01" if value else b"\x00"
    if code == 0x82 and isinstance(value, float):
        return struct.pack(">d", value)
    if code in (0x55, 0x81) and isinstance(value, int) and not isinstance(value, bool):
        return _number(code, value)
    if isinstance(value, Float | Decimal | Uuid) and value.code == code:
        return value.octets
    if isinstance(value, Integer) and code in (value.code, _SHORT.get(value.code, -1)):
        return _number(code, value.value)
    raise LocalMisuse(f"{value!r} has no encoding 0x{code:02x}")


# The one-octet forms of what also has a wide one.
_SHORT: Final[dict[int, int]] = {0x70: 0x52, 0x80: 0x53, 0x71: 0x54}
_WIDTHS: Final[dict[int, int]] = {5: 1, 6: 2, 7: 4, 8: 8}
_SIGNED: Final = frozenset([0x51, 0x54, 0x55, 0x61, 0x71, 0x81, 0x83])


def _number(code: int, value: int) -> bytes:
    try:
        return value.to_bytes(_WIDTHS[code >> 4], "big", signed=code in _SIGNED)
    except OverflowError:
        raise LocalMisuse(f"{value} does not fit into 0x{code:02x}") from None


def _long(value: int) -> bytes:
    if -128 <= value <= 127:
        return b"\x55" + value.to_bytes(1, "big", signed=True)
    if not _LOWEST_LONG <= value <= _HIGHEST_LONG:
        raise LocalMisuse(f"{value} is no long")
    return b"\x81" + value.to_bytes(8, "big", signed=True)


def _scalar(value: Scalar) -> bytes:
    code = value.code
    if code == 0x70 and isinstance(value, Integer):
        return put_uint(value.value)
    if code == 0x80 and isinstance(value, Integer):
        return put_ulong(value.value)
    if code == 0x71 and isinstance(value, Integer) and -128 <= value.value <= 127:
        code = 0x54
    return u8(code) + put_body(code, value)


def _variable(short: int, data: bytes) -> bytes:
    size = len(data)
    if size < 256:
        return u8(short) + u8(size) + data
    return u8(short + 0x10) + u32(size) + data


def _sized(short: int, long: int, count: int, body: bytes) -> bytes:
    """A compound value: its size, which counts the count's octets too, the count, and the elements."""
    size = len(body)
    if size < 255 and count < 256:
        return u8(short) + u8(size + 1) + u8(count) + body
    return u8(long) + u32(size + 4) + u32(count) + body


def _array(value: Array) -> bytes:
    parts: list[bytes] = []
    for descriptor in value.descriptors:
        parts.append(b"\x00" + encode_value(descriptor))
    parts.append(u8(value.code))
    for item in value.items:
        parts.append(put_body(value.code, item))
    return _sized(0xE0, 0xF0, len(value.items), b"".join(parts))


# The one-octet form of each encoding with a length, by what `encode_value` of such a value may begin with.
_FAMILIES: Final[dict[int, int]] = {0xB0: 0xA0, 0xB1: 0xA1, 0xB3: 0xA3, 0xD0: 0xC0, 0xD1: 0xC1, 0xF0: 0xE0}


def _body_of_length(code: int, value: object) -> bytes:
    """Encode it freely, then fit its lengths to the encoding that the array has chosen."""
    whole = encode_value(value)
    found = whole[0]
    if found == code:
        return whole[1:]
    short = _FAMILIES.get(code, code)
    if found == 0x45 and short == 0xC0:
        return b"\x01\x00" if code == 0xC0 else b"\x00\x00\x00\x04\x00\x00\x00\x00"
    if found != short:
        raise LocalMisuse(f"a {type(value).__name__} has no encoding 0x{code:02x}, or not so long")
    if short < 0xC0:
        return u32(whole[1]) + whole[2:]
    return u32(whole[1] + 3) + u32(whole[2]) + whole[3:]
