"""Takes AMQP streams apart frame by frame and field by field, each with its offset and the clause that defines it."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import Composite
from bridgehead.protocols.amqp.codec.v1.decode import NAMES, composite_of, descriptor_number
from bridgehead.protocols.amqp.codec.v1.frames import Decoder
from bridgehead.protocols.amqp.codec.v1.performatives import Transfer
from bridgehead.protocols.amqp.codec.v1.reader import NESTING, Reader
from bridgehead.protocols.amqp.codec.v1.sections import Sections
from bridgehead.protocols.amqp.codec.v1.types import Array, Described, Integer, Scalar, Symbol, Uuid
from bridgehead.protocols.amqp.dissect_v091 import dissect_v091_frame
from bridgehead.protocols.amqp.dissection import (
    HEADER,
    UNKNOWN,
    V091,
    V1,
    DissectedFrame,
    printable,
)
from bridgehead.wire.dissection import Field, count, shown_hex, shown_octets, shown_text
from bridgehead.wire.errors import PeerError

FRAME_HEADER: Final = "frame header"
PERFORMATIVE: Final = "performative"
MESSAGE: Final = "message"
_MAX_FRAME: Final = 1 << 40
_PROTOCOLS: Final[dict[int, str]] = {0: "AMQP", 2: "TLS", 3: "SASL"}
_SECRET: Final = ("initial-response", "challenge", "response", "additional-data")

_FIELDS: Final[dict[str, str]] = {
    "open": "container-id hostname max-frame-size channel-max idle-time-out outgoing-locales incoming-locales "
    "offered-capabilities desired-capabilities properties",
    "begin": "remote-channel next-outgoing-id incoming-window outgoing-window handle-max offered-capabilities "
    "desired-capabilities properties",
    "attach": "name handle role snd-settle-mode rcv-settle-mode source target unsettled incomplete-unsettled "
    "initial-delivery-count max-message-size offered-capabilities desired-capabilities properties",
    "flow": "next-incoming-id incoming-window next-outgoing-id outgoing-window handle delivery-count link-credit "
    "available drain echo properties",
    "transfer": "handle delivery-id delivery-tag message-format settled more rcv-settle-mode state resume aborted "
    "batchable",
    "disposition": "role first last settled state batchable",
    "detach": "handle closed error",
    "end": "error",
    "close": "error",
    "sasl-mechanisms": "sasl-server-mechanisms",
    "sasl-init": "mechanism initial-response hostname",
    "sasl-challenge": "challenge",
    "sasl-response": "response",
    "sasl-outcome": "code additional-data",
}
_CLAUSES: Final[dict[str, str]] = {
    "open": "2.7.1",
    "begin": "2.7.2",
    "attach": "2.7.3",
    "flow": "2.7.4",
    "transfer": "2.7.5",
    "disposition": "2.7.6",
    "detach": "2.7.7",
    "end": "2.7.8",
    "close": "2.7.9",
    "sasl-mechanisms": "5.3.3.1",
    "sasl-init": "5.3.3.2",
    "sasl-challenge": "5.3.3.3",
    "sasl-response": "5.3.3.4",
    "sasl-outcome": "5.3.3.5",
}
_SECTIONS: Final[dict[int, tuple[str, str]]] = {
    0x70: ("header", "3.2.1"),
    0x71: ("delivery-annotations", "3.2.2"),
    0x72: ("message-annotations", "3.2.3"),
    0x73: ("properties", "3.2.4"),
    0x74: ("application-properties", "3.2.5"),
    0x75: ("data", "3.2.6"),
    0x76: ("amqp-sequence", "3.2.7"),
    0x77: ("amqp-value", "3.2.8"),
    0x78: ("footer", "3.2.9"),
}


def dissect(data: bytes, version: str = UNKNOWN) -> list[DissectedFrame]:
    """The protocol headers and frames of one direction of a stream, the last perhaps incomplete, which is then its
    fault. `version` is V1 or V091; a protocol header in the data tells it, else the shape of the first frame.

    Raises nothing, whatever the octets.
    """
    found: list[DissectedFrame] = []
    pos = 0
    while pos < len(data):
        if data[pos : pos + 4] == b"AMQP"[: len(data) - pos]:
            frame = _protocol_header(data, pos)
            version = frame.version or version
        else:
            version = version or _guess(data, pos)
            frame = dissect_v091_frame(data, pos) if version == V091 else _frame(data, pos)
        found.append(frame)
        pos += frame.length
    return found


def version_of(data: bytes) -> str:
    """V1 or V091 by the protocol header that the octets begin with, UNKNOWN without one."""
    return _protocol_header(data, 0).version if data[:4] == b"AMQP" else UNKNOWN


def _guess(data: bytes, pos: int) -> str:
    """A frame of 0-9-1 begins with its type, 1, 2, 3 or 8; one of 1.0 with its size, below 16 MiB nearly always."""
    return V1 if data[pos] == 0 else V091


def _protocol_header(data: bytes, pos: int) -> DissectedFrame:
    octets = data[pos : pos + 8]
    frame = DissectedFrame("protocol header", pos, UNKNOWN)
    frame.length = len(octets)
    frame.fields.append(
        Field("Protocol", "'AMQP'"[: len(octets) + 2], 0, min(4, len(octets)), "AMQP 1.0 2.2", "", HEADER)
    )
    if len(octets) < 8:
        if octets[4:]:
            rest = Field("Octets that could not be read", shown_hex(octets[4:]), 4, len(octets) - 4, "", "", HEADER)
            frame.fields.append(rest)
        frame.fault = "the protocol header is incomplete"
        frame.fault_clause = "AMQP 1.0 2.2"
        return frame
    if octets[4:] == b"\x00\x00\x09\x01":
        frame.version = V091
        frame.fields.append(Field("Version", "0-9-1", 4, 4, "AMQP 0-9-1 4.2.2", "", HEADER))
        return frame
    identifier = octets[4]
    name = _PROTOCOLS.get(identifier, "not known")
    frame.fields.append(Field("Protocol id", f"{identifier} ({name})", 4, 1, "AMQP 1.0 2.2", "", HEADER))
    version = f"{octets[5]}.{octets[6]}.{octets[7]}"
    frame.fields.append(Field("Version", version, 5, 3, "AMQP 1.0 2.2", "", HEADER))
    if octets[5:] == b"\x01\x00\x00" and identifier in _PROTOCOLS:
        frame.version = V1
    else:
        frame.fault = "no version of AMQP that is known here has this header"
        frame.fault_clause = "AMQP 1.0 2.2"
    return frame


def _frame(data: bytes, pos: int) -> DissectedFrame:
    frame = DissectedFrame("frame", pos, V1)
    rest = len(data) - pos
    size = int.from_bytes(data[pos : pos + 4], "big") if rest >= 4 else 0
    # A size that cannot be is the fault, and what follows it has no boundary any more.
    frame.length = size if 8 <= size <= rest else rest
    walker = _Walker(frame, data[pos : pos + frame.length])
    if rest < 8 or size > rest:
        walker.fields()
        frame.fault = "the frame is incomplete"
        frame.fault_clause = "AMQP 1.0 2.3.1"
        return frame
    is_sasl = data[pos + 5] == 1
    walker.fields()
    try:
        Decoder(_MAX_FRAME, is_sasl).feed(walker.whole)
    except PeerError as fault:
        frame.fault = fault.text
        frame.fault_clause = fault.clause.replace("AMQP-", "AMQP 1.0 ")
        frame.fault_offset = fault.at
    return frame


class _Walker:
    """Adds the fields of one frame of 1.0, as far as they can be read."""

    def __init__(self, frame: DissectedFrame, whole: bytes) -> None:
        self.frame = frame
        self.whole = whole
        self.pos = 0

    def fields(self) -> None:
        whole = self.whole
        if len(whole) >= 8:
            self.add("Size", str(int.from_bytes(whole[:4], "big")), 0, 4, "2.3.1", "", FRAME_HEADER)
            self.add("Data offset", str(whole[4]), 4, 1, "2.3.1", count(4 * whole[4]), FRAME_HEADER)
            kind = {0: "AMQP", 1: "SASL"}.get(whole[5], "not known")
            self.add("Type", f"{whole[5]} ({kind})", 5, 1, "2.3.1", "", FRAME_HEADER)
            name = "Channel" if whole[5] == 0 else "Ignored"
            self.add(name, str(whole[6] << 8 | whole[7]), 6, 2, "2.3.2", "", FRAME_HEADER)
            body = 4 * whole[4]
            if 8 < body <= len(whole):
                self.add("Extended header", shown_hex(whole[8:body]), 8, body - 8, "2.3.1", "", FRAME_HEADER)
            if 8 <= body < len(whole):
                self.body()
            elif body == len(whole):
                self.frame.name = "empty frame"
        if self.pos < len(whole):
            rest = whole[self.pos :]
            is_secret = len(whole) > 5 and whole[5] == 1
            shown = f"({count(len(rest))})" if is_secret else shown_hex(rest)
            self.add("Octets that could not be read", shown, self.pos, len(rest), "", "", self.last_part())

    def last_part(self) -> str:
        return self.frame.fields[-1].part if self.frame.fields else FRAME_HEADER

    def add(self, name: str, value: str, offset: int, length: int, clause: str, note: str, part: str) -> None:
        full = f"AMQP 1.0 {clause}" if clause else ""
        self.frame.fields.append(Field(name, printable(value), offset, length, full, note, part))
        self.pos = max(self.pos, offset + length)

    def body(self) -> None:
        reader = Reader(self.whole, self.pos, len(self.whole))
        try:
            name = self.descriptor(reader)
            if name:
                self.list(reader, name)
                self.payload(name)
        except PeerError:
            return  # the decoder says it in better words

    def descriptor(self, reader: Reader) -> str:
        begin = self.pos
        if self.whole[begin] != 0:
            return ""
        reader.pos = begin + 1
        descriptor = reader.value(1)
        code = descriptor_number(descriptor)
        name = NAMES.get(code, "")
        if name not in _FIELDS:
            return ""
        self.frame.name = name
        self.add(
            "Descriptor", f"0x{code:02x} ({name})", begin, int(reader.pos) - begin, _CLAUSES[name], "", PERFORMATIVE
        )
        return name

    def list(self, reader: Reader, name: str) -> None:
        """The list's head by hand, so that each of its elements has its place."""
        begin = self.pos
        code = self.whole[begin] if begin < len(self.whole) else 0
        width = {0xC0: 1, 0xD0: 4}.get(code, 0)
        if code != 0x45 and width == 0:
            return
        head = 1 + 2 * width
        if begin + head > len(self.whole):
            return
        size = int.from_bytes(self.whole[begin + 1 : begin + 1 + width], "big")
        elements = int.from_bytes(self.whole[begin + 1 + width : begin + head], "big")
        self.add("List", f"{elements} fields", begin, head, "1.6.22", count(size) if width else "", PERFORMATIVE)
        reader.pos = begin + head
        names = _FIELDS[name].split()
        for index in range(min(elements, len(names))):
            at = int(reader.pos)
            value = reader.value(NESTING)
            field = names[index]
            length = int(reader.pos) - at
            secret = field in _SECRET and value is not None
            text = f"({count(len(value) if isinstance(value, bytes) else length)})" if secret else shown_value(value)
            self.add(field, text, at, length, _CLAUSES[name], "", PERFORMATIVE)

    def payload(self, name: str) -> None:
        if self.pos >= len(self.whole) or self.whole[5] == 1:
            return
        payload = self.whole[self.pos :]
        base = self.pos
        if name == "transfer" and self.is_whole_message() and self.sections(payload, base):
            return
        what = "Part of a message" if name == "transfer" else "Payload"
        self.add(what, shown_octets(payload), base, len(payload), "2.7.5", count(len(payload)), MESSAGE)

    def is_whole_message(self) -> bool:
        """A first frame of a delivery that has no more."""
        values = {field.name: field.value for field in self.frame.fields}
        return values.get("delivery-id", "null") != "null" and values.get("more") != "true"

    def sections(self, payload: bytes, base: int) -> bool:
        try:
            found = Sections(payload)
            rows: list[tuple[str, str, int, int, str]] = []
            for code in found.begin:
                title, clause = _SECTIONS[code]
                if code == found.body:
                    values = found.values()
                    shown = ", ".join(shown_value(value) for value in values)
                else:
                    value = Reader(payload, found.value[code], found.end[code]).value(NESTING)
                    shown = shown_value(value)
                rows.append((title, shown, base + found.begin[code], found.end[code] - found.begin[code], clause))
        except PeerError:
            return False
        for title, shown, offset, length, clause in rows:
            self.add(title, shown, offset, length, clause, count(length), MESSAGE)
        return True


def shown_value(value: object) -> str:
    """An AMQP value in few words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Symbol):
        return str(value)
    if isinstance(value, str):
        return shown_text(value)
    if isinstance(value, bytes):
        return shown_octets(value)
    if isinstance(value, Integer):
        return str(value.value)
    if isinstance(value, Uuid):
        return str(value)
    if isinstance(value, Scalar):
        content = value.content()
        return shown_hex(content) if isinstance(content, bytes) else repr(content)
    if isinstance(value, list):
        return "[" + ", ".join([shown_value(item) for item in value]) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join([f"{shown_value(key)}: {shown_value(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, Array):
        return "[" + ", ".join([shown_value(item) for item in value.items]) + "]"
    if isinstance(value, Described):
        return _described(value)
    return repr(value)


def _described(value: Described) -> str:
    try:
        composite = composite_of(value)
    except PeerError:
        composite = value
    if isinstance(composite, Composite) and not isinstance(composite, Transfer):
        return repr(composite)
    return f"{shown_value(value.descriptor)}({shown_value(value.value)})"
