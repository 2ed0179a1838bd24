"""`make bench`: Bridgehead beside Debian's Mosquitto in one run, and what is claimed beyond that.

python bench/run.py [--quick] [--only KEY]... [--list] [--seconds S] [--pairs N] [--out FOLDER]

The servers run on one core, the load generator on another, alternately: Mosquitto, Bridgehead, Mosquitto, ...
"""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import secrets
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script: the folder above is not on the path

from rich.console import Console

from bench import amqp, claims, coap, dds, identity, machine, policy_cost
from bench.claims import Claim
from bench.hub import Hub, flavour
from bench.mosquitto import Mosquitto
from bench.report import Report, Row
from bench.scenarios import SCENARIOS, TOPIC, USER, Scenario, Server, measure
from bridgehead.cli.load.result import Result

IDLE, FLAT, DURABLE, START = "idle", "flat", "durable", "start"
BEYOND = {
    IDLE: "resident memory per idle connection, plain and TLS",
    FLAT: "cost per message beside 10 and 100,000 subscriptions of others",
    DURABLE: "QoS 1 to persistent sessions beside raw SQLite",
    START: "time from the command to the ready line",
    **identity.MEASUREMENTS,
    **coap.MEASUREMENTS,
    **amqp.MEASUREMENTS,
    **dds.MEASUREMENTS,
}
WIDTH = 150  # columns where the output is no terminal
RESULTS = Path(__file__).resolve().parent / "results"


