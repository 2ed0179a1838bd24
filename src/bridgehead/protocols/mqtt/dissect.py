"""Takes MQTT packets apart field by field, each with its offset and the clause that defines it."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.mqtt.codec.clauses import clause_in
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.fields import FieldReader
from bridgehead.protocols.mqtt.codec.properties import (
    BYTE,
    CORRELATION_DATA,
    FOUR_BYTE_INTEGER,
    PROPERTIES,
    TWO_BYTE_INTEGER,
    TYPE_NAMES,
    UTF8_STRING,
    UTF8_STRING_PAIR,
    VARIABLE_BYTE_INTEGER,
    WILL,
)
from bridgehead.protocols.mqtt.codec.reason_codes import (
    AUTH,
    CONNACK,
    CONNECT,
    CONNECT_RETURN_CODES,
    DISCONNECT,
    PACKET_NAMES,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    reason_name,
)
from bridgehead.wire.dissection import Dissected, Field, count, shown_octets, shown_text
from bridgehead.wire.errors import PeerError

FIXED_HEADER: Final = "fixed header"
VARIABLE_HEADER: Final = "variable header"
PAYLOAD: Final = "payload"

# A dissection is for people: no packet may be larger than the protocol allows.
_MAX_PACKET: Final = 268_435_460
_QOS_NAMES: Final = ["at most once", "at least once", "exactly once", "must not be used"]
_RETAIN_HANDLING: Final = [
    "send retained messages at the subscription",
    "send retained messages only when the subscription is new",
    "do not send retained messages",
    "must not be used",
]


class DissectedPacket(Dissected):
    """One packet. `fault_code` is the MQTT 5.0 Reason Code. `assumed_version` is True when nothing but the octets
    themselves told the version. Fields' parts are FIXED_HEADER, VARIABLE_HEADER and PAYLOAD."""

    def __init__(self, name: str, offset: int, version: int, assumed_version: bool) -> None:
        super().__init__(name, offset)
        self.version = version
        self.assumed_version = assumed_version


def dissect(data: bytes, version: int = 0, from_server: bool | None = None) -> list[DissectedPacket]:
    """All packets in `data`, the last one perhaps incomplete, which is then its fault.

    `version` is 3, 4 or 5, or 0: then a CONNECT in `data` tells it, or else the version in which a packet has no
    fault is assumed. `from_server` tells the sender, None when it is not known. Raises nothing, whatever the octets.
    """
    packets: list[DissectedPacket] = []
    pos = 0
    while pos < len(data):
        packet = _one(data, pos, version, from_server)
        packets.append(packet)
        if packet.name == "CONNECT" and packet.version:
            version = packet.version
        pos += packet.length
    return packets


def _one(data: bytes, offset: int, version: int, from_server: bool | None) -> DissectedPacket:
    """The packet that begins at `offset`; all that is left when its end cannot be found."""
    packet_type = data[offset] >> 4
    packet = DissectedPacket(PACKET_NAMES[packet_type], offset, version, False)
    reader = FieldReader(data, offset, offset + 1, len(data))
    try:
        remaining = reader.variable_byte_integer("Remaining Length")
    except PeerError:
        _fixed_header(packet, data[offset], 0, 0)
        packet.fault = "the packet is incomplete: its Remaining Length is cut short"
        broken = _fault_of(data[offset : offset + 5], packet_type, version or 5, from_server)
        if broken is not None:
            _set_fault(packet, broken)
        packet.length = len(data) - offset
        return packet
    body = reader.at
    whole = data[offset : offset + body + remaining]
    packet.length = len(whole)
    if packet_type == CONNECT:
        packet.version = _connect_version(whole, body)
    fault = _fault_of(whole, packet_type, packet.version or 5, from_server)
    if packet.version == 0 and packet_type != CONNECT:
        packet.assumed_version = True
        packet.version = 5
        if fault is not None and _fault_of(whole, packet_type, 4, from_server) is None:
            packet.version = 4
            fault = None
    _fixed_header(packet, whole[0], body, remaining)
    missing = body + remaining - len(whole)
    if missing:
        packet.fault = f"the packet is incomplete: {count(missing)} of it {'are' if missing > 1 else 'is'} missing"
        packet.fault_clause = clause_in("MQTT 5.0 2.1.4", packet.version)
    _Walker(packet, whole, body).walk(packet_type)
    if fault is not None:
        _set_fault(packet, fault)
    return packet


def _set_fault(packet: DissectedPacket, error: PeerError) -> None:
    packet.fault = error.text
    packet.fault_clause = clause_in(error.clause, packet.version)
    packet.fault_code = error.code
    packet.fault_offset = error.at


