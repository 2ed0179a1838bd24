"""`bridgehead bench` against Mosquitto, and the load generator's counting against the codec."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.mosquitto import Mosquitto
from bridgehead.cli.load.ends import Publisher, Subscriber
from bridgehead.cli.load.frames import FrameRing
from bridgehead.cli.load.histogram import Histogram
from bridgehead.cli.load.links import Dismissed, Link, LinkLost
from bridgehead.cli.load.plan import Plan, PlanError
from bridgehead.cli.load.processes import NoSuchProcess, cpu_seconds, resident_octets
from bridgehead.cli.load.websocket_link import WebSocketLink
from bridgehead.cli.main import run
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import ack, encode
from bridgehead.protocols.mqtt.codec.packets import Pingresp, Puback, Publish, Pubrec
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBREC, PUBREL

PASSWORD = "correct horse"
BUFFER = 65_536


# -- the command against an independent peer ------


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    folder = tmp_path_factory.mktemp("mosquitto")
    with Mosquitto(folder, {"loader": PASSWORD}, ["user loader", "topic readwrite bench/#"]) as running:
        (folder / "password").write_text(PASSWORD + "\n")
        yield running


def measure(broker: Mosquitto, url: str, *arguments: str) -> dict[str, object]:
    """The JSON of a short run."""
    access = ["--user", "loader", "--password-file", str(broker.folder / "password")]
    command = [sys.executable, "-m", "bridgehead", "bench", url, "--seconds", "0.3", "--warm-up", "0.1", "--json"]
    done = subprocess.run([*command, *access, *arguments], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.peer("mosquitto")
@pytest.mark.parametrize(
    ("scheme", "qos"), [("mqtt", "0"), ("mqtt", "1"), ("mqtt", "2"), ("mqtts", "1"), ("ws", "1"), ("unix", "0")]
)
def test_pairs_lose_nothing(broker: Mosquitto, scheme: str, qos: str) -> None:
    urls = {
        "mqtt": [f"mqtt://{broker.host}:{broker.port}"],
        "mqtts": [f"mqtts://{broker.host}:{broker.tls_port}", "--ca", str(broker.ca)],
        "ws": [f"ws://{broker.host}:{broker.websocket_port}/mqtt"],
        "unix": [f"mqtt+unix:{broker.socket_path}"],
    }
    result = measure(broker, *urls[scheme], "-p", "3", "-s", "3", "-q", qos, "--window", "40", "--pid", str(broker.pid))
    assert result["delivered"] != 0
    assert (result["lost"], result["unacknowledged"], result["refused"]) == (0, 0, {})
    assert result["out_of_order_acknowledgements"] == 0
    assert result["layout"] == "pairs"
    assert isinstance(result["server_cpu_seconds"], float)


@pytest.mark.peer("mosquitto")
@pytest.mark.parametrize(("publishers", "subscribers"), [(1, 20), (20, 1), (3, 4)])
def test_all_to_all_delivers_each_message_to_each_subscriber(
    broker: Mosquitto, publishers: int, subscribers: int
) -> None:
    url = f"mqtt://{broker.host}:{broker.port}"
    result = measure(broker, url, "-p", str(publishers), "-s", str(subscribers), "--window", "1", "--topics", "3")
    assert result["delivered"] != 0
    assert result["lost"] == 0
    assert result["layout"] == "all"


@pytest.mark.peer("mosquitto")
def test_a_rate_is_kept(broker: Mosquitto) -> None:
    url = f"mqtt://{broker.host}:{broker.port}"
    started = time.monotonic()
    result = measure(broker, url, "-p", "2", "-s", "2", "-q", "1", "--rate", "500", "-V", "4")
    assert result["lost"] == 0
    published = result["published"]
    assert isinstance(published, int)
    assert 0 < published <= 500 * (time.monotonic() - started)  # a late machine sends late, never ahead of the schedule


@pytest.mark.peer("mosquitto")
def test_what_is_not_permitted_fails(broker: Mosquitto, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"mqtt://{broker.host}:{broker.port}"
    access = ["--user", "loader", "--password-file", str(broker.folder / "password"), "--topic", "private"]
    assert run(["bench", url, *access, "--seconds", "0.2", "--warm-up", "0", "-q", "1"]) == 1
    assert "Not authorized" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--publishers", "0"], "publishers"),
        (["--size", "3"], "--size"),
        (["-p", "2", "-s", "3", "--layout", "pairs"], "--layout all"),
        (["--qos", "3"], "--qos"),
        (["--window", "0"], "--window"),
        (["--topic", "a/#"], "--topic"),
        (["--publishers", "many"], "--publishers"),
    ],
)
def test_wrong_options_are_one_sentence(arguments: list[str], remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "mqtt://127.0.0.1:1", *arguments]) == 2
    text = capsys.readouterr().err
    assert remedy in text
    assert text.count("\n") == 1


def test_a_server_that_is_not_there_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening
        assert run(["bench", f"mqtt://127.0.0.1:{unused.getsockname()[1]}", "--seconds", "0.1"]) == 1
    assert "Connection refused" in capsys.readouterr().err


def test_layouts_follow_from_the_numbers() -> None:
    assert Plan(publishers=3, subscribers=3).layout == "pairs"
    assert Plan(publishers=200, subscribers=1).layout == "all"
    with pytest.raises(PlanError):
        Plan(layout="ring")


# -- frames ------


class Tape(Link):
    """A link whose peer is the test."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        super().__init__(theirs, "tape")
        self.ours.setblocking(False)
        theirs.setblocking(False)

    def sent(self) -> bytes:
        try:
            return self.ours.recv(1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        super().close()
        self.ours.close()


@pytest.fixture
def tape() -> Iterator[Tape]:
    link = Tape()
    yield link
    link.close()


def decoded(octets: bytes, version: int) -> list[Publish]:
    decoder = Decoder(1 << 20, None, from_server=True)
    decoder.protocol_version = version
    packets = decoder.feed(octets)
    assert decoder.held == 0
    return [packet for packet in packets if isinstance(packet, Publish)]


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [6, 64, 300])
def test_a_ring_holds_what_the_codec_reads(version: int, qos: int, size: int) -> None:
    ring = FrameRing(version, ["a/1", "a/2"], size, qos, False, capacity=5, publisher=258)
    ring.stamp(0, 5, 7)
    octets = bytes(ring.stamp(1, 3, 0x1_0203_0405))
    packets = decoded(octets, version)
    assert [packet.topic for packet in packets] == ["a/2", "a/1", "a/2"]
    assert [packet.packet_id for packet in packets] == ([2, 3, 4] if qos else [0, 0, 0])
    assert {packet.payload[:6] for packet in packets} == {b"\x02\x03\x04\x05\x01\x02"}
    assert {len(packet.payload) for packet in packets} == {size}
    assert decoded(bytes(ring.stamp(0, 1, 9)), version)[0].payload[:4] == b"\0\0\0\x09"


