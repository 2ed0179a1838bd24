"""What `make bench` measures of CoAP: requests beside libcoap and aiocoap, handshakes, observers, idle peers."""

from __future__ import annotations

import multiprocessing
import os
import select
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from bench import coap_peers
from bench.claims import Claim
from bench.coap_dtls import SecuredLane
from bench.coap_hub import DEVICE, SEGMENTS, TOPIC, CoapHub
from bench.coap_load import Lane, Load, request
from bench.coap_peers import CoapPeer, cpu_seconds
from bridgehead.cli.load.processes import resident_octets
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import NON, Message, in_order
from bridgehead.protocols.mqtt.codec.packets import Publish
from bridgehead.transport.dtls.contract import DtlsIdentity

GET, HANDSHAKES, OBSERVERS, PEERS = "coap-get", "coap-handshakes", "coap-observers", "coap-peers"
MEASUREMENTS: Final = {
    GET: "CoAP: CON GET beside libcoap and aiocoap, plain and over DTLS",
    HANDSHAKES: "CoAP: DTLS handshakes by each kind of proof, and what others wait meanwhile",
    OBSERVERS: "CoAP: one MQTT publisher, 1,000 observers",
    PEERS: "CoAP: memory of idle DTLS peers",
}
PAYLOAD: Final = b"x" * 64
LANES, WINDOW = 10, 16
KEY: Final = b"0123456789abcdef"
RATIOS: Final = {"libcoap": 1.0, "aiocoap": 25.0, "libcoap-dtls": 0.7}
RATES: Final = {"psk": 2500.0, "rpk": 1000.0, "certificate": 600.0}
OTHERS_LIMIT: Final = 20.0  # ms
NOTIFICATIONS: Final = {False: 60_000.0, True: 30_000.0}
OBSERVER_COUNT: Final = 1000
PEER_LIMIT: Final = 8 * 1024  # octets
TOGETHER: Final = 10
_PATIENCE: Final = 30.0
Say = Callable[[str], None]


def rate(lanes: Sequence[Lane], pid: int, seconds: float, warm_up: float) -> float:
    """Answers per second of the server's CPU. RuntimeError when it refuses."""
    load = Load(lanes, WINDOW)
    try:
        load.run(warm_up)
        answered, spent = load.answered, cpu_seconds(pid)
        load.run(seconds)
        found = (load.answered - answered) / (cpu_seconds(pid) - spent)
        if load.refused > load.answered // 100:
            raise RuntimeError(f"{load.refused} of {load.answered} requests were not answered by a success")
        return found
    finally:
        load.close()


