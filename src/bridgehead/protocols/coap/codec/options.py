"""What is known of each option (RFC 7252 section 5.4 and table 4), and the check of a message's options against it."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.errors import BadOption
from bridgehead.protocols.coap.codec.message import Message, Option

EMPTY: Final = 0  # the formats of RFC 7252 section 3.2
OPAQUE: Final = 1
UINT: Final = 2
STRING: Final = 3
FORMAT_NAMES: Final = ["empty", "opaque", "uint", "string"]


@mypyc_attr(acyclic=True)
class OptionDefinition:
    """One row of the registry. `minimum` and `maximum` are octets of the value; `clause` is its source."""

    def __init__(
        self, name: str, number: int, format: int, minimum: int, maximum: int, repeatable: bool, clause: str
    ) -> None:
        self.name: Final = name
        self.number: Final = number
        self.format: Final = format
        self.minimum: Final = minimum
        self.maximum: Final = maximum
        self.repeatable: Final = repeatable
        self.clause: Final = clause


_ROWS: Final = [
    OptionDefinition("If-Match", option.IF_MATCH, OPAQUE, 0, 8, True, "RFC7252-5.10.8.1"),
    OptionDefinition("Uri-Host", option.URI_HOST, STRING, 1, 255, False, "RFC7252-5.10.1"),
    OptionDefinition("ETag", option.ETAG, OPAQUE, 1, 8, True, "RFC7252-5.10.6"),
    OptionDefinition("If-None-Match", option.IF_NONE_MATCH, EMPTY, 0, 0, False, "RFC7252-5.10.8.2"),
    OptionDefinition("Observe", option.OBSERVE, UINT, 0, 3, False, "RFC7641-2"),
    OptionDefinition("Uri-Port", option.URI_PORT, UINT, 0, 2, False, "RFC7252-5.10.1"),
    OptionDefinition("Location-Path", option.LOCATION_PATH, STRING, 0, 255, True, "RFC7252-5.10.7"),
    OptionDefinition("OSCORE", option.OSCORE, OPAQUE, 0, 255, False, "RFC8613-2"),
    OptionDefinition("Uri-Path", option.URI_PATH, STRING, 0, 255, True, "RFC7252-5.10.1"),
    OptionDefinition("Content-Format", option.CONTENT_FORMAT, UINT, 0, 2, False, "RFC7252-5.10.3"),
    OptionDefinition("Max-Age", option.MAX_AGE, UINT, 0, 4, False, "RFC7252-5.10.5"),
    OptionDefinition("Uri-Query", option.URI_QUERY, STRING, 0, 255, True, "RFC7252-5.10.1"),
    OptionDefinition("Hop-Limit", option.HOP_LIMIT, UINT, 1, 1, False, "RFC8768-3"),
    OptionDefinition("Accept", option.ACCEPT, UINT, 0, 2, False, "RFC7252-5.10.4"),
    OptionDefinition("Q-Block1", option.Q_BLOCK1, UINT, 0, 3, False, "RFC9177-4.1"),
    OptionDefinition("Location-Query", option.LOCATION_QUERY, STRING, 0, 255, True, "RFC7252-5.10.7"),
    OptionDefinition("Block2", option.BLOCK2, UINT, 0, 3, False, "RFC7959-2.1"),
    OptionDefinition("Block1", option.BLOCK1, UINT, 0, 3, False, "RFC7959-2.1"),
    OptionDefinition("Size2", option.SIZE2, UINT, 0, 4, False, "RFC7959-4"),
    # RFC 9177 section 4.1: a request for missing blocks has one Q-Block2 for each.
    OptionDefinition("Q-Block2", option.Q_BLOCK2, UINT, 0, 3, True, "RFC9177-4.1"),
    OptionDefinition("Proxy-Uri", option.PROXY_URI, STRING, 1, 1034, False, "RFC7252-5.10.2"),
    OptionDefinition("Proxy-Scheme", option.PROXY_SCHEME, STRING, 1, 255, False, "RFC7252-5.10.2"),
    OptionDefinition("Size1", option.SIZE1, UINT, 0, 4, False, "RFC7252-5.10.9"),
    OptionDefinition("Echo", option.ECHO, OPAQUE, 1, 40, False, "RFC9175-2.2.1"),
    OptionDefinition("No-Response", option.NO_RESPONSE, UINT, 0, 1, False, "RFC7967-2"),
    OptionDefinition("Request-Tag", option.REQUEST_TAG, OPAQUE, 0, 8, True, "RFC9175-3.2.1"),
]
OPTIONS: Final[dict[int, OptionDefinition]] = {row.number: row for row in _ROWS}


def option_name(number: int) -> str:
    """The name in the registry, "Option 65000" where there is none."""
    row = OPTIONS.get(number)
    return f"Option {number}" if row is None else row.name


def check(message: Message, known: frozenset[int]) -> Message:
    """The message without the options that must be ignored; `message` itself where there are none, as nearly always.

    `known` are the options that the caller understands. One that is outside its length, not UTF-8 where it is a
    string, or repeated without leave counts as unrecognised (RFC 7252 sections 5.4.3 and 5.4.5). Elective options that
    nobody here knows stay: they do no harm, and a proxy passes them on.
    Errors: BadOption for a critical one that is unrecognised (section 5.4.1).
    """
    before = -1
    ignored = 0
    for number, value in message.options:
        row = OPTIONS.get(number)
        if row is None or number not in known:
            if number & 1:
                raise BadOption(f"{option_name(number)} is not understood here", number, "RFC7252-5.4.1")
        elif (number == before and not row.repeatable) or not _fits(row, value):
            if number & 1:
                raise BadOption(_fault(row, value, number == before), number, _clause(row, value, number == before))
            ignored += 1
        before = number
    return message if ignored == 0 else _without_ignored(message, known)


def _without_ignored(message: Message, known: frozenset[int]) -> Message:
    kept: list[Option] = []
    before = -1
    for number, value in message.options:
        row = OPTIONS.get(number)
        if row is None or number not in known or ((number != before or row.repeatable) and _fits(row, value)):
            kept.append((number, value))
        before = number
    return message.with_options(tuple(kept))


def _fits(row: OptionDefinition, value: bytes) -> bool:
    length = len(value)
    if length < row.minimum or length > row.maximum:
        return False
    return row.format != STRING or value.isascii() or _is_utf8(value)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _fault(row: OptionDefinition, value: bytes, is_repeated: bool) -> str:
    if not row.minimum <= len(value) <= row.maximum:
        return f"{row.name} has {len(value)} octets, and may have {row.minimum} to {row.maximum}"
    if is_repeated and not row.repeatable:
        return f"{row.name} stands there more than once"
    return f"{row.name} is not UTF-8"


def _clause(row: OptionDefinition, value: bytes, is_repeated: bool) -> str:
    if not row.minimum <= len(value) <= row.maximum:
        return "RFC7252-5.4.3"
    return "RFC7252-5.4.5" if is_repeated and not row.repeatable else "RFC7252-3.2"