def feed(end: Publisher | Subscriber, octets: bytes, cuts: list[int]) -> None:
    """Give the octets in pieces, as the engine does."""
    buffer = bytearray(BUFFER)
    start = 0
    for stop in [*sorted(cuts), len(octets)]:
        piece = end.link.rest + octets[start:stop]
        buffer[: len(piece)] = piece
        done = end.take(buffer, len(piece), 0)
        end.link.rest = piece[done:]
        start = stop
    assert end.link.rest == b""


@settings(deadline=None)
@given(data=st.data(), qos=st.sampled_from([0, 1, 2]), seed=st.integers(0, 1 << 30))
def test_a_subscriber_counts_and_answers_any_stream_however_it_is_cut(data: st.DataObject, qos: int, seed: int) -> None:
    chance = random.Random(seed)
    link = Tape()
    publishers = [Publisher(link, FrameRing(5, ["t"], 20, qos, False, 4, number), qos, 1, 1) for number in range(3)]
    ready: list[Publisher] = []
    subscriber = Subscriber(link, publishers, ready, 20)
    stream, answers, counts = b"", b"", [0, 0, 0]
    for packet_id in range(1, chance.randrange(2, 40)):
        kind = chance.randrange(8)
        if kind == 0:
            stream += encode(Pingresp(), 5)
        elif kind == 1:
            stream += ack(PUBREL, packet_id)
            answers += ack(PUBCOMP, packet_id)
        else:
            number = chance.randrange(3)
            counts[number] += 1
            payload = b"\0\0\0\0" + number.to_bytes(2, "big") + b"x" * 14
            properties = Properties(subscription_identifiers=[7]) if kind == 2 else Properties()
            topic = "longer/topic" if kind == 3 else "t"
            stream += encode(
                Publish(topic, payload, qos, kind == 4, qos > 0 and kind == 5, qos and packet_id, properties), 5
            )
            if qos:
                answers += ack(PUBACK if qos == 1 else PUBREC, packet_id)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    feed(subscriber, stream, cuts)
    assert [publisher.delivered for publisher in publishers] == counts
    assert subscriber.received == sum(counts)
    assert {publisher.ring.octets[publisher.ring.stamp_at + 5] for publisher in ready} == {
        number for number, count in enumerate(counts) if count
    }
    assert link.sent() == answers
    link.close()


