"""What `make bench` measures of DDS: raw samples in beside C ddsperf, JSON in and out, latency, threads, failover."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bench.claims import SETTLE, Claim
from bench.dds_hub import TOPIC, DdsHub, domain, route
from bench.dds_load import (
    LOOPBACK,
    SAMPLE,
    Ddsperf,
    Flood,
    Mqtt,
    Rate,
    counted_rate,
    json_publishes,
    payload_of,
    published_rate,
    subscriber_rate,
)
from tests.dds.domains import free_domain
from tests.dds.peers.hands import IDL, Hands, cyclone

RAW, JSON_IN, JSON_OUT = "dds-raw", "dds-json", "dds-out"
LATENCY, THREADS, FAILOVER = "dds-latency", "dds-threads", "dds-failover"
MEASUREMENTS: Final = {
    RAW: "DDS in: raw CDR of 60 octets, beside C ddsperf",
    JSON_IN: "DDS in: typed to JSON, out to one MQTT subscriber",
    JSON_OUT: "MQTT in: JSON to typed DDS out",
    LATENCY: "DDS to the hub to MQTT: latency at 1,000 samples/s",
    THREADS: "DDS: threads of the hub with 1 and with 200 readers",
    FAILOVER: "DDS: how long until the stand-by is heard, after SIGKILL and after a hang",
}
ROOT: Final = Path(__file__).resolve().parent.parent
PACE: Final = 1000.0  # samples a second
BURST: Final = 200  # PUBLISH packets that are sent at once
DISCOVERY: Final = 2.0  # seconds until everybody has found everybody
LEASE: Final = 0.1  # seconds
GAP_LIMIT: Final = 150.0  # milliseconds
Say = Callable[[str], None]


@contextlib.contextmanager
def hub_in(folder: Path, cpu: int | None, number: int, *routes: str) -> Iterator[DdsHub]:
    hub = DdsHub(folder, cpu, [domain(number), *routes])
    try:
        yield hub
    finally:
        hub.stop()


def raw(folder: Path, cpu: int | None, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    """The same publisher at full speed, received by ddsperf and by the hub in turn. Both keep all samples, so that the
    publisher waits for them and nothing is lost."""
    theirs: list[Rate] = []
    ours: list[Rate] = []
    publish = ["pub", "size", str(SAMPLE)]
    for pair in range(pairs):
        with free_domain() as number:
            subscriber = Ddsperf(folder / f"sub{pair}", number, ["sub"], cpu)
            publisher = Ddsperf(folder / f"pub{pair}", number, publish)
            try:
                time.sleep(DISCOVERY + warm_up)
                theirs.append(subscriber_rate(subscriber, subscriber.pid, seconds))
            finally:
                publisher.stop()
                subscriber.stop()
        say(theirs[-1].line("ddsperf"))
        with free_domain() as number:
            table = route(number, TOPIC, "bench/raw", payload="cdr")
            with hub_in(folder / f"hub{pair}", cpu, number, table) as hub:
                figures = Mqtt(hub.port, "bench")
                publisher = Ddsperf(folder / f"pub{pair}", number, publish)
                try:
                    time.sleep(DISCOVERY + warm_up)
                    figures.subscribe("$SYS/broker/publish/messages/received")
                    ours.append(published_rate(hub.pid, figures, seconds))
                finally:
                    publisher.stop()
                    figures.close()
        say(ours[-1].line("Bridgehead"))
    ratio = statistics.median(o.per_cpu_second / t.per_cpu_second for o, t in zip(ours, theirs, strict=True))
    rates = [statistics.median(each.per_cpu_second for each in found) for found in (theirs, ours)]
    note = f"ddsperf {rates[0]:,.0f}, Bridgehead {rates[1]:,.0f}; the wall clock's " + " and ".join(
        f"{statistics.median(each.per_second for each in found):,.0f}/s" for found in (theirs, ours)
    )
    title = "DDS in, raw CDR: samples per CPU second, C ddsperf = 1"
    return [Claim(RAW, title, ratio, 0.25, "", True, note)]


def json_in(folder: Path, cpu: int | None, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    rates: list[Rate] = []
    for pair in range(pairs):
        with free_domain() as number, hub_in(folder / str(pair), cpu, number, route(number, TOPIC, "bench/in")) as hub:
            subscriber = Mqtt(hub.port, "bench")
            subscriber.subscribe("bench/in")
            publisher = Ddsperf(folder / f"pub{pair}", number, ["pub", "size", str(SAMPLE)])
            try:
                counted_rate(hub.pid, subscriber, DISCOVERY + warm_up)
                rates.append(counted_rate(hub.pid, subscriber, seconds))
            finally:
                publisher.stop()
                subscriber.close()
        say(rates[-1].line("Bridgehead"))
    value = statistics.median(each.per_second for each in rates)
    note = f"{statistics.median(each.per_cpu_second for each in rates):,.0f} per CPU second; ddsperf's type"
    title = "DDS in, typed to JSON, out to one MQTT subscriber: samples delivered"
    return [Claim(JSON_IN, title, value, 25_000, "per second", True, note)]


def json_out(folder: Path, cpu: int | None, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    rates: list[Rate] = []
    for pair in range(pairs):
        with free_domain() as number:
            table = route(number, TOPIC, "bench/out", direction="out")
            with hub_in(folder / str(pair), cpu, number, table) as hub:
                subscriber = Ddsperf(folder / f"sub{pair}", number, ["sub"])
                time.sleep(DISCOVERY)
                flood = Flood(Mqtt(hub.port, "bench"), json_publishes("bench/out", BURST))
                try:
                    time.sleep(warm_up)
                    rates.append(subscriber_rate(subscriber, hub.pid, seconds))
                finally:
                    flood.stop()
                    subscriber.stop()
        say(rates[-1].line("Bridgehead"))
    value = statistics.median(each.per_second for each in rates)
    note = f"{statistics.median(each.per_cpu_second for each in rates):,.0f} per CPU second; counted by ddsperf"
    return [Claim(JSON_OUT, "MQTT in, JSON to typed DDS out: samples", value, 20_000, "per second", True, note)]


def latency(folder: Path, cpu: int | None, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    """From before the write to after the read of the octets, on one machine's clock."""
    found: list[float] = []
    for pair in range(pairs):
        with (
            free_domain() as number,
            hub_in(folder / str(pair), cpu, number, route(number, "Pace", "bench/pace")) as hub,
        ):
            subscriber = Mqtt(hub.port, "bench")
            subscriber.subscribe("bench/pace")
            script = [sys.executable, str(ROOT / "bench" / "dds_pace.py"), str(number), "Pace", str(PACE)]
            with subprocess.Popen(
                script, stdin=subprocess.PIPE, env={**os.environ, "CYCLONEDDS_URI": LOOPBACK}
            ) as pace:
                try:
                    delays(subscriber, DISCOVERY + warm_up)
                    found += delays(subscriber, seconds)
                finally:
                    assert pace.stdin is not None
                    pace.stdin.close()
                    subscriber.close()
        say(f"Bridgehead   {len(found):,} samples, median {statistics.median(found):.3f} ms")
    found.sort()
    note = f"{len(found):,} samples; worst {found[-1]:.2f} ms"
    claims: list[Claim] = []
    for name, part, limit in (("p50", 0.5, 1.0), ("p99", 0.99, 5.0)):
        title = f"DDS to MQTT, JSON: latency at 1,000 samples/s, {name}"
        claims.append(Claim(f"{LATENCY}-{name}", title, found[int(len(found) * part)], limit, "ms", False, note))
    return claims


