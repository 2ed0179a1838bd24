"""The two ends of a load run: publishers with their windows, subscribers that count, acknowledge and give credit."""

from __future__ import annotations

from itertools import compress

from bridgehead.cli.load.frames import (
    ACK_LENGTH,
    ACK_REMAINING,
    CLOCK_MASK,
    IS_PUBREC,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    FrameRing,
    Shape,
    acknowledge,
    fixed_header,
    release,
    run_of,
)
from bridgehead.cli.load.histogram import Histogram
from bridgehead.cli.load.links import Dismissed, Link, LinkLost
from bridgehead.protocols.mqtt.codec.reason_codes import reason_name

ACK_SECOND = bytes((ACK_REMAINING,))
PUBREL_FIRSTS = bytes((PUBREL,))
PUBLISH_TYPE, PINGRESP_TYPE, DISCONNECT_TYPE = 3, 13, 14
SAMPLE = 16  # one latency is taken per so many messages of a read, and counts for all of them


class End:
    """A link with its reader's place in the stream."""

    def __init__(self, link: Link) -> None:
        self.link = link

    def take(self, octets: bytearray, end: int, now: int) -> int:
        """Handle the whole packets in octets[:end]; where the first unfinished one begins."""
        raise NotImplementedError

    def other(self, octets: bytearray, at: int, header: int, length: int) -> None:
        """A packet that is no part of the bulk: PINGRESP is passed over, everything else ends the run."""
        kind = octets[at] >> 4
        if kind == PINGRESP_TYPE:
            return
        if kind == DISCONNECT_TYPE:
            code = octets[at + header] if length > header else 0
            raise Dismissed(
                f"the server disconnected {self.link.name}: {reason_name(code, DISCONNECT_TYPE)} (0x{code:02X})"
            )
        raise LinkLost(f"the server sent {self.link.name} a packet of type {kind}, which has no place here")


class Publisher(End):
    """Sends from its ring as the window allows.

    In flight are the messages sent and not yet received by every subscriber that gets them, at QoS 1 and 2 also
    those not yet acknowledged. Without subscribers, QoS 0 is bounded by the socket alone.
    """

    def __init__(self, link: Link, ring: FrameRing, qos: int, window: int, receivers: int) -> None:
        super().__init__(link)
        self.ring = ring
        self.qos = qos
        self.window = window
        self.receivers = receivers
        self.sent = 0
        self.acknowledged = 0
        self.delivered = 0  # to all receivers together
        self.forgiven = 0  # deliveries given up as lost, so that the window opens again
        self.early: set[int] = set()  # Packet Identifiers acknowledged before their turn
        self.disordered = 0
        self.refused: dict[int, int] = {}
        self.waiting = False  # stands in the engine's list of publishers to fire
        ids = range(1, ring.capacity + 1)
        self.high = bytes(packet_id >> 8 for packet_id in ids) * 2
        self.low = bytes(packet_id & 0xFF for packet_id in ids) * 2

    def room(self) -> int:
        """How many messages may be sent now."""
        window = self.window
        room = window - (self.sent - self.acknowledged) if self.qos else window
        receivers = self.receivers
        if receivers:
            missing = self.sent * receivers - self.delivered - self.forgiven
            credit = window - missing if receivers == 1 else (window * receivers - missing) // receivers
            if credit < room:
                return credit
        return room

    def fire(self, count: int, micros: int) -> None:
        """Send `count` messages stamped with the time `micros`."""
        ring = self.ring
        if count == 1:
            self.link.send(ring.stamp(self.sent % ring.capacity, 1, micros))
            self.sent += 1
            return
        while count > 0:
            slot = self.sent % ring.capacity
            part = min(count, ring.capacity - slot)
            self.link.send(ring.stamp(slot, part, micros))
            self.sent += part
            count -= part

    def forgive(self) -> None:
        """Take what is missing at the subscribers as lost."""
        self.forgiven = self.sent * self.receivers - self.delivered

    def take(self, octets: bytearray, end: int, now: int) -> int:
        at = 0
        firsts = b"\x40" if self.qos == 1 else b"\x50\x70"
        while at < end:
            count = run_of(octets, at, end, ACK_LENGTH, firsts, ACK_SECOND)
            if count:
                self.bulk(octets, at, count)
                at += count * ACK_LENGTH
                continue
            shape = fixed_header(octets, at, end)
            if shape is None or at + shape[1] > end:
                break
            header, length = shape
            if octets[at] in (PUBACK, PUBREC, PUBCOMP):
                self.single(octets, at, header, length)
            else:
                self.other(octets, at, header, length)
            at += length
        return at

    def bulk(self, octets: bytearray, at: int, count: int) -> None:
        """Handle `count` four-octet acknowledgements from `at` on."""
        stop = at + count * ACK_LENGTH
        high, low = octets[at + 2 : stop : ACK_LENGTH], octets[at + 3 : stop : ACK_LENGTH]
        if self.qos == 2:
            answer, released = release(octets, at, stop)
            if released:
                self.link.send(answer)
                if released == count:
                    return
                done = [not flag for flag in octets[at:stop:ACK_LENGTH].translate(IS_PUBREC)]
                high, low = bytearray(compress(high, done)), bytearray(compress(low, done))
        self.finish(high, low)

    def finish(self, high: bytearray, low: bytearray) -> None:
        """The flows of these Packet Identifiers are over."""
        count = len(high)
        slot = self.acknowledged % self.ring.capacity
        # [MQTT-4.6.0-2], [MQTT-4.6.0-3]: they come in the order of the messages, so this nearly always holds.
        if not self.early and high == self.high[slot : slot + count] and low == self.low[slot : slot + count]:
            self.acknowledged += count
            return
        for index in range(count):
            packet_id = high[index] << 8 | low[index]
            if packet_id != self.acknowledged % self.ring.capacity + 1:
                self.disordered += 1
                self.early.add(packet_id)
                continue
            self.acknowledged += 1
            while self.early and self.acknowledged % self.ring.capacity + 1 in self.early:
                self.early.remove(self.acknowledged % self.ring.capacity + 1)
                self.acknowledged += 1

    def single(self, octets: bytearray, at: int, header: int, length: int) -> None:
        """An acknowledgement with a Reason Code."""
        high, low = octets[at + header : at + header + 1], octets[at + header + 1 : at + header + 2]
        code = octets[at + header + 2] if length > header + 2 else 0
        if code >= 0x80:
            self.refused[code] = self.refused.get(code, 0) + 1
            self.forgiven += self.receivers
        if octets[at] == PUBREC and code < 0x80:
            self.link.send(bytes((PUBREL, ACK_REMAINING)) + high + low)
            return
        self.finish(high, low)