@settings(deadline=None)
@given(data=st.data(), order=st.permutations(range(1, 13)))
def test_a_qos_1_window_opens_whatever_the_order_of_acknowledgements(data: st.DataObject, order: list[int]) -> None:
    link = Tape()
    publisher = Publisher(link, FrameRing(5, ["t"], 20, 1, False, 48, 0), 1, 12, 0)
    publisher.fire(12, 0)
    assert publisher.room() == 0
    stream = b"".join(encode(Puback(number, 0x10), 5) if number == 5 else ack(PUBACK, number) for number in order)
    feed(publisher, stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    assert publisher.room() == 12
    assert (publisher.disordered == 0) == (order == sorted(order))
    link.close()


@settings(deadline=None)
@given(data=st.data(), rounds=st.integers(1, 5))
def test_a_qos_2_publisher_releases_and_finishes(data: st.DataObject, rounds: int) -> None:
    link = Tape()
    publisher = Publisher(link, FrameRing(5, ["t"], 20, 2, False, 16, 0), 2, 4, 0)
    for _ in range(rounds):
        first = publisher.sent
        publisher.fire(publisher.room(), 0)
        ids = [number % 16 + 1 for number in range(first, publisher.sent)]
        link.sent()
        received = b"".join(ack(PUBREC, number) for number in ids)
        feed(publisher, received, data.draw(st.lists(st.integers(0, len(received)), max_size=3)))
        assert link.sent() == b"".join(ack(PUBREL, number) for number in ids)
        mixed = ack(PUBCOMP, ids[0]) + ack(PUBREC, ids[1]) + b"".join(ack(PUBCOMP, number) for number in ids[1:])
        feed(publisher, mixed, data.draw(st.lists(st.integers(0, len(mixed)), max_size=3)))
        assert link.sent() == ack(PUBREL, ids[1])
        assert publisher.room() == 4
    link.close()


def test_a_refused_qos_2_message_is_over_with_its_pubrec(tape: Tape) -> None:
    publisher = Publisher(tape, FrameRing(5, ["t"], 20, 2, False, 16, 0), 2, 4, 1)
    publisher.fire(1, 0)
    tape.sent()
    feed(publisher, encode(Pubrec(1, 0x87), 5), [])
    assert (publisher.refused, publisher.room(), tape.sent()) == ({0x87: 1}, 4, b"")


def test_a_disconnect_names_its_reason(tape: Tape) -> None:
    subscriber = Subscriber(tape, [], [], 20)
    with pytest.raises(Dismissed, match=r"Session taken over \(0x8E\)"):
        feed(subscriber, b"\xe0\x01\x8e", [])


@pytest.mark.parametrize("octets", [b"\x10\x00", b"\x30\xff\xff\xff\xff\x01"])
def test_what_has_no_place_ends_the_run(tape: Tape, octets: bytes) -> None:
    with pytest.raises(LinkLost):
        feed(Subscriber(tape, [], [], 20), octets, [])


# -- websocket ------


@settings(deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_websocket_frames_come_off_however_they_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    tape = Tape()
    link = WebSocketLink(tape)
    stream, wanted, pongs = b"", b"", b""
    for _ in range(chance.randrange(1, 6)):
        payload = chance.randbytes(chance.choice([0, 1, 125, 126, 300, 66_000]))
        if chance.randrange(4) == 0:
            ping = payload[:125]
            stream += bytes((0x89, len(ping))) + ping
            pongs += bytes((0x8A, 0x80 | len(ping))) + bytes(4) + ping
            continue
        length = len(payload)
        if length < 126:
            wide = bytes((length,))
        else:
            wide = b"\x7e" + length.to_bytes(2, "big") if length < 65_536 else b"\x7f" + length.to_bytes(8, "big")
        stream += b"\x82" + wide + payload
        wanted += payload
    got = b""
    view = memoryview(bytearray(1 << 19))
    while stream:
        cut = chance.randrange(1, len(stream) + 1) if chance.randrange(2) else min(len(stream), chance.randrange(1, 6))
        tape.ours.send(stream[:cut])
        stream = stream[cut:]
        got += bytes(view[: link.read(view)])
    assert got == wanted
    assert tape.sent() == pongs
    tape.close()


# -- figures ------


@settings(deadline=None)
@given(st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=200), st.sampled_from([50.0, 90.0, 99.0, 100.0]))
def test_a_percentile_is_within_two_percent(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(0, -(-len(values) * percent // 100).__floor__() - 1)]
    found = histogram.percentile(percent)
    assert found is not None
    assert found <= max(values)
    assert abs(found - exact) <= exact * 0.016 + 0.5


def test_weights_count_as_messages() -> None:
    histogram = Histogram()
    histogram.add(10, 99)
    histogram.add(1000, 1)
    assert (histogram.percentile(99), histogram.total, histogram.largest) == (10.0, 100, 1000)
    histogram.clear()
    assert histogram.percentile(50) is None


def test_a_process_family_is_measured_whole() -> None:
    loop = "import time\nwhile time.process_time() < 0.15: pass\nprint('done', flush=True)\ninput()"
    nested = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {loop!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "done\n"
        assert cpu_seconds([parent.pid]) >= 0.13
        assert resident_octets([parent.pid]) > resident_octets([os.getpid()]) / 100
        parent.communicate("\n")
    with pytest.raises(NoSuchProcess):
        cpu_seconds([parent.pid])


def test_time_is_the_same_clock_everywhere() -> None:
    # Stamps are made from monotonic_ns and, at a rate, from monotonic: they must agree.
    assert abs(time.monotonic() - time.monotonic_ns() / 1e9) < 1