def _fault_of(whole: bytes, packet_type: int, version: int, from_server: bool | None) -> PeerError | None:
    """What the decoder has against the packet. A sender that is not known gets the benefit of the doubt."""
    fault = _fault_from(whole, packet_type, version, from_server is True)
    if fault is None or from_server is not None:
        return fault
    return _fault_from(whole, packet_type, version, True) if _can_come_from_server(packet_type) else fault


def _can_come_from_server(packet_type: int) -> bool:
    return packet_type not in (0, CONNECT, SUBSCRIBE, UNSUBSCRIBE)


def _fault_from(whole: bytes, packet_type: int, version: int, from_server: bool) -> PeerError | None:
    decoder = Decoder(_MAX_PACKET, None, from_server, _MAX_PACKET)
    if packet_type != CONNECT or from_server:
        decoder.protocol_version = version
    try:
        decoder.feed(whole)
    except PeerError as error:
        return error
    return None


def _connect_version(whole: bytes, body: int) -> int:
    """The version that a CONNECT asks for, 0 when it is unknown."""
    if whole[body : body + 7] == b"\x00\x04MQTT\x04":
        return 4
    if whole[body : body + 7] == b"\x00\x04MQTT\x05":
        return 5
    return 3 if whole[body : body + 9] == b"\x00\x06MQIsdp\x03" else 0


def _standard(version: int) -> str:
    return "MQTT 3.1" if version == 3 else "MQTT 3.1.1" if version == 4 else "MQTT 5.0"


def _fixed_header(packet: DissectedPacket, first: int, body: int, remaining: int) -> None:
    """Packet type, flags and Remaining Length. `body` is 0 when the Remaining Length cannot be read."""
    five = packet.version == 0 or packet.version == 5
    standard = _standard(packet.version)
    packet_type = first >> 4
    _add(
        packet,
        "Packet Type",
        f"{packet_type} ({packet.name})",
        0,
        1,
        f"{standard} {'2.1.2' if five else '2.2.1'}",
        "bits 7-4",
    )
    if packet_type == PUBLISH:
        dup, qos, retain = first >> 3 & 1, first >> 1 & 3, first & 1
        _add(packet, "DUP", str(dup), 0, 1, f"{standard} 3.3.1.1", "bit 3" + ("; sent again" if dup else ""))
        _add(packet, "QoS", f"{qos} ({_QOS_NAMES[qos]})", 0, 1, f"{standard} 3.3.1.2", "bits 2-1")
        _add(packet, "RETAIN", str(retain), 0, 1, f"{standard} 3.3.1.3", "bit 0")
    else:
        clause = f"{standard} {'2.1.3' if five else '2.2.2'}"
        _add(packet, "Flags", f"{first & 15:04b}", 0, 1, clause, "bits 3-0, reserved")
    if body:
        clause = f"{standard} {'2.1.4' if five else '2.2.3'}"
        _add(packet, "Remaining Length", str(remaining), 1, body - 1, clause)


def _add(packet: DissectedPacket, name: str, value: str, offset: int, length: int, clause: str, note: str = "") -> None:
    packet.fields.append(Field(name, value, offset, length, clause, note, FIXED_HEADER))


