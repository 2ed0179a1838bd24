"""Decodes a stream of octets into control packets: framing, and the hot packets themselves."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.protocols.mqtt.codec.decode_connect import (
    UnsupportedProtocolVersion,
    decode_connect,
    decode_protocol_version,
)
from bridgehead.protocols.mqtt.codec.decode_packets import decode_packet
from bridgehead.protocols.mqtt.codec.fields import DEFAULT_LIMITS, FieldReader, Limits, text_of
from bridgehead.protocols.mqtt.codec.packets import Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.protocols.mqtt.codec.property_codec import decode_properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    MALFORMED_PACKET,
    PACKET_NAMES,
    PACKET_TOO_LARGE,
    PINGREQ,
    PINGRESP,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    TOPIC_NAME_INVALID,
    UNSUBACK,
    UNSUBSCRIBE,
)
from bridgehead.wire.errors import Malformed, PeerError, Violation

# Bounds of a shared topic cache. Longer topics are decoded anew each time.
MAX_CACHED_TOPICS: Final = 32_768
MAX_CACHED_TOPIC_LENGTH: Final = 200
# A CONNECT comes from nobody that we know yet: it gets less room than the packets that follow.
MAX_CONNECT_SIZE: Final = 131_072

# Table 2-1 and Table 3-13: which packets each side sends.
_BOTH: Final = (
    (1 << PUBLISH) | (1 << PUBACK) | (1 << PUBREC) | (1 << PUBREL) | (1 << PUBCOMP) | (1 << DISCONNECT) | (1 << AUTH)
)
_FROM_CLIENT: Final = _BOTH | (1 << CONNECT) | (1 << SUBSCRIBE) | (1 << UNSUBSCRIBE) | (1 << PINGREQ)
_FROM_SERVER: Final = _BOTH | (1 << CONNACK) | (1 << SUBACK) | (1 << UNSUBACK) | (1 << PINGRESP)
_FLAG_CLAUSES: Final = {
    PUBREL: "MQTT-3.6.1-1",
    SUBSCRIBE: "MQTT-3.8.1-1",
    UNSUBSCRIBE: "MQTT-3.10.1-1",
    DISCONNECT: "MQTT-3.14.1-1",
    AUTH: "MQTT-3.15.1-1",
}
# More than this still to come: collect it in a growing buffer, and don't join it anew at each read.
_LONG_WAIT: Final = 65_536
# What a connection remembers of its last PUBLISH.
_MAX_KNOWN_HEAD: Final = 256


class Decoder:
    """One direction of one connection.

    `maximum_packet_size` bounds a packet, fixed header included, and with it what is held between two reads.
    `topics`, which connections may share, maps the octets of Topic Names to their text, so that one topic is
    validated once and is always the same str object. `from_server` is True in a client.
    `limits` bounds how much a packet may hold of what takes more room in memory than on the wire.
    `protocol_version` is 0 until a CONNECT was seen; a client sets it. After a fault in the CONNECT it is the version
    in which the refusal is to be told, 0 when there is none.
    """

    def __init__(
        self,
        maximum_packet_size: int,
        topics: dict[bytes, str] | None = None,
        from_server: bool = False,
        maximum_connect_size: int = MAX_CONNECT_SIZE,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.maximum_packet_size = maximum_packet_size
        self.maximum_connect_size = min(maximum_connect_size, maximum_packet_size)
        self.protocol_version = 0
        self.packets: list[Packet] = []  # set by a fault only, so that an idle connection keeps no packets
        self._topics: dict[bytes, str] = {} if topics is None else topics
        self._from_server = from_server
        self._senders: i64 = _FROM_SERVER if from_server else _FROM_CLIENT
        self._limits = limits
        self._rest = b""
        self._collected: bytearray | None = None
        self._needed: i64 = 0
        self._fault: PeerError | None = None
        # The fixed header and Topic Name that the last PUBLISHes began with; no packet begins with a zero octet.
        self._known_head = b"\x00"
        self._known_topic = ""
        self._known_topic_end: i64 = 0
        self._known_size: i64 = 0

    def feed(self, data: bytes) -> list[Packet]:
        """Every packet that is whole with this read; an incomplete rest is kept for the next.

        Raises PeerError with the Reason Code of MQTT 5.0; the packets of this read before the fault are then in
        `packets`.
        After a fault the stream has no known boundary any more: each further call raises the same error.
        """
        if self._fault is not None:
            self.packets = []
            raise self._fault
        packets: list[Packet] = []
        if self._needed:
            joined = self._join(data)
            if joined is None:
                return packets
            data = joined
        try:
            self._decode(data, packets)
        except PeerError as fault:
            self._fault = fault
            self.packets = packets
            raise
        return packets

    def release(self) -> None:
        """Forget what is held: no more will come."""
        self._rest = b""
        self._collected = None
        self._needed = 0
        self._fault = None
        self.packets = []

    @property
    def held(self) -> i64:
        """Octets of an incomplete packet that are waiting for more."""
        return len(self._rest) if self._collected is None else len(self._collected)

    def _join(self, data: bytes) -> bytes | None:
        """What was held with `data` behind it, or None while the packet is known to be incomplete."""
        collected = self._collected
        if collected is None:
            joined = self._rest + data
            if len(joined) < self._needed:
                self._hold(joined, self._needed)
                return None
        else:
            collected += data
            if len(collected) < self._needed:
                return None
            joined = bytes(collected)
            self._collected = None
        self._rest = b""
        self._needed = 0
        return joined

    def _hold(self, rest: bytes, needed: i64) -> None:
        self._needed = needed
        if needed - len(rest) > _LONG_WAIT:
            self._collected = bytearray(rest)
            self._rest = b""
        else:
            self._rest = rest

    def _decode(self, data: bytes, packets: list[Packet]) -> None:
        size: i64 = len(data)
        pos: i64 = 0
        needed: i64 = 2
        version: i64 = self.protocol_version
        limit: i64 = self.maximum_packet_size if version else self.maximum_connect_size
        while size - pos >= 2:
            first: i64 = data[pos]
            length: i64 = data[pos + 1]
            body = pos + 2
            if length >= 128:
                length = _long_remaining_length(data, pos, size)
                if length < 0:
                    needed = size - pos + 1
                    break
                body += 1 if length < 16_384 else 2 if length < 2_097_152 else 3
            end = body + length
            packet_type = first >> 4
            if end - pos > limit:
                raise Violation(
                    f"{PACKET_NAMES[packet_type]} has {end - pos} octets, at most {limit} are accepted",
                    PACKET_TOO_LARGE,
                    1,
                    "MQTT-3.1.2-24" if self._from_server else "MQTT-3.2.2-15",
                )
            if packet_type != PUBLISH or not version:
                self._check_fixed_header(first, version)
            if end > size:
                needed = end - pos
                break
            if packet_type == PUBLISH:
                frame = data if end - pos == size else data[pos:end]
                packets.append(self._publish(frame, first, body - pos, version == 5))
            elif length == 2 and PUBACK <= packet_type <= PUBCOMP:
                packets.append(_short_acknowledgement(packet_type, data[body], data[body + 1]))
            elif packet_type == CONNECT:
                packets.append(self._connect(FieldReader(data, pos, body, end, self._limits)))
                version = self.protocol_version
                limit = self.maximum_packet_size
            else:
                reader = FieldReader(data, pos, body, end, self._limits, self._from_server)
                packets.append(decode_packet(reader, packet_type, version))
            pos = end
        if pos < size:
            self._hold(data[pos:], needed)

    def _check_fixed_header(self, first: i64, version: i64) -> None:
        """The packet type and flags of any packet but a PUBLISH, before its body is waited for."""
        packet_type = first >> 4
        if packet_type == 0 or (packet_type == AUTH and 0 < version < 5):
            raise Malformed(f"the packet type {packet_type} is reserved", MALFORMED_PACKET, 0, "MQTT 5.0 2.1.2")
        name = PACKET_NAMES[packet_type]
        if version == 0 and packet_type != CONNECT:
            raise Violation(f"the first packet is a {name} and not a CONNECT", PROTOCOL_ERROR, 0, "MQTT-3.1.0-1")
        if (self._senders >> packet_type) & 1 == 0 or (packet_type == DISCONNECT and self._from_server and version < 5):
            sender = "Server" if self._from_server else "Client"
            raise Violation(f"a {sender} does not send {name}", PROTOCOL_ERROR, 0, "MQTT 5.0 2.1.2")
        flags = first & 15
        if packet_type in (PUBREL, SUBSCRIBE, UNSUBSCRIBE):
            # MQTT 3.1, 2.1: these go out with QoS 1, and with DUP when they are sent again.
            if flags == 2 or (version == 3 and flags == 10):
                return
        elif flags == 0:
            return
        clause = _FLAG_CLAUSES.get(packet_type, "MQTT-2.1.3-1")
        raise Malformed(f"the flags {flags:04b} are reserved in {name}", MALFORMED_PACKET, 0, clause)

    def _connect(self, reader: FieldReader) -> Packet:
        try:
            version = decode_protocol_version(reader)
        except UnsupportedProtocolVersion as fault:
            self.protocol_version = self.protocol_version or fault.answer_version
            raise
        # Set before the rest is read: an answer to a faulty CONNECT has the form of this version.
        if self.protocol_version == 0:
            self.protocol_version = version
        return decode_connect(reader, version)

    def _publish(self, frame: bytes, first: i64, begin: i64, v5: bool) -> Publish:
        """`begin` is the offset of the Topic Name's length in `frame`, which is the whole packet."""
        size: i64 = len(frame)
        qos = first >> 1 & 3
        topic_end: i64
        if frame.startswith(self._known_head):
            # The same first octet, Remaining Length and Topic Name were found good before.
            topic = self._known_topic
            topic_end = self._known_topic_end
        else:
            if qos == 3:
                raise Malformed("PUBLISH has QoS 3", MALFORMED_PACKET, 0, "MQTT-3.3.1-4")
            if qos == 0 and first & 8:
                raise Malformed("DUP is set in a PUBLISH of QoS 0", MALFORMED_PACKET, 0, "MQTT-3.3.1-2")
            if begin + 2 > size:
                raise Malformed("Topic Name runs past the end", MALFORMED_PACKET, begin, "MQTT-3.3.2-1")
            high: i64 = frame[begin]
            low: i64 = frame[begin + 1]
            topic_end = begin + 2 + (high << 8 | low)
            if topic_end > size:
                raise Malformed("Topic Name runs past the end", MALFORMED_PACKET, begin, "MQTT-3.3.2-1")
            octets = frame[begin + 2 : topic_end]
            found = self._topics.get(octets)
            topic = self._new_topic(octets, begin + 2, v5) if found is None else found
            # Cutting the head out pays only where the next PUBLISH begins like this one.
            if topic is self._known_topic and size == self._known_size and topic and topic_end <= _MAX_KNOWN_HEAD:
                self._known_head = frame[:topic_end]
                self._known_topic_end = topic_end
            else:
                self._known_head = b"\x00"
                self._known_topic = topic
                self._known_size = size
        packet_id: i64 = 0
        offset = topic_end
        if qos:
            offset += 2
            if offset > size:
                raise Malformed("Packet Identifier runs past the end", MALFORMED_PACKET, topic_end, "MQTT-2.2.1-3")
            high = frame[topic_end]
            low = frame[topic_end + 1]
            packet_id = high << 8 | low
            if packet_id == 0:
                clause = "MQTT-2.2.1-4" if self._from_server else "MQTT-2.2.1-3"
                raise Violation("the Packet Identifier is 0", PROTOCOL_ERROR, topic_end, clause)
        properties = NO_PROPERTIES
        if v5:
            if offset < size and frame[offset] == 0:
                offset += 1
            else:
                reader = FieldReader(frame, 0, offset, size, self._limits)
                properties = decode_properties(reader, PUBLISH)
                offset = reader.pos
                if properties.subscription_identifiers and not self._from_server:
                    raise Violation(
                        "a Client does not send a Subscription Identifier in PUBLISH",
                        PROTOCOL_ERROR,
                        topic_end,
                        "MQTT-3.3.4-6",
                    )
            if not topic and properties.topic_alias is None:
                raise Violation(
                    "the Topic Name is empty and there is no Topic Alias", PROTOCOL_ERROR, begin, "MQTT 5.0 3.3.2.1"
                )
        return Publish(
            topic, b"", qos, first & 1 != 0, first & 8 != 0, packet_id, properties, frame, topic_end, offset, v5
        )

    def _new_topic(self, octets: bytes, at: i64, v5: bool) -> str:
        """The text of a Topic Name that is not in the cache yet."""
        if not octets:
            if v5:
                return ""
            raise Violation("the Topic Name is empty", TOPIC_NAME_INVALID, at, "MQTT-4.7.3-1")
        topic = text_of(octets, "Topic Name", at)
        if "+" in topic or "#" in topic:
            raise Violation("the Topic Name contains a wildcard", TOPIC_NAME_INVALID, at, "MQTT-3.3.2-2")
        if len(octets) <= MAX_CACHED_TOPIC_LENGTH:
            if len(self._topics) >= MAX_CACHED_TOPICS:
                self._topics.clear()
            self._topics[octets] = topic
        return topic


