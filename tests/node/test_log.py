"""The log: two formats, no secrets, no forged lines, no floods."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.broker import events
from bridgehead.node import vocabulary
from bridgehead.node.configuration import Log
from bridgehead.node.log import EventLog, JsonFormatter, TextFormatter
from bridgehead.security.audit.fields import clean
from bridgehead.security.audit.log import AuditLog
from bridgehead.security.audit.settings import Rules
from bridgehead.security.audit.throttle import Throttle


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Written:
    """A log that writes JSON lines to a file, and what it has written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.time = Time()
        self.settings = Log(format="json", file=str(path))
        self.log = EventLog(self.settings, self.time)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    one = Written(tmp_path / "hub.log")
    yield one
    one.log.close()


def test_an_event_becomes_one_json_line(written: Written) -> None:
    written.log(events.PUBLISH_DENIED, {"principal": "sensor-7", "qos": 1, "retain": False, "because": "no permission"})
    (line,) = written.lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("time")))
    assert line == {
        "level": "warning",
        "event": "publish.denied",
        "principal": "sensor-7",
        "qos": 1,
        "retain": False,
        "because": "no permission",
    }


def test_the_file_is_for_its_owner_only(written: Written) -> None:
    written.log(vocabulary.READY, {})
    assert written.path.stat().st_mode & 0o777 == 0o600


def text_of(fields: dict[str, object], colour: bool = False) -> str:
    record = logging.LogRecord("bridgehead", logging.WARNING, "", 0, "%s", ("e",), None)
    record.bridgehead_event = "peer.event"
    record.bridgehead_fields = fields
    return TextFormatter(colour).format(record)


def test_a_line_of_text_reads_as_a_sentence() -> None:
    line = text_of({"principal": "a", "topic": "b c", "count": 3, "empty": "", "because": 'it is "so"'})
    assert line.split(" ", 1)[1] == 'warning peer.event principal=a topic="b c" count=3 empty="": it is "so"'


def test_colour_only_where_asked() -> None:
    assert "\x1b" not in text_of({})
    assert "\x1b[33mwarning\x1b[0m" in text_of({}, colour=True)


@given(st.text(), st.text())
def test_no_peer_writes_a_line_or_a_control_character_of_its_own(value: str, because: str) -> None:
    line = text_of({"client_id": value, "because": because})
    assert line.isprintable()
    record = logging.LogRecord("bridgehead", logging.WARNING, "", 0, "%s", ("e",), None)
    record.bridgehead_event = "peer.event"
    record.bridgehead_fields = {"client_id": value, "because": because}
    as_json = JsonFormatter().format(record)
    assert as_json.isascii()
    assert as_json.isprintable()
    assert json.loads(as_json)["client_id"][:256] == value[:256]


def test_a_field_cannot_pose_as_time_level_or_event(written: Written) -> None:
    written.log(events.REFUSED, {"event": "node.ready", "level": "debug", "time": "never"})
    (line,) = written.lines()
    assert (line["event"], line["level"]) == ("connection.refused", "warning")
    assert line["time"] != "never"


def test_secrets_and_octets_are_never_written(written: Written) -> None:
    fields: dict[str, object] = {"password": "hunter2", "ClientSecret": "hunter2", "payload": b"hunter2", "token": 5}
    written.log(events.REFUSED, fields)
    assert "hunter2" not in written.path.read_text()
    (line,) = written.lines()
    assert line["password"] == "***"
    assert line["payload"] == "<7 octets>"


def test_long_values_are_cut() -> None:
    cut = clean({"client_id": "x" * 65535, "because": "y" * 65535, "many": ["z" * 100] * 100})
    assert [len(str(value)) < 1100 for value in cut.values()] == [True, True, True]
    assert str(cut["client_id"]).endswith("… (65535 characters)")


def test_infinity_is_no_json_number() -> None:
    assert clean({"until": float("inf"), "for": 1.5}) == {"until": "inf", "for": 1.5}


def test_a_flood_becomes_a_counted_line(written: Written) -> None:
    for number in range(10_000):
        written.log(events.REFUSED, {"address": f"10.0.{number % 250}.{number // 250}:1", "because": "no"})
    quota = vocabulary.VOCABULARY[events.REFUSED].quota
    assert len(written.lines()) == quota
    written.time.now += vocabulary.WINDOW
    written.log.tick()
    last = written.lines()[-1]
    assert (last["event"], last["of"], last["count"]) == ("log.suppressed", "connection.refused", 10_000 - quota)
    written.log(events.REFUSED, {"address": "10.0.0.1:1", "because": "no"})
    assert written.lines()[-1]["event"] == "connection.refused"


