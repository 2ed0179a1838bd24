"""Topic properties of draft-ietf-core-coap-pubsub-21, section 4, in CBOR: read, checked and written.

**Experimental.** The draft is no RFC yet: the number of its Content-Format is still to be assigned, and keys may
change. All of its code points stand in `CodePoints`, which the configuration may replace.
"""

from __future__ import annotations

import struct
from typing import Final

from bridgehead.protocols.coap.codec.codes import BAD_REQUEST
from bridgehead.wire.errors import Malformed

TOPIC_NAME: Final = 0
TOPIC_DATA: Final = 1
RESOURCE_TYPE: Final = 2
TOPIC_CONTENT_FORMAT: Final = 3
TOPIC_TYPE: Final = 4
EXPIRATION_DATE: Final = 5
MAX_SUBSCRIBERS: Final = 6
OBSERVER_CHECK: Final = 7
INITIALIZE: Final = 8

NAMES: Final = (
    "topic-name",
    "topic-data",
    "resource-type",
    "topic-content-format",
    "topic-type",
    "expiration-date",
    "max-subscribers",
    "observer-check",
    "initialize",
)
IMMUTABLE: Final = (TOPIC_NAME, TOPIC_DATA, RESOURCE_TYPE)  # section 2.5.3: after the creation

Property = str | int | float | bytes
Properties = dict[int, Property]  # by the names above, whatever the keys on the wire

_UINT: Final = 0
_NINT: Final = 1
_BYTES: Final = 2
_TEXT: Final = 3
_ARRAY: Final = 4
_MAP: Final = 5
_TAG: Final = 6
_SIMPLE: Final = 7
_TYPES: Final = (_TEXT, _TEXT, _TEXT, _UINT, _TEXT, _TAG, _UINT, _UINT, _BYTES)
_INDEFINITE: Final = -1
_BREAK: Final = 0xFF
_EPOCH: Final = 1  # RFC 8949 section 3.4.2
_LATEST: Final = 253402300800  # the year 10000, in seconds since the epoch


class CodePoints:
    """What the draft leaves to its registration: `keys[TOPIC_NAME]` is the CBOR key of topic-name, and so on."""

    def __init__(
        self,
        content_format: int = 606,
        keys: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8),
        broker: str = "core.ps",
        collection: str = "core.ps.coll",
        topic: str = "core.ps.conf",
        data: str = "core.ps.data",
    ) -> None:
        self.content_format: Final = content_format
        self.keys: Final = keys
        self.broker: Final = broker
        self.collection: Final = collection
        self.topic: Final = topic
        self.data: Final = data


def read_properties(payload: bytes, points: CodePoints) -> Properties:
    """A map of topic properties. Malformed, with the Response Code to answer, for anything else: an unrecognised or
    doubled key too (section 2.4.3)."""
    reader = _Reader(payload)
    left = reader.begins(_MAP, "the topic properties")
    found: Properties = {}
    while reader.goes_on(left):
        left -= 1
        which = reader.key(points)
        if which in found:
            raise reader.bad(f"{NAMES[which]} stands there twice")
        found[which] = reader.value(which)
    reader.ends()
    return found


def read_keys(payload: bytes, points: CodePoints) -> list[int]:
    """The array of property keys that a FETCH of a topic asks for (section 2.5.2). Unknown ones are left out: what the
    topic has of the others is the answer."""
    reader = _Reader(payload)
    left = reader.begins(_ARRAY, "the wanted properties")
    found: list[int] = []
    while reader.goes_on(left):
        left -= 1
        key = reader.integer()
        if key in points.keys:
            found.append(points.keys.index(key))
    reader.ends()
    return found


def write_properties(properties: Properties, points: CodePoints) -> bytes:
    """In the deterministic encoding of RFC 8949 section 4.2.1."""
    entries: list[bytes] = []
    for which, value in properties.items():
        key = points.keys[which]
        entries.append((_head(_UINT, key) if key >= 0 else _head(_NINT, -1 - key)) + _value(which, value))
    entries.sort()
    return _head(_MAP, len(entries)) + b"".join(entries)


def _value(which: int, value: Property) -> bytes:
    if isinstance(value, str):
        text = value.encode()
        return _head(_TEXT, len(text)) + text
    if isinstance(value, bytes):
        return _head(_BYTES, len(value)) + value
    tag = _head(_TAG, _EPOCH) if which == EXPIRATION_DATE else b""
    if isinstance(value, float):
        return tag + b"\xfb" + struct.pack(">d", value)
    return tag + _head(_UINT, value)


