"""The client: a program that takes part in a domain for one topic."""

from __future__ import annotations

import asyncio

import pytest

from bridgehead.protocols.dds import client as module
from bridgehead.protocols.dds.client import Client
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.mapping.settings import IN, OUT, RouteConfig, RouteQos
from bridgehead.protocols.dds.participant import Participant
from bridgehead.protocols.dds.reader import RawReader
from bridgehead.protocols.dds.route_types import type_of
from bridgehead.protocols.dds.session.ports import Sample
from bridgehead.protocols.dds.writer import RawWriter
from tests.dds.keyed import KEYED, TOPIC, sample
from tests.dds.rim import OCTETS, loopback, until
from tests.dds.security.peers import Peer

KEEP_ALL = RouteQos(depth=0)


def keyed(domain: int, direction: str) -> RouteConfig:
    return RouteConfig(domain, TOPIC, "KeyedSeq", direction=direction, qos=KEEP_ALL)


class Beside:
    """Another participant of the client's domain."""

    def __init__(self, client: Client, domain: int) -> None:
        assert client._domain is not None
        config = keyed(domain, "both")
        self.participant = Participant(client._domain, None)
        of = type_of(config, KEYED)
        topic = self.participant.topic(of.topic, of.python, of.representation, of.extensibility)
        self.writer = RawWriter(self.participant, topic, config)
        self.reader = RawReader(self.participant, topic, config, 256, 8192, OCTETS)


@pytest.mark.clause("DDS-2.2.2.4.2.15")
async def test_what_is_published_arrives_and_is_acknowledged(domain: int) -> None:
    client = Client(loopback(domain))
    await client.open()
    client.use(keyed(domain, OUT), KEYED)
    assert not await client.matched(0.0)
    beside = Beside(client, domain)
    assert await client.matched(10.0)
    for number in range(10):
        await client.publish(sample(number, 1))
    assert await client.acknowledged(10.0)
    assert [each.data for each in beside.reader.take()] == [sample(number, 1) for number in range(10)]
    await client.close()
    await client.close()


async def test_samples_come_in_order_and_no_more_are_taken_than_are_wanted(
    domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAITING", 50)
    monkeypatch.setattr(module, "_BATCH", 20)
    client = Client(loopback(domain))
    await client.open()
    client.use(keyed(domain, IN), KEYED)
    beside = Beside(client, domain)
    assert await client.matched(10.0)

    async def write() -> None:
        for number in range(200):
            while not beside.writer.write(sample(number, 1), 1):  # the client's reader has no room
                await asyncio.sleep(0.005)

    writing = asyncio.create_task(write())
    await until(lambda: client._is_held, "the client has enough")
    held = len(client._samples)
    await asyncio.sleep(0.05)
    assert len(client._samples) == held
    assert held < 50 + 20
    taken: list[Sample] = []
    async for each in client.samples():
        taken.append(each)
        if len(taken) == 200:
            break
    await writing
    assert [each.data for each in taken] == [sample(number, 1) for number in range(200)]
    await client.close()


@pytest.mark.clause("XTYPES-7.6.3.3")
async def test_a_type_is_learnt_or_it_says_what_to_do(domain: int) -> None:
    client = Client(loopback(domain))
    await client.open()
    with pytest.raises(DdsError, match=r"nobody announced topic Nothing in domain .*bridgehead dds discover"):
        await client.learn("Nothing", 0.0)
    with Peer(domain, {}, writers=[("Secret", "")], text="a word"):
        compiled = await client.learn("Secret", 20.0)
        client.use(RouteConfig(domain, "Secret", direction=IN), compiled)
        async for each in client.samples():
            assert compiled.codec.decode(each.data) == {"text": "a word"}
            break
    await client.close()


async def test_before_it_is_open_it_says_so(domain: int) -> None:
    client = Client(loopback(domain))
    with pytest.raises(DdsError, match="open it first"):
        client.discovery()
    with pytest.raises(DdsError, match="open it first"):
        client.use(keyed(domain, IN), KEYED)
    with pytest.raises(DdsError, match="use a topic for writing first"):
        await client.publish(sample(1, 1))
    failing = Client(loopback(231))
    with pytest.raises(DdsError, match="choose one of 0 to 230"):
        await failing.open()
