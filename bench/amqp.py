"""What `make bench` measures of AMQP: 1.0 and 0-9-1 beside RabbitMQ, many connections beside Proton, idle memory."""

from __future__ import annotations

import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

from bench import amqp091_lanes, amqp1_lanes
from bench.amqp_hub import AmqpHub
from bench.amqp_load import Lane, Rate, drive
from bench.claims import SETTLE, WARMED, Claim
from bench.mosquitto import free_port
from bench.rabbitmq import RabbitMQ
from bridgehead.cli.load.processes import resident_octets

V1, V091, MANY, IDLE = "amqp", "amqp091", "amqp-many", "amqp-idle"
MEASUREMENTS: Final = {
    V1: "AMQP 1.0: one sender and one receiver on a topic, beside RabbitMQ",
    V091: "AMQP 0-9-1: one publisher and one consumer of a queue, beside RabbitMQ",
    MANY: "AMQP 1.0: 1,000 connections with one message in flight each, beside Proton's Python binding",
    IDLE: "AMQP 1.0: memory of idle connections",
}
ROOT: Final = Path(__file__).resolve().parent.parent
PROTON: Final = ROOT / "tests" / "peers" / "amqp" / "venv" / "bin" / "python"
WINDOW: Final = 2000  # messages under way
CONNECTIONS: Final = 1000
IDLE_LIMIT: Final = 6 * 1024  # octets
START_TIMEOUT: Final = 10.0
Say = Callable[[str], None]
# folder, the server's core, pairs of runs, seconds of each, seconds of warm-up, where each run is told
Measure = Callable[[Path, int | None, int, float, float, Say], list[Claim]]


class Server(Protocol):
    """A server under measurement, on loopback."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def pid(self) -> int: ...
    @property
    def user(self) -> str: ...
    @property
    def password(self) -> str: ...


class Case:
    """One row: how it is called, how messages travel, and the ratio that is demanded."""

    def __init__(self, key: str, title: str, settled: bool, batch: int, at_least: float) -> None:
        self.key: Final = key
        self.title: Final = title
        self.settled: Final = settled
        self.batch: Final = batch
        self.at_least: Final = at_least


V1_CASES: Final = (
    Case("amqp-settled", "AMQP 1.0, pre-settled", True, 0, 10.0),
    Case("amqp-batched", "AMQP 1.0, unsettled, 100 deliveries accepted at a time", False, amqp1_lanes.BATCH, 10.0),
    Case("amqp-single", "AMQP 1.0, unsettled, each delivery accepted alone", False, 1, 5.0),
)
V091_CASES: Final = (
    Case("amqp091-auto", "AMQP 0-9-1, no acknowledgements", True, 0, 1.5),
    Case("amqp091-ack", "AMQP 0-9-1, each message acknowledged, and confirmed to its publisher", False, 1, 2.0),
)


class ProtonBroker:
    """The script proton_broker.py as a process."""

    def __init__(self, folder: Path, cpu: int | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host: Final = "127.0.0.1"
        self.user: Final = ""
        self.password: Final = ""
        self.port: Final = free_port()
        command = [str(PROTON), str(ROOT / "bench" / "proton_broker.py"), str(self.port)]
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        with (folder / "proton.log").open("wb") as log:
            self._process: Final = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                socket.create_connection((self.host, self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"Proton's broker did not start: {folder / 'proton.log'}") from None
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> ProtonBroker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def v1_lanes(server: Server, prefix: str, case: Case, number: int) -> list[Lane]:
    who = (server.host, server.port, server.user, server.password)
    address = f"{prefix}{case.key}.{number}"
    receiver = amqp1_lanes.Receiver(*who, f"r{number}", address, case.settled, case.batch)
    return [receiver, amqp1_lanes.Sender(*who, f"s{number}", address, case.settled, WINDOW, receiver)]


def v091_lanes(server: Server, prefix: str, case: Case, number: int) -> list[Lane]:
    who = (server.host, server.port, server.user, server.password)
    queue = f"{prefix}{case.key}-{number}"
    consumer = amqp091_lanes.Consumer(*who, queue, 0 if case.settled else WINDOW)
    return [consumer, amqp091_lanes.Publisher(*who, queue, WINDOW, consumer, not case.settled)]


Make = Callable[[Server, str, Case, int], list[Lane]]


def run(server: Server, lanes: Sequence[Lane], seconds: float, warm_up: float) -> Rate:
    try:
        return drive(lanes, server.pid, seconds, warm_up)
    finally:
        for lane in lanes:
            lane.close()


def beside(
    cases: Sequence[Case], make: Make, theirs: tuple[str, Server, str], ours: tuple[str, Server, str],
    pairs: int, seconds: float, warm_up: float, say: Say,
) -> list[Claim]:  # fmt: skip
    """The cases, alternately on both servers. Each of the two is its name, the server, and its addresses' prefix."""
    claims: list[Claim] = []
    for case in cases:
        ratios: list[float] = []
        rates: dict[str, list[float]] = {theirs[0]: [], ours[0]: []}
        for number in range(pairs):
            for name, server, prefix in (theirs, ours):
                rate = run(server, make(server, prefix, case, number), seconds, warm_up)
                say(f"{name:<10} {rate.line()}")
                rates[name].append(rate.per_cpu_second)
            ratios.append(rates[ours[0]][-1] / rates[theirs[0]][-1])
        note = ", ".join(f"{name} {statistics.median(found):,.0f}" for name, found in rates.items())
        claims.append(
            Claim(
                case.key,
                f"{case.title}: messages per CPU second, {theirs[0]} = 1",
                statistics.median(ratios),
                case.at_least,
                "",
                True,
                note,
            )
        )
    return claims