def delays(subscriber: Mqtt, seconds: float) -> list[float]:
    """Milliseconds between each sample's time and now."""
    found: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frames = subscriber.frames()
        now = time.monotonic_ns()
        for frame in frames:
            baggage = base64.b64decode(json.loads(payload_of(frame))["baggage"])
            found.append((now - int.from_bytes(baggage[:8], "big")) / 1e6)
    return found


def threads(folder: Path, cpu: int | None, quick: bool, step: Say) -> list[Claim]:
    counts: list[int] = []
    for readers in (1, 200):
        step(f"{readers} readers")
        with free_domain() as number:
            tables = [route(number, f"Many{each}", f"bench/many/{each}") for each in range(readers)]
            with hub_in(folder / str(readers), cpu, number, *tables) as hub:
                time.sleep(SETTLE)
                counts.append(hub.threads)
    note = f"{counts[0]} and {counts[1]} in all"
    return [Claim(THREADS, "DDS: threads more with 200 readers than with 1", counts[1] - counts[0], 0, "", False, note)]


def failover(folder: Path, cpu: int | None, quick: bool, step: Say) -> list[Claim]:
    """From the end of the stronger writer to the first sample of the stand-by at an MQTT subscriber. A manual
    liveliness sees a program that hangs while its middleware lives; both see one that is stopped whole."""
    kinds: tuple[tuple[str, str, bool, Callable[[Hands], None]], ...] = (
        ("kill", "SIGKILL, automatic liveliness", False, lambda hands: hands.signal(signal.SIGKILL)),
        ("stop", "SIGSTOP, automatic liveliness", False, lambda hands: hands.signal(signal.SIGSTOP)),
        ("hang", "a hang, liveliness by topic", True, lambda hands: hands.order(hang=True)),
    )  # fmt: skip
    claims: list[Claim] = []
    for key, what, manual, end in kinds:
        gaps: list[float] = []
        for number in range(2 if quick else 5):
            step(f"{what}, {number + 1}")
            gaps.append(gap(folder / f"{key}{number}", cpu, manual, end))
        note = f"worst of {len(gaps)}, median {statistics.median(gaps):.0f} ms; lease {LEASE * 1000:.0f} ms"
        title = f"DDS failover after {what}: until the stand-by is heard over MQTT"
        claims.append(Claim(f"{FAILOVER}-{key}", title, max(gaps), GAP_LIMIT, "ms", False, note))
    return claims


