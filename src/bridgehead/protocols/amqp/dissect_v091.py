"""Takes the frames of AMQP 0-9-1 apart (sections 2.3.5 and 4.2): methods, content headers, content, heartbeats."""

from __future__ import annotations

from typing import Final

from pamqp import base, commands

from bridgehead.protocols.amqp.dissection import V091, DissectedFrame, printable
from bridgehead.wire.dissection import Field, count, shown_hex, shown_octets, shown_text

FRAME: Final = "frame"
METHOD: Final = "method"
CONTENT: Final = "content header"
BODY: Final = "content body"
_METHOD: Final = 1
_HEADER: Final = 2
_BODY: Final = 3
_HEARTBEAT: Final = 8
_TYPES: Final[dict[int, str]] = {
    _METHOD: "method",
    _HEADER: "content header",
    _BODY: "content body",
    _HEARTBEAT: "heartbeat",
}
_END: Final = 0xCE
_NESTING: Final = 32
_MOST_ROWS: Final = 1000  # of a table: what is beyond is too much to read
_SECRET: Final = ("response", "challenge", "new_secret")
_SECRET_METHODS: Final = (
    "connection.start-ok",
    "connection.secure",
    "connection.secure-ok",
    "connection.update-secret",
)
_FIXED: Final[dict[str, int]] = {
    "t": 1,
    "b": 1,
    "B": 1,
    "s": 2,
    "U": 2,
    "u": 2,
    "I": 4,
    "i": 4,
    "L": 8,
    "l": 8,
    "f": 4,
    "d": 8,
    "D": 5,
    "T": 8,
    "V": 0,
}
_UNSIGNED: Final = "BuiT"


class Unreadable(Exception):
    """The octets are not what the place asks for; the text is the fault."""


def dissect_v091_frame(data: bytes, pos: int) -> DissectedFrame:
    """The frame that begins at `pos`. Raises nothing, whatever the octets."""
    frame = DissectedFrame("frame", pos, V091)
    rest = len(data) - pos
    size = int.from_bytes(data[pos + 3 : pos + 7], "big") + 8 if rest >= 7 else 0
    frame.length = size if 0 < size <= rest else rest
    walker = _Walker(frame, data[pos : pos + frame.length])
    try:
        if not 0 < size <= rest:
            raise Unreadable("the frame is incomplete")
        walker.frame_of(size)
    except Unreadable as fault:
        frame.fault = str(fault)
        frame.fault_clause = "AMQP 0-9-1 4.2.3"
        frame.fault_offset = walker.pos
    left = frame.length - walker.pos
    if left > 0:
        secret = frame.name in _SECRET_METHODS
        text = f"({count(left)})" if secret else shown_hex(walker.whole[walker.pos :])
        walker.add("Octets that could not be read", text, left, "", FRAME)
    return frame


