"""Puts TCP segments together to connections, and finds those that speak MQTT, CoAP or AMQP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridgehead.cli.inspect_capture import Segment
from bridgehead.protocols.amqp.dissect import dissect as dissect_amqp
from bridgehead.protocols.amqp.dissect import version_of
from bridgehead.protocols.coap.dissect import STREAM
from bridgehead.protocols.coap.dissect import dissect as dissect_coap
from bridgehead.protocols.mqtt.dissect import dissect
from bridgehead.wire.dissection import Dissected

MQTT: Final = "MQTT"
COAP: Final = "CoAP over TCP"
AMQP: Final = "AMQP"
TLS: Final = "TLS"
HTTP: Final = "HTTP"
OTHER: Final = "other"

_MQTT_PORT: Final = 1883
_COAP_PORT: Final = 5683
_AMQP_PORT: Final = 5672
_CSM: Final = 0xE1
_HALF: Final = 1 << 31
_WHOLE: Final = 1 << 32
_CONNECT: Final = 0x10
_CONNECT_ENOUGH: Final = 64  # octets of a CONNECT that tell its version
_NAMES: Final = (b"\x00\x04MQTT", b"\x00\x06MQIsdp")

Endpoint = tuple[str, int]


class Stretch:
    """Octets of one direction without a gap. `missing` octets of the stream are not in the capture before it."""

    def __init__(self, missing: int) -> None:
        self.missing = missing
        self.octets = bytearray()
        self._ends: list[int] = []
        self._times: list[float] = []

    def append(self, octets: bytes, time: float) -> None:
        self.octets += octets
        self._ends.append(len(self.octets))
        # What overtook its predecessor on the way is usable only when that one is there too.
        self._times.append(max(time, self._times[-1]) if self._times else time)

    def time_at(self, end: int) -> float:
        """When the octet before `end` was captured."""
        low, high = 0, len(self._ends) - 1
        while low < high:
            middle = (low + high) // 2
            if self._ends[middle] < end:
                low = middle + 1
            else:
                high = middle
        return self._times[low]


class Direction:
    """One direction of a connection: segments as they were captured, in any order, some of them twice."""

    def __init__(self) -> None:
        self._segments: list[tuple[int, float, bytes]] = []
        self._start: int | None = None
        self._last = 0

    @property
    def began(self) -> bool:
        """Whether the capture has this direction's SYN."""
        return self._start is not None

    def initial_sequence_is(self, sequence: int) -> bool:
        return self._start is not None and self._unwrapped(sequence) + 1 == self._start

    def take(self, segment: Segment) -> None:
        sequence = self._unwrapped(segment.sequence)
        self._last = sequence
        if segment.is_syn:
            sequence += 1
            self._start = sequence
        if segment.data:
            self._segments.append((sequence, segment.time, segment.data))

    def _unwrapped(self, sequence: int) -> int:
        """RFC 9293 3.4: sequence numbers wrap at 2^32; the nearest to the last one is meant."""
        return self._last + (sequence - self._last + _HALF) % _WHOLE - _HALF if self._last else sequence + _WHOLE

    def stretches(self) -> list[Stretch]:
        """What was sent, in order, each octet once; a new stretch after each gap in the capture."""
        found: list[Stretch] = []
        position = self._start
        for sequence, time, data in sorted(self._segments, key=lambda each: (each[0], each[1])):
            if position is None:
                position = sequence
            if sequence > position or not found:
                found.append(Stretch(sequence - position))
                position = sequence
            fresh = data[position - sequence :]
            if fresh:
                found[-1].append(fresh, time)
                position += len(fresh)
        return [stretch for stretch in found if stretch.octets]


