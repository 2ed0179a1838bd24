"""What somebody who listens on the network learns of a secured domain, beside an unsecured one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security.dds.routes import Routing
from tests.dds.domains import free_domain
from tests.dds.security.capture import Capture, handshakes
from tests.dds.security.peers import Peer
from tests.dds.security.world import TEMPERATURE, World
from tests.security.support import publish, subscribe

ROUNDS = 5
TYPE = b"SecretReading"
TOPIC = b"Temperature"


@pytest.fixture(scope="module")
def plain_domain() -> Iterator[int]:
    with free_domain() as number:
        yield number


@pytest.fixture
def captured(tmp_path: Path, domain: int, plain_domain: int, metadata: str, rights: str) -> Iterator[Capture]:
    """Data both ways between the hub and a device, and in another domain in clear."""
    routes = Routing({domain: metadata}, ())
    world = World(tmp_path, domain, routes)
    device = world.add("device", publish(rights), subscribe(rights))
    place = (TEMPERATURE[0], rights.rpartition("/")[0])
    capture = Capture(domain, plain_domain)
    with (
        capture,
        world.hub_peer([place], [place]) as hub,
        world.peer(device, [place], [place]) as peer,
        Peer(plain_domain, {}, [place], (), "from nobody") as writer,
        Peer(plain_domain, {}, (), [place]) as reader,
    ):
        hub.wait("from device", ROUNDS)
        peer.wait("from the hub", ROUNDS)
        reader.wait("from nobody", ROUNDS)
        assert writer.count("refused") == 0
    yield capture
    world.identity.close()


def count(datagrams: list[bytes], text: bytes) -> int:
    return sum(each.count(text) for each in datagrams)


@pytest.mark.parametrize("rights", ["#"])
@pytest.mark.parametrize("metadata", ["encrypt", "sign"])
@pytest.mark.clause("DDSSEC-9.5")
def test_no_payload_no_topic_and_no_type_is_in_clear(captured: Capture, domain: int, plain_domain: int) -> None:
    secured, plain = captured.of(domain), captured.of(plain_domain)
    for text in (b"from nobody", TOPIC, TYPE):
        assert count(plain, text) > 0  # what is looked for can be found
    assert len(secured) > 10 * ROUNDS
    for text in (b"from device", b"from the hub", TOPIC, TYPE):
        assert count(secured, text) == 0


@pytest.mark.clause("DDSSEC-9.3.2.5")
@pytest.mark.parametrize("rights", ["Office/Temperature"])
@pytest.mark.parametrize("metadata", ["encrypt"])
def test_names_in_permissions_are_in_clear_in_the_handshake_and_nowhere_else(
    captured: Capture, domain: int, plain_domain: int
) -> None:
    """Each side shows the other its permissions before there is a key to encrypt by."""
    secured = captured.of(domain)
    assert any(TOPIC in handshakes(each)[0] for each in secured)
    assert not any(TOPIC in handshakes(each)[1] for each in secured)
    for text in (b"from device", b"from the hub", TYPE):
        assert count(secured, text) == 0
    assert count(captured.of(plain_domain), TYPE) > 0
