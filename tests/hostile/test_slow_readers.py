"""Clients of the real hub that take nothing: memory bounded, others undisturbed, reported once when it begins."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Pingreq, Publish, Subscribe, SubscriptionRequest
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from tests.hostile.field import MIB, SLACK, Witness, bounded
from tests.hostile.test_patience import UPGRADE
from tests.peers.raw import Raw
from tests.peers.town import Town, may_both

pytestmark = pytest.mark.timeout(180)

OUTBOX: Final = MIB // 2
QUEUE: Final = 1000
MORE = f"""
[limits]
outbox_bytes = {OUTBOX}
packet_size = {OUTBOX}
queue_messages = {QUEUE}
[system_topics]
interval = 0
"""
PAYLOAD: Final = bytes(20_000)
MESSAGES: Final = 3000  # 60 MB for each reader
ENOUGH: Final = 60 * MIB


@pytest.fixture(scope="module")
def flood(town: Town) -> Iterator[Raw]:
    town.add("flood", may_both("flood/#"))
    raw = town.client("flood")
    yield raw
    raw.close()


def publish(raw: Raw, witness: Witness, count: int, qos: int) -> None:
    """Numbered messages, some in flight at a time; the witness goes on between them."""
    for begin in range(0, count, 100):
        packets = []
        for number in range(begin, begin + 100):
            identifier = raw.next_identifier() if qos else 0
            payload = number.to_bytes(8, "big") + PAYLOAD
            packets.append(Publish("flood/a", payload, qos, False, False, identifier, NO_PROPERTIES))
        raw.send(*packets)
        for _ in range(100 if qos else 0):
            raw.receive()
        witness.beat()
    raw.ping()


def test_qos_0_to_one_that_never_reads_is_dropped_and_reported_at_once(
    town: Town, witness: Witness, flood: Raw
) -> None:
    town.add("deaf", may_both("flood/#"))
    readers = [town.client("deaf", f"deaf-{number}", version=4 + number % 2) for number in range(4)]
    for reader in readers:
        assert reader.subscribe("flood/#", 0) == 0
    with bounded(town, len(readers) * (OUTBOX + MIB) + SLACK):
        publish(flood, witness, MESSAGES, 0)
        lines = town.hub.events("outbox.full")
        assert {line["client_id"] for line in lines} == {f"deaf-{number}" for number in range(4)}
        assert {line["principal"] for line in lines} == {"deaf"}
        assert len(lines) == 4
    numbers = []
    readers[0].send(Pingreq())
    while isinstance(packet := readers[0].receive(), Publish):
        numbers.append(int.from_bytes(packet.payload[:8], "big"))
    assert numbers == sorted(set(numbers))
    assert 0 < len(numbers) < MESSAGES
    drained = town.hub.await_event("outbox.drained")
    assert drained["client_id"] == "deaf-0"
    assert int(str(drained["dropped"])) == MESSAGES - len(numbers)
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("qos", [1, 2])
def test_qos_1_and_2_wait_up_to_the_ceiling(town: Town, witness: Witness, flood: Raw, qos: int) -> None:
    name = f"dozing-{qos}"
    town.add(name, may_both("flood/#"))
    reader = town.client(name)
    assert reader.subscribe("flood/#", qos) == qos
    with bounded(town, OUTBOX + 3 * QUEUE * len(PAYLOAD) + SLACK):
        publish(flood, witness, MESSAGES, 1)
    (line,) = [line for line in town.hub.events("queue.full") if line["principal"] == name]
    assert line["client_id"] == name
    assert [int.from_bytes(reader.message().payload[:8], "big") for _ in range(QUEUE)] == list(range(QUEUE))
    reader.close()


def deluge(sock: socket.socket, octets: bytes, sent: list[int]) -> None:
    """Send again and again until the hub reads no more for a second, or closes, or has read ENOUGH."""
    sock.settimeout(1.0)
    try:
        while sent[0] <= ENOUGH:
            sent[0] += sock.send(octets)
    except (TimeoutError, ConnectionError):
        return


@pytest.mark.parametrize("what", [pytest.param("PINGREQ", marks=pytest.mark.slow), "SUBSCRIBE", "WebSocket PING"])
def test_who_asks_without_end_and_takes_no_answer_is_read_no_more(town: Town, witness: Witness, what: str) -> None:
    """Answers cannot be dropped, so whoever does not take them is not heard until he does. Of WebSocket's Pongs only
    the last one need be sent (RFC 6455 5.5.3), so there he may be heard for ever."""
    if what == "WebSocket PING":
        raw = town.raw("ws")
        raw.send_octets(UPGRADE)
        octets = (b"\x89\xfd" + bytes(4) + bytes(125)) * 500
    else:
        name = f"beggar-{what}"
        town.add(name, may_both("beg/#"))
        raw = town.client(name)
        # The SUBSCRIBE is one that is refused: the Reason String makes the answer larger than the question.
        request = Subscribe(1, [SubscriptionRequest("x", 0)], NO_PROPERTIES)
        octets = encode(Pingreq(), 5) * 5000 if what == "PINGREQ" else encode(request, 5) * 1000
    raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the system takes little in its place
    sent = [0]
    with bounded(town, 2 * OUTBOX + 2 * SLACK):  # one read of PINGREQs is tens of thousands of packets
        thread = threading.Thread(target=deluge, args=(raw.sock, octets, sent))
        thread.start()
        while thread.is_alive():
            witness.beat()
        thread.join()
    assert sent[0]
    raw.close()
    witness.beat()
