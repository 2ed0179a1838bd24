"""The server of DDS with a broker: samples become messages and the reverse, and what fails leaves the rest be."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from pathlib import Path

import pytest

from bridgehead.protocols.dds.config import SECURED, DomainConfig
from bridgehead.protocols.dds.events import (
    DOMAIN_FAILED,
    PARTICIPANT_FOUND,
    PARTICIPANT_GONE,
    ROUTE_FAILED,
    ROUTE_OPENED,
    TYPE_LEARNT,
)
from bridgehead.protocols.dds.mapping.settings import TRANSIENT_LOCAL, RouteConfig, RouteQos
from bridgehead.protocols.dds.participant import Participant
from bridgehead.protocols.dds.reader import RawReader
from bridgehead.protocols.dds.route_types import type_of
from bridgehead.protocols.dds.session.ports import Sample
from bridgehead.protocols.dds.writer import RawWriter
from tests.dds.domains import free_domain
from tests.dds.keyed import IDL, KEYED, TOPIC, key_of, sample
from tests.dds.rim import OCTETS, environment, joined, loopback, until
from tests.dds.security.peers import Peer
from tests.dds.whole.desk import GUEST, Desk, desk, settings

TIME = 1_700_000_000_000_000_000


def keyed(domain: int, hub: str = "Load/${keyval}", topic: str = TOPIC, qos: RouteQos | None = None) -> RouteConfig:
    return RouteConfig(domain, topic, "KeyedSeq", str(IDL), hub=hub, qos=qos or RouteQos())


class Other:
    """A participant of this process beside the hub's."""

    def __init__(self, at: Desk, config: RouteConfig) -> None:
        opened = at.server.domains[config.domain]._domain
        assert opened is not None
        self.participant = Participant(opened, None)
        of = type_of(config, KEYED)
        topic = self.participant.topic(of.topic, of.python, of.representation, of.extensibility)
        self.writer = RawWriter(self.participant, topic, config)
        self.reader = RawReader(self.participant, topic, config, 256, 8192, OCTETS)

    async def settled(self) -> None:
        await until(lambda: self.writer.matched() and self.reader.matched(), "the hub is matched")


async def test_samples_become_messages_and_messages_samples(domain: int) -> None:
    config = keyed(domain)
    async with desk(settings([loopback(domain, guest=GUEST)], [config])) as at:
        listener = at.listen("Load/+")
        other = Other(at, config)
        await other.settled()
        other.writer.write(sample(1, 7, b"\1\2"), TIME)
        await until(lambda: listener.messages, "the message came")
        (message,) = listener.messages
        assert (message.topic, json.loads(message.payload)) == (
            "Load/7",
            {"seq": 1, "keyval": 7, "baggage": "AQI="},
        )
        assert (message.origin.principal, message.origin.protocol, message.origin.verified) == (GUEST, "dds", False)
        at.publish("Load/8", b'{"seq": 2, "keyval": 8, "baggage": ""}')
        taken: list[Sample] = []

        def came() -> bool:
            taken.extend(other.reader.take())
            return bool(taken)

        await until(came, "the sample came")
        assert [each.data for each in taken] == [sample(2, 8)]
        assert at.server.failures == {}
        assert len(at.server) == 1
        other.participant.close()
        await until(lambda: at.named(PARTICIPANT_GONE), "its end is told")
        assert len(at.server) == 0


@pytest.mark.clause("DDS-2.2.3.4")
async def test_transient_local_samples_are_retained_until_they_are_disposed_of(domain: int) -> None:
    config = keyed(domain, qos=RouteQos(durability=TRANSIENT_LOCAL))
    async with desk(settings([loopback(domain, guest=GUEST)], [config])) as at:
        other = Other(at, config)
        await other.settled()
        other.writer.write(sample(1, 7), TIME)
        await until(lambda: at.broker.retained.get("Load/7"), "it is retained")
        other.writer.dispose(key_of(7))
        await until(lambda: at.broker.retained.get("Load/7") is None, "it is cleared")


async def test_what_fails_says_why_and_the_rest_goes_on(domain: int, tmp_path: Path) -> None:
    broken = tmp_path / "broken.idl"
    broken.write_text("struct KeyedSeq {")
    with free_domain() as secured:
        domains = [DomainConfig(231, "none"), loopback(secured, SECURED), loopback(domain, guest=GUEST)]
        routes = [
            RouteConfig(domain, "Broken", "KeyedSeq", str(broken)),
            RouteConfig(domain, "Missing", "Nothing", str(IDL)),
            keyed(domain, hub="Load/${nothing}", topic="Template"),
            RouteConfig(231, TOPIC, "KeyedSeq", str(IDL)),
            keyed(domain),
        ]
        async with desk(settings(domains, routes)) as at:
            failures = at.server.failures
            assert set(failures) == {
                "domain 231",
                f"domain {secured}",
                f"{domain}/Broken",
                f"{domain}/Missing",
                f"{domain}/Template",
            }
            assert failures["domain 231"] == "DDS domain 231 is out of range: choose one of 0 to 230"
            assert "no documents for it yet" in failures[f"domain {secured}"]
            assert "broken.idl:2:1: syntax error" in failures[f"{domain}/Broken"]
            assert "name one of those that it has (KeyedSeq)" in failures[f"{domain}/Missing"]
            assert "nothing" in failures[f"{domain}/Template"]
            assert len(at.named(DOMAIN_FAILED)) == 2
            assert len(at.named(ROUTE_FAILED)) == 3
            listener = at.listen("Load/+")
            other = Other(at, routes[-1])
            await other.settled()
            other.writer.write(sample(1, 1), TIME)
            await until(lambda: listener.messages, "the good route works")


