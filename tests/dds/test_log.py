"""Cyclone's own log as lines and events; the log topic's bounds. At the running hub: security/test_at_hub.py."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from bridgehead.protocols.dds import listening, log_sink, log_topic
from bridgehead.protocols.dds.codec.types import Enum
from bridgehead.protocols.dds.config import DomainConfig
from bridgehead.protocols.dds.cyclone import library
from bridgehead.protocols.dds.events import LIBRARY_SAID, SECURITY_SAID
from bridgehead.protocols.dds.listening import Listening
from bridgehead.protocols.dds.log_sink import ERROR, WARNING, LogLine, LogSink
from bridgehead.protocols.dds.log_topic import LEVELS, SecurityLog, logging_type
from bridgehead.protocols.dds.participant import Participant

WRONG = b'<CycloneDDS><Domain Id="any"><NoSuch>\x1b[1m</NoSuch></Domain></CycloneDDS>'


class Told(list[tuple[str, dict[str, object]]]):
    def __call__(self, name: str, fields: dict[str, object]) -> None:
        self.append((name, fields))


async def test_the_library_s_words_come_to_the_loop_until_it_is_closed(
    domain: int, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[LogLine] = []
    sink = LogSink(asyncio.get_running_loop(), lambda line, _: heard.append(line))
    assert library().dds_create_domain(domain, WRONG) < 0
    async with asyncio.timeout(10):
        while not heard:
            await asyncio.sleep(0.01)
    sink.close()
    said = [each for each in heard if "NoSuch" in each.text]
    assert said
    assert {each.priority for each in said} <= {ERROR, WARNING}
    assert not any(each.about_security for each in said)
    assert all(each.text.isprintable() for each in heard)
    assert capfd.readouterr().err == ""
    number = len(heard)
    assert library().dds_create_domain(domain, WRONG) < 0
    await asyncio.sleep(0.05)
    assert len(heard) == number
    assert "NoSuch" in capfd.readouterr().err


async def test_lines_that_the_loop_has_no_time_for_are_counted(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sink, "_WAITING", 1)
    heard: list[int] = []
    sink = LogSink(asyncio.get_running_loop(), lambda _, lost: heard.append(lost))
    for _ in range(3):
        assert library().dds_create_domain(domain, WRONG) < 0
    await asyncio.sleep(0)
    sink.close()
    assert len(heard) == 1
    assert heard[0] >= 2


async def test_the_same_words_are_an_event_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    time = [1000.0]
    monkeypatch.setattr(listening, "monotonic", lambda: time[0])
    told = Told()
    ears = Listening(asyncio.get_running_loop(), told)
    refused = LogLine(7, WARNING, "Process handshake failed", True)
    for line in (refused, refused, LogLine(8, WARNING, refused.text, True), LogLine(-1, ERROR, "no memory", False)):
        ears._on_line(line, 0)
    time[0] += 61
    ears._on_line(refused, 3)
    ears.close()
    assert told == [
        (SECURITY_SAID, {"because": "Process handshake failed", "domain": 7}),
        (SECURITY_SAID, {"because": "Process handshake failed", "domain": 8}),
        (LIBRARY_SAID, {"because": "no memory"}),
        (SECURITY_SAID, {"because": "Process handshake failed", "domain": 7, "lost": 3}),
    ]


async def test_what_is_remembered_of_a_flood_of_different_words_is_bounded() -> None:
    ears = Listening(asyncio.get_running_loop(), Told())
    for number in range(1000):
        ears._on_line(LogLine(7, WARNING, f"refused {number}", True), 0)
    ears.close()
    assert len(ears._told) <= 256


class Writer:
    """Keeps what is written; `room`: how much it takes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written: list[dict[str, object]] = []

    def write(self, cdr: bytes, _timestamp: int) -> bool:
        if len(self.written) >= self.room:
            return False
        self.written.append(logging_type().codec.decode(cdr))
        return True


def made(monkeypatch: pytest.MonkeyPatch, room: int = 10_000) -> tuple[SecurityLog, Writer, list[float]]:
    time = [1000.0]
    monkeypatch.setattr(log_topic, "monotonic", lambda: time[0])
    writer = Writer(room)
    monkeypatch.setattr(log_topic, "RawWriter", lambda *_: writer)
    log = SecurityLog(DomainConfig(7))
    log.open(cast(Participant, SimpleNamespace(topic=lambda *_: None)))
    return log, writer, time


def test_a_flood_is_cut_off_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    log, writer, time = made(monkeypatch)
    taken = [log.write(log_topic.WARNING, "dds.security", "no", {"n": n}, 5.25) for n in range(500)]
    assert taken == [True] * 50 + [False] * 450
    time[0] += 1.0
    assert log.write(log_topic.NOTICE, "device.revoked", "gone\0", {"principal": "robot"}, 5.25)
    assert writer.written[-1] | {"hostname": "", "procid": ""} == {
        "facility": 10,
        "severity": "NOTICE_LEVEL",
        "timestamp": {"sec": 5, "nanosec": 250_000_000},
        "hostname": "",
        "hostip": "",
        "appname": "bridgehead",
        "procid": "",
        "msgid": "device.revoked",
        "message": "gone\N{REPLACEMENT CHARACTER}",
        "structured_data": [
            {
                "key": "bridgehead",
                "value": [{"name": "principal", "value": "robot"}, {"name": "left-out", "value": "450"}],
            }
        ],
    }


def test_a_writer_without_room_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    log, writer, _ = made(monkeypatch, room=1)
    assert [log.write(log_topic.WARNING, "dds.security", "no", {}, 1.0) for _ in range(3)] == [True, False, False]
    assert len(writer.written) == 1


@pytest.mark.clause("DDSSEC-9.6")
@pytest.mark.clause("DDSSEC-8.6")
def test_the_levels_are_numbered_as_in_syslog() -> None:
    severity = logging_type().type.member("severity")
    assert severity is not None
    assert isinstance(severity.type, Enum)
    assert severity.type.literals == {name: number for number, name in enumerate(LEVELS)}
