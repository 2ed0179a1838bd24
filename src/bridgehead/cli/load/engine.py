"""Run a plan: one epoll loop over all connections, the phases of a run, and what they measured."""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Callable
from time import monotonic_ns

from bridgehead.cli.load.ends import End, Publisher, Subscriber
from bridgehead.cli.load.frames import FrameRing
from bridgehead.cli.load.histogram import Histogram
from bridgehead.cli.load.links import Dismissed, LinkLost
from bridgehead.cli.load.opening import OpeningFailed, farewell, open_links, subscribe
from bridgehead.cli.load.plan import PAIRS, Access, Plan
from bridgehead.cli.load.processes import cpu_seconds
from bridgehead.cli.load.result import Result
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connack, Pingreq
from bridgehead.protocols.mqtt.codec.reason_codes import reason_name

BUFFER = 524_288
RING = 67_108_864  # octets of prepared frames per publisher at most
FRAME_OVERHEAD = 10  # fixed header, topic length, Packet Identifier, Property Length
PING_EVERY = 20.0  # seconds; a third of the keep alive
STALL = 1.0  # seconds without any progress after which what is missing counts as lost
DRAIN = 3.0  # seconds that messages on their way may take at the end
PROGRESS_EVERY = 0.25
LATE = 0.002  # seconds behind its schedule after which a message is stamped with the time it was due

# Called with the phase, the fraction of it that is over (0 to 1) and the deliveries per second of late.
Progress = Callable[[str, float, float], None]