def _short_acknowledgement(packet_type: i64, high: i64, low: i64) -> Packet:
    """An acknowledgement of four octets, which all versions share: it means success."""
    packet_id = high << 8 | low
    if packet_id == 0:
        raise Violation("the Packet Identifier is 0", PROTOCOL_ERROR, 2, "MQTT-2.2.1-5")
    if packet_type == PUBACK:
        return Puback(packet_id)
    if packet_type == PUBREC:
        return Pubrec(packet_id)
    if packet_type == PUBREL:
        return Pubrel(packet_id)
    return Pubcomp(packet_id)


def _long_remaining_length(data: bytes, pos: i64, size: i64) -> i64:
    """A Remaining Length of two to four octets; -1 while it is incomplete. `pos` is the packet's first octet."""
    value: i64 = data[pos + 1] & 127
    shift: i64 = 7
    at = pos + 2
    while shift <= 21:
        if at >= size:
            return -1
        octet: i64 = data[at]
        value |= (octet & 127) << shift
        if octet < 128:
            if octet == 0:
                raise Malformed("the Remaining Length is not in its shortest form", MALFORMED_PACKET, 1, "MQTT-1.5.5-1")
            return value
        at += 1
        shift += 7
    raise Malformed("the Remaining Length is longer than four octets", MALFORMED_PACKET, 1, "MQTT 5.0 2.1.4")
