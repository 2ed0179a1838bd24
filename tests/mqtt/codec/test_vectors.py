"""Every packet of the table of vectors, from octets and back."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connect, Publish
from tests.mqtt.codec.vectors import VECTORS, Vector

CASES = [
    pytest.param(vector, version, id=f"{vector.name}, version {version}", marks=pytest.mark.clause(*vector.clauses))
    for vector in VECTORS
    for version in vector.versions
]


def decoder_for(vector: Vector, version: int) -> Decoder:
    decoder = Decoder(1_000_000, {}, vector.from_server)
    if not isinstance(vector.packet, Connect):
        decoder.protocol_version = version
    return decoder


@pytest.mark.parametrize(("vector", "version"), CASES)
def test_decode(vector: Vector, version: int) -> None:
    decoder = decoder_for(vector, version)
    assert decoder.feed(vector.octets) == [vector.packet]
    assert decoder.held == 0
    assert decoder.protocol_version == version


@pytest.mark.parametrize(("vector", "version"), CASES)
def test_decode_octet_by_octet(vector: Vector, version: int) -> None:
    decoder = decoder_for(vector, version)
    for octet in vector.octets[:-1]:
        assert decoder.feed(bytes([octet])) == []
    assert decoder.feed(vector.octets[-1:]) == [vector.packet]


@pytest.mark.parametrize(("vector", "version"), CASES)
def test_encode(vector: Vector, version: int) -> None:
    encoded = encode(vector.packet, version)
    if vector.canonical:
        assert encoded == vector.octets
    else:
        assert len(encoded) <= len(vector.octets)
        assert decoder_for(vector, version).feed(encoded) == [vector.packet]


@pytest.mark.parametrize(("vector", "version"), CASES)
def test_publish_keeps_its_octets(vector: Vector, version: int) -> None:
    if not isinstance(vector.packet, Publish):
        return
    [publish] = decoder_for(vector, version).feed(vector.octets)
    assert isinstance(publish, Publish)
    assert publish.frame == vector.octets
    assert publish.payload_length == len(publish.payload)
    assert publish.v5 == (version == 5)
    assert publish.has_properties == (vector.packet.properties.present() != {})
    head = publish.frame[: publish.topic_end]
    assert head.endswith(publish.topic.encode())
