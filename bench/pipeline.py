"""What one message costs inside the hub, without sockets: from the octets of a read to the receivers' outboxes.

    PYTHONPATH=build/compiled python bench/pipeline.py
"""

from __future__ import annotations

import time

import sys
from pathlib import Path

import bridgehead.core.message
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridgehead.protocols.mqtt.codec.encode import ack, encode
from bridgehead.protocols.mqtt.codec.packets import Connect, Publish, Subscribe, SubscriptionRequest
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBREC, PUBREL
from bridgehead.protocols.mqtt.session.connection import Connection
from tests.mqtt.dialogue import Hub, ManualStore

PAYLOAD = b"x" * 64


class Client:
    def __init__(self, hub: Hub, name: str, version: int = 4, topic_filter: str = "", qos: int = 0) -> None:
        self.peer = hub.peer(name, version)
        self.peer.send_octets(encode(Connect(version, True, 0, name, None, "u", b"p"), version))
        if topic_filter:
            self.peer.send_octets(encode(Subscribe(1, [SubscriptionRequest(topic_filter, qos)]), version))
        self.connection: Connection = self.peer.connection


def drain(hub: Hub) -> None:
    for outbox in hub.turn.take():
        outbox.take()


def measure(name: str, hub: Hub, rounds: int, per_round: int, step) -> None:  # type: ignore[no-untyped-def]
    step()
    began = time.process_time()
    for _ in range(rounds):
        step()
    spent = time.process_time() - began
    count = rounds * per_round
    print(f"{name:40s} {spent / count * 1e6:8.3f} us   {count / spent / 1e3:10.0f} k/s")


def main() -> None:
    print(bridgehead.core.message.__file__)
    hub = Hub(ManualStore())
    Client(hub, "sub", 4, "pair/0")
    publisher = Client(hub, "pub", 4)
    batch = encode(Publish("pair/0", PAYLOAD), 4) * 700

    def pair() -> None:
        publisher.connection.receive(batch)
        drain(hub)

    measure("pair, QoS 0", hub, 300, 700, pair)

    hub = Hub(ManualStore())
    for i in range(100):
        Client(hub, f"sub{i}", 4, "fan/out")
    publisher = Client(hub, "pub", 4)
    single = encode(Publish("fan/out", PAYLOAD), 4) * 10

    def fan() -> None:
        publisher.connection.receive(single)
        drain(hub)

    measure("fan-out to 100 (per delivery)", hub, 300, 1000, fan)

    hub = Hub(ManualStore())
    Client(hub, "sub", 4, "in/#")
    publishers = [Client(hub, f"p{i}", 4) for i in range(200)]
    one = [encode(Publish(f"in/{i}", PAYLOAD), 4) for i in range(200)]

    def trickle() -> None:
        for client, data in zip(publishers, one, strict=True):
            client.connection.receive(data)
        drain(hub)

    measure("trickle, 200 publishers", hub, 300, 200, trickle)

    for qos in (1, 2):
        hub = Hub(ManualStore())
        subscriber = Client(hub, "sub", 4, "pair/0", qos)
        publisher = Client(hub, "pub", 4)
        n = 50
        publishes = b"".join([encode(Publish("pair/0", PAYLOAD, qos, packet_id=i + 1), 4) for i in range(n)])
        releases = b"".join([ack(PUBREL, i + 1) for i in range(n)])
        sequence = [0]

        def acknowledged(qos: int = qos, n: int = n) -> None:
            publisher.connection.receive(publishes)
            drain(hub)
            ids = [(sequence[0] + i) % 65535 + 1 for i in range(n)]
            sequence[0] += n
            if qos == 1:
                subscriber.connection.receive(b"".join([ack(PUBACK, i) for i in ids]))
            else:
                publisher.connection.receive(releases)
                subscriber.connection.receive(b"".join([ack(PUBREC, i) for i in ids]))
                drain(hub)
                subscriber.connection.receive(b"".join([ack(PUBCOMP, i) for i in ids]))
            drain(hub)

        measure(f"pair, QoS {qos}, 50 in flight", hub, 300, n, acknowledged)


main()
