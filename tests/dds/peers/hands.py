"""Peers of DDS as processes that do what a line says (tests/peers/dds), each with its end of one topic."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tests.cli.hub import PATIENCE

PEERS: Final = Path(__file__).resolve().parents[2] / "peers" / "dds"
FASTDDS: Final = str(PEERS / "fastdds" / "build" / "peer")
ROS2: Final = str(PEERS / "venv" / "bin" / "python")
CYCLONE: Final = (sys.executable, str(PEERS / "cyclone_peer.py"))
IDL: Final = PEERS / "fastdds" / "peer.idl"

INDICES: Final = itertools.cycle(range(20, 60))  # of participants that are told theirs; others take the lowest

Told = dict[str, Any]


class Hands:
    """A peer's process. What it tells is kept, in `told`, from the beginning."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log: Final = log
        self.told: Final[list[Told]] = []
        self._changed: Final = threading.Condition()
        with log.open("ab") as errors:
            self.process: Final = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        self._ears: Final = threading.Thread(target=self._listen, daemon=True)
        self._ears.start()

    def __enter__(self) -> Hands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.told.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def order(self, **what: object) -> None:
        """In JSON, as the scripts take it."""
        self.say(json.dumps(what))

    def orders(self, *words: object) -> None:
        """In fields between tabs, as the Fast DDS program takes it."""
        self.say("\t".join(map(str, words)))

    def wait_for(
        self, what: str, wanted: Callable[[Told], bool], meanwhile: Callable[[], object] | None = None
    ) -> Told:
        """The first thing told that is `wanted`; `meanwhile` is done again and again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._changed:
                ended = not self._ears.is_alive()
                for each in self.told:
                    if wanted(each):
                        return each
                assert not ended, f"ended before {what}: {self.told[-5:]} {self.log.read_text()}"
                assert time.monotonic() < deadline, f"not told: {what}, but {self.told[-5:]} {self.log.read_text()}"
                self._changed.wait(0.2)
            if meanwhile is not None:
                meanwhile()

    def ready(self) -> Hands:
        self.wait_for("ready", lambda told: "ready" in told)
        return self

    def matched(self, count: int = 1) -> Hands:
        """Until so many ends of others are matched (the last that was told)."""
        self.wait_for(f"{count} matched", lambda told: told.get("matched", 0) >= count)
        return self

    def sample(self, **fields: object) -> Told:
        """Until a sample with these fields came."""

        def wanted(told: Told) -> bool:
            return "sample" in told and fields.items() <= told["sample"].items()

        return self.wait_for(f"a sample with {fields}", wanted)

    def samples(self) -> list[Any]:
        """The samples told so far."""
        with self._changed:
            return [each["sample"] for each in self.told if "sample" in each]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        """Let it end by itself, as its input does."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._ears.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # what it was told last, it never read


def _options(options: dict[str, object]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]


def cyclone(folder: Path, does: str, domain: int, topic: str, kind: str = "Temperature", **options: object) -> Hands:
    """`kind`: Temperature, Numbered, String. Ready when it returns."""
    return cyclone_hands(folder, does, domain, topic, kind, **options).ready()


def cyclone_hands(
    folder: Path, does: str, domain: int, topic: str, kind: str = "Temperature", **options: object
) -> Hands:
    """As `cyclone`, but it may be refused what it wants."""
    command = [*CYCLONE, does, str(domain), topic, kind, *_options(options)]
    return Hands(command, folder / f"cyclone-{does}.log", {"CYCLONEDDS_URI": ""})


def fastdds(folder: Path, does: str, domain: int, topic: str, kind: str, **options: object) -> Hands:
    """`kind`: office::Temperature, std_msgs::msg::dds_::String_. Ready when it returns.

    On ports of its own: a secured one that is gone before all keys are exchanged is in the way of the next one on its
    ports (docs/dds-security.md, "What can keep a secured participant from being matched").
    """
    options["index"] = next(INDICES)
    command = [FASTDDS, does, str(domain), topic, kind, *_options(options)]
    return Hands(command, folder / f"fastdds-{does}.log").ready()


def ros2(folder: Path, does: str, domain: int, topic: str, kind: str) -> Hands:
    """`kind` as std_msgs/String. Ready when it returns."""
    environment = {
        "ROS_DOMAIN_ID": str(domain),
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(PEERS / "ros2_loopback.xml"),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",  # else rmw sets up transports of its own
        "ROS_LOG_DIR": str(folder / "ros-log"),
        "PYTHONPATH": "",
    }
    command = [ROS2, str(PEERS / "ros2_peer.py"), does, topic, kind]
    return Hands(command, folder / f"ros2-{does}.log", environment).ready()
