"""The running hub where Cyclone DDS, or its security, is not there: it says what to install, and the rest goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bridgehead.protocols.dds import cyclone
from tests.dds.domains import free_domain
from tests.dds.peers.hands import cyclone as peer
from tests.dds.peers.town import DdsTown, domain_table, first_message, temperature_route

pytestmark = [pytest.mark.peer("idlc")]


@pytest.mark.parametrize("library", [False, True], ids=["no library", "no security"])
def test_what_is_missing_is_said_and_the_rest_goes_on(
    domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: bool
) -> None:
    home = tmp_path / "cyclonedds"
    (home / "lib").mkdir(parents=True)
    if library:
        shutil.copy(cyclone.library_path(), home / "lib" / "libddsc.so")
    with free_domain() as plain:
        config = domain_table(domain) + temperature_route(domain)
        town = DdsTown(
            tmp_path / "town",
            config + domain_table(plain, guest="viewer") + temperature_route(plain, hub="Plain/${room}"),
        )
        town.enrol("viewer")
        monkeypatch.setenv("CYCLONEDDS_HOME", str(home))
        try:
            town.hub.start()
            monkeypatch.delenv("CYCLONEDDS_HOME")
            failed = {each["domain"]: str(each["because"]) for each in town.hub.events("dds.domain-failed")}
            unopened = [str(each["because"]) for each in town.hub.events("dds.route-failed")]
            with town.mqtt("viewer") as viewer:
                viewer.subscribe("#")
                viewer.publish("Office/Lobby/Temperature", b"1")
                assert viewer.message().payload == b"1"
                if library:
                    assert set(failed) == {domain}
                    assert "security plug-ins: install Debian's libddsc0debian, or build Cyclone DDS" in failed[domain]
                    with peer(tmp_path, "talk", plain, "Temperature") as talker:
                        sample = {"room": "Lobby", "celsius": 1.5, "counter": 1}
                        assert first_message(viewer, lambda: talker.order(write=sample)).topic == "Plain/Lobby"
                else:
                    assert set(failed) == {domain, plain}
                    assert len(unopened) == 2
                    for because in [*failed.values(), *unopened]:
                        assert "DDS needs the Python binding of Cyclone DDS (Failed to load CycloneDDS" in because
                        assert "install cyclonedds-dev and cyclonedds-tools (Debian)" in because
            assert town.hub.stop() == 0
        finally:
            town.close()
