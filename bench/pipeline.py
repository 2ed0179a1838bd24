"""What one message costs inside the hub, without sockets: from the octets of a read to the receivers' outboxes.

PYTHONPATH=build/compiled python -m bench.pipeline
"""

from __future__ import annotations

import time
from collections.abc import Callable

import bridgehead.core.message
from bridgehead.protocols.mqtt.codec.encode import ack, encode
from bridgehead.protocols.mqtt.codec.packets import Connect, Publish, Subscribe, SubscriptionRequest
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBREC, PUBREL
from bridgehead.protocols.mqtt.session.connection import Connection
from tests.mqtt.dialogue import Hub, ManualStore

PAYLOAD = b"x" * 64
ROUNDS = 300
BATCH = 700  # messages of a pair that come in one read
RECEIVERS = 100
PUBLISHERS = 200
IN_FLIGHT = 50


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


def measure(name: str, per_round: int, step: Callable[[], None]) -> None:
    step()
    began = time.process_time()
    for _ in range(ROUNDS):
        step()
    spent = time.process_time() - began
    count = ROUNDS * per_round
    print(f"{name:40s} {spent / count * 1e6:8.3f} us   {count / spent / 1e3:10.0f} k/s")


def pair() -> None:
    hub = Hub(ManualStore())
    Client(hub, "sub", 4, "pair/0")
    publisher = Client(hub, "pub", 4)
    batch = encode(Publish("pair/0", PAYLOAD), 4) * BATCH

    def step() -> None:
        publisher.connection.receive(batch)
        drain(hub)

    measure("pair, QoS 0", BATCH, step)


def fan_out() -> None:
    hub = Hub(ManualStore())
    for i in range(RECEIVERS):
        Client(hub, f"sub{i}", 4, "fan/out")
    publisher = Client(hub, "pub", 4)
    messages = 10
    batch = encode(Publish("fan/out", PAYLOAD), 4) * messages

    def step() -> None:
        publisher.connection.receive(batch)
        drain(hub)

    measure(f"fan-out to {RECEIVERS} (per delivery)", messages * RECEIVERS, step)


def trickle() -> None:
    hub = Hub(ManualStore())
    Client(hub, "sub", 4, "in/#")
    publishers = [Client(hub, f"p{i}", 4) for i in range(PUBLISHERS)]
    packets = [encode(Publish(f"in/{i}", PAYLOAD), 4) for i in range(PUBLISHERS)]

    def step() -> None:
        for client, data in zip(publishers, packets, strict=True):
            client.connection.receive(data)
        drain(hub)

    measure(f"trickle, {PUBLISHERS} publishers", PUBLISHERS, step)


def acknowledged(qos: int) -> None:
    hub = Hub(ManualStore())
    subscriber = Client(hub, "sub", 4, "pair/0", qos)
    publisher = Client(hub, "pub", 4)
    identifiers = range(1, IN_FLIGHT + 1)
    publishes = b"".join([encode(Publish("pair/0", PAYLOAD, qos, packet_id=i), 4) for i in identifiers])
    releases = b"".join([ack(PUBREL, i) for i in identifiers])
    delivered = 0

    def step() -> None:
        nonlocal delivered
        publisher.connection.receive(publishes)
        drain(hub)
        # The hub gives the deliveries their identifiers one after the other.
        ids = [(delivered + i) % 65535 + 1 for i in range(IN_FLIGHT)]
        delivered += IN_FLIGHT
        if qos == 1:
            subscriber.connection.receive(b"".join([ack(PUBACK, i) for i in ids]))
        else:
            publisher.connection.receive(releases)
            subscriber.connection.receive(b"".join([ack(PUBREC, i) for i in ids]))
            drain(hub)
            subscriber.connection.receive(b"".join([ack(PUBCOMP, i) for i in ids]))
        drain(hub)

    measure(f"pair, QoS {qos}, {IN_FLIGHT} in flight", IN_FLIGHT, step)


def main() -> None:
    print(bridgehead.core.message.__file__)
    pair()
    fan_out()
    trickle()
    acknowledged(1)
    acknowledged(2)


if __name__ == "__main__":
    main()