class _Walker:
    """Adds the fields of one packet's body, as far as they can be read."""

    def __init__(self, packet: DissectedPacket, whole: bytes, body: int) -> None:
        self.packet = packet
        self.reader = FieldReader(whole, 0, body, len(whole))
        self.five = packet.version == 0 or packet.version == 5
        self.standard = _standard(packet.version)
        self.first = whole[0]
        self.part = VARIABLE_HEADER

    def walk(self, packet_type: int) -> None:
        reader = self.reader
        try:
            self.body(packet_type)
            name = "Octets behind the last field"
        except PeerError:
            name = "Octets that could not be read"
        if reader.pos < len(reader.data):
            rest = reader.data[reader.pos :]
            # What was not understood may hold a password when it is part of these.
            value = f"({count(len(rest))})" if packet_type in (CONNECT, CONNACK, AUTH) else shown_octets(rest)
            self.packet.fields.append(Field(name, value, reader.pos, len(rest), "", "", self.part))

    def add(self, name: str, value: str, offset: int, clause: str, note: str = "") -> None:
        """A field from `offset` to the reader's position."""
        length = self.reader.pos - offset
        self.packet.fields.append(Field(name, value, offset, length, f"{self.standard} {clause}", note, self.part))

    def string(self, name: str, clause: str) -> None:
        offset = self.reader.pos
        self.add(name, shown_text(self.reader.utf8_string(name)), offset, clause)

    def packet_identifier(self, clause: str) -> None:
        offset = self.reader.pos
        self.add("Packet Identifier", str(self.reader.u16("Packet Identifier")), offset, clause)

    def reason_code(self, packet_type: int, clause: str) -> None:
        offset = self.reader.pos
        code = self.reader.u8("Reason Code")
        self.add("Reason Code", f"0x{code:02X} ({reason_name(code, packet_type)})", offset, clause)

    def body(self, packet_type: int) -> None:
        if packet_type == CONNECT:
            self.connect()
        elif packet_type == CONNACK:
            self.connack()
        elif packet_type == PUBLISH:
            self.publish()
        elif PUBACK <= packet_type <= PUBCOMP:
            self.packet_identifier(f"3.{packet_type}.2")
            self.short_tail(packet_type, f"3.{packet_type}.2")
        elif packet_type == SUBSCRIBE:
            self.subscribe()
        elif packet_type == UNSUBSCRIBE:
            self.packet_identifier("3.10.2")
            self.properties(UNSUBSCRIBE, "3.10.2.1")
            self.part = PAYLOAD
            while self.reader.remaining:
                self.string("Topic Filter", "3.10.3")
        elif packet_type in (SUBACK, UNSUBACK):
            self.packet_identifier(f"3.{packet_type}.2")
            self.properties(packet_type, f"3.{packet_type}.2.1")
            self.part = PAYLOAD
            while self.reader.remaining and (self.five or packet_type == SUBACK):
                self.reason_code(packet_type, f"3.{packet_type}.3")
        elif packet_type in (DISCONNECT, AUTH):
            self.short_tail(packet_type, f"3.{packet_type}.2")

    def short_tail(self, packet_type: int, clause: str) -> None:
        """Reason Code and properties, which can be left out."""
        if self.five and self.reader.remaining:
            self.reason_code(packet_type, f"{clause}.1")
            if self.reader.remaining:
                self.properties(packet_type, f"{clause}.2")

    def connect(self) -> None:
        reader = self.reader
        offset = reader.pos
        self.add("Protocol Name", shown_octets(reader.binary_data("Protocol Name")), offset, "3.1.2.1")
        offset = reader.pos
        level = reader.u8("Protocol Version")
        known = {3: "MQTT 3.1", 4: "MQTT 3.1.1", 5: "MQTT 5.0"}
        name = "Protocol Version" if self.five else "Protocol Level"
        self.add(name, f"{level} ({known.get(level, 'unknown')})", offset, "3.1.2.2")
        offset = reader.pos
        flags = reader.u8("Connect Flags")
        will = flags & 4 != 0
        will_qos = flags >> 3 & 3
        self.add("User Name Flag", str(flags >> 7), offset, "3.1.2.8", "bit 7")
        self.add("Password Flag", str(flags >> 6 & 1), offset, "3.1.2.9", "bit 6")
        self.add("Will Retain", str(flags >> 5 & 1), offset, "3.1.2.7", "bit 5")
        self.add("Will QoS", f"{will_qos} ({_QOS_NAMES[will_qos]})", offset, "3.1.2.6", "bits 4-3")
        self.add("Will Flag", str(flags >> 2 & 1), offset, "3.1.2.5", "bit 2")
        name = "Clean Start" if self.five else "Clean Session"
        self.add(name, str(flags >> 1 & 1), offset, "3.1.2.4", "bit 1")
        self.add("Reserved", str(flags & 1), offset, "3.1.2.3", "bit 0")
        offset = reader.pos
        keep_alive = reader.u16("Keep Alive")
        self.add("Keep Alive", f"{keep_alive} s" if keep_alive else "0 (off)", offset, "3.1.2.10")
        self.properties(CONNECT, "3.1.2.11")
        self.part = PAYLOAD
        self.string("Client Identifier", "3.1.3.1")
        # MQTT 3.1.1 counts the payload's fields without the Will Properties.
        clause = (
            ["3.1.3.3", "3.1.3.4", "3.1.3.5", "3.1.3.6"] if self.five else ["3.1.3.2", "3.1.3.3", "3.1.3.4", "3.1.3.5"]
        )
        if will:
            self.properties(WILL, "3.1.3.2")
            self.string("Will Topic", clause[0])
            offset = reader.pos
            name = "Will Payload" if self.five else "Will Message"
            self.add(name, shown_octets(reader.binary_data(name)), offset, clause[1])
        if flags & 0x80 and reader.remaining:
            self.string("User Name", clause[2])
        if flags & 0x40 and reader.remaining:
            offset = reader.pos
            length = len(reader.binary_data("Password"))
            self.add("Password", f"({count(length)})", offset, clause[3], "not shown")

    def connack(self) -> None:
        reader = self.reader
        offset = reader.pos
        flags = reader.u8("Connect Acknowledge Flags")
        clause = "3.2.2.1.1" if self.five else "3.2.2.2"
        self.add("Reserved", f"{flags >> 1:07b}", offset, "3.2.2.1", "bits 7-1")
        self.add("Session Present", str(flags & 1), offset, clause, "bit 0")
        if self.five:
            self.reason_code(CONNACK, "3.2.2.2")
            self.properties(CONNACK, "3.2.2.3")
            return
        offset = reader.pos
        code = reader.u8("Connect Return code")
        name = CONNECT_RETURN_CODES[code] if code < len(CONNECT_RETURN_CODES) else "reserved"
        self.add("Connect Return code", f"{code} ({name})", offset, "3.2.2.3")

    def publish(self) -> None:
        reader = self.reader
        self.string("Topic Name", "3.3.2.1")
        if self.first >> 1 & 3:
            self.packet_identifier("3.3.2.2")
        self.properties(PUBLISH, "3.3.2.3")
        self.part = PAYLOAD
        offset = reader.pos
        payload = reader.octets(reader.remaining, "Payload")
        self.add("Payload", shown_octets(payload), offset, "3.3.3", count(len(payload)))

    def subscribe(self) -> None:
        reader = self.reader
        self.packet_identifier("3.8.2")
        self.properties(SUBSCRIBE, "3.8.2.1")
        self.part = PAYLOAD
        while reader.remaining:
            self.string("Topic Filter", "3.8.3")
            offset = reader.pos
            options = reader.u8("Subscription Options")
            qos = options & 3
            if not self.five:
                self.add("Reserved", f"{options >> 2:06b}", offset, "3.8.3", "bits 7-2")
                self.add("Requested QoS", f"{qos} ({_QOS_NAMES[qos]})", offset, "3.8.3", "bits 1-0")
                continue
            handling = options >> 4 & 3
            self.add("Reserved", f"{options >> 6:02b}", offset, "3.8.3.1", "bits 7-6")
            self.add("Retain Handling", f"{handling} ({_RETAIN_HANDLING[handling]})", offset, "3.8.3.1", "bits 5-4")
            self.add("Retain As Published", str(options >> 3 & 1), offset, "3.8.3.1", "bit 3")
            self.add("No Local", str(options >> 2 & 1), offset, "3.8.3.1", "bit 2")
            self.add("Maximum QoS", f"{qos} ({_QOS_NAMES[qos]})", offset, "3.8.3.1", "bits 1-0")

    def properties(self, packet_type: int, clause: str) -> None:
        """Property Length and properties; MQTT 3 has none."""
        if not self.five:
            return
        reader = self.reader
        offset = reader.pos
        length = reader.variable_byte_integer("Property Length")
        name = "Will Property Length" if packet_type == WILL else "Property Length"
        self.add(name, str(length), offset, f"{clause}.1")
        packet_end = reader.end
        if length > reader.remaining:
            raise reader.cut_short("Properties")
        reader.end = reader.pos + length
        while reader.remaining:
            self.property(packet_type)
        reader.end = packet_end

    def property(self, packet_type: int) -> None:
        reader = self.reader
        offset = reader.pos
        identifier = reader.variable_byte_integer("Property Identifier")
        info = PROPERTIES.get(identifier)
        if info is None:
            reader.pos = offset
            raise reader.cut_short("an unknown property")
        data_type = info.data_type
        note = f"property 0x{identifier:02X}, {TYPE_NAMES[data_type]}"
        value = ""
        if data_type == BYTE:
            value = str(reader.u8(info.name))
        elif data_type == TWO_BYTE_INTEGER:
            value = str(reader.u16(info.name))
        elif data_type == FOUR_BYTE_INTEGER:
            value = str(reader.u32(info.name))
        elif data_type == VARIABLE_BYTE_INTEGER:
            value = str(reader.variable_byte_integer(info.name))
        elif data_type == UTF8_STRING:
            value = shown_text(reader.utf8_string(info.name))
        elif data_type == UTF8_STRING_PAIR:
            value = shown_text(reader.utf8_string(info.name)) + ": "
            value += shown_text(reader.utf8_string(info.name))
        else:
            octets = reader.binary_data(info.name)
            # Authentication Data may be a credential.
            value = shown_octets(octets) if identifier == CORRELATION_DATA else f"({count(len(octets))})"
        # One that may not stand here has no clause here: that it may not says the table.
        self.add(info.name, value, offset, info.clauses.get(packet_type, "2.2.2.2"), note)
