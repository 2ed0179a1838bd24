"""PUBLISH frames in bulk: made once and stamped by strides; counted and acknowledged without taking each apart.

All frames of one publisher have one length, so the n-th octet of every frame is one strided slice, which the
interpreter walks in C. That is what lets a Python loop follow a server of millions of messages per second.

The first six octets of a payload are ours: four of time (microseconds of the monotonic clock, modulo 2^32),
two of the publisher's number.
"""

from __future__ import annotations

import struct
from itertools import compress

from bridgehead.cli.load.links import LinkLost
from bridgehead.protocols.mqtt.codec.encode import publish_form
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES

STAMP = struct.Struct(">IH")
SMALLEST_PAYLOAD = STAMP.size
CLOCK_MASK = (1 << 32) - 1

PUBACK, PUBREC, PUBREL, PUBCOMP = 0x40, 0x50, 0x62, 0x70  # first octets, flags included
ACK_LENGTH = 4
ACK_REMAINING = 2
FEW = 16  # frames in a ring whose frames are sent one by one
PROBE = 8  # packets looked at before a run is believed to fill the rest of the read

IS_PUBREC = bytes(1 if octet == PUBREC else 0 for octet in range(256))


class FrameRing:
    """`capacity` frames of one publisher back to back; at QoS 1 and 2 slot i has the Packet Identifier i + 1."""

    def __init__(
        self, version: int, topics: list[str], size: int, qos: int, retain: bool, capacity: int, publisher: int
    ) -> None:
        self.capacity = capacity
        payload = STAMP.pack(0, publisher) + b"x" * (size - STAMP.size)
        frames = []
        for slot in range(capacity):
            form = publish_form(version, topics[slot % len(topics)], payload, qos, retain, NO_PROPERTIES)
            packet_id = (slot + 1).to_bytes(2, "big") if qos else b""
            frames.append(form.head + packet_id + form.tail)
        self.length = len(frames[0])
        if any(len(frame) != self.length for frame in frames):
            raise ValueError("the topics of one publisher must have one length")
        self.octets = bytearray(b"".join(frames))
        self.view = memoryview(self.octets)
        self.stamp_at = self.length - size
        # For windows of one message, where each is sent by itself: the frames, cut once.
        self.slots: list[memoryview] = []
        if capacity <= FEW:
            self.slots = [self.view[slot * self.length : (slot + 1) * self.length] for slot in range(capacity)]

    def stamp(self, first: int, count: int, micros: int) -> memoryview:
        """Write the time into `count` frames from slot `first` on (not past the last slot) and give their octets."""
        length = self.length
        start = first * length
        stop = start + count * length
        at = start + self.stamp_at
        octets = self.octets
        time = (micros & CLOCK_MASK).to_bytes(4, "big")
        if count == 1:
            octets[at : at + 4] = time
            return self.slots[first] if self.slots else self.view[start:stop]
        else:
            octets[at:stop:length] = time[0:1] * count
            octets[at + 1 : stop : length] = time[1:2] * count
            octets[at + 2 : stop : length] = time[2:3] * count
            octets[at + 3 : stop : length] = time[3:4] * count
        return self.view[start:stop]


def run_of(octets: bytearray, start: int, end: int, step: int, firsts: bytes, second: bytes) -> int:
    """How many whole packets of `step` octets each follow one another from `start` on, all beginning with one of
    `firsts` and then with `second` (the first octet of the Remaining Length)."""
    count = (end - start) // step
    if count > PROBE:
        found = leading(octets, start, PROBE, step, firsts, second)
        if found < PROBE:
            return found
    return leading(octets, start, count, step, firsts, second)


def leading(octets: bytearray, start: int, count: int, step: int, firsts: bytes, second: bytes) -> int:
    """As run_of, among at most `count` packets that are known to lie within the buffer."""
    stop = start + count * step
    kinds = octets[start:stop:step]
    rest = kinds.lstrip(firsts)
    if rest:
        count -= len(rest)
        stop = start + count * step
    lengths = octets[start + 1 : stop : step]
    return count - len(lengths.lstrip(second))


def acknowledge(first: int, octets: bytearray, id_at: int, stop: int, step: int, count: int) -> bytearray:
    """`count` acknowledgements (success) that begin with the octet `first`, for the Packet Identifiers found at
    `id_at` and every `step` octets after it."""
    answer = bytearray((first, ACK_REMAINING, 0, 0)) * count
    answer[2::4] = octets[id_at:stop:step]
    answer[3::4] = octets[id_at + 1 : stop : step]
    return answer


def release(octets: bytearray, start: int, stop: int) -> tuple[bytearray, int]:
    """The PUBRELs for those of the four-octet packets from `start` to `stop` that are PUBREC, and their number."""
    mask = octets[start:stop:ACK_LENGTH].translate(IS_PUBREC)
    count = mask.count(1)
    if count == len(mask):
        return acknowledge(PUBREL, octets, start + 2, stop, ACK_LENGTH, count), count
    answer = bytearray((PUBREL, ACK_REMAINING, 0, 0)) * count
    answer[2::4] = bytes(compress(octets[start + 2 : stop : ACK_LENGTH], mask))
    answer[3::4] = bytes(compress(octets[start + 3 : stop : ACK_LENGTH], mask))
    return answer, count


class Shape:
    """What the PUBLISH packets of one subscriber look like, learnt from the first: length, kind, where things lie."""

    def __init__(self, octets: bytearray, start: int, header: int, length: int, size: int) -> None:
        """`header` octets of fixed header, `length` octets in all, `size` octets of payload."""
        first = octets[start]
        self.qos = first >> 1 & 3
        # DUP and RETAIN may differ from packet to packet without any change of the rest.
        self.firsts = bytes((first & 0xF6, first & 0xF6 | 0x08, first & 0xF6 | 0x01, first & 0xF6 | 0x09))
        self.second = bytes(octets[start + 1 : start + 2])
        self.length = length
        topic = int.from_bytes(octets[start + header : start + header + 2], "big")
        self.id_at = header + 2 + topic
        self.stamp_at = length - size


def fixed_header(octets: bytearray, start: int, end: int) -> tuple[int, int] | None:
    """(octets of fixed header, octets of the whole packet) of the packet at `start`; None when more must be read.

    Raises LinkLost for a Remaining Length of more than four octets [MQTT-1.5.5-1].
    """
    remaining = 0
    for index in range(4):
        at = start + 1 + index
        if at >= end:
            return None
        remaining |= (octets[at] & 0x7F) << 7 * index
        if octets[at] < 0x80:
            return 2 + index, 2 + index + remaining
    raise LinkLost("the server sent a Remaining Length of more than four octets")
