"""What a load run is asked to do."""

from __future__ import annotations

import ssl

from bridgehead.cli.load.frames import SMALLEST_PAYLOAD
from bridgehead.protocols.mqtt.client.target import Target

PAIRS = "pairs"
ALL = "all"
LAYOUTS = (PAIRS, ALL)
LARGEST_WINDOW = 16_000  # Packet Identifiers end at 65,535 and the ring holds up to four windows
LARGEST_PAYLOAD = 100_000_000


class PlanError(ValueError):
    """The options do not go together. The text says what to change."""


class Access:
    """How the run's connections identify themselves. Client identifiers are `client_id` + a letter + a number."""

    def __init__(
        self,
        target: Target,
        client_id: str,
        user_name: str | None = None,
        password: bytes | None = None,
        tls: ssl.SSLContext | None = None,
        version: int = 5,
        timeout: float = 10.0,
    ) -> None:
        self.target = target
        self.client_id = client_id
        self.user_name = user_name
        self.password = password
        self.tls = tls
        self.version = version
        self.timeout = timeout


class Plan:
    """Counts, sizes and times of one run. `size` is the payload in octets; `rate` is in messages per second of all
    publishers together and 0 for as fast as the window lets; `window` is in messages per publisher."""

    def __init__(
        self,
        publishers: int = 1,
        subscribers: int = 1,
        qos: int = 0,
        size: int = 64,
        window: int = 100,
        rate: float = 0.0,
        seconds: float = 5.0,
        warm_up: float = 1.0,
        layout: str = "",
        topic: str = "bench",
        topics: int = 1,
        retain: bool = False,
        durable: bool = False,
        pids: list[int] | None = None,
    ) -> None:
        self.publishers = publishers
        self.subscribers = subscribers
        self.qos = qos
        self.size = size
        self.window = window
        self.rate = rate
        self.seconds = seconds
        self.warm_up = warm_up
        self.layout = layout or (PAIRS if publishers == subscribers else ALL)
        self.topic = topic
        self.topics = topics
        self.retain = retain
        self.durable = durable
        self.pids = list(pids or [])
        self.check()

    def check(self) -> None:
        if self.publishers < 1 or self.subscribers < 0 or self.publishers > 65_535:
            raise PlanError("a run needs 1 to 65535 publishers and 0 or more subscribers")
        if self.layout not in LAYOUTS:
            raise PlanError(f"the layout is one of {', '.join(LAYOUTS)}")
        if self.layout == PAIRS and self.publishers != self.subscribers:
            raise PlanError("pairs need as many --subscribers as --publishers; give the same number or --layout all")
        if self.size < SMALLEST_PAYLOAD:
            raise PlanError(f"--size is at least {SMALLEST_PAYLOAD}: the payload carries time and publisher")
        if self.size > LARGEST_PAYLOAD:
            raise PlanError(f"--size is at most {LARGEST_PAYLOAD} octets")
        if self.qos not in (0, 1, 2):
            raise PlanError("--qos is 0, 1 or 2")
        if not 1 <= self.window <= LARGEST_WINDOW:
            raise PlanError(f"--window is 1 to {LARGEST_WINDOW} messages")
        if self.rate < 0 or self.seconds <= 0 or self.warm_up < 0:
            raise PlanError("--rate and --warm-up are 0 or more, --seconds more than 0")
        if not 1 <= self.topics <= 10_000:
            raise PlanError("--topics is 1 to 10000")
        if not self.topic or any(character in self.topic for character in "+#\0"):
            raise PlanError("--topic is a Topic Name without wildcards")

    @property
    def receivers(self) -> int:
        """How many subscribers get each message."""
        return self.subscribers if self.layout == ALL else 1

    def topics_of(self, publisher: int) -> list[str]:
        """The Topic Names of one publisher, all of one length."""
        stem = f"{self.topic}/{publisher:05d}"
        return [stem] if self.topics == 1 else [f"{stem}/{number:04d}" for number in range(self.topics)]

    def filter_of(self, subscriber: int) -> str:
        """The Topic Filter of one subscriber."""
        if self.layout == ALL and self.publishers > 1:
            return f"{self.topic}/#"
        stem = f"{self.topic}/{0 if self.layout == ALL else subscriber:05d}"
        return stem if self.topics == 1 else f"{stem}/+"