class _Walker:
    """Adds the fields of one frame. `pos` is behind the last of them."""

    def __init__(self, frame: DissectedFrame, whole: bytes) -> None:
        self.frame = frame
        self.whole = whole
        self.pos = 0
        self.end = len(whole)

    def add(self, name: str, value: str, length: int, clause: str, part: str, note: str = "") -> None:
        full = f"AMQP 0-9-1 {clause}" if clause else ""
        self.frame.fields.append(Field(name, printable(value), self.pos, length, full, note, part))
        self.pos += length

    def number(self, at: int, octets: int) -> int:
        if at + octets > self.end:
            raise Unreadable("a field runs past the end of the frame")
        return int.from_bytes(self.whole[at : at + octets], "big")

    def frame_of(self, size: int) -> None:
        kind = self.whole[0]
        self.add("Type", f"{kind} ({_TYPES.get(kind, 'not known')})", 1, "4.2.3", FRAME)
        self.add("Channel", str(self.number(1, 2)), 2, "4.2.3", FRAME)
        self.add("Size", str(size - 8), 4, "4.2.3", FRAME)
        self.end = size - 1
        if kind == _METHOD:
            self.method()
        elif kind == _HEADER:
            self.content_header()
        elif kind == _BODY:
            self.frame.name = "content body"
            body = self.whole[self.pos : self.end]
            self.add("Content", shown_octets(body), len(body), "4.2.6.2", BODY, count(len(body)))
        elif kind == _HEARTBEAT:
            self.frame.name = "heartbeat"
        else:
            raise Unreadable(f"{kind} is no type of a frame")
        if self.pos != self.end:
            raise Unreadable(f"{self.end - self.pos} octets follow the last field")
        self.end += 1
        end = self.number(self.pos, 1)
        self.add("Frame end", f"0x{end:02x}", 1, "4.2.3", FRAME)
        if end != _END:
            raise Unreadable(f"the frame ends with 0x{end:02x} and not with 0xce")

    def method(self) -> None:
        index = self.number(self.pos, 4)
        method = commands.INDEX_MAPPING.get(index)
        numbers = f"{index >> 16}.{index & 65_535}"
        if method is None or not issubclass(method, base.Frame):
            self.add("Method", f"{numbers} (not known)", 4, "4.2.4", METHOD)
            raise Unreadable("a method of no known class or number")
        self.frame.name = name = _wire_name(method.name.lower())
        self.add("Method", f"{numbers} ({name})", 4, "4.2.4", METHOD)
        bits = 0
        for attribute in method.attributes():
            kind = str(method.amqp_type(attribute))
            clause = f"1 {name}"
            if kind == "bit":
                # 4.2.5.2: bits that follow one another share octets, the first one lowest.
                at = self.pos if bits % 8 == 0 else self.pos - 1
                value = self.number(at, 1) >> (bits % 8) & 1
                shown = "true" if value else "false"
                row = Field(attribute, shown, at, 1, f"AMQP 0-9-1 {clause}", f"bit {bits % 8}", METHOD)
                self.frame.fields.append(row)
                self.pos = at + 1
                bits += 1
                continue
            bits = 0
            self.argument(attribute, kind, clause, METHOD)

    def argument(self, name: str, kind: str, clause: str, part: str) -> None:
        shown, end = self.value(kind, self.pos, 0)
        length = end - self.pos
        if name in _SECRET:
            shown = f"({count(max(0, length - 4))})"
        self.add(name, shown, length, clause, part)

    def content_header(self) -> None:
        self.frame.name = "content header"
        self.add("Class", str(self.number(self.pos, 2)), 2, "4.2.6.1", CONTENT)
        self.add("Weight", str(self.number(self.pos, 2)), 2, "4.2.6.1", CONTENT)
        self.add("Body size", str(self.number(self.pos, 8)), 8, "4.2.6.1", CONTENT)
        flags = self.number(self.pos, 2)
        self.add("Property flags", f"0x{flags:04x}", 2, "4.2.6.1", CONTENT)
        if flags & 1:
            raise Unreadable("more property flags than there are properties")
        properties = commands.Basic.Properties
        for attribute in properties.attributes():
            if flags & properties.flags[attribute]:
                self.argument(attribute, str(properties.amqp_type(attribute)), "4.2.6.1", CONTENT)

    def value(self, kind: str, at: int, depth: int) -> tuple[str, int]:
        """A value in words, and where it ends."""
        widths = {"octet": 1, "short": 2, "long": 4, "longlong": 8, "timestamp": 8}
        if kind in widths:
            return str(self.number(at, widths[kind])), at + widths[kind]
        width = 1 if kind == "shortstr" else 4
        length = self.number(at, width)
        begin, end = at + width, at + width + length
        if end > self.end:
            raise Unreadable("a string or table runs past the end of the frame")
        if kind == "table":
            return self.table(begin, end, depth), end
        octets = self.whole[begin:end]
        return _text(octets), end

    def table(self, at: int, end: int, depth: int) -> str:
        if depth > _NESTING:
            raise Unreadable("tables lie too deep in one another")
        rows: list[str] = []
        while at < end and len(rows) < _MOST_ROWS:
            length = self.number(at, 1)
            name = _text(self.whole[at + 1 : at + 1 + length])
            shown, at = self.field(at + 1 + length, end, depth + 1)
            rows.append(f"{name}: {shown}")
        return "{" + ", ".join(rows) + "}"

    def field(self, at: int, end: int, depth: int) -> tuple[str, int]:
        """A field's value with its type (4.2.5.5, with the types that RabbitMQ and its clients use)."""
        kind = chr(self.number(at, 1))
        at += 1
        if kind in _FIXED:
            width = _FIXED[kind]
            value = self.number(at, width)
            stop = at + width
            if kind == "t":
                return ("true" if value else "false"), stop
            if kind == "V":
                return "null", stop
            if kind in "fdD":
                return shown_hex(self.whole[at:stop]), stop
            if kind not in _UNSIGNED:
                value = int.from_bytes(self.whole[at:stop], "big", signed=True)
            return str(value), stop
        if kind in "SxFA":
            length = self.number(at, 4)
            begin, stop = at + 4, at + 4 + length
            if stop > end:
                raise Unreadable("a field of a table runs past its end")
            if kind == "F":
                return self.table(begin, stop, depth), stop
            if kind == "A":
                return self.array(begin, stop, depth), stop
            return _text(self.whole[begin:stop]), stop
        raise Unreadable(f"{kind!r} is no type of a table's field")

    def array(self, at: int, end: int, depth: int) -> str:
        if depth > _NESTING:
            raise Unreadable("arrays lie too deep in one another")
        items: list[str] = []
        while at < end and len(items) < _MOST_ROWS:
            shown, at = self.field(at, end, depth + 1)
            items.append(shown)
        return "[" + ", ".join(items) + "]"


def _wire_name(name: str) -> str:
    """ "connection.start-ok" of pamqp's "connection.startok"."""
    return name.removesuffix("ok") + "-ok" if name.endswith("ok") and not name.endswith("-ok") else name


def _text(octets: bytes) -> str:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        return shown_hex(octets)
    return shown_text(text)