def test_one_flood_does_not_hide_what_others_do(written: Written) -> None:
    for port in range(1000):
        written.log(events.REFUSED, {"address": f"10.0.0.1:{port + 1000}", "because": "flood"})
    written.log(events.REFUSED, {"address": "10.0.0.2:1000", "because": "somebody else"})
    assert written.lines()[-1]["because"] == "somebody else"


def test_what_was_left_out_is_told_at_the_end(written: Written) -> None:
    for _ in range(1000):
        written.log(events.QUEUE_FULL, {"principal": "a"})
    written.log.close()
    assert written.lines()[-1]["of"] == "queue.full"


def test_events_below_the_level_cost_nothing(written: Written) -> None:
    written.log(events.SESSION_CREATED, {"principal": "a"})
    assert written.lines() == []
    written.log.reconfigure(Log(level="debug", format="json", file=str(written.path)))
    written.log(events.SESSION_CREATED, {"principal": "a"})
    assert [line["event"] for line in written.lines()] == ["session.created"]


def test_a_rotated_file_is_opened_anew(written: Written) -> None:
    written.log(vocabulary.READY, {})
    written.path.rename(written.path.with_suffix(".1"))
    written.log.reconfigure(written.settings)
    written.log(vocabulary.STOPPED, {})
    assert [line["event"] for line in written.lines()] == ["node.stopped"]


def test_a_file_that_cannot_be_opened_leaves_the_old_one(written: Written, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        written.log.reconfigure(Log(file=str(tmp_path / "none" / "hub.log")))
    written.log(vocabulary.READY, {})
    assert [line["event"] for line in written.lines()] == ["node.ready"]


def test_other_libraries_complaints_are_written_with_their_trace(written: Written) -> None:
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("asyncio").exception("Task failed")
    (line,) = written.lines()
    assert (line["event"], line["logger"], line["because"]) == ("node.defect", "asyncio", "Task failed")
    assert "ValueError: boom" in str(line["traceback"])


def test_other_libraries_cannot_flood_either(written: Written) -> None:
    for _ in range(1000):
        logging.getLogger("asyncio").error("again")
    assert len(written.lines()) == vocabulary.VOCABULARY[vocabulary.DEFECT].quota


def test_a_full_disk_is_counted_and_told_later(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = next(one for one in logging.getLogger().handlers if hasattr(one, "lost"))
    assert isinstance(handler, logging.StreamHandler)

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    usual = handler.setStream(Full())
    written.log(vocabulary.READY, {})
    written.log(vocabulary.STOPPED, {})
    handler.setStream(usual)
    written.log.tick()
    assert [(line["event"], line["count"]) for line in written.lines()] == [("log.lines-lost", 2)]


def test_without_a_terminal_the_format_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    log = EventLog(Log())
    log(vocabulary.READY, {"listeners": "mqtts=127.0.0.1:1"})
    log.close()
    assert json.loads(capsys.readouterr().err)["listeners"] == "mqtts=127.0.0.1:1"


def test_the_throttle_is_bounded() -> None:
    throttle = Throttle(60.0)
    admitted = sum(throttle.admit(f"event-{number}", "", 20, 0.0) for number in range(5000))
    assert admitted == 1024
    for number in range(5000):
        throttle.admit("event-0", f"source-{number}", 10_000, 0.0)
    assert throttle.due(59.9) == []
    assert throttle.due(60.0) == []
    assert throttle.admit("event-4000", "", 20, 61.0)


def names_of(module: Path) -> set[str]:
    """The event names that a module defines: `NAME: Final = "a.b"`."""
    found = set()
    for node in ast.parse(module.read_text()).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            found.add(node.value.value)
    return found


def test_every_event_has_a_level_and_a_quota() -> None:
    package = Path(__file__).parents[2] / "src" / "bridgehead"
    rooms = ("broker", "protocols/dds", "security", "security/audit", "security/policy", "transport")
    modules = [*(f"{room}/events.py" for room in rooms), "node/vocabulary.py"]
    names = set().union(*(names_of(package / module) for module in modules))
    assert "publish.denied" in names
    assert "node.ready" in names
    assert names == set(vocabulary.VOCABULARY)


def test_what_is_audited_can_be_waited_for(written: Written, tmp_path: Path) -> None:
    assert written.log.is_audited(0.0)  # nothing is kept, so nothing is missing
    audit = AuditLog(tmp_path / "data", Rules(), written.log.write)
    written.log.audit = audit
    written.log("device.added", {"principal": "sensor-7"})
    assert written.log.is_audited(20.0)
    assert b"device.added" in (tmp_path / "data" / "audit" / "audit-000001.jsonl").read_bytes()
    audit.close()
    assert "device.added" in written.path.read_text()
