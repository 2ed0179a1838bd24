"""What is measured beyond the table: memory of idle connections, cost of others' subscriptions, durability, start."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.hub import Hub
from bench.scenarios import PAYLOAD, TOPIC, USER, Server, access
from bridgehead.cli.load.engine import run
from bridgehead.cli.load.links import Link
from bridgehead.cli.load.opening import farewell, open_links, subscribe
from bridgehead.cli.load.plan import Plan
from bridgehead.cli.load.processes import resident_octets
from bridgehead.cli.load.result import Result

IDLE_PLAIN_LIMIT = 6 * 1024  # octets per connection
IDLE_TLS_LIMIT = 24 * 1024
FLAT_LIMIT = 1.2
DURABLE_LIMIT = 0.3
READY_LIMIT = 2.0  # seconds
SETTLE = 2.0  # seconds between the last connection and the look at the memory
WARMED = 50  # connections that come before the counted ones, so that what a server makes once is not counted
FILTERS_AT_ONCE = 100
RAW_ROWS = 1000
RECORD = b"x" * (PAYLOAD + 56)  # a message's payload with topic and header


class Claim:
    """One statement and whether it holds. `value` and `limit` are in `unit`; `more_is_better` says which side."""

    def __init__(
        self, key: str, title: str, value: float, limit: float | None, unit: str, more_is_better: bool, note: str = ""
    ) -> None:
        self.key = key
        self.title = title
        self.value = value
        self.limit = limit
        self.unit = unit
        self.more_is_better = more_is_better
        self.note = note

    @property
    def met(self) -> bool | None:
        """None for a figure that nothing is demanded of."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.more_is_better else self.value <= self.limit


def hold(server: Server, count: int, tls: bool, stem: str, progress: Callable[[str], None]) -> list[Link]:
    """`count` open connections."""
    names = [f"{USER}-{stem}{number}" for number in range(count)]

    def told(done: int) -> None:
        progress(f"{done:,} of {count:,} connections")

    return [opened.link for opened in open_links(access(server, tls, ""), names, progress=told)]


def release(links: list[Link]) -> None:
    goodbye = farewell(5)
    for link in links:
        link.send(goodbye)
        link.close()


def idle_memory(server: Server, count: int, tls: bool, progress: Callable[[str], None]) -> float:
    """Octets of the server's resident memory per idle connection. The server must be freshly started."""
    held = hold(server, WARMED, tls, "w", progress)
    time.sleep(SETTLE)
    before = resident_octets([server.pid])
    held += hold(server, count, tls, "i", progress)
    time.sleep(SETTLE)
    after = resident_octets([server.pid])
    release(held)
    return (after - before) / count


def others_subscribe(server: Server, count: int, progress: Callable[[str], None]) -> list[Link]:
    """`count` subscriptions of other clients: exact ones, and one in ten each with `+` and with `#` among them."""
    per_client = min(count, 1000)
    links = hold(server, count // per_client, False, f"o{count}-", progress)
    for start in range(0, per_client, FILTERS_AT_ONCE):
        filters = [
            [foreign_filter(client, number) for number in range(start, min(start + FILTERS_AT_ONCE, per_client))]
            for client in range(len(links))
        ]
        subscribe(access(server, False, ""), links, filters, 0)
        progress(f"{(start + len(filters[0])) * len(links):,} of {count:,} subscriptions")
    return links


def foreign_filter(client: int, number: int) -> str:
    """Shaped like the measured topics (`bench/NAME/PAIR/NUMBER`), and matching none of them."""
    if number % 10 == 0:
        return f"{TOPIC}/+/{client:05d}/x{number}"
    if number % 10 == 1:
        return f"{TOPIC}/other/{client:05d}/{number}/#"
    return f"{TOPIC}/other/{client:05d}/{number}"


def cost_beside(server: Server, number: int, seconds: float) -> float:
    """CPU microseconds of the server per message of ten pairs that use 100 topics each."""
    plan = Plan(
        10, 10, window=100, topics=100, size=PAYLOAD, seconds=seconds, topic=f"{TOPIC}/f{number}", pids=[server.pid]
    )
    rate = run(access(server, False, f"{USER}-f{number}"), plan).per_cpu_second
    if rate is None:
        raise RuntimeError("the server used too little CPU to be measured")
    return 1e6 / rate


def flatness(
    few: Server, many: Server, pairs: int, seconds: float, progress: Callable[[str], None]
) -> tuple[float, float]:
    """Median microseconds per message beside 10 and beside 100,000 subscriptions of others, measured in turn."""
    held = others_subscribe(few, 10, progress) + others_subscribe(many, 100_000, progress)
    costs: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs):
        for server, list_of_costs in ((few, costs[0]), (many, costs[1])):
            progress(f"round {number + 1}")
            list_of_costs.append(cost_beside(server, number, seconds))
    release(held)
    return statistics.median(costs[0]), statistics.median(costs[1])


def durable_run(server: Server, number: int, seconds: float, connected: bool) -> Result:
    """Ten publishers at QoS 1, 100 in flight each, to ten persistent sessions, connected or away."""
    topic, stem = f"{TOPIC}/d{number}", f"{USER}-d{number}"
    plan = Plan(10, 10, qos=1, size=PAYLOAD, window=100, seconds=seconds, topic=topic, durable=True, pids=[server.pid])
    if not connected:
        names = [f"{stem}away{session}" for session in range(10)]
        links = [opened.link for opened in open_links(access(server, False, ""), names, durable=True)]
        subscribe(access(server, False, ""), links, [[plan.filter_of(session)] for session in range(10)], 1)
        release(links)
        plan = Plan(10, 0, 1, PAYLOAD, 100, 0.0, seconds, 1.0, "all", topic, pids=[server.pid])
    return run(access(server, False, stem), plan)


def raw_rows_per_second(folder: Path, seconds: float) -> float:
    """What SQLite itself does: batches of 1,000 rows, each committed with WAL and synchronous=FULL; by the clock."""
    place = Path(tempfile.mkdtemp(dir=folder))
    try:
        connection = sqlite3.connect(place / "raw.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE raw (id INTEGER PRIMARY KEY, record BLOB)")
        batch = [(RECORD,)] * RAW_ROWS
        rows, start = 0, time.monotonic()
        while time.monotonic() - start < seconds:
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO raw (record) VALUES (?)", batch)
            connection.execute("COMMIT")
            rows += RAW_ROWS
        elapsed = time.monotonic() - start
        connection.close()
        return rows / elapsed
    finally:
        shutil.rmtree(place)


def start_up(folder: Path, users: dict[str, str], cpu: int | None) -> tuple[float, float]:
    """Seconds from the command to the ready line: in an empty data folder, and the next time."""
    hub = Hub(folder, users, [f"{TOPIC}/#"])
    times = []
    for _ in range(2):
        hub.start(cpu)
        times.append(hub.seconds_to_ready)
        hub.stop()
    return times[0], times[1]
