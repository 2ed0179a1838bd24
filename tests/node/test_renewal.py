"""Files that cannot be read are told once per change; the calendar warns once per threshold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bridgehead.node import renewal, vocabulary
from bridgehead.node.configuration import Config, ConfigFile
from bridgehead.node.pki_settings import Pki
from bridgehead.node.renewal import Renewal, maintain
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki.calendar import Ending
from bridgehead.security.pki.settings import read_settings
from tests.security.support import DAY, Time


class Beside:
    """Log, listeners and HTTPS as the renewal sees them."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.version = 0
        self.broken = False
        self.looks = 0
        self.staple = self

    def __call__(self, name: str, fields: Mapping[str, object]) -> None:
        self.told.append((name, fields))

    def tick(self) -> None:
        self.looks += 1

    def stamp(self) -> tuple[tuple[int, int], ...]:
        return ((self.version, 0),)

    def renew_certificates(self) -> None:
        if self.broken:
            raise SecurityError("hub.pem holds no usable certificate")

    def renew(self) -> None:
        """There is nothing to staple."""

    def names(self) -> list[str]:
        return [name for name, _ in self.told]


def made(beside: Any, folder: Path, clock: Time) -> Renewal:
    config = Config(folder, None, ConfigFile())
    return Renewal(lambda: config, beside, beside, beside, clock)


async def test_a_broken_file_is_told_once_per_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "FILES_INTERVAL", 0.001)
    beside = Beside()
    task = asyncio.get_running_loop().create_task(made(beside, tmp_path, Time()).watch())

    async def look() -> None:
        since = beside.looks
        while beside.looks < since + 10:
            await asyncio.sleep(0.001)

    await look()
    assert beside.names() == []
    beside.broken, beside.version = True, 1
    await look()
    assert beside.names() == [vocabulary.CERTIFICATES_UNREADABLE]
    beside.version = 2
    await look()
    assert beside.names() == [vocabulary.CERTIFICATES_UNREADABLE] * 2
    beside.broken, beside.version = False, 3
    await look()
    assert beside.names()[2:] == [vocabulary.CERTIFICATES_LOADED]
    task.cancel()


async def test_each_warning_comes_once(tmp_path: Path) -> None:
    beside, clock = Beside(), Time()
    watch = made(beside, tmp_path, clock)
    ends = clock() + 31 * DAY
    days: list[float] = []
    for _ in range(64):
        watch._warn([Ending("device", "sensor-7", ends)])
        clock.now += DAY / 2
    assert set(beside.names()) == {vocabulary.CERTIFICATE_EXPIRING}
    for _, fields in beside.told:
        assert (fields["what"], fields["name"]) == ("device", "sensor-7")
        days.append(float(str(fields["days"])))
    assert days == [30.0, 14.0, 7.0, 1.0, 0.0]


def test_the_settings_reach_every_command_of_the_folder(tmp_path: Path) -> None:
    config = Config(tmp_path / "data", None, ConfigFile(pki=Pki(device_days=7, url="http://hub.example/")))
    done = maintain(config, Time(), fetch=False)
    settings = read_settings(tmp_path / "data" / "pki")
    assert (settings.device_days, settings.url) == (7, "http://hub.example")
    assert {each.what for each in done.endings} >= {"root", "issuing", "server", "list"}
    assert done.faults == []
