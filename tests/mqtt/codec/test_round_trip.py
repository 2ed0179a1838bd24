"""What is encoded decodes to the same, however the stream is cut; and whatever comes, only PeerError is raised."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Packet
from bridgehead.protocols.mqtt.codec.reason_codes import REASON_CODES
from bridgehead.wire.errors import PeerError
from tests.mqtt.codec import strategies
from tests.mqtt.codec.vectors import VECTORS, Vector

versions = st.sampled_from([3, 4, 5])


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:end] for start, end in pairwise(bounds)]


def decode_all(octets: bytes, places: list[int], version: int, from_server: bool) -> list[Packet]:
    decoder = Decoder(1_000_000, {}, from_server)
    decoder.protocol_version = version
    packets: list[Packet] = []
    for part in cut(octets, places):
        packets += decoder.feed(part)
    assert decoder.held == 0
    return packets


@given(data=st.data(), version=versions, places=st.lists(st.integers(0, 10_000), max_size=4))
def test_packets_of_a_client(data: st.DataObject, version: int, places: list[int]) -> None:
    connect = data.draw(strategies.connects(version))
    packets = data.draw(st.lists(strategies.from_client(version), max_size=4))
    octets = b"".join([encode(packet, version) for packet in [connect, *packets]])
    assert decode_all(octets, places, 0, False) == [connect, *packets]


@given(data=st.data(), version=versions, places=st.lists(st.integers(0, 10_000), max_size=4))
def test_packets_of_a_server(data: st.DataObject, version: int, places: list[int]) -> None:
    packets = data.draw(st.lists(strategies.from_server(version), max_size=4))
    octets = b"".join([encode(packet, version) for packet in packets])
    assert decode_all(octets, places, version, True) == packets


def fault_of(octets: bytes, places: list[int], version: int, from_server: bool) -> PeerError | None:
    decoder = Decoder(100_000, {}, from_server)
    decoder.protocol_version = version
    try:
        for part in cut(octets, places):
            for packet in decoder.feed(part):
                assert repr(packet)
    except PeerError as fault:
        return fault
    return None


def feed_anything(octets: bytes, places: list[int], version: int, from_server: bool) -> None:
    """Nothing but a PeerError comes out, with a code that a packet may carry, and a sentence."""
    fault = fault_of(octets, places, version, from_server)
    if fault is not None:
        assert fault.code in REASON_CODES
        assert fault.code >= 0x80
        assert str(fault).startswith(fault.text)


@given(
    octets=st.binary(max_size=300),
    places=st.lists(st.integers(0, 300), max_size=3),
    version=st.sampled_from([0, 3, 4, 5]),
    from_server=st.booleans(),
)
def test_random_octets_raise_peer_errors_only(
    octets: bytes, places: list[int], version: int, from_server: bool
) -> None:
    feed_anything(octets, places, version, from_server)


@given(
    vector=st.sampled_from(VECTORS),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4),
    extra=st.binary(max_size=6),
    drop=st.integers(0, 6),
    version=st.sampled_from([0, 3, 4, 5]),
    from_server=st.booleans(),
)
def test_mutated_packets_raise_peer_errors_only(
    vector: Vector, changes: list[tuple[int, int]], extra: bytes, drop: int, version: int, from_server: bool
) -> None:
    octets = bytearray(vector.octets)
    for place, value in changes:
        octets[place % len(octets)] = value
    feed_anything(bytes(octets[: len(octets) - drop]) + extra, [], version, from_server)


@given(
    body=st.binary(max_size=60),
    first=st.integers(0, 255),
    version=st.sampled_from([0, 3, 4, 5]),
    from_server=st.booleans(),
)
def test_random_bodies_raise_peer_errors_only(body: bytes, first: int, version: int, from_server: bool) -> None:
    feed_anything(bytes([first, len(body)]) + body, [], version, from_server)


@given(data=st.data(), version=versions)
def test_what_decodes_encodes_to_what_decodes_alike(data: st.DataObject, version: int) -> None:
    """Decoding octets that a stranger made and encoding them again loses nothing."""
    vectors = [vector for vector in VECTORS if version in vector.versions and vector.name[:7] != "connect"]
    vector = data.draw(st.sampled_from(vectors))
    octets = bytearray(vector.octets)
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    decoder = Decoder(100_000, {}, vector.from_server)
    decoder.protocol_version = version
    try:
        packets = decoder.feed(bytes(octets))
    except PeerError:
        return
    again = b"".join([encode(packet, version) for packet in packets])
    assert decode_all(again, [], version, vector.from_server) == packets


@pytest.mark.parametrize("version", [3, 4, 5])
def test_every_mutation_of_one_octet(version: int) -> None:
    for vector in VECTORS:
        if version not in vector.versions:
            continue
        octets = bytearray(vector.octets)
        for place in range(min(len(octets), 40)):
            kept = octets[place]
            for value in range(0, 256, 5):
                octets[place] = value
                feed_anything(bytes(octets), [], version, vector.from_server)
            octets[place] = kept
