"""What Cyclone tells of readers and writers beside samples: who matches, whose QoS doesn't, deadlines, liveliness."""

from __future__ import annotations

import asyncio

import pytest

from bridgehead.protocols.dds.discovery import UNREADABLE as UNREADABLE_TAG
from bridgehead.protocols.dds.discovery import tags_of
from bridgehead.protocols.dds.mapping.settings import (
    BEST_EFFORT,
    EXCLUSIVE,
    MANUAL_BY_TOPIC,
    TRANSIENT_LOCAL,
    RouteConfig,
    RouteQos,
)
from bridgehead.protocols.dds.route_types import type_of
from tests.dds.keyed import OTHER, TOPIC, sample
from tests.dds.rim import Other, hub, joined, route, until

UNREADABLE = (UNREADABLE_TAG,)
TIME = 1_700_000_000_000_000_000


@pytest.mark.clause("DDS-2.2.3")
async def test_a_writer_that_offers_too_little_is_named_with_the_policy(domain: int) -> None:
    with joined(domain) as opened:
        async with hub(opened, route(domain)) as at:
            other = Other(opened, route(domain, qos=RouteQos(reliability=BEST_EFFORT)))
            writer = other.writer()
            await until(lambda: at.route.calls[1:], "the status is told")
            ((call, policy, guid),) = at.route.calls[1:]
            assert (call, policy) == ("incompatible", "Reliability")
            assert isinstance(guid, bytes)
            assert guid[:12] == other.participant.guid[:12]
            assert writer.matched() == set()
            # The same participant's other writer offers enough: the route goes on with it.
            Other(opened, route(domain)).writer()
            await until(lambda: len(at.route.writers) == 1, "the other one is matched")


@pytest.mark.clause("DDS-2.2.3.14")
async def test_a_reader_that_asks_for_too_much_is_named_with_the_policy(domain: int) -> None:
    with joined(domain) as opened:
        async with hub(opened, route(domain)) as at:
            other = Other(opened, route(domain, qos=RouteQos(durability=TRANSIENT_LOCAL)))
            other.reader()
            await until(lambda: at.route.calls[1:], "the status is told")
            ((call, policy, guid),) = at.route.calls[1:]
            assert (call, policy) == ("incompatible", "Durability")
            assert isinstance(guid, bytes)
            assert guid[:12] == other.participant.guid[:12]


@pytest.mark.clause("DDS-2.2.3.7")
async def test_a_missed_deadline_is_told_with_its_instance(domain: int) -> None:
    config = route(domain, qos=RouteQos(deadline=0.1))
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            writer = Other(opened, config).writer()
            await until(lambda: at.route.writers, "the writer is matched")
            writer.write(sample(1, 1), TIME)
            await until(lambda: at.route.samples, "the sample is taken")
            missed = ("deadline_missed", at.route.samples[0].instance)
            await until(lambda: missed in at.route.calls, "the deadline is missed")


@pytest.mark.clause("DDS-2.2.3.11")
async def test_lost_liveliness_of_a_writer_that_hangs(domain: int) -> None:
    qos = RouteQos(liveliness=MANUAL_BY_TOPIC, lease=0.1, ownership=EXCLUSIVE, strength=10)
    config = route(domain, qos=qos)
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            writer = Other(opened, config).writer()
            await until(lambda: at.route.writers, "the writer is matched")
            (endpoint,) = at.route.writers.values()
            assert (endpoint.strength, endpoint.qos.liveliness, endpoint.qos.lease) == (10, MANUAL_BY_TOPIC, 0.1)
            assert endpoint.qos.ownership == EXCLUSIVE
            writer.write(sample(1, 1), TIME)
            await until(lambda: ("liveliness_changed", 0, 1) in at.route.calls, "it hangs")
            writer.write(sample(2, 1), TIME)
            await until(lambda: at.route.calls[-1] == ("liveliness_changed", 1, 0), "it is back")


