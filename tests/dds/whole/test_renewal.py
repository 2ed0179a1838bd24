"""The running hub's own permissions end soon: new ones are there before, and data flow on beyond the old ones' end."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.dds.peers.hands import cyclone
from tests.dds.peers.town import DdsTown, domain_table, sent, temperature_route
from tests.security.support import publish, subscribe

LIFE = 60  # seconds, the shortest that the configuration takes


def end_of_permissions(town: DdsTown) -> float:
    text = (town.hub.data / "dds" / "hub" / "permissions.p7s").read_text()
    [found] = re.findall(r"<not_after>([^<]+)<", text)
    return datetime.fromisoformat(found).replace(tzinfo=UTC).timestamp()


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.peer("idlc")
@pytest.mark.clause("DDSSEC-9.4.1.3.2.2")
def test_permissions_are_renewed_before_they_end(domain: int, tmp_path: Path) -> None:
    config = f"[dds]\npermissions_lifetime = {LIFE}\n" + domain_table(domain) + temperature_route(domain)
    town = DdsTown(tmp_path / "town", config)
    rights = (publish("Office/#"), subscribe("Office/#"))
    for name in ("robot", "viewer"):
        town.enrol(name, rights)
    credentials = town.bundle("robot")
    try:
        town.hub.start()
        first = end_of_permissions(town)
        with (
            town.mqtt("viewer") as viewer,
            cyclone(tmp_path, "talk", domain, "Temperature", credentials=credentials, every=0.05),
            cyclone(tmp_path, "listen", domain, "Temperature", credentials=credentials) as listener,
        ):
            viewer.subscribe("Office/Lobby/Temperature")
            before = json.loads(viewer.message().payload)["counter"]
            while time.time() < first + 2:
                before = json.loads(viewer.message().payload)["counter"]  # none is missing for longer than it waits
            assert len(town.hub.events("dds.domain-joined")) > 1
            assert end_of_permissions(town) > first + LIFE / 4
            assert json.loads(viewer.message().payload)["counter"] > before
            viewer.publish("Office/Attic/Temperature", b"{}")
            sent(viewer, "Office/Attic/Temperature", {"room": "Attic", "celsius": 8.5, "counter": 7}, listener)
    finally:
        town.close()