class Subscriber(End):
    """Counts deliveries, acknowledges them, and gives their publishers credit."""

    def __init__(self, link: Link, publishers: list[Publisher], ready: list[Publisher], size: int) -> None:
        """`publishers` are those whose messages come here, indexed by their number unless it is only one."""
        super().__init__(link)
        self.publishers = publishers
        self.only = publishers[0] if len(publishers) == 1 else None
        self.ready = ready
        self.size = size
        self.shape: Shape | None = None
        self.received = 0
        self.latency: Histogram | None = None  # set while the run measures

    def take(self, octets: bytearray, end: int, now: int) -> int:
        at = 0
        while at < end:
            shape = self.shape
            if shape is not None:
                count = run_of(octets, at, end, shape.length, shape.firsts, shape.second)
                if count:
                    self.bulk(octets, at, count, shape, now)
                    at += count * shape.length
                    continue
            if octets[at] == PUBREL:
                count = run_of(octets, at, end, ACK_LENGTH, PUBREL_FIRSTS, ACK_SECOND)
                if count:
                    stop = at + count * ACK_LENGTH
                    self.link.send(acknowledge(PUBCOMP, octets, at + 2, stop, ACK_LENGTH, count))
                    at = stop
                    continue
            head = fixed_header(octets, at, end)
            if head is None or at + head[1] > end:
                break
            header, length = head
            if octets[at] >> 4 == PUBLISH_TYPE:
                self.shape = Shape(octets, at, header, length, self.size)
                if self.shape.stamp_at < self.shape.id_at:
                    raise LinkLost(f"{self.link.name} got a message that is not of this run: is its topic in use?")
                continue
            self.other(octets, at, header, length)
            at += length
        return at

    def bulk(self, octets: bytearray, at: int, count: int, shape: Shape, now: int) -> None:
        """Handle `count` PUBLISH packets of one shape from `at` on."""
        length = shape.length
        stop = at + count * length
        self.received += count
        if shape.qos:
            first = PUBACK if shape.qos == 1 else PUBREC
            self.link.send(acknowledge(first, octets, at + shape.id_at, stop, length, count))
        stamp = at + shape.stamp_at
        latency = self.latency
        if latency is not None:
            for index in range(0, count, SAMPLE):
                here = stamp + index * length
                then = int.from_bytes(octets[here : here + 4], "big")
                latency.add((now - then) & CLOCK_MASK, min(SAMPLE, count - index))
        only = self.only
        if only is not None:
            only.delivered += count
            if not only.waiting:
                only.waiting = True
                self.ready.append(only)
            return
        numbers = zip(octets[stamp + 4 : stop : length], octets[stamp + 5 : stop : length], strict=True)
        for high, low in numbers:
            number = high << 8 | low
            if number >= len(self.publishers):  # somebody else publishes there too
                continue
            publisher = self.publishers[number]
            publisher.delivered += 1
            if not publisher.waiting:
                publisher.waiting = True
                self.ready.append(publisher)
