"""What a load run measured."""

from __future__ import annotations

from bridgehead.cli.load.histogram import Histogram
from bridgehead.cli.load.plan import Plan
from bridgehead.protocols.mqtt.codec.reason_codes import reason_name

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
BUSY = 0.95  # of a core: the generator itself was the limit


class Result:
    """Figures of one run. Counts without another word are of the measuring window; `expected`, `received` and
    `unacknowledged` are of the whole run, warm-up and drain included, so that their difference is what was lost."""

    def __init__(
        self,
        plan: Plan,
        window: int,
        seconds: float,
        published: int,
        delivered: int,
        acknowledged: int,
        expected: int,
        received: int,
        unacknowledged: int,
        refused: dict[int, int],
        disordered: int,
        stalls: int,
        latency: Histogram,
        server_cpu: float | None,
        generator_cpu: float,
    ) -> None:
        self.plan = plan
        self.window = window
        self.seconds = seconds
        self.published = published
        self.delivered = delivered
        self.acknowledged = acknowledged
        self.expected = expected
        self.received = received
        self.unacknowledged = unacknowledged
        self.refused = refused
        self.disordered = disordered
        self.stalls = stalls
        self.latency = latency
        self.server_cpu = server_cpu
        self.generator_cpu = generator_cpu

    @property
    def messages(self) -> int:
        """What the rates count: deliveries, or what was published when nobody subscribes."""
        if self.plan.subscribers:
            return self.delivered
        return self.acknowledged if self.plan.qos else self.published

    @property
    def per_second(self) -> float:
        return self.messages / self.seconds

    @property
    def per_cpu_second(self) -> float | None:
        """Messages per second of the server's CPU; None when it was not measured or used less than two ticks."""
        if self.server_cpu is None or self.server_cpu < 0.02:
            return None
        return self.messages / self.server_cpu

    @property
    def lost(self) -> int:
        """Deliveries that never came (more than expected, so duplicates, count as negative)."""
        return self.expected - self.received if self.plan.subscribers else 0

    @property
    def generator_share(self) -> float:
        """The part of one core that the generator used."""
        return self.generator_cpu / self.seconds

    @property
    def generator_was_the_limit(self) -> bool:
        return self.generator_share > BUSY

    def percentiles(self) -> dict[str, float | None]:
        """Latencies in microseconds, by name."""
        return {f"p{percent:g}": self.latency.percentile(percent) for percent in PERCENTILES}

    def to_json(self) -> dict[str, object]:
        """Plain values for `--json`; latencies are in microseconds."""
        plan = self.plan
        return {
            "publishers": plan.publishers,
            "subscribers": plan.subscribers,
            "layout": plan.layout,
            "qos": plan.qos,
            "size": plan.size,
            "window": self.window,
            "rate": plan.rate,
            "seconds": round(self.seconds, 3),
            "published": self.published,
            "delivered": self.delivered,
            "acknowledged": self.acknowledged,
            "messages_per_second": round(self.per_second, 1),
            "latency_us": self.percentiles(),
            "latency_max_us": self.latency.largest if self.latency.total else None,
            "lost": self.lost,
            "unacknowledged": self.unacknowledged,
            "refused": {f"0x{code:02X} {reason_name(code)}": count for code, count in self.refused.items()},
            "out_of_order_acknowledgements": self.disordered,
            "stalls": self.stalls,
            "server_cpu_seconds": None if self.server_cpu is None else round(self.server_cpu, 3),
            "messages_per_server_cpu_second": None if self.per_cpu_second is None else round(self.per_cpu_second, 1),
            "generator_cpu_seconds": round(self.generator_cpu, 3),
            "generator_was_the_limit": self.generator_was_the_limit,
        }
