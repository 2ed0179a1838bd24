"""The running hub: a revocation while data flow, and security's log on a topic of the domain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.cli.main import run
from bridgehead.security.dds.routes import LOG_TOPIC
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import wait_until
from tests.dds.peers.hands import cyclone
from tests.dds.peers.town import DdsTown, domain_table, folder_of, temperature_route
from tests.dds.security.peers import Peer, bundle_files
from tests.security.support import publish, subscribe

pytestmark = [pytest.mark.peer("idlc")]
EVERY = 0.05  # seconds between a talker's samples
LOG: list[tuple[str, str]] = [(LOG_TOPIC, "")]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, shared_domain: int) -> Iterator[DdsTown]:
    config = domain_table(shared_domain) + temperature_route(shared_domain)
    found = DdsTown(folder_of(tmp_path_factory), config)
    rights = {
        "robot": (publish("Office/#"),),
        "other": (publish("Office/#"),),
        "gone": (publish("Office/#"),),
        "viewer": (subscribe("#"),),
        "auditor": (PermissionRecord(f"$DDS/{shared_domain}/{LOG_TOPIC}", publish=True, subscribe=True),),
    }
    for name, given in rights.items():
        found.enrol(name, given)
        if name != "viewer":
            found.bundle(name)
    found.bundle("viewer")
    try:
        found.hub.start()
        yield found
    finally:
        found.close()


def audited(town: DdsTown, event: str, text: str) -> bool:
    return any(
        event in line and text in line
        for path in (town.hub.data / "audit").glob("*.jsonl")
        for line in path.read_text().splitlines()
    )


def test_a_device_revoked_while_it_sends_is_not_heard_any_more(
    town: DdsTown, shared_domain: int, tmp_path: Path
) -> None:
    hub = town.hub
    with (
        town.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", shared_domain, "Temperature", credentials=town.bundle_of("robot"), every=EVERY),
    ):
        viewer.subscribe("Office/#")
        assert viewer.message().topic.endswith("/Temperature")
        joined = len(hub.events("dds.domain-joined"))
        assert run(["device", "revoke", "robot", "--data", str(hub.data)]) == 0
        hub.await_event("dds.domain-joined", joined + 1)  # with a list that names it, and new keys
        hub.await_event("dds.security")
        with (
            town.mqtt("viewer", "viewer-2") as late,
            cyclone(tmp_path, "talk", shared_domain, "Temperature", credentials=town.bundle_of("other")) as talker,
        ):
            late.subscribe("Office/#")
            talker.matched(1).order(write={"room": "Vault", "celsius": 1.5, "counter": 99})
            message = late.message()
            assert (message.topic, json.loads(message.payload)["counter"]) == ("Office/Vault/Temperature", 99)
            late.ping()  # and nothing else
    wait_until("audit", lambda: audited(town, "dds.security", "certificate revoked"))


@pytest.mark.clause("DDSSEC-9.6")
def test_refusals_are_on_the_log_topic_for_who_may_read_it(town: DdsTown, shared_domain: int) -> None:
    joined = len(town.hub.events("dds.domain-joined"))
    assert run(["device", "revoke", "gone", "--data", str(town.hub.data)]) == 0
    town.hub.await_event("dds.domain-joined", joined + 1)
    with (
        Peer(shared_domain, bundle_files(town.bundle_of("auditor")), LOG, LOG) as auditor,
        Peer(shared_domain, bundle_files(town.bundle_of("viewer")), LOG, LOG) as viewer,
        Peer(shared_domain, bundle_files(town.bundle_of("gone"))),
        town.mqtt("viewer"),
    ):
        auditor.wait(f"refused writers {LOG_TOPIC}")
        viewer.wait(f"refused writers {LOG_TOPIC}")
        viewer.wait(f"refused readers {LOG_TOPIC}")
        line = auditor.wait(f"got {LOG_TOPIC} 10 WARNING_LEVEL bridgehead dds.security ", also="subject: /CN=gone")
        assert "certificate revoked" in line
        assert f"domain={shared_domain}" in line
        # What the hub decides elsewhere is told too.
        assert "principal=viewer" in auditor.wait("INFO_LEVEL bridgehead authentication.accepted")
        assert viewer.count("got") == 0
    wait_until("audit", lambda: audited(town, "dds.security", "CN=gone"))
