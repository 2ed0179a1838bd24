"""The live view: readings, who sent them, how they proved it, which permission let them through; and the intruder."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any

import people
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.principals import Principals

ROWS = 8


def _unheard(name: str, fields: dict[str, object]) -> None:
    """The stage tells what it sees, not what the registry has to say."""


class Stage:
    """On a terminal a view that is drawn anew four times a second; elsewhere a line for each thing that happens."""

    def __init__(self, console: Console, data: Path, cast: list[str], has_plant: bool) -> None:
        self._console = console
        self._has_plant = has_plant
        self._plant: deque[str] = deque(maxlen=4)
        self._killed: float | None = None  # when a controller was killed whose stand-by isn't heard yet
        self._gaps: list[float] = []
        self._shown: dict[str, int] = {}  # by topic: the second in which it was told last
        self._readings: deque[tuple[str, float, str]] = deque(maxlen=ROWS)
        self._displayed: dict[str, tuple[float, int]] = {}  # by topic: the last reading, and how many came
        self._tries: deque[tuple[str, str, str]] = deque(maxlen=ROWS)
        self._notices: deque[str] = deque(maxlen=3)
        self._proof: dict[str, str] = {}
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self._source = ""
        self._received = 0
        self._refused = 0
        registry = Registry(data)
        try:
            device = registry.existing_device(cast[0])
            sensor = Principals(Directory(registry), _unheard).of(device)
        finally:
            registry.close()
        self._sender = sensor.name
        self._because = sensor.explain_publish(people.TEMPERATURE, 1, True).because
        self._live = console.is_terminal

    def _line(self, text: str) -> None:
        if not self._live:
            self._console.print(text, soft_wrap=True)

    def logged(self, record: dict[str, Any]) -> None:
        """A line of the hub's log."""
        name = record.get("event")
        if name == "authentication.accepted":
            self._proof[str(record["principal"])] = str(record["by"])
            self._line(f"   the hub: {record['principal']} proved itself by {record['by']}")
            if self._sender in self._proof:
                waiting, self._waiting = self._waiting, []
                for who, told in waiting:
                    self.told(who, told)
        elif name == "dds.owner-changed":
            self._owner(str(record["principal"]), datetime.fromisoformat(record["time"]).timestamp())
        elif name in ("publish.denied", "subscribe.denied"):
            self._line(f"   the hub: refused, because {record['because']}")

    def killed(self, name: str, when: float) -> None:
        """A controller, on stage; `when` in seconds since the epoch."""
        self._killed = when
        self._tell_plant(f"{name} is killed (SIGKILL)")

    def _owner(self, name: str, when: float) -> None:
        """Another controller is heard, as the hub says."""
        if self._killed is None:
            self._tell_plant(f"{name} is heard: it is the stronger one that lives")
            return
        gap, self._killed = when - self._killed, None
        self._gaps.append(gap)
        self._tell_plant(f"{name}, which stood by, is heard {gap * 1000:.0f} ms later")

    def _tell_plant(self, text: str) -> None:
        self._plant.append(f"{time.strftime('%H:%M:%S')}  {text}")
        self._line(f"   the plant: {text}")

    def told(self, name: str, told: dict[str, Any]) -> None:
        """What a client says."""
        event = told["event"]
        if event == "source":
            self._source = str(told["source"])
            self._line(f"   {name} reads {self._source}")
        elif event == "received" and self._sender not in self._proof:
            self._waiting.append((name, told))  # it was quicker than the hub's log
        elif event == "received":
            self._received += 1
            clock = time.strftime("%H:%M:%S")
            self._readings.append((clock, told["reading"], told["topic"]))
            proof = self._proof[self._sender]
            self._line(f"   {clock}  {told['topic']}  {told['reading']:.2f} °C  from {self._sender} (by {proof})")
            if self._received == 1:
                self._line(f"   let through because {self._because}")
        elif event == "displayed":
            topic, reading = str(told["topic"]), float(told["reading"])
            self._displayed[topic] = (reading, self._displayed.get(topic, (0.0, 0))[1] + 1)
            if self._shown.get(topic) != int(time.monotonic()):  # the plant says it twenty times a second
                self._shown[topic] = int(time.monotonic())
                self._line(f"   {name} shows {topic}  {reading:.2f} °C  (CoAP, observed)")
        elif event == "controls":
            self._tell_plant(f"{name} writes the temperature of {told['hall']}, with strength {told['strength']}")
        elif event == "notice":
            self._notices.append(str(told["text"]))
            self._line(f"   {name} tells people: {told['text']}")
        elif event == "tried":
            self._refused += 1
            self._tries.append((str(told["what"]), str(told["answer"]), str(told["why"])))
            self._line(f"   {name} tried to {told['what']}: {told['answer']} ({told['why']})")

    async def run(self) -> None:
        if not self._live:
            await asyncio.Event().wait()
        with Live(self._view(), console=self._console, refresh_per_second=4) as live:
            while True:
                await asyncio.sleep(0.25)
                live.update(self._view())

    def _view(self) -> Group:
        readings = Table(title=f"Readings from {self._source or '…'}", expand=True)
        for column in ("time", "topic", "reading", "sent by", "proved by"):
            readings.add_column(column)
        for clock, reading, topic in self._readings:
            proof = f"{self._proof[self._sender]} over TLS"
            readings.add_row(clock, topic, f"{reading:.2f} °C", self._sender, proof)
        tries = Table(title=f"The intruder, refused {self._refused} times", expand=True)
        for column in ("tried to", "answer", "why"):
            tries.add_column(column)
        for what, answer, why in self._tries:
            tries.add_row(what, Text(answer, "red"), why)
        display = Table(title="The corridor's display: CoAP over DTLS, raw public key", expand=True)
        for column in ("topic", "reading", "notifications"):
            display.add_column(column)
        for topic, (reading, count) in sorted(self._displayed.items()):
            display.add_row(topic, f"{reading:.2f} °C", str(count))
        notices = Text("\n".join(self._notices) or "nobody has to be told yet")
        return Group(
            readings,
            display,
            Panel(self._because, title="which permission let them through"),
            *(
                [Panel(Text("\n".join(self._plant)), title="the plant: two controllers in a secured DDS domain")]
                if self._has_plant
                else []
            ),
            Panel(notices, title="the office control tells people: AMQP, by tokens of the company's login"),
            tries,
            Text("Ctrl-C ends all.", "dim"),
        )

    def close(self) -> bool:
        """The end of the play, with its count. False when a reading over either protocol or the refusal is missing."""
        shown = sum(count for _, count in self._displayed.values())
        self._console.print(
            f"Time is up: {self._received} readings arrived over AMQP and {shown} over CoAP, "
            f"the intruder was refused {self._refused} times, "
            f"people were told {len(self._notices)} times.",
            soft_wrap=True,
        )
        if self._has_plant:
            gaps = ", ".join(f"{gap * 1000:.0f}" for gap in self._gaps)
            self._console.print(
                f"A controller was killed {len(self._gaps)} times; the stand-by was heard after {gaps or '-'} ms.",
                soft_wrap=True,
            )
        crossed = self._received > 0 and len(self._displayed) > 1 + self._has_plant
        return crossed and self._refused > 0 and (bool(self._gaps) or not self._has_plant)
