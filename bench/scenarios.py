"""What is measured beside Mosquitto, what it must reach, and how one run of it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bridgehead.cli.load.engine import run
from bridgehead.cli.load.plan import Access, Plan
from bridgehead.cli.load.result import Result
from bridgehead.protocols.mqtt.client.target import Target, tls_context

PAYLOAD = 64
USER = "bench"
TOPIC = "bench"


class Server(Protocol):
    """A broker under measurement, running on loopback with a password and a policy on."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def tls_port(self) -> int: ...
    @property
    def ca(self) -> Path: ...
    @property
    def pid(self) -> int: ...
    @property
    def users(self) -> dict[str, str]: ...


class Load:
    """Who sends to whom, and how much may be in flight per publisher."""

    def __init__(self, publishers: int, subscribers: int, window: int, qos: int = 0) -> None:
        self.publishers = publishers
        self.subscribers = subscribers
        self.window = window
        self.qos = qos


class Scenario:
    """A row of the table: `at_least` and `aim` are ratios to Mosquitto, in messages per second of server CPU.

    Messages are counted as they are delivered; a message to 100 subscribers counts 100 times.
    """

    def __init__(self, key: str, title: str, tls: bool, load: Load, at_least: float, aim: float) -> None:
        self.key = key
        self.title = title
        self.tls = tls
        self.load = load
        self.at_least = at_least
        self.aim = aim


PAIR = Load(1, 1, 1000)
TEN = Load(10, 10, 100)
TRICKLE = Load(200, 1, 1)
FAN_OUT = Load(1, 100, 100)
TEN_QOS_1 = Load(10, 10, 50, qos=1)
TEN_QOS_2 = Load(10, 10, 50, qos=2)

SCENARIOS = [
    Scenario("pair", "one pair, QoS 0, 1000 in flight", False, PAIR, 12, 18),
    Scenario("ten", "ten pairs, QoS 0, 100 in flight each", False, TEN, 9, 12),
    Scenario("trickle", "trickle: 200 publishers, one in flight each, 1 subscriber", False, TRICKLE, 1.5, 1.8),
    Scenario("fan-out", "fan-out: 1 publisher, 100 in flight, 100 subscribers", False, FAN_OUT, 5, 5.5),
    Scenario("qos1", "ten pairs, QoS 1, 50 in flight each", False, TEN_QOS_1, 7, 8.6),
    Scenario("qos2", "ten pairs, QoS 2, 50 in flight each", False, TEN_QOS_2, 9, 12),
    Scenario("tls-pair", "TLS: one pair, QoS 0, 1000 in flight", True, PAIR, 6, 6.3),
    Scenario("tls-ten", "TLS: ten pairs, QoS 0, 100 in flight each", True, TEN, 5, 7.8),
    Scenario("tls-trickle", "TLS: trickle, 200 publishers, 1 subscriber", True, TRICKLE, 1.2, 1.35),
    Scenario("tls-fan-out", "TLS: fan-out, 1 publisher, 100 in flight, 100 subscribers", True, FAN_OUT, 5, 5.9),
    Scenario("tls-qos1", "TLS: ten pairs, QoS 1, 50 in flight each", True, TEN_QOS_1, 4, 5.6),
    Scenario("tls-qos2", "TLS: ten pairs, QoS 2, 50 in flight each", True, TEN_QOS_2, 6, 7.5),
]


def access(server: Server, tls: bool, client_id: str, version: int = 5) -> Access:
    """How the load generator reaches this server as the bench identity."""
    target = Target("mqtts" if tls else "mqtt", server.host, server.tls_port if tls else server.port)
    context = tls_context(server.ca, None, None) if tls else None
    return Access(target, client_id, USER, server.users[USER].encode(), context, version, timeout=60.0)


def measure(server: Server, scenario: Scenario, number: int, seconds: float, warm_up: float) -> Result:
    """One run. `number` keeps the topics and client identifiers of two runs apart."""
    plan = Plan(
        publishers=scenario.load.publishers,
        subscribers=scenario.load.subscribers,
        qos=scenario.load.qos,
        window=scenario.load.window,
        size=PAYLOAD,
        seconds=seconds,
        warm_up=warm_up,
        topic=f"{TOPIC}/{scenario.key}/{number}",
        pids=[server.pid],
    )
    return run(access(server, scenario.tls, f"{USER}-{scenario.key}-{number}"), plan)