def v1(folder: Path, cpu: int | None, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    ours = AmqpHub(folder / "hub", cpu)
    try:
        with RabbitMQ(folder / "rabbitmq", "bench", cpu) as theirs:
            both = (("RabbitMQ", theirs, "/topic/"), ("Bridgehead", ours, "/topics/bench%2F"))
            return beside(V1_CASES, v1_lanes, *both, pairs, seconds, warm_up, say)
    finally:
        ours.stop()


def v091(folder: Path, cpu: int | None, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    ours = AmqpHub(folder / "hub", cpu)
    try:
        with RabbitMQ(folder / "rabbitmq", "bench", cpu) as theirs:
            both = (("RabbitMQ", theirs, "bench/"), ("Bridgehead", ours, "bench/"))
            return beside(V091_CASES, v091_lanes, *both, pairs, seconds, warm_up, say)
    finally:
        ours.stop()


def echoes(server: Server, prefix: str, case: Case, number: int) -> list[Lane]:
    who = (server.host, server.port, server.user, server.password)
    return [amqp1_lanes.Echo(*who, f"e{number}-{i}", f"{prefix}{case.key}.{number}.{i}") for i in range(CONNECTIONS)]


def many(folder: Path, cpu: int | None, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    case = Case(MANY, "AMQP 1.0, 1,000 connections with one message in flight each", False, 1, 4.0)
    ours = AmqpHub(folder / "hub", cpu)
    try:
        with ProtonBroker(folder / "proton", cpu) as theirs:
            both = (("Proton", theirs, ""), ("Bridgehead", ours, "/topics/bench%2F"))
            return beside([case], echoes, *both, pairs, seconds, warm_up, say)
    finally:
        ours.stop()


def idle(folder: Path, cpu: int | None, quick: bool, step: Say) -> list[Claim]:
    """Connections that are open, with a session, and silent."""
    count = 500 if quick else 5000
    hub = AmqpHub(folder / "hub", cpu)
    who = (hub.host, hub.port, hub.user, hub.password)
    held: list[Lane] = []
    try:
        held += [amqp1_lanes.Lane1(*who, f"w{number}") for number in range(WARMED)]
        time.sleep(SETTLE)
        before = resident_octets([hub.pid])
        for number in range(count):
            held.append(amqp1_lanes.Lane1(*who, f"i{number}"))
            if number % 100 == 0:
                step(f"{number} connections of {count}")
        time.sleep(SETTLE)
        octets = (resident_octets([hub.pid]) - before) / count
    finally:
        for lane in held:
            lane.close()
        hub.stop()
    title = "AMQP 1.0: memory per idle connection with a session, plain"
    return [Claim(IDLE, title, octets, IDLE_LIMIT, "octets", False, f"{count:,} of them")]
