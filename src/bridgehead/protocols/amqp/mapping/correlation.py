"""Correlation ids of AMQP beside the octets of MQTT's Correlation Data: whoever asked gets back what it sent, of the
same type, whatever protocol the answer took.

A text is its UTF-8, binary is its octets. Where two could be taken for each other, and for the types that MQTT has not,
the octets begin with a word: `AMQP_ULONG:7`, `AMQP_UUID:...`, `AMQP_BINARY:` and hexadecimal digits, `AMQP_STRING:`.
"""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.types import ULong, Uuid

_WORD: Final = "AMQP_"
_ULONG: Final = "AMQP_ULONG:"
_UUID: Final = "AMQP_UUID:"
_BINARY: Final = "AMQP_BINARY:"
_STRING: Final = "AMQP_STRING:"
_LARGEST: Final = 0xFFFF_FFFF_FFFF_FFFF
_DIGITS: Final = 20  # of the largest ulong
_SHORT: Final = 255  # octets of a short string (0-9-1, section 4.2.5.3)


def octets_of(correlation: object) -> bytes | None:
    """What stands for a correlation-id (AMQP 1.0, 3.2.4: ulong, uuid, binary or string) elsewhere."""
    if correlation is None:
        return None
    if isinstance(correlation, bytes):
        # Octets that already mean themselves stay as they are.
        if _meaning(correlation) is None:
            return correlation
        return (_BINARY + correlation.hex()).encode()
    if isinstance(correlation, ULong):
        return f"{_ULONG}{correlation.value}".encode()
    if isinstance(correlation, Uuid):
        return f"{_UUID}{correlation}".encode()
    text = str(correlation)
    return ((_STRING + text) if text.startswith(_WORD) else text).encode("utf-8", "surrogatepass")


def correlation_of(octets: bytes | None) -> object:
    """The correlation-id of 1.0 for Correlation Data: `octets_of` gives these octets again."""
    if octets is None:
        return None
    found = _meaning(octets)
    return octets if found is None else found


def _meaning(octets: bytes) -> object:
    """What they stand for; None for octets that stand for themselves: no UTF-8, or a word that is not used rightly."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not text.startswith(_WORD):
        return text
    found: object = None
    if text.startswith(_ULONG):
        digits = text[len(_ULONG) :]
        if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS and int(digits) <= _LARGEST:
            found = ULong(int(digits))
    elif text.startswith(_UUID):
        inner = _unhexed(text[len(_UUID) :].replace("-", ""))
        if inner is not None and len(inner) == 16:
            found = Uuid(inner)
    elif text.startswith(_BINARY):
        inner = _unhexed(text[len(_BINARY) :])
        # Only what would not stand for itself is written so.
        return inner if inner is not None and inner.hex() == text[len(_BINARY) :] and _needs_word(inner) else None
    elif text.startswith(_STRING):
        return text[len(_STRING) :] if text.startswith(_WORD, len(_STRING)) else None
    return found if found is not None and octets_of(found) == octets else None


def _needs_word(octets: bytes) -> bool:
    return _meaning(octets) is not None


def _unhexed(digits: str) -> bytes | None:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


def short_text_of(octets: bytes | None) -> str | None:
    """Correlation Data as the correlation-id of 0-9-1, a short string; None where it does not fit into one."""
    if octets is None:
        return None
    found = correlation_of(octets)
    text = _BINARY + found.hex() if isinstance(found, bytes) else octets.decode("utf-8")
    return text if len(text.encode()) <= _SHORT else None


def octets_of_short(text: str) -> bytes:
    """Correlation Data of a correlation-id of 0-9-1: of what `short_text_of` made the very octets."""
    if text.startswith(_BINARY):
        inner = _unhexed(text[len(_BINARY) :])
        if inner is not None and inner.hex() == text[len(_BINARY) :]:
            made = octets_of(inner)
            return b"" if made is None else made
    return text.encode("utf-8", "surrogatepass")