def gap(folder: Path, cpu: int | None, manual: bool, end: Callable[[Hands], None]) -> float:
    """Milliseconds."""
    kind = "manual-by-topic" if manual else "automatic"
    options: dict[str, object] = {"lease": LEASE, "every": 0.005, **({"manual": ""} if manual else {})}
    with free_domain() as number, contextlib.ExitStack() as stack:
        table = (
            f'[[dds.route]]\ndomain = {number}\ntopic = "Temperature"\ntype = "office.Temperature"\nidl = "{IDL}"\n'
            f'hub = "bench/${{room}}"\ndirection = "in"\n'
            f'qos = {{ownership = "exclusive", lease = {LEASE}, liveliness = "{kind}"}}\n'
        )
        hub = stack.enter_context(hub_in(folder, cpu, number, table))
        subscriber = stack.enter_context(contextlib.closing(Mqtt(hub.port, "bench")))
        subscriber.subscribe("bench/Lobby")
        strong, weak = (
            stack.enter_context(cyclone(folder, "talk", number, "Temperature", "Temperature", strength=each, **options))
            for each in (20, 10)
        )
        weak.matched(1)
        strong.matched(1)
        await_owner(subscriber, 20.0)
        time.sleep(0.5)
        end(strong)
        began = time.monotonic()
        return (await_owner(subscriber, 10.0) - began) * 1000


def await_owner(subscriber: Mqtt, celsius: float) -> float:
    """When the first sample of the writer came that writes this value."""
    while True:
        for frame in subscriber.frames():
            if json.loads(payload_of(frame))["celsius"] == celsius:
                return time.monotonic()
