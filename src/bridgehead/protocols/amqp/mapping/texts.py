"""Values of AMQP as text and as JSON, for receivers that have no such types; and what such receivers can be told.

| value | as text | in JSON |
|---|---|---|
| string, symbol | itself | a string |
| boolean | `true`, `false` | true, false |
| integers | digits | a number |
| float, double | as Python writes them, `nan` and `inf` too | a number; a string where JSON has none |
| char | the character | a string |
| timestamp | milliseconds since 1970-01-01 UTC | a number |
| uuid | `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` | a string |
| binary, decimals | hexadecimal digits | a string |
| null | nothing | null |
"""

from __future__ import annotations

import datetime
import json
import math
import struct
from decimal import Decimal as PythonDecimal
from typing import Final

from bridgehead.core.errors import Refusal
from bridgehead.core.topic import check_topic_name
from bridgehead.protocols.amqp.codec.v1.types import Array, Char, Decimal, Described, Float, Integer, Timestamp, Uuid

LONGEST: Final = 65535  # octets of a text or of Correlation Data in MQTT 5.0 (sections 1.5.4 and 1.5.6)
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def text_of(value: object) -> str:
    """A simple value as text, as User Properties of MQTT carry it."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | PythonDecimal):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, Char):
        return chr(value.value)
    if isinstance(value, Integer):
        return str(value.value)
    if isinstance(value, Float):
        return str(_number(value))
    if isinstance(value, Uuid):
        return str(value)
    if isinstance(value, Decimal):
        return value.octets.hex()
    if isinstance(value, datetime.datetime):  # of 0-9-1: whole seconds
        return str(_milliseconds(value))
    return json_of(value)


def json_of(value: object) -> str:
    """Any value as JSON (RFC 8259), without spaces."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def plain(value: object) -> object:
    """Any value in the types of JSON."""
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Float):
        value = _number(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {text_of(key): plain(item) for key, item in value.items()}
    if isinstance(value, Array):
        return [plain(item) for item in value.items]
    if isinstance(value, Described):
        return plain(value.value)
    if isinstance(value, Integer) and not isinstance(value, Char):
        return value.value
    if isinstance(value, datetime.datetime):
        return _milliseconds(value)
    if isinstance(value, bytes | bytearray | PythonDecimal | Uuid | Decimal | Char):
        return text_of(value)
    return str(value)


def moment_of(value: Timestamp) -> str:
    """In RFC 3339; as a number where the calendar has no such year."""
    try:
        moment = _EPOCH + datetime.timedelta(milliseconds=value.value)
    except OverflowError:
        return str(value.value)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: Float) -> float:
    unpacked: float = struct.unpack(">f", value.octets)[0]
    return unpacked


def _milliseconds(value: datetime.datetime) -> int:
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return (value - _EPOCH) // datetime.timedelta(milliseconds=1)


def can_tell(text: str) -> bool:
    """Whether MQTT 5.0 and the hub's other protocols can carry it: no null character, no more octets than a text has
    there (MQTT 5.0 section 1.5.4). What cannot be told to them stays between receivers of the sender's own protocol."""
    if "\0" in text:
        return False
    if len(text) * 4 <= LONGEST:
        return True
    return len(text) <= LONGEST and len(text.encode("utf-8", "surrogatepass")) <= LONGEST


def topic_to_tell(name: str) -> str | None:
    """A name as a Response Topic: None for one that is no Topic Name ([MQTT-3.3.2-14])."""
    try:
        check_topic_name(name)
    except Refusal:
        return None
    return name