class Engine:
    """The connections of one run and the loop that drives them. Raises OpeningFailed, LinkLost and NoSuchProcess."""

    def __init__(self, access: Access, plan: Plan, progress: Progress | None = None) -> None:
        self.access = access
        self.plan = plan
        self.progress = progress
        self.publishers: list[Publisher] = []
        self.subscribers: list[Subscriber] = []
        self.ends: dict[int, End] = {}
        self.ready: list[Publisher] = []
        self.epoll = select.epoll()
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)
        self.writing: set[int] = set()
        self.stalls = 0
        self.window = plan.window
        self.turn = 0  # whose turn it is when a rate is shared out

    def open(self) -> None:
        """Make and subscribe all connections, subscribers first."""
        access, plan = self.access, self.plan
        names = [f"{access.client_id}s{number}" for number in range(plan.subscribers)]
        names += [f"{access.client_id}p{number}" for number in range(plan.publishers)]
        opened = open_links(access, names, plan.durable, lambda done: self.tell("connecting", done / len(names), 0.0))
        links = [each.link for each in opened]
        for end_link in links:
            self.epoll.register(end_link.fd, select.EPOLLIN)
        receiving, sending = links[: plan.subscribers], links[plan.subscribers :]
        subscribe(access, receiving, [[plan.filter_of(number)] for number in range(plan.subscribers)], plan.qos)
        frame = plan.size + len(plan.topics_of(0)[0]) + FRAME_OVERHEAD
        capacity = max(1, min(max(4 * plan.window, plan.topics), RING // frame))
        if plan.qos:
            # A Packet Identifier may come again only after its flow is over.
            self.window = min(
                plan.window, capacity, *(receive_maximum(each.connack) for each in opened[plan.subscribers :])
            )
        for number, link in enumerate(sending):
            topics = plan.topics_of(number)
            ring = FrameRing(access.version, topics, plan.size, plan.qos, plan.retain, capacity, number)
            self.publishers.append(Publisher(link, ring, plan.qos, self.window, plan.receivers))
        for number, link in enumerate(receiving):
            sources = [self.publishers[number]] if plan.layout == PAIRS else self.publishers
            self.subscribers.append(Subscriber(link, sources, self.ready, plan.size))
        if 2 * frame > BUFFER:
            self.buffer = bytearray(2 * frame + BUFFER)
            self.view = memoryview(self.buffer)
        self.ends = {end.link.fd: end for end in (*self.publishers, *self.subscribers)}

    def close(self) -> None:
        """Leave in order: DISCONNECT, then close."""
        goodbye = farewell(self.access.version)
        for end in self.ends.values():
            try:
                if not end.link.blocked():
                    end.link.send(goodbye)
            except LinkLost:
                pass  # it is being closed, whoever was first
            end.link.close()
        self.epoll.close()

    def run(self) -> Result:
        """Warm up, measure, drain."""
        plan = self.plan
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection in the middle of a run would be measured as the server's latency
        try:
            start = time.monotonic()
            self.schedule_from = start
            self.scheduled = 0
            self.phase("warming up", start, start + plan.warm_up, sending=True)
            histogram = Histogram()
            for subscriber in self.subscribers:
                subscriber.latency = histogram
            before = self.counts()
            cpu_before, own_before = cpu_seconds(plan.pids), time.process_time()
            began = time.monotonic()
            self.phase("measuring", began, began + plan.seconds, sending=True)
            ended = time.monotonic()
            cpu_after, own_after = cpu_seconds(plan.pids), time.process_time()
            after = self.counts()
            for subscriber in self.subscribers:
                subscriber.latency = None
            self.phase("draining", ended, ended + DRAIN, sending=False)
        finally:
            gc.enable()
            gc.unfreeze()
        published, delivered, acknowledged = (late - early for late, early in zip(after, before, strict=True))
        refused: dict[int, int] = {}
        for publisher in self.publishers:
            for code, count in publisher.refused.items():
                refused[code] = refused.get(code, 0) + count
        return Result(
            plan=plan,
            window=self.window,
            seconds=ended - began,
            published=published,
            delivered=delivered,
            acknowledged=acknowledged,
            expected=sum(publisher.sent for publisher in self.publishers) * plan.receivers,
            received=sum(subscriber.received for subscriber in self.subscribers),
            unacknowledged=sum(p.sent - p.acknowledged for p in self.publishers) if plan.qos else 0,
            refused=refused,
            disordered=sum(publisher.disordered for publisher in self.publishers),
            stalls=self.stalls,
            latency=histogram,
            server_cpu=cpu_after - cpu_before if plan.pids else None,
            generator_cpu=own_after - own_before,
        )

    def counts(self) -> tuple[int, int, int]:
        """Messages sent, deliveries, acknowledgements so far."""
        return (
            sum(publisher.sent for publisher in self.publishers),
            sum(subscriber.received for subscriber in self.subscribers),
            sum(publisher.acknowledged for publisher in self.publishers),
        )

    def phase(self, name: str, start: float, stop: float, sending: bool) -> None:
        """Drive the loop until `stop`; without sending, only until everything has arrived."""
        paced = sending and self.plan.rate > 0
        if sending and not paced:
            for publisher in self.publishers:
                self.fire(publisher)
        next_ping = start + PING_EVERY
        told, told_count = start, self.counts()[1]
        progressed, seen = start, -1
        while True:
            now = time.monotonic()
            if now >= stop or (not sending and self.settled()):
                return
            if paced:
                self.pace(now)
            events = self.epoll.poll(self.patience(now, stop) if paced else 0.05)
            for fd, mask in events:
                self.serve(fd, mask)
            if self.ready:
                ready = self.ready[:]
                self.ready.clear()
                for publisher in ready:
                    publisher.waiting = False
                    if sending and not paced:
                        self.fire(publisher)
            if now - told >= PROGRESS_EVERY:
                count = self.counts()
                self.tell(name, (now - start) / (stop - start), (count[1] - told_count) / (now - told))
                told, told_count = now, count[1]
                if sum(count) != seen:
                    progressed, seen = now, sum(count)
                elif sending and now - progressed > STALL and not paced:
                    progressed = now
                    self.unblock()
                if now >= next_ping:
                    next_ping = now + PING_EVERY
                    for end in self.ends.values():
                        self.send(end, encode(Pingreq(), self.access.version))

    def serve(self, fd: int, mask: int) -> None:
        """One socket can be read or written."""
        end = self.ends[fd]
        link = end.link
        if mask & select.EPOLLOUT:
            link.flush()
            if not link.pending:
                self.writing.discard(fd)
                self.epoll.modify(fd, select.EPOLLIN)
                if isinstance(end, Publisher) and not end.waiting:
                    end.waiting = True
                    self.ready.append(end)
        if mask & ~select.EPOLLOUT:
            while True:
                rest = link.rest
                offset = len(rest)
                if offset:
                    self.buffer[:offset] = rest
                    if offset == len(self.buffer):
                        raise LinkLost(f"the server sent {link.name} a packet larger than {offset} octets")
                count = link.read(self.view[offset:])
                if count == 0:
                    return
                stop = offset + count
                done = end.take(self.buffer, stop, monotonic_ns() // 1000)
                link.rest = bytes(self.view[done:stop]) if done < stop else b""
                # The last acknowledgement may come after the last delivery: it opens the window too.
                if isinstance(end, Publisher) and end.qos and not end.waiting:
                    end.waiting = True
                    self.ready.append(end)
                if link.pending and fd not in self.writing:
                    self.watch(fd)
                if not link.more:
                    return

    def fire(self, publisher: Publisher) -> None:
        """Send all that the publisher's window permits."""
        link = publisher.link
        if link.pending:
            return
        room = publisher.room()
        if room > 0:
            publisher.fire(room, monotonic_ns() // 1000)
            if link.blocked():
                self.watch(link.fd)

    def watch(self, fd: int) -> None:
        """Have epoll tell when the socket takes octets again."""
        self.writing.add(fd)
        self.epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    def send(self, end: End, data: bytes) -> None:
        end.link.send(data)
        if end.link.pending and end.link.fd not in self.writing:
            self.watch(end.link.fd)

    def pace(self, now: float) -> None:
        """Send what the rate has made due, the publishers in turn."""
        rate = self.plan.rate
        due = int((now - self.schedule_from) * rate) - self.scheduled
        publishers = self.publishers
        passed = 0
        while due > 0 and passed < len(publishers):
            publisher = publishers[self.turn]
            self.turn = (self.turn + 1) % len(publishers)
            share = min(due // len(publishers) + 1, publisher.room())
            if share <= 0 or publisher.link.blocked():
                passed += 1
                continue
            # A message that had to wait for the server is as old as its place in the schedule: else a server that
            # stops for a second would show one late message, not a second's worth of them.
            planned = self.schedule_from + (self.scheduled + 1) / rate
            stamp = now if now - planned < LATE else planned
            publisher.fire(share, int(stamp * 1e6))
            if publisher.link.blocked():
                self.watch(publisher.link.fd)
            self.scheduled += share
            due -= share
            passed = 0

    def patience(self, now: float, stop: float) -> float:
        """How long the loop may sleep before the next message is due, in seconds."""
        due = self.schedule_from + (self.scheduled + 1) / self.plan.rate
        return max(0.001, min(due - now, stop - now, 0.05))

    def unblock(self) -> None:
        """Nothing moves although windows are full: what is missing was lost (QoS 0), so open the windows again."""
        self.stalls += 1
        for publisher in self.publishers:
            publisher.forgive()
            self.fire(publisher)

    def settled(self) -> bool:
        """Whether every message has arrived and been acknowledged."""
        if any(end.link.pending for end in self.ends.values()):
            return False
        sent, received, acknowledged = self.counts()
        return received >= sent * self.plan.receivers and (self.plan.qos == 0 or acknowledged >= sent)

    def last_words(self, error: LinkLost) -> LinkLost:
        """After a lost link: why, if the server said it in a DISCONNECT or by refusing messages."""
        for fd in self.ends:
            try:
                self.serve(fd, select.EPOLLIN)
            except Dismissed as said:
                return said
            except LinkLost:
                continue
        codes = {reason_name(code) for publisher in self.publishers for code in publisher.refused}
        return LinkLost(f"{error}; it had refused messages: {', '.join(sorted(codes))}") if codes else error

    def tell(self, phase: str, fraction: float, rate: float) -> None:
        if self.progress is not None:
            self.progress(phase, min(fraction, 1.0), rate)


def receive_maximum(connack: Connack) -> int:
    """How many QoS 1 and 2 messages the server takes at a time (MQTT 5.0 3.2.2.3.3)."""
    value = connack.properties.receive_maximum
    return 65_535 if value is None else value


def run(access: Access, plan: Plan, progress: Progress | None = None) -> Result:
    """Open, run and close. Raises OpeningFailed, LinkLost, NoSuchProcess."""
    engine = Engine(access, plan, progress)
    try:
        engine.open()
        return engine.run()
    except Dismissed:
        raise
    except LinkLost as error:
        raise engine.last_words(error) from None
    finally:
        engine.close()


__all__ = ["Engine", "OpeningFailed", "Progress", "receive_maximum", "run"]