class Settings:
    """How long and how often to measure."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.pairs: int = options.pairs or (1 if options.quick else 3)
        self.seconds: float = options.seconds or (1.5 if options.quick else 3.0)
        self.quick: bool = options.quick
        self.warm_up = 0.5 if options.quick else 0.8
        self.connections = 500 if options.quick else 5000
        cores = sorted(os.sched_getaffinity(0))
        self.server_core: int | None = cores[0] if len(cores) > 1 else None
        if self.server_core is not None:
            os.sched_setaffinity(0, set(cores[1:]))

    def describe(self) -> str:
        pinned = (
            "The servers share one core, the generator has the others" if self.server_core is not None else "One core"
        )
        return (
            f"{pinned}; {self.pairs} pairs of runs, alternately, each {self.seconds:g} s after {self.warm_up:g} s of "
            "warm-up; the medians are shown. Mosquitto has its default settings, but no limits on messages in flight "
            "and queued; `nodelay` is Mosquitto with set_tcp_nodelay: it delivers at once, as the hub does, and does "
            "not collect small writes until the receiver acknowledges. All check a password at CONNECT and a policy at "
            "each message."
        )


class Bench:
    """One call of the program. Servers are started where a measurement needs them, each in a folder of its own."""

    def __init__(self, settings: Settings, folder: Path, console: Console) -> None:
        self.settings = settings
        self.folder = folder
        self.console = console
        self.users = {USER: secrets.token_urlsafe(16)}
        self.acl = [f"user {USER}", f"topic readwrite {TOPIC}/#"]
        self.report = Report(machine.describe(), settings.describe())
        self.started = 0

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", style="dim", highlight=False)

    def step(self, text: str) -> None:
        """What a long preparation is at; only for who looks on."""
        if self.console.is_terminal:
            self.console.print(f"  {text}    ", style="dim", highlight=False, end="\r")

    def place(self) -> Path:
        self.started += 1
        return self.folder / str(self.started)

    def mosquitto(self, *extra: str) -> Mosquitto:
        server = Mosquitto(self.place(), self.users, self.acl, extra)
        server.start(self.settings.server_core)
        return server

    def hub(self) -> Hub:
        server = Hub(self.place(), self.users, [f"{TOPIC}/#"])
        server.enrol()
        server.start(self.settings.server_core)
        return server

    def table(self, scenarios: list[Scenario]) -> None:
        """The rows beside Mosquitto."""
        theirs, prompt, ours = self.mosquitto(), self.mosquitto("set_tcp_nodelay true"), self.hub()
        servers: list[tuple[str, Server]] = [("Mosquitto", theirs), ("  nodelay", prompt), ("Bridgehead", ours)]
        try:
            for scenario in scenarios:
                self.console.print(scenario.title, style="bold", highlight=False)
                results: tuple[list[Result], list[Result], list[Result]] = ([], [], [])
                for number in range(self.settings.pairs):
                    for index, (name, server) in enumerate(servers):
                        result = measure(server, scenario, number, self.settings.seconds, self.settings.warm_up)
                        results[index].append(result)
                        self.say(run_line(name, result))
                self.report.rows.append(Row(scenario, *results))
        finally:
            theirs.stop()
            prompt.stop()
            ours.stop()

    def idle(self) -> None:
        count = self.settings.connections
        limits = {False: claims.IDLE_PLAIN_LIMIT, True: claims.IDLE_TLS_LIMIT}
        for tls in (False, True):
            kind = "TLS" if tls else "plain"
            makers: list[tuple[str, Callable[[], Hub | Mosquitto]]] = [("Mosquitto", self.mosquitto), ("", self.hub)]
            for name, make in makers:
                server = make()
                try:
                    octets = claims.idle_memory(server, count, tls, self.step)
                finally:
                    server.stop()
                limit = None if name else limits[tls]
                title = f"{name} memory per idle connection, {kind}".strip().replace("memory", "Memory", not name)
                self.report.claims.append(
                    Claim(f"idle-{kind}{name}", title, octets, limit, "octets", False, f"{count:,} of them")
                )

    def flat(self) -> None:
        few, many = self.hub(), self.hub()
        try:
            base, loaded = claims.flatness(few, many, self.settings.pairs, self.settings.seconds, self.step)
        finally:
            few.stop()
            many.stop()
        note = f"{base:.3f} and {loaded:.3f} µs of CPU per message; 10 pairs, 100 topics each"
        title = "Cost per message beside 100,000 subscriptions of others, beside 10 = 1"
        self.report.claims.append(Claim("flat", title, loaded / base, claims.FLAT_LIMIT, "", False, note))

    def durable(self) -> None:
        hub = self.hub()
        runs: dict[bool, list[Result]] = {True: [], False: []}
        raw: list[float] = []
        try:
            for number in range(self.settings.pairs):
                raw.append(claims.raw_rows_per_second(self.folder, self.settings.seconds / 2))
                self.say(f"raw SQLite {raw[-1]:,.0f} rows/s")
                for index, connected in enumerate((True, False)):
                    result = claims.durable_run(hub, 2 * number + index, self.settings.seconds, connected)
                    runs[connected].append(result)
                    self.say(run_line("connected" if connected else "away", result))
        finally:
            hub.stop()
        base = statistics.median(raw)
        for connected, results in runs.items():
            rate = statistics.median(result.per_second for result in results)
            whom = "connected" if connected else "away: queued"
            note = f"{rate:,.0f} messages/s against {base:,.0f} rows/s, wall clock"
            title = f"Durable QoS 1 to persistent sessions ({whom}), raw SQLite = 1"
            key = f"durable-{'connected' if connected else 'away'}"
            self.report.claims.append(Claim(key, title, rate / base, claims.DURABLE_LIMIT, "", True, note))

    def start(self) -> None:
        first, second = claims.start_up(self.place(), self.users, self.settings.server_core)
        for key, title, value in (("first", "an empty data folder", first), ("again", "an existing one", second)):
            self.report.claims.append(
                Claim(
                    f"start-{key}",
                    f"Ready with {title}",
                    value,
                    claims.READY_LIMIT,
                    "s",
                    False,
                    "command to ready line",
                )
            )

    def login(self) -> None:
        self.report.claims += identity.log_ins(self.settings.quick)

    def revoke(self) -> None:
        self.report.claims += identity.revocations(Hub(self.place(), {}, []), self.settings.quick, self.step)

    def policy(self) -> None:
        self.report.claims += identity.decisions()
        few, many = Hub(self.place(), self.users, [f"{TOPIC}/#"]), Hub(self.place(), self.users, [f"{TOPIC}/#"])
        for hub in (few, many):
            hub.enrol()
        policy_cost.burden(many.data)
        settings = self.settings
        try:
            few.start(settings.server_core)
            many.start(settings.server_core)
            self.report.claims += identity.price(
                few, many, settings.pairs, settings.seconds, settings.warm_up, self.say
            )
        finally:
            few.stop()
            many.stop()

    def coap_get(self) -> None:
        settings = self.settings
        self.report.claims += coap.gets(
            self.place(), settings.server_core, settings.pairs, settings.seconds, settings.warm_up, self.say
        )

    def coap_handshakes(self) -> None:
        self.report.claims += coap.handshakes(self.place(), self.settings.server_core, self.settings.quick, self.say)

    def coap_observers(self) -> None:
        self.report.claims += coap.observers(self.place(), self.settings.server_core, self.settings.quick, self.say)

    def coap_peers(self) -> None:
        self.report.claims += coap.peers(self.place(), self.settings.server_core, self.settings.quick, self.step)

    def rates(
        self, measure: Callable[[Path, int | None, int, float, float, Callable[[str], None]], list[Claim]]
    ) -> None:
        settings = self.settings
        self.report.claims += measure(
            self.place(), settings.server_core, settings.pairs, settings.seconds, settings.warm_up, self.say
        )

    def once(self, measure: Callable[[Path, int | None, bool, Callable[[str], None]], list[Claim]]) -> None:
        self.report.claims += measure(self.place(), self.settings.server_core, self.settings.quick, self.step)

    def audit(self) -> None:
        self.report.claims += identity.audit_lines(self.place())


def run_line(name: str, result: Result) -> str:
    """One run in one line."""
    rate = result.per_cpu_second or 0.0
    busy = (result.server_cpu or 0.0) / result.seconds
    return (
        f"{name:<10} {rate:>11,.0f} per CPU second  {result.per_second:>11,.0f} per second  server {busy:.0%}, "
        f"generator {result.generator_share:.0%}, lost {result.lost}"
    )


def chosen(only: list[str]) -> tuple[list[Scenario], list[str]]:
    """The scenarios and further measurements asked for: all, or those whose key begins with a word of `only`."""
    if not only:
        return SCENARIOS, list(BEYOND)
    rows = [scenario for scenario in SCENARIOS if any(scenario.key == word for word in only)]
    beyond = [key for key in BEYOND if key in only]
    unknown = set(only) - {scenario.key for scenario in rows} - set(beyond)
    if unknown:
        print(f"bench: no measurement {', '.join(sorted(unknown))}; --list shows them all", file=sys.stderr)
        raise SystemExit(2)
    return rows, beyond


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Bridgehead beside Mosquitto.")
    parser.add_argument("--quick", action="store_true", help="one short pair of runs each, 500 idle connections")
    parser.add_argument("--only", action="append", default=[], metavar="KEY", help="only this measurement; repeatable")
    parser.add_argument("--list", action="store_true", help="list the measurements")
    parser.add_argument("--seconds", type=float, help="measured time of each run")
    parser.add_argument("--pairs", type=int, help="runs of each server per scenario")
    parser.add_argument("--out", type=Path, help="folder of the results; default bench/results")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.list:
        for key, title in [*((s.key, s.title) for s in SCENARIOS), *BEYOND.items()]:
            print(f"{key:<12} {title}")
        return 0
    rows, beyond = chosen(options.only)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    if flavour() != "compiled":
        console.print("The pure rooms are interpreted: run `make bench`, which compiles them first.", style="yellow")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the servers inherit it
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as folder:
        bench = Bench(Settings(options), Path(folder), console)
        if rows:
            bench.table(rows)
        for key in beyond:
            console.print(BEYOND[key], style="bold", highlight=False)
            measurements: dict[str, Callable[[], None]] = {
                IDLE: bench.idle,
                FLAT: bench.flat,
                DURABLE: bench.durable,
                START: bench.start,
                identity.LOGIN: bench.login,
                identity.REVOKE: bench.revoke,
                identity.POLICY: bench.policy,
                identity.AUDIT: bench.audit,
                coap.GET: bench.coap_get,
                coap.HANDSHAKES: bench.coap_handshakes,
                coap.OBSERVERS: bench.coap_observers,
                coap.PEERS: bench.coap_peers,
                amqp.V1: partial(bench.rates, amqp.v1),
                amqp.V091: partial(bench.rates, amqp.v091),
                amqp.MANY: partial(bench.rates, amqp.many),
                amqp.IDLE: partial(bench.once, amqp.idle),
                dds.RAW: partial(bench.rates, dds.raw),
                dds.JSON_IN: partial(bench.rates, dds.json_in),
                dds.JSON_OUT: partial(bench.rates, dds.json_out),
                dds.LATENCY: partial(bench.rates, dds.latency),
                dds.THREADS: partial(bench.once, dds.threads),
                dds.FAILOVER: partial(bench.once, dds.failover),
            }
            measurements[key]()
    bench.report.show(console)
    # Part of the table, or a hasty one, is no record: it is kept only where it is asked for.
    folder_of_results = options.out or (None if options.only or options.quick else RESULTS)
    if folder_of_results is not None:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        stem = f"{today}-{machine.slug(machine.processor())}{'-quick' if options.quick else ''}"
        for path in bench.report.write(folder_of_results, stem):
            console.print(f"written: {os.path.relpath(path)}", highlight=False)
    return 0 if bench.report.met else 1


if __name__ == "__main__":
    sys.exit(main())
