"""What one session may keep the hub holding for it, and what moving its queue costs."""

from __future__ import annotations

from collections import deque

from bridgehead.broker.limits import Limits
from bridgehead.core.session import Delivery, Session
from bridgehead.protocols.mqtt.codec.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

KIB = b"x" * 1024


class NoSearch(deque[Delivery]):
    """A queue in which nobody may look for an entry from the front."""

    def remove(self, value: Delivery) -> None:
        raise AssertionError("searched")


def limited(queue_octets: int, queue_messages: int = 1000) -> Hub:
    limits = Limits()
    limits.queue_octets = queue_octets
    limits.queue_messages = queue_messages
    return Hub(limits=limits)


def session_of(hub: Hub, name: str) -> Session:
    return hub.broker.sessions.of(name)[0]


def published(peer: Peer) -> list[Publish]:
    return [packet for packet in peer.get() if isinstance(packet, Publish)]


def test_who_reads_and_never_acknowledges_does_not_hold_a_thousand_large_messages() -> None:
    """Receive Maximum counts messages: 1,000 of 1 MiB are 1 GiB for one session."""
    hub = limited(10 * 1024)
    office = hub.client("office")
    office.subscribe("t", 1)
    sensor = hub.client("sensor")
    for _ in range(100):
        sensor.publish("t", KIB, qos=1)
    session = session_of(hub, "office")
    assert session.octets_in_flight + session.queued_octets <= 22 * 1024
    got = published(office)
    assert 10 <= len(got) <= 11
    while got:
        office.send(*[Puback(packet.packet_id) for packet in got])
        got = published(office)
    assert session.octets_in_flight == session.queued_octets == 0
    sensor.publish("t", KIB, qos=1)
    assert len(published(office)) == 1


def test_octets_in_flight_are_settled_by_every_end_of_a_delivery() -> None:
    hub = limited(100 * 1024)
    office = hub.durable("office")
    office.subscribe("t", 2)
    sensor = hub.client("sensor")
    for i in range(6):
        sensor.publish("t", KIB, qos=2, packet_id=i + 1)
    session = session_of(hub, "office")
    first, second, third, *_ = published(office)
    office.send(Pubrec(first.packet_id), Pubcomp(first.packet_id))
    office.send(Pubrec(second.packet_id, 0x87))
    office.send(Pubrec(third.packet_id))
    office.drop()
    weight = next(iter(session.in_flight.values())).message.weight
    assert session.octets_in_flight == weight
    assert session.queued_octets == 3 * weight
    after = hub.crash()
    again = session_of(after, "office")
    assert again.octets_in_flight > 1024
    office = after.durable("office")
    for packet in office.get():
        if isinstance(packet, Publish):
            office.send(Pubrec(packet.packet_id), Pubcomp(packet.packet_id))
        elif isinstance(packet, Pubrel):
            office.send(Pubcomp(packet.packet_id))
    assert again.octets_in_flight == again.queued_octets == 0


def test_properties_count_as_much_as_a_payload() -> None:
    """Else a queue of "empty" messages, or of retained ones, holds a thousand times what it may."""
    hub = limited(64 * 1024)
    office = hub.durable("office")
    office.subscribe("t", 1)
    office.drop()
    sensor = hub.client("sensor")
    heavy = Properties(user_properties=[("a", "b")] * 500, correlation_data=KIB)
    for _ in range(50):
        sensor.publish("t", b"", qos=1, properties=heavy)
    assert session_of(hub, "office").waiting() == 1
    hub.limits.retained_octets = 64 * 1024
    for i in range(50):
        sensor.publish(f"r/{i}", b"1", qos=1, retain=True, properties=heavy)
    assert len(hub.broker.retained) == 0


def test_moving_a_group_s_messages_does_not_look_through_the_queue_for_each() -> None:
    """Behind thousands of others of its own, thousands that another member is to have."""
    hub = limited(1 << 30, 100_000)
    away = hub.client("away", expiry=1000)
    away.subscribe("own", 1)
    away.subscribe("$share/g/shared", 1)
    away.drop()
    sensor = hub.client("sensor")
    for topic in ["own", "shared"]:
        for _ in range(3_000):
            sensor.publish(topic, b"x", qos=1)
    session = session_of(hub, "away")
    assert session.queue is not None
    session.queue = NoSearch(session.queue)
    office = hub.client("office")
    office.subscribe("$share/g/shared", 1)
    got = 0
    while messages := office.messages():
        got += len(messages)
    assert got == 3_000
    assert session.waiting() == 3_000
    assert session.queued_octets == sum(delivery.message.weight for delivery in session.queue or ())


def test_what_is_kept_for_an_absent_member_is_not_dropped_because_another_s_queue_is_full() -> None:
    hub = limited(1 << 20, 10)
    away = hub.durable("away")
    away.subscribe("$share/g/shared", 1)
    away.drop()
    sensor = hub.client("sensor")
    for i in range(10):
        sensor.publish("shared", b"%d" % i, qos=1)
    other = hub.client("other", properties=Properties(receive_maximum=1))
    other.subscribe("own", 1)
    for _ in range(8):
        sensor.publish("own", qos=1)
    other.get()  # one, and it does not acknowledge it
    before = hub.broker.counters.dropped_queue_full
    other.subscribe("$share/g/shared", 1, packet_id=2)
    assert hub.broker.counters.dropped_queue_full == before
    waiting = session_of(hub, "away").waiting() + session_of(hub, "other").waiting()
    assert waiting == 10 + 7