class Connection:
    """One TCP connection. `client` opened it, as far as the capture tells."""

    def __init__(self, client: Endpoint, server: Endpoint) -> None:
        self.client = client
        self.server = server
        self.upward = Direction()
        self.downward = Direction()

    def is_followed_by(self, syn: Segment) -> bool:
        """Whether this SYN of the client opens another connection with the same ports, and is not sent again."""
        return self.upward.began and not self.upward.initial_sequence_is(syn.sequence)

    def kind(self, port: int | None) -> str:
        """What it speaks. A CONNECT or a CSM tells; without them `port` is where MQTT is expected."""
        upward, downward = self.upward.stretches(), self.downward.stretches()
        first = bytes(upward[0].octets[:16]) if upward else b""
        answer = bytes(downward[0].octets[:16]) if downward else b""
        if _is_connect(first):
            return MQTT
        if _is_tls(first) or _is_tls(answer):
            return TLS
        if first[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ") or answer[:5] == b"HTTP/":
            return HTTP
        if first[:4] == b"AMQP" or answer[:4] == b"AMQP" or (self.server[1] == _AMQP_PORT and (first or answer)):
            return AMQP
        if _is_csm(first) or _is_csm(answer) or (self.server[1] == _COAP_PORT and (first or answer)):
            return COAP
        if (first or answer) and self.server[1] == (_MQTT_PORT if port is None else port):
            return MQTT
        return OTHER


class ShownPacket:
    """A dissected packet in its connection. `missing` octets of its direction are not in the capture before it."""

    def __init__(self, packet: Dissected, time: float, from_server: bool, missing: int) -> None:
        self.packet: Final = packet
        self.time: Final = time
        self.from_server: Final = from_server
        self.missing: Final = missing


def connections(segments: Iterable[Segment], port: int | None) -> list[Connection]:
    """All TCP connections of the capture, in the order in which they begin; with `port`, those of that port only."""
    found: list[Connection] = []
    current: dict[tuple[Endpoint, Endpoint], Connection] = {}
    for segment in segments:
        if port is not None and port not in (segment.source[1], segment.destination[1]):
            continue
        upward = current.get((segment.source, segment.destination))
        downward = current.get((segment.destination, segment.source))
        if segment.is_syn and not segment.is_ack and upward is not None and upward.is_followed_by(segment):
            upward = None
        if upward is None and downward is None:
            connection = _new_connection(segment, port)
            found.append(connection)
            current.pop((connection.server, connection.client), None)
            current[connection.client, connection.server] = connection
        else:
            connection = upward or downward or found[-1]
        direction = connection.upward if segment.source == connection.client else connection.downward
        direction.take(segment)
    return found


def _new_connection(segment: Segment, port: int | None) -> Connection:
    """Which end is the client: the sender of the SYN; else the end that has no known port, or the higher one."""
    source, destination = segment.source, segment.destination
    expected = _MQTT_PORT if port is None else port
    if segment.is_syn:
        from_client = not segment.is_ack
    elif expected in (source[1], destination[1]):
        from_client = destination[1] == expected
    elif port is None and _COAP_PORT in (source[1], destination[1]):
        from_client = destination[1] == _COAP_PORT
    elif port is None and _AMQP_PORT in (source[1], destination[1]):
        from_client = destination[1] == _AMQP_PORT
    else:
        from_client = source[1] >= destination[1]
    return Connection(source, destination) if from_client else Connection(destination, source)


def _is_connect(octets: bytes) -> bool:
    """MQTT 5.0 3.1: a CONNECT's first octets, whatever its Remaining Length takes."""
    return octets[:1] == bytes([_CONNECT]) and any(
        octets[at:].startswith(name) for at in range(2, 6) for name in _NAMES
    )


def _is_tls(octets: bytes) -> bool:
    """RFC 8446 5.1: a record of TLS, of a handshake or of what follows it."""
    return len(octets) >= 5 and octets[0] in (0x14, 0x15, 0x16, 0x17) and octets[1] == 3 and octets[2] <= 4


def _is_csm(octets: bytes) -> bool:
    """RFC 8323 3.4: what each side of CoAP over TCP sends first. Nobody gives its CSM a token or 269 octets."""
    if len(octets) < 2 or octets[0] & 15:
        return False
    length = octets[0] >> 4
    return octets[1 if length < 13 else 2] == _CSM if length < 14 and len(octets) > 2 else octets[:2] == b"\x00\xe1"


def coap_messages_of(connection: Connection) -> list[ShownPacket]:
    """The messages of CoAP over TCP in both directions, in the order in which they were complete."""
    shown: list[ShownPacket] = []
    for direction, from_server in ((connection.upward, False), (connection.downward, True)):
        for stretch in direction.stretches():
            missing = stretch.missing
            for message in dissect_coap(bytes(stretch.octets), STREAM):
                time = stretch.time_at(message.offset + message.length)
                shown.append(ShownPacket(message, time, from_server, missing))
                missing = 0
    shown.sort(key=lambda each: each.time)
    return shown


def amqp_frames_of(connection: Connection, version: str) -> list[ShownPacket]:
    """The frames of both directions, in the order in which they were complete. `version` is the dissector's, for a
    capture that begins after the protocol headers; "" takes what fits."""
    for direction in (connection.upward, connection.downward):
        for stretch in direction.stretches()[:1]:
            version = version_of(bytes(stretch.octets)) or version
    shown: list[ShownPacket] = []
    for direction, from_server in ((connection.upward, False), (connection.downward, True)):
        for stretch in direction.stretches():
            missing = stretch.missing
            for frame in dissect_amqp(bytes(stretch.octets), version):
                time = stretch.time_at(frame.offset + frame.length)
                shown.append(ShownPacket(frame, time, from_server, missing))
                missing = 0
    shown.sort(key=lambda each: each.time)
    return shown


def packets_of(connection: Connection, version: int) -> tuple[int, list[ShownPacket]]:
    """The connection's version and its packets in both directions, in the order in which they were complete.

    `version` is 0 to take it from the CONNECT, or, where the capture begins after it, to assume the one that fits.
    """
    if version == 0:
        version = _version_of(connection)
    shown: list[ShownPacket] = []
    for direction, from_server in ((connection.upward, False), (connection.downward, True)):
        for stretch in direction.stretches():
            missing = stretch.missing
            for packet in dissect(bytes(stretch.octets), version, from_server):
                time = stretch.time_at(packet.offset + packet.length)
                shown.append(ShownPacket(packet, time, from_server, missing))
                missing = 0
    shown.sort(key=lambda each: each.time)
    return version, shown


def _version_of(connection: Connection) -> int:
    """The version that the CONNECT names; without one the version in which fewer packets have a fault, or 0."""
    stretches = [
        (bytes(stretch.octets), from_server)
        for direction, from_server in ((connection.upward, False), (connection.downward, True))
        for stretch in direction.stretches()
    ]
    if not stretches:
        return 0
    octets, from_server = stretches[0]
    if not from_server and _is_connect(octets[:16]):
        return dissect(octets[:_CONNECT_ENOUGH], 0, False)[0].version
    faults = {
        version: sum(packet.fault is not None for each in stretches for packet in dissect(each[0], version, each[1]))
        for version in (5, 4)
    }
    return 5 if faults[5] <= faults[4] else 4