def gets(folder: Path, core: int | None, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    """The servers run at the same time and are asked in turns."""
    ours: dict[str, list[float]] = {"plain": [], "dtls": []}
    theirs: dict[str, list[float]] = {"libcoap": [], "aiocoap": [], "libcoap-dtls": []}
    hub = CoapHub(folder / "hub", PAYLOAD, core)
    (folder / "peers").mkdir()
    peers: list[CoapPeer] = []
    try:
        peers.append(coap_peers.libcoap(PAYLOAD, core, folder / "peers", KEY))
        peers.append(coap_peers.aiocoap(PAYLOAD, core, folder / "peers"))
        libcoap, aiocoap = peers
        asked = request([coap_peers.RESOURCE])
        secured = DtlsIdentity(psk_identity=coap_peers.PSK_IDENTITY.encode(), psk_key=KEY)
        for _ in range(pairs):
            lanes = [Lane(libcoap.port, codes.GET, asked) for _ in range(LANES)]
            theirs["libcoap"].append(rate(lanes, libcoap.pid, seconds, warm_up))
            ours["plain"].append(rate(hub.lanes(LANES), hub.pid, seconds, warm_up))
            lanes = [Lane(aiocoap.port, codes.GET, asked) for _ in range(LANES)]
            theirs["aiocoap"].append(rate(lanes, aiocoap.pid, seconds, warm_up))
            sealed = [SecuredLane(libcoap.port + 1, codes.GET, asked, secured) for _ in range(LANES)]
            for lane in sealed:
                lane.connect()
            theirs["libcoap-dtls"].append(rate(sealed, libcoap.pid, seconds, warm_up))
            ours["dtls"].append(rate(hub.secured_lanes(LANES), hub.pid, seconds, warm_up))
            for name, found in (*theirs.items(), *ours.items()):
                say(f"{name:<14} {found[-1]:>10,.0f} per CPU second")
    finally:
        hub.stop()
        for peer in peers:
            peer.stop()
    titles = {
        "libcoap": "CON GET on plain UDP, libcoap's coap-server = 1",
        "aiocoap": "CON GET on plain UDP, aiocoap's server = 1",
        "libcoap-dtls": "CON GET over DTLS-PSK (CCM_8), libcoap's coap-server = 1",
    }
    claims: list[Claim] = []
    for name, title in titles.items():
        base = statistics.median(theirs[name])
        own = statistics.median(ours["dtls" if name.endswith("dtls") else "plain"])
        note = f"{own:,.0f} against {base:,.0f} per CPU second"
        claims.append(Claim(f"{GET}-{name}", title, own / base, RATIOS[name], "", True, note))
    return claims


# Handshakes. ------------------------------------------------------------------------------------------


def _shake(port: int, identity: DtlsIdentity, count: int) -> None:
    """So many complete handshakes, TOGETHER at a time: each flight of them comes at once, as after a power cut."""
    for _ in range(0, count, TOGETHER):
        lanes = [SecuredLane(port, codes.GET, request(SEGMENTS), identity) for _ in range(TOGETHER)]
        for lane in lanes:
            lane.begin()
        for lane in lanes:
            lane.flush()
        waiting = lanes
        deadline = time.monotonic() + _PATIENCE
        while waiting:
            select.select([lane.socket for lane in waiting], [], [], 0.1)
            under_way = [lane for lane in waiting if not lane.go_on()]
            for lane in waiting:
                lane.flush()
            waiting = under_way
            if time.monotonic() > deadline:
                raise RuntimeError("handshakes were not completed in time")
        for lane in lanes:
            lane.close()


def _storm(port: int, identity: DtlsIdentity, told: Connection) -> None:
    """Handshakes until somebody says stop; run as a process of its own."""
    os.nice(5)  # it shares its core with who measures what others wait
    count = 0
    while not told.poll():
        _shake(port, identity, 10)
        count += 10
    told.send(count)


def _waits(lane: Lane, seconds: float) -> list[float]:
    """Milliseconds from a request to its answer, every few milliseconds."""
    found: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        lane.ask(1)
        if not select.select([lane.socket], [], [], 2.0)[0]:
            raise RuntimeError("a request was not answered")
        lane.take()
        found.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.003)
    return found


def handshakes(folder: Path, core: int | None, quick: bool, say: Say) -> list[Claim]:
    rounds, count, seconds = (1, 100, 2.0) if quick else (3, 1000, 6.0)
    hub = CoapHub(folder, PAYLOAD, core)
    claims: list[Claim] = []
    try:
        kinds = {"psk": hub.psk, "rpk": hub.raw_key(), "certificate": hub.certificate}
        lane = hub.lanes(1)[0]
        quiet = sorted(_waits(lane, seconds))
        for kind, identity in kinds.items():
            _shake(hub.secured_port, identity, 20)
            found: list[float] = []
            for _ in range(rounds):
                before = cpu_seconds(hub.pid)
                _shake(hub.secured_port, identity, count)
                found.append(count / (cpu_seconds(hub.pid) - before))
                say(f"{kind:<12} {found[-1]:>8,.0f} handshakes per CPU second")
            title = f"DTLS handshakes by {kind} per CPU second"
            note = (
                f"{rounds} times {count:,}, {TOGETHER} at a time, no resumption; {min(found):,.0f} to {max(found):,.0f}"
            )
            value = statistics.median(found)
            claims.append(Claim(f"{HANDSHAKES}-{kind}", title, value, RATES[kind], "", True, note))
        for kind, identity in kinds.items():
            here, there = multiprocessing.Pipe()
            context = multiprocessing.get_context("fork")
            storm = context.Process(target=_storm, args=(hub.secured_port, identity, there))
            storm.start()
            time.sleep(0.5)
            waits = sorted(_waits(lane, seconds))
            here.send("stop")
            made = here.recv()
            storm.join()
            note = (
                f"{made / (seconds + 0.5):.0f} of them a second; p50 {percentile(waits, 0.5):.2f} ms; "
                f"without p50 {percentile(quiet, 0.5):.2f}, p99 {percentile(quiet, 0.99):.2f} ms"
            )
            value = percentile(waits, 0.99) - percentile(quiet, 0.99)
            title = f"What handshakes by {kind} add to a GET's p99"
            claims.append(Claim(f"{HANDSHAKES}-others-{kind}", title, value, OTHERS_LIMIT, "ms", False, note))
    finally:
        hub.stop()
    return claims