def _head(major: int, argument: int) -> bytes:
    first = major << 5
    if argument < 24:
        return bytes((first | argument,))
    if argument < 0x100:
        return bytes((first | 24, argument))
    if argument < 0x10000:
        return bytes((first | 25,)) + argument.to_bytes(2, "big")
    if argument < 0x100000000:
        return bytes((first | 26,)) + argument.to_bytes(4, "big")
    return bytes((first | 27,)) + argument.to_bytes(8, "big")


class _Reader:
    """The part of CBOR that topic properties are made of (RFC 8949 section 3); indefinite lengths too."""

    def __init__(self, data: bytes) -> None:
        self.data: Final = data
        self.pos = 0

    def bad(self, text: str) -> Malformed:
        return Malformed(text, BAD_REQUEST, self.pos)

    def _take(self, count: int) -> bytes:
        if count > len(self.data) - self.pos:
            raise self.bad(f"CBOR: {count} octets are said to follow, {len(self.data) - self.pos} do")
        found = self.data[self.pos : self.pos + count]
        self.pos += count
        return found

    def _head(self) -> tuple[int, int, int]:
        """Major type, additional information, argument (-1: indefinite length)."""
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info, info
        if info < 28:
            return major, info, int.from_bytes(self._take(1 << (info - 24)), "big")
        if info == 31 and major != _UINT and major != _NINT and major != _TAG:
            return major, info, _INDEFINITE
        raise self.bad("CBOR: a reserved length")

    def begins(self, wanted: int, what: str) -> int:
        """How many entries follow, -1: until a break."""
        major, _, count = self._head()
        if major != wanted:
            raise self.bad(f"{what} are to be a CBOR {'map' if wanted == _MAP else 'array'}")
        if count > len(self.data) - self.pos:
            raise self.bad(f"CBOR: {count} entries are said to follow in {len(self.data) - self.pos} octets")
        return count

    def goes_on(self, left: int) -> bool:
        """Whether another entry follows: `left` of them, or, if that was negative at the beginning, until a break."""
        if left >= 0:
            return left > 0
        if self.pos < len(self.data) and self.data[self.pos] == _BREAK:
            self.pos += 1
            return False
        return True

    def ends(self) -> None:
        if self.pos != len(self.data):
            raise self.bad(f"{len(self.data) - self.pos} octets follow the CBOR value: leave them out")

    def integer(self) -> int:
        major, _, argument = self._head()
        if major == _UINT:
            return argument
        if major == _NINT:
            return -1 - argument
        raise self.bad("the keys of topic properties are integers")

    def key(self, points: CodePoints) -> int:
        key = self.integer()
        if key not in points.keys:
            raise self.bad(f"there is no topic property {key}")
        return points.keys.index(key)

    def value(self, which: int) -> Property:
        wanted = _TYPES[which]
        major, _, argument = self._head()
        if major != wanted:
            raise self.bad(f"{NAMES[which]} is to be {_SHAPES[wanted]}")
        if wanted == _TEXT:
            try:
                return self._string(major, argument).decode("utf-8", "strict")
            except UnicodeDecodeError:
                raise self.bad(f"{NAMES[which]} is not UTF-8") from None
        if wanted == _BYTES:
            return self._string(major, argument)
        if wanted == _TAG:
            if argument != _EPOCH:
                raise self.bad(f"{NAMES[which]} is to be {_SHAPES[wanted]}")
            return self._number(which)
        return argument

    def _string(self, major: int, length: int) -> bytes:
        if length != _INDEFINITE:
            return self._take(length)
        found: list[bytes] = []
        while self.goes_on(_INDEFINITE):
            inner, _, count = self._head()
            if inner != major or count == _INDEFINITE:
                raise self.bad("CBOR: the chunks of a string are strings of its type with a length")
            found.append(self._take(count))
        return b"".join(found)

    def _number(self, which: int) -> int | float:
        major, info, argument = self._head()
        value: int | float = -1
        if major == _UINT:
            value = argument
        elif major == _SIMPLE and 25 <= info <= 27:
            octets = self.data[self.pos - (1 << (info - 24)) : self.pos]
            value = float(struct.unpack((">e", ">f", ">d")[info - 25], octets)[0])
        if not 0 <= value < _LATEST:  # nor is NaN
            raise self.bad(f"{NAMES[which]} is to be {_SHAPES[_TAG]}")
        return value


_SHAPES: Final = {
    _UINT: "an unsigned integer",
    _BYTES: "a byte string",
    _TEXT: "a text string",
    _TAG: "tag 1 with the seconds since 1970 as a number",
}