async def test_a_reloaded_configuration_changes_what_it_changes_only(domain: int) -> None:
    stays, goes, comes = keyed(domain), keyed(domain, "Old/${keyval}", "Old"), keyed(domain, "New/${keyval}", "New")
    where = loopback(domain, guest=GUEST)
    async with desk(settings([where], [stays, goes])) as at:
        before = at.server.domains[domain]
        assert before.participant is not None
        guid = before.participant.guid
        kept = next(each for each in before.ends if each.config is stays)
        at.server.apply(settings([loopback(domain, guest=GUEST)], [keyed(domain), comes]))
        await until(lambda: len(at.named(ROUTE_OPENED)) == 3, "the new one is open")
        assert [each.config for each in before.ends] == [stays, comes]
        assert before.ends[0] is kept
        assert at.server.domains[domain] is before
        assert before.participant.guid == guid
        at.server.apply(settings([], []))
        await until(lambda: not at.server.domains, "the domain is left")
    with joined(domain):
        pass  # also when the server stopped while it was leaving


async def test_a_configuration_that_comes_as_the_server_stops_is_not_put_in_force(domain: int) -> None:
    async with desk(settings([], [])) as at:
        at.server.apply(settings([loopback(domain, guest=GUEST)], [keyed(domain)]))
        await at.server.stop(30.0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert at.server.domains == {}


@pytest.mark.clause("XTYPES-7.6.3.3")
async def test_a_type_is_learnt_from_who_announces_it(domain: int) -> None:
    base = loopback(domain, guest=GUEST)
    learns = DomainConfig(domain, base.security, GUEST, base.interfaces, base.peers, False, discovers_types=True)
    route = RouteConfig(domain, "Secret", hub="Learnt")
    with Peer(domain, {}, writers=[("Secret", "")], text="a word"):
        async with desk(settings([learns], [route])) as at:
            assert at.server.failures == {}
            listener = at.listen("Learnt")
            await until(lambda: listener.messages, "its samples come")
            assert json.loads(listener.messages[0].payload) == {"text": "a word"}
            (told,) = at.named(TYPE_LEARNT)
            assert told["type"] == "Office::SecretReading"
            assert "in clear" in str(told["because"])


@pytest.mark.peer("ddsperf")
async def test_a_participant_that_is_killed_is_gone_after_its_lease_and_comes_again(
    domain: int, tmp_path: Path
) -> None:
    config = keyed(domain)
    command = ["ddsperf", "-D", "60", "-i", str(domain), "pub", "100Hz", "size", "16"]
    async with desk(settings([loopback(domain, guest=GUEST)], [config])) as at:
        listener = at.listen("Load/+")
        for number in range(2):
            with subprocess.Popen(command, env=environment(domain, tmp_path), stdout=subprocess.DEVNULL) as process:
                try:
                    await until(lambda: len(at.named(PARTICIPANT_FOUND)) > number, "it is found")  # noqa: B023
                    listener.messages.clear()
                    await until(lambda: listener.messages, "its samples come")
                finally:
                    process.send_signal(signal.SIGKILL)
            await until(lambda: len(at.named(PARTICIPANT_GONE)) > number, "its lease ends")  # noqa: B023
        found = [each["participant"] for each in at.named(PARTICIPANT_FOUND)]
        assert found == [each["participant"] for each in at.named(PARTICIPANT_GONE)]
        assert len(set(found)) == 2


async def test_a_topic_may_have_another_type_after_a_reload(domain: int) -> None:
    where = loopback(domain, guest=GUEST)
    other = RouteConfig(domain, TOPIC, "KeyedSeq", str(IDL.with_name("keyed_other.idl")), hub="Load/${keyval}")
    async with desk(settings([where], [keyed(domain)])) as at:
        at.server.apply(settings([where], [other]))
        await until(lambda: len(at.named(ROUTE_OPENED)) == 2, "it is open with the other type")
        assert at.server.failures == {}
        twice = keyed(domain)
        clash = RouteConfig(
            domain, TOPIC, "KeyedSeq", str(IDL.with_name("keyed_other.idl")), partition="p", hub="Else/${keyval}"
        )
        at.server.apply(settings([where], [twice, clash]))
        await until(lambda: len(at.named(ROUTE_OPENED)) == 4, "one domain may have both, in two partitions")
        assert at.server.failures == {}
