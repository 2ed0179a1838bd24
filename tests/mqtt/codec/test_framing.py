"""The stream is cut into packets wherever the reads end, and what waits is bounded."""

from __future__ import annotations

import tracemalloc

import pytest

from bridgehead.protocols.mqtt.codec.decode import (
    MAX_CACHED_TOPIC_LENGTH,
    MAX_CACHED_TOPICS,
    MAX_CONNECT_SIZE,
    Decoder,
)
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.fields import Limits
from bridgehead.protocols.mqtt.codec.packets import (
    Connect,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.wire.errors import PeerError
from tests.mqtt.codec.vectors import VECTORS


def decoder(version: int, maximum_packet_size: int = 1_000_000) -> Decoder:
    made = Decoder(maximum_packet_size, {})
    made.protocol_version = version
    return made


def publish(packets: list[Packet]) -> Publish:
    [packet] = packets
    assert isinstance(packet, Publish)
    return packet


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("from_server", [False, True])
def test_every_split_of_a_stream_gives_the_same_packets(version: int, from_server: bool) -> None:
    vectors = [
        vector
        for vector in VECTORS
        if version in vector.versions and vector.from_server == from_server and not isinstance(vector.packet, Connect)
    ]
    stream = b"".join([vector.octets for vector in vectors])
    expected = [vector.packet for vector in vectors]
    for cut in range(len(stream) + 1):
        made = Decoder(1_000_000, {}, from_server)
        made.protocol_version = version
        packets = made.feed(stream[:cut])
        assert made.held <= cut
        assert packets + made.feed(stream[cut:]) == expected
        assert made.held == 0


@pytest.mark.parametrize("length", [0, 1, 122, 123, 16_378, 16_379, 2_097_146, 2_097_147])
def test_remaining_length_at_each_of_its_sizes(length: int) -> None:
    payload = bytes(length)
    octets = encode(Publish("a/b", payload), 4)
    for chunk in (len(octets), 65_536, 999):
        made = decoder(4, len(octets))
        packets: list[Packet] = []
        for start in range(0, len(octets), chunk):
            packets += made.feed(octets[start : start + chunk])
        assert publish(packets).payload == payload
        assert publish(packets).frame == octets


@pytest.mark.parametrize("size", [100, 20_000, 3_000_000])
def test_a_packet_above_the_maximum_is_refused_when_its_length_is_read(size: int) -> None:
    octets = encode(Publish("a/b", bytes(size)), 5)
    assert publish(decoder(5, len(octets)).feed(octets)).payload_length == size
    made = decoder(5, len(octets) - 1)
    with pytest.raises(PeerError) as caught:
        made.feed(octets[:5])
    assert caught.value.code == 0x95
    assert str(len(octets)) in caught.value.text
    assert made.held == 0


def test_a_connect_gets_less_room_than_what_follows() -> None:
    connect = Connect(4, True, 0, "a", Will("t", bytes(60_000)), "u" * 60_000, bytes(60_000))
    made = Decoder(1_000_000, {})
    with pytest.raises(PeerError) as caught:
        made.feed(encode(connect, 4)[:4])
    assert caught.value.code == 0x95
    assert str(MAX_CONNECT_SIZE) in caught.value.text
    later = encode(Publish("t", bytes(200_000)), 4)
    roomy = Decoder(1_000_000, {}, maximum_connect_size=200_000)
    assert roomy.feed(encode(connect, 4) + later) == [connect, Publish("t", bytes(200_000))]


def test_what_is_held_is_bounded_by_the_maximum_packet_size() -> None:
    made = decoder(5, 1_000_000)
    octets = encode(Publish("a/b", bytes(999_000)), 5)
    tracemalloc.start()
    try:
        for start in range(0, len(octets) - 1, 4096):
            assert made.feed(octets[start : start + 4096]) == []
            assert made.held <= 1_000_000
            if start > 500_000:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_500_000


def test_a_long_packet_in_small_reads_is_not_joined_anew_each_time() -> None:
    made = decoder(4, 2_000_000)
    octets = encode(Publish("a/b", bytes(1_000_000)), 4)
    for position in range(0, len(octets) - 100, 100):
        made.feed(octets[position : position + 100])
    tail = octets[(len(octets) - 100) // 100 * 100 + 100 :] if len(octets) % 100 else octets[-100:]
    assert made.held + len(tail) == len(octets)
    assert publish(made.feed(tail)).payload_length == 1_000_000


def test_a_read_of_one_packet_is_not_copied() -> None:
    octets = encode(Publish("a/b", b"hello"), 4)
    assert publish(decoder(4).feed(octets)).frame is octets


def test_an_idle_connection_keeps_no_packets() -> None:
    made = decoder(4)
    octets = encode(Publish("a/b", b"hello"), 4)
    made.feed(octets * 100)
    assert made.packets == []
    assert made.held == 0


def test_publish_without_properties_has_the_shared_empty_ones() -> None:
    packet = publish(decoder(5).feed(b"\x30\x0b\x00\x03a/b\x00hello"))
    assert packet.properties is NO_PROPERTIES
    assert not packet.has_properties
    assert publish(decoder(5).feed(b"\x30\x08\x00\x03a/b\x02\x01\x01")).has_properties


def test_equal_topics_are_one_object_across_connections() -> None:
    topics: dict[bytes, str] = {}
    first, second = Decoder(1000, topics), Decoder(1000, topics)
    first.protocol_version = second.protocol_version = 4
    octets = encode(Publish("Office/Meetingroom/Temperature", b"1"), 4)
    names = [publish(made.feed(octets)).topic for made in (first, second, first, first, second)]
    assert all(name is names[0] for name in names)
    assert list(topics) == [b"Office/Meetingroom/Temperature"]


@pytest.mark.parametrize("version", [4, 5])
def test_publishes_that_begin_alike_or_nearly(version: int) -> None:
    """What the decoder remembers of the last PUBLISHes must not leak into the next."""
    packets: list[Packet] = [
        Publish("a/b", b"one"),
        Publish("a/b", b"two"),
        Publish("a/b", b"six"),
        Publish("a/b", b"three"),
        Publish("a/b", b"seven"),
        Publish("a/b", b"eight"),
        Publish("a/b/", b"even"),
        Publish("a/b", b"eight", 0, True),
        Publish("a/b", b"r", 1, False, False, 7),
        Publish("a/b", b"s", 1, False, False, 8),
        Publish("a/b", b"t", 1, False, False, 9),
        Publish("a/b", b"t", 1, False, True, 9),
        Publish("a/c", b"u", 2, False, False, 9),
        Publish("a/b", b"one"),
        Publish("a/b", b"one"),
    ]
    octets = b"".join([encode(packet, version) for packet in packets])
    assert decoder(version).feed(octets * 3) == packets * 3
    made = decoder(version)
    assert [packet for start in range(0, len(octets), 7) for packet in made.feed(octets[start : start + 7])] == packets


def test_a_remembered_beginning_does_not_hide_a_fault() -> None:
    good = encode(Publish("a/b", b"", 1, False, False, 7), 5)
    made = decoder(5)
    assert len(made.feed(good * 4)) == 4
    with pytest.raises(PeerError) as caught:
        made.feed(good[:-3] + b"\x00\x00\x00")
    assert caught.value.clause == "MQTT-2.2.1-3"


def test_the_topic_cache_is_bounded() -> None:
    topics: dict[bytes, str] = {}
    made = Decoder(1_000_000, topics)
    made.protocol_version = 4
    long_topic = "x" * (MAX_CACHED_TOPIC_LENGTH + 1)
    assert publish(made.feed(encode(Publish(long_topic, b""), 4))).topic == long_topic
    assert topics == {}
    for number in range(MAX_CACHED_TOPICS + 10):
        made.feed(encode(Publish(f"t/{number}", b""), 4))
        assert len(topics) <= MAX_CACHED_TOPICS
    assert 0 < len(topics) <= 10


def test_a_refused_topic_is_not_cached() -> None:
    topics: dict[bytes, str] = {}
    made = Decoder(1000, topics)
    made.protocol_version = 4
    with pytest.raises(PeerError):
        made.feed(b"\x30\x05\x00\x03a/#")
    assert topics == {}


@pytest.mark.parametrize("version", [4, 5])
def test_the_number_of_topic_filters_is_bounded(version: int) -> None:
    limits = Limits(topic_filters=3)
    for packet, refused in [
        (Subscribe(1, [SubscriptionRequest("a")] * 3), False),
        (Subscribe(1, [SubscriptionRequest("a")] * 4), True),
        (Unsubscribe(1, ["a"] * 3), False),
        (Unsubscribe(1, ["a"] * 4), True),
    ]:
        made = Decoder(1000, {}, limits=limits)
        made.protocol_version = version
        if refused:
            with pytest.raises(PeerError) as caught:
                made.feed(encode(packet, version))
            assert caught.value.code == 0x97
        else:
            assert made.feed(encode(packet, version)) == [packet]


def test_the_number_of_reason_codes_is_bounded() -> None:
    made = Decoder(1000, {}, True, limits=Limits(topic_filters=3))
    made.protocol_version = 5
    with pytest.raises(PeerError) as caught:
        made.feed(encode(Suback(1, [0] * 4), 5))
    assert caught.value.code == 0x97


@pytest.mark.parametrize(
    "properties",
    [Properties(user_properties=[("", "")] * 4), Properties(subscription_identifiers=[1, 2, 3, 4])],
)
def test_the_number_of_repeated_properties_is_bounded(properties: Properties) -> None:
    packet = Publish("t", b"", properties=properties)
    for limit, refused in [(3, True), (4, False)]:
        made = Decoder(1000, {}, True, limits=Limits(user_properties=limit))
        made.protocol_version = 5
        if refused:
            with pytest.raises(PeerError) as caught:
                made.feed(encode(packet, 5))
            assert caught.value.code == 0x97
        else:
            assert made.feed(encode(packet, 5)) == [packet]


def test_acknowledgements_in_full_and_short_form_mix() -> None:
    octets = b"\x40\x02\x00\x01\x40\x03\x00\x02\x10\x40\x02\x00\x03"
    assert decoder(5).feed(octets) == [Puback(1), Puback(2, 0x10), Puback(3)]