def percentile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


# Observers. -------------------------------------------------------------------------------------------


def _register(number: int) -> bytes:
    """A NON GET with Observe and a token."""
    options = in_order([(numbers.OBSERVE, b""), *((numbers.URI_PATH, segment.encode()) for segment in SEGMENTS)])
    return encode(Message(codes.GET, options, b"", number.to_bytes(2, "big"), NON, number & 0xFFFF))


class Observers:
    """`lanes` observe the topic; `count` is what they were told."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes: Final = lanes
        self.count = 0
        self._poll: Final = select.epoll()
        self._by_fd: Final = {lane.socket.fileno(): lane for lane in lanes}
        for fd in self._by_fd:
            self._poll.register(fd, select.EPOLLIN)
        for number, lane in enumerate(lanes):
            lane.send(_register(number))
        self.await_count(len(lanes))

    def await_count(self, wanted: int) -> None:
        """RuntimeError when they don't come."""
        deadline = time.monotonic() + _PATIENCE
        while self.count < wanted:
            for fd, _ in self._poll.poll(0.5, len(self.lanes)):
                self.count += len(self._by_fd[fd].calls.receive())
            if time.monotonic() > deadline:
                raise RuntimeError(f"{wanted - self.count} notifications of {wanted} did not come")

    def close(self) -> None:
        self._poll.close()
        for lane in self.lanes:
            lane.close()


def observers(folder: Path, core: int | None, quick: bool, say: Say) -> list[Claim]:
    count, messages = (200, 20) if quick else (OBSERVER_COUNT, 100)
    claims: list[Claim] = []
    hub = CoapHub(folder, PAYLOAD, core)
    publisher = hub.publisher()
    try:
        for secured in (False, True):
            watching = Observers(hub.secured_lanes(count) if secured else hub.lanes(count))
            wanted = watching.count
            before = 0.0
            for number in range(messages + 5):
                if number == 5:  # what is made once has been made
                    before = cpu_seconds(hub.pid)
                publisher.send(Publish(TOPIC, PAYLOAD, 0))
                wanted += count
                watching.await_count(wanted)
            value = count * messages / (cpu_seconds(hub.pid) - before)
            watching.close()
            kind = "over DTLS" if secured else "plain"
            say(f"{kind:<10} {value:>10,.0f} notifications per CPU second")
            key = f"{OBSERVERS}-{'dtls' if secured else 'plain'}"
            title = f"NON notifications per CPU second, {kind}"
            note = f"an MQTT publisher, {count:,} observers, {messages} messages"
            claims.append(Claim(key, title, value, NOTIFICATIONS[secured], "", True, note))
    finally:
        publisher.sock.close()
        hub.stop()
    return claims


# Memory. ----------------------------------------------------------------------------------------------


def peers(folder: Path, core: int | None, quick: bool, say: Say) -> list[Claim]:
    """The clients' sockets are closed after the handshake without a word: the hub holds their sessions."""
    count = 1000 if quick else 20_000
    hub = CoapHub(folder, PAYLOAD, core)
    try:
        for _ in range(50):
            _hold(hub, 0)
        before = resident_octets([hub.pid])
        for number in range(count):
            _hold(hub, number)
            if number % 1000 == 999:
                say(f"{number + 1:,} peers")
        time.sleep(1.0)
        each = (resident_octets([hub.pid]) - before) / count
        last = hub.secured_lanes(1)[0]  # it goes on serving
        last.ask(1)
        if not select.select([last.socket], [], [], 5.0)[0]:
            raise RuntimeError("with all these peers the hub does not answer any more")
        last.close()
    finally:
        hub.stop()
    note = f"{count:,} of them, as {DEVICE!r}, known to the broker so that a revocation finds them"
    return [Claim(PEERS, "Memory per idle DTLS peer", each, PEER_LIMIT, "octets", False, note)]


def _hold(hub: CoapHub, number: int) -> None:
    source = f"127.0.{1 + number // 200 % 250}.{1 + number % 200}"
    lane = SecuredLane(hub.secured_port, codes.GET, request(SEGMENTS), hub.psk, source)
    lane.connect()
    lane.close()
