"""What Cyclone tells of readers and writers beside samples: who matches, whose QoS doesn't, deadlines, liveliness."""

from __future__ import annotations

import asyncio

import pytest

from bridgehead.protocols.dds.config import DdsConfig
from bridgehead.protocols.dds.discovery import UNREADABLE as UNREADABLE_TAG
from bridgehead.protocols.dds.discovery import tags_of
from bridgehead.protocols.dds.mapping.settings import (
    BEST_EFFORT,
    EXCLUSIVE,
    MANUAL_BY_TOPIC,
    TRANSIENT_LOCAL,
    VOLATILE,
    RouteConfig,
    RouteQos,
)
from bridgehead.protocols.dds.route_types import type_of
from bridgehead.protocols.dds.session.ports import Endpoint
from tests.dds.keyed import KEYED, OTHER, TOPIC, sample
from tests.dds.rim import Hub, Other, hub, joined, route, until

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


async def discovered(at: Hub) -> Endpoint:
    """Somebody's reader, under the name of another type than it has."""
    await until(lambda: at.look().readers, "it is discovered")
    (found,) = at.discovery.readers.values()
    return renamed(found, found.handle)


def renamed(found: Endpoint, handle: int) -> Endpoint:
    return Endpoint(
        *(handle, found.guid, found.participant, "", found.topic, "Other"),
        *(found.partitions, found.qos, found.tags, found.secured),
    )


@pytest.mark.clause("DDS-2.2.4.1")
async def test_another_type_s_name_is_told_of_who_is_there_and_does_not_match(domain: int) -> None:
    told = ("inconsistent", "Other", KEYED.type.name)
    with joined(domain) as opened:
        async with hub(opened, route(domain)) as at:
            Other(opened, route(domain, qos=RouteQos(durability=TRANSIENT_LOCAL))).reader()
            endpoint = await discovered(at)
            at.end.announced(endpoint)
            at.end.judge_types(0.9)  # it may match yet
            assert told not in at.route.calls
            for _ in range(2):
                at.end.judge_types(1.0)
            assert at.route.calls.count(told) == 1
            at.end.announced(endpoint)
            at.end.close()  # as when the hub joins anew: who is there is announced again
            at.end.open(at.participant, at.waiting, at.look)
            at.end.judge_types(1.0)
            assert at.route.calls.count(told) == 1


@pytest.mark.clause("DDS-2.2.4.1")
@pytest.mark.parametrize("durability", [VOLATILE, TRANSIENT_LOCAL], ids=["matched", "never matched"])
async def test_another_type_s_name_is_not_told_of_who_has_left(domain: int, durability: str) -> None:
    with joined(domain) as opened:
        async with hub(opened, route(domain)) as at:
            reader = Other(opened, route(domain, qos=RouteQos(durability=durability))).reader()
            at.end.announced(await discovered(at))
            if durability == VOLATILE:
                await until(lambda: at.route.readers, "it is matched")
            reader.close()
            await until(lambda: not at.look().readers and not at.route.readers, "it is gone")
            at.end.judge_types(1.0)
            assert not [call for call in at.route.calls if call[0] == "inconsistent"]


async def test_how_many_types_are_judged_at_once_has_a_bound(domain: int) -> None:
    limits = DdsConfig()
    limits.endpoints = 1
    with joined(domain) as opened:
        async with hub(opened, route(domain), limits) as at:
            Other(opened, route(domain, qos=RouteQos(durability=TRANSIENT_LOCAL))).reader()
            endpoint = await discovered(at)
            at.end.announced(renamed(endpoint, endpoint.handle + 1))
            at.end.announced(endpoint)  # no room
            at.end.judge_types(1.0)
            assert not [call for call in at.route.calls if call[0] == "inconsistent"]
            at.end.announced(endpoint)
            at.end.judge_types(1.0)
            assert [call for call in at.route.calls if call[0] == "inconsistent"]


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
