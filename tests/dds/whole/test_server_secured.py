"""The server in a secured domain: by whose certificate samples are let in, and documents that are made anew."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bridgehead.protocols.dds.config import SECURED
from bridgehead.protocols.dds.events import DOMAIN_JOINED, DOMAIN_LEFT
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.security.dds.bundle import DomainFiles
from bridgehead.security.dds.guids import devices_by_guid
from tests.dds.domains import free_domain
from tests.dds.rim import loopback, until
from tests.dds.security.peers import Peer
from tests.dds.security.world import HOUR, TEMPERATURE, World
from tests.dds.whole.desk import Known, desk, settings
from tests.security.support import publish

IDL = Path(__file__).parent / "secret.idl"


@pytest.mark.clause("DDSSEC-9.3.3")
async def test_samples_are_their_devices_and_go_on_with_new_documents(domain: int, tmp_path: Path) -> None:
    world = World(tmp_path, domain)
    sender, other = world.add("sender", publish("Office/#")), world.add("other", publish("Office/#"))
    route = RouteConfig(domain, "Temperature", "Office::SecretReading", str(IDL), hub="Office/a/Temperature")
    config = settings([loopback(domain, SECURED)], [route])
    names = devices_by_guid(["sender", "other"])

    def documents() -> DomainFiles:
        return world.hub.make(time.time(), world.routing, HOUR)

    async with desk(config, documents(), names, Known("sender", "other")) as at:
        assert at.server.failures == {}
        listener = at.listen("Office/+/Temperature")
        with world.peer(sender, [TEMPERATURE]), world.peer(other, [TEMPERATURE]), Peer(domain, {}, [TEMPERATURE]):

            def heard() -> set[tuple[str, str, bool]]:
                return {
                    (json.loads(each.payload)["text"], each.origin.principal, each.origin.verified)
                    for each in listener.messages
                }

            both = {("from sender", "sender", True), ("from other", "other", True)}
            await until(lambda: heard() == both, "both are heard, each as itself")
            world.identity.revoke("other")
            await at.server.renew(documents())
            assert (len(at.named(DOMAIN_JOINED)), len(at.named(DOMAIN_LEFT))) == (2, 1)
            listener.messages.clear()
            await until(lambda: len(listener.messages) >= 15, "the sender is heard with new documents too")
            assert heard() == {("from sender", "sender", True)}
    world.identity.close()


@pytest.mark.clause("DDSSEC-9.4.1.2")
async def test_a_mis_signed_governance_is_named_and_the_rest_goes_on(domain: int, tmp_path: Path) -> None:
    world, other = World(tmp_path / "own", domain), World(tmp_path / "foreign", domain)
    sender = world.add("sender", publish("Office/#"))
    files, foreign = (each.hub.make(time.time(), each.routing, HOUR) for each in (world, other))
    right = files.governance.read_bytes()
    files.governance.write_bytes(foreign.governance.read_bytes())
    secured = RouteConfig(domain, "Temperature", "Office::SecretReading", str(IDL), hub="Office/a/Temperature")
    with free_domain() as plain:
        open_route = RouteConfig(plain, "Temperature", "Office::SecretReading", str(IDL), hub="Open")
        config = settings([loopback(domain, SECURED), loopback(plain, guest="sender")], [secured, open_route])
        async with desk(config, files, devices_by_guid(["sender"]), Known("sender")) as at:
            assert set(at.server.failures) == {f"domain {domain}"}
            said = at.server.failures[f"domain {domain}"]
            assert f"{files.governance} is signed by " in said
            assert f" and not by {files.permissions_ca}: " in said
            listener = at.listen("#")
            with world.peer(sender, [TEMPERATURE]), Peer(plain, {}, [TEMPERATURE], text="in clear"):
                await until(lambda: len(listener.payloads("Open")) >= 5, "the other domain goes on")
                assert listener.payloads("Office/a/Temperature") == []
                files.governance.write_bytes(right)
                await at.server.renew(files)
                await until(lambda: listener.payloads("Office/a/Temperature"), "with the right one it is joined")
                assert at.server.failures == {}
    for each in (world, other):
        each.identity.close()
