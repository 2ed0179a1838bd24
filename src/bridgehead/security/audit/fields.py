"""An event's fields as they may be written anywhere: no secrets, no octets, nothing endless."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

_LONGEST_VALUE: Final = 256  # characters
LONGEST_SENTENCE: Final = 1024
# The rims never put secrets into events; this is the second lock on that door.
_SECRET_WORDS: Final = ("password", "secret", "token", "private", "credential", "authentication_data", "passphrase")


def clean(fields: Mapping[str, object]) -> dict[str, object]:
    """No secrets, no octets, nothing longer than 256 characters (sentences: 1024)."""
    result: dict[str, object] = {}
    for key, value in fields.items():
        if any(word in key.lower() for word in _SECRET_WORDS):
            result[key] = "***"
        elif value is None or isinstance(value, bool | int):
            result[key] = value
        elif isinstance(value, float):
            result[key] = value if math.isfinite(value) else str(value)  # JSON knows no infinity
        elif isinstance(value, bytes | bytearray | memoryview):
            result[key] = f"<{len(value)} octets>"
        elif isinstance(value, list | tuple):
            result[key] = cut(", ".join(str(item) for item in value), LONGEST_SENTENCE)
        else:
            result[key] = cut(str(value), LONGEST_SENTENCE if key == "because" else _LONGEST_VALUE)
    return result


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
