"""The data representations of MQTT (5.0 section 1.5): how a field is read and written."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.mqtt.codec.reason_codes import MALFORMED_PACKET
from bridgehead.wire.errors import Malformed
from bridgehead.wire.reader import Reader
from bridgehead.wire.writer import u8, u16, u32

MAX_VARIABLE_BYTE_INTEGER: Final = 268_435_455
MAX_FIELD_LENGTH: Final = 65_535


@mypyc_attr(acyclic=True)
class Limits:
    """How often a packet may hold what needs only a few octets on the wire, but a hundred and more in memory."""

    def __init__(self, user_properties: i64 = 1_000, topic_filters: i64 = 10_000) -> None:
        self.user_properties: Final = user_properties
        self.topic_filters: Final = topic_filters


DEFAULT_LIMITS: Final = Limits()


def text_of(octets: bytes, field: str, at: i64) -> str:
    """A UTF-8 Encoded String's text. Noncharacters are allowed and kept, as is U+FEFF [MQTT-1.5.4-3]."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        # Python's strict decoder refuses what [MQTT-1.5.4-1] does: surrogates, over-long forms, beyond U+10FFFF.
        raise Malformed(
            f"{field} is not well-formed UTF-8: {error.reason}", MALFORMED_PACKET, at + error.start, "MQTT-1.5.4-1"
        ) from None
    if "\x00" in text:
        raise Malformed(f"{field} contains U+0000", MALFORMED_PACKET, at + octets.index(0), "MQTT-1.5.4-2")
    return text


@mypyc_attr(acyclic=True)
class FieldReader(Reader):
    """Reads the fields of one control packet. `start` is the offset of its first octet in `data`."""

    def __init__(
        self,
        data: bytes,
        start: i64,
        pos: i64,
        end: i64,
        limits: Limits = DEFAULT_LIMITS,
        from_server: bool = False,
    ) -> None:
        super().__init__(data, start, end, MALFORMED_PACKET)
        self.pos = pos
        self.limits: Final = limits
        self.from_server: Final = from_server

    def variable_byte_integer(self, field: str) -> i64:
        """1.5.5: at most four octets, in the shortest form."""
        begin = self.pos
        octet = self.u8(field)
        if octet < 128:
            return octet
        value = octet & 127
        shift: i64 = 7
        while shift <= 21:
            octet = self.u8(field)
            value |= (octet & 127) << shift
            if octet < 128:
                if octet == 0:
                    raise Malformed(
                        f"{field} is not in its shortest form", MALFORMED_PACKET, begin - self.start, "MQTT-1.5.5-1"
                    )
                return value
            shift += 7
        raise Malformed(f"{field} is longer than four octets", MALFORMED_PACKET, begin - self.start, "MQTT 5.0 1.5.5")

    def binary_data(self, field: str) -> bytes:
        """1.5.6: a Two Byte Integer length and that many octets."""
        return self.octets(self.u16(field), field)

    def utf8_string(self, field: str) -> str:
        """1.5.4: a Two Byte Integer length and that many octets of UTF-8."""
        octets = self.octets(self.u16(field), field)
        return text_of(octets, field, self.pos - self.start - len(octets))


def put_variable_byte_integer(value: int) -> bytes:
    """1.5.5. Raises LocalMisuse outside 0 to 268,435,455."""
    if 0 <= value < 128:
        return u8(value)
    if not 0 <= value <= MAX_VARIABLE_BYTE_INTEGER:
        raise LocalMisuse(f"a Variable Byte Integer cannot be {value}")
    low = (value & 127) | 128
    if value < 16_384:
        return u16(low << 8 | value >> 7)
    second = (value >> 7 & 127) | 128
    if value < 2_097_152:
        return u16(low << 8 | second) + u8(value >> 14)
    return u32(low << 24 | second << 16 | ((value >> 14 & 127) | 128) << 8 | value >> 21)


def put_binary_data(octets: bytes) -> bytes:
    """1.5.6. Raises LocalMisuse beyond 65,535 octets."""
    length = len(octets)
    if length > MAX_FIELD_LENGTH:
        raise LocalMisuse(f"a field of {length} octets is longer than 65,535")
    return u16(length) + octets


def put_utf8_string(text: str) -> bytes:
    """1.5.4. Raises LocalMisuse for what no UTF-8 Encoded String may hold."""
    if "\x00" in text:
        raise LocalMisuse("a UTF-8 Encoded String cannot hold U+0000")
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError:
        raise LocalMisuse("a UTF-8 Encoded String cannot hold surrogates") from None
    return put_binary_data(octets)
