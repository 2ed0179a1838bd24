"""Field tables (4.2.5.5) looked through before a library decodes them: how deep they lie in one another, and whether
their lengths are true."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.protocols.amqp.codec.v091.errors import SYNTAX_ERROR, ConnectionFault

# Octets of each kind of value, by the letters that clients write; RabbitMQ's errata is the list.
_FIXED: Final[dict[int, int]] = {
    ord("t"): 1,
    ord("b"): 1,
    ord("B"): 1,
    ord("U"): 2,
    ord("s"): 2,
    ord("u"): 2,
    ord("I"): 4,
    ord("i"): 4,
    ord("f"): 4,
    ord("L"): 8,
    ord("l"): 8,
    ord("d"): 8,
    ord("T"): 8,
    ord("D"): 5,
    ord("V"): 0,
}
_LONG: Final = (ord("S"), ord("x"))
# Values of one table with all that lies in it. The library takes microseconds for each, so what a frame can hold of
# them would keep everybody waiting.
MOST_VALUES: Final = 1024
_HEADERS: Final = 13  # bits of the property flags
_SIZES: Final[dict[int, int]] = {12: 1, 11: 1, 6: 8}  # delivery-mode, priority, timestamp; the others are short strings
_DEEP: Final = 1 << 16  # as deep as a frame can hold tables: where the depth was looked at before
_TABLE: Final = ord("F")
_ARRAY: Final = ord("A")


class _Budget:
    def __init__(self) -> None:
        self.left: i64 = MOST_VALUES


def _fault(because: str, at: i64) -> ConnectionFault:
    return ConnectionFault(because, SYNTAX_ERROR, int(at), "AMQP091-4.2.5.5")


def long_at(data: bytes, at: i64, end: i64) -> i64:
    """The 32-bit number at `at`; the octets before `end` are there."""
    if end - at < 4:
        raise _fault("the octets end within a length", at)
    first: i64 = data[at]
    second: i64 = data[at + 1]
    third: i64 = data[at + 2]
    fourth: i64 = data[at + 3]
    return first << 24 | second << 16 | third << 8 | fourth


def check_table(data: bytes, at: i64, end: i64, depth: i64) -> i64:
    """Look through the table that begins with its length at `at`; returns where it ends. Raises ConnectionFault."""
    return _compound(data, at, end, depth, True, _Budget())


def skip_short(data: bytes, at: i64, end: i64) -> i64:
    """Where the short string at `at` ends."""
    if at >= end:
        raise _fault("the octets end within a short string", at)
    length: i64 = data[at]
    if length > end - at - 1:
        raise _fault("a short string runs past the end", at)
    return at + 1 + length


def _compound(data: bytes, at: i64, end: i64, depth: i64, named: bool, budget: _Budget) -> i64:
    if depth <= 0:
        raise _fault("tables lie too deep in one another", at)
    length = long_at(data, at, end)
    at += 4
    if length > end - at:
        raise _fault("a table runs past the end", at)
    end = at + length
    while at < end:
        if named:
            at = skip_short(data, at, end)
            if at >= end:
                raise _fault("a name in a table has no value", at)
        if budget.left <= 0:
            raise _fault(f"a table holds more than {MOST_VALUES} values", at)
        budget.left -= 1
        at = _value(data, at, end, depth, budget)
    return at


def _value(data: bytes, at: i64, end: i64, depth: i64, budget: _Budget) -> i64:
    kind: int = data[at]
    at += 1
    if kind in (_TABLE, _ARRAY):
        return _compound(data, at, end, depth - 1, kind == _TABLE, budget)
    size: i64
    if kind in _LONG:
        size = long_at(data, at, end)
        at += 4
    else:
        known = _FIXED.get(kind, -1)
        if known < 0:
            raise _fault(f"0x{kind:02x} is no kind of a field value", at - 1)
        size = known
    if size > end - at:
        raise _fault("a value runs past the end of its table", at)
    return at + size


def fields_of(table: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a table that was found sound, with its length before it: each name, and the whole field."""
    end: i64 = len(table)
    at: i64 = 4
    found: list[tuple[bytes, bytes]] = []
    while at < end:
        begin = at
        at = skip_short(table, at, end)
        name = table[begin + 1 : at]
        at = _value(table, at, end, _DEEP, _Budget())
        found.append((name, table[begin:at]))
    return found


def check_content(content: bytes, depth: i64) -> None:
    """Look through the property flags and properties of a content header (4.2.6.1): all that is flagged is there, and
    nothing else, for the octets go on to others. Raises ConnectionFault (502)."""
    end: i64 = len(content)
    if end < 2:
        raise _fault("the property flags of a content header are missing", 0)
    flags: int = content[0] << 8 | content[1]
    if flags & 3:
        raise _fault("the class basic has no more than fourteen properties", 0)
    at: i64 = 2
    for bit in range(15, 1, -1):
        if not flags >> bit & 1:
            continue
        if bit == _HEADERS:
            at = check_table(content, at, end, depth)
            continue
        size = _SIZES.get(bit, -1)
        if size < 0:
            at = skip_short(content, at, end)
        else:
            at += size
    if at != end:
        raise _fault("the properties of a content header have another length than the header", at)
