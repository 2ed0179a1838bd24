"""Every kind of act at the real hub, and its line in the audit log: when in UTC, who, from where, over what and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridgehead.cli.main import run
from bridgehead.protocols.mqtt.codec.packets import Will
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.security.audit.folder import FOLDER
from bridgehead.security.audit.verify import verify
from bridgehead.security.audit.vocabulary import KINDS
from tests.cli.hub import wait_until
from tests.peers.raw import Raw
from tests.peers.town import SECRET, Town, may_both

Line = dict[str, object]


class Story:
    """What the audit log of one hub says, from its first start to its last stop."""

    def __init__(self, lines: list[Line], began: datetime, ended: datetime) -> None:
        self.lines = lines
        self.began = began
        self.ended = ended

    def of(self, event: str, **fields: object) -> Line:
        """The first line that says so."""
        return next(
            line
            for line in self.lines
            if line["event"] == event and all(line.get(name) == value for name, value in fields.items())
        )


def act(town: Town, *words: str | Path, code: int = 0) -> None:
    assert run([*map(str, words), "--data", str(town.hub.data)]) == code


def events(town: Town, name: str, count: int) -> None:
    wait_until(name, lambda: len(town.hub.events(name)) >= count)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("town")
    began = datetime.now(UTC)
    with Town(folder) as town:
        town.add("sensor", may_both("a/#"))
        town.add("office", may_both("a/#"))
        sensor, office = town.client("sensor"), town.client("office")
        town.guest("sensor", "sensor-2").disconnect()
        # Who is not let in, and why.
        for client_id, name, password in (
            ("sensor", "sensor", "wrong"),
            ("nobody", "nobody", SECRET),
            ("office", "sensor", SECRET),
        ):
            town.raw().connect(client_id, name, password)
        # Who is in, and may not.
        sensor.publish("b", b"x", 1)
        sensor.subscribe("b")
        Raw(town.tls("sensor")).connect("sensor-3", will=Will("b", b"", 0, False, NO_PROPERTIES))
        office.subscribe("a/#")
        # Administration, policy, configuration, certificates, revocation; and what is refused of them.
        act(town, "device", "add", "two", "--generate-password")
        act(town, "device", "add", "two", "--generate-password", code=2)
        (folder / "new.policy").write_text("device office\n  allow subscribe c/#\n")
        act(town, "policy", "apply", folder / "new.policy")
        events(town, "subscription.withdrawn", 1)
        town.hub.reload()
        events(town, "node.reloaded", 1)
        town.hub.reload("nonsense")
        events(town, "node.reload-failed", 1)
        act(town, "ca", "issue", "site", "--profile", "administrator", "--out", folder / "site")
        act(town, "device", "revoke", "sensor")
        sensor.rest()
        assert town.hub.stop() == 0
        path = town.hub.data / FOLDER
        assert verify(path).intact
        lines = [json.loads(line) for file in sorted(path.glob("*.jsonl")) for line in file.read_bytes().splitlines()]
        yield Story(lines, began, datetime.now(UTC))


def test_every_kind_is_there_with_its_time_in_utc(story: Story) -> None:
    assert {line["kind"] for line in story.lines} == set(KINDS)
    for line in story.lines:
        assert str(line["time"]).endswith("Z")
        at = datetime.fromisoformat(str(line["time"]))
        assert story.began - timedelta(milliseconds=1) <= at <= story.ended
    assert [line["n"] for line in story.lines] == list(range(1, len(story.lines) + 1))


@pytest.mark.parametrize(
    ("event", "kind", "fields", "because"),
    [
        ("authentication.accepted", "log-in", {"principal": "sensor", "by": "certificate"}, None),
        ("authentication.accepted", "log-in", {"principal": "sensor", "by": "password"}, None),
        ("authentication.refused", "refusal", {"claimed": "sensor", "client_id": "sensor"}, "the password is not"),
        ("authentication.refused", "refusal", {"claimed": "nobody"}, "no device"),
        ("authentication.refused", "refusal", {"client_id": "office"}, "may not use this client identifier"),
        ("publish.denied", "denial", {"principal": "sensor", "topic": "b"}, "no permission of 'sensor'"),
        ("subscribe.denied", "denial", {"principal": "sensor", "filter": "b"}, "no permission of 'sensor'"),
        ("will.denied", "denial", {"principal": "sensor", "topic": "b"}, "no permission of 'sensor'"),
        ("subscription.withdrawn", "denial", {"principal": "office", "filter": "a/#"}, "no permission of 'office'"),
    ],
)
def test_who_from_where_over_what_and_why(
    story: Story, event: str, kind: str, fields: dict[str, object], because: str | None
) -> None:
    line = story.of(event, **fields)
    assert line["kind"] == kind
    assert str(line["address"]).startswith("127.0.0.1:")
    assert line["protocol"] == "mqtt"
    assert because is None or because in str(line["because"])


@pytest.mark.parametrize(
    ("event", "kind", "fields"),
    [
        ("device.added", "administration", {"principal": "two"}),
        ("act.refused", "administration", {"principal": "two", "act": "add"}),
        ("policy.applied", "policy", {"source": "new.policy"}),
        ("ca.issued", "certificate", {}),
        ("device.revoked", "revocation", {"principal": "sensor"}),
    ],
)
def test_acts_of_commands_say_who_acted(story: Story, event: str, kind: str, fields: dict[str, object]) -> None:
    line = story.of(event, **fields)
    assert line["kind"] == kind
    assert "uid" in str(line["by"])


def test_the_run_and_its_configuration(story: Story) -> None:
    told = [line["event"] for line in story.lines if line["kind"] in ("run", "configuration")]
    milestones = ("node.starting", "node.ready", "node.reloaded", "node.reload-failed", "node.stopping", "node.stopped")
    assert [event for event in told if event in milestones] == list(milestones)
    assert "hub.toml:1" in str(story.of("node.reload-failed")["because"])
    assert story.of("identity.ended")["principal"] == "sensor"
    assert SECRET not in json.dumps(story.lines)
