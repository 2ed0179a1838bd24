"""The running hub and signed permissions that outlive a right: the policy of the moment decides on each sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.cli.main import run
from tests.dds.peers.hands import Hands, cyclone, cyclone_hands
from tests.dds.peers.town import DdsTown, domain_table, first_message, folder_of, sent, temperature_route
from tests.security.support import publish, subscribe

pytestmark = [pytest.mark.peer("idlc")]
EVERY = 0.05  # seconds between a talker's samples


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, shared_domain: int) -> Iterator[DdsTown]:
    owned = temperature_route(shared_domain, "Owned", "Owned/${room}", '{ownership = "exclusive"}')
    config = domain_table(shared_domain) + temperature_route(shared_domain) + owned
    found = DdsTown(folder_of(tmp_path_factory), config)
    owner = publish(f"$DDS/{shared_domain}/Owned")
    for name, rights in {
        "robot": (publish("Office/#"),),
        "other": (publish("Office/#"),),
        "primary": (publish("Owned/#"), owner),
        "standby": (publish("Owned/#"), owner),
        "intruder": (publish("Owned/#"),),
        "gauge": (subscribe("Office/#"),),
        "display": (subscribe("Office/#"),),
        "viewer": (publish("Office/#"), subscribe("#"), subscribe("$SYS/#")),
    }.items():
        found.enrol(name, rights)
        if name != "viewer":
            found.bundle(name)
    try:
        found.hub.start()
        yield found
    finally:
        found.close()


def change(town: DdsTown, name: str, *words: str) -> None:
    """And wait until the hub knows."""
    before = len(town.hub.events("identity.permissions-changed"))
    assert run(["device", "set", name, *words, "--data", str(town.hub.data)]) == 0
    town.hub.await_event("identity.permissions-changed", before + 1)


def test_what_a_writer_may_no_more_is_refused_with_its_permissions_still_valid(
    town: DdsTown, shared_domain: int, tmp_path: Path
) -> None:
    with (
        town.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", shared_domain, "Temperature", credentials=town.bundle_of("robot"), every=EVERY),
        cyclone(tmp_path, "talk", shared_domain, "Temperature", credentials=town.bundle_of("other")) as other,
    ):
        viewer.subscribe("Office/#")
        assert viewer.message().topic == "Office/Lobby/Temperature"
        change(town, "robot", "--no-permission", "Office/#")
        denied = town.hub.await_event("publish.denied")
        assert (denied["principal"], denied["protocol"]) == ("robot", "dds")
        with town.mqtt("viewer", "viewer-2") as late:
            late.subscribe("Office/#")
            sample = {"room": "Vault", "celsius": 1.5, "counter": 99}
            message = first_message(late, lambda: other.order(write=sample))
            assert (message.topic, json.loads(message.payload)) == ("Office/Vault/Temperature", sample)


def test_what_a_reader_may_no_more_is_not_written_until_it_has_gone(
    town: DdsTown, shared_domain: int, tmp_path: Path
) -> None:
    with (
        town.mqtt("viewer") as viewer,
        cyclone(tmp_path, "listen", shared_domain, "Temperature", credentials=town.bundle_of("gauge")) as gauge,
    ):
        sent(viewer, "Office/Lobby/Temperature", {"room": "Lobby", "celsius": 1.5, "counter": 1}, gauge)
        change(town, "gauge", "--no-permission", "Office/#")
        for counter in range(100, 110):
            viewer.publish(
                "Office/Lobby/Temperature", json.dumps({"room": "Lobby", "celsius": 2.5, "counter": counter}).encode()
            )
        told = town.hub.await_event("dds.reader-unpermitted")
        assert told["principal"] == "gauge"
        gauge.end()
        (tmp_path / "later").mkdir()
        with cyclone(
            tmp_path / "later", "listen", shared_domain, "Temperature", credentials=town.bundle_of("display")
        ) as display:
            sent(viewer, "Office/Lobby/Temperature", {"room": "Lobby", "celsius": 3.5, "counter": 200}, display)
        assert {each["counter"] for each in gauge.samples()} == {1}


def test_who_may_be_the_stand_by_decides_the_policy(town: DdsTown, shared_domain: int, tmp_path: Path) -> None:
    """Who may write the topic and not own it is refused by its own permissions; whose right to own it ends, by the
    hub, however strong it is."""
    for name in ("primary", "standby"):
        (tmp_path / name).mkdir()
    intruder = town.bundle_of("intruder")
    with cyclone_hands(tmp_path, "talk", shared_domain, "Owned", credentials=intruder, strength=99) as hands:
        assert "allowed" in hands.wait_for("a refusal", lambda told: "refused" in told)["refused"].lower()

    def redundant(name: str, strength: int) -> Hands:
        credentials = town.bundle_of(name)
        return cyclone(
            tmp_path / name,
            *("talk", shared_domain, "Owned", "Temperature"),
            credentials=credentials,
            strength=strength,
            every=EVERY,
            room="Desk",
        )

    with (
        town.mqtt("viewer") as viewer,
        town.mqtt("viewer", "viewer-owners") as owners,
        redundant("primary", 20) as primary,
        redundant("standby", 10),
    ):
        assert owners.subscribe(f"$SYS/dds/{shared_domain}/Owned/owner") < 0x80
        viewer.subscribe("Owned/#")
        while json.loads(viewer.message().payload)["celsius"] != 20.0:
            continue
        change(town, "primary", "--no-permission", f"$DDS/{shared_domain}/Owned")
        refused = town.hub.await_event("dds.owner-unpermitted")
        assert (refused["principal"], refused["route"]) == ("primary", f"{shared_domain}/Owned")
        primary.end()
        while json.loads(viewer.message().payload)["celsius"] != 10.0:
            continue
        event = town.hub.await_event("dds.owner-changed")
        assert (event["principal"], event["before"]) == ("standby", "primary")
        while json.loads(owners.message().payload)["owner"] != "standby":
            continue
