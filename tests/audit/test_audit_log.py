"""The hub's side: never blocks, loses nothing that must be kept, says when it cannot write."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security.audit import log as module
from bridgehead.security.audit.folder import FOLDER
from bridgehead.security.audit.journal import Entry, Journal
from bridgehead.security.audit.log import QUOTA, AuditLog, source_of
from bridgehead.security.audit.settings import Rules
from bridgehead.security.audit.verify import verify
from bridgehead.security.errors import SecurityError
from tests.audit.support import Time
from tests.cli.hub import wait_until

PATIENCE = 20.0


class Hub:
    """An audit log with what it told the hub's own log; `break_disk` lets no line through until `mend`."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = data
        self.told: list[tuple[str, dict[str, object]]] = []
        self.time = Time()
        self.broken = threading.Event()
        append = Journal.append

        def appending(journal: Journal, entries: list[Entry]) -> list[bytes]:
            if self.broken.is_set():
                raise SecurityError("cannot write the audit log: no space left on device")
            return append(journal, entries)

        monkeypatch.setattr(Journal, "append", appending)
        monkeypatch.setattr(module, "_RETRY", 0.01)
        monkeypatch.setattr(module, "_IDLE", 0.01)
        self.log = self.open()

    def open(self, refuse: bool = False) -> AuditLog:
        return AuditLog(self.data, Rules(), self.tell, refuse=refuse, clock=self.time)

    def tell(self, event: str, fields: dict[str, object]) -> None:
        self.told.append((event, fields))

    def contents(self) -> list[dict[str, object]]:
        return [
            json.loads(line)
            for path in sorted((self.data / FOLDER).glob("audit-*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]

    def events(self) -> list[str]:
        return [str(content["event"]) for content in self.contents()]

    def names_told(self) -> list[str]:
        self.log.tick()
        return [event for event, _ in self.told]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    one = Hub(tmp_path / "data", monkeypatch)
    yield one
    one.broken.clear()
    one.log.close()


def test_what_is_recorded_is_on_disk_a_moment_later(hub: Hub) -> None:
    hub.log.record("authentication.accepted", {"principal": "sensor-7", "address": "192.0.2.1:5"})
    assert hub.log.flush(PATIENCE)
    assert [content["principal"] for content in hub.contents() if "principal" in content] == ["sensor-7"]


def test_ordinary_traffic_is_not_recorded(hub: Hub) -> None:
    before = len(hub.events())
    for event in ("connection.accepted", "session.created", "will.published", "weather.changed"):
        hub.log.record(event, {})
    assert hub.log.flush(PATIENCE)
    assert len(hub.events()) == before


def test_the_caller_does_not_wait_for_the_disk(hub: Hub) -> None:
    hub.broken.set()
    for number in range(1000):
        hub.log.record("authentication.accepted", {"principal": f"sensor-{number}"})
    assert not hub.log.flush(0.05)  # they all returned, and nothing is on disk
    hub.broken.clear()
    assert hub.log.flush(PATIENCE)
    assert hub.events().count("authentication.accepted") == 1000


def test_log_ins_and_administration_are_never_left_out(hub: Hub) -> None:
    for _ in range(5 * QUOTA):
        hub.log.record("authentication.accepted", {"principal": "sensor-7"})
    for _ in range(5 * QUOTA):
        hub.log.record("device.revoked", {"principal": "sensor-7"})
    assert hub.log.flush(PATIENCE)
    assert hub.events().count("authentication.accepted") == 5 * QUOTA
    assert hub.events().count("device.revoked") == 5 * QUOTA


def test_a_flood_of_refusals_becomes_a_counted_line(hub: Hub) -> None:
    for _ in range(3000):
        hub.log.record("authentication.refused", {"address": "192.0.2.1:1234", "claimed": "sensor-7"})
    for port in range(50):
        hub.log.record("authentication.refused", {"address": f"192.0.2.2:{port}", "claimed": "sensor-8"})
    assert hub.log.flush(PATIENCE)
    refused = [content for content in hub.contents() if content["event"] == "authentication.refused"]
    assert sum(content["claimed"] == "sensor-7" for content in refused) == QUOTA // 4
    assert sum(content["claimed"] == "sensor-8" for content in refused) == 50
    hub.time.now += 61
    hub.log.tick()
    assert hub.log.flush(PATIENCE)
    (summary,) = [content for content in hub.contents() if content["event"] == "audit.summary"]
    assert (summary["of"], summary["count"]) == ("authentication.refused", 3000 - QUOTA // 4)


def test_closing_writes_what_waits_counts_the_flood_and_signs(hub: Hub) -> None:
    for _ in range(200):
        hub.log.record("publish.denied", {"principal": "sensor-7"})
    hub.log.record("node.stopped", {})
    hub.log.close()
    assert hub.events().count("publish.denied") == QUOTA // 4
    assert hub.events()[-3:] == ["node.stopped", "audit.summary", "audit.checkpoint"]
    report = verify(hub.data / FOLDER)
    assert report.intact
    assert report.uncovered == 0


def test_a_disk_that_is_full_is_told_once_and_nothing_is_lost(hub: Hub) -> None:
    hub.broken.set()
    hub.log.record("device.added", {"name": "a"})
    wait_until("the failure is told", lambda: "audit.failed" in hub.names_told())
    hub.log.record("device.added", {"name": "b"})
    assert hub.log.failing() == ""  # only with on_failure = "refuse"
    hub.broken.clear()
    wait_until("it works again", lambda: "audit.recovered" in hub.names_told())
    assert hub.names_told() == ["audit.failed", "audit.recovered"]
    assert "no space left on device" in str(hub.told[0][1]["because"])
    assert [content.get("name") for content in hub.contents() if content["event"] == "device.added"] == ["a", "b"]
    assert "audit.recovered" in hub.events()


def test_with_refuse_nobody_is_let_in_until_lines_can_be_written(hub: Hub) -> None:
    hub.log.close()
    hub.log = hub.open(refuse=True)
    assert hub.log.failing() == ""
    hub.broken.set()
    hub.log.record("authentication.accepted", {"principal": "sensor-7"})
    wait_until("it refuses", lambda: hub.log.failing() != "")
    assert "no space left on device" in hub.log.failing()
    hub.broken.clear()
    wait_until("it admits again", lambda: hub.log.failing() == "")
    assert "authentication.accepted" in hub.events()


def test_what_finds_no_room_is_counted(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be kept may use twice the room, and what strangers cause leaves it the most of that."""
    monkeypatch.setattr(module, "CEILING", 1000)
    hub.broken.set()
    for number in range(5 * QUOTA):
        hub.log.record("publish.denied", {"principal": f"sensor-{number}"})  # bounded by their quota
    for _ in range(2000):
        hub.log.record("authentication.accepted", {"principal": "sensor-7"})
    lost = QUOTA
    hub.broken.clear()
    assert hub.log.flush(PATIENCE)
    wait_until("the loss is told", lambda: "audit.lines-lost" in hub.events())
    (line,) = [content for content in hub.contents() if content["event"] == "audit.lines-lost"]
    assert line["count"] == lost
    assert verify(hub.data / FOLDER).intact


def test_a_thread_that_died_admits_nobody_with_refuse(hub: Hub) -> None:
    hub.log.close()
    hub.log = hub.open(refuse=True)
    hub.log.close()
    assert "by a defect" in hub.log.failing()


SOURCES: list[tuple[dict[str, object], str]] = [
    ({"principal": "sensor-7", "address": "192.0.2.1:1"}, "sensor-7"),
    ({"address": "192.0.2.1:1"}, "192.0.2.1"),
    ({"peer": "[2001:db8::1]:1"}, "[2001:db8::1]"),
    ({}, ""),
]


@pytest.mark.parametrize(("fields", "source"), SOURCES)
def test_a_flood_is_counted_by_who_causes_it(fields: dict[str, object], source: str) -> None:
    assert source_of(fields) == source


def test_other_rules_hold_from_the_next_line_on(hub: Hub) -> None:
    hub.log.reconfigure(Rules(file_size=4096), False, None)
    for _ in range(2):
        for number in range(40):
            hub.log.record("device.added", {"name": f"device-{number}"})
        assert hub.log.flush(PATIENCE)
    assert (hub.data / FOLDER / "audit-000002.jsonl").exists()


def test_a_folder_that_cannot_be_written_keeps_the_hub_from_starting(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(0o700)
    (data / FOLDER).write_text("")
    with pytest.raises(SecurityError, match="audit"):
        AuditLog(data, Rules(), print)