async def test_a_participant_that_goes_and_comes_again_is_matched_again(domain: int) -> None:
    config = route(domain)
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            for number in range(3):
                other = Other(opened, config)
                writer, reader = other.writer(), other.reader()
                await until(lambda: at.route.writers and at.route.readers, "both are matched")
                writer.write(sample(number, 1), TIME)
                await until(lambda: at.route.samples and at.route.samples[-1].valid, "its sample is taken")
                reader.close()
                other.close()
                await until(lambda: not at.route.writers and not at.route.readers, "both are gone")
            assert at.route.strangers == 0
            assert [each.data for each in at.route.samples if each.valid] == [sample(number, 1) for number in range(3)]


@pytest.mark.clause("XTYPES-7.6.3.4.2")
async def test_a_writer_of_another_type_of_the_same_name_is_not_matched(domain: int) -> None:
    config = route(domain)
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            other = Other(opened, config, type_of(config, OTHER))
            wrong = other.writer()
            right = Other(opened, config).writer()
            await until(lambda: at.route.writers, "the right one is matched")
            right.write(sample(1, 1), TIME)
            await until(lambda: at.route.samples, "its sample is taken")
            await asyncio.sleep(0.05)
            assert wrong.matched() == set()
            assert len(at.route.writers) == 1


@pytest.mark.clause("DDS-2.2.3.1")
async def test_discovery_knows_tags_partitions_and_who_has_gone(domain: int) -> None:
    config = RouteConfig(domain, TOPIC, "KeyedSeq", partition="Office/a", tags=("room=4", "class=secret"))
    with joined(domain) as opened:
        async with hub(opened, route(domain)) as at:
            other = Other(opened, config)
            other.writer()
            reader = other.reader()
            at.look()
            (participant,) = at.discovery.participants.values()
            assert (participant.guid, participant.name) == (other.participant.guid, "bridgehead")
            (found,) = at.discovery.writers.values()
            assert (found.topic, found.type_name, found.partitions) == (TOPIC, "KeyedSeq", ("Office/a",))
            assert found.tags == ("class=secret", "room=4")
            assert found.identity == ""
            assert at.route.writers == {}  # the hub's reader is in the default partition
            assert len(at.discovery.readers) == 1
            reader.close()
            at.look()
            assert at.discovery.readers == {}
            other.close()
            at.look()
            assert (at.discovery.participants, at.discovery.writers) == ({}, {})


async def test_discovery_remembers_no_more_than_it_may(domain: int) -> None:
    config = route(domain)
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            at.limits.participants = 0
            discovery = type(at.discovery)(at.participant.entity, at.participant.guid, at.endpoints, 2, 3)
            others = [Other(opened, config) for _ in range(4)]
            for other in others:
                other.writer()
            discovery.take()
            assert (len(discovery.participants), len(discovery.writers), discovery.refused) == (2, 3, 3)


@pytest.mark.parametrize(
    ("data", "tags"),
    [
        (b"", ()),
        (b"tag:a=1;", ("a=1",)),
        (b"tag:a=1; tag:b=2 ;colour=red;tag:a=1", ("a=1", "b=2")),
        (b"tag;tagged:a=1", ()),
        (b"tag:=1", UNREADABLE),
        (b"tag:b=1;tag:a=", ("b=1", *UNREADABLE)),
        (b"tag:secret", UNREADABLE),
        (b"tag:a=1\0", UNREADABLE),
        (b"tag:a=" + bytes([0xC2, 0x85]), UNREADABLE),
        (b"tag:a=" + b"1" * 254, ("a=" + "1" * 254,)),
        (b"tag:a=" + b"1" * 70_000, UNREADABLE),
        (b"".join(b"tag:a=%d;" % number for number in range(33)), UNREADABLE),
        (b"tag:a=1=2;", ("a=1=2",)),
        (b"\xff\xfetag:a=1;tag:b=\xff;", ("b=\N{REPLACEMENT CHARACTER}",)),
    ],
)
@pytest.mark.clause("DDS-2.2.3.1")
def test_tags_of_user_data(data: bytes, tags: tuple[str, ...]) -> None:
    assert tags_of(data) == tags
