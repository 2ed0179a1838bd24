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

import json
import math
import struct
from decimal import Decimal as PythonDecimal
from typing import Final

from bridgehead.core.errors import Refusal
from bridgehead.core.topic import check_topic_name
from bridgehead.protocols.amqp.codec.v1.types import Array, Char, Decimal, Described, Float, Integer, Timestamp, Uuid

LONGEST: Final = 65535  # octets of a text or of Correlation Data in MQTT 5.0 (sections 1.5.4 and 1.5.6)
_DAY: Final = 86_400_000  # milliseconds
_LATEST: Final = 253_402_300_800_000  # the year 10000, which RFC 3339 cannot write
_EARLIEST: Final = -62_167_219_200_000  # the year 0


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
    milliseconds = _milliseconds(value)
    return json_of(value) if milliseconds is None else str(milliseconds)


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
    if isinstance(value, bytes | bytearray | PythonDecimal | Uuid | Decimal | Char):
        return text_of(value)
    milliseconds = _milliseconds(value)
    return str(value) if milliseconds is None else milliseconds


def moment_of(value: Timestamp) -> str:
    """In RFC 3339; as a number where that has no such year."""
    if not _EARLIEST <= value.value < _LATEST:
        return str(value.value)
    days, rest = divmod(value.value, _DAY)
    # The civil date of a day, in the proleptic Gregorian calendar whose years begin in March: 400 years have 146,097
    # days, and a leap day is the last of its year.
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month += 3 if month < 10 else -9
    full_year = era * 400 + year + (1 if month <= 2 else 0)
    seconds, milliseconds = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{full_year:04}-{month:02}-{day + 1:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"


def _number(value: Float) -> float:
    unpacked: float = struct.unpack(">f", value.octets)[0]
    return unpacked


def _milliseconds(value: object) -> int | None:
    """Of a timestamp of 0-9-1, which its library makes a date with a zone; None for anything else."""
    stamp = getattr(value, "timestamp", None)
    return None if stamp is None else int(stamp() * 1000)


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
