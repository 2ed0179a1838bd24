"""`$SYS/broker/...`: the hub's own figures, published through the door like any message.

The topics carry Mosquitto's names where Mosquitto has them; docs/system-topics.md lists all of them. Who may read
them is a matter of permissions like any other: `#` does not cover `$SYS/#` ([MQTT-4.7.2-1]).
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

from bridgehead import __version__
from bridgehead.broker.broker import Broker
from bridgehead.broker.counters import Counters
from bridgehead.broker.queues.names import escaped
from bridgehead.core.message import Message, Origin
from bridgehead.core.policy import Permission, Principal

ROOT: Final = "$SYS/broker/"
# No device can have this name: "$" is not allowed in one.
PRINCIPAL_NAME: Final = "$SYS"
LOAD_MINUTES: Final = (1, 5, 15)

_SLICE: Final = 5000  # sessions looked at before others get their turn


class Survey:
    """What is known only by looking at every session."""

    def __init__(self) -> None:
        self.sessions = 0
        self.connected = 0
        self.queued = 0
        self.queued_octets = 0
        self.in_flight = 0


class Load:
    """Exponentially weighted averages per minute over 1, 5 and 15 minutes, as Mosquitto's `load/` topics."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._averages: dict[tuple[str, int], float] = {}

    def update(self, name: str, total: int, interval: float) -> None:
        """`total` only grows; `interval` is in seconds since the last update."""
        per_minute = (total - self._last.get(name, 0)) * 60.0 / interval
        self._last[name] = total
        for minutes in LOAD_MINUTES:
            weight = math.exp(-interval / (60.0 * minutes))
            before = self._averages.get((name, minutes), 0.0)
            self._averages[name, minutes] = per_minute + weight * (before - per_minute)

    def figures(self) -> dict[str, str]:
        return {f"load/{name}/{minutes}min": f"{value:.2f}" for (name, minutes), value in self._averages.items()}


class SystemTopics:
    """Publishes what has changed since the last time, retained and with QoS 0."""

    def __init__(self, broker: Broker, started: float) -> None:
        """`started`: when the hub started, in seconds since the epoch."""
        self._broker: Final = broker
        self._started: Final = started
        self._principal: Final = Principal.of(PRINCIPAL_NAME, [Permission("$SYS/#", publish=True, subscribe=False)], [])
        self._origin: Final = Origin(PRINCIPAL_NAME, "internal", True)
        self._published: dict[str, str] = {}
        self._own = 0
        self._load: Final = Load()
        self._last = started
        broker.admit(self._principal)

    async def survey(self) -> Survey:
        """Look at every session, a slice at a time."""
        result = Survey()
        for index, session in enumerate(self._broker.sessions.all()):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            if session.ended:
                continue
            result.sessions += 1
            result.connected += session.receiver is not None
            result.queued += session.waiting()
            result.queued_octets += session.queued_octets
            result.in_flight += len(session.in_flight)
        return result

    async def publish(self) -> None:
        """Publish every figure that has changed. The caller has set the broker's clock."""
        survey = await self.survey()
        now = self._broker.clock.now
        figures = self.figures(survey, now)
        payloads = {name: value for name, value in figures.items() if self._published.get(name) != value}
        payloads |= {name: "" for name in self._published if name not in figures}  # a queue is gone: so is its figure
        for name, value in payloads.items():
            message = Message(ROOT + name, value.encode(), 0, True, self._origin)
            self._own += 1
            self._broker.door.publish(self._principal, message, None)
        self._published = figures

    def figures(self, survey: Survey, now: float) -> dict[str, str]:
        """Every topic below `$SYS/broker/` with its payload."""
        counters, broker = self._broker.counters, self._broker
        received = counters.messages_received - self._own  # these figures are not traffic
        dropped = _dropped(counters)
        figures: dict[str, object] = {
            "version": f"bridgehead {__version__}",
            "uptime": f"{int(now - self._started)} seconds",
            "clients/total": survey.sessions,
            "clients/connected": survey.connected,
            "clients/disconnected": survey.sessions - survey.connected,
            "clients/maximum": counters.connections_maximum,
            "connections/open": counters.connections,
            "connections/total": counters.connections_total,
            "messages/received": counters.packets_received,
            "messages/sent": counters.packets_sent,
            "messages/inflight": survey.in_flight,
            "publish/messages/received": received,
            "publish/messages/sent": counters.messages_sent,
            "publish/messages/refused": counters.messages_refused,
            "publish/messages/dropped": sum(dropped.values()),
            "bytes/received": counters.octets_received,
            "bytes/sent": counters.octets_sent,
            "subscriptions/count": broker.router.subscriptions,
            "retained messages/count": len(broker.retained),
            "retained messages/bytes": broker.retained.octets,
            "store/messages/count": survey.queued + survey.in_flight,
            "store/messages/bytes": survey.queued_octets,
            "store/commits": counters.commits,
            "store/commits/failed": counters.commits_failed,
        }
        figures |= {f"publish/messages/dropped/{why}": count for why, count in dropped.items()}
        figures["queues/count"] = len(broker.queues)
        figures["queues/bytes"] = broker.queues.octets
        for queue in broker.queues.all():
            if queue.administrators:  # of clients' queues there may be as many as clients like
                name = escaped(queue.name)
                figures[f"queues/{name}/messages"] = queue.waiting
                figures[f"queues/{name}/unsettled"] = queue.unsettled
                figures[f"queues/{name}/consumers"] = queue.consumer_count
        self._update_load(counters, received, sum(dropped.values()), now)
        return {name: str(value) for name, value in figures.items()} | self._load.figures()

    def _update_load(self, counters: Counters, received: int, dropped: int, now: float) -> None:
        interval = now - self._last
        if interval <= 0:
            return
        self._last = now
        for name, total in (
            ("connections", counters.connections_total),
            ("messages/received", counters.packets_received),
            ("messages/sent", counters.packets_sent),
            ("publish/received", received),
            ("publish/sent", counters.messages_sent),
            ("publish/dropped", dropped),
            ("bytes/received", counters.octets_received),
            ("bytes/sent", counters.octets_sent),
        ):
            self._load.update(name, total, interval)


def _dropped(counters: Counters) -> dict[str, int]:
    return {
        "slow": counters.dropped_slow,
        "queue-full": counters.dropped_queue_full,
        "expired": counters.dropped_expired,
        "not-permitted": counters.dropped_not_permitted,
        "too-large": counters.dropped_too_large,
    }
